"""Checks of calibration: does confidence match how often a model is right?"""

from collections.abc import Iterable, Mapping
from typing import Any

from weigh.checks.calibration.abstention import answerable
from weigh.checks.calibration.predictions import Predictions, predictions
from weigh.checks.calibration.reliability import FEWEST, brier_parts, miscalibration, one_sided_gap
from weigh.checks.calibration.slices import calibration_by_class, calibration_by_slice
from weigh.checks.confidence_buckets import Buckets, Strategy, borders, buckets
from weigh.checks.results import CheckReport, CheckResult, Figure, first
from weigh.errors import InvalidSetting
from weigh.optional import needed


def check_calibration(
    table: Any,
    *,
    label: str | None = None,
    probabilities: Mapping[Any, str] | str | None = None,
    correct: str | None = None,
    confidence: str | None = None,
    slices: Iterable[str] = (),
    bins: int = 15,
    strategy: Strategy = "uniform",
    threshold: float = 0.02,
    risk: float | None = None,
    coverage: float = 0.8,
    seed: int = 0,
) -> CheckReport:
    """All checks of calibration that the named columns allow: overall, its sign, by class, by slice, abstention.

    Args:
        table: A path or a frame with a row for each prediction: CSV, Parquet, Arrow, pandas, Polars, DuckDB.
        label: The column of labels, with `probabilities`.
        probabilities: The columns of probabilities by class, or their prefix, as `predictions` takes them.
        correct: The column of whether an answer was right, with `confidence`, for any other model.
        confidence: The column of probabilities that the answer is right.
        slices: Columns that say what a row belongs to.
        bins: How many buckets of confidence.
        strategy: `uniform` for buckets of one width, `quantile` for as many rows in each.
        threshold: The largest calibration error that does not matter; 0 asks for any at all.
        risk: With it abstention is checked: the largest share of wrong answers that is wanted.
        coverage: The least share of rows that is then to be answered.
        seed: Of the draws of the noise floor.

    Raises:
        InvalidTable: If a column is missing or cannot be used.
        InvalidSetting: If a setting is out of range.
    """
    settings: dict[str, Any] = {"bins": bins, "strategy": strategy, "threshold": threshold, "seed": seed}
    found = predictions(
        table, label=label, probabilities=probabilities, correct=correct, confidence=confidence, slices=slices
    )
    results = [calibration_error(found, **settings), overconfidence(found, threshold=threshold)]
    if found.chances is not None:
        results.append(calibration_by_class(found, **settings))
    if slices:
        results.append(calibration_by_slice(found, **settings))
    if risk is not None:
        results.append(answerable(found, risk, threshold=coverage))
    return CheckReport("calibration", found.where, tuple(results))


