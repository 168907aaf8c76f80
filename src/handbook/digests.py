"""SHA-256 digests of files and directories, by which the engine sees what has changed."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

_GENERATED = re.compile(r"__pycache__|\.egg-info")
"""What Python and its installer write beside the sources: it differs between checkouts, and no page reads it."""


class Digests:
    """The digests of what lies below a root. A file is read again only if its times changed.

    Args:
        root: The directory from which paths are given.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[str, tuple[tuple[int, ...], str]] = {}
        self._found: dict[str, str] = {}

    def begin(self) -> None:
        """Start a build: forget what the last one went by."""
        self._found.clear()

    def now(self, path: str) -> str:
        """The digest of a file, or of a directory with all that is below it, as it is now, or `absent`."""
        full = self.root / path
        try:
            if full.is_dir():
                names = sorted(n for p in full.rglob("*") if not _GENERATED.search(n := str(p.relative_to(full))))
                below = [self.now(f"{path}/{name}") for name in names if not (full / name).is_dir()]
                return hashlib.sha256("\n".join(names + below).encode()).hexdigest()
            status = full.stat()
            stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            known, digest = self._read.get(path, ((), ""))
            if known != stamp:
                with full.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                if time.time_ns() - max(stamp[:2]) > 10**8:  # else a second edit might fall in the same tick
                    self._read[path] = stamp, digest
            return digest
        except OSError:
            return "absent"

    def in_build(self, path: str) -> str:
        """The digest that a build goes by: many pages depend on the same files."""
        if path not in self._found:
            self._found[path] = self.now(path)
        return self._found[path]

    def sources(self) -> dict[str, str]:
        """The digests before a job runs: if one changes meanwhile, nobody knows which version ran."""
        paths = [str(path.relative_to(self.root)) for path in (self.root / "src").rglob("*.py")]
        return {path: self.now(path) for path in [*paths, "src", "models"]}

    def world(self) -> str:
        """One text for all that pages are made of, beside their own Markdown."""
        return " ".join(self.in_build(path) for path in ("src", "snippets", "models"))

    def changed_at(self, path: str) -> int:
        """When a file was last changed, or the directory that it is missing from, in nanoseconds."""
        full = self.root / path
        while not full.exists():
            full = full.parent
        status = full.stat()
        return max(status.st_mtime_ns, status.st_ctime_ns)
