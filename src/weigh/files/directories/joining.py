"""Contents of several files as those of one: names, storages and bytes side by side, and boxes of a tensor together."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from weigh import errors
from weigh.dtypes import DTYPES
from weigh.formats.torch.chunks import Assembled, Box, check_cover
from weigh.sources import Source
from weigh.tensors import Contents, Tensor, is_shape

_SHARDING = "DCP_SHARDING_INFO"
_OFFSETS = "saved_offsets"


def join(path: Path, parts: Iterable[Contents]) -> Contents:
    """The contents of several files together.

    Raises:
        InvalidOffsets: If boxes that ranks have saved of a tensor overlap, or leave a gap.
    """
    parts = list(parts)
    whole = Contents(
        path=str(path),
        format=" and ".join(dict.fromkeys(part.format for part in parts)) or "no tensors",
        named=tuple(tensor for part in parts for tensor in part.named),
        bytes_on_disk=sum(part.bytes_on_disk for part in parts),
        bytes_in_storages=sum(part.bytes_in_storages for part in parts),
        metadata={key: value for part in parts for key, value in part.metadata.items()},
        imports=tuple(dict.fromkeys(name for part in parts for name in part.imports)),
        allowed=tuple(dict.fromkeys(name for part in parts for name in part.allowed)),
        storages={name: storage for part in parts for name, storage in part.storages.items()},
        groups=tuple(group for part in parts for group in part.groups),
        files=tuple(dict.fromkeys(name for part in parts for name in part.files)),
    )
    return _assembled(whole, parts)


def below(contents: Contents, folder: str, component: str = "", prefix: str = "") -> Contents:
    """Contents of a folder as those of the directory that it is in.

    Args:
        contents: What was read in the folder.
        folder: Its name.
        component: What all its tensors are, if the folder says more than their names.
        prefix: What comes in front of their names.
    """
    return replace(
        contents,
        named=tuple(
            replace(
                tensor,
                name=f"{prefix}{tensor.name}",
                storage=f"{folder}/{tensor.storage}",
                component=component or tensor.component,
            )
            for tensor in contents.named
        ),
        storages={f"{folder}/{name}": storage for name, storage in contents.storages.items()},
        groups=tuple(group.below(prefix) for group in contents.groups),
        files=tuple(f"{folder}/{name}" for name in contents.files),
        not_read=tuple(replace(each, path=f"{folder}/{each.path}") for each in contents.not_read),
    )


@dataclass(frozen=True)
class _Saved:
    """A box that a rank has saved, as a tensor of its file."""

    tensor: Tensor
    source: Source

    def found(self) -> tuple[Tensor, Source]:
        """The tensor, and its storage."""
        return self.tensor, self.source


def _assembled(whole: Contents, parts: Sequence[Contents]) -> Contents:
    """The same with each tensor of which several files hold a box once, and in its own shape.

    torch's `HuggingFaceStorageWriter` leaves such files, unless it consolidates them: each rank's holds its boxes under
    the full name, and says in its metadata where in the tensor they begin.
    """
    held: dict[str, list[tuple[Box, Tensor]]] = {}
    for part in parts:
        offsets = _offsets(part)
        for tensor in part.named:
            if tensor.name in offsets:
                held.setdefault(tensor.name, []).append(((offsets[tensor.name], tensor.shape), tensor))
    cut = {name: found for name, found in held.items() if len(found) > 1 and DTYPES[found[0][1].dtype].bits % 8 == 0}
    if not cut:
        return whole
    named = [tensor for tensor in whole.named if tensor.name not in cut]
    storages = dict(whole.storages)
    for name, every in cut.items():
        found = list(dict(reversed(every)).items())[::-1]  # of a box that two ranks have saved, the first
        if len(found) == 1:
            named.append(found[0][1])
            continue
        where, dtype = f"{whole.path}, tensor {name[:80]!r}", found[0][1].dtype
        dimensions = {len(box[0]) for box, _ in found} | {len(box[1]) for box, _ in found}
        if len(dimensions) > 1 or {tensor.dtype for _, tensor in found} != {dtype}:
            raise errors.InvalidOffsets(where, "its boxes do not belong to one tensor; save the checkpoint again")
        shape = tuple(max(box[0][n] + box[1][n] for box, _ in found) for n in range(dimensions.pop()))
        check_cover(where, shape, [box for box, _ in found])
        chunks = tuple((box, _Saved(tensor, whole.storages[tensor.storage])) for box, tensor in found)
        assembled = Assembled(shape, dtype, chunks)
        storage = f"{found[0][1].storage}:{name}"
        storages[storage] = assembled
        named.append(Tensor(name, shape, dtype, storage, 0, assembled.size, found[0][1].component))
    metadata = {key: value for key, value in whole.metadata.items() if key != _SHARDING}
    return replace(whole, named=tuple(named), storages=storages, metadata=metadata)


def _offsets(part: Contents) -> dict[str, tuple[int, ...]]:
    """Where the boxes of a file begin in their tensors; nothing for a file that says nothing of it."""
    try:
        told: Any = json.loads(part.metadata[_SHARDING])
        found = {str(name): entry[_OFFSETS] for name, entry in told.items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: tuple(offsets) for name, offsets in found.items() if is_shape(offsets)}
