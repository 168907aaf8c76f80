"""What quantization did to the weights: the bits that a file takes for each, and how far each tensor moved."""

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weigh.checks.quantization.restoring import Restored, restored
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import MissingTensors, UnknownDtype
from weigh.files.inspecting import inspect
from weigh.tensors import Contents

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


@dataclass(frozen=True)
class QuantizedWeights:
    """The weights of a model, before and after quantization.

    Attributes:
        before: The file or directory before.
        after: The one after.
        changes: The tensors of both.
        not_compared: Tensors of only one of them, or of no known format, with the reason.
    """

    before: Contents
    after: Contents
    changes: tuple[WeightChange, ...]
    not_compared: tuple[str, ...]

    @property
    def cost(self) -> dict[str, int]:
        """What it took to compare them."""
        return {"tensors": len(self.changes), "weights": sum(one.weights for one in self.changes)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not compared."""
        shown = "; ".join(self.not_compared[:3])
        more = f", and {len(self.not_compared) - 3:,} more" if len(self.not_compared) > 3 else ""
        return (f"not compared: {shown}{more}",) if shown else ()


def quantized_weights(before: str | os.PathLike[str], after: str | os.PathLike[str]) -> QuantizedWeights:
    """The weights of a model before and after quantization, tensor by tensor, as the file gives them back.

    Reads plain numbers, the blocks of GGUF, and codes with scales as torchao, ONNX Runtime (`quantize_dynamic`,
    `MatMulNBitsQuantizer`) and compressed-tensors (a code for each weight) store them. One tensor of each file is in
    memory at a time; nothing is unpickled.

    Args:
        before: A file or directory, as `weigh.inspect` takes it: the model before.
        after: The model after, with tensors of the same names, apart from what a quantizer adds to them.

    Raises:
        MissingTensors: If the two have no weights in common that can be compared.
        WeighError: What `weigh.inspect` raises.
        MissingPackage: If torch, or for GGUF the package gguf, is not installed.
    """
    one, other = inspect(before), inspect(after)
    old, new = restored(one), restored(other)
    changes, not_compared = [], []
    for name, first_one in old.items():
        if not first_one.codes or not first_one.is_weight:
            continue
        if (second := new.get(name)) is None:
            not_compared.append(f"{name} is missing after")
            continue
        try:
            changes.append(_change(first_one, second))
        except (UnknownDtype, _NoFit) as error:
            not_compared.append(f"{name} ({second.stored_as}): {getattr(error, 'problem', error)}")
    if not changes:
        said = not_compared[0] if not_compared else "it has no weights of floating point"
        raise MissingTensors(other.path, f"has no weights to compare with {one.path}: {said}; give one model twice")
    return QuantizedWeights(one, other, tuple(changes), tuple(not_compared))


class _NoFit(Exception):
    """A tensor of another shape, or one whose parts have shapes that do not fit."""


def _change(old: Restored, new: Restored) -> WeightChange:
    import torch

    try:
        before = old.values(old.parts[0].shape)
        after = new.values(tuple(before.shape))
    except (RuntimeError, ValueError, IndexError):
        raise _NoFit("its codes, scales and zero points do not fit one another") from None
    if after.shape != before.shape:
        raise _NoFit(f"its shape is {list(after.shape)}, and was {list(before.shape)}")
    gap = after - before
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


def stored_bits(weights: QuantizedWeights, *, threshold: float = 16.0) -> CheckResult:
    """Bits on disk for each weight: the whole size of the quantized file over the weights of the model before.

    Args:
        weights: As `quantized_weights` gives them.
        threshold: The most bits that pass.
    """
    before, after = weights.before, weights.after
    count = sum(one.weights for one in weights.changes)
    padded = [one for one in weights.changes if one.padding]
    notes = [
        f"{before.bytes_on_disk:,} bytes before, {after.bytes_on_disk:,} after: "
        f"{after.bytes_on_disk / before.bytes_on_disk:.0%}, measured in the files"
    ]
    if padded:
        worst = max(padded, key=lambda one: one.padding / one.weights)
        notes.append(
            f"rows of {len(padded)} tensors do not divide into groups and are padded, by up to "
            f"{worst.padding / worst.weights:.0%} ({worst.name})"
        )
    sizes = sorted(after.by_dtype.items(), key=lambda item: -item[1])
    return CheckResult(
        check="bits per weight",
        figure=Figure.exact("bits on disk for each weight", 8 * after.bytes_on_disk / count),
        threshold=threshold,
        reason="a cast to bfloat16 takes 16 and changes next to nothing; quantization has to do better",
        evidence=first(
            {"stored as": dtype, "bytes": size, "share of file": size / after.bytes_on_disk} for dtype, size in sizes
        ),
        cost=weights.cost,
        notes=(*notes, *weights.notes),
    )


def left_unquantized(weights: QuantizedWeights, *, threshold: float = 0.25) -> CheckResult:
    """Weights left unquantized: the share of all weights in matrices that the file still has in 16 bits or more.

    Args:
        weights: As `quantized_weights` gives them.
        threshold: The largest share that passes.
    """
    matrices = [one for one in weights.changes if one.channels]
    left = sorted((one for one in matrices if not one.is_quantized), key=lambda one: -one.weights)
    count = sum(one.weights for one in matrices)
    return CheckResult(
        check="left unquantized",
        figure=Figure.exact(
            "share of weights in 16 bits or more", sum(one.weights for one in left) / count if count else 0.0
        ),
        threshold=threshold,
        reason="with a quarter left in 16 bits, 4 bits for each weight are 7 on average, and in 32 bits 11",
        evidence=first(
            {"tensor": one.name, "stored as": one.stored_as, "weights": one.weights, "of all": one.weights / count}
            for one in left
        ),
        cost=weights.cost,
    )


def weight_error(weights: QuantizedWeights, *, threshold: float = 0.15) -> CheckResult:
    """Relative error of the weights: ‖after − before‖ / ‖before‖ of the tensor that moved most.

    Args:
        weights: As `quantized_weights` gives them.
        threshold: The largest error that passes.
    """
    ordered = sorted(weights.changes, key=lambda one: -one.error)
    return CheckResult(
        check="weight error",
        figure=Figure.exact("largest relative error of a tensor", ordered[0].error),
        threshold=threshold,
        reason="4 bits with a scale for each row leave about 0.13 of bell-shaped weights; more is a coarser format, "
        "or a scale that an outlier stretches",
        evidence=first(
            {
                "tensor": one.name,
                "stored as": one.stored_as,
                "bits": one.bits,
                "relative error": one.error,
                "largest channel ÷ median": one.outlier,
            }
            for one in ordered
        ),
        cost=weights.cost,
        notes=weights.notes,
    )


def lost_channels(weights: QuantizedWeights) -> CheckResult:
    """Lost channels: rows and columns of matrices that moved by more than half of their own norm.

    One scale over many channels is that of the largest, and the small ones are rounded to nothing, which the error of
    the whole tensor hides.

    Args:
        weights: As `quantized_weights` gives them.
    """
    worst = sorted((one for one in weights.changes if one.lost_channels), key=lambda one: -one.lost_channels)
    channels = sum(one.channels for one in weights.changes)
    return CheckResult(
        check="lost channels",
        figure=Figure.exact("rows and columns that lost half of their norm", sum(one.lost_channels for one in worst)),
        threshold=0,
        reason="such a channel computes something else, whatever the mean error of its tensor is",
        evidence=first(
            {
                "tensor": one.name,
                "stored as": one.stored_as,
                "lost": one.lost_channels,
                "of": one.channels,
                "largest channel ÷ median": one.outlier,
            }
            for one in worst
        ),
        cost={"channels": channels},
    )
