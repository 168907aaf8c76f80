"""Checks of a split: what a test set shares with the rows that a model was trained on."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from weigh.checks.partitions import grouped_sums, partitioned
from weigh.checks.results import CheckReport, CheckResult, Figure
from weigh.checks.tables import moments as moments_of
from weigh.checks.tables import names, rows, scan, select, subject
from weigh.errors import InvalidTable

if TYPE_CHECKING:
    import narwhals as nw

_SHOWN = 10
_REASON = "what a model remembers of {what} can add up to this share to an accuracy"


def check_splits(
    table: Any,
    split: str,
    *,
    keys: Iterable[str] | None = None,
    group: str | None = None,
    time: str | None = None,
    text: str | None = None,
    numbers: Iterable[str] | None = None,
    train: str = "train",
    test: str = "test",
    scheduler: str | None = None,
) -> CheckReport:
    """All checks of a split that are asked for by naming columns; exact duplicates are always looked for.

    Args:
        table: A path or a frame: CSV, Parquet, Arrow, pandas, Polars, DuckDB, Dask.
        split: The column that says to which part a row belongs.
        keys: The columns that make two rows the same; all but `split` without it.
        group: The column that says whose a row is: a user, a patient, a source.
        time: The column that says when a row was made.
        text: The column of texts that may be near duplicates.
        numbers: The columns of numbers that make two rows near to each other.
        train: The value of `split` for training rows.
        test: Its value for test rows.
        scheduler: The address of a Dask scheduler, whose workers read the table, in partitions, and count.

    Raises:
        InvalidTable: If a column is missing or cannot be used, or if one of the two parts has no row.
        Unreachable: If no scheduler answers.
    """
    with partitioned(table, scheduler) as source:
        results = [exact_duplicates(source, split, keys=keys, train=train, test=test)]
        if group is not None:
            results.append(group_overlap(source, split, group, train=train, test=test))
        if time is not None:
            results.append(time_overlap(source, split, time, train=train, test=test))
        if text is not None:
            from weigh.checks.splits.near_duplicates import near_duplicates

            results.append(near_duplicates(source, split, text, train=train, test=test))
        if columns := list(numbers or ()):
            from weigh.checks.splits.near_rows import near_rows

            results.append(near_rows(source, split, columns, train=train, test=test))
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

    A missing value equals a missing value and NaN is one; 0.0 equals −0.0.

    Args:
        table: A path or a frame, as `check_splits` takes it.
        split: The column that says to which part a row belongs.
        keys: The columns that make two rows the same; all but `split` without it.
        train: The value of `split` for training rows.
        test: Its value for test rows.
        threshold: The largest share of test rows that may have a twin.

    Raises:
        InvalidTable: If a column is missing, or if one of the two parts has no row.
    """
    frame = scan(table)
    keys = list(keys or (name for name in names(frame, table) if name != split))
    if not keys:
        raise InvalidTable(subject(table), f"has no column but {split!r}, and nothing to compare")
    shared = _shared(_groups(frame, table, keys, split, train, test), table, keys, train, test)
    return CheckResult(
        check="exact duplicates",
        figure=Figure.exact("share of test rows with a twin in train", shared["twins"] / shared["test"]),
        threshold=threshold,
        reason=_REASON.format(what="a row it has met"),
        evidence=shared["evidence"],
        cost={"rows": shared["train"] + shared["test"], "distinct rows": shared["distinct"]},
    )


