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
    import numpy as np

STRETCH = 2**22
"""The most elements that are in memory at a time."""
BLOCK = 4096
"""So many zeros in a row are a hole: a download leaves them that reserved its space and did not fill it."""

_SAMPLE = 2**14
_PLAIN = ("float64", "float32", "float16")


@dataclass(frozen=True)
class Numbers:
    """The numbers of one tensor.

    Attributes:
        tensor: The tensor.
        nan: How many are NaN.
        infinite: How many are infinite.
        lowest, highest: The range of the others.
        typical: The deviation of a normal distribution with their median absolute value, zeros apart; 0 if all are 0.
        holes: How many blocks of `BLOCK` in a row are zeros.
    """

    tensor: Tensor
    nan: int
    infinite: int
    lowest: float
    highest: float
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


def stretches(contents: Contents, tensor: Tensor, size: int = STRETCH) -> Iterator["np.ndarray"]:
    """The elements of a floating-point tensor in their order, so many at a time, those of 16 bits in float32.

    Formats that NumPy lacks, other than bfloat16, and tensors with strides are loaded whole, by torch.

    Raises:
        UnknownDtype: If torch has no such number format either.
        MissingPackage: If the package that is needed is not installed.
    """
    with needed(contents.path):
        import numpy as np

    if tensor.strides is not None or tensor.dtype not in (*_PLAIN, "bfloat16"):
        yield load(contents, tensor).reshape(-1).float().numpy()
        return
    width, storage = DTYPES[tensor.dtype].bits // 8, contents.storages[tensor.storage]
    for begin in range(0, tensor.numel, size):
        end = min(begin + size, tensor.numel)
        raw = storage.read(tensor.begin + begin * width, tensor.begin + end * width)
        if tensor.dtype == "bfloat16":  # the upper half of a float32
            yield (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(raw, f"<f{width}")
            yield values.astype(np.float32) if width == 2 else values


def same_bytes(contents: Contents, one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one number format and shape hold the same bytes."""
    import numpy as np

    pairs = zip(stretches(contents, one), stretches(contents, other), strict=True)
    return all(np.array_equal(a.view(np.uint8), b.view(np.uint8)) for a, b in pairs)


def numbers(contents: Contents, tensor: Tensor) -> Numbers:
    """The numbers of a tensor, read in stretches."""
    with needed(contents.path):
        import numpy as np

    nan = infinite = holes = 0
    lowest, highest, sample = math.inf, -math.inf, []
    step = max(1, tensor.numel // _SAMPLE)
    for values in stretches(contents, tensor):
        finite = np.isfinite(values)
        if not finite.all():
            nan += int(np.isnan(values).sum())
            infinite += int(np.isinf(values).sum())
            values = values[finite]
        if values.size:
            lowest, highest = min(lowest, float(values.min())), max(highest, float(values.max()))
            sample.append(np.abs(values[::step]))
            holes += int((~values[: values.size // BLOCK * BLOCK].reshape(-1, BLOCK).any(1)).sum())
    some = np.concatenate(sample) if sample else np.empty(0)
    some = some[some > 0]
    typical = float(np.median(some)) / 0.6745 if some.size else 0.0
    return Numbers(tensor, nan, infinite, lowest, highest, typical, holes)
