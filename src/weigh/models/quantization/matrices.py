"""The matrices of a model that a quantizer may convert, and those that it leaves."""

from collections.abc import Iterator
from dataclasses import dataclass

from weigh.tensors import Tensor

_TABLES = ("embedding", "segment table", "position table")
_NEVER = ("norm", "convolution", "sink", "state", "scale", "token", "bias", "expert bias", "lm head bias")


@dataclass(frozen=True, slots=True)
class Matrix:
    """One matrix, or several equal ones of the experts of a layer.

    Attributes:
        module: The name of the module that holds it.
        outputs: Its rows in (outputs, inputs).
        inputs: Its columns.
        count: How many such matrices there are.
        kind: `linear`, `conv1d` (stored transposed), `expert`, `table`, or `router`, which is no linear layer.
        in_layer: Whether it belongs to a layer, and not to a head or a table beside the layers.
    """

    module: str
    outputs: int
    inputs: int
    count: int
    kind: str
    in_layer: bool


def matrices(tensor: Tensor) -> Iterator[Matrix]:
    """The matrices that a tensor is, if it is any: one, or those of stacked experts, gate and up apart."""
    in_layer = tensor.layer is not None
    if len(tensor.shape) == 3 and tensor.role.startswith("expert "):
        experts, rows, columns = tensor.shape
        outputs, inputs = (columns, rows) if tensor.transposed else (rows, columns)
        fused = 2 if tensor.role.endswith("gate-up") and outputs % 2 == 0 else 1
        yield Matrix(tensor.name, outputs // fused, inputs, experts * fused, "expert", in_layer)
    elif len(tensor.shape) == 2 and tensor.name.endswith(".weight") and tensor.role not in _NEVER:
        module = tensor.name.removesuffix(".weight")
        outputs, inputs = reversed(tensor.shape) if tensor.transposed else tensor.shape
        kind = "conv1d" if tensor.transposed else "table" if tensor.role in _TABLES else "linear"
        if tensor.role == "router" and not module.endswith("shared_expert_gate"):
            kind = "router"
        yield Matrix(module, outputs, inputs, 1, kind, in_layer)