def group_overlap(
    table: Any, split: str, group: str, *, train: str = "train", test: str = "test", threshold: float = 0.01
) -> CheckResult:
    """Entities in both parts of a split: the share of test rows whose user, patient or source has training rows too.

    Args:
        table: A path or a frame, as `check_splits` takes it.
        split: The column that says to which part a row belongs.
        group: The column that says whose a row is. Rows where it is missing belong to nobody, and are left out.
        train: The value of `split` for training rows.
        test: Its value for test rows.
        threshold: The largest share of test rows that may be of an entity in training.

    Raises:
        InvalidTable: If a column is missing, or if one of the two parts has no row with an entity.
    """
    import narwhals as nw

    groups = _groups(scan(table), table, [group], split, train, test)
    nobody = _without(groups, table, group)
    shared = _shared(groups.filter(~nw.col(group).is_null()), table, [group], train, test)
    return CheckResult(
        check="groups in both parts",
        figure=Figure.exact(f"share of test rows whose {group} is in train", shared["twins"] / shared["test"]),
        threshold=threshold,
        reason=_REASON.format(what="an entity it has met"),
        evidence=shared["evidence"],
        cost={"rows": shared["train"] + shared["test"], "groups": shared["distinct"]},
        notes=(f"{nobody:,} rows without {group} are left out",) if nobody else (),
    )


def time_overlap(
    table: Any, split: str, time: str, *, train: str = "train", test: str = "test", threshold: float = 0.01
) -> CheckResult:
    """Training rows later than test rows: the fewest rows to take out until none is, as a share of the test rows.

    One row with a wrong date counts once. A split that is shuffled, or in reverse order, counts nearly all of its
    smaller part. A training row of the same time as a test row is not later.

    Args:
        table: A path or a frame, as `check_splits` takes it.
        split: The column that says to which part a row belongs.
        time: The column that says when a row was made: times, dates, numbers, or text in the form of ISO 8601. Rows
            where it is missing are left out.
        train: The value of `split` for training rows.
        test: Its value for test rows.
        threshold: The largest such share.

    Raises:
        InvalidTable: If a column is missing or is no time, or if one of the two parts has no row with a time.
    """
    import narwhals as nw
    import numpy as np

    groups = _groups(scan(table), table, [time], split, train, test)
    undated = _without(groups, table, time)
    some(len(times := rows(groups.filter(~nw.col(time).is_null()), table)), train, table)
    moments, first_said, place = np.unique(moments_of(times, table, time), return_index=True, return_inverse=True)
    trained, tested = (
        np.bincount(place, times[name].cast(nw.Int64).to_numpy()).astype(int) for name in ("__train", "__test")
    )
    here = some(int(trained.sum()), train, table), some(int(tested.sum()), test, table)
    # Test rows before a cut go, and training rows after it: of all cuts, the cheapest.
    before, after = tested.cumsum() - tested, trained.sum() - trained.cumsum()
    first_test, last_train = np.flatnonzero(tested)[0], np.flatnonzero(trained)[-1]
    said = times[time].to_list()
    evidence = {
        "first in test": str(said[first_said[first_test]]),
        "last in train": str(said[first_said[last_train]]),
        "train rows after": int(after[first_test]),
        "test rows before": int(before[last_train]),
        "test rows at once": int(tested[trained > 0].sum()),
    }
    reverse = moments[np.flatnonzero(tested)[-1]] < moments[np.flatnonzero(trained)[0]]
    return CheckResult(
        check="time order",
        figure=Figure.exact("rows out of order, as a share of test rows", int((before + after).min()) / here[1]),
        threshold=threshold,
        reason=_REASON.format(what="the time after a test row"),
        evidence=(evidence,),
        cost={"rows": sum(here), "times": len(moments)},
        notes=(
            *(("the order is reverse: every test row is older than every training row",) if reverse else ()),
            *((f"{undated:,} rows without {time} are left out",) if undated else ()),
        ),
    )


