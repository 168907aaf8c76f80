"""Digests of a model's files: what says that two models are the same to the byte."""

import hashlib
import os
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


def list_files(directory: Path) -> tuple[list[str], dict[str, str]]:
    """The files below a directory by name, and what is left out, each with the reason.

    Hidden files and folders are left out, such as `.git` and the Hub's `.cache`, and links to folders, which may lead
    in a circle. A link to a file is that file, as in the Hub's cache.

    Raises:
        NotFound: If there is no such directory.
    """
    if not os.path.isdir(directory):
        raise NotFound(repr(str(directory)) if "\0" in str(directory) else directory, "is no directory; give a model's")
    names: list[str] = []
    left_out: dict[str, str] = {}

    def fail(error: OSError) -> None:
        with opening(Path(str(error.filename))):
            raise error

    for folder, folders, files in os.walk(directory, onerror=fail):
        here = Path(folder)
        for name in sorted(folders):
            path = here / name
            if name.startswith(".") or name == "__pycache__" or path.is_symlink():
                why = "a link to a folder" if path.is_symlink() else "hidden" if name[0] == "." else "compiled Python"
                left_out[f"{path.relative_to(directory).as_posix()}/"] = why
        folders[:] = [name for name in folders if f"{(here / name).relative_to(directory).as_posix()}/" not in left_out]
        for name in files:
            path = here / name
            relative = path.relative_to(directory).as_posix()
            if name.startswith("."):
                left_out[relative] = "hidden"
            elif path.exists() and not path.is_file():
                left_out[relative] = "no file but a socket, a pipe or a device"
            else:
                names.append(relative)
    return sorted(names), dict(sorted(left_out.items()))
