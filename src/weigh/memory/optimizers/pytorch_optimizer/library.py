"""The library itself, to which the other modules add, and what most of its optimizers keep."""

from weigh.memory.optimizers.entries import Library, State
from weigh.tensors import Tensor

LIBRARY = Library("pytorch_optimizer", "pytorch_optimizer 4.1.0")
optimizer = LIBRARY.optimizer


def adam(tensor: Tensor, dtype: str) -> State:
    """Adam's two moments, without a count of steps: that is a number of Python in the parameter group."""
    yield "exp_avg", tensor.shape, dtype
    yield "exp_avg_sq", tensor.shape, dtype