def calibration_error(
    predictions: Predictions,
    *,
    bins: int = 15,
    strategy: Strategy = "uniform",
    threshold: float = 0.02,
    seed: int = 0,
) -> CheckResult:
    """The expected calibration error, held against what a perfectly calibrated model scores on as many rows.

    With few rows that is much. A label is drawn for each row from its confidence, many times over; the error must
    exceed the 95 % point of what comes out, and the threshold on top. So a threshold of 0 is a test at 5 %. The finding
    is “no” only if the error is known to be at most the threshold. The evidence is the reliability by bucket. Guo and
    others 2017, arXiv 1706.04599.

    Args:
        predictions: What `predictions` read, or `Predictions` of arrays.
        bins: How many buckets of confidence.
        strategy: `uniform` for buckets of one width, `quantile` for as many rows in each.
        threshold: The largest calibration error that does not matter; 0 asks for any at all.
        seed: Of the draws.

    Raises:
        InvalidSetting: If a setting is out of range.
    """
    _settled(threshold)
    with needed(predictions.where):
        import numpy as np
    sure, right = predictions.confidence, predictions.correct
    found = buckets(sure, right, borders(sure, bins, strategy))
    measured = miscalibration(found, threshold, np.random.default_rng(seed))
    low, high, notes = measured.low, measured.high, []
    if len(predictions) < FEWEST:
        low = high = float("nan")
        notes.append(f"{len(predictions)} rows are too few to judge; {FEWEST} are needed")
    told = "above" if measured.error > measured.floor_95 else "not above"
    parts = brier_parts(predictions, bins=bins, strategy=strategy)
    notes += [
        f"noise floor: on {len(predictions):,} such rows a calibrated model scores {measured.floor:.4f}, and up to "
        f"{measured.floor_95:.4f} in 95 % of tests; this one is {told} that",
        f"Brier score {parts.brier:.4f} = reliability {parts.reliability:.4f} − resolution {parts.resolution:.4f} + "
        f"uncertainty {parts.uncertainty:.4f} + within buckets {parts.within:.4f}",
    ]
    if parts.resolution < 0.01 * parts.uncertainty:
        notes.append("the confidence hardly tells right answers from wrong ones: calibrated or not, it is of no use")
    return CheckResult(
        check="calibration",
        figure=Figure(
            f"expected calibration error, {bins} bins", measured.error, low, high,
            "95 % each end: less its noise, plus its standard errors",
        ),
        threshold=threshold,
        reason="two points in a hundred move few decisions, and more have to be above what counting alone gives",
        evidence=_diagram(found),
        cost={"rows": len(predictions), "buckets": len(found.rows)},
        notes=tuple(notes),
    )  # fmt: skip


def overconfidence(predictions: Predictions, *, threshold: float = 0.02) -> CheckResult:
    """Over- or under-confidence: how far mean confidence and accuracy are apart, by the sign that was found.

    The interval is that of a mean of differences, whose variance is at least what calibrated labels would have.

    Args:
        predictions: What `predictions` read, or `Predictions` of arrays.
        threshold: The largest distance that does not matter.

    Raises:
        InvalidSetting: If the threshold is out of range.
    """
    _settled(threshold)
    with needed(predictions.where):
        import numpy as np
        from scipy.stats import norm
    sure, right = predictions.confidence, predictions.correct
    gap = float(np.mean(sure - right))
    name = "over-confidence: mean confidence − accuracy"
    if gap < 0:
        name = "under-confidence: accuracy − mean confidence"
    variance = max(float(np.var(sure - right)), float(np.mean(sure * (1 - sure))))
    spread = float(norm.ppf(0.975) * np.sqrt(variance / len(predictions)))
    unseen = one_sided_gap(len(predictions), float(right.mean()), float(sure.mean()), 0.975)
    notes = [f"mean confidence {sure.mean():.4f}, accuracy {right.mean():.4f}"]
    if len(predictions) < FEWEST:
        spread = unseen = float("nan")
        notes.append(f"{len(predictions)} rows are too few to judge; {FEWEST} are needed")
    return CheckResult(
        check="over- or under-confidence",
        figure=Figure(name, abs(gap), abs(gap) - spread, max(abs(gap) + spread, unseen), "95 %, normal"),
        threshold=threshold,
        reason="as for the calibration error, of which this is the part with one sign",
        cost={"rows": len(predictions)},
        notes=tuple(notes),
    )


def _settled(threshold: float) -> None:
    if not 0 <= threshold < 1:
        raise InvalidSetting("threshold", "is 0 or more, and less than 1")


def _diagram(found: Buckets) -> tuple[Any, ...]:
    """The reliability diagram as rows, with Wilson's interval of each accuracy."""
    with needed("reliability"):
        import numpy as np
        from statsmodels.stats.proportion import proportion_confint
    low, high = proportion_confint(np.rint(found.accuracy * found.rows), found.rows, method="wilson")
    return first(
        ({"confidence": f"{found.lower[each]:.3f}–{found.upper[each]:.3f}", "rows": int(found.rows[each]),
          "mean confidence": float(found.confidence[each]), "accuracy": float(found.accuracy[each]),
          "from": float(low[each]), "to": float(high[each])} for each in range(len(found.rows))), len(found.rows)
    )  # fmt: skip
