"""The numbers of a tensor, read in stretches, so that no tensor has to fit into memory."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weigh.dtypes import DTYPES
from weigh.files.loading import load
from weigh.optional import needed
from weigh.tensors import Contents, Tensor

if TYPE_CHECKING:
    import torch

STRETCH = 2**22
"""The most elements that are in memory at a time."""
BLOCK = 4096
"""So many zeros in a row are a hole: a download leaves them that reserved its space and did not fill it."""

_SAMPLE = 2**16


def stretches(contents: Contents, tensor: Tensor, size: int = STRETCH) -> Iterator["torch.Tensor"]:
    """The elements of a tensor in their order, so many at a time. Only one with strides is loaded whole.

    Raises:
        UnknownDtype: If torch has no such number format.
        MissingPackage: If torch is not installed.
    """
    with needed(contents.path):
        import torch

    dtype = getattr(torch, tensor.dtype, None)
    if tensor.strides is not None or not isinstance(dtype, torch.dtype) or DTYPES[tensor.dtype].bits < 8:
        yield load(contents, tensor).reshape(-1)
        return
    width = DTYPES[tensor.dtype].bits // 8
    storage = contents.storages[tensor.storage]
    for begin in range(0, tensor.numel, size):
        end = min(begin + size, tensor.numel)
        yield torch.frombuffer(storage.read(tensor.begin + begin * width, tensor.begin + end * width), dtype=dtype)


def same_bytes(contents: Contents, one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one number format and shape hold the same bytes."""
    import torch

    pairs = zip(stretches(contents, one), stretches(contents, other), strict=True)
    return all(torch.equal(a.view(torch.uint8), b.view(torch.uint8)) for a, b in pairs)


@dataclass(frozen=True)
class Numbers:
    """The numbers of one tensor.

    Attributes:
        tensor: The tensor.
        nan: How many are NaN.
        infinite: How many are infinite.
        lowest, highest: The range of the others.
        rms: Their root mean square.
        typical: The deviation of a normal distribution with their median absolute value, zeros apart; 0 if all are 0.
        holes: How many blocks of 4,096 in a row are zeros.
    """

    tensor: Tensor
    nan: int
    infinite: int
    lowest: float
    highest: float
    rms: float
    typical: float
    holes: int

    @property
    def is_matrix(self) -> bool:
        """Whether it has at least two dimensions above 1."""
        return sum(size > 1 for size in self.tensor.shape) > 1

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(abs(self.lowest), abs(self.highest))


def numbers(contents: Contents, tensor: Tensor) -> Numbers:
    """The numbers of a tensor, read in stretches."""
    with needed(contents.path):
        import torch

    nan = infinite = holes = 0
    lowest, highest, square, sample = math.inf, -math.inf, 0.0, []
    step = max(1, tensor.numel // _SAMPLE)
    for stretch in stretches(contents, tensor):
        values = stretch if stretch.dtype == torch.float64 else stretch.to(torch.float32)
        if not bool(torch.isfinite(values).all()):
            nan += int(values.isnan().sum())
            infinite += int(values.isinf().sum())
            values = values[values.isfinite()]
        if values.numel():
            lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
            square += float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2
            sample.append(values[::step].abs())
            whole = values[: values.numel() // BLOCK * BLOCK].reshape(-1, BLOCK)
            holes += int((whole == 0).all(1).sum())
    some = torch.cat(sample) if sample else torch.empty(0)
    some = some[some > 0]
    typical = float(some.median()) / 0.6745 if some.numel() else 0.0
    return Numbers(tensor, nan, infinite, lowest, highest, math.sqrt(square / tensor.numel), typical, holes)
