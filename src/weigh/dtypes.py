"""The number formats of model files, under one name each: PyTorch's.

`float16` and `bfloat16` both take 16 bits; a file says which of the two it holds by a code (`F16`, `BF16` in
safetensors) or by a storage class (`HalfStorage`, `BFloat16Storage` in a PyTorch archive).

The block formats are those of ggml, in which GGUF files are written: neighbours in a row share their scales.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from weigh.errors import UnknownDtype


@dataclass(frozen=True, slots=True)
class DType:
    """A number format: the bits of an element, or of a block of them.

    Attributes:
        name: PyTorch's name, or the one of the paper or the program that defined it where PyTorch has none.
        bits: Bits per element, in a block format with its share of the scales.
        kind: What it counts. Floating and complex elements of a model are its parameters; integers and booleans are
            positions, masks, counters, or weights packed by a quantizer.
        safetensors: Its code in a safetensors header, or `None`.
        storage: Its storage class in a PyTorch archive, or `None` where PyTorch writes an untyped storage.
        block: How many elements are stored together; a row is a multiple of it.
    """

    name: str
    bits: int | Fraction
    kind: Literal["float", "complex", "int", "bool"]
    safetensors: str | None = None
    storage: str | None = None
    block: int = 1


def _block(name: str, block: int, nbytes: int) -> DType:
    """A format of ggml, by the elements and the bytes of a block (`GGML_QUANT_SIZES` of the package gguf)."""
    return DType(name, Fraction(8 * nbytes, block), "float", block=block)


DTYPES: dict[str, DType] = {
    dtype.name: dtype
    for dtype in (
        DType("float128", 128, "float"),
        DType("float64", 64, "float", "F64", "DoubleStorage"),
        DType("float32", 32, "float", "F32", "FloatStorage"),
        DType("bfloat16", 16, "float", "BF16", "BFloat16Storage"),
        DType("float16", 16, "float", "F16", "HalfStorage"),
        DType("float8_e4m3fn", 8, "float", "F8_E4M3"),
        DType("float8_e5m2", 8, "float", "F8_E5M2"),
        DType("float8_e4m3fnuz", 8, "float", "F8_E4M3FNUZ"),
        DType("float8_e5m2fnuz", 8, "float", "F8_E5M2FNUZ"),
        DType("float8_e8m0fnu", 8, "float", "F8_E8M0"),
        DType("float6_e2m3fn", 6, "float", "F6_E2M3"),
        DType("float6_e3m2fn", 6, "float", "F6_E3M2"),
        DType("float4_e2m1fn", 4, "float", "F4"),
        DType("complex256", 256, "complex"),
        DType("complex128", 128, "complex", None, "ComplexDoubleStorage"),
        DType("complex64", 64, "complex", "C64", "ComplexFloatStorage"),
        DType("complex32", 32, "complex"),
        DType("int64", 64, "int", "I64", "LongStorage"),
        DType("int32", 32, "int", "I32", "IntStorage"),
        DType("int16", 16, "int", "I16", "ShortStorage"),
        DType("int8", 8, "int", "I8", "CharStorage"),
        DType("uint64", 64, "int", "U64"),
        DType("uint32", 32, "int", "U32"),
        DType("uint16", 16, "int", "U16"),
        DType("uint8", 8, "int", "U8", "ByteStorage"),
        DType("int4", 4, "int"),
        DType("uint4", 4, "int"),
        DType("int2", 2, "int"),
        DType("uint2", 2, "int"),
        DType("qint32", 32, "int", None, "QInt32Storage"),
        DType("qint8", 8, "int", None, "QInt8Storage"),
        DType("quint8", 8, "int", None, "QUInt8Storage"),
        DType("quint4x2", 4, "int", None, "QUInt4x2Storage"),
        DType("quint2x4", 2, "int", None, "QUInt2x4Storage"),
        DType("bool", 8, "bool", "BOOL", "BoolStorage"),
        _block("q1_0", 128, 18),
        _block("q4_0", 32, 18),
        _block("q4_1", 32, 20),
        _block("q5_0", 32, 22),
        _block("q5_1", 32, 24),
        _block("q8_0", 32, 34),
        _block("q8_1", 32, 40),
        _block("q2_k", 256, 84),
        _block("q3_k", 256, 110),
        _block("q4_k", 256, 144),
        _block("q5_k", 256, 176),
        _block("q6_k", 256, 210),
        _block("q8_k", 256, 292),
        _block("iq1_s", 256, 50),
        _block("iq1_m", 256, 56),
        _block("iq2_xxs", 256, 66),
        _block("iq2_xs", 256, 74),
        _block("iq2_s", 256, 82),
        _block("iq3_xxs", 256, 98),
        _block("iq3_s", 256, 110),
        _block("iq4_nl", 32, 18),
        _block("iq4_xs", 256, 136),
        _block("tq1_0", 256, 54),
        _block("tq2_0", 256, 66),
        _block("mxfp4", 32, 17),
        _block("nvfp4", 64, 36),
    )
}
"""Every number format that `weigh` knows, by name."""

SAFETENSORS = {dtype.safetensors: dtype.name for dtype in DTYPES.values() if dtype.safetensors}
STORAGES = {dtype.storage: dtype.name for dtype in DTYPES.values() if dtype.storage}
ALIASES = {
    "fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "half": "float16", "float": "float32",
    "fp8": "float8_e4m3fn", "float8": "float8_e4m3fn",
}  # fmt: skip
"""Short names. Without its exponent's width an 8-bit float is the one in which weights and caches are kept."""


def dtype_name(name: str) -> str:
    """The name of a number format as `weigh` writes it: in lower case, without `torch.`, and spelled out.

    Examples:
        >>> dtype_name("torch.BFloat16"), dtype_name("bf16"), dtype_name("q4_K_M")
        ('bfloat16', 'bfloat16', 'q4_k_m')
    """
    known = name.lower().removeprefix("torch.")
    return ALIASES.get(known, known)


def dtype(name: str) -> DType:
    """Look up a number format by PyTorch's name (with or without `torch.`) or a common short one (`fp32`, `bf16`).

    A block format is none that every tensor can have, and is not found.

    Raises:
        UnknownDtype: If no format has that name. The message lists those there are.
    """
    known = dtype_name(name)
    if known not in DTYPES or DTYPES[known].block > 1:
        plain = [dtype.name for dtype in DTYPES.values() if dtype.block == 1]
        raise UnknownDtype(name, f"not a number format that weigh knows; it knows {', '.join(plain)}")
    return DTYPES[known]


def bytes_of(numel: int, dtype: DType) -> int:
    """The bytes that `numel` elements take, the last byte filled up where elements are narrower than a byte."""
    return (numel * dtype.bits + 7) // 8
