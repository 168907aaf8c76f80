"""compressed-tensors: packed codes, `weight_packed`, beside `weight_scale`.

Integers of 1 to 8 bits lie in words of 32 bits along the inputs, beside `weight_shape` and, where they are not
symmetric, `weight_zero_point`, packed along the outputs. Floats of 4 and 6 bits (NVFP4, MXFP4, MXFP6) lie in bytes, and
a scale stands for 16 or 32 of them. The codes of 8 bits that it leaves in `weight` are those of `scaled`.
"""

from collections.abc import Iterator

from weigh.files.quantized.stored import Stored, on_right
from weigh.groups import Group
from weigh.tensors import Tensor

_BLOCKS = {"MXFP": 32, "NVFP": 16}  # codes to a scale
SIDE = {
    "scales": (
        "weight_scale", "weight_global_scale", "weight_scale_2", "input_scale", "input_global_scale", "output_scale",
        "input_scale_ub", "activation_scale", "input_activation_scale", "output_activation_scale", "pre_quant_scale",
    ),
    "zero_points": ("weight_zero_point", "input_zero_point", "output_zero_point"),
    "order": ("weight_g_idx",),
    "settings": ("weight_shape",),
}  # fmt: skip
"""What lies beside the codes of a layer, by kind."""


def find(stored: Stored) -> Iterator[Group]:
    """The matrices that are packed."""
    for base, packed in stored.ending("weight_packed"):
        scales = stored.tensors.get(f"{base}weight_scale")
        if scales is None or not packed.shape:
            continue
        if packed.dtype == "int32":
            yield _of_integers(stored, base, packed)
        elif packed.dtype == "uint8" and scales.shape:
            yield _of_floats(stored, base, packed, scales)


def _of_integers(stored: Stored, base: str, words: Tensor) -> Group:
    shape, bits = stored.integers(f"{base}weight_shape"), _bits(stored)
    name, side = f"{base}weight", stored.side(base, **SIDE)
    if shape is None or len(shape) != 2 or not _fits(words, *shape):
        # No shape that fits, or none that is read, of a remote file: whole words, which is exact for 32 inputs each.
        count = None if bits is None else words.numel * 32 // bits
        unknown = "" if bits else "its shape is not in the file and no config.json says the bits"
        return Group(name, "compressed-tensors", None, bits, (words.name,), side, count, unknown)
    experts = words.shape[:-2]
    return Group(name, "compressed-tensors", (*experts, *shape), bits or _from_shape(words, shape[1]),
                 (words.name,), side)  # fmt: skip


def _fits(words: Tensor, outputs: int, inputs: int) -> bool:
    """Whether so many codes of 1 to 8 bits are in these words."""
    return words.shape[-2:-1] == (outputs,) and words.shape[-1] <= inputs <= words.shape[-1] * 32


def _from_shape(words: Tensor, inputs: int) -> int | None:
    """The bits that explain so many words for so many inputs."""
    fitting = [bits for bits in (8, 4, 2, 1) if -(-inputs * bits // 32) == words.shape[-1]]
    return fitting[0] if fitting else None


def _bits(stored: Stored) -> int | None:
    """The bits of integer weights, where all groups of layers have the same."""
    groups = stored.settings.get("config_groups")
    found = {
        group["weights"].get("num_bits")
        for group in (groups.values() if isinstance(groups, dict) else ())
        if isinstance(group, dict) and isinstance(group.get("weights"), dict)
    }
    only = found.pop() if len(found) == 1 else None
    return only if type(only) is int and 0 < only <= 8 else None


def _of_floats(stored: Stored, base: str, packed: Tensor, scales: Tensor) -> Group:
    """Floats in bytes: the numbers follow from the scales, of which each stands for a block of known size."""
    is_nv = scales.dtype == "float8_e4m3fn"
    inputs = scales.shape[-1] * _BLOCKS["NVFP" if is_nv else "MXFP"]
    bits = packed.shape[-1] * 8 // max(1, inputs)
    name, side = f"{base}weight", stored.side(base, **SIDE)
    if bits not in (4, 6) or packed.shape[-1] * 8 != inputs * bits:
        inputs, bits = packed.shape[-1] * 2, 4  # blocks of another size: floats of 4 bits are what a byte holds
    scheme = f"compressed-tensors {'NVFP4' if is_nv else f'MXFP{bits}'}"
    return Group(name, scheme, on_right(packed.shape, inputs), bits, (packed.name,), side)
