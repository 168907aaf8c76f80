"""Whether a training run comes apart: numbers that are lost, and growth that the loss may still hide."""

from math import nan
from typing import Any

from weigh.checks.optimizers.learning_curves import WINDOW
from weigh.checks.optimizers.logs import Series, TrainingLog, training_log
from weigh.checks.optimizers.rises import levels, rise
from weigh.checks.results import CheckResult, Figure
from weigh.errors import InvalidTable

_FLOOR = 1e-6  # of the first level: what lies below is rounding in float32, and may grow
_SHOWN = 0.05  # of its lowest level so far: by how much a loss rises before one says so


def not_a_number(log: Any) -> CheckResult:
    """Numbers lost for good: how many rows at the end of a log have a loss or a gradient norm that is not finite.

    One row amid finite ones is no fault: a loss scaler, as float16 needs one, skips such a step and goes on.

    Args:
        log: As `check_optimizer` takes it.
    """
    import numpy as np

    read = training_log(log)
    lost: dict[str, tuple[int, Any, int]] = {}
    for name in ("train loss", "validation loss", "gradient norm", "update ratio"):
        if name in read.series:
            series = read.series[name]
            finite = np.flatnonzero(np.isfinite(series.values))
            first = int(finite[-1]) + 1 if len(finite) else 0
            lost[name] = (len(series) - first, series.step(min(first, len(series) - 1)), len(series) - len(finite))
    ends = {name: (rows, step) for name, (rows, step, _) in lost.items() if rows}
    passing = sum(total - rows for rows, _, total in lost.values())
    return CheckResult(
        check="not a number",
        figure=Figure.exact("rows at the end that are not finite", max((rows for rows, _ in ends.values()), default=0)),
        threshold=0,
        reason="a weight that is NaN makes every later loss NaN, and no step brings it back",
        evidence=tuple({"series": name, "since step": step, "rows": rows} for name, (rows, step) in ends.items()),
        cost={"rows": read.rows},
        notes=(
            *read.notes,
            *([f"{passing:,} values before the end are not finite; those that come after are"] if passing else []),
        ),
    )


def dead_gradients(log: Any) -> CheckResult:
    """Gradients that are gone: how many rows at the end of a log have a gradient norm of exactly zero.

    Args:
        log: As `check_optimizer` takes it.

    Raises:
        InvalidTable: If the log has no gradient norm.
    """
    import numpy as np

    read = training_log(log)
    series = read.named("gradient norm")
    alive = np.flatnonzero(series.values != 0)
    rows = len(series) - (int(alive[-1]) + 1 if len(alive) else 0)
    return CheckResult(
        check="dead gradients",
        figure=Figure.exact("rows at the end with a gradient norm of 0", rows),
        threshold=0,
        reason="no weight has a gradient: all units are off, or what is trained does not reach the loss",
        evidence=({"since step": series.step(-rows)},) if rows else (),
        cost={"rows": read.rows},
    )


def instability(log: Any, *, window: int = WINDOW, threshold: float = 2.0) -> CheckResult:
    """Instability that the loss may still hide: how far the gradient norm, or the update-to-weight ratio, has risen.

    The figure is the growth from the lowest level so far to a later one. The update-to-weight ratio is divided by the
    learning rate where the log has one, so that a warm-up is no growth. The evidence says at which step the growth is
    first beyond doubt, and at which step the loss, held to the same bound, has begun to rise.

    Args:
        log: As `check_optimizer` takes it.
        window: How many rows make a level, which is their median.
        threshold: The growth that is no fault yet.

    Raises:
        InvalidTable: If the log has neither series, or a negative value in one.
        InvalidSetting: If the window has fewer than 5 rows.
    """
    import numpy as np

    read, limits = training_log(log), f"a growth of {threshold:g}"
    if not {"gradient norm", "update ratio"} & set(read.series):
        read.named("gradient norm")
    shown = _loss_rises(read, window)
    figure, evidence, notes = Figure("growth of the gradient norm", nan, nan, nan, "none"), [], []
    for name in ("gradient norm", "update ratio"):
        if name not in read.series:
            continue
        series = read.series[name].finite()
        if (series.values < 0).any():
            raise InvalidTable(read.subject, f"column {series.column!r} has a value below 0, which no norm has")
        if name == "update ratio" and "learning rate" in read.series:
            series, name = _by_rate(series, read.series["learning rate"]), "update ratio per learning rate"
        if len(series) < 2 * window:
            notes.append(f"{len(series)} finite values of the {name}: {limits} needs {2 * window}, or a smaller window")
            continue
        values = np.maximum(series.values, _FLOOR * np.median(series.values[:window]))
        found = rise(values, window, threshold)
        if not found.low <= figure.low:  # NaN is the first figure's
            figure = Figure(f"growth of the {name}", found.value, found.low, found.value, found.interval)
        evidence.append(
            {
                "series": name,
                "growth": found.value,
                "from step": series.step(found.lowest),
                "to step": series.step(found.at),
                "beyond doubt at step": None if found.first is None else series.step(found.first),
                "loss rises at step": shown,
            }
        )
    return CheckResult(
        check="instability",
        figure=figure,
        threshold=threshold,
        reason="near a minimum gradients shrink or keep their size; twice the quietest level is growth, not noise",
        evidence=tuple(evidence),
        cost={"rows": read.rows, "rows of a level": window},
        notes=tuple(notes),
    )


def _loss_rises(log: TrainingLog, window: int) -> Any:
    """The step at which the training loss has begun to rise, or is no number; `None` if it does neither."""
    import numpy as np

    if "train loss" not in log.series:
        return None
    series = log.series["train loss"]
    broken = np.flatnonzero(~np.isfinite(series.values))
    steps = [series.step(broken[0])] if len(broken) else []
    series = series.finite()
    if len(series) >= 2 * window:
        middle = levels(series.values, window)[1]
        lowest = np.minimum.accumulate(middle)[:-window]
        found = rise(series.values, window, _SHOWN * abs(lowest), "difference")
        steps += [] if found.first is None else [series.step(found.first)]
    return min(steps, default=None)


def _by_rate(series: Series, rate: Series) -> Series:
    """A series divided by the learning rate of the same step, where that is above 0."""
    import numpy as np

    _, here, there = np.intersect1d(series.steps, rate.steps, return_indices=True)
    rates = rate.values[there]
    keep = np.isfinite(rates) & (rates > 0)
    return Series(series.column, series.steps[here][keep], series.values[here][keep] / rates[keep])
