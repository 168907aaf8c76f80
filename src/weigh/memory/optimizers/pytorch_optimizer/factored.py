"""The optimizers of pytorch_optimizer that keep rows and columns in place of matrices."""

from math import prod

from weigh.memory.optimizers.entries import Copies, State
from weigh.memory.optimizers.pytorch_optimizer.library import adam, optimizer
from weigh.tensors import Tensor


@optimizer("AdaFactor", elementwise=False)
def _adafactor(tensor: Tensor, dtype: str) -> State:
    """Shazeer & Stern 2018 (arXiv 1804.04235), with momentum, which is bfloat16 whatever the weights are."""
    yield "exp_avg", tensor.shape, "bfloat16"
    yield from _factors("exp_avg_sq", tensor, dtype)


@optimizer("CAME", elementwise=False, copies=Copies(of_all=2))
def _came(tensor: Tensor, dtype: str) -> State:
    """Luo et al. 2023 (arXiv 2307.02047): Adafactor with momentum, and factors of how far the two are apart."""
    yield "exp_avg", tensor.shape, dtype
    yield from _factors("exp_avg_sq", tensor, dtype)
    if len(tensor.shape) > 1:
        yield from _factors("exp_avg_res", tensor, dtype)
    yield "RMS", (), dtype


@optimizer("Adalite", elementwise=False, copies=Copies(of_largest=6))
def _adalite(tensor: Tensor, dtype: str) -> State:
    """Both moments of a matrix as a row and a column."""
    if len(tensor.shape) < 2:
        yield "m_avg", tensor.shape, dtype
        yield "v_avg", tensor.shape, dtype
        return
    rows, columns = _as_matrix(tensor)
    yield "v_avg_0", (rows,), dtype
    yield "v_avg_1", (columns,), dtype
    yield "m_avg_c", (rows, 1), dtype
    yield "m_avg_r", (1, columns), dtype
    yield "m_avg_u", (1, 1), dtype


@optimizer("EmoFact", elementwise=False, copies=Copies(of_all=3))
def _emofact(tensor: Tensor, dtype: str) -> State:
    """A row and a column of a matrix, in place of all moments."""
    if len(tensor.shape) < 2:
        yield from adam(tensor, dtype)
        return
    yield "exp_avg_r", (tensor.shape[0],), dtype
    yield "exp_avg_c", (1, *tensor.shape[1:]), dtype


@optimizer("SM3", elementwise=False)
def _sm3(tensor: Tensor, dtype: str) -> State:
    """Anil et al. 2019 (arXiv 1901.11150): momentum, and of each dimension the largest squares."""
    yield "momentum_buffer", tensor.shape, dtype
    for at, size in enumerate(tensor.shape or (1,)):
        yield f"accumulator_{at}", (size,), dtype


@optimizer("RACS", elementwise=False)
def _racs(tensor: Tensor, dtype: str) -> State:
    """Gong et al. 2025 (arXiv 2502.07752): a scale of each row and of each column, and no momentum."""
    rows, columns = _as_matrix(tensor)
    yield "s", (rows,), dtype
    yield "q", (columns,), dtype
    yield "theta", (), dtype


@optimizer("Alice", elementwise=False, assumed="a vector is a matrix of one column, so that it has a square too")
def _alice(tensor: Tensor, dtype: str, *, rank: int = 256) -> State:
    """Gong et al. 2025 (arXiv 2502.07752): moments in a subspace of the rows, its basis and a square of the rank."""
    rows, columns = _as_matrix(tensor)
    rank = min(rank, rows)
    yield "U", (rows, rank), dtype
    yield "Q", (rank, rank), dtype
    yield "m", (rank, columns), dtype
    yield "v", (rank, columns), dtype
    yield "p", (columns,), dtype
    yield "phi", (1,), dtype


@optimizer("Nero", elementwise=False)
def _nero(tensor: Tensor, dtype: str) -> State:
    """Liu et al. 2021 (arXiv 2102.07227): one square of each row."""
    yield "exp_avg_sq", tensor.shape[:1], dtype
    yield "scale", (), dtype


def _factors(name: str, tensor: Tensor, dtype: str) -> State:
    """A row and a column in place of a matrix, the last two dimensions of a weight."""
    shape = tensor.shape
    if len(shape) > 1:
        yield f"{name}_row", shape[:-1], dtype
        yield f"{name}_col", shape[:-2] + shape[-1:], dtype
    else:
        yield name, shape, dtype


def _as_matrix(tensor: Tensor) -> tuple[int, int]:
    """Rows and columns, where a vector is a column."""
    return (tensor.shape[0], prod(tensor.shape[1:])) if len(tensor.shape) > 1 else (tensor.numel, 1)
