"""Checks of labels: do raters agree, which labels does a model contradict, which are older than what they describe?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weigh.checks.labels.agreement import Level, agreement
from weigh.checks.labels.label_errors import label_errors
from weigh.checks.results import CheckReport, CheckResult, Figure, first
from weigh.checks.tables import ISO_DATE, read, subject
from weigh.errors import InvalidTable
from weigh.optional import needed

if TYPE_CHECKING:
    import narwhals as nw


def check_labels(
    table: Any,
    *,
    raters: Iterable[str] = (),
    level: Level = "nominal",
    order: Sequence[Any] | None = None,
    label: str | None = None,
    probabilities: Mapping[Any, str] | str | None = None,
    trusted: bool = False,
    labelled_at: str | None = None,
    changed_at: str | None = None,
) -> CheckReport:
    """All checks of labels that the named columns allow: agreement, label errors, stale labels.

    Args:
        table: A path or a frame with a row for each labelled item: CSV, Parquet, Arrow, pandas, Polars, DuckDB.
        raters: Columns of ratings, one for each rater.
        level: What a difference of two ratings means, as `agreement` takes it.
        order: The values of ordinal ratings that are no numbers, lowest first.
        label: The column of labels that a model is to learn.
        probabilities: The columns of out-of-fold probabilities by class, or their prefix, as `label_errors` takes them.
        trusted: Whether they are known to be out-of-fold and calibrated.
        labelled_at: The column of when a row was labelled.
        changed_at: The column of when its source last changed.

    Raises:
        InvalidTable: If no check has its columns named, one of a pair of columns is not, or one cannot be used.
    """
    where, raters, results = subject(table), list(raters), []
    if raters:
        results.append(agreement(table, raters, level=level, order=order))
    for one, other, said in (
        (label, probabilities, "label errors need the label and the probabilities of its classes"),
        (labelled_at, changed_at, "stale labels need when a row was labelled and when its source changed"),
    ):
        if (one is None) != (other is None):
            raise InvalidTable(where, f"{said}; name both")
    if label is not None and probabilities is not None:
        results.append(label_errors(table, label, probabilities, trusted=trusted))
    if labelled_at is not None and changed_at is not None:
        results.append(stale_labels(table, labelled_at, changed_at))
    if not results:
        raise InvalidTable(where, "nothing to check; name raters, a label with probabilities, or two columns of times")
    return CheckReport("labels", where, tuple(results))


def stale_labels(table: Any, labelled_at: str, changed_at: str, *, threshold: float = 0.01) -> CheckResult:
    """Stale labels: the share of rows whose source changed after they were labelled.

    A row that never changed has no time of change. A row without a time of labelling may be stale or not, and the
    interval reaches from none of such rows to all of them. How old a label is does not matter.

    Args:
        table: A path or a frame with a row for each labelled item.
        labelled_at: The column of when: a date, a time, or text of ISO 8601; or a number, such as of a version.
        changed_at: The column of when its source last changed, of the same kind.
        threshold: The largest share of rows that may be stale.

    Raises:
        InvalidTable: If a column is missing, is no time, or if only one of the two has a time zone.
    """
    with needed(subject(table)):
        import narwhals as nw

    found = read(table, [labelled_at, changed_at]).with_row_index("__row")
    labelled, changed = (_times(found[name], table, name) for name in (labelled_at, changed_at))
    kinds = [_kind(series) for series in (labelled, changed)]
    if kinds[0] != kinds[1]:
        problem = f"column {labelled_at!r} holds {kinds[0]} and column {changed_at!r} holds {kinds[1]}"
        raise InvalidTable(subject(table), f"{problem}; give both in one form")
    found = found.with_columns(labelled.alias("__labelled"), changed.alias("__changed"))
    stale = found.filter(nw.col("__changed") > nw.col("__labelled"))
    unknown = int(labelled.is_null().sum())
    by = stale.with_columns(__by=nw.col("__changed") - nw.col("__labelled")).sort("__by", descending=True)
    low, high = len(stale) / len(found), (len(stale) + unknown) / len(found)
    interval = "from none to all of the rows without a time of labelling" if unknown else "exact"
    return CheckResult(
        check="stale labels",
        figure=Figure("share of rows that changed after they were labelled", low, low, high, interval),
        threshold=threshold,
        reason="such a label describes what is no longer there, so the share is the most that it can make wrong",
        evidence=first(
            {"row": int(row["__row"]) + 1, labelled_at: row[labelled_at], changed_at: row[changed_at],
             "changed later by": row["__by"]}
            for row in by.head(10).iter_rows(named=True)
        ),
        cost={"rows": len(found)},
        notes=(f"{unknown:,} rows have no time of labelling",) if unknown else (),
    )  # fmt: skip


def _times(series: "nw.Series[Any]", table: Any, name: str) -> "nw.Series[Any]":
    """A column of times that can be compared: numbers and times as they are, text as ISO 8601 has it."""
    import narwhals as nw

    if series.dtype.is_float():
        return series.to_frame().select(nw.col(name).fill_nan(None))[name]
    if series.dtype.is_numeric() or series.dtype in (nw.Date, nw.Datetime):
        return series
    if series.is_null().all():
        return series.cast(nw.Datetime("us"))
    if series.dtype in (nw.String, nw.Object):
        return _parsed(series, table, name)
    raise InvalidTable(
        subject(table), f"column {name!r} is {series.dtype}; dates, times, ISO text or numbers are needed"
    )


def _parsed(series: "nw.Series[Any]", table: Any, name: str) -> "nw.Series[Any]":
    """Text as times. Only what begins with year, month and day, for other orders of the three can be guessed wrong."""
    import narwhals as nw

    text = series.cast(nw.String)
    other = text.filter(~text.str.contains(ISO_DATE) & ~text.is_null())
    if len(other):
        problem = f"column {name!r} has {other.to_list()[0]!r}, which is no date such as 2026-11-28"
        raise InvalidTable(subject(table), f"{problem}, and {len(other):,} like it; write dates as ISO 8601 has them")
    try:
        return text.str.to_datetime()
    except Exception as error:  # each engine has errors of its own
        said = str(error).strip().partition("\n")[0][:100]
        raise InvalidTable(subject(table), f"column {name!r} cannot be read as times: {said}") from None


def _kind(series: "nw.Series[Any]") -> str:
    """What a comparison needs to be the same on both sides."""
    import narwhals as nw

    if series.dtype.is_numeric():
        return "numbers"
    zone = series.dtype.time_zone if isinstance(series.dtype, nw.Datetime) else None
    return "times with a time zone" if zone else "times without a time zone"
