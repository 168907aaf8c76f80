"""Optimizers of apollo-torch, which keep the moments of a random projection of the gradient."""

from weigh.memory.optimizers.entries import Library, State
from weigh.memory.optimizers.galore import LIBRARY as GALORE
from weigh.memory.optimizers.galore import factor, low_rank
from weigh.models.matrices import is_hidden_matrix
from weigh.tensors import Tensor

LIBRARY = Library("apollo-torch", "apollo-torch 1.0.3")


@LIBRARY.optimizer(
    "APOLLOAdamW",
    elementwise=False,
    assumed="Given a rank, it holds for the matrices inside the layers, as the authors use it; without, for none: then "
    "nothing is saved",
)
def _apollo(tensor: Tensor, dtype: str, *, rank: int = 0, svd: bool = False) -> State:
    """Zhu et al. 2024 (arXiv 2412.05270): Adam of a projected gradient, for the size of the step alone.

    The projection is random, or with svd GaLore's.
    """
    shape = low_rank(tensor, rank)
    if rank and is_hidden_matrix(tensor):
        short = min(tensor.shape)
        yield factor(tensor, dtype, rank) if svd else ("projector.ortho_matrix", (min(rank, short), short), dtype)
        yield "scaled_grad", (), dtype
    yield "exp_avg", shape, dtype
    yield "exp_avg_sq", shape, dtype


for _name in ("GaLoreAdamW", "GaLoreAdafactor", "GaLoreAdamW8bit"):
    LIBRARY.alias(_name, GALORE.optimizers[_name], source=LIBRARY.source)
