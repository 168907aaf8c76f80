"""HQQ in safetensors: codes `W_q`, packed along the first dimension, beside `scale`, `zero` and settings as tensors.

Settings are tensors of one number or of the characters of a text: `nbits`, `shape`, `axis`, `group_size`, `packing` and
others. Codes of 3 bits lie in tens in words of 32 bits, with padding, so that the shape alone says how many there are.
"""

from collections.abc import Iterator
from math import prod

from weigh.files.quantized.stored import Stored
from weigh.groups import Group
from weigh.tensors import Tensor

_SETTINGS = (
    "nbits", "shape", "axis", "group_size", "packing", "unpack_view_dtype", "view_as_float", "compute_dtype",
    "quant_scale", "quant_zero", "channel_wise", "optimize", "round_zero", "offload_meta", "encoded_state_dict",
    "stores_quant_config",
)  # fmt: skip


def find(stored: Stored) -> Iterator[Group]:
    """The matrices that HQQ quantized."""
    for base, codes in stored.ending("W_q"):
        if f"{base}scale" in stored.tensors:
            side = stored.side(base, scales=("scale",), zero_points=("zero",), settings=_SETTINGS)
            shape, bits = stored.integers(f"{base}shape"), _bits(stored, base)
            shape = shape if shape and _fits(shape, codes) else None
            count = _count(codes, bits)
            unknown = "" if count else "neither its shape nor the number of bits is in the file"
            yield Group(f"{base}weight", "HQQ", shape, bits, (codes.name,), side, count, unknown)


def _fits(shape: tuple[int, ...], codes: Tensor) -> bool:
    """Whether so many codes are in so many bytes, of 1 to 8 bits each."""
    return all(size >= 0 for size in shape) and codes.nbytes <= prod(shape) <= 8 * codes.nbytes


def _bits(stored: Stored, base: str) -> int | None:
    said = stored.integers(f"{base}nbits")
    config = stored.settings.get("quant_config", stored.settings)
    weights = config.get("weight_quant_params") if isinstance(config, dict) else None
    bits = said[0] if said and len(said) == 1 else weights.get("nbits") if isinstance(weights, dict) else None
    return bits if type(bits) is int and 0 < bits <= 8 else None


def _count(codes: Tensor, bits: int | None) -> int | None:
    """The codes by their bytes: of 3 bits there are ten to a word, of 5 and 6 one to a byte."""
    if bits is None:
        return None
    return codes.nbytes // 4 * 10 if bits == 3 else codes.nbytes * {4: 2, 2: 4, 1: 8}.get(bits, 1)
