"""How far a tensor moved in quantization: as a whole, and in its rows and columns."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weigh.checks.quantization.restoring import Restored

if TYPE_CHECKING:
    import torch

_SMALL = 0.25
"""A channel below this share of the median's norm adds little, and any 4 bits round some of them to nothing."""

_SHORTEST = 8
"""A row or column of fewer numbers is no channel."""


@dataclass(frozen=True)
class WeightChange:
    """How far a tensor moved.

    Attributes:
        name: Its name before.
        stored_as: Its number format after, and over how many weights a scale goes.
        weights: How many weights it has.
        is_quantized: Whether they have fewer than 16 bits.
        bits: Bits that are stored for each weight, those of scales and padding included.
        padding: Numbers that are stored and are no weights of it.
        error: ‖after − before‖ / ‖before‖, Frobenius; infinite where a number has become none.
        channels: Its rows and columns; 0 for a vector.
        lost_channels: Those with the same quotient above a half, and a norm of at least a quarter of the median.
        outlier: The norm of its largest row or column over the median one.
    """

    name: str
    stored_as: str
    weights: int
    is_quantized: bool
    bits: float
    padding: int
    error: float
    channels: int
    lost_channels: int
    outlier: float


class NoFit(Exception):
    """A tensor of another shape, or one whose parts have shapes that do not fit."""


def change(old: Restored, new: Restored) -> WeightChange:
    """How far a tensor moved. What is no number before and the same after, such as a mask of −∞, did not.

    Raises:
        NoFit: If the two have different shapes, or the parts of one do not fit one another.
        UnknownDtype: If its format is not known.
    """
    import torch

    try:
        before = old.values(old.parts[0].shape)
        after = new.values(tuple(before.shape))
    except (RuntimeError, ValueError, IndexError):
        raise NoFit("its codes, scales and zero points do not fit one another") from None
    if after.shape != before.shape:
        raise NoFit(f"its shape is {list(after.shape)}, and was {list(before.shape)}")
    is_same = (before == after) | (before.isnan() & after.isnan())
    gap = torch.where(is_same, 0.0, after - before)
    before = torch.where(before.isfinite(), before, 0.0)
    error = _quotient(
        torch.linalg.vector_norm(gap, dtype=torch.float64), torch.linalg.vector_norm(before, dtype=torch.float64)
    )
    channels = lost = 0
    outlier = 1.0
    if before.dim() > 1:
        for matrix, difference in ((_rows(before), _rows(gap)), (_rows(before).T, _rows(gap).T)):
            if matrix.shape[1] < _SHORTEST:
                continue
            norms, moved = (torch.linalg.vector_norm(one, dim=1, dtype=torch.float64) for one in (matrix, difference))
            middle = float(norms.median())
            is_lost = (norms >= _SMALL * middle) & ~(moved <= norms / 2)
            channels, lost = channels + len(norms), lost + int(is_lost.sum())
            outlier = max(outlier, float(norms.max()) / middle if middle else 1.0)
    return WeightChange(
        name=old.name,
        stored_as=new.stored_as,
        weights=before.numel(),
        is_quantized=new.is_quantized,
        bits=8 * new.nbytes / before.numel(),
        padding=max(0, new.codes - before.numel()),
        error=error,
        channels=channels,
        lost_channels=lost,
        outlier=outlier,
    )


def _rows(tensor: "torch.Tensor") -> "torch.Tensor":
    return tensor.reshape(tensor.shape[0], -1)


def _quotient(moved: "torch.Tensor", norm: "torch.Tensor") -> float:
    found = float(moved)
    if not math.isfinite(found):
        return math.inf
    return found / float(norm) if norm else (math.inf if found else 0.0)
