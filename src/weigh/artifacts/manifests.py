"""The manifest of a model directory: size and SHA-256 of every file, and what has changed since it was written."""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weigh.artifacts.digests import digest, list_files
from weigh.artifacts.values import parse_json
from weigh.errors import InvalidArtifact, NotFound
from weigh.formats.pointers import Pointer, pointer
from weigh.sources import MAX_HEADER, File

_VERSION = 1
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class ManifestFile:
    """A file of a manifest.

    Attributes:
        bytes: Its size.
        sha256: Its SHA-256, in hexadecimal.
        lfs_pointer: If it is a Git LFS pointer, the SHA-256 and the size of the file that it stands for.
    """

    bytes: int
    sha256: str
    lfs_pointer: Pointer | None = None


@dataclass(frozen=True)
class ModelManifest:
    """Every file of a model directory by size and SHA-256.

    Attributes:
        files: The files by their names below the directory.
        left_out: What is not in it, each with the reason.
    """

    files: Mapping[str, ManifestFile]
    left_out: Mapping[str, str]

    @property
    def pointers(self) -> tuple[str, ...]:
        """The files that are Git LFS pointers: what they stand for was not fetched."""
        return tuple(name for name, file in self.files.items() if file.lfs_pointer)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, to be written as JSON beside the release."""
        files = {name: {k: v for k, v in asdict(file).items() if v is not None} for name, file in self.files.items()}
        return {"weigh_manifest": _VERSION, "files": files, "left_out": dict(self.left_out)}


@dataclass(frozen=True)
class Verification:
    """Files of a model directory that are not as its manifest says.

    Attributes:
        changed: Files with other bytes.
        missing: Files that are in the manifest alone.
        added: Files that are in the directory alone.
        pointers: Git LFS pointers in place of the files that the manifest has.
        same: How many files are as the manifest says.
        left_out: What is not looked at, each with the reason.
    """

    changed: tuple[str, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]
    pointers: tuple[str, ...]
    same: int
    left_out: Mapping[str, str]

    @property
    def verified(self) -> bool:
        """Whether every file is as the manifest says, and there are no others."""
        return not (self.changed or self.missing or self.added or self.pointers)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, under the names that `weigh manifest --check --json` promises."""
        return {"verified": self.verified, **asdict(self)}


def model_manifest(directory: str | os.PathLike[str]) -> ModelManifest:
    """The manifest of a model directory: each file with its size and SHA-256. Files are read to the end.

    Hidden files and folders are left out, such as `.git` and the Hub's `.cache`.

    Raises:
        NotFound: If there is no such directory, no file in it, or one that cannot be read.
    """
    root = Path(directory)
    names, left_out = list_files(root)
    if not names:
        raise NotFound(root, "holds no file that is not hidden; give the directory of a model")
    return ModelManifest({name: _file(root / name) for name in names}, left_out)


def read_model_manifest(path: str | os.PathLike[str]) -> ModelManifest:
    """Read a manifest from the JSON that `weigh manifest` prints.

    Raises:
        NotFound: If there is no such file.
        InvalidArtifact: If it is no such manifest.
    """
    where = Path(path)
    with File(where).open() as reader:
        document = parse_json(where, reader.read(MAX_HEADER))
    try:
        if document["weigh_manifest"] != _VERSION:
            raise InvalidArtifact(where, f"is a manifest of another version than {_VERSION}; write it again")
        files = {name: _entry(**entry) for name, entry in document["files"].items()}
        return ModelManifest(files, dict(document.get("left_out", {})))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidArtifact(where, "is no manifest; weigh manifest DIRECTORY prints one") from None


def verify_manifest(
    directory: str | os.PathLike[str], manifest: ModelManifest | str | os.PathLike[str]
) -> Verification:
    """Compare a model directory with a manifest that was written of it, file by file.

    Args:
        directory: The model's directory. Its files are read to the end where they have the size that they should.
        manifest: The manifest, or its path. If it lies in the directory, it is no file of the model.

    Raises:
        NotFound: If there is no such directory or manifest.
        InvalidArtifact: If it is no manifest.
    """
    root = Path(directory)
    names, left_out = list_files(root)
    if isinstance(manifest, ModelManifest):
        expected = dict(manifest.files)
    else:
        expected = dict(read_model_manifest(manifest).files)
        path = Path(manifest).resolve()
        for name in [name for name in names if (root / name).resolve() == path]:
            names.remove(name)
            expected.pop(name, None)
            left_out[name] = "the manifest itself"
    pointers: list[str] = []
    changed: list[str] = []
    there = {name for name in names if (root / name).exists()}  # a link to nothing is no file
    for name in names:
        if name not in expected or name not in there or _is(root / name, expected[name]):
            continue
        found = pointer(root / name)
        (pointers if found and found.sha256 == expected[name].sha256 else changed).append(name)
    missing = [name for name in expected if name not in there]
    added = [name for name in names if name not in expected]
    same = len(expected) - len(missing) - len(changed) - len(pointers)
    return Verification(tuple(changed), tuple(missing), tuple(added), tuple(pointers), same, left_out)


def _file(path: Path) -> ManifestFile:
    return ManifestFile(File(path).size, digest(path), pointer(path))


def _is(path: Path, expected: ManifestFile) -> bool:
    return File(path).size == expected.bytes and digest(path) == expected.sha256


def _entry(bytes: int, sha256: str, lfs_pointer: Mapping[str, Any] | None = None) -> ManifestFile:
    if type(bytes) is not int or not _SHA256.fullmatch(sha256):
        raise ValueError("no size and SHA-256")
    return ManifestFile(bytes, sha256, Pointer(**lfs_pointer) if lfs_pointer else None)
