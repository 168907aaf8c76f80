"""A code for each weight beside its scales: FP8 in blocks or by tensor or row, int8, EETQ; and pairs of 4 bits.

`weight` lies beside `weight_scale` (compressed-tensors, modelopt, FBGEMM, Quark), `weight_scale_inv` (DeepSeek, Qwen,
and transformers, which writes the same behind the names of joined experts), `scale` (DeepSeek's own code) or
`weight_scales` (EETQ, whose matrices are inputs × outputs). A byte of codes holds two floats of 4 bits where a scale
stands for 16 bytes along the inputs (MXFP4, also in int8) or 8 (NVFP4, of modelopt), and four ternary ones in BitNet.
"""

from collections.abc import Iterator

from weigh.files.quantized.compressed import SIDE
from weigh.files.quantized.stored import CACHE, Stored, on_right
from weigh.groups import Group
from weigh.tensors import Tensor

_SCHEMES = {
    "compressed-tensors": "compressed-tensors", "modelopt": "modelopt", "fp8": "FP8", "fbgemm_fp8": "FBGEMM FP8",
    "eetq": "EETQ", "quark": "Quark", "bitnet": "BitNet", "gemma": "Gemma",
}  # fmt: skip
_FLOATS = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float4_e2m1fn")
_UNPACKED = "as bytes do not say how many codes they hold; give the directory with its config.json"


def find(stored: Stored) -> Iterator[Group]:
    """The matrices whose codes have scales beside them, and the scales of a cache, which belong to none."""
    found = False
    for codes in stored.tensors.values():
        if codes.dtype in (*_FLOATS, "int8", "uint8") and (scales := _scales(stored, codes)) is not None:
            found = True
            yield _group(stored, codes, scales)
    if found or stored.settings:
        for name, scale in stored.tensors.items():
            if name.endswith(CACHE) and scale.dtype != "int32" and scale.numel <= 1 << 16 and len(scale.shape) < 4:
                yield Group(name, _scheme(stored, "scales of the cache"), None, None, (), {"scales": (name,)}, 0)


def _scales(stored: Stored, codes: Tensor) -> Tensor | None:
    """The scales of codes: floats, or bytes that hold exponents."""
    names = [f"{codes.name}{end}" for end in ("_scale", "_scale_inv", "_scales")]
    if codes.name.endswith(".weight"):
        names.append(f"{codes.name.removesuffix('weight')}scale")
    for name in names:
        scales = stored.tensors.get(name)
        if scales is not None and scales.dtype.startswith(("float", "bfloat", "uint8")):
            return scales
    return None


def _group(stored: Stored, codes: Tensor, scales: Tensor) -> Group:
    base = codes.name.removesuffix("weight")
    around = {kind: [*ends] for kind, ends in SIDE.items()}
    if not codes.name.endswith("weight"):
        around = {"scales": ["_activation_scale", "_scale_2", "_input_scale"]}
    side = stored.side(base, **{kind: tuple(ends) for kind, ends in around.items()})
    side["scales"] = tuple(dict.fromkeys((scales.name, *side.get("scales", ()))))
    shape, bits, kind, unknown = codes.shape, 8, "int8", ""
    if codes.dtype.startswith("float"):
        bits, kind = int(codes.dtype[5]), f"FP{codes.dtype[5]}"
    elif scales.name.endswith("weight_scales") and len(shape) == 2 and scales.shape == shape[1:]:
        shape, kind = shape[::-1], "EETQ"
    elif (each := _bytes_each(codes, scales)) in (8, 16) and scales.dtype.startswith(("float8", "uint8")):
        shape, bits, kind = on_right(shape, shape[-1] * 2), 4, "NVFP4" if each == 8 else "MXFP4"
    elif stored.settings.get("quant_method") == "bitnet" and codes.dtype == "uint8" and shape:
        shape, bits, kind = (shape[0] * 4, *shape[1:]), 2, "BitNet"
    elif codes.dtype == "uint8":
        return _of_bytes(stored, codes, side)
    return Group(codes.name, _scheme(stored, kind), shape, bits, (codes.name,), side, None, unknown)


def _bytes_each(codes: Tensor, scales: Tensor) -> int:
    """How many bytes along the inputs a scale stands for; 0 if it stands for more than some of a row."""
    if not codes.shape or len(codes.shape) != len(scales.shape) or codes.shape[:-1] != scales.shape[:-1]:
        return 0
    return codes.shape[-1] // scales.shape[-1] if scales.shape[-1] and not codes.shape[-1] % scales.shape[-1] else 0


def _of_bytes(stored: Stored, codes: Tensor, side: dict[str, tuple[str, ...]]) -> Group:
    """Bytes with a scale for a row or more, whose codes may have 2, 4 or 8 bits: as the settings say."""
    settings = stored.settings
    bits = settings.get("num_bits", settings.get("bits", settings.get("w_bit")))
    if bits not in (2, 4, 8) or type(bits) is not int or settings.get("module_quant_configs"):
        return Group(codes.name, _scheme(stored, "bytes"), None, None, (codes.name,), side, None, _UNPACKED)
    shape = on_right(codes.shape, codes.shape[-1] * 8 // bits) if codes.shape else ()
    return Group(codes.name, _scheme(stored, f"{bits} bit"), shape, bits, (codes.name,), side)


def _scheme(stored: Stored, kind: str) -> str:
    known = _SCHEMES.get(str(stored.settings.get("quant_method", stored.settings.get("quant_library", ""))))
    return kind if known is None or kind.startswith(known) or known.endswith(kind) else f"{known} {kind}"
