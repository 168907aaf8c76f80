"""Optimizers of schedulefree, which average the weights in place of a schedule of the learning rate."""

from weigh.memory.optimizers.entries import Copies, Library, State, tensorwise
from weigh.tensors import Tensor

LIBRARY = Library("schedulefree", "schedulefree 1.4.1")
optimizer = LIBRARY.optimizer


@optimizer(
    "AdamWScheduleFree",
    "RAdamScheduleFree",
    "AdamWScheduleFreeClosure",
    "RAdamScheduleFreeClosure",
    "AdamWScheduleFreePaper",
    copies=Copies(of_all=1),
)
def _adamw(tensor: Tensor, dtype: str) -> State:
    """Defazio et al. 2024 (arXiv 2405.15682): the weights before averaging in the place of Adam's first moment."""
    yield from tensorwise("z", "exp_avg_sq")(tensor, dtype)


@optimizer("SGDScheduleFree", "SGDScheduleFreeClosure", copies=Copies())
def _sgd(tensor: Tensor, dtype: str) -> State:
    """Defazio et al. 2024 (arXiv 2405.15682): the weights before averaging."""
    yield from tensorwise("z")(tensor, dtype)


@optimizer("AdamWScheduleFreeReference", copies=Copies(of_largest=2))
def _adamw_reference(tensor: Tensor, dtype: str) -> State:
    """Defazio et al. 2024 (arXiv 2405.15682), as it is written: all three sequences are kept."""
    yield from tensorwise("z", "x", "y", "exp_avg_sq")(tensor, dtype)


@optimizer("SGDScheduleFreeReference", copies=Copies(of_largest=1))
def _sgd_reference(tensor: Tensor, dtype: str) -> State:
    """Defazio et al. 2024 (arXiv 2405.15682), as it is written: all three sequences are kept."""
    yield from tensorwise("z", "x", "y")(tensor, dtype)
