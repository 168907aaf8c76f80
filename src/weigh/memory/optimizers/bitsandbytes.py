"""Optimizers of bitsandbytes: of 8 bits, of 32 bits, and paged, whose state may lie in the memory of the host.

State of 32 bits is float32 whatever the weights are. The count of steps is a plain number.
"""

from collections.abc import Sequence

from weigh.dtypes import dtype as number_format
from weigh.memory.optimizers.entries import Copies, Library, State
from weigh.tensors import Tensor

LIBRARY = Library("bitsandbytes", "bitsandbytes 0.50.2")
optimizer = LIBRARY.optimizer

BLOCK = 256
"""Elements that share a scale; the last block of a tensor may be shorter."""

PAGED = (
    "paged state as large as any other; the driver may move that of a tensor of 100,000 elements or more to the host"
)


def _norm(tensors: Sequence[Tensor], dtype: str) -> Copies:
    """LAMB and LARS take the norm of each weight in float32; CUDA's kernels for the rest copy nothing."""
    return Copies(of_largest=0 if dtype == "float32" else float(32 / number_format(dtype).bits))


def _state(number: int, tensor: Tensor, *stacked: int) -> State:
    """A state of 32 bits, or several that are stacked in one tensor."""
    yield f"state{number}", (*stacked, *tensor.shape), "float32"


def _state_8bit(number: int, tensor: Tensor, min_8bit_size: int, *stacked: int) -> State:
    """A state of a byte for each value and a scale for each block, if the weight is large enough."""
    if tensor.numel < min_8bit_size:
        yield from _state(number, tensor, *stacked)
    else:
        yield f"state{number}", (*stacked, *tensor.shape), "uint8"
        yield f"absmax{number}", (*stacked, -(-tensor.numel // BLOCK)), "float32"


def two_maps(tensors: Sequence[Tensor], dtype: str, *, min_8bit_size: int = 4096) -> State:
    """The tables of the values that bytes stand for, signed ones and positive ones: once for all weights."""
    if any(tensor.numel >= min_8bit_size for tensor in tensors):
        yield "qmap1", (256,), "float32"
        yield "qmap2", (256,), "float32"


def one_map(tensors: Sequence[Tensor], dtype: str, *, min_8bit_size: int = 4096) -> State:
    """The table of the values that bytes stand for: once for all weights."""
    yield from list(two_maps(tensors, dtype, min_8bit_size=min_8bit_size))[:1]


@optimizer("PagedAdamW8bit", "PagedAdam8bit", shared=two_maps, elementwise=False, copies=Copies(), assumed=PAGED)
@optimizer("AdamW8bit", "Adam8bit", shared=two_maps, elementwise=False, copies=Copies())
def adam_8bit(tensor: Tensor, dtype: str, *, min_8bit_size: int = 4096) -> State:
    """Dettmers et al. 2022 (arXiv 2110.02861): a byte for each value and a scale for each block of 256.

    A tensor of fewer than 4,096 elements stays in 32 bits. One of more need not be of whole blocks.
    """
    yield from _state_8bit(1, tensor, min_8bit_size)
    yield from _state_8bit(2, tensor, min_8bit_size)


@optimizer("PagedAdamW", "PagedAdamW32bit", "PagedAdam", "PagedAdam32bit", copies=Copies(), assumed=PAGED)
@optimizer("AdamW", "AdamW32bit", "Adam", "Adam32bit", copies=Copies())
def _adam(tensor: Tensor, dtype: str) -> State:
    """Adam whose moments are float32 whatever the weights are."""
    yield from _state(1, tensor)
    yield from _state(2, tensor)


@optimizer("PagedAdEMAMix8bit", shared=two_maps, elementwise=False, copies=Copies(), assumed=PAGED)
@optimizer("AdEMAMix8bit", shared=two_maps, elementwise=False, copies=Copies())
def ademamix_8bit(tensor: Tensor, dtype: str, *, min_8bit_size: int = 4096) -> State:
    """Pagliardini et al. 2024 (arXiv 2409.03137) in 8 bits: a fast and a slow mean of the gradient in one tensor."""
    yield from _state_8bit(1, tensor, min_8bit_size, 2)
    yield from _state_8bit(2, tensor, min_8bit_size)


@optimizer("PagedAdEMAMix", copies=Copies(), assumed=PAGED)
@optimizer("AdEMAMix", copies=Copies())
def _ademamix(tensor: Tensor, dtype: str) -> State:
    """Pagliardini et al. 2024 (arXiv 2409.03137): a fast and a slow mean of the gradient, and that of its square."""
    yield from _state(1, tensor, 2)
    yield from _state(2, tensor)


@optimizer("PagedLion8bit", shared=one_map, elementwise=False, copies=Copies(), assumed=PAGED)
@optimizer("Lion8bit", "SGD8bit", "RMSprop8bit", "Adagrad8bit", shared=one_map, elementwise=False, copies=Copies())
def single_8bit(tensor: Tensor, dtype: str, *, min_8bit_size: int = 4096) -> State:
    """One state of 8 bits: for Lion and SGD, which always has momentum here, the mean of the gradient."""
    yield from _state_8bit(1, tensor, min_8bit_size)


@optimizer("PagedLion", "PagedLion32bit", copies=Copies(), assumed=PAGED)
@optimizer(
    "Lion", "Lion32bit", "SGD", "SGD32bit", "RMSprop", "RMSprop32bit", "Adagrad", "Adagrad32bit", copies=Copies()
)
def _single(tensor: Tensor, dtype: str) -> State:
    """One state of 32 bits: for Lion and SGD, which always has momentum here, the mean of the gradient."""
    yield from _state(1, tensor)


@optimizer("LAMB8bit", shared=two_maps, elementwise=False, copies=Copies())
def _lamb_8bit(tensor: Tensor, dtype: str, *, min_8bit_size: int = 4096) -> State:
    """You et al. 2020 (arXiv 1904.00962) in 8 bits, with a norm for each weight."""
    yield from adam_8bit(tensor, dtype, min_8bit_size=min_8bit_size)
    yield "unorm_vec", (1,), "float32"


@optimizer("LAMB", "LAMB32bit", elementwise=False, copies=_norm)
def _lamb(tensor: Tensor, dtype: str) -> State:
    """You et al. 2020 (arXiv 1904.00962): Adam, with a norm for each weight."""
    yield from _adam(tensor, dtype)
    yield "unorm_vec", (1,), "float32"


@optimizer("LARS8bit", shared=one_map, elementwise=False, copies=Copies())
def _lars_8bit(tensor: Tensor, dtype: str, *, min_8bit_size: int = 4096) -> State:
    """You et al. 2017 (arXiv 1708.03888) in 8 bits, with a norm for each weight."""
    yield from single_8bit(tensor, dtype, min_8bit_size=min_8bit_size)
    yield "unorm_vec", (1,), "float32"


@optimizer("LARS", "LARS32bit", elementwise=False, copies=_norm)
def _lars(tensor: Tensor, dtype: str) -> State:
    """You et al. 2017 (arXiv 1708.03888): momentum, with a norm for each weight."""
    yield from _single(tensor, dtype)
    yield "unorm_vec", (1,), "float32"
