"""Optimizers of PyTorch, `torch.optim`."""

from weigh.memory.optimizers.entries import STEP, Copies, Library, State
from weigh.models.matrices import is_hidden_matrix
from weigh.tensors import Tensor

LIBRARY = Library("torch", "torch 2.13.0")
optimizer = LIBRARY.optimizer


@optimizer("SGD", copies=Copies())
def _sgd(tensor: Tensor, dtype: str, *, momentum: float = 0.0) -> State:
    if momentum:
        yield "momentum_buffer", tensor.shape, dtype


@optimizer("Adam", "AdamW", copies=Copies(of_all=1))
def _adam(tensor: Tensor, dtype: str, *, amsgrad: bool = False) -> State:
    """Kingma & Ba 2015 (arXiv 1412.6980): the means of the gradient and of its square.

    With amsgrad, Reddi et al. 2018 (arXiv 1904.09237), the largest mean square so far too.
    """
    yield STEP
    yield "exp_avg", tensor.shape, dtype
    yield "exp_avg_sq", tensor.shape, dtype
    if amsgrad:
        yield "max_exp_avg_sq", tensor.shape, dtype


@optimizer("RMSprop", copies=Copies(of_all=1))
def _rmsprop(tensor: Tensor, dtype: str, *, momentum: float = 0.0, centered: bool = False) -> State:
    """Tieleman & Hinton 2012, lecture 6.5; centered, with the mean of the gradient: Graves 2013 (arXiv 1308.0850)."""
    yield STEP
    yield "square_avg", tensor.shape, dtype
    if momentum:
        yield "momentum_buffer", tensor.shape, dtype
    if centered:
        yield "grad_avg", tensor.shape, dtype


@optimizer("Adagrad", at_construction=("step", "sum"), copies=Copies(of_all=2))
def _adagrad(tensor: Tensor, dtype: str) -> State:
    """Duchi et al. 2011: the sum of the squares of all gradients."""
    yield STEP
    yield "sum", tensor.shape, dtype


@optimizer("Adafactor", elementwise=False, copies=Copies(of_all=1))
def _adafactor(tensor: Tensor, dtype: str) -> State:
    """Shazeer & Stern 2018 (arXiv 1804.04235), without momentum: a row and a column in place of a matrix."""
    shape = tensor.shape
    yield STEP
    if len(shape) > 1:
        yield "row_var", (*shape[:-1], 1), dtype
        yield "col_var", (*shape[:-2], 1, shape[-1]), dtype
    else:
        yield "variance", shape, dtype


@optimizer(
    "Muon",
    elementwise=False,
    assumed="Muon for the matrices inside the layers, AdamW for everything else, as its authors use it",
)
def _muon(tensor: Tensor, dtype: str) -> State:
    """Jordan et al. 2024: momentum for the matrices inside the layers, AdamW for everything else."""
    yield from _sgd(tensor, dtype, momentum=0.95) if is_hidden_matrix(tensor) else _adam(tensor, dtype)
