"""Buckets of confidence: what a model says beside how often it is right, and the expected calibration error."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from weigh.errors import InvalidSetting

Strategy = Literal["uniform", "quantile"]

_DRAWS = 1000
_NORMAL_FROM = 9
_EQUAL = 1e-6


@dataclass(frozen=True)
class Buckets:
    """Rows by their confidence; buckets without rows are left out.

    Attributes:
        rows: How many. Shape (buckets,).
        confidence: Their mean confidence.
        accuracy: The share of right answers.
        lower: Where a bucket begins; a confidence that is equal to a border belongs below it.
        upper: Where it ends.
    """

    rows: Any
    confidence: Any
    accuracy: Any
    lower: Any
    upper: Any

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of confidence and accuracy, weighted by rows."""
        return float(self.rows @ abs(self.confidence - self.accuracy) / self.rows.sum())

    def noise(self, chance: Any, random: Any, draws: int = _DRAWS) -> Any:
        """The error that comes of counting alone, where each bucket's answers are right with such a chance.

        A bucket's count of right answers is drawn as a binomial number, or where its variance is above 9 as a normal
        one, so a draw costs as much as there are buckets, however many rows. Confidences that differ within a bucket
        would vary a little less. Shape (draws,).
        """
        variance = self.rows * chance * (1 - chance)
        is_many, total = variance > _NORMAL_FROM, np.zeros(draws)
        for rows, one in zip(self.rows[~is_many], chance[~is_many], strict=True):
            total += abs(random.binomial(rows, one, draws) - rows * one)
        for spread in np.sqrt(variance[is_many]):
            total += abs(random.standard_normal(draws)) * spread
        noise: Any = total / self.rows.sum()
        return noise


def borders(confidence: Any, bins: int, strategy: Strategy) -> Any:
    """The borders of buckets, of one width or of as many rows each. Shape (at most bins + 1,)."""
    if bins < 1:
        raise InvalidSetting("bins", "is 1 or more")
    if strategy == "uniform":
        return np.linspace(0, 1, bins + 1)
    if strategy == "quantile":
        return np.unique(np.quantile(confidence, np.linspace(0, 1, bins + 1)))
    raise InvalidSetting("strategy", f"there is no {strategy!r}; there are uniform, quantile")


def buckets(confidence: Any, correct: Any, edges: Any) -> Buckets:
    """Rows by confidence, between such borders. What equals a border in float32 does, and belongs below it."""
    place = np.searchsorted(edges[1:-1] + _EQUAL, confidence)
    rows = np.bincount(place, minlength=max(1, len(edges) - 1))
    there = np.flatnonzero(rows)
    sums = (np.bincount(place, values, len(rows))[there] for values in (confidence, correct))
    sure, right = (one / rows[there] for one in sums)
    return Buckets(rows[there], np.minimum(sure, 1.0), np.minimum(right, 1.0), edges[there], edges[-len(rows) :][there])
