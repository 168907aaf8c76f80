"""The archive of sliced constructors that `weigh` reads: the same bytes wherever it is made of the same release."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

ARCHIVE = Path("src", "weigh", "models", "constructors", "constructors.zip")
"""Where it is, from the root of the repository."""

INDEX = "index.jsonl"
"""Its first entry, which is not compressed: a line of JSON for what belongs to no type, then one for each type."""


def write(root: Path) -> int:
    """Slice the constructors of the installed transformers, and write the archive.

    Args:
        root: The root of the repository.

    Returns:
        How many files are in it.
    """
    from handbook.families.indexing import sliced  # which needs torch

    lines, files = sliced()
    _write(root / ARCHIVE, lines, files)
    return len(files)


def marked(root: Path) -> dict[str, str]:
    """The model types for which the constructors must not answer, and why.

    Args:
        root: The root of the repository.
    """
    found: dict[str, str] = _read(root / ARCHIVE)[0][0]["refused"]
    return found


def mark(root: Path, refused: dict[str, str]) -> None:
    """Say in the archive for which model types the constructors must not answer.

    Args:
        root: The root of the repository.
        refused: These types, and why.
    """
    lines, files = _read(root / ARCHIVE)
    if refused != lines[0]["refused"]:
        lines[0]["refused"] = refused
        _write(root / ARCHIVE, lines, files)


def _read(path: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The lines of the index of an archive, and its other files."""
    with ZipFile(path) as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    return [json.loads(line) for line in files.pop(INDEX).splitlines()], files


def _write(path: Path, lines: list[dict[str, Any]], files: dict[str, str]) -> None:
    """Write an archive: the index, which says how far behind it each module begins, and the files by name."""
    files = dict(sorted(files.items()))
    places = _fill(BytesIO(), files)
    modules = {name.removesuffix(".py"): place for name, place in places.items() if name.endswith(".py")}
    lines = [lines[0] | {"modules": modules}, *lines[1:]]
    with path.open("wb") as file:
        _fill(file, {INDEX: "".join(f"{json.dumps(line)}\n" for line in lines)} | files)


def _fill(file: BinaryIO, files: dict[str, str]) -> dict[str, int]:
    """Write an archive without dates, and say where each of its files begins."""
    with ZipFile(file, "w") as archive:
        for name, text in files.items():
            archive.writestr(ZipInfo(name), text, ZIP_STORED if name == INDEX else ZIP_DEFLATED, 9)
        return {one.filename: one.header_offset for one in archive.infolist()}
