"""Exact nearest neighbours, by products of blocks: what an index is held against."""

from typing import TYPE_CHECKING, Literal, NamedTuple

from weigh.checks.embeddings.vectors import Vectors
from weigh.errors import InvalidSetting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Metric = Literal["cosine", "dot", "l2"]
METRICS: tuple[Metric, ...] = ("cosine", "dot", "l2")
"""The measures of likeness: the cosine, the dot product, and the Euclidean distance."""

ROUNDING = 1e-5
"""How much less alike, as a share of the greatest likeness, still counts as equally alike: float32 adds so exactly."""


class Neighbours(NamedTuple):
    """The most alike vectors of some queries, best first.

    Attributes:
        rows: Which they are: shape (queries, k).
        likeness: How alike: the cosine, the dot product, or the negative of the squared distance.
        products: How many pairs were multiplied.
    """

    rows: "NDArray[np.int64]"
    likeness: "NDArray[np.float32]"
    products: int


def known(metric: str) -> Metric:
    """A metric by its name.

    Raises:
        InvalidSetting: If it has another name.
    """
    for each in METRICS:
        if metric == each:
            return each
    raise InvalidSetting("metric", f"{metric!r} is none of {', '.join(METRICS)}")


def nearest(stored: Vectors, queries: "NDArray[np.float32]", metric: Metric, k: int) -> Neighbours:
    """Exact search: the k usable vectors that are most like each query.

    Args:
        stored: The vectors that are searched, in one pass.
        queries: Usable vectors: shape (queries, dimensions).
        metric: The measure of likeness.
        k: How many to find of each; fewer if there are no more.
    """
    import numpy as np

    k = min(k, int(stored.survey.usable.sum()))
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    rows = np.zeros((len(queries), k), dtype=np.int64)
    asked = _scaled(queries, metric)
    for at, block in stored.blocks():
        block[~stored.survey.usable[at]] = 0
        alike = likeness(asked, block, metric)
        alike[:, ~stored.survey.usable[at]] = -np.inf
        first = _greatest(alike, k)
        both = np.concatenate([best, np.take_along_axis(alike, first, 1)], axis=1)
        of_both = np.concatenate([rows, first + at.start], axis=1)
        kept = _greatest(both, k)
        best, rows = np.take_along_axis(both, kept, 1), np.take_along_axis(of_both, kept, 1)
    order = np.argsort(-best, axis=1, kind="stable")
    return Neighbours(
        np.take_along_axis(rows, order, 1), np.take_along_axis(best, order, 1), len(queries) * stored.rows
    )


def likeness(asked: "NDArray[np.float32]", vectors: "NDArray[np.float32]", metric: Metric) -> "NDArray[np.float32]":
    """How alike each of the queries and each of the vectors is: shape (queries, vectors).

    Args:
        asked: Queries, of length 1 for the cosine.
        vectors: Vectors of any length.
        metric: The measure of likeness.
    """
    import numpy as np

    if metric != "l2":
        return np.asarray(asked @ _scaled(vectors, metric).T, dtype=np.float32)
    squares = [np.einsum("ij,ij->i", each, each) for each in (asked, vectors)]
    return np.asarray(2 * (asked @ vectors.T) - squares[0][:, None] - squares[1], dtype=np.float32)


def alike_in_pairs(
    queries: "NDArray[np.float32]", vectors: "NDArray[np.float32]", metric: Metric
) -> "NDArray[np.float32]":
    """How alike each query is to the vectors of its own row: shapes (queries, dimensions), (queries, k, dimensions)."""
    import numpy as np

    if metric == "l2":
        return np.asarray(-np.square(queries[:, None] - vectors).sum(2), dtype=np.float32)
    return np.asarray(np.einsum("qd,qkd->qk", _scaled(queries, metric), _scaled(vectors, metric)), dtype=np.float32)


def of_length_one(vectors: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """The vectors, shape (…, dimensions), divided by their lengths; a vector of zeros stays one."""
    import numpy as np

    squares = np.einsum("...d,...d->...", vectors, vectors, dtype=np.float64)  # in float32 they overflow from 2**64
    lengths = np.sqrt(squares)[..., None]
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def _scaled(vectors: "NDArray[np.float32]", metric: Metric) -> "NDArray[np.float32]":
    """The vectors as their dot products are the measure: of length 1 if it is the cosine."""
    return of_length_one(vectors) if metric == "cosine" else vectors


def _greatest(values: "NDArray[np.float32]", k: int) -> "NDArray[np.int64]":
    """Where the k greatest of each row are, in no order."""
    import numpy as np

    if k == 1:
        return np.asarray(values.argmax(1)[:, None], dtype=np.int64)
    if k >= values.shape[1]:
        return np.broadcast_to(np.arange(values.shape[1], dtype=np.int64), values.shape)
    return np.asarray(np.argpartition(values, values.shape[1] - k, axis=1)[:, -k:], dtype=np.int64)
