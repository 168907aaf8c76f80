"""The optimizer of prodigyopt, which finds its own learning rate."""

from weigh.memory.optimizers.entries import Library, State, from_one, tensorwise
from weigh.tensors import Tensor

LIBRARY = Library("prodigyopt", "prodigyopt 1.1.2")


@LIBRARY.optimizer(
    "Prodigy",
    elementwise=False,
    limits=from_one("slice_p"),
    assumed="No weight is zero throughout when training starts: of one that is, the start is kept as a single number",
)
def _prodigy(tensor: Tensor, dtype: str, *, slice_p: int = 1) -> State:
    """Mishchenko & Defazio 2023 (arXiv 2306.06101): Adam, and the start and a sum of gradients at each slice_p-th."""
    sliced = (-(-tensor.numel // slice_p),)
    yield "s", sliced, dtype
    yield "p0", sliced, dtype
    yield from tensorwise("exp_avg", "exp_avg_sq")(tensor, dtype)
