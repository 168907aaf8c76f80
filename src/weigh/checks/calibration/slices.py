"""Calibration of each slice: which of many are off by more than chance would make the worst of so many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from weigh.checks.calibration.predictions import PREDICTED
from weigh.checks.calibration.reliability import FEWEST, Miscalibration, miscalibration
from weigh.checks.confidence_buckets import Buckets, Strategy, borders, buckets
from weigh.checks.multiple_tests import holm
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import InvalidTable

if TYPE_CHECKING:
    from weigh.checks.calibration.predictions import Predictions

MOST_SLICES = 200
"""So many are tried at once."""

_CHANCE = 0.05
_ECE = "expected calibration error"


@dataclass(frozen=True)
class _Slice:
    name: str
    found: Buckets

    @property
    def rows(self) -> int:
        return int(self.found.rows.sum())

    def mean(self, values: Any) -> float:
        return float(self.found.rows @ values / self.rows)


def calibration_by_slice(
    predictions: "Predictions",
    *,
    bins: int = 15,
    strategy: Strategy = "uniform",
    threshold: float = 0.02,
    seed: int = 0,
) -> CheckResult:
    """Calibration by slice: the calibration error of the worst slice, guarded against trying many.

    The interval is at 95 % for all slices together (Bonferroni), and the p-values of the evidence are Holm's, of more
    than the threshold. A slice of fewer than 20 rows is left out.

    Args:
        predictions: What `predictions` read, or `Predictions` of arrays, with slices other than the predicted class.
        bins: How many buckets of confidence.
        strategy: `uniform` for buckets of one width, `quantile` for as many rows in each.
        threshold: The largest calibration error that does not matter.
        seed: Of the draws.

    Raises:
        InvalidTable: If there are no slices, or more than 200.
    """
    chosen = {name: values for name, values in predictions.slices.items() if name != PREDICTED}
    if not chosen:
        raise InvalidTable(predictions.where, "has no slices; name a column that says what a row belongs to")
    return _worst("calibration by slice", predictions, chosen, bins, strategy, threshold, seed)


def calibration_by_class(
    predictions: "Predictions",
    *,
    bins: int = 15,
    strategy: Strategy = "uniform",
    threshold: float = 0.02,
    seed: int = 0,
) -> CheckResult:
    """Calibration by predicted class: is a model that says “3” with 90 % right in nine of ten such cases?

    As `calibration_by_slice`, with a slice for each class that is predicted. The notes give the class-wise error (Kull
    and others 2019, arXiv 1910.12656): the mean over classes of the calibration error of a class's probability. It
    counts all rows for each class, most of which have a probability near 0, and so shrinks with the number of classes.

    Raises:
        InvalidTable: If the predictions have no classes.
    """
    if PREDICTED not in predictions.slices:
        raise InvalidTable(predictions.where, "has no classes; name a label and the probabilities of its classes")
    only = {PREDICTED: predictions.slices[PREDICTED]}
    note = _class_wise(predictions, bins, strategy, seed)
    return _worst("calibration by class", predictions, only, bins, strategy, threshold, seed, note)


def _worst(
    check: str,
    predictions: "Predictions",
    chosen: dict[str, Sequence[Any]],
    bins: int,
    strategy: Strategy,
    threshold: float,
    seed: int,
    note: str = "",
) -> CheckResult:
    random = np.random.default_rng(seed)
    edges = borders(predictions.confidence, bins, strategy)
    slices, notes = _slices(predictions, chosen, edges)
    measured = [miscalibration(one.found, threshold, random, 1 - _CHANCE / len(slices)) for one in slices]
    figure = Figure(f"{_ECE} of the worst slice", float("nan"), float("nan"), float("nan"), "none")
    evidence: tuple[Any, ...] = ()
    if slices:
        adjusted = holm([one.p for one in measured])
        by_worst = sorted(range(len(slices)), key=lambda each: (-measured[each].low, -measured[each].error))
        evidence = first(_row(slices[each], measured[each], adjusted[each]) for each in by_worst)
        top = by_worst[0]
        figure = Figure(
            f"{_ECE} of the worst slice, {slices[top].name}",
            measured[top].error,
            max(one.low for one in measured),
            max(one.high for one in measured),
            f"95 % for {len(slices)} slices together: less its noise, plus its standard errors",
        )
        off = sum(p <= _CHANCE for p in adjusted)
        notes.insert(0, f"{off} of {len(slices)} slices are off by more than {threshold:g}, by Holm's test at 5 %")
    return CheckResult(
        check=check,
        figure=figure,
        threshold=threshold,
        reason="a slice may matter by itself, so it is held against what is asked of all rows",
        evidence=evidence,
        cost={"rows": len(predictions), "slices": len(slices)},
        notes=(*notes, note) if note else tuple(notes),
    )


def _row(one: _Slice, measured: Miscalibration, p: float) -> dict[str, Any]:
    sure, right = one.mean(one.found.confidence), one.mean(one.found.accuracy)
    return {"slice": one.name, "rows": one.rows, "confidence": sure, "accuracy": right, "ECE": measured.error,
            "noise floor, 95 %": measured.floor_95, "Holm's p": p}  # fmt: skip


def _slices(predictions: "Predictions", chosen: dict[str, Sequence[Any]], edges: Any) -> tuple[list[_Slice], list[str]]:
    """The slices that have enough rows, and notes on what is left out."""
    slices, small, later = [], 0, 0
    for column, values in chosen.items():
        names, code = np.unique(np.asarray(values), return_inverse=True)
        rows = np.bincount(code)
        small += int((rows < FEWEST).sum())
        enough = np.flatnonzero(rows >= FEWEST)
        if len(names) > MOST_SLICES and column != PREDICTED:
            problem = f"column {column!r} has {len(names):,} different values; {MOST_SLICES} slices are the most"
            raise InvalidTable(predictions.where, f"{problem}. Bin it, or name a coarser one")
        later += max(0, len(enough) - MOST_SLICES)
        enough = np.sort(enough[np.argsort(-rows[enough], kind="stable")][:MOST_SLICES])
        order, starts = np.argsort(code, kind="stable"), np.concatenate([[0], np.cumsum(rows)])
        for each in enough:
            some = order[starts[each] : starts[each + 1]]
            found = buckets(predictions.confidence[some], predictions.correct[some], edges)
            slices.append(_Slice(f"{column} = {names[each]}", found))
    notes = [f"{small:,} slices have fewer than {FEWEST} rows: left out"] if small else []
    return slices, notes + ([f"{later:,} smaller slices are left out"] if later else [])


def _class_wise(predictions: "Predictions", bins: int, strategy: Strategy, seed: int) -> str:
    """The class-wise calibration error beside that of a calibrated model, as a note."""
    if predictions.chances is None:
        return ""
    random, errors, floors = np.random.default_rng(seed), [], []
    for place, chance in enumerate(predictions.chances.T):
        found = buckets(chance, predictions.labels == place, borders(chance, bins, strategy))
        errors.append(found.error)
        floors.append(found.noise(found.confidence, random, 200).mean())
    return f"class-wise calibration error {np.mean(errors):.4f}; a calibrated model scores {np.mean(floors):.4f}"
