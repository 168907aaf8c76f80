"""What an approximate index finds of the true neighbours, and what another metric would."""

from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from weigh.checks.embeddings.search import ROUNDING, alike_in_pairs, known, nearest
from weigh.checks.embeddings.vectors import Vectors, vectors
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import InvalidTable
from weigh.optional import needed
from weigh.sources import locate, opening

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAMES = {"Cos": "cosine", "IP": "dot", "L2sq": "l2"}
_KINDS = {"F64": "float64", "F32": "float32", "BF16": "bfloat16", "F16": "float16", "I8": "int8", "B1": "bits"}
_FEWEST = 20
_DRAWS = 999


@dataclass(frozen=True)
class IndexFacts:
    """What the head of an index file says.

    Attributes:
        library: Library and version that wrote it.
        metric: The metric that it was built by, as `METRICS` name it, or as the library does.
        dtype: The number format in which it holds vectors.
        dimensions: Numbers of a vector.
        count: Vectors.
    """

    library: str
    metric: str
    dtype: str
    dimensions: int
    count: int


def index_facts(index: Any) -> IndexFacts:
    """What an index is, as its file says.

    An index of usearch that is opened says itself what it was constructed with, which may differ. So one in memory is
    saved to a temporary file.

    Args:
        index: The path of an index file of usearch, or an index of usearch in memory.

    Raises:
        InvalidTable: If it is none.
        NotFound: If there is no such file.
        MissingPackage: If usearch is not installed.
    """
    where = _where(index)
    with needed(where):
        from usearch.index import Index
    if isinstance(index, Index):
        with TemporaryDirectory() as folder:
            index.save(f"{folder}/index.usearch")
            return index_facts(f"{folder}/index.usearch")
    with opening(locate(where)):
        locate(where).stat()
    try:
        head: Any = Index.metadata(where)
        metric, kind = head["kind_metric"].name, head["kind_scalar"].name
        return IndexFacts(
            f"usearch {head['version']}", _NAMES.get(metric, metric), _KINDS.get(kind, kind),
            int(head["dimensions"]), int(head["count_present"]),
        )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise InvalidTable(where, f"is no index of usearch: {error}; name the file that Index.save wrote") from None


def index_recall(
    index: Any,
    stored: Any,
    queries: Any,
    metric: str = "cosine",
    *,
    k: int = 10,
    threshold: float = 0.9,
) -> CheckResult:
    """Recall@k of an index: the share of the k true neighbours of a query that it returns, by the service's metric.

    True are those that exact search finds in the stored vectors. So an index with other vectors, another metric or
    coarser numbers than they have is seen, as well as one that searches too few candidates. What the index returns that
    is as much alike as the k-th true neighbour is right too. Keys of the index are rows of the stored vectors.

    Args:
        index: The path of an index file of usearch, or an index of usearch in memory.
        stored: The vectors that were added to it, as `vectors` takes them.
        queries: Vectors to search for: shape (queries, dimensions).
        metric: The metric that answers are to be ranked by.
        k: How many neighbours.
        threshold: The least recall.

    Raises:
        InvalidTable: If it is no index, or of other vectors than these.
        MissingPackage: If usearch or SciPy is not installed.
    """
    import numpy as np

    old, measure, where = vectors(stored), known(metric), _where(index)
    asked = _usable(queries, old)
    opened, facts = _opened(index, where), index_facts(index)
    if facts.dimensions != old.dimensions:
        problem = f"has vectors of {facts.dimensions:,} numbers and {old.subject} of {old.dimensions:,}"
        raise InvalidTable(where, problem)
    true = nearest(old, asked, measure, k)
    answer = opened.search(_as_indexed(asked, facts.dtype), true.rows.shape[1], threads=1)
    keys = np.atleast_2d(answer.keys).astype(np.int64)
    counts: Any = getattr(answer, "counts", keys.shape[1])
    returned = np.arange(keys.shape[1]) < np.atleast_1d(counts)[:, None]
    if (keys[returned] >= old.rows).any() or (keys[returned] < 0).any():
        problem = (
            f"has the key {int(keys[returned].max()):,}, and {old.subject} has {old.rows:,} rows; keys must be rows"
        )
        raise InvalidTable(where, problem)
    alike = alike_in_pairs(asked, old.at(np.where(returned, keys, 0).ravel()).reshape(*keys.shape, -1), measure)
    least = true.likeness[:, -1] - ROUNDING * np.abs(true.likeness).max(1)
    recalls = (returned & (alike >= least[:, None])).mean(1)
    worst = np.argsort(recalls, kind="stable")
    return CheckResult(
        check="index recall",
        figure=_mean(f"recall@{keys.shape[1]} of the index, by {measure}", recalls),
        threshold=threshold,
        fault="below",
        reason="what the index does not return, no later step can rank",
        evidence=first(
            ({"query": int(one), "recall": float(recalls[one])} for one in worst if recalls[one] < threshold), 3
        ),
        cost={"queries": len(asked), "stored vectors": old.rows, "products": true.products},
        notes=(f"{facts.library}, {facts.metric}, {facts.dtype}, {facts.count:,} vectors", *_few(recalls)),
    )


