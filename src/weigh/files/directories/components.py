"""Models of several folders: which ones a sentence-transformers model or a diffusers pipeline is made of."""

import json
from pathlib import Path
from typing import Any

from weigh.files.directories.foreign import formats_of
from weigh.files.directories.listing import Entry, Listing, artifacts_of
from weigh.files.directories.weights import natural
from weigh.formats.torch.distributed import METADATA
from weigh.sources import File

MODULES, PIPELINE = "modules.json", "model_index.json"
_LARGEST = 2**20
_MOST = 64


def components(directory: Path, listing: Listing) -> dict[str, str]:
    """The folders of a model of several, each with the name of what it holds; empty for any other directory.

    The folder of a module that lies in the directory itself is the empty text. What is beside the components of a
    pipeline and not in its index has no name, unless the index says that it was left out.
    """
    top = listing.top
    folders: dict[str, str] = {}
    if MODULES in top:
        modules = _parsed(directory / MODULES)
        for module in modules if isinstance(modules, list) else []:
            if isinstance(module, dict) and isinstance(module.get("path"), str):
                folders[module["path"].strip("/")] = str(module.get("type", "")).rpartition(".")[2]
    elif PIPELINE in top:
        pipeline = _parsed(directory / PIPELINE)
        for name, value in pipeline.items() if isinstance(pipeline, dict) else []:
            if isinstance(value, list) and len(value) == 2 and isinstance(value[1], str) and not name.startswith("_"):
                folders[name] = value[1]
        left_out = pipeline if isinstance(pipeline, dict) else {}
        folders |= {name: "" for name in listing.folders if name not in left_out and not name.startswith("checkpoint-")}
    there = listing.folders
    return {
        folder: title
        for folder, title in list(folders.items())[:_MOST]
        if folder == "" or (folder in there and has_weights(there, folder))
    }


def _parsed(path: Path) -> Any:
    try:
        return json.loads(File(path).first(_LARGEST))
    except (ValueError, RecursionError):
        return None


def has_weights(folders: dict[str, list[Entry]], folder: str) -> bool:
    """Whether a folder, or one in it, has a file that is named as weights or as a training checkpoint."""
    return _names_weights([entry.path for entry in folders[folder]])


def _names_weights(paths: list[str]) -> bool:
    names = frozenset(path.rpartition("/")[2] for path in paths)
    found = artifacts_of(sorted(names))
    states = [
        name for name in found["checkpoint"] + found["optimizer state"] if not name.endswith((".json", "_args.bin"))
    ]
    return bool(found["weights"] or states or METADATA in names or formats_of(paths))


def homes(listing: Listing) -> list[str]:
    """The folders below a directory that hold models: of those in one another, the outermost."""
    found: list[str] = []
    folders: dict[str, list[str]] = {}
    for entry in listing.entries:
        folder, _, name = entry.path.rpartition("/")
        if folder and not entry.why:
            folders.setdefault(folder, []).append(name)
    for folder in sorted(folders, key=lambda each: (each.count("/"), natural(each))):
        if not any(folder.startswith(f"{other}/") for other in found) and _names_weights(folders[folder]):
            found.append(folder)
    return found
