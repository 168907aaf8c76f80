"""The optimizer of lion-pytorch."""

from weigh.memory.optimizers.entries import Copies, Library, State
from weigh.tensors import Tensor

LIBRARY = Library("lion-pytorch", "lion-pytorch 0.2.5")


@LIBRARY.optimizer("Lion", copies=Copies(of_largest=2))
def _lion(tensor: Tensor, dtype: str) -> State:
    """Chen et al. 2023 (arXiv 2302.06675): one mean of the gradient, whose sign is the update."""
    yield "exp_avg", tensor.shape, dtype
