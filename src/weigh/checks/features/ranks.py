"""Columns of any kind as ranks, which is all that a tree sees of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weigh.checks.tables import ISO_DATE
from weigh.errors import InvalidTable

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NEARLY_ALL = 0.95


@dataclass(frozen=True, eq=False)
class Column:
    """A column as ranks.

    Attributes:
        name: Its name.
        ranks: The rank of each value among the distinct ones, from 0, and −1 where it is missing: shape (rows,). Ids
            and timestamps above 2²⁴ stay apart so, for trees compute in float32; and a column that is empty in some
            fold stays a number, for boosted trees refuse a column of NaN (scikit-learn 1.9).
        category: Whether it is text that recurs: its order says nothing, and a model needs an encoding of it.
        identifier: Whether it is text or whole numbers that hardly recur.
    """

    name: str
    ranks: "Floats"
    category: bool
    identifier: bool


def ranked(series: "nw.Series[Any]", where: str, distinct: int, rows: int) -> Column | None:
    """A column as ranks; none if its values have no order: lists, structures, bytes, spans of months.

    Args:
        series: The column, or a sample of its rows.
        where: What its table is called in messages.
        distinct: How many distinct values the whole column has, a missing one counted as one.
        rows: How many rows it has.

    Raises:
        InvalidTable: If it mixes types.
    """
    import narwhals as nw
    import numpy as np

    missing, values = present(series)
    try:
        distinct_values, places = np.unique(values, return_inverse=True)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in values.tolist()})
        if len(kinds) == 1:
            return None
        raise InvalidTable(where, f"column {series.name!r} mixes {' and '.join(kinds)}; make it one type") from None
    ranks = np.full(len(series), -1.0)
    ranks[~missing] = places
    kind = "text" if _is_text(distinct_values) else "whole" if _is_whole(distinct_values) else "other"
    rare = distinct >= _NEARLY_ALL * rows
    dates = kind == "text" and series.drop_nulls().cast(nw.String).str.contains(ISO_DATE).all()
    # Two values have one order, whatever it is. Dates as ISO 8601 writes them sort as text.
    category = kind == "text" and len(distinct_values) > 2 and not rare and not dates
    return Column(series.name, ranks, category, rare and kind != "other" and not dates)


def has_order(series: "nw.Series[Any]") -> bool:
    """Whether its values can be compared and counted, as far as their type says."""
    import narwhals as nw

    if isinstance(series.dtype, nw.Object | nw.Unknown):
        examples = series.drop_nulls().head(1).to_list()
        return not any(isinstance(value, bytes | list | dict | set) or hasattr(value, "shape") for value in examples)
    return not isinstance(series.dtype, nw.List | nw.Array | nw.Struct | nw.Binary)


def present(series: "nw.Series[Any]") -> tuple["NDArray[np.bool_]", "NDArray[Any]"]:
    """Which values are missing, as a mask of shape (rows,), and the others: null and NaN are both missing."""
    import narwhals as nw
    import numpy as np

    if isinstance(series.dtype, nw.Categorical | nw.Enum):
        series = series.cast(nw.String)
    missing = series.is_null().to_numpy()
    if isinstance(series.dtype, nw.Float32 | nw.Float64):
        missing = missing | np.isnan(series.to_numpy().astype(float))
    return missing, series.filter((~missing).tolist()).to_numpy()


def _is_text(values: "NDArray[Any]") -> bool:
    return values.dtype.kind in "OUST" and bool(len(values)) and isinstance(values[0], str)


def _is_whole(values: "NDArray[Any]") -> bool:
    import numpy as np

    return values.dtype.kind in "iu" or (values.dtype.kind == "f" and bool(np.all(values == np.floor(values))))
