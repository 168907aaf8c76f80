"""The optimizers of pytorch_optimizer that treat the matrices inside the layers apart: Muon, GaLore and others."""

from weigh.memory.optimizers.entries import Copies, Shape, State
from weigh.memory.optimizers.pytorch_optimizer.library import adam, optimizer
from weigh.models.matrices import is_hidden_matrix
from weigh.tensors import Tensor

_RANK = "the matrices inside the layers are in a group that has the rank, as the authors use it"
_MUON = "use_muon is true of the matrices inside the layers and false of everything else"


@optimizer("Muon", "MuonClip", elementwise=False, assumed=_MUON)
def _muon(tensor: Tensor, dtype: str) -> State:
    """Jordan et al. 2024; with a limit to the logits of attention, Kimi K2 (arXiv 2507.20534)."""
    if is_hidden_matrix(tensor):
        yield "momentum_buffer", tensor.shape, dtype
    else:
        yield from adam(tensor, dtype)


@optimizer("AdaMuon", elementwise=False, assumed=_MUON)
def _adamuon(tensor: Tensor, dtype: str) -> State:
    """arXiv 2507.11005: Muon with a second moment of what it made orthogonal."""
    names = ("m", "v") if is_hidden_matrix(tensor) else ("exp_avg", "exp_avg_sq")
    for name in names:
        yield name, tensor.shape, dtype


@optimizer("NorMuon", elementwise=False, assumed=_MUON)
def _normuon(tensor: Tensor, dtype: str) -> State:
    """arXiv 2510.05491: Muon with a second moment of each row."""
    yield from _muon(tensor, dtype)
    if is_hidden_matrix(tensor):
        yield "second_momentum_buffer", (tensor.shape[0], 1), dtype


@optimizer("AdaGO", elementwise=False, assumed=_MUON)
def _adago(tensor: Tensor, dtype: str) -> State:
    """arXiv 2509.02981: Muon with one sum of squared norms."""
    yield from _muon(tensor, dtype)
    if is_hidden_matrix(tensor):
        yield "v", (), dtype


@optimizer("GaLore", elementwise=False, assumed=_RANK)
def _galore(tensor: Tensor, dtype: str, *, rank: int = 0) -> State:
    """Zhao et al. 2024 (arXiv 2403.03507): Adam on a projection of the gradient; without a rank, Adam."""
    if not rank or not is_hidden_matrix(tensor):
        yield from adam(tensor, dtype)
        return
    yield from _projected(tensor.shape, min(rank, *tensor.shape), dtype)


@optimizer("Fira", elementwise=False, assumed=_RANK)
def _fira(tensor: Tensor, dtype: str, *, rank: int = 0) -> State:
    """Chen et al. 2024 (arXiv 2410.01623): GaLore, and the norm of what its projection leaves out."""
    yield from _galore(tensor, dtype, rank=rank)
    if rank and is_hidden_matrix(tensor):
        yield "scaling_grad", (), dtype


@optimizer("APOLLO", elementwise=False, assumed=_RANK)
def _apollo(tensor: Tensor, dtype: str, *, rank: int = 0) -> State:
    """Zhu et al. 2024 (arXiv 2412.05270): Adam's scale of each row from a random projection."""
    if not rank or not is_hidden_matrix(tensor):
        yield from adam(tensor, dtype)
        return
    yield from _projected(tensor.shape, rank, dtype)
    yield "scaling_grad", (), dtype


@optimizer("Conda", elementwise=False, copies=Copies(of_largest=4))
def _conda(tensor: Tensor, dtype: str) -> State:
    """arXiv 2509.24218: Adam, and of each matrix the whole basis of its smaller dimension: more than Adam."""
    yield from adam(tensor, dtype)
    if len(tensor.shape) == 2:
        yield "projector.ortho_matrix", (min(tensor.shape),) * 2, dtype


def _projected(shape: Shape, rank: int, dtype: str) -> State:
    """The moments of a gradient whose smaller dimension was projected, and the projection."""
    rows, columns = shape
    small = (rows, rank) if rows >= columns else (rank, columns)
    yield "projector.ortho_matrix", (rank, columns) if rows >= columns else (rows, rank), dtype
    yield "exp_avg", small, dtype
    yield "exp_avg_sq", small, dtype