def metric_overlap(
    stored: Any, queries: Any, metric: str, other: str, *, k: int = 10, threshold: float = 0.9
) -> CheckResult:
    """Overlap@k of two metrics: the share of the k nearest by the one that are among the k nearest by the other.

    For vectors of length 1 the cosine, the dot product and the distance all rank alike.

    Args:
        stored: The vectors that are searched, as `vectors` takes them.
        queries: Vectors to search for: shape (queries, dimensions).
        metric: The metric of the one side.
        other: That of the other.
        k: How many neighbours.
        threshold: The least overlap.

    Raises:
        InvalidSetting: If a metric is none of `METRICS`.
        MissingPackage: If SciPy is not installed.
    """
    import numpy as np

    old, one, two = vectors(stored), known(metric), known(other)
    asked = _usable(queries, old)
    found, others = (nearest(old, asked, measure, k) for measure in (one, two))
    vectors_of = old.at(others.rows.ravel()).reshape(*others.rows.shape, -1)
    least = found.likeness[:, -1] - ROUNDING * np.abs(found.likeness).max(1)
    overlaps = (alike_in_pairs(asked, vectors_of, one) >= least[:, None]).mean(1)
    return CheckResult(
        check="metrics",
        figure=_mean(f"overlap@{found.rows.shape[1]} of {one} and {two}", overlaps),
        threshold=threshold,
        fault="below",
        reason="the two sides name two metrics, and below it they give other neighbours",
        cost={"queries": len(asked), "stored vectors": old.rows, "products": found.products + others.products},
        notes=_few(overlaps),
    )


def _usable(queries: Any, stored: Vectors) -> "NDArray[np.float32]":
    """Queries in float32, without those that cannot be compared."""
    these = vectors(queries)
    if these.dimensions != stored.dimensions:
        problem = f"has vectors of {these.dimensions:,} numbers and {stored.subject} of {stored.dimensions:,}"
        raise InvalidTable(these.subject, problem)
    for side in (these, stored):
        if not side.survey.usable.any():
            raise InvalidTable(side.subject, "has no usable vector; all have NaN, infinite numbers or only zeros")
    return these.at(these.survey.usable)


def _where(index: Any) -> str:
    return str(index) if isinstance(index, str) or hasattr(index, "__fspath__") else "usearch index"


def _opened(index: Any, where: str) -> Any:
    """The index, mapped from its file as what it was saved as."""
    from usearch.index import Index

    if isinstance(index, Index):
        return index
    try:
        return Index.restore(where, view=True)
    except (ValueError, RuntimeError) as error:
        raise InvalidTable(where, f"cannot be opened as an index of usearch: {error}; save it again") from None


def _as_indexed(queries: "NDArray[np.float32]", dtype: str) -> "NDArray[np.float32] | NDArray[np.uint8]":
    """Queries as the index takes them: packed to bits, 1 where a number is above 0, if it holds bits."""
    import numpy as np

    return np.packbits(queries > 0, axis=1) if dtype == "bits" else queries


def _mean(name: str, values: "NDArray[np.float64]") -> Figure:
    """A mean over queries, with its bootstrap interval; none for too few queries."""
    import numpy as np

    with needed("the interval of a mean"):
        from scipy.stats import bootstrap

    mean = float(values.mean())
    if len(values) < _FEWEST:
        return Figure(name, mean, float("nan"), float("nan"), f"none: fewer than {_FEWEST} queries")
    if values.min() == values.max():
        return Figure(name, mean, mean, mean, "95 %, bootstrap over queries")
    random = np.random.default_rng(0)
    ends = bootstrap((values,), np.mean, n_resamples=_DRAWS, method="percentile", rng=random).confidence_interval
    return Figure(name, mean, float(ends.low), float(ends.high), "95 %, bootstrap over queries")


def _few(values: "NDArray[np.float64]") -> tuple[str, ...]:
    return (f"{len(values)} queries are too few for an interval",) if len(values) < _FEWEST else ()
