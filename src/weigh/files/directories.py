"""A model directory: its six artifacts, and its tensors, over however many files they are spread."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from weigh import errors, formats
from weigh.files import quantized
from weigh.formats import FORMATS
from weigh.models.parameters import params
from weigh.sources import File
from weigh.tensors import Contents

ARTIFACTS: dict[str, tuple[str, ...]] = {
    "architecture config": ("config.json", "params.json"),
    "weights": tuple(pattern for each in FORMATS for pattern in each.weights),
    "tokenizer / preprocessor": (
        "tokenizer*.json", "vocab.*", "merges.txt", "*.model", "tekken.json", "special_tokens_map.json",
        "added_tokens.json", "chat_template.*", "preprocessor_config.json", "processor_config.json",
    ),
    "checkpoint": (
        *(pattern for each in FORMATS for pattern in each.checkpoints), "trainer_state.json", "training_args.bin",
    ),
    "optimizer state": ("optimizer*.pt", "optimizer*.bin", "scheduler*.pt", "scheduler*.bin"),
    "generation config": ("generation_config.json",),
}  # fmt: skip
"""The six artifacts of a model and the file names that transformers, tokenizers, sentencepiece, mistral-common and
llama.cpp give them. A file belongs to the last artifact that its name matches."""

# The first of these that is there holds the weights, as when transformers loads the directory.
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")

# What a training checkpoint's files of tensors end in.
_CHECKPOINTS = tuple(suffix for each in FORMATS if each.checkpoints for suffix in each.suffixes)

WHOLE_MODELS = tuple(pattern.lstrip("*") for each in FORMATS if each.is_model for pattern in each.weights)
"""The ends of files that are a model each, with names of their own for tensors."""


def read(directory: Path) -> Contents:
    """Inspect the files of a directory that hold tensors, and list its artifacts.

    The same weights often lie there twice, as safetensors and as `pytorch_model.bin` or in two precisions. They are
    counted once, from the file that transformers would load; a note names the others.

    Raises:
        NotFound: If no file in the directory belongs to a model.
        WeighError: What the readers of the single files raise.
    """
    for marker in (each.marker for each in FORMATS if each.marker):
        if (directory / marker).is_file():
            return formats.read(File(directory / marker))
    artifacts = find_artifacts(directory)
    if not any(artifacts.values()):
        raise errors.NotFound(directory, "holds no file of a model; give the directory of its config.json or weights")
    weights = _counted(artifacts["weights"])
    _check_numbering(directory, weights)
    training = [
        name
        for name in artifacts["checkpoint"] + artifacts["optimizer state"]
        if name.endswith(_CHECKPOINTS) and name != "training_args.bin"
    ]
    parts = [read_file(File(directory / name)) for name in weights + training]
    for name, part in zip(weights + training, parts, strict=True):
        if part.by_component["optimizer"] and name not in artifacts["optimizer state"]:
            artifacts["optimizer state"].append(name)
    contents = quantized.explained(_join(directory, parts), directory)
    left_out = set(artifacts["weights"]) - set(weights) - {tensor.storage.split(":")[0] for tensor in contents.named}
    notes = [*contents.notes]
    notes += [f"{name} is not counted: the weights are read from {weights[0]}" for name in sorted(left_out)]
    notes += _against_config(directory, contents)
    return replace(contents, artifacts=artifacts, notes=tuple(notes))


def _counted(names: list[str]) -> list[str]:
    """The files of weights to count, each weight once: where each file, or set of numbered ones, is a whole model."""
    others = [name for name in names if not name.endswith(WHOLE_MODELS)]
    if others or not names:
        return next(([name] for name in _WEIGHTS if name in others), others)
    model = [re.sub(r"-\d{5}-of-\d{5}", "", name) for name in names]
    return [name for name, of in zip(names, model, strict=True) if of == model[0]]


def find_artifacts(directory: Path) -> dict[str, list[str]]:
    """The file names of each of the six artifacts; an empty list where one is missing."""
    found: dict[str, list[str]] = {artifact: [] for artifact in ARTIFACTS}
    for file in sorted(directory.iterdir()):
        matches = [name for name, patterns in ARTIFACTS.items() if any(fnmatch(file.name, p) for p in patterns)]
        if matches and file.is_file():
            found[matches[-1]].append(file.name)
    return found


def read_file(file: File) -> Contents:
    """Inspect one file, or the shards of an index."""
    return read_index(file) if file.name.endswith(".index.json") else formats.read(file)


def read_index(file: File) -> Contents:
    """Inspect the shards that an index names, and check that the two agree.

    Raises:
        InvalidShards: If the index is not one, or if the shards hold a tensor that it does not list, or lack one that
            it does.
        OutsideDirectory: If it names a file outside its directory.
        NotFound: If it names one that is not there.
    """
    path = file.path
    with file.open() as reader:
        raw = reader.read()
    try:
        weight_map = json.loads(raw.decode("utf-8"))["weight_map"]
        expected = {(str(tensor), str(shard)) for tensor, shard in weight_map.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise errors.InvalidShards(path, "is not an index: it needs a weight_map from tensors to files") from None
    shards = [formats.read(file.beside(name)) for name in sorted({shard for _, shard in expected})]
    found = {(tensor.name, Path(shard.path).name) for shard in shards for tensor in shard.named}
    for flaw, tensors in (("lists", expected - found), ("does not list", found - expected)):
        if tensors:
            tensor, shard_name = min(tensors)
            raise errors.InvalidShards(
                path, f"{flaw} tensor {tensor[:80]!r} in {shard_name} ({len(tensors)} such); fetch the model again"
            )
    return _join(path, shards)


def _join(path: Path, parts: Iterable[Contents]) -> Contents:
    parts = list(parts)
    return Contents(
        path=str(path),
        format=" and ".join(dict.fromkeys(part.format for part in parts)) or "no tensors",
        named=tuple(tensor for part in parts for tensor in part.named),
        bytes_on_disk=sum(part.bytes_on_disk for part in parts),
        bytes_in_storages=sum(part.bytes_in_storages for part in parts),
        metadata={key: value for part in parts for key, value in part.metadata.items()},
        imports=tuple(dict.fromkeys(name for part in parts for name in part.imports)),
        storages={name: storage for part in parts for name, storage in part.storages.items()},
        groups=tuple(group for part in parts for group in part.groups),
    )


def _check_numbering(directory: Path, names: list[str]) -> None:
    for name in names:
        numbered = re.fullmatch(r"(.*-)(\d{5})-of-(\d{5})(\..*)", name)
        if numbered:
            stem, _, total, suffix = numbered.groups()
            for number in range(1, int(total) + 1):
                shard = f"{stem}{number:05d}-of-{total}{suffix}"
                if shard not in names:
                    raise errors.InvalidShards(directory / name, f"is one of {int(total)}, and {shard} is not there")


def _against_config(directory: Path, contents: Contents) -> list[str]:
    try:
        expected = params(directory, fallback=False).parameters
    except errors.WeighError:
        return []
    if any(group.parameters is None for group in contents.groups):  # a note says that some are not counted
        return []
    if not contents.parameters or contents.parameters == expected:
        return []
    return [f"config.json describes {expected:,} parameters, the files hold {contents.parameters:,}"]