def marked_parts(
    frame: "nw.LazyFrame[Any]", table: Any, columns: Iterable[str], split: str, train: str, test: str
) -> "nw.LazyFrame[Any]":
    """A lazy frame of columns, as all engines group them alike, and two of ones and zeros, `__train` and `__test`.

    Their sums are what any engine can take partition by partition. Rows of other parts have zeros or nothing there.

    Raises:
        InvalidTable: If a column is missing, is the split itself or named as a mark is, or if both parts are one.
    """
    import narwhals as nw

    if split in (columns := list(columns)):
        raise InvalidTable(subject(table), f"column {split!r} says the part, and cannot be what the parts share")
    if reserved := {"__train", "__test"} & {*columns, split}:
        raise InvalidTable(subject(table), f"column {min(reserved)!r} has the name of a mark of the check; rename it")
    frame = select(frame, table, [*columns, split])
    schema = frame.collect_schema()
    numeric = schema[split].is_numeric() or schema[split] == nw.Boolean
    part = nw.col(split).cast(nw.Float64 if numeric else nw.String)
    values = [_as_number(value, table, split) if numeric else value for value in (train, test)]
    if values[0] == values[1]:
        raise InvalidTable(subject(table), f"the part {train!r} is for training and for testing; name two parts")
    marks = {name: (part == value).cast(nw.Int64) for name, value in zip(("__train", "__test"), values, strict=True)}
    # NaN is a missing value in pandas and none in Polars; Arrow keeps −0.0 apart from 0.0.
    alike = [(nw.col(name) + 0.0).fill_nan(None) for name in columns if schema[name].is_float()]
    return frame.with_columns(*alike, **marks)


def _groups(
    frame: "nw.LazyFrame[Any]", table: Any, keys: list[str], split: str, train: str, test: str
) -> "nw.LazyFrame[Any]":
    """How many training and test rows have each combination of keys, of those that have one."""
    import narwhals as nw

    marked = marked_parts(frame, table, keys, split, train, test)
    return grouped_sums(marked.filter((nw.col("__train") + nw.col("__test")) > 0), keys, ["__train", "__test"], table)


def _without(groups: "nw.LazyFrame[Any]", table: Any, key: str) -> int:
    """How many rows have no value of a key."""
    import narwhals as nw

    sums = rows(groups.filter(nw.col(key).is_null()).select(nw.col("__train", "__test").sum()), table)
    return sum(int(count or 0) for count in sums.row(0))


def _as_number(value: str, table: Any, split: str) -> float:
    try:
        return float({"true": 1, "false": 0}.get(str(value).lower(), value))
    except ValueError:
        problem = (
            f"column {split!r} holds numbers, and the part {value!r} is none; name the parts with --train and --test"
        )
        raise InvalidTable(subject(table), problem) from None


def _shared(groups: "nw.LazyFrame[Any]", table: Any, keys: list[str], train: str, test: str) -> Mapping[str, Any]:
    """How many rows the parts have, in how many groups, how many test rows are in a group that has training rows, and
    the largest of such groups."""
    import narwhals as nw

    learnt = nw.col("__train") > 0
    twins = nw.when(learnt).then(nw.col("__test")).otherwise(0)
    sums = [nw.len().alias("distinct"), nw.col("__train").sum(), nw.col("__test").sum(), twins.sum().alias("twins")]
    (counts,) = rows(groups.select(sums), table).rows(named=True)
    found = {name.strip("_"): int(count or 0) for name, count in counts.items()}
    for name, part in (("train", train), ("test", test)):
        some(found[name], part, table)
    both = rows(groups.filter(learnt & (nw.col("__test") > 0)), table)
    # Ties are broken by the keys, or else the evidence would change from run to run.
    order = ["__test", "__train", *keys]
    largest = both.sort(order, descending=[True, True, *(False for _ in keys)], nulls_last=True).head(_SHOWN)
    evidence = tuple(
        {"in train": int(row["__train"]), "in test": int(row["__test"]), **{key: _there(row[key]) for key in keys}}
        for row in largest.iter_rows(named=True)
    )
    return {**found, "evidence": evidence}


def _there(value: Any) -> Any:
    """A value of a row, or None where it is missing: NaN and NaT equal nothing, and NA will not even say so."""
    try:
        return value if value == value else None
    except TypeError:
        return None


def some(count: int, part: str, table: Any) -> int:
    """How many rows a part has, which is at least one."""
    if not count:
        raise InvalidTable(subject(table), f"no row is in the part {part!r}; name the parts with --train and --test")
    return count
