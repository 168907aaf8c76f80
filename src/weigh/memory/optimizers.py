"""Optimizer state: the names, shapes and number formats of the tensors that an optimizer keeps for each weight.

To add an optimizer, write one function below `@optimizer`: the commands, their help and the estimates know it then.

Read in the code of PyTorch 2.13 and torchao 0.18, and tested against the state that they hold after a step and the
files that they write. Lion, which neither has, is written after its paper.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from weigh.errors import WeighError
from weigh.models.matrices import is_hidden_matrix
from weigh.tensors import Tensor

Shape: TypeAlias = tuple[int, ...]
State: TypeAlias = Iterator[tuple[str, Shape, str]]


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer, as the state that it keeps.

    Attributes:
        state: Gives the state of a weight in a number format: names, shapes and dtypes of its tensors.
        elementwise: Whether the state of each element depends on that element alone, so that ZeRO may cut anywhere.
    """

    state: Callable[[Tensor, str], State]
    elementwise: bool

    def __call__(self, tensor: Tensor, dtype: str) -> State:
        """The state of a weight."""
        return self.state(tensor, dtype)


OPTIMIZERS: dict[str, Optimizer] = {}
"""What each optimizer keeps of a weight, given the weight and the number format of the state: names, shapes, dtypes."""


def optimizer(*names: str, elementwise: bool = True) -> Callable[[Callable[[Tensor, str], State]], Optimizer]:
    """A decorator that adds an optimizer to `OPTIMIZERS`, under each of its names."""

    def add(state: Callable[[Tensor, str], State]) -> Optimizer:
        made = Optimizer(state, elementwise)
        OPTIMIZERS.update(dict.fromkeys(names, made))
        return made

    return add


_STEP = ("step", (), "float32")


@optimizer("sgd")
def _sgd(tensor: Tensor, dtype: str) -> State:
    return iter(())


@optimizer("momentum")
def _momentum(tensor: Tensor, dtype: str) -> State:
    yield "momentum_buffer", tensor.shape, dtype


@optimizer("adam", "adamw")
def _adam(tensor: Tensor, dtype: str) -> State:
    """Kingma & Ba 2015 (arXiv 1412.6980): the means of the gradient and of its square."""
    yield _STEP
    yield "exp_avg", tensor.shape, dtype
    yield "exp_avg_sq", tensor.shape, dtype


@optimizer("amsgrad")
def _amsgrad(tensor: Tensor, dtype: str) -> State:
    """Reddi et al. 2018 (arXiv 1904.09237): Adam, and the largest mean square so far."""
    yield from _adam(tensor, dtype)
    yield "max_exp_avg_sq", tensor.shape, dtype


@optimizer("rmsprop")
def _rmsprop(tensor: Tensor, dtype: str) -> State:
    """Tieleman & Hinton 2012, lecture 6.5: the mean of the square of the gradient."""
    yield _STEP
    yield "square_avg", tensor.shape, dtype


@optimizer("rmsprop-momentum")
def _rmsprop_momentum(tensor: Tensor, dtype: str) -> State:
    yield from _rmsprop(tensor, dtype)
    yield "momentum_buffer", tensor.shape, dtype


@optimizer("rmsprop-centered")
def _rmsprop_centered(tensor: Tensor, dtype: str) -> State:
    """Graves 2013 (arXiv 1308.0850): the mean of the gradient too, so that its variance is known."""
    yield from _rmsprop(tensor, dtype)
    yield "grad_avg", tensor.shape, dtype


@optimizer("adagrad")
def _adagrad(tensor: Tensor, dtype: str) -> State:
    """Duchi et al. 2011: the sum of the squares of all gradients."""
    yield _STEP
    yield "sum", tensor.shape, dtype


@optimizer("adafactor", elementwise=False)
def _adafactor(tensor: Tensor, dtype: str) -> State:
    """Shazeer & Stern 2018 (arXiv 1804.04235), without momentum: a row and a column in place of a matrix."""
    shape = tensor.shape
    yield _STEP
    if len(shape) > 1:
        yield "row_var", (*shape[:-1], 1), dtype
        yield "col_var", (*shape[:-2], 1, shape[-1]), dtype
    else:
        yield "variance", shape, dtype


@optimizer("lion")
def _lion(tensor: Tensor, dtype: str) -> State:
    """Chen et al. 2023 (arXiv 2302.06675): one mean of the gradient, whose sign is the update."""
    yield "exp_avg", tensor.shape, dtype


@optimizer("muon", elementwise=False)
def _muon(tensor: Tensor, dtype: str) -> State:
    """Jordan et al. 2024: momentum for the matrices inside the layers, AdamW for everything else."""
    yield from _momentum(tensor, dtype) if is_hidden_matrix(tensor) else _adam(tensor, dtype)


@optimizer("adamw-8bit", elementwise=False)
def _adamw_8bit(tensor: Tensor, dtype: str) -> State:
    """Dettmers et al. 2022 (arXiv 2110.02861): a byte for each value and a scale for each block of 256.

    Tensors of fewer than 4,096 elements, or not of whole blocks, stay as they are. Each quantized tensor is saved with
    its own table of the 256 values that a byte stands for.
    """
    numel = prod(tensor.shape)
    yield _STEP
    for name in ("exp_avg", "exp_avg_sq"):
        if numel < 4096 or numel % 256:
            yield name, tensor.shape, dtype
        else:
            yield f"{name}.codes", tensor.shape, "uint8"
            yield f"{name}.scale", (numel // 256,), "float32"
            yield f"{name}.qmap", (256,), "float32"


def optimizer_state(tensor: Tensor, optimizer: str, dtype: str = "float32") -> list[tuple[str, Shape, str]]:
    """Optimizer state of one weight: the names, shapes and dtypes of its tensors.

    Args:
        tensor: The weight, of which the shape counts, and for Muon the name.
        optimizer: A key of `weigh.OPTIMIZERS`.
        dtype: The number format of the weights that the optimizer updates, in which PyTorch makes the state.

    Raises:
        WeighError: If there is no such optimizer.
    """
    if optimizer not in OPTIMIZERS:
        raise WeighError(f"optimizer {optimizer!r:.40}", f"not known to weigh, which knows {', '.join(OPTIMIZERS)}")
    return list(OPTIMIZERS[optimizer](tensor, dtype))
