"""MLX: `weight` in words of 32 bits beside `scales` and, where codes are no floats, `biases`.

A matrix is (outputs, inputs · bits / 32) words and (outputs, inputs / group) scales. The file alone gives the product
of bits and group: 4 bits in groups of 64 look as 8 bits in groups of 32. config.json decides, under `quantization`, for
all layers and for single ones. Floats (mxfp4, nvfp4, mxfp8) have a byte for a scale, and these decide: no two of their
products are equal. transformers' Metal quantization writes `qbiases`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from weigh.files.quantized.stored import Stored, on_right
from weigh.groups import Group
from weigh.tensors import Tensor

_FLOATS = {32 * 4: (4, "mxfp4"), 16 * 4: (4, "nvfp4"), 32 * 8: (8, "mxfp8")}
_UNKNOWN = "the bits are in config.json alone, which is not there or does not fit; give the directory of the model"


def find(stored: Stored) -> Iterator[Group]:
    """The matrices that MLX quantized."""
    for base, words in stored.ending("weight"):
        scales = stored.tensors.get(f"{base}scales")
        if words.dtype != "uint32" or scales is None or not words.shape or not scales.shape:
            continue
        if words.shape[:-1] != scales.shape[:-1]:
            continue
        side = stored.side(base, scales=("scales", "global_scale"), zero_points=("biases", "qbiases"))
        scheme, bits = _bits(stored.settings, base.removesuffix("."), words, scales)
        shape = None if bits is None else on_right(words.shape, words.shape[-1] * 32 // bits)
        yield Group(words.name, scheme, shape, bits, (words.name,), side, None, "" if bits else _UNKNOWN)


def _bits(settings: Mapping[str, Any], path: str, words: Tensor, scales: Tensor) -> tuple[str, int | None]:
    """The scheme and the bits of a layer: those that fit its words and scales."""
    product = words.shape[-1] * 32 // max(1, scales.shape[-1])
    if scales.dtype == "uint8" and product in _FLOATS:
        return f"MLX {_FLOATS[product][1]}", _FLOATS[product][0]
    own = settings.get(path)
    said = {**settings, **own} if isinstance(own, dict) else settings
    bits, group = said.get("bits"), said.get("group_size")
    fits = type(bits) is int and type(group) is int and 0 < bits <= 8 and bits * group == product
    return "MLX", bits if fits else None
