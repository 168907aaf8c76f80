"""Digests of a model's files: what says that two models are the same to the byte."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from weigh.errors import NotFound
from weigh.files.directories import find_artifacts
from weigh.sources import opening

_VERSIONED = ("architecture config", "weights", "tokenizer / preprocessor")


def digests(directory: Path, others: Iterable[str] = ()) -> dict[str, str]:
    """The SHA-256 of each file of a model: config, weights, tokenizer. They are read to the end.

    Args:
        directory: The model's directory.
        others: Patterns of more files that decide what the model does, as `Path.glob` takes them.

    Raises:
        NotFound: If there is no such directory, no file of a model in it, or a file cannot be read.
    """
    if not directory.is_dir():
        raise NotFound(directory, "is no directory; give that of a model")
    artifacts = find_artifacts(directory)
    names = {name for kind in _VERSIONED for name in artifacts[kind]}
    if not names:
        raise NotFound(directory, "holds no file of a model; give the directory of its config.json or weights")
    names |= {path.relative_to(directory).as_posix() for pattern in others for path in directory.glob(pattern)}
    return {name: digest(directory / name) for name in sorted(names)}


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. It is read to the end.

    Raises:
        NotFound: If it cannot be read.
    """
    with opening(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
