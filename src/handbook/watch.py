"""What a page's process reads, and that it does not reach the network: an audit hook sees both.

It sees one process. Of what others read, those that a page starts, is known what the text of a shell's block names.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from pathlib import PurePosixPath
from typing import Any

from handbook.blocks import Block

SKIPPED = (".venv", ".git", ".cache", "site")
"""What lies below the root and is not of the repository."""


class Watch:
    """An audit hook: notes what is read below the root, and lets nothing out to the network."""

    LOCAL = ("localhost", "", None)

    def __init__(self, root: str, files: set[str]) -> None:
        self.root, self.files = root + os.sep, files
        self.skipped = tuple(os.path.join(root, name, "") for name in SKIPPED)
        self.source = os.path.join(root, "src", "")

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        """Note a file that is opened, and refuse a connection."""
        if event in ("open", "os.listdir", "os.scandir"):
            self.note(args[0], args[1:], listed=event != "open")
        elif event in ("subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", "os.fork"):
            self.files.add("src")  # nobody sees which modules a process of its own reaches
        elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            self.guard(args[0])
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(args[1], tuple):
            self.guard(args[1][0])

    def note(self, path: Any, mode: tuple[Any, ...], listed: bool) -> None:
        """Note a file or directory that is read."""
        if isinstance(path, int) or (mode and isinstance(mode[0], str) and set(mode[0]) & set("wax")):
            return
        path = os.path.abspath(os.fsdecode(path)) if path is not None else os.getcwd()
        full = os.path.join(path, "")
        if listed and full.startswith(self.source):
            return  # an import lists directories, and depends on one file there
        if path.startswith(self.root) and not full.startswith(self.skipped) and "__pycache__" not in path:
            self.files.add(path.removeprefix(self.root))

    def guard(self, host: Any) -> None:
        """Refuse a host that is not this machine."""
        host = os.fsdecode(host) if isinstance(host, bytes) else host
        with contextlib.suppress(ValueError):
            if host in self.LOCAL or ipaddress.ip_address(host).is_loopback:
                return
        raise PermissionError(f"examples run without a network, and this one asked for {host}")


def named(block: Block, root: str) -> set[str]:
    """The paths below the root that a block depends on by what it says: a shell on all code, and on what it names."""
    found = {_existing(block.workdir, root)}
    if block.language != "python":
        words = re.split(r"[\s'\"`;|&<>()=$]+", block.code)
        found |= {"src", "snippets", *(_existing(f"{block.workdir or '.'}/{word}", root) for word in words if word)}
    return {path for path in found if path and path.partition("/")[0] not in ("..", *SKIPPED)}


def _existing(path: str, root: str) -> str:
    """As much of a path as exists below the root: of `docs/*.md`, the directory."""
    below = PurePosixPath(os.path.relpath(os.path.join(root, path), root))
    while below.name and not os.path.exists(os.path.join(root, below)):
        below = below.parent
    return str(below) if below.name else ""
