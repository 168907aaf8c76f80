"""The number formats of model files, under one name each: PyTorch's.

`float16` and `bfloat16` both take 16 bits; a file says which of the two it holds by a code (`F16`, `BF16` in
safetensors) or by a storage class (`HalfStorage`, `BFloat16Storage` in a PyTorch archive).
"""

from dataclasses import dataclass
from typing import Literal

from weigh.errors import UnknownDtype


@dataclass(frozen=True, slots=True)
class DType:
    """A number format.

    Attributes:
        name: PyTorch's name, or the one of the paper that defined it where PyTorch has none.
        bits: Bits per element.
        kind: What it counts. Floating and complex elements of a model are its parameters; integers and booleans are
            positions, masks, counters, or weights packed by a quantizer.
        safetensors: Its code in a safetensors header, or `None`.
        storage: Its storage class in a PyTorch archive, or `None` where PyTorch writes an untyped storage.
    """

    name: str
    bits: int
    kind: Literal["float", "complex", "int", "bool"]
    safetensors: str | None = None
    storage: str | None = None


DTYPES: dict[str, DType] = {
    dtype.name: dtype
    for dtype in (
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
        DType("qint32", 32, "int", None, "QInt32Storage"),
        DType("qint8", 8, "int", None, "QInt8Storage"),
        DType("quint8", 8, "int", None, "QUInt8Storage"),
        DType("bool", 8, "bool", "BOOL", "BoolStorage"),
    )
}
"""Every number format that `weigh` knows, by name."""

SAFETENSORS = {dtype.safetensors: dtype.name for dtype in DTYPES.values() if dtype.safetensors}
STORAGES = {dtype.storage: dtype.name for dtype in DTYPES.values() if dtype.storage}
ALIASES = {
    "fp64": "float64", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "half": "float16", "float": "float32",
}  # fmt: skip


def dtype(name: str) -> DType:
    """Look up a number format by PyTorch's name (with or without `torch.`) or a common short one (`fp32`, `bf16`).

    Raises:
        UnknownDtype: If no format has that name. The message lists those there are.
    """
    known = name.lower().removeprefix("torch.")
    known = ALIASES.get(known, known)
    if known not in DTYPES:
        raise UnknownDtype(name, f"not a number format that weigh knows; it knows {', '.join(DTYPES)}")
    return DTYPES[known]


def bytes_of(numel: int, dtype: DType) -> int:
    """The bytes that `numel` elements take, the last byte filled up where elements are narrower than a byte."""
    return (numel * dtype.bits + 7) // 8
