"""Optimizers of dadaptation, which find their own learning rate."""

from weigh.memory.optimizers.entries import Copies, Library, State, tensorwise
from weigh.tensors import Tensor

LIBRARY = Library("dadaptation", "dadaptation 3.2")
optimizer = LIBRARY.optimizer


@optimizer("DAdaptAdam", copies=Copies(of_largest=2))
def _adam(tensor: Tensor, dtype: str) -> State:
    """Defazio & Mishchenko 2023 (arXiv 2301.07733): Adam, and a weighted sum of the gradients."""
    yield from tensorwise("s", "exp_avg", "exp_avg_sq")(tensor, dtype)


@optimizer("DAdaptAdaGrad", copies=Copies(of_largest=3))
def _adagrad(tensor: Tensor, dtype: str) -> State:
    """Defazio & Mishchenko 2023 (arXiv 2301.07733): Adagrad, the sum of the gradients, and the weights at the start."""
    yield from tensorwise("alphak", "sk", "x0")(tensor, dtype)


@optimizer("DAdaptAdan", copies=Copies(of_largest=6))
def _adan(tensor: Tensor, dtype: str) -> State:
    """Defazio & Mishchenko 2023 (arXiv 2301.07733): Adan, its last gradient, and a weighted sum of gradients."""
    yield from tensorwise("s", "exp_avg", "exp_avg_diff", "exp_avg_sq", "pre_grad")(tensor, dtype)


@optimizer("DAdaptLion", copies=Copies(of_largest=2))
def _lion(tensor: Tensor, dtype: str) -> State:
    """Defazio & Mishchenko 2023 (arXiv 2301.07733): Lion, and a weighted sum of its updates."""
    yield from tensorwise("exp_avg", "s")(tensor, dtype)


@optimizer("DAdaptSGD", copies=Copies(of_largest=1))
def _sgd(tensor: Tensor, dtype: str) -> State:
    """Defazio & Mishchenko 2023 (arXiv 2301.07733): the sum of steps, the weights at the start and before averaging."""
    yield from tensorwise("z", "s", "x0")(tensor, dtype)
