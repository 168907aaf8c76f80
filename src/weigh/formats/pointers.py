"""Git LFS pointers: the text that lies in a file's place until `git lfs pull` fetches it (https://git-lfs.com)."""

import re
from dataclasses import dataclass
from pathlib import Path

from weigh import errors
from weigh.sources import File

SIZES = range(100, 1025)
"""The bytes that a pointer may have: two lines of a hundred at least, and what its specification allows."""

_POINTER = re.compile(rb"version https://git-lfs[^\n]*\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,19})\n?")


@dataclass(frozen=True)
class Pointer:
    """A Git LFS pointer: the SHA-256 and the size of a file that is elsewhere.

    Attributes:
        sha256: In hexadecimal.
        size: In bytes.
    """

    sha256: str
    size: int


def pointer(path: Path) -> Pointer | None:
    """What a Git LFS pointer stands for; `None` if the file is none.

    Raises:
        NotFound: If it cannot be read.
    """
    return _pointer(File(path).first(SIZES[-1]))


def refuse(file: File) -> None:
    """Refuse a pointer where a model is wanted.

    Raises:
        UnknownFormat: If the file is one.
    """
    if found := _pointer(file.first(SIZES[-1])):
        raise errors.UnknownFormat(
            file, f"is a Git LFS pointer to {found.size:,} bytes that are not here; fetch them with git lfs pull"
        )


def _pointer(text: bytes) -> Pointer | None:
    found = _POINTER.fullmatch(text)
    return Pointer(found[1].decode(), int(found[2])) if found else None
