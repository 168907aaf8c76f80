"""The optimizers of pytorch_optimizer that keep a square matrix for a dimension of a weight, as Shampoo does."""

from collections.abc import Iterator
from math import prod

from weigh.memory.optimizers.entries import Shape, State, from_one
from weigh.memory.optimizers.pytorch_optimizer.library import adam, optimizer
from weigh.tensors import Tensor


@optimizer("SOAP", elementwise=False)
def _soap(tensor: Tensor, dtype: str, *, max_precondition_dim: int = 10000, precondition_1d: bool = False) -> State:
    """Vyas et al. 2024 (arXiv 2409.11321): Adam in the basis of Shampoo: of each dimension a square and its basis."""
    yield from adam(tensor, dtype)
    for at, size in enumerate(tensor.shape):
        if size <= max_precondition_dim and (len(tensor.shape) > 1 or precondition_1d):
            yield f"GG.{at}", (size, size), dtype
            yield f"Q.{at}", (size, size), dtype


@optimizer("Shampoo", elementwise=False, assumed="a square of every dimension, however large, of vectors too")
def _shampoo(tensor: Tensor, dtype: str) -> State:
    """Gupta et al. 2018 (arXiv 1802.09568). The last update is kept as momentum_buffer, also without momentum."""
    for at, size in enumerate(tensor.shape):
        yield f"pre_cond_{at}", (size, size), dtype
        yield f"inv_pre_cond_{at}", (size, size), dtype
    yield "momentum_buffer", tensor.shape, dtype


@optimizer("ScalableShampoo", elementwise=False, limits=from_one("block_size"))
def _scalable_shampoo(
    tensor: Tensor, dtype: str, *, block_size: int = 512, no_preconditioning_for_layers_with_dim_gt: int = 8192
) -> State:
    """Anil et al. 2020 (arXiv 2002.09018): blocks, each with a float32 square of each dimension and its root."""
    yield "momentum", tensor.shape, dtype
    yield "graft.momentum", tensor.shape, dtype
    shape = _merged(tensor.shape, block_size)
    if len(shape) < 2 or max(tensor.shape) > no_preconditioning_for_layers_with_dim_gt:
        return
    for count, size in _squares(shape, block_size):
        yield "statistics", (count, size, size), "float32"
        yield "pre_conditioners", (count, size, size), "float32"


@optimizer("DASH", elementwise=False, limits=from_one("block_size"))
def _dash(tensor: Tensor, dtype: str, *, block_size: int = 1024) -> State:
    """arXiv 2602.02016: Shampoo in blocks, all in float32, of vectors too."""
    shape = [size for size in tensor.shape if size > 1]
    yield "exp_avg_sq", tensor.shape, "float32"
    yield "exp_avg", tensor.shape, "float32"
    for count, size in _squares([shape[0], prod(shape[1:])] if len(shape) > 1 else [tensor.numel], block_size):
        yield "statistics", (count, size, size), "float32"
        yield "inverse_roots", (count, size, size), "float32"


@optimizer("SPlus", elementwise=False, assumed="train(), since eval() keeps a copy of the weights besides")
def _splus(tensor: Tensor, dtype: str, *, max_dim: int = 10000) -> State:
    """Frans et al. 2025 (arXiv 2506.07254): a mean of the weights too, and of matrices a square of each dimension."""
    yield "momentum", tensor.shape, dtype
    yield "ema", tensor.shape, dtype
    for at, size in enumerate(tensor.shape if len(tensor.shape) == 2 else ()):
        if size < max_dim:
            yield f"sides.{at}", (size, size), dtype
            yield f"q_sides.{at}", (size, size), dtype


@optimizer("Kron", elementwise=False)
def _kron(tensor: Tensor, dtype: str, *, max_size_triangular: int = 8192) -> State:
    """Li 2015 (arXiv 1512.04202): a float32 triangle of each dimension, kept as a square; of a vector its diagonal."""
    yield "momentum_buffer", tensor.shape, dtype
    for at, size in enumerate(tensor.shape or (1,)):
        diagonal = size == 1 or size > max_size_triangular or len(tensor.shape) < 2
        yield f"Q.{at}", (size,) if diagonal else (size, size), "float32"


def _merged(shape: Shape, limit: int) -> list[int]:
    """The dimensions, with neighbours multiplied as long as the product is within a limit."""
    merged, size = [], 1
    for each in shape:
        size *= each
        if size > limit:
            merged.append(size // each)
            size = each
    return [*merged, size]


def _squares(shape: list[int], limit: int) -> Iterator[tuple[int, int]]:
    """The squares of a weight that is cut into blocks, one for each side of each block: how many, and their side."""
    blocks = prod(-(-size // limit) for size in shape)
    for size in shape:
        beside = blocks // max(-(-size // limit), 1)
        yield beside * (size // limit), limit
        if size % limit:
            yield beside, size % limit
