"""Answers of two models to the same rows: in one type, so that they can be compared."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weigh.checks.tables import as_text, complete, numbers, spelled, subject
from weigh.errors import InvalidTable

if TYPE_CHECKING:
    import narwhals as nw

_LONGEST = 40  # characters of an answer that a message shows


@dataclass(frozen=True)
class Answers:
    """Columns of answers in one type: whole numbers, or text.

    Attributes:
        columns: An array for each. Shape (rows,).
        notes: What was done to them.
    """

    columns: list[Any]
    notes: tuple[str, ...] = ()


def answers(table: "nw.DataFrame[Any]", source: Any, names: list[str], *, mixed: bool = False) -> Answers:
    """Columns of answers or labels, which are equal where they say the same: 3, 3.0 and, beside numbers, the text 3.

    Args:
        table: What `weigh.checks.tables.read` gave.
        source: What it read.
        names: The columns: classes, tokens or texts.
        mixed: Whether words and numbers may stand beside each other, and are compared as text; they are refused
            without it, for then a column of words would be wrong in all rows.

    Raises:
        InvalidTable: If a value is missing, or is no class, token or text, or the columns are of different kinds.
    """
    where = subject(source)
    kinds = [_kind(table, source, name) for name in names]
    if len(set(kinds)) > 1:
        # Numbers that came as text are numbers if all are, beside others that are.
        kinds = ["numbers" if kind == "text" and _spells(table[name]) else kind
                 for kind, name in zip(kinds, names, strict=True)]  # fmt: skip
        if mixed and "text" not in kinds:
            kinds = ["numbers"] * len(kinds)
    elif kinds[0] == "text" and all(_spells_classes(table[name]) for name in names):
        kinds = ["numbers"] * len(kinds)
    if len(set(kinds)) == 1 and kinds[0] != "text":
        return Answers([_whole_numbers(table, source, name) for name in names])
    is_mixed = len(set(kinds)) > 1
    if is_mixed and not mixed:
        raise InvalidTable(where, _of_two_kinds(table, dict(zip(names, kinds, strict=True))))
    columns = [_texts(table, source, name, kind) for name, kind in zip(names, kinds, strict=True)]
    notes = ("some of the columns are numbers and others text: all are compared as text",) * is_mixed
    return Answers(columns, (*notes, *_alike(columns)))


def refuse_missing(table: "nw.DataFrame[Any]", source: Any, column: str) -> None:
    """Refuse a column with a missing value. It is looked at value by value only if one is missing.

    Raises:
        InvalidTable: If one is.
    """
    series = table[column]
    missing = series.is_null().any() or (series.dtype.is_float() and series.is_nan().any())
    if missing or not (series.dtype.is_numeric() or str(series.dtype) == "String"):
        complete(table, source, column)


def as_words(series: "nw.Series[Any]") -> "nw.Series[Any]":
    """A column of categories as the words that they are; any other as it is."""
    import narwhals as nw

    return series.cast(nw.String) if str(series.dtype).startswith(("Categorical", "Enum")) else series


def _kind(table: "nw.DataFrame[Any]", source: Any, column: str) -> str:
    """What values have to share to be equal; text is whatever is written, words and numbers in one column too."""
    refuse_missing(table, source, column)
    series = table[column]
    name = str(series.dtype)
    if series.dtype.is_numeric():
        return "numbers"
    if name == "Boolean" or name == "String" or name.startswith(("Categorical", "Enum")):
        return name if name == "Boolean" else "text"
    values = series.to_list()
    wrong = next((row for row, value in enumerate(values) if not isinstance(value, str | int | float)), None)
    if wrong is not None:
        problem = f"row {wrong + 1} of column {column!r} is of type {type(values[wrong]).__name__}"
        raise InvalidTable(subject(source), f"{problem}; give classes, tokens or texts")
    return "text"


def _spells(series: "nw.Series[Any]") -> bool:
    return spelled(as_words(series)) is not None


def _spells_classes(series: "nw.Series[Any]") -> bool:
    """Whether a column of text is one of whole numbers that a float holds: 3 and 3.0, as two programs write a class."""
    import numpy as np

    values = spelled(as_words(series))
    return values is not None and bool(((values == np.floor(values)) & (abs(values) < 2**53)).all())


def _whole_numbers(table: "nw.DataFrame[Any]", source: Any, column: str) -> Any:
    """Numbers that are classes or tokens. Integers stay what they are: beyond 2⁵³ a float would make two of them one.

    Raises:
        InvalidTable: If one is a fraction.
    """
    import numpy as np

    series = table[column]
    if series.dtype.is_integer() and (whole := np.asarray(series.to_numpy())).dtype.kind in "iu":
        return whole
    values = numbers(table.with_columns(as_words(series)), source, column)
    what = "which is no class, token or text; compare numbers by how far they are apart, or round them"
    wrong = np.flatnonzero(values != np.floor(values))
    if len(wrong):
        raise InvalidTable(subject(source), f"row {wrong[0] + 1} of column {column!r} is {values[wrong[0]]:g}, {what}")
    return values


def _texts(table: "nw.DataFrame[Any]", source: Any, column: str, kind: str) -> Any:
    import numpy as np

    words = as_words(table[column])
    if str(words.dtype) == "String":
        return np.asarray(words.to_numpy(), object)
    values = _whole_numbers(table, source, column).tolist() if kind == "numbers" else words.to_list()
    return np.asarray([as_text(value) for value in values], object)


def _alike(columns: list[Any]) -> tuple[str, ...]:
    """A note on answers that differ from the first column's only in case, or in blanks around them."""
    import numpy as np

    first, *others = columns
    count = 0
    for other in others:
        differing = np.flatnonzero(first != other)
        pairs = zip(first[differing].tolist(), other[differing].tolist(), strict=True)
        count += sum(one.strip().casefold() == two.strip().casefold() for one, two in pairs)
    return (f"{count:,} answers differ only in case or in blanks around them: make them alike, unless that matters",
            ) if count else ()  # fmt: skip


def _of_two_kinds(table: "nw.DataFrame[Any]", kinds: dict[str, str]) -> str:
    """Why answers could equal no label: the text cat and the number 3."""
    (label, first), *others = kinds.items()
    name, other = next((name, kind) for name, kind in others if kind != first)
    text = next((one for one in (name, label) if kinds[one] == "text"), None)
    said = f", such as {_odd(table[text].to_list())!r}" if text else ""
    problem = f"column {label!r} holds {first} and column {name!r} holds {other}{said}"
    return f"{problem}, so that no answer is right; make them of one type"


def _odd(values: list[Any]) -> str:
    """The first text that is no number, or the first."""
    odd = (value for value in values if not str(value).lstrip("-").replace(".", "", 1).isdigit())
    return str(next(odd, values[0]))[:_LONGEST]
