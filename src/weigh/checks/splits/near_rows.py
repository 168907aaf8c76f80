"""Near duplicates of rows of numbers across a split, such as two scans of one slide or two crops of one picture."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.splits.check import marked_parts, some
from weigh.checks.tables import numbers, rows, scan, subject
from weigh.errors import InvalidTable
from weigh.optional import needed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FEWEST = 20


def near_rows(
    table: Any,
    split: str,
    columns: Iterable[str],
    *,
    same_unit: bool = False,
    fraction: float = 0.1,
    sample: int = 2000,
    seed: int = 0,
    train: str = "train",
    test: str = "test",
    threshold: float = 0.01,
) -> CheckResult:
    """Near duplicates of rows of numbers: the share of test rows that are far nearer to a training row than is usual.

    The usual distance is learnt: the median of those from a training row to the nearest other one. A test row within a
    tenth of it counts. By chance that is rare as soon as the data have a few dimensions: about 0.7 · 0.1ᵈ of rows, if
    they vary in d.

    Args:
        table: A path or a frame, as `check_splits` takes it.
        split: The column that says to which part a row belongs.
        columns: The columns of numbers, such as features or pixels.
        same_unit: Whether the columns are left as they are, as fits pixels or coordinates. By default each is measured
            in standard deviations of its training rows.
        fraction: How much nearer than usual a near duplicate is, at most.
        sample: How many rows of each part are held against all training rows; their choice is random.
        seed: Of that choice.
        train: The value of `split` for training rows.
        test: Its value for test rows.
        threshold: The largest share of test rows that may have a near duplicate.

    Raises:
        InvalidTable: If a column is missing or holds no numbers, or if a part has too few rows.
    """
    with needed(subject(table)):
        import numpy as np
        from sklearn.neighbors import NearestNeighbors
    columns = list(columns)
    table_rows = rows(marked_parts(scan(table), table, columns, split, train, test), table)
    marks = ([mark == 1 for mark in table_rows[name].to_list()] for name in ("__train", "__test"))
    training, testing = (np.flatnonzero(mark) for mark in marks)
    for part, places, fewest in ((train, training, _FEWEST), (test, testing, 1)):
        if some(len(places), part, table) < fewest:
            problem = f"{len(places)} rows are in the part {part!r}; at least {fewest} are needed"
            raise InvalidTable(subject(table), problem)
    values = np.column_stack([numbers(table_rows, table, name) for name in columns])
    scaled = values if same_unit else _standardised(values, values[training])
    draw = np.random.default_rng(seed)
    learnt, seen = (_drawn(places, sample, draw) for places in (training, testing))
    index = NearestNeighbors(n_neighbors=1).fit(scaled[training])
    usual = float(np.median(_to_others(index, scaled, training, learnt)))
    near, which = index.kneighbors(scaled[seen])
    twins = near[:, 0] <= fraction * usual
    count, total = int(twins.sum()), len(seen)
    name = f"share of test rows within {fraction:g} of the usual distance"
    figure = Figure.exact(name, count / total)
    if total < len(testing):
        figure = Figure.share(name, count, total, "95 %, Wilson, of a sample")
    return CheckResult(
        check="near rows",
        figure=figure,
        threshold=threshold,
        reason="a model that has met nearly this row with its answer need not generalise to find it",
        evidence=first(
            {
                "distance": float(near[one, 0]),
                "test row": int(seen[one]) + 1,
                "train row": int(training[which[one, 0]]) + 1,
            }
            for one in np.argsort(near[:, 0], kind="stable")[:count]
        ),
        cost={"rows": len(training) + len(testing), "distances": (len(learnt) + total) * len(training)},
        notes=(
            f"the usual distance to the nearest row is {usual:.4g}",
            *(("half of the training rows have an exact twin, so only such twins count",) if not usual else ()),
        ),
    )


def _standardised(values: "NDArray[np.float64]", learnt: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """In standard deviations of the training rows; a column that does not vary there stays as it is."""
    import numpy as np

    spread = learnt.std(axis=0)
    scaled: NDArray[np.float64] = (values - learnt.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled


def _drawn(places: "NDArray[np.intp]", most: int, draw: "np.random.Generator") -> "NDArray[np.intp]":
    """All places, or as many as are wanted, in their order."""
    import numpy as np

    return places if len(places) <= most else np.sort(draw.choice(places, most, replace=False))


def _to_others(
    index: Any, scaled: "NDArray[np.float64]", training: "NDArray[np.intp]", learnt: "NDArray[np.intp]"
) -> "NDArray[np.float64]":
    """The distance of training rows to the nearest training row that is another one: shape (rows,)."""
    import numpy as np

    distances, places = index.kneighbors(scaled[learnt], n_neighbors=2)
    # With twins, a row need not be the first of its own neighbours.
    itself = training[places[:, 0]] == learnt
    nearest: NDArray[np.float64] = np.where(itself, distances[:, 1], distances[:, 0])
    return nearest
