"""What a training run and its schedule left on the table: the curves of losses and of the learning rate."""

from math import nan
from typing import Any

from weigh.checks.optimizers.logs import Series, training_log
from weigh.checks.optimizers.rises import levels
from weigh.checks.results import CheckResult, Figure

WINDOW = 20
EVALUATIONS = 5


def no_progress(log: Any, *, window: int = WINDOW, threshold: float = 0.01) -> CheckResult:
    """No progress: the share of its first level by which the training loss has fallen.

    The first level is the first value alone where the first steps have already raised the loss beyond doubt.

    Args:
        log: As `check_optimizer` takes it.
        window: How many rows make a level, which is their median.
        threshold: The share below which the run has learnt nothing.

    Raises:
        InvalidTable: If the log has no training loss.
    """
    read = training_log(log)
    series = read.named("train loss").finite()
    fall = most = nan
    notes = []
    if len(series) < 2 * window:
        notes.append(f"{len(series)} finite training losses: two levels need {2 * window}, or a smaller window")
    else:
        low, middle, high = levels(series.values, window)
        # Where the first steps broke the model, only the first value is of before.
        start, beyond = (series.values[0],) * 2 if series.values[0] < low[0] else (middle[0], high[0])
        if start > 0:
            fall, most = (1 - float(last / first) for last, first in ((middle[-1], start), (low[-1], beyond)))
        else:
            notes.append("the first training loss is not above 0, so that a fall is no share of it")
    return CheckResult(
        check="no progress",
        figure=Figure(
            "fall of the training loss, as a share of its first level",
            fall,
            fall,
            max(fall, most),
            f"one-sided, order statistics of {window} rows",
        ),
        threshold=threshold,
        fault="below",
        reason="a rate far too low, or one so high that the first steps broke the model, leaves the loss where it was",
        cost={"rows": read.rows, "rows of a level": window},
        notes=tuple(notes),
    )


def overfitting(log: Any, *, window: int = EVALUATIONS, threshold: float = 0.05) -> CheckResult:
    """Overfitting: how far the validation loss has risen above its best, as a share of it, while training went on.

    What the training loss rose by in the same stretch is taken off: a run that comes apart is no overfitting.

    Args:
        log: As `check_optimizer` takes it.
        window: How many evaluations make a level.
        threshold: The share by which it may have risen.

    Raises:
        InvalidTable: If the log has no validation loss.
    """
    import numpy as np

    read = training_log(log)
    series = read.named("validation loss").finite()
    figure, evidence, notes = Figure("rise of the validation loss, as a share of its best", nan, nan, nan), [], []
    if len(series) < 2 * window:
        notes.append(f"{len(series)} finite validation losses: it takes {2 * window}; evaluate more often")
    else:
        low, middle, high = levels(series.values, window)
        best = int(np.argmin(high[:-window]))
        risen, surely = middle[-1] - middle[best], low[-1] - high[best]
        stretches = [(series.step(at), series.step(at + window - 1)) for at in (best, len(series) - window)]
        train = [_within(read.series.get("train loss"), *stretch) for stretch in stretches]
        if any(np.isnan(train)):
            notes.append("no training loss beside the best and the last evaluations: any rise counts")
        else:
            shared = max(train[1] - train[0], 0.0)
            risen, surely = risen - shared, surely - shared
        if middle[best] > 0:
            share, least = (max(float(rise / middle[best]), 0.0) for rise in (risen, surely))
        else:
            share = least = nan
            notes.append("the best validation loss is not above 0, so that a rise is no share of it")
        interval = f"one-sided, order statistics of {window} evaluations"
        figure = Figure(figure.name, share, min(least, share), share, interval)
        evidence = [
            {"at": at, "steps": f"{since} to {until}", "validation loss": float(level), "training loss": learnt}
            for at, (since, until), level, learnt in zip(
                ("best", "last"), stretches, (middle[best], middle[-1]), train, strict=True
            )
        ]
    return CheckResult(
        check="overfitting",
        figure=figure,
        threshold=threshold,
        reason="the best checkpoint lies behind; what came after it is learnt by heart",
        evidence=tuple(evidence),
        cost={"evaluations": len(series)},
        notes=tuple(notes),
    )


def undecayed_rate(log: Any, *, threshold: float = 0.5) -> CheckResult:
    """A learning rate that has not decayed: the last one as a share of the highest.

    A run that has steps left may still decay, and is undecided. Where the rate is constant on purpose, set the
    threshold to 1.

    Args:
        log: As `check_optimizer` takes it.
        threshold: The share at which the rate counts as not decayed.

    Raises:
        InvalidTable: If the log has no learning rate.
    """
    read = training_log(log)
    series = read.named("learning rate").finite()
    peak = float(max(series.values, default=0))
    if peak > 0:
        first, last = (float(series.values[at]) / peak for at in (0, -1))
        notes = [f"it starts at {first:.3g} of its highest value" + (": there is no warm-up" if first > 0.9 else "")]
        evidence = [{"highest": peak, "last": last * peak, "at step": series.step(-1)}]
    else:
        last, notes, evidence = nan, ["no rate is above 0, so that the last is no share of the highest"], []
    if read.finished is False:
        notes.append("the run has steps left, in which the rate may still decay")
    return CheckResult(
        check="undecayed rate",
        figure=Figure(
            "last learning rate as a share of the highest", last, 0.0 * last if read.finished is False else last, last
        ),
        threshold=threshold,
        reason="at a constant rate the noise of batches holds the loss above what the weights could reach",
        evidence=tuple(evidence),
        cost={"rows": read.rows},
        notes=tuple(notes),
    )


def _within(series: Series | None, since: Any, until: Any) -> float:
    """The median of a series over a stretch of steps; NaN where it has no value there."""
    import numpy as np

    if series is None:
        return nan
    values = series.finite()
    values = values.values[(values.steps >= since) & (values.steps <= until)]
    return float(np.median(values)) if len(values) else nan
