"""Optimizers of PyTorch, `torch.optim`. What lives while they step is that of `foreach`, as on a GPU."""

from collections.abc import Iterable, Sequence

from weigh.dtypes import dtype as number_format
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


@optimizer("NAdam", copies=Copies(of_all=1))
def _nadam(tensor: Tensor, dtype: str) -> State:
    """Dozat 2016: Adam with Nesterov's momentum, and the product of all momenta so far."""
    yield from _adam(tensor, dtype)
    yield "mu_product", (), "float32"


@optimizer("RAdam", copies=Copies(of_all=1))
def _radam(tensor: Tensor, dtype: str) -> State:
    """Liu et al. 2020 (arXiv 1908.03265): Adam, whose first steps have no adaptive rate."""
    yield from _adam(tensor, dtype)


@optimizer("Adamax", copies=Copies(of_all=1))
def _adamax(tensor: Tensor, dtype: str) -> State:
    """Kingma & Ba 2015 (arXiv 1412.6980), section 7.1: a decaying maximum in place of the mean square."""
    yield STEP
    yield "exp_avg", tensor.shape, dtype
    yield "exp_inf", tensor.shape, dtype


@optimizer(
    "SparseAdam",
    assumed="SparseAdam for every weight, though it takes only those with sparse gradients, such as tables that were "
    "made with sparse=True; its state is dense, and has a row for each row that was never looked up",
)
def _sparse_adam(tensor: Tensor, dtype: str) -> State:
    """Adam that moves the rows that have a gradient; the count of steps is no tensor."""
    yield "exp_avg", tensor.shape, dtype
    yield "exp_avg_sq", tensor.shape, dtype


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


@optimizer("Adadelta", copies=Copies(of_all=2))
def _adadelta(tensor: Tensor, dtype: str) -> State:
    """Zeiler 2012 (arXiv 1212.5701): the mean squares of the gradients and of the updates."""
    yield STEP
    yield "square_avg", tensor.shape, dtype
    yield "acc_delta", tensor.shape, dtype


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


@optimizer("ASGD", copies=Copies(of_all=1))
def _asgd(tensor: Tensor, dtype: str) -> State:
    """Polyak & Juditsky 1992: the average of the weights so far, and two numbers that change with the steps."""
    yield STEP
    yield "eta", (), "float32"
    yield "mu", (), "float32"
    yield "ax", tensor.shape, dtype


@optimizer("Rprop", copies=Copies(of_all=1, of_largest=1.25))
def _rprop(tensor: Tensor, dtype: str) -> State:
    """Riedmiller & Braun 1993: the gradient before, and a step size for each element."""
    yield STEP
    yield "prev", tensor.shape, dtype
    yield "step_size", tensor.shape, dtype


def _lbfgs_history(tensors: Iterable[Tensor], dtype: str, *, pairs: int = 100) -> State:
    """All weights as one vector: the gradient, the direction, and for each pair a difference of either."""
    count = sum(tensor.numel for tensor in tensors)
    yield "d", (count,), dtype
    yield "prev_flat_grad", (count,), dtype
    yield "H_diag", (), dtype
    for name in ("old_dirs", "old_stps"):
        yield name, (pairs, count), dtype
    for name in ("ro", "al"):
        yield name, (pairs,), dtype


@optimizer(
    "LBFGS",
    shared=_lbfgs_history,
    unknown={"pairs": (0, 100)},
    elementwise=False,
    copies=Copies(of_all=3),
    assumed="LBFGS keeps one vector pair for each of its inner iterations, of which a step has up to 20, until it has "
    "history_size=100 of them; pairs=N says how many it has, or its history_size",
)
def _lbfgs(tensor: Tensor, dtype: str, *, pairs: int = 100) -> State:
    """Liu & Nocedal 1989. PyTorch puts the state of all weights under the first of them."""
    yield from ()


def _muon_copies(tensors: Sequence[Tensor], dtype: str) -> Copies:
    """AdamW's, which come first or last, or Muon's of one matrix, whichever is more.

    Muon copies the update, makes two of it in bfloat16, and two squares of the shorter side.
    """
    size, total = number_format(dtype).bits / 8, sum(tensor.numel for tensor in tensors)
    hidden = [tensor for tensor in tensors if is_hidden_matrix(tensor)]
    rest = total - sum(tensor.numel for tensor in hidden)
    most = max((tensor.numel * (size + 4) + 4 * min(tensor.shape) ** 2 for tensor in hidden), default=0)
    if rest * size >= most:
        return Copies(of_all=rest / total if total else 0)
    return Copies(of_largest=most / size / max(tensor.numel for tensor in tensors))


@optimizer(
    "Muon",
    elementwise=False,
    copies=_muon_copies,
    assumed="Muon for the matrices inside the layers, AdamW for everything else, as its authors use it; "
    "torch.optim.Muon alone refuses whatever is no matrix",
)
def _muon(tensor: Tensor, dtype: str) -> State:
    """Jordan et al. 2024: momentum for the matrices inside the layers, AdamW for everything else."""
    yield from _sgd(tensor, dtype, momentum=0.95) if is_hidden_matrix(tensor) else _adam(tensor, dtype)
