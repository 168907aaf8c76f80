"""How large is the checkpoint that training with this optimizer at this precision writes?

A checkpoint repeats some of the model: the weights, a master copy of them where they are trained in 16 bits, and what
the optimizer remembers of each. Gradients are not in it: they are computed anew for each step.

Sources: the state of each optimizer as PyTorch 2.13 and torchao 0.18 keep it, read in their code and tested against
files that they write; mixed precision with a master copy as in Micikevicius et al. 2018 (arXiv 1710.03740).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from weigh.dtypes import bytes_of, dtype
from weigh.errors import WeighError
from weigh.tensors import Tensor

Shape: TypeAlias = tuple[int, ...]
State: TypeAlias = Iterator[tuple[str, Shape, str]]

_STEP = ("step", (), "float32")


def _sgd(shape: Shape, precision: str) -> State:
    return iter(())


def _momentum(shape: Shape, precision: str) -> State:
    yield "momentum_buffer", shape, precision


def _adam(shape: Shape, precision: str) -> State:
    """Kingma & Ba 2015 (arXiv 1412.6980): the means of the gradient and of its square."""
    yield _STEP
    yield "exp_avg", shape, precision
    yield "exp_avg_sq", shape, precision


def _adafactor(shape: Shape, precision: str) -> State:
    """Shazeer & Stern 2018 (arXiv 1804.04235), without momentum: a row and a column in place of a matrix."""
    yield _STEP
    if len(shape) > 1:
        yield "row_var", (*shape[:-1], 1), precision
        yield "col_var", (*shape[:-2], 1, shape[-1]), precision
    else:
        yield "variance", shape, precision


def _adamw_8bit(shape: Shape, precision: str) -> State:
    """Dettmers et al. 2022 (arXiv 2110.02861): a byte for each value and a scale for each block of 256.

    Tensors of fewer than 4,096 elements, or not of whole blocks, stay as they are. Each quantized tensor is saved with
    its own table of the 256 values that a byte stands for.
    """
    yield _STEP
    for name in ("exp_avg", "exp_avg_sq"):
        if prod(shape) < 4096 or prod(shape) % 256:
            yield name, shape, precision
        else:
            yield f"{name}.codes", shape, "uint8"
            yield f"{name}.scale", (prod(shape) // 256,), "float32"
            yield f"{name}.qmap", (256,), "float32"


OPTIMIZERS: dict[str, Callable[[Shape, str], State]] = {
    "sgd": _sgd,
    "momentum": _momentum,
    "adam": _adam,
    "adamw": _adam,
    "adafactor": _adafactor,
    "adamw-8bit": _adamw_8bit,
}
"""What each optimizer keeps of a tensor, given its shape and the number format of the state: names, shapes, dtypes."""


@dataclass(frozen=True, slots=True)
class Precision:
    """Which number formats a training run keeps.

    Attributes:
        weights: The weights that the forward pass uses.
        state: The optimizer state, and the master copy where there is one.
        master: Whether a copy of the weights in the `state` format is kept, which the optimizer updates.
    """

    weights: str
    state: str
    master: bool = False


PRECISIONS: dict[str, Precision] = {
    "fp32": Precision("float32", "float32"),
    "bf16": Precision("bfloat16", "bfloat16"),
    "bf16-master": Precision("bfloat16", "float32", master=True),
}
"""Precision policies: all in 32 bits (automatic mixed precision too, whose weights and state stay float32), all in
bfloat16, and bfloat16 weights with everything that the optimizer touches in float32."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The bytes of the tensors of a checkpoint. All are exact; a file adds a header of a few kilobytes."""

    weight_bytes: int
    master_weight_bytes: int
    optimizer_state_bytes: int

    @property
    def total_bytes(self) -> int:
        """Everything together."""
        return self.weight_bytes + self.master_weight_bytes + self.optimizer_state_bytes


def optimizer_state(shape: Shape, optimizer: str, precision: str = "float32") -> list[tuple[str, Shape, str]]:
    """The tensors that an optimizer remembers of one weight: their names, shapes and dtypes.

    Raises:
        WeighError: If there is no such optimizer.
    """
    if optimizer not in OPTIMIZERS:
        raise WeighError(f"optimizer {optimizer!r}", f"not known to weigh, which knows {', '.join(OPTIMIZERS)}")
    return list(OPTIMIZERS[optimizer](shape, precision))


def checkpoint(tensors: Iterable[Tensor], optimizer: str, precision: str = "fp32") -> Checkpoint:
    """The size of a training checkpoint of these weights, to the byte.

    Args:
        tensors: The distinct weights, such as `weigh.params(config).distinct`. Their own dtype does not matter.
        optimizer: A key of `weigh.OPTIMIZERS`.
        precision: A key of `weigh.PRECISIONS`.

    Raises:
        WeighError: If there is no such optimizer or precision policy.
    """
    if precision not in PRECISIONS:
        raise WeighError(f"precision {precision!r}", f"not known to weigh, which knows {', '.join(PRECISIONS)}")
    policy = PRECISIONS[precision]
    shapes = [tensor.shape for tensor in tensors]
    state = [entry for shape in shapes for entry in optimizer_state(shape, optimizer, policy.state)]
    return Checkpoint(
        weight_bytes=sum(bytes_of(prod(shape), dtype(policy.weights)) for shape in shapes),
        master_weight_bytes=sum(bytes_of(prod(shape), dtype(policy.state)) for shape in shapes if policy.master),
        optimizer_state_bytes=sum(bytes_of(prod(shape), dtype(kind)) for _, shape, kind in state),
    )
