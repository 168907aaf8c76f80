"""Checks of a split: what a test set shares with the rows that a model was trained on."""

from collections.abc import Iterable
from typing import Any

from weigh.checks.results import CheckReport, CheckResult, Figure, first
from weigh.checks.tables import names, rows, scan, select, subject
from weigh.errors import InvalidTable


def check_splits(
    table: Any, split: str, *, keys: Iterable[str] | None = None, train: str = "train", test: str = "test"
) -> CheckReport:
    """All checks of a split that the columns of a table allow.

    Args:
        table: A path or a frame: CSV, Parquet, Arrow, pandas, Polars, DuckDB, Dask.
        split: The column that says to which part a row belongs.
        keys: The columns that make two rows the same; all but `split` without it.
        train: The value of `split` for training rows.
        test: Its value for test rows.

    Raises:
        InvalidTable: If a column is missing, or one of the two parts.
    """
    results = [exact_duplicates(table, split, keys=keys, train=train, test=test)]
    return CheckReport("splits", subject(table), tuple(results))


def exact_duplicates(
    table: Any,
    split: str,
    *,
    keys: Iterable[str] | None = None,
    train: str = "train",
    test: str = "test",
    threshold: float = 0.01,
) -> CheckResult:
    """Exact duplicates across a split: the share of test rows that stand in the training set, value by value.

    Args:
        table: A path or a frame, as `check_splits` takes it.
        split: The column that says to which part a row belongs.
        keys: The columns that make two rows the same; all but `split` without it.
        train: The value of `split` for training rows.
        test: Its value for test rows.
        threshold: The largest share of test rows that may have a twin.

    Raises:
        InvalidTable: If a column is missing, or one of the two parts.
    """
    frame = scan(table)
    import narwhals as nw

    keys = list(keys or (name for name in names(frame, table) if name != split))
    # Sums of ones and zeros are what every engine can group, partition by partition.
    train_rows, test_rows = ((nw.col(split) == part).cast(nw.Int64) for part in (train, test))
    counted = select(frame, table, [*keys, split]).with_columns(__train=train_rows, __test=test_rows)
    groups = rows(counted.group_by(keys).agg(nw.col("__train", "__test").sum()), table)
    seen, learnt = (_in_part(groups, column, part, table) for column, part in (("__test", test), ("__train", train)))
    twins = groups.filter((nw.col("__train") > 0) & (nw.col("__test") > 0)).sort("__test", "__train", descending=True)
    return CheckResult(
        check="exact duplicates",
        figure=Figure.exact("share of test rows with a twin in train", int(twins["__test"].sum()) / seen),
        threshold=threshold,
        reason="a model has seen such a row with its answer, so the share is the most that it can add to an accuracy",
        evidence=first(
            {"in train": int(row["__train"]), "in test": int(row["__test"]), **{key: row[key] for key in keys}}
            for row in twins.head(10).iter_rows(named=True)
        ),
        cost={"rows": seen + learnt, "distinct rows": len(groups)},
    )


def _in_part(groups: Any, column: str, part: str, table: Any) -> int:
    """How many rows a part has, which is at least one."""
    count = int(groups[column].sum() or 0) if len(groups) else 0
    if not count:
        raise InvalidTable(subject(table), f"no row is in the part {part!r}; name the parts with --train and --test")
    return count
