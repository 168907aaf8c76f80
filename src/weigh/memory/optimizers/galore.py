"""Optimizers of galore-torch, which keep the moments of a projection of the gradient, where a group has a rank."""

from collections.abc import Sequence
from dataclasses import replace

from weigh.memory.optimizers.bitsandbytes import adam_8bit, two_maps
from weigh.memory.optimizers.entries import Library, Shape, State
from weigh.models.matrices import is_hidden_matrix
from weigh.tensors import Tensor

LIBRARY = Library("galore-torch", "galore-torch 1.0")
optimizer = LIBRARY.optimizer

ASSUMED = (
    "Given a rank, it holds for the matrices inside the layers, as the authors use it; without, for none: then nothing "
    "is saved. The projection is taken on the shorter side, as by proj_type std"
)


@optimizer("GaLoreAdamW", elementwise=False, assumed=ASSUMED)
def _adamw(tensor: Tensor, dtype: str, *, rank: int = 0) -> State:
    """Zhao et al. 2024 (arXiv 2403.03507): Adam of the gradient, projected on the singular vectors of one before it."""
    if rank and is_hidden_matrix(tensor):
        yield factor(tensor, dtype, rank)
    shape = low_rank(tensor, rank)
    yield "exp_avg", shape, dtype
    yield "exp_avg_sq", shape, dtype


def transformers_adafactor(shape: Shape) -> State:
    """What transformers' Adafactor keeps of a weight of this shape: factors in float32, whatever the weights are."""
    if len(shape) > 1:
        yield "exp_avg_sq_row", shape[:-1], "float32"
        yield "exp_avg_sq_col", (*shape[:-2], shape[-1]), "float32"
    else:
        yield "exp_avg_sq", shape, "float32"
    yield "RMS", (), "float32"


@optimizer("GaLoreAdafactor", elementwise=False, assumed=ASSUMED)
def _adafactor(tensor: Tensor, dtype: str, *, rank: int = 0) -> State:
    """Zhao et al. 2024 (arXiv 2403.03507): Adafactor of the projected gradient, in float32, as in transformers."""
    if rank and is_hidden_matrix(tensor):
        yield factor(tensor, "float32", rank)
    yield from transformers_adafactor(low_rank(tensor, rank))


def _maps(tensors: Sequence[Tensor], dtype: str, *, rank: int = 0) -> State:
    """Those of bitsandbytes, if a projected weight is large enough for 8 bits."""
    yield from two_maps([replace(tensor, shape=low_rank(tensor, rank)) for tensor in tensors], dtype)


@optimizer("GaLoreAdamW8bit", elementwise=False, shared=_maps, assumed=ASSUMED)
def _adamw_8bit(tensor: Tensor, dtype: str, *, rank: int = 0) -> State:
    """Zhao et al. 2024 (arXiv 2403.03507): bitsandbytes' Adam in 8 bits of the projected gradient.

    It hands on its settings by place, so that its clipping of percentiles is taken for a largest norm, which is kept.
    """
    if rank and is_hidden_matrix(tensor):
        yield factor(tensor, dtype, rank)
    yield from adam_8bit(replace(tensor, shape=low_rank(tensor, rank)), dtype)
    yield "unorm_vec", (1,), "float32"


def low_rank(tensor: Tensor, rank: int) -> tuple[int, ...]:
    """The shape of a weight's gradient after projection: `rank` in the place of its shorter side."""
    if not rank or not is_hidden_matrix(tensor):
        return tensor.shape
    rows, columns = tensor.shape
    rank = min(rank, rows, columns)
    return (rows, rank) if rows >= columns else (rank, columns)


def factor(tensor: Tensor, dtype: str, rank: int) -> tuple[str, tuple[int, ...], str]:
    """The projection: in float32 a view, which holds the whole factor of the decomposition; else a copy."""
    short = min(tensor.shape)
    return "projector.ortho_matrix", (short if dtype == "float32" else min(rank, short), short), dtype
