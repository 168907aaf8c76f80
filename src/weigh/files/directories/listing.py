"""What is in a directory: its files with their bytes, and the artifact of a model that each belongs to."""

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path, PurePosixPath
from typing import Any

from weigh.formats import FORMATS
from weigh.sources import is_remote, opening

ARTIFACTS: dict[str, tuple[str, ...]] = {
    "architecture config": ("config.json", "params.json"),
    "weights": (
        *(pattern for each in FORMATS for pattern in each.weights), "*.safetensors.index.*.json",
        *(f"{stem}*.bin{index}" for stem in ("diffusion_pytorch_model", "adapter_model", "pytorch_lora_weights")
          for index in ("", ".index.json")),
    ),
    "tokenizer / preprocessor": (
        "tokenizer*.json", "vocab.*", "merges.txt", "*.model", "tekken.json", "special_tokens_map.json",
        "added_tokens.json", "chat_template.*", "preprocessor_config.json", "processor_config.json",
    ),
    "checkpoint": (
        *(pattern for each in FORMATS for pattern in each.checkpoints), "trainer_state.json", "training_args.bin",
        "random_states_*.pkl", "custom_checkpoint_*.pkl", "sampler*.bin", "dl_state_dict*.bin",
    ),
    "optimizer state": ("optimizer*.pt", "optimizer*.bin", "scheduler*.pt", "scheduler*.bin"),
    "generation config": ("generation_config.json",),
}  # fmt: skip
"""The six artifacts of a model and the file names that transformers, diffusers, peft, accelerate, tokenizers,
sentencepiece, mistral-common and llama.cpp give them. A file belongs to the last artifact that its name matches, but
`consolidated.00.pth`, as Llama and Mistral publish their weights, to the weights."""

_NAMES = {kind: re.compile("|".join(translate(each) for each in patterns)) for kind, patterns in ARTIFACTS.items()}
_PUBLISHED = re.compile(r"consolidated.*\.pth$")
_MOST = 10_000  # entries of a tree that are listed: no model has so many files
_COMPILED = "__pycache__"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file below a directory, or a whole folder that is hidden or a link.

    Attributes:
        path: From the directory, with `/` between its parts and at the end of a folder.
        size: In bytes; of a folder, all that is in it.
        why: Why it is not looked into: it is hidden, a link, or no file at all. Else empty.
    """

    path: str
    size: int
    why: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def folder(self) -> str:
        """The folder right below the directory that it is in; empty for a file of the directory itself."""
        return self.path.partition("/")[0] if "/" in self.path else ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The files below a directory.

    Attributes:
        entries: In the order of their paths.
        complete: Whether these are all.
    """

    entries: tuple[Entry, ...]
    complete: bool = True

    @property
    def top(self) -> list[str]:
        """The names of the files in the directory itself."""
        return [entry.path for entry in self.entries if "/" not in entry.path and not entry.why]

    @property
    def folders(self) -> dict[str, list[Entry]]:
        """The entries of each folder right below the directory, those of its subfolders too."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if entry.folder and not entry.why:
                found.setdefault(entry.folder, []).append(entry)
        return found


def artifacts_of(names: Iterable[str]) -> dict[str, list[str]]:
    """File names by the artifact that they belong to; an empty list where one is missing."""
    found: dict[str, list[str]] = {artifact: [] for artifact in ARTIFACTS}
    for name in names:
        if kind := artifact_of(name):
            found[kind].append(name)
    return found


def artifact_of(name: str) -> str:
    """The artifact that a file belongs to by its name; empty if that says nothing."""
    if _PUBLISHED.match(name):
        return "weights"
    return next((kind for kind in reversed(ARTIFACTS) if _NAMES[kind].match(name)), "")


def find_artifacts(directory: Path) -> dict[str, list[str]]:
    """The file names of each of the six artifacts; an empty list where one is missing."""
    return artifacts_of(file.name for file in sorted(directory.iterdir()) if file.is_file())


def list_tree(directory: Path) -> Listing:
    """The files below a directory. Hidden folders are one entry each, and links to folders are not followed.

    Raises:
        NotFound: If it is no directory, or a folder in it may not be read.
    """
    with opening(directory):
        found, complete = _remote(directory) if is_remote(directory) else _local(directory)
    merged: dict[str, Entry] = {}
    for entry in found:
        before = merged.get(entry.path)
        merged[entry.path] = Entry(entry.path, entry.size + (before.size if before else 0), entry.why)
    return Listing(tuple(sorted(merged.values(), key=lambda entry: entry.path)), complete)


def _hidden(path: str) -> str:
    """The folder on a path that is hidden or compiled Python, with its `/`; empty if there is none."""
    *folders, _ = path.split("/")
    for depth, name in enumerate(folders, start=1):
        if name.startswith(".") or name == _COMPILED:
            return "/".join(folders[:depth]) + "/"
    return ""


def _local(directory: Path) -> tuple[list[Entry], bool]:
    found: list[Entry] = []
    for path, entry in _scan(directory):
        if len(found) == _MOST:
            return found, False
        if entry is None:
            found.append(Entry(path, 0, "may not be read"))
        elif hidden := _hidden(path):
            found.append(Entry(hidden, entry.stat(follow_symlinks=False).st_size, "hidden"))
        elif entry.is_file():  # of a link what it leads to, as in the Hub's cache
            found.append(Entry(path, entry.stat().st_size))
        else:
            link = "a link to a folder" if entry.is_dir() else "a link to nothing"
            found.append(Entry(path, 0, link if entry.is_symlink() else "no file but a socket, a pipe or a device"))
    return found, True


def _scan(directory: Path) -> "Iterator[tuple[str, os.DirEntry[str] | None]]":
    """All that is no folder, with its path, the files of a folder before those of the folders in it.

    A folder that may not be read comes without an entry.
    """
    waiting = deque([("", os.fspath(directory))])
    while waiting:
        above, folder = waiting.popleft()
        try:
            with os.scandir(folder) as entries:
                there = list(entries)
        except PermissionError:
            if not above:
                raise
            yield above, None
            continue
        for entry in there:
            path = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                waiting.append((f"{path}/", entry.path))
            else:
                yield path, entry


def _remote(directory: Path) -> tuple[list[Entry], bool]:
    there: Any = directory
    root = there.path.rstrip("/")
    found = []
    for name, info in there.fs.find(there.path, detail=True).items():
        path = str(name).removeprefix(root).lstrip("/")
        hidden = _hidden(path)
        found.append(Entry(hidden or path, int(info.get("size") or 0), "hidden" if hidden else ""))
    return found[:_MOST], len(found) <= _MOST
