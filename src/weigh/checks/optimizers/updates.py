"""How large the steps of an optimizer are beside the weights: measured in a loop, and judged in its log."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from weigh.checks.optimizers.logs import training_log
from weigh.checks.results import CheckResult, Figure
from weigh.errors import InvalidSetting
from weigh.optional import needed

PRECISIONS = {"bfloat16": 8, "float16": 11, "float32": 24, "float64": 53}
"""Significant bits of the formats that weights are trained in."""


@contextmanager
def update_ratio(optimizer: Any) -> Iterator[dict[str, float]]:
    """The size of the step that is taken inside, as a row for a training log.

        with weigh.update_ratio(optimizer) as row:
            optimizer.step()
        log.append({"step": step, "loss": loss.item(), **row})

    The row is empty until the end of the block. It then has `gradient_norm`, the Euclidean norm of all gradients as the
    optimizer found them; `update_ratio`, the norm of the change of all weights by the norm of the weights; `unmoved`,
    the share of the weights with a gradient other than zero that are to the bit what they were. Norms are summed in
    float64. It takes a copy of the weights for as long as the block lasts. Unscale gradients first where they are
    scaled, as float16 needs it.

    Args:
        optimizer: A `torch.optim.Optimizer`, after the backward pass. Parameters without a gradient are left out.
    """
    with needed("update_ratio"):
        import torch
    row: dict[str, float] = {}
    with torch.no_grad():
        weights = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        gradients = [_dense(p.grad) for p in weights]
        gradient_norm, weight_norm = _norm(gradients), _norm(weights)
        pulled = [gradient != 0 for gradient in gradients]
        before = [p.detach().clone() for p in weights]
    yield row
    with torch.no_grad():
        moved = _norm([new.double() - old.double() for new, old in zip(weights, before, strict=True)])
        stayed = sum(int(((new == old) & pull).sum()) for new, old, pull in zip(weights, before, pulled, strict=True))
        count = sum(int(pull.sum()) for pull in pulled)
    ratio = moved / weight_norm if weight_norm else float("inf") if moved else 0.0
    row.update(gradient_norm=gradient_norm, update_ratio=ratio, unmoved=stayed / count if count else 0.0)


def _norm(tensors: Any) -> float:
    import torch

    squares = (float(torch.linalg.vector_norm(_dense(each), dtype=torch.float64)) ** 2 for each in tensors)
    return math.sqrt(sum(squares))


def _dense(tensor: Any) -> Any:
    return tensor.to_dense() if tensor.is_sparse else tensor


def standstill(log: Any, *, threshold: float = 0.01) -> CheckResult:
    """Updates too small to train: the farthest that all of them together can have moved the weights.

    The figure is the sum of the update-to-weight ratios over the steps, between logged ones by the trapezoidal rule. By
    the triangle inequality the weights have moved no farther, as a share of their norm.

    Args:
        log: As `check_optimizer` takes it.
        threshold: The share below which the run has left the weights where they were.
    """
    import numpy as np

    read = training_log(log)
    series = read.named("update ratio").finite()
    path = math.nan
    if len(series):
        path = float(np.trapezoid(series.values, series.steps) + (series.values[0] + series.values[-1]) / 2)
    return CheckResult(
        check="standstill",
        figure=Figure.exact("longest way of the weights, as a share of their norm", path),
        threshold=threshold,
        fault="below",
        reason="weights that have moved by less than a hundredth are those of the start",
        cost={"rows": read.rows},
    )


def vanishing_updates(log: Any, *, dtype: str | None = None, threshold: float = 0.5) -> CheckResult:
    """Updates that rounding swallows: the share of weights that a step leaves to the bit as they were.

    Where the log does not have that share, which `update_ratio` measures as `unmoved`, the update-to-weight ratio is
    held against half a unit in the last place: an update below it, of a weight of that size, rounds to nothing.

    Args:
        log: As `check_optimizer` takes it.
        dtype: The format that the weights are kept in between steps; float32 without it.
        threshold: The share of weights that may stay, in half of the logged steps.

    Raises:
        InvalidTable: If the log has neither series.
        InvalidSetting: If the format is unknown.
    """
    dtype = dtype or "float32"
    if dtype not in PRECISIONS:
        raise InvalidSetting("dtype", f"{dtype!r} is not known; give one of {', '.join(PRECISIONS)}")
    read = training_log(log)
    if "unmoved" in read.series:
        name, below, limit = "share of weights that a step leaves unmoved", False, threshold
        series, reason = read.named("unmoved").finite(), "a weight that has a gradient and stays is not trained"
    else:
        name, below, limit = "update-to-weight ratio", True, 2.0 ** -(PRECISIONS[dtype] + 1)
        series, reason = read.named("update ratio").finite(), f"half a unit in the last place of {dtype}"
    value, low, high = _median(series.values)
    return CheckResult(
        check="vanishing updates",
        figure=Figure(f"median {name}", value, low, high, "95 %, order statistics of the logged steps"),
        threshold=limit,
        fault="below" if below else "above",
        reason=reason,
        cost={"rows": read.rows},
        notes=() if len(series) >= 6 else (f"{len(series)} finite values: an interval needs 6",),
    )


def _median(values: Any) -> tuple[float, float, float]:
    """The median with its interval; NaN for what too few values do not give."""
    import numpy as np

    with needed("interval of a median"):
        from scipy.stats import quantile_test

    if len(values) < 6:
        return float(np.median(values)) if len(values) else math.nan, math.nan, math.nan
    interval = quantile_test(values, p=0.5).confidence_interval()
    return float(np.median(values)), float(interval.low), float(interval.high)
