"""The archive of sliced constructors that `weigh` reads: the same bytes wherever it is made of the same release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

ARCHIVE = Path("src", "weigh", "models", "constructors", "constructors.zip")
"""Where it is, from the root of the repository."""

INDEX = "index.json"


def write(root: Path) -> int:
    """Slice the constructors of the installed transformers, and write the archive.

    Args:
        root: The root of the repository.

    Returns:
        How many files are in it.
    """
    from handbook.families.indexing import sliced  # which needs torch

    files = sliced()
    _write(root / ARCHIVE, files)
    return len(files)


def marked(root: Path) -> dict[str, str]:
    """The model types for which the constructors must not answer, and why.

    Args:
        root: The root of the repository.
    """
    found: dict[str, str] = _index(root / ARCHIVE).get("refused", {})
    return found


def mark(root: Path, refused: dict[str, str]) -> None:
    """Say in the archive for which model types the constructors must not answer.

    Args:
        root: The root of the repository.
        refused: These types, and why.
    """
    if refused == marked(root):
        return
    with ZipFile(root / ARCHIVE) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    index = {name: value for name, value in json.loads(files[INDEX]).items() if name != "refused"}
    files[INDEX] = json.dumps(index | ({"refused": refused} if refused else {}), sort_keys=True)
    _write(root / ARCHIVE, files)


def _index(path: Path) -> dict[str, Any]:
    with ZipFile(path) as archive:
        found: dict[str, Any] = json.loads(archive.read(INDEX))
        return found


def _write(path: Path, files: dict[str, str]) -> None:
    """Write an archive with names in order and no dates."""
    with ZipFile(path, "w", ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            archive.writestr(ZipInfo(name), files[name], ZIP_DEFLATED, 9)
