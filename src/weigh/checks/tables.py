"""Tables from files and from frames of other libraries, as narwhals gives them: one set of expressions for all."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weigh.errors import InvalidTable, NotFound
from weigh.optional import needed

if TYPE_CHECKING:
    import narwhals as nw

ISO_DATE = r"^\d{4}-\d{2}-\d{2}"
"""How text begins that says a date as ISO 8601 does."""

_MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow"}
_MOST_EXAMPLES = 3
_MOST_SAID = 200
_MOST_OF_A_NAME = 40


def subject(source: Any) -> str:
    """What a table is called in messages: its path, or its type."""
    return str(source) if isinstance(source, str | Path) else f"{type(source).__module__.partition('.')[0]} table"


def scan(source: Any) -> "nw.LazyFrame[Any]":
    """A table, read when it is asked for rows: a lazy frame of narwhals.

    Args:
        source: The path of a CSV, Parquet or Arrow (IPC) file, or of a directory of Parquet files, which Polars reads;
            or a frame of pandas, Polars, PyArrow, DuckDB or Dask, which stays with its own engine.

    Raises:
        NotFound: If there is no such file.
        InvalidTable: If it is no table.
    """
    where = subject(source)
    with needed(where):
        import narwhals as nw
    if isinstance(source, str | Path):
        frame: nw.LazyFrame[Any] = nw.from_native(_scan_file(Path(source)))
        return frame
    try:
        frame = nw.from_native(source).lazy()
    except TypeError:
        kinds = "a path, or a frame of pandas, Polars, PyArrow, DuckDB or Dask"
        raise InvalidTable(where, f"is no table; give {kinds}") from None
    return frame


def read(source: Any, columns: Iterable[str] | None = None) -> "nw.DataFrame[Any]":
    """A table in memory, with the columns that are asked for.

    Args:
        source: As `scan` takes it.
        columns: Names of columns, each once or more often; all columns without it.

    Raises:
        NotFound: If there is no such file.
        InvalidTable: If it is no table, cannot be read, has no rows, or lacks a column.
    """
    frame = select(scan(source), source, columns)
    table = rows(frame, source)
    if not len(table):
        raise InvalidTable(subject(source), "has no rows")
    return table


def select(frame: "nw.LazyFrame[Any]", source: Any, columns: Iterable[str] | None) -> "nw.LazyFrame[Any]":
    """A lazy frame with the columns that are asked for, in that order.

    Raises:
        InvalidTable: If one is missing, with the names that are nearest to it.
    """
    if columns is None:
        return frame
    there, wanted = names(frame, source), list(dict.fromkeys(columns))
    for name in wanted:
        if name not in there:
            near = get_close_matches(name, there, _MOST_EXAMPLES, 0.5) or there[:_MOST_EXAMPLES]
            shown = ", ".join(repr(one[:_MOST_OF_A_NAME]) for one in near)
            others = "" if len(near) == len(there) else " and others"
            raise InvalidTable(subject(source), f"has no column {name!r}; there are {shown or 'none'}{others}")
    return frame.select(wanted)


def names(frame: "nw.LazyFrame[Any]", source: Any) -> list[str]:
    """The names of a table's columns.

    Raises:
        InvalidTable: If its file cannot be read as what it is.
    """
    with _reading(subject(source)):
        return frame.collect_schema().names()


def rows(frame: "nw.LazyFrame[Any]", source: Any) -> "nw.DataFrame[Any]":
    """The rows of a lazy frame.

    Raises:
        InvalidTable: If its file cannot be read as what it is.
    """
    with _reading(subject(source)):
        return frame.collect()


def numbers(table: "nw.DataFrame[Any]", source: Any, column: str) -> Any:
    """A column as an array of float64: shape (rows,).

    Raises:
        InvalidTable: If it holds text, or a missing or infinite number, with the first row where it does.
    """
    import numpy as np

    series = table[column]
    values = spelled(series)
    if values is None and not (series.dtype.is_numeric() or str(series.dtype) == "Boolean"):
        example = next((value for value in series.to_list() if not _is_number(value)), None)
        said = f", such as {example!r}" if example is not None else ""
        raise InvalidTable(subject(source), f"column {column!r} is {series.dtype}{said}; numbers are needed")
    values = np.asarray(series.to_numpy(), dtype=float) if values is None else values
    _refuse(np.flatnonzero(~np.isfinite(values)).tolist(), source, column, "missing or not finite")
    return values


def complete(table: "nw.DataFrame[Any]", source: Any, column: str) -> list[Any]:
    """A column as a list of values, none of them missing.

    Raises:
        InvalidTable: If one is missing, with the first row where it is.
    """
    values, nulls = table[column].to_list(), table[column].is_null().to_list()
    # pandas has a missing value that is neither equal to itself nor different.
    wrong = [row for row, (value, null) in enumerate(zip(values, nulls, strict=True)) if null or value != value]
    _refuse(wrong, source, column, "missing")
    return values


def _refuse(wrong: Sequence[int], source: Any, column: str, what: str) -> None:
    """Refuse a column of which some rows, counted from 0, are wrong."""
    if len(wrong):
        problem = f"row {wrong[0] + 1} of column {column!r} is {what}"
        raise InvalidTable(subject(source), f"{problem}, and {len(wrong):,} in all; drop such rows or fill them")


def moments(table: "nw.DataFrame[Any]", source: Any, column: str) -> Any:
    """A column of times as numbers in their order: shape (rows,).

    Raises:
        InvalidTable: If it holds what is neither a time, a date, a number nor text in the form of ISO 8601, if a value
            is missing, or if some times have a zone and others have none.
    """
    with needed(subject(source)):
        import narwhals as nw
        import numpy as np

    said = complete(table, source, column)
    kind = table[column].dtype
    if kind.is_numeric():
        return numbers(table, source, column)
    if kind in (nw.Date, nw.Datetime):
        whole = table[column].cast(nw.Datetime("us")) if kind == nw.Date else table[column]
        return np.asarray(whole.dt.timestamp("us").to_numpy())
    try:
        times = [datetime.fromisoformat(str(value)) for value in said]
    except ValueError as error:
        problem = f"column {column!r} is no time: {error}; give times, numbers, or text such as 2026-11-28T09:30"
        raise InvalidTable(subject(source), problem) from None
    if len({time.tzinfo is None for time in times}) > 1:
        raise InvalidTable(subject(source), f"column {column!r} has times with a zone and times without; give all one")
    # Local time would jump twice a year.
    return np.asarray([(time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() for time in times])


def spelled(series: "nw.Series[Any]") -> Any:
    """The numbers of a column of text that spells nothing else, such as `nan`, which engines take for a word.

    Shape (rows,), as float64, NaN where a value is missing. `None` for any other column.
    """
    import numpy as np

    if str(series.dtype) != "String":
        return None
    values = series.to_list()
    if not any(values) or not all(value is None or _is_number(value) for value in values):
        return None
    return np.asarray([float("nan") if value is None else float(value) for value in values])


def is_missing(value: Any) -> bool:
    """Whether a value of a column says nothing: none, no number, or blank text."""
    if value is None or type(value).__name__ == "NAType":  # that of pandas is neither equal to itself nor different
        return True
    return not value.strip() if isinstance(value, str) else bool(value != value)


def as_text(value: Any) -> str:
    """A value by one name, whatever engine read it: 3, whether its column came as 3, 3.0 or "3"; and true, as CSV."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _scan_file(path: Path) -> Any:
    where = str(path)
    with needed(where):
        import polars as pl
    if not path.exists():
        raise NotFound(where, "no such file")
    if path.is_dir():
        if not any(path.glob("*.parquet")):
            raise InvalidTable(where, "is a directory without Parquet files; name a CSV, Parquet or Arrow file")
        return pl.scan_parquet(str(path / "*.parquet"))
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        raise NotFound(where, f"cannot be opened: {error.strerror}") from None
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), path.suffix.lower().strip("."))
    with _reading(where):
        match kind:
            case "parquet":
                return pl.scan_parquet(path)
            case "arrow" | "feather" | "ipc":
                _names_once(path)
                return pl.scan_ipc(path)
            case "csv" | "tsv":
                separator, status = "\t" if kind == "tsv" else ",", path.stat()
                schema = _csv_schema(path, separator, status.st_size, status.st_mtime_ns)
                return pl.scan_csv(path, separator=separator, schema=schema)
    raise InvalidTable(where, "is no CSV, Parquet or Arrow file; name one, or pass a frame")


@lru_cache(maxsize=1)
def _csv_schema(path: Path, separator: str, size: int, modified: int) -> Any:
    """The types of a CSV file's columns, of a certain size and time.

    All rows are looked at before a column is taken for numbers: a word may come late. That takes ten times as long as
    reading them, so it is done once for all the checks of a file.
    """
    import polars as pl

    return pl.scan_csv(path, separator=separator, infer_schema_length=None).collect_schema()


def _names_once(path: Path) -> None:
    """Refuse an Arrow file with two columns of one name, which nothing could tell apart, where PyArrow sees them."""
    if find_spec("pyarrow") is None:
        return
    from pyarrow import ipc  # type: ignore[import-untyped]

    with ipc.open_file(path) as file:
        columns = file.schema.names
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"column with name {twice!r} has more than one occurrence")


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """A place where an engine reads a file: what it says of a bad one becomes one line."""
    try:
        yield
    except BaseException as error:  # each engine has errors of its own, and not all of them are an Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        said = str(error).strip().partition("\n")[0][:_MOST_SAID] or type(error).__name__
        raise InvalidTable(where, f"cannot be read as a table: {said}") from None
