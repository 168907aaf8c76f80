"""The shards of a model: those that an index names, and those whose numbers say how many they are."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from weigh import errors, formats
from weigh.files.directories.joining import join
from weigh.sources import File
from weigh.tensors import Contents


def is_index(name: str) -> bool:
    """Whether a file is named as the index of shards, such as `model.safetensors.index.fp16.json`."""
    return re.search(r"\.index(\.\w+)?\.json$", name) is not None


def read_file(file: File) -> Contents:
    """Inspect one file, or the shards of an index."""
    contents = read_index(file) if is_index(file.name) else formats.read(file)
    return contents if contents.files else replace(contents, files=(file.name,))


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
    names = sorted({shard for _, shard in expected})
    if nested := next((name for name in names if is_index(name)), ""):  # itself, or one that leads back to it
        raise errors.InvalidShards(path, f"names the index {nested[:80]!r} as a file of weights; fetch it again")
    shards = [read_file(file.beside(name)) for name in names]
    found = {(tensor.name, Path(shard.path).name) for shard in shards for tensor in shard.named}
    for flaw, tensors in (("lists", expected - found), ("does not list", found - expected)):
        if tensors:
            tensor, shard_name = min(tensors)
            raise errors.InvalidShards(
                path, f"{flaw} tensor {tensor[:80]!r} in {shard_name} ({len(tensors)} such); fetch the model again"
            )
    return join(path, shards)


def check_numbering(directory: Path, names: Iterable[str]) -> None:
    """Check that of shards which say how many they are none is missing.

    Raises:
        InvalidShards: If one is.
    """
    names = set(names)
    for name in sorted(names):
        numbered = re.fullmatch(r"(.*-)(\d{5})-of-(\d{5})(\..*)", name)
        # torch's HuggingFaceStorageWriter puts the number of the rank in front, and that of the files at the end.
        if numbered and not numbered[1].startswith("shard-"):
            stem, _, total, suffix = numbered.groups()
            for number in range(1, int(total) + 1):
                shard = f"{stem}{number:05d}-of-{total}{suffix}"
                if shard not in names:
                    raise errors.InvalidShards(directory / name, f"is one of {int(total)}, and {shard} is not there")
