"""bitsandbytes: NF4 and FP4, two codes to a byte under one flat list, and int8 with a scale for each row.

Beside the codes `W` of 4 bits lie `W.absmax`, the scales of blocks, `W.quant_map`, the values of the codes, and
`W.quant_state.bitsandbytes__nf4`, a JSON object with the shape. Where the scales are quantized in turn (double
quantization), they are bytes beside `W.nested_absmax` and `W.nested_quant_map`. The codes may be kept as numbers of
another format (`bnb_4bit_quant_storage`): bytes count, not elements. Beside int8 codes lies `SCB`.
"""

import json
from collections.abc import Iterator
from math import prod

from weigh.files.quantized.stored import Stored
from weigh.groups import Group
from weigh.tensors import Tensor, is_shape


def find(stored: Stored) -> Iterator[Group]:
    """The matrices that bitsandbytes quantized."""
    for name, _ in stored.ending(".absmax"):
        if name in stored.tensors:
            yield _of_four_bits(stored, stored.tensors[name])
    for base, _ in stored.ending("SCB"):
        codes = stored.tensors.get(f"{base}weight")
        if codes is not None and codes.dtype == "int8":
            side = stored.side(base, scales=("SCB",), settings=("weight_format",))
            yield Group(codes.name, "bitsandbytes int8", codes.shape, 8, (codes.name,), side)


def _of_four_bits(stored: Stored, codes: Tensor) -> Group:
    states = {
        kind: f"{codes.name}.quant_state.bitsandbytes__{kind}"
        for kind in ("nf4", "fp4")
        if f"{codes.name}.quant_state.bitsandbytes__{kind}" in stored.tensors
    }
    said = str(stored.settings.get("bnb_4bit_quant_type", ""))
    kind = next(iter(states), said if said in ("nf4", "fp4") else "")
    side = stored.side(
        codes.name,
        scales=(".absmax", ".nested_absmax"),
        codebooks=(".quant_map", ".nested_quant_map"),
        settings=tuple(f".quant_state.bitsandbytes__{kind}" for kind in states),
    )
    shape = _shape(stored.read(states[kind])) if kind in states else None
    count = codes.nbytes * 2
    if shape is None or not count - 1 <= prod(shape) <= count:
        shape = None  # nothing that these bytes can hold
    return Group(codes.name, f"bitsandbytes {kind.upper() or '4 bits'}", shape, 4, (codes.name,), side, count)


def _shape(state: bytes | None) -> tuple[int, ...] | None:
    try:
        shape = json.loads(state or b"")["shape"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return tuple(shape) if is_shape(shape) else None
