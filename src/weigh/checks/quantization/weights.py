"""What quantization did to the weights: the bits that a file takes for each, and how far each tensor moved."""

import math
import os
from dataclasses import dataclass

from weigh.checks.quantization.changes import NoFit, WeightChange, change
from weigh.checks.quantization.restoring import restored
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import MissingTensors, UnknownDtype
from weigh.files.inspecting import inspect
from weigh.tensors import Contents

_MOST_UNSEEN = 0.1
"""Of a model of which a larger share of weights cannot be compared, nothing is ruled out."""

_LONGEST = 80  # characters of a tensor's name that a message shows


@dataclass(frozen=True)
class QuantizedWeights:
    """The weights of a model, before and after quantization.

    Attributes:
        before: The file or directory before.
        after: The one after.
        changes: The tensors of both.
        not_compared: Tensors of only one of them, or of no known format, with the reason.
        unseen: How many weights of the model before these have.
    """

    before: Contents
    after: Contents
    changes: tuple[WeightChange, ...]
    not_compared: tuple[str, ...]
    unseen: int = 0

    @property
    def count(self) -> int:
        """The weights of the model before, compared or not."""
        return sum(one.weights for one in self.changes) + self.unseen

    def figure(self, name: str, value: float, low: float, high: float) -> Figure:
        """A figure of what was compared: exact, or between two ends where so much was not that it decides nothing."""
        if self.unseen <= _MOST_UNSEEN * self.count:
            return Figure.exact(name, value)
        return Figure(name, value, low, high, f"{self.unseen / self.count:.0%} of the weights are not compared")

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
    changes, not_compared, unseen = [], [], 0
    for name, first_one in old.items():
        if not first_one.codes or not first_one.is_weight:
            continue
        if (second := new.get(name)) is None:
            not_compared.append(f"{name} is missing after")
            unseen += first_one.codes
            continue
        try:
            changes.append(change(first_one, second))
        except (UnknownDtype, NoFit) as error:
            not_compared.append(f"{name} ({second.stored_as}): {getattr(error, 'problem', error)}")
            unseen += first_one.codes
    if not changes:
        said = not_compared[0] if not_compared else "it has no weights of floating point"
        other_name = next((name for name in new if name not in old), "")[:_LONGEST]
        said += f", and {other_name} is there" if other_name else ""
        problem = f"has no weights to compare with {one.path}: {said}"
        raise MissingTensors(other.path, f"{problem}; give one model twice, with the same names of tensors")
    return QuantizedWeights(one, other, tuple(changes), tuple(not_compared), unseen)


def stored_bits(weights: QuantizedWeights, *, threshold: float = 16.0) -> CheckResult:
    """Bits on disk for each weight: the whole size of the quantized file over the weights of the model before.

    Args:
        weights: As `quantized_weights` gives them.
        threshold: The most bits that pass.
    """
    before, after = weights.before, weights.after
    padded = [one for one in weights.changes if one.padding]
    notes = [
        f"{before.bytes_on_disk:,} bytes before, {after.bytes_on_disk:,} after: "
        f"{after.bytes_on_disk / before.bytes_on_disk:.0%}, measured in the files"
    ]
    if after.bytes_on_disk > before.bytes_on_disk:
        notes.append("the file after is the larger one: were the two swapped?")
    if padded:
        worst = max(padded, key=lambda one: one.padding / one.weights)
        notes.append(
            f"rows of {len(padded)} tensors do not divide into groups and are padded, by up to "
            f"{worst.padding / worst.weights:.0%} ({worst.name})"
        )
    sizes = sorted(after.by_dtype.items(), key=lambda item: -item[1])
    return CheckResult(
        check="bits per weight",
        figure=Figure.exact("bits on disk for each weight", 8 * after.bytes_on_disk / weights.count),
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
    count, missing = sum(one.weights for one in matrices), weights.unseen
    kept = sum(one.weights for one in left)
    return CheckResult(
        check="left unquantized",
        figure=weights.figure(
            "share of weights in 16 bits or more",
            kept / count if count else 0.0,
            kept / max(1, count + missing),
            (kept + missing) / max(1, count + missing),
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
        figure=weights.figure("largest relative error of a tensor", ordered[0].error, ordered[0].error, math.inf),
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
    channels, lost = sum(one.channels for one in weights.changes), sum(one.lost_channels for one in worst)
    return CheckResult(
        check="lost channels",
        figure=weights.figure("rows and columns that lost half of their norm", lost, lost, math.inf),
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
