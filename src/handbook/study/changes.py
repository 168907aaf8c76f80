"""When what cards say last changed, by the commits that changed it.

A note in Anki that a release brings again replaces the one that is there, with the tags that its reader gave it, where
its time of change is later. So a note has the time of its page, not that of the build.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import time

from handbook.outputs import path_of
from handbook.programs import program_of
from handbook.study.questions import Source

NOTES = tuple(f"src/handbook/study/{name}.py" for name in ("anki", "elsewhere", "questions"))
"""The files that make a note out of any card."""
STYLE = ("src/handbook/study/anki.py", "src/handbook/templates/anki.css", "docs/assets/css/tokens.css")
"""The files that say how all notes look."""

Changes = Callable[[Source | None], int]
"""When what the cards of a page say last changed, in seconds since 1970; or, of no page, how all cards look."""


def changes(root: Path, committed: bool = True) -> Changes:
    """When what cards say last changed: the time of the newest commit that may have changed it.

    Such a commit changed the page, its program, what was recorded of its output, its place in the navigation, or how
    cards become notes. In a clone without history that is the only commit. Where there is no git, it is the time in
    `SOURCE_DATE_EPOCH`, or else now, for every card.

    Args:
        root: The root of the repository.
        committed: What is packed is what was committed. If not, the time is now: whoever tries a card in Anki sees each
            change of it.
    """
    files = _files(root) if committed else {}
    if not files:
        now = int(os.environ.get("SOURCE_DATE_EPOCH") or time())
        return lambda _: now
    oldest = min(files.values())
    lines = _lines(root, "mkdocs.yml")

    @cache
    def changed(source: Source | None) -> int:
        if not source:
            return max(files.get(path, oldest) for path in STYLE)
        about = re.compile(rf"{re.escape(source.page)}$|- {re.escape(source.topic)}:$")
        places = (second for second, line in lines if about.search(line))
        paths = (f"docs/{source.page}", program_of(source.page), path_of(source.page).as_posix(), *NOTES)
        return max(*places, *(files.get(path, oldest) for path in paths))

    return changed


def _files(root: Path) -> dict[str, int]:
    """The time of the newest commit that changed each file."""
    found: dict[str, int] = {}
    second = 0
    for line in _git(root, "log", "--format=@%ct", "--name-only").splitlines():
        if line.startswith("@"):
            second = int(line[1:])
        elif line:
            found.setdefault(line, second)
    return found


def _lines(root: Path, path: str) -> list[tuple[int, str]]:
    """The lines of a file, each with the time of the commit that wrote it."""
    blame = _git(root, "blame", "--line-porcelain", "--", path)
    found = re.findall(r"^committer-time (\d+)$.*?^\t(.*?)$", blame, re.MULTILINE | re.DOTALL)
    return [(int(second), line) for second, line in found]


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, encoding="utf-8")
    except OSError:  # there is no git
        return ""
    return done.stdout if done.returncode == 0 else ""
