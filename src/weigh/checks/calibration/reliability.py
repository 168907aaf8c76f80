"""Buckets of confidence: the expected calibration error, its noise floor, and the parts of the Brier score."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from weigh.checks.confidence_buckets import Buckets, Strategy, borders, buckets

if TYPE_CHECKING:
    from weigh.checks.calibration.predictions import Predictions

FEWEST = 20
"""Of fewer rows nothing is said."""

_FEWEST_IN_TAIL = 10


@dataclass(frozen=True)
class Miscalibration:
    """An expected calibration error beside what a calibrated model scores.

    Attributes:
        error: The expected calibration error (ECE) in these buckets.
        floor: What a perfectly calibrated model with these confidences scores in the median.
        floor_95: What it exceeds once in twenty times.
        low: The lower end of an interval for the error that many more rows would leave.
        high: Its upper end.
        p: How often counting alone gives as much above the threshold.
    """

    error: float
    floor: float
    floor_95: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class BrierParts:
    """The Brier score in parts: `brier = reliability − resolution + uncertainty + within`.

    Murphy 1973, Journal of Applied Meteorology 12, 595. In buckets the first three do not add up: `within` is the
    variance of confidence within buckets, less twice its covariance with what happened (Stephenson, Coelho, Jolliffe
    2008, Weather and Forecasting 23, 752).

    Attributes:
        brier: The mean squared distance of confidence and what happened, 0 or 1.
        reliability: The mean squared distance of confidence and accuracy by bucket: 0 is calibrated.
        resolution: The variance of accuracy between buckets: 0 tells no row from another.
        uncertainty: The variance of what happened: what a constant confidence scores at best.
        within: What buckets hide.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def miscalibration(found: Buckets, threshold: float, random: Any, level: float = 0.95) -> Miscalibration:
    """The calibration error of buckets with its noise floor and its interval.

    The lower end is the error less the noise that a share `level` of draws stays below: of a calibrated model's
    counts, or of counts around the accuracies found, whichever is the louder. The upper end is the error and its
    standard error, as many times as `level` needs: noise adds to the error on average, so it need not be added.
    """
    from scipy.stats import norm

    calibrated = found.noise(found.confidence, random)
    excess, of_noise = found.error - threshold, _quantile(calibrated, level)
    p = _tail(calibrated, excess)
    if found.error > of_noise:
        around = found.noise(found.accuracy, random)
        of_noise, p = max(of_noise, _quantile(around, level)), max(p, _tail(around, excess))
    variance = found.accuracy * (1 - found.accuracy)
    variance = np.maximum(variance, found.confidence * (1 - found.confidence))
    spread = float(norm.ppf(level) * np.sqrt(found.rows @ variance) / found.rows.sum())
    return Miscalibration(
        error=found.error,
        floor=float(np.median(calibrated)),
        floor_95=float(np.quantile(calibrated, 0.95)),
        low=max(0.0, found.error - of_noise),
        high=min(1.0, max(found.error + spread, _unseen_gap(found, level))),
        p=p,
    )


def _unseen_gap(found: Buckets, level: float) -> float:
    """How far confidence and accuracy may be apart where all answers are right, or all wrong, by the binomial bound."""
    rows, accuracy = found.rows.sum(), found.rows @ found.accuracy / found.rows.sum()
    sure = found.rows @ found.confidence / rows
    return one_sided_gap(int(rows), float(accuracy), float(sure), level)


def one_sided_gap(rows: int, accuracy: float, confidence: float, level: float) -> float:
    """As much as confidence may exceed the accuracy of rows that are all right, or fall short of it if all are wrong.

    Such rows have no variance, and yet of twenty that are all right the next may be wrong. 0 for any other rows.
    """
    if 0 < round(accuracy * rows) < rows:
        return 0.0
    unseen = 1 - (1 - level) ** (1 / rows)
    gap: float = confidence - (1 - unseen) if round(accuracy * rows) else unseen - confidence
    return max(0.0, gap)


def noise_floor(predictions: "Predictions", *, bins: int = 15, strategy: Strategy = "uniform", seed: int = 0) -> Any:
    """The noise floor: calibration errors that a perfectly calibrated model with these confidences scores.

    Whether an answer is right is drawn anew from its confidence. Shape (1,000,); quantiles of it are what
    `calibration_error` compares with.

    Args:
        predictions: What `predictions` read, or `Predictions` of arrays.
        bins: How many buckets.
        strategy: `uniform` for buckets of one width, `quantile` for as many rows in each.
        seed: Of the draws.
    """
    sure = predictions.confidence
    found = buckets(sure, predictions.correct, borders(sure, bins, strategy))
    return found.noise(found.confidence, np.random.default_rng(seed))


def brier_parts(predictions: "Predictions", *, bins: int = 15, strategy: Strategy = "uniform") -> BrierParts:
    """The Brier score of the answers' confidence, in its parts.

    Args:
        predictions: What `predictions` read, or `Predictions` of arrays.
        bins: How many buckets.
        strategy: `uniform` for buckets of one width, `quantile` for as many rows in each.
    """
    sure, right = predictions.confidence, predictions.correct
    found = buckets(sure, right, borders(sure, bins, strategy))
    weights, base = found.rows / found.rows.sum(), float(right.mean())
    brier = float(np.mean((sure - right) ** 2))
    reliability = float(weights @ (found.confidence - found.accuracy) ** 2)
    resolution = float(weights @ (found.accuracy - base) ** 2)
    uncertainty = base * (1 - base)
    return BrierParts(brier, reliability, resolution, uncertainty, brier - reliability + resolution - uncertainty)


def _quantile(noise: Any, level: float) -> float:
    """A quantile of noise; where few draws lie beyond, that of a gamma distribution of their mean and variance."""
    from scipy.stats import gamma

    if (1 - level) * len(noise) >= _FEWEST_IN_TAIL or not noise.std():
        return float(np.quantile(noise, level))
    mean, variance = noise.mean(), noise.var()
    return float(gamma.ppf(level, mean**2 / variance, scale=variance / mean))


def _tail(noise: Any, excess: float) -> float:
    """How often noise is as large, by draws, or where few are, by the gamma distribution."""
    from scipy.stats import gamma

    if excess <= 0:
        return 1.0
    beyond = int((noise >= excess).sum())
    if beyond >= _FEWEST_IN_TAIL or not noise.std():
        return (beyond + 1) / (len(noise) + 1) if noise.std() else float(beyond > 0)
    mean, variance = noise.mean(), noise.var()
    return float(gamma.sf(excess, mean**2 / variance, scale=variance / mean))
