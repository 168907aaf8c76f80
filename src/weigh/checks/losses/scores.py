"""Scores of predictions, by name: the losses that models are trained on, and what their users see."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

Array = Any
"""An array of NumPy. Shapes: R rows, Q queries."""


@dataclass(frozen=True)
class Predictions:
    """Predictions beside their targets. Rows of one query stand together where there are queries.

    Attributes:
        target: What happened: a number, 0 or 1, or how relevant an item is. Shape (R,).
        predicted: A number, a probability or a score. Shape (R,).
        query: The number of each row's query, from 0 upwards and sorted; None without queries. Shape (R,).
        cut: The answer is yes above it.
        quantile: The quantile that the loss `quantile` is after.
        delta: Where the loss `huber` turns from squared to absolute.
        at: How many items of a query its reader looks at; None for all.
    """

    target: Array
    predicted: Array
    query: Array = None
    cut: float = 0.5
    quantile: float = 0.5
    delta: float = 1.0
    at: int | None = None

    @cached_property
    def error(self) -> Array:
        """Target minus prediction. Shape (R,)."""
        return self.target - self.predicted

    @cached_property
    def answer(self) -> Array:
        """Whether each answer is yes. Shape (R,)."""
        return self.predicted > self.cut

    @cached_property
    def starts(self) -> Array:
        """The first row of each query. Shape (Q,)."""
        return np.flatnonzero(np.diff(self.query, prepend=-1))


@dataclass(frozen=True)
class Score:
    """A score of predictions.

    Attributes:
        unit: What it has a value for: each of `rows`, each of `queries`, or the `whole` with a weight for each row.
        compute: The values; of the whole, a function of the weights too.
        needs: What it asks for: `binary` targets, predictions that are a `chance`, rows of a `query`.
        better: Whether `lower` or `higher` is better.
    """

    unit: Literal["rows", "queries", "whole"]
    compute: Callable[..., Array]
    needs: frozenset[str] = frozenset()
    better: Literal["lower", "higher"] = "lower"


def log_loss(one: Predictions) -> Array:
    """−ln of the chance that was given to what happened; a chance of 0 counts as 2.2e-16, as in scikit-learn."""
    from scipy.special import xlog1py, xlogy

    least = np.finfo(float).eps
    chance = np.clip(one.predicted, least, 1 - least)
    return -xlogy(one.target, chance) - xlog1py(1 - one.target, -chance)


def huber_loss(one: Predictions) -> Array:
    """Half the squared error up to `delta`, linear beyond."""
    from scipy.special import huber

    return huber(one.delta, one.error)


def quantile_loss(one: Predictions) -> Array:
    """The pinball loss, least for the wanted quantile of the target."""
    return np.maximum(one.quantile * one.error, (one.quantile - 1) * one.error)


def softmax_loss(one: Predictions) -> Array:
    """Cross-entropy of the softmax over a query's items with their share of relevance. Shape (Q,).

    With one relevant item it is InfoNCE; with one of two it is the pairwise preference loss; with a row for each
    class it is the log loss of many classes.
    """
    highest = np.maximum.reduceat(one.predicted, one.starts)
    total = np.add.reduceat(np.exp(one.predicted - highest[one.query]), one.starts)
    meant = np.add.reduceat(one.target * one.predicted, one.starts) / np.add.reduceat(one.target, one.starts)
    return highest + np.log(total) - meant


def ndcg(one: Predictions) -> Array:
    """Normalized discounted cumulative gain; equal scores share their places, as in scikit-learn. Shape (Q,)."""
    places = np.arange(len(one.query)) - one.starts[one.query]
    discount = np.where(places < (one.at or np.inf), 1 / np.log2(places + 2), 0)
    ideal = np.add.reduceat(one.target[np.lexsort((-one.target, one.query))] * discount, one.starts)
    order = np.lexsort((-one.predicted, one.query))
    score = one.predicted[order]
    tie = np.cumsum((np.diff(score, prepend=np.nan) != 0) | (places == 0)) - 1
    shared = (np.bincount(tie, discount) / np.bincount(tie))[tie]
    return np.add.reduceat(one.target[order] * shared, one.starts) / ideal


def first_rank(one: Predictions) -> Array:
    """The place of the first relevant item of each query; equal scores count against it. Shape (Q,)."""
    relevant = one.target > 0
    best = np.maximum.reduceat(np.where(relevant, one.predicted, -np.inf), one.starts)
    return 1 + np.add.reduceat(~relevant & (one.predicted >= best[one.query]), one.starts)


def _of_error(quantile: float) -> Callable[[Predictions, Array], float]:
    """A quantile of the absolute error."""
    return lambda one, weights: float(np.quantile(np.abs(one.error), quantile, weights=weights, method="inverted_cdf"))


def _of_sklearn(metric: str, on: str, **settings: Any) -> Callable[[Predictions, Array], float]:
    """A metric of scikit-learn, on answers or on predictions."""

    def compute(one: Predictions, weights: Array) -> float:
        import sklearn.metrics

        return float(getattr(sklearn.metrics, metric)(one.target, getattr(one, on), sample_weight=weights, **settings))

    return compute


BINARY, CHANCE, QUERY = frozenset({"binary"}), frozenset({"binary", "chance"}), frozenset({"query"})

SCORES = {
    "squared": Score("rows", lambda one: one.error**2),
    "absolute": Score("rows", lambda one: np.abs(one.error)),
    "huber": Score("rows", huber_loss),
    "quantile": Score("rows", quantile_loss),
    "log": Score("rows", log_loss, CHANCE),
    "brier": Score("rows", lambda one: one.error**2, CHANCE),
    "hinge": Score("rows", lambda one: np.maximum(0, 1 - (2 * one.target - 1) * one.predicted), BINARY),
    "softmax": Score("queries", softmax_loss, QUERY),
    "median": Score("whole", _of_error(0.5)),
    "p95": Score("whole", _of_error(0.95)),
    "bias": Score("whole", lambda one, weights: abs(float(np.average(one.error, weights=weights)))),
    "accuracy": Score("rows", lambda one: one.answer == (one.target > 0), BINARY, "higher"),
    "auc": Score("whole", _of_sklearn("roc_auc_score", "predicted"), BINARY, "higher"),
    "average-precision": Score("whole", _of_sklearn("average_precision_score", "predicted"), BINARY, "higher"),
    "recall": Score("whole", _of_sklearn("recall_score", "answer", zero_division=0), BINARY, "higher"),
    "precision": Score("whole", _of_sklearn("precision_score", "answer", zero_division=0), BINARY, "higher"),
    "f1": Score("whole", _of_sklearn("f1_score", "answer", zero_division=0), BINARY, "higher"),
    "ndcg": Score("queries", ndcg, QUERY, "higher"),
    "reciprocal-rank": Score("queries", lambda one: 1 / first_rank(one), QUERY, "higher"),
    "top-1": Score("queries", lambda one: first_rank(one) == 1, QUERY, "higher"),
}
"""The scores, by the names that `weigh check losses` takes; the whole of them is LOSSES and OBJECTIVES of losses.py."""
