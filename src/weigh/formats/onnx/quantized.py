"""Quantized matrices in an ONNX graph: which initializers its operators take as codes, as scales and as zero points.

The operators are ONNX's (https://onnx.ai/onnx/operators/) and those of ONNX Runtime's domain com.microsoft
(https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md). Most keep a matrix in its shape;
MatMulNBits and its like keep blocks of packed codes, and say the shape in their attributes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from weigh.dtypes import DTYPES
from weigh.groups import Group
from weigh.tensors import Tensor

_Places = tuple[tuple[int | None, int | None, int | None], ...]

_OPERATORS: dict[str, _Places] = {
    "DequantizeLinear": ((0, 1, 2),),
    "QuantizeLinear": ((None, 1, 2),),
    "QLinearMatMul": ((0, 1, 2), (3, 4, 5), (None, 6, 7)),
    "QLinearConv": ((0, 1, 2), (3, 4, 5), (None, 6, 7), (8, None, None)),
    "MatMulInteger": ((0, None, 2), (1, None, 3)),
    "ConvInteger": ((0, None, 2), (1, None, 3)),
    "MatMulIntegerToFloat": ((0, 2, 4), (1, 3, 5)),
    "DynamicQuantizeMatMul": ((1, 2, 3),),
    "DynamicQuantizeLSTM": ((1, 8, 9), (2, 10, 11)),
    "QGemm": ((0, 1, 2), (3, 4, 5), (6, None, None), (None, 7, 8)),
    "QAttention": ((0, 3, 6), (1, 4, 7)),
    "QEmbedLayerNormalization": ((2, 8, 13), (3, 9, 14), (4, 10, 15), (5, 11, 16), (6, 12, 17)),
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), ((0, 1, 2), (3, 4, 5), (None, 6, 7))),
    **dict.fromkeys((
        "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax",
        "QLinearReduceMean",
    ), ((0, 1, 2), (None, 3, 4))),
    "QLinearConcat": ((None, 0, 1), *((at, at + 1, at + 2) for at in range(2, 50, 3))),
    "MatMulNBits": ((1, 2, 3),),
    "MatMulBnb4": ((1, 2, None),),
    "GatherBlockQuantized": ((0, 2, 3),),
    "QMoE": ((2, 3, 11), (5, 6, 12), (8, 9, 13)),
}  # fmt: skip
"""Of each operator, which of its inputs are codes, their scales and their zero points; `None` where one has none."""

_PACKED = {"MatMulNBits": "bits", "MatMulBnb4": "", "GatherBlockQuantized": "bits", "QMoE": "expert_weight_bits"}
"""The operators whose codes may lie packed in bytes, and the attribute that says the bits of one; usually 4."""

_DOMAINS = ("", "ai.onnx", "com.microsoft")
_ADDED = re.compile(r"_(quantized|(DQ_)?Q\d)$")
"""What ONNX Runtime's quantizers add to the name of a matrix."""


@dataclass(frozen=True)
class Operator:
    """A node that takes quantized matrices, or that quantizes.

    Attributes:
        kind: Its type.
        prefix: What stands before the names of its graph.
        inputs: The names of its inputs; empty where one is left out.
        numbers: Its attributes that are whole numbers.
    """

    kind: str
    prefix: str
    inputs: tuple[str, ...]
    numbers: Mapping[str, int]


def takes(domain: str, kind: str) -> bool:
    """Whether operators of this type take quantized matrices, or quantize."""
    return kind in _OPERATORS and domain in _DOMAINS


def groups(tensors: Mapping[str, Tensor], operators: Iterable[Operator]) -> Iterator[Group]:
    """The quantized matrices of a graph, and last, without one, the scales of activations.

    Args:
        tensors: The initializers and constants by name.
        operators: Those for which `takes` is true.
    """
    codes: dict[str, Operator | None] = {}
    side: dict[str, dict[str, dict[str, None]]] = {}
    for operator in operators:
        for data, scale, zero in _OPERATORS[operator.kind]:
            name = _find(tensors, operator, data)
            if name is not None and not _may_be_codes(tensors[name]):
                name = None
            if name is not None:
                codes.setdefault(name, operator)
            for kind, at in (("scales", scale), ("zero points", zero)):
                if (found := _find(tensors, operator, at)) is not None:
                    side.setdefault(name or "", {}).setdefault(kind, {})[found] = None
    for name in tensors:
        # The scales of integer products go into a multiplication of their own, and a table is only looked up.
        base = name.removesuffix("_quantized")
        if base != name and _may_be_codes(tensors[name]):
            for kind, end in (("scales", "_scale"), ("zero points", "_zero_point")):
                if base + end in tensors:
                    codes.setdefault(name, None)
                    side.setdefault(name, {}).setdefault(kind, {})[base + end] = None
    for name, user in codes.items():
        yield _group(tensors[name], user, {kind: tuple(names) for kind, names in side.get(name, {}).items()})
    if "" in side:
        yield Group("", "ONNX", None, None, (), {kind: tuple(names) for kind, names in side[""].items()}, count=0)


def _find(tensors: Mapping[str, Tensor], operator: Operator, at: int | None) -> str | None:
    """The initializer that an input is, of the operator's own graph or of the outermost."""
    if at is None or at >= len(operator.inputs) or not operator.inputs[at]:
        return None
    return next(
        (name for name in (operator.prefix + operator.inputs[at], operator.inputs[at]) if name in tensors), None
    )


def _may_be_codes(tensor: Tensor) -> bool:
    return DTYPES[tensor.dtype].bits <= 8 or tensor.dtype in ("int16", "uint16", "int32")


def _group(codes: Tensor, user: Operator | None, side: Mapping[str, tuple[str, ...]]) -> Group:
    name = _ADDED.sub("", codes.name)
    bits, shape = int(DTYPES[codes.dtype].bits), codes.shape
    if user is not None and user.kind in _PACKED and codes.dtype == "uint8" and shape:
        bits = user.numbers.get(_PACKED[user.kind], 4)
        if bits not in (1, 2, 4, 8):
            return Group(name, "ONNX", None, None, (codes.name,), side, unknown=f"codes of {bits} bits are unknown")
        if user.kind in ("MatMulNBits", "MatMulBnb4"):
            shape = user.numbers.get("K", 0), user.numbers.get("N", 0)
            if min(shape) < 1 or shape[0] * shape[1] * bits > 8 * codes.nbytes:
                why = "their attributes K and N are none for so many bytes; export the model again"
                return Group(name, "ONNX", None, bits, (codes.name,), side, unknown=why)
        else:
            shape = (*shape[:-1], shape[-1] * 8 // bits)
    return Group(name, "ONNX", shape, bits, (codes.name,), side)
