"""A table and its answer, read as a problem of prediction."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from weigh.checks.features.out_of_fold import Problem, Task, folds_of
from weigh.checks.features.ranks import has_order, present, ranked
from weigh.checks.tables import names, numbers, rows, scan, select, subject
from weigh.errors import InvalidTable
from weigh.optional import needed

if TYPE_CHECKING:
    import narwhals as nw

_MOST_CLASSES = 30
_FEW_VALUES = 10
_FEWEST = 5


def problem(
    table: Any,
    target: str,
    *,
    features: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    groups: str | None = None,
    task: Task | None = None,
    most_rows: int = 50_000,
    seed: int = 0,
) -> Problem:
    """Read a table as a problem of prediction.

    Args:
        table: A path or a frame.
        target: The column with the answer.
        features: The columns that a model takes; all others without it.
        exclude: Columns that no model takes.
        groups: The column that says which rows belong together.
        task: Whether the answer is a class or a number. Without it, text, truth values and up to ten whole numbers
            are classes.
        most_rows: Of a longer table, so many rows are drawn.
        seed: Of the draw, the folds and the models.

    Raises:
        InvalidTable: If a column is missing, an answer is, or there are too few rows or too many classes.
    """
    where = subject(table)
    with needed(where):
        import numpy as np
        import sklearn  # noqa: F401  (the scores need it, and its lack is told here)
    frame = scan(table)
    special = [target] if groups is None else [target, groups]
    wanted = list(dict.fromkeys(names(frame, table) if features is None else features))
    if features is not None and target in wanted:
        raise InvalidTable(where, f"column {target!r} is the target, and among the features; take it out of them")
    wanted = [name for name in wanted if name not in {*special, *exclude}]
    whole = rows(select(frame, table, [*wanted, *special]), table)
    if not wanted:
        raise InvalidTable(where, f"has no column beside the target {target!r}; name another table")
    if len(whole) < _FEWEST:
        raise InvalidTable(where, f"has {len(whole)} rows; {_FEWEST} are the fewest that can be put into folds")

    everywhere = {name: whole[name].n_unique() for name in wanted if has_order(whole[name])}
    places = np.arange(len(whole))
    if len(whole) > most_rows:
        places = np.sort(np.random.default_rng(seed).choice(len(whole), most_rows, replace=False))
    sample = whole[places.tolist()] if len(places) < len(whole) else whole
    answer, classes = _answer(sample, table, target, task)
    units = np.arange(len(sample)) if groups is None else _units(sample[groups], where)
    if len(np.unique(units)) < _FEWEST:
        raise InvalidTable(where, f"column {groups!r} has fewer than {_FEWEST} groups; give it more, or no groups")
    folds = folds_of(answer, units, bool(classes), seed)
    for label, name in enumerate(classes):
        if len(np.unique(folds[answer == label])) < 2:
            raise InvalidTable(where, f"the rows of class {name!r} are all in one fold; its groups are too few")

    found = {name: ranked(sample[name], where, count, len(whole)) for name, count in everywhere.items()}
    columns = {name: column for name, column in found.items() if column is not None}
    left_out = [name for name in wanted if name not in columns]
    notes = [f"{len(places):,} of {len(whole):,} rows were drawn"] if len(places) < len(whole) else []
    notes += [f"left out, for their values have no order: {', '.join(left_out)}"] if left_out else []
    if not columns:
        raise InvalidTable(where, "has no column of numbers, text or dates beside the target")
    return Problem(where, columns, answer, classes, units, folds, places, seed, tuple(notes))


def _answer(table: "nw.DataFrame[Any]", source: Any, target: str, task: Task | None) -> tuple[Any, tuple[Any, ...]]:
    """The answer of each row as a number, and the classes."""
    import numpy as np

    where = subject(source)
    missing, values = present(table[target])
    if missing.any():
        first = int(np.flatnonzero(missing)[0]) + 1
        raise InvalidTable(
            where, f"row {first} of column {target!r} is missing, and {missing.sum():,} in all; drop such rows"
        )
    try:
        distinct, labels = np.unique(values, return_inverse=True)
    except TypeError:
        raise InvalidTable(where, f"column {target!r} mixes types; make it one type") from None
    if len(distinct) < 2:
        raise InvalidTable(where, f"column {target!r} has the one value {distinct[0]!s}; there is nothing to tell")
    numeric = distinct.dtype.kind in "iuf"
    few = numeric and len(distinct) <= _FEW_VALUES and bool(np.all(distinct == np.floor(distinct)))
    if task == "number" or (task is None and numeric and not few):
        return numbers(table, source, target), ()
    if len(distinct) > _MOST_CLASSES:
        remedy = "say that it is a number" if numeric else "merge the rare ones"
        raise InvalidTable(where, f"column {target!r} has {len(distinct):,} classes, and {_MOST_CLASSES} are the most; "
                           f"{remedy}")  # fmt: skip
    counts = np.bincount(labels)
    if counts.min() < _FEWEST:
        rare = f"class {distinct[counts.argmin()]!s} of column {target!r} has {counts.min()} rows"
        raise InvalidTable(where, f"{rare}, and {_FEWEST} are the fewest; merge it or drop its rows")
    return labels.astype(float), tuple(distinct.tolist())


def _units(series: "nw.Series[Any]", where: str) -> Any:
    """The number of each row's group. A missing one is a group of its own."""
    import numpy as np

    column = ranked(series, where, 0, len(series)) if has_order(series) else None
    if column is None:
        raise InvalidTable(where, f"column {series.name!r} holds lists or structures, which name no group")
    units = column.ranks.copy()
    lone = units < 0
    units[lone] = len(units) + np.arange(lone.sum())
    return np.unique(units, return_inverse=True)[1]
