"""How far a difference may be chance: bootstrap over the units that were drawn, the same for both models."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from weigh.errors import InvalidTable

if TYPE_CHECKING:
    from weigh.checks.losses.scores import Predictions, Score

_AT_ONCE = 4_000_000  # numbers of resamples in memory
_MOST_UNITS = 10_000  # beyond, units are drawn by random blocks, which have the same standard error


def standard_error(
    statistic: Callable[..., Any], units: int, resamples: int, seed: int, *, vectorized: bool = True
) -> float:
    """The standard error of a statistic over units, by bootstrap.

    Args:
        statistic: Of the numbers of the units that were drawn; with an `axis` if it is vectorized.
        units: How many there are.
        resamples: How often as many are drawn; 0 for an error of NaN.
        seed: Of the draws.
        vectorized: Whether the statistic takes many resamples in one call.
    """
    from scipy.stats import bootstrap

    if not resamples:
        return float("nan")
    drawn = bootstrap(
        (np.arange(units),), statistic, n_resamples=resamples, batch=max(1, _AT_ONCE // units) if vectorized else 1,
        vectorized=vectorized, method="percentile", rng=seed,
    )  # fmt: skip
    return float(drawn.standard_error)


def value(score: "Score", one: "Predictions") -> float:
    """A score of all rows, or of all queries."""
    if score.unit == "whole":
        return float(score.compute(one, np.ones(len(one.target))))
    return float(np.mean(score.compute(one)))


def gain(
    score: "Score", new: "Predictions", old: "Predictions", unit: Any, resamples: int, seed: int
) -> tuple[float, float]:
    """What a score gains from one model to another, above 0 where the new one is better, and its standard error.

    Args:
        score: The score.
        new: Predictions of the new model.
        old: Those of the old one for the same rows.
        unit: The number of each row's unit, from 0 upwards. Shape (R,).
        resamples: How many.
        seed: Of the resamples.
    """
    sign, units = (1 if score.better == "higher" else -1), int(unit.max()) + 1
    found = sign * (value(score, new) - value(score, old))
    block = np.random.default_rng(seed).permutation(units) % _MOST_UNITS if units > _MOST_UNITS else np.arange(units)
    units = int(block.max()) + 1
    if score.unit == "whole":

        def weighted(drawn: Any) -> float:
            weights = np.bincount(drawn, minlength=units)[block[unit]]
            return float(score.compute(new, weights) - score.compute(old, weights))

        return found, standard_error(weighted, units, resamples, seed, vectorized=False)
    better = np.subtract(score.compute(new), score.compute(old), dtype=float)
    blocks = block[unit] if score.unit == "rows" else block
    sums, counts = np.bincount(blocks, better), np.bincount(blocks)

    def mean(drawn: Any, axis: int) -> Any:
        return sums[drawn].sum(axis) / counts[drawn].sum(axis)

    return found, standard_error(mean, units, resamples, seed)


def numbered(where: str, column: str, values: list[Any]) -> tuple[Any, Any]:
    """The units that a column names, and the number of each row's unit: shapes (U,) and (R,).

    Raises:
        InvalidTable: If its values are no plain values.
    """
    named = np.asarray(values)
    if named.ndim != 1 or named.dtype == object:
        raise InvalidTable(
            where, f"column {column!r} names groups by more than numbers, text or dates; use one of them"
        )
    found, number = np.unique(named, return_inverse=True)
    return found, number
