"""Quantized files: which tensors together stand for one matrix, scheme by scheme.

A quantizer replaces a matrix by codes and by what turns them into numbers again: scales, zero points, codebooks. A
module of this room knows one scheme. It offers `find`, which takes the `Stored` tensors of a file or directory and
gives the `Group`s that it recognises, by names, shapes and number formats first and by settings where those do not
decide. No codes are read; the few tensors that are hold a shape or a setting.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from weigh.dtypes import DTYPES
from weigh.files.quantized.stored import CACHE, Stored, settings_beside
from weigh.groups import Group
from weigh.sources import is_remote
from weigh.tensors import Contents, Tensor

SCHEMES = (
    "torch_tensors", "torchao", "quanto", "bitsandbytes", "mlx", "packed_words", "compressed", "blocks", "aqlm",
    "hqq_pickle", "hqq", "scaled", "ggml",
)  # fmt: skip
"""The modules of this room that know a scheme. A tensor belongs to the first that claims it."""

_INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32")
_BESIDE = re.compile(r"scale|zero_?p|qweight|codebook|absmax|quant")
"""What the names of tensors beside codes have in them."""


def explained(contents: Contents, directory: Path) -> Contents:
    """The contents of a file or directory with the groups of its quantized tensors.

    Args:
        contents: What a reader of formats gave, with the groups that the format itself describes.
        directory: Where its config.json would be.
    """
    if not any(_may_be_quantized(tensor) for tensor in contents.named if tensor.component == "weights"):
        return contents
    taken = {name for group in contents.groups for name in group.names}
    stored = Stored.of(contents, _settings(contents, directory), taken)
    groups = list(contents.groups)
    for scheme in SCHEMES:
        find: Callable[[Stored], Iterable[Group]] = import_module(f"weigh.files.quantized.{scheme}").find
        found = list(find(stored))
        groups += found
        stored = stored.without(name for group in found for name in group.names)
    notes = [*_unknown(groups), *_left(stored, known=bool(groups))]
    return replace(contents, groups=tuple(groups), notes=(*contents.notes, *notes))


def shapes_behind(contents: Contents, named: Mapping[str, Tensor]) -> dict[str, tuple[int, ...] | None]:
    """The shapes that tensors had before they were quantized, by name; `None` where it cannot be known.

    Args:
        contents: What they are of.
        named: Its tensors by the names that a model has for them, without what is in front of these in the file.
    """
    keys = {tensor.name: key for key, tensor in named.items()}
    shapes: dict[str, tuple[int, ...] | None] = {key: tensor.shape for key, tensor in named.items()}
    for group in contents.groups:
        for name in group.names:
            shapes.pop(keys.get(name, ""), None)
        for name in group.data[:1]:
            if name in keys:
                front = name.removesuffix(keys[name])
                shapes[group.name.removeprefix(front)] = group.shape
    return shapes


def _settings(contents: Contents, directory: Path) -> dict[str, Any]:
    """What lies beside the file, which of a remote one is asked only where names tell of a quantizer."""
    if is_remote(directory) and not any(_BESIDE.search(tensor.name) for tensor in contents.named):
        return {}
    return settings_beside(directory)


def _may_be_quantized(tensor: Tensor) -> bool:
    """Whether a quantizer writes codes in this number format, or a name is that of a cache's scale."""
    dtype = tensor.dtype
    codes = DTYPES[dtype].bits < 16 or dtype in ("int16", "int32", "uint16", "uint32") or _is_wide(tensor)
    return codes or tensor.name.endswith(CACHE)


def _is_wide(tensor: Tensor) -> bool:
    """Whether this may be codes of 64 bits, as SpQR writes. Positions and masks, int64 and bool, have one row."""
    return tensor.dtype == "int64" and len(tensor.shape) > 1 and tensor.shape[0] > 1


def _unknown(groups: Iterable[Group]) -> list[str]:
    """A note for each reason for which the numbers behind groups are not known."""
    reasons: dict[str, int] = {}
    for group in groups:
        if group.parameters is None:
            reasons[f"of {group.scheme}: {group.unknown}"] = reasons.get(f"of {group.scheme}: {group.unknown}", 0) + 1
    return [f"parameters leaves out {count:,} quantized matrices {reason}" for reason, count in reasons.items()]


def _left(stored: Stored, *, known: bool) -> list[str]:
    """A note about matrices of integers that no scheme explains, in a file that is quantized or looks so."""
    wide = bool(stored.settings) and not known
    left = [
        one
        for one in stored.tensors.values()
        if (one.dtype in _INTEGERS and len(one.shape) > 1) or (wide and _is_wide(one))
    ]
    if not left or not (stored.settings or any(_BESIDE.search(name) for name in stored.tensors)):
        return []
    count = sum(one.numel for one in left)
    return [
        f"{left[0].name} and other tensors of integers, {len(left):,} in all, are of no quantization scheme that weigh "
        f"knows: parameters leaves out what their {count:,} elements stand for, and counts their scales"
    ]
