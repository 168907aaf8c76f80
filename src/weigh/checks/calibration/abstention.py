"""Abstention: how many rows a model may answer if its answers are to be right often enough."""

from typing import TYPE_CHECKING, Any

import numpy as np

from weigh.checks.calibration.reliability import FEWEST
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import InvalidSetting
from weigh.optional import needed

if TYPE_CHECKING:
    from weigh.checks.calibration.predictions import Predictions

_STEPS = 20
"""Coverages that are tried: 5 %, 10 %, … of the rows."""


def answerable(predictions: "Predictions", risk: float, *, threshold: float = 0.8) -> CheckResult:
    """Answerable rows: the share that a model may answer, surest first, with at most such a share of wrong answers.

    The evidence is the risk–coverage curve. The lower end of the interval is the largest share of which the risk is
    proved to be small enough, the upper end the largest of which the contrary is not, each by exact binomial bounds at
    95 % for all twenty coverages together. The notes give the area under the curve (AURC), the mean risk over all
    coverages. Rows of equal confidence are answered together. El-Yaniv and Wiener 2010, JMLR 11, 1605.

    Args:
        predictions: What `predictions` read, or `Predictions` of arrays.
        risk: The largest share of wrong answers, among those given, that is wanted.
        threshold: The least share of rows that is to be answered.

    Raises:
        InvalidSetting: If the risk is not between 0 and 1.
    """
    if not 0 < risk < 1:
        raise InvalidSetting("risk", "is between 0 and 1, such as 0.02")
    with needed(predictions.where):
        from scipy.stats import beta
    total = len(predictions)
    levels, place = np.unique(-predictions.confidence, return_inverse=True)
    answered = np.cumsum(np.bincount(place))
    wrong = np.cumsum(np.bincount(place, 1 - predictions.correct))
    ends = np.unique(np.searchsorted(answered, np.ceil(np.arange(1, _STEPS + 1) / _STEPS * total - 1e-9)))
    rows, errors = answered[ends], np.rint(wrong[ends])
    chance = 0.05 / _STEPS
    with np.errstate(invalid="ignore"):
        upper = np.where(errors < rows, beta.ppf(1 - chance, errors + 1, rows - errors), 1.0)
        lower = np.where(errors > 0, beta.ppf(chance, errors, rows - errors + 1), 0.0)

    def largest(small_enough: Any) -> float:
        return float(rows[small_enough].max() / total) if small_enough.any() else 0.0

    found = largest(errors / rows <= risk), largest(upper <= risk), largest(lower <= risk)
    enough = total >= FEWEST
    notes = [_area(predictions, answered, wrong)]
    if not enough:
        notes.append(f"{total} rows are too few for an interval; {FEWEST} are needed")
    return CheckResult(
        check="abstention",
        figure=Figure(
            f"share of rows that can be answered with at most {risk:.3g} wrong",
            *(found if enough else (found[0], float("nan"), float("nan"))),
            "95 %, exact binomial bounds for twenty coverages together",
        ),
        threshold=threshold,
        fault="below",
        reason="what is not answered goes back to people, or to a dearer model",
        evidence=first(
            ({"answered": float(rows[step] / total), "confidence from": float(-levels[ends[step]]),
              "wrong": int(errors[step]), "risk": float(errors[step] / rows[step]),
              "at most": float(upper[step])} for step in range(len(rows))), _STEPS
        ),
        cost={"rows": total},
        notes=tuple(notes),
    )  # fmt: skip


def _area(predictions: "Predictions", answered: Any, wrong: Any) -> str:
    """The area under the risk–coverage curve, as a note, beside that of a random and of the best order."""
    total, at = len(predictions), np.arange(1, len(predictions) + 1)
    errors = wrong[-1]
    # Within rows of equal confidence errors come evenly.
    curve = np.interp(at, np.concatenate([[0], answered]), np.concatenate([[0], wrong]))
    best = np.maximum(0, at - (total - errors))
    area, least = (float(np.mean(one / at)) for one in (curve, best))
    return f"AURC {area:.4f}; {errors / total:.4f} in random order, {least:.4f} if all errors came last"
