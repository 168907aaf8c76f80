"""What a leak is worth: the score under a split that leaks, less the score under one that does not."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from weigh.checks.results import CheckResult, Figure
from weigh.checks.tables import complete, moments, names, numbers, read, scan, subject
from weigh.errors import InvalidTable
from weigh.optional import needed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Folds = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]

_FEWEST_UNITS = 10


def leak_cost(
    table: Any,
    target: str,
    estimator: Any,
    metric: Callable[..., float],
    *,
    group: str | None = None,
    time: str | None = None,
    features: Iterable[str] | None = None,
    better: Literal["higher", "lower"] = "higher",
    folds: int = 5,
    blocks: int = 30,
    resamples: int = 400,
    stratified: bool = False,
    seed: int = 0,
    threshold: float = 0.02,
) -> CheckResult:
    """The score that a leak adds: under a shuffled split, less under one that keeps groups whole or time in order.

    Both are cross-validated on the same rows with training sets of the same sizes: the shuffled split is the other one
    with its rows permuted. So the difference is what a model gains by having met a row's group, or its future. The
    interval is a bootstrap over groups, or over blocks of consecutive rows; it holds for these folds and this seed.

    Args:
        table: A path or a frame, as `check_splits` takes it.
        target: The column to predict: numbers or classes.
        estimator: One of scikit-learn's, or with its methods; it is cloned for each fold.
        metric: A function of true values, predictions and `sample_weight`, such as those of `sklearn.metrics`.
        group: The column that says whose a row is. The closed split is GroupKFold, or StratifiedGroupKFold.
        time: The column that orders the rows. The closed split is TimeSeriesSplit.
        features: The columns of numbers to predict from; all numeric ones but these without it.
        better: Which values of the metric are good: the cost is positive where the leak flatters.
        folds: Folds of each split.
        blocks: With `time`, how many blocks of consecutive rows the bootstrap draws from.
        resamples: How many draws the bootstrap makes.
        stratified: With `group`, whether folds have the classes in like shares.
        seed: Of the permutation and the bootstrap.
        threshold: The largest cost that is none, in the unit of the metric.

    Raises:
        InvalidTable: If a column is missing or cannot be used, or if there are fewer groups than folds.
        ValueError: If both or neither of `group` and `time` are given.
    """
    if (group is None) == (time is None):
        raise ValueError("give group or time, one of them")
    unit = group if group is not None else time
    assert unit is not None
    with needed(subject(table)):
        import numpy as np
        from sklearn import config_context
        from sklearn.base import is_classifier
    features = list(features or ())
    rows = read(table, [target, unit, *(features or names(scan(table), table))])
    numeric = [name for name, kind in rows.schema.items() if kind.is_numeric() and name not in (target, unit)]
    chosen = features or numeric
    if not chosen:
        raise InvalidTable(subject(table), "has no column of numbers to predict from; name features")
    x = np.column_stack([numbers(rows, table, name) for name in chosen])
    y = np.asarray(complete(rows, table, target)) if is_classifier(estimator) else numbers(rows, table, target)
    whose = moments(rows, table, unit) if time is not None else np.asarray(complete(rows, table, unit))
    labels = np.unique(whose, return_inverse=True)[1]
    if time is not None:
        in_time = np.argsort(labels, kind="stable")
        x, y, labels = x[in_time], y[in_time], labels[in_time]
    closed = _closed(table, unit, y, labels, group is not None, folds, stratified)
    # Not the caller's own stream: one who shuffled rows with this seed would have them shuffled back.
    shuffling, drawing = np.random.default_rng(seed).spawn(2)
    order = shuffling.permutation(len(y))
    leaky = [(order[learn], order[judge]) for learn, judge in closed]
    (open_said, open_there), (said, there) = (_out_of_fold(estimator, x, y, split) for split in (leaky, closed))
    both = open_there & there
    units = labels if group is not None else np.arange(len(y)) * blocks // len(y)
    sign = 1 if better == "higher" else -1

    y, open_said, said, units = y[both], open_said[both], said[both], units[both]

    def scores(weights: "NDArray[np.float64]") -> tuple[float, float]:
        kept = weights > 0
        leaking, closing = (metric(y[kept], one[kept], sample_weight=weights[kept]) for one in (open_said, said))
        return float(leaking), float(closing)

    leaking, closing = scores(np.ones(len(y)))
    members, units = np.unique(units, return_inverse=True)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        low, high, notes = _interval(scores, units, len(members), sign, resamples, drawing)
    what = "groups" if group is not None else "blocks of time"
    name, interval = f"{_name(metric)} that the leak adds", f"95 %, bootstrap over {len(members):,} {what}"
    return CheckResult(
        check=f"cost of a leak by {unit}",
        figure=Figure(name, sign * (leaking - closing), low, high, interval),
        threshold=threshold,
        reason="another shuffle moves a share such as R² or accuracy about as much; a metric with a unit needs its own",
        evidence=({"split": "shuffled", "score": leaking}, {"split": f"closed by {unit}", "score": closing}),
        cost={"rows judged": len(y), "models fitted": 2 * len(closed)},
        notes=notes,
    )


def _closed(
    table: Any, unit: str, y: Any, labels: "NDArray[np.intp]", grouped: bool, folds: int, stratified: bool
) -> "Folds":
    """The split that does not leak, by scikit-learn."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, TimeSeriesSplit

    distinct = len(set(labels.tolist()))
    least = folds if grouped else folds + 1
    if distinct < least:
        raise InvalidTable(subject(table), f"column {unit!r} has {distinct} values; {folds} folds need {least}")
    if grouped:
        splitter = StratifiedGroupKFold(folds) if stratified else GroupKFold(folds)
        return list(splitter.split(y, y, labels))
    # Rows of one moment stay on one side: moments are split, and their rows follow.
    import numpy as np

    moments = np.arange(distinct)
    every = TimeSeriesSplit(folds).split(moments)
    return [(np.flatnonzero(labels <= learn[-1]), np.flatnonzero(np.isin(labels, judge))) for learn, judge in every]


def _out_of_fold(estimator: Any, x: "NDArray[np.float64]", y: Any, split: "Folds") -> tuple[Any, "NDArray[np.bool_]"]:
    """Predictions for the rows that a split tests, and which those are. cross_val_predict takes partitions only."""
    import numpy as np
    from sklearn.base import clone

    said, there = np.zeros_like(y), np.zeros(len(y), dtype=bool)
    for learn, judge in split:
        said[judge] = clone(estimator).fit(x[learn], y[learn]).predict(x[judge])
        there[judge] = True
    return said, there


def _interval(
    scores: Callable[["NDArray[np.float64]"], tuple[float, float]],
    units: "NDArray[np.intp]",
    count: int,
    sign: int,
    resamples: int,
    drawing: "np.random.Generator",
) -> tuple[float, float, tuple[str, ...]]:
    """The 2.5 % and 97.5 % quantiles of the cost, with units drawn anew; NaN where they are too few to say."""
    import numpy as np

    if count < _FEWEST_UNITS:
        note = f"{count} units are too few for an interval; {_FEWEST_UNITS} are needed"
        return float("nan"), float("nan"), (note,)
    drawn = []
    for _ in range(resamples):
        times = np.bincount(drawing.integers(count, size=count), minlength=count)
        leaking, closing = scores(times[units].astype(float))
        drawn.append(sign * (leaking - closing))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high), ()


def _name(metric: Callable[..., float]) -> str:
    return getattr(metric, "__name__", "score").removesuffix("_score").replace("_", " ")
