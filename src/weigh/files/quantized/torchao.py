"""torchao: a tensor subclass, flattened into plain tensors whose header says which class and shape they had.

The header of a safetensors file has an entry for each name of the state dict, such as `{"_type": "Int8Tensor", "_data":
{…}, "_tensor_data_names": ["qdata", "scale"]}`; the tensors are called `MODULE._weight_qdata` and so on
(`torchao/prototype/safetensors`). Four-bit integers lie two to a byte, eight to a word, or in a byte each, by
the class.
"""

import json
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from weigh.files.quantized.stored import Stored
from weigh.groups import Group
from weigh.tensors import Tensor, is_shape

_SIDE = {
    "scale": "scales", "per_tensor_scale": "scales", "act_per_tensor_scale": "scales", "act_pre_scale": "scales",
    "scale_and_zero": "scales", "group_scale": "scales", "row_scale": "scales", "group_zero": "zero points",
    "zero_point": "zero points", "qzeros": "zero points",
}  # fmt: skip
_PAIRED = ("NVFP4Tensor", "MXTensor")  # of floats of four bits where the codes are uint8
_UNKNOWN = "the header of the file no longer says their class and shape; take the file as torchao saved it"


def find(stored: Stored) -> Iterator[Group]:
    """The tensor subclasses that were flattened."""
    for base, codes in stored.ending("_qdata"):
        module, dot, attribute = base.rpartition("._")
        name = f"{module}.{attribute}"
        if dot and attribute:
            yield _group(stored, name, f"{base}_", codes, _described(stored.metadata.get(name)))


def _group(stored: Stored, name: str, base: str, codes: Tensor, entry: Mapping[str, Any]) -> Group:
    side: dict[str, tuple[str, ...]] = {}
    for end, kind in _SIDE.items():
        if base + end in stored.tensors:
            side[kind] = (*side.get(kind, ()), base + end)
    shape = _shape(codes, entry)
    fields = entry.get("_data", {})
    target = fields.get("target_dtype")
    words = target.get("_data") if isinstance(target, dict) else None
    bits = int(words[3:]) if isinstance(words, str) and words[3:] in ("1", "2", "3", "4", "5", "6", "7", "8") else None
    if bits is None and shape is not None and codes.numel:
        bits = 8 * codes.nbytes // max(1, prod(shape))
    return Group(name, "torchao", shape, bits, (codes.name,), side, unknown="" if shape is not None else _UNKNOWN)


def _described(entry: Any) -> Mapping[str, Any]:
    """What the header says of a tensor, if it says anything."""
    try:
        found = json.loads(entry) if isinstance(entry, str) else None
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) and isinstance(found.get("_data"), dict) else {}


def _shape(codes: Tensor, entry: Mapping[str, Any]) -> tuple[int, ...] | None:
    said = entry.get("_data", {}).get("shape")
    if said and is_shape(said):
        return tuple(said) if prod(said) <= 8 * codes.nbytes else None
    if codes.dtype == "int8" or codes.dtype.startswith("float"):
        return codes.shape
    if entry.get("_type") in _PAIRED and codes.dtype == "uint8" and codes.shape:
        return (*codes.shape[:-1], 2 * codes.shape[-1])
    return None
