"""How far a noisy series has risen above the lowest level that it had before, and where that is first beyond doubt."""

from dataclasses import dataclass
from typing import Any, Literal

from weigh.errors import InvalidSetting
from weigh.optional import needed

_DOUBT = 0.001


@dataclass(frozen=True)
class Rise:
    """The rise of a series above its own lowest level: the row where it is surest.

    Attributes:
        value: From the median of the lowest window to that of a later one: a quotient or a difference.
        low: Its lower bound: from the high end of the lowest window to the low end of the later one.
        lowest: The last row of the lowest window.
        at: The last row of the window that has risen.
        first: The first row at which the lower bound is above what was asked for; `None` if it never is.
        interval: What the bound is.
    """

    value: float
    low: float
    lowest: int
    at: int
    first: int | None
    interval: str


def rise(values: Any, window: int, limit: Any = 0.0, measure: Literal["quotient", "difference"] = "quotient") -> Rise:
    """The rise of a series above the lowest level that it had before.

    The level is the median of a window, and its bounds are order statistics, which hold whatever the values are
    distributed like: at 20 rows, all but two of a window are above its lower bound, and all but two below its upper
    one. Every row is judged by the rows before it alone, as one would during the run.

    Args:
        values: Finite numbers: shape (rows,), at least twice the window.
        window: How many neighbouring rows make a level.
        limit: What the lower bound is held against: one number, or one for each window from the second on, shape
            (rows − 2 · window + 1,).
        measure: Whether the rise is a quotient, for what is never negative, or a difference.

    Raises:
        InvalidSetting: If the window has fewer than 5 rows.
    """
    import numpy as np

    low, middle, high = levels(values, window)
    # The window that a level is held against ends before its own begins.
    before = np.minimum.accumulate(high)[:-window]
    places = np.maximum.accumulate(np.where(high[:-window] == before, np.arange(len(before)), 0))
    if measure == "quotient":
        bounds, sizes = _quotient(low[window:], before), _quotient(middle[window:], middle[places])
    else:
        bounds, sizes = low[window:] - before, middle[window:] - middle[places]
    surest = int(np.argmax(bounds - np.asarray(limit)))
    beyond = np.flatnonzero(bounds > limit)
    return Rise(
        value=float(sizes[surest]),
        low=float(min(bounds[surest], sizes[surest])),
        lowest=int(places[surest]) + window - 1,
        at=surest + 2 * window - 1,
        first=int(beyond[0]) + 2 * window - 1 if len(beyond) else None,
        interval=f"one-sided, order statistics of {window} rows",
    )


def levels(values: Any, window: int) -> tuple[Any, Any, Any]:
    """The level of each window: the lower bound, the median and the upper bound, shape (rows − window + 1,) each.

    Raises:
        InvalidSetting: If the window has fewer than 5 rows.
    """
    if window < 5:
        raise InvalidSetting("window", f"{window} rows are too few for a level; give at least 5")
    with needed("levels of a series"):
        from scipy.ndimage import rank_filter

    start, spared = window // 2, _spared(window)
    ranks = (spared, window // 2, window - 1 - spared)
    low, middle, high = (
        rank_filter(values, rank, size=window)[start : start + len(values) - window + 1] for rank in ranks
    )
    return low, middle, high


def _spared(window: int) -> int:
    """How many values of a window may lie beyond a bound of its median, if that is to hold but for one in a thousand.

    A window too small for that has its least and its greatest value as bounds.
    """
    with needed("levels of a series"):
        from scipy.stats import binom

    return max(int(binom.ppf(_DOUBT, window, 0.5)) - 1, 0)


def _quotient(above: Any, below: Any) -> Any:
    """A quotient in which nothing above nothing is 1, and something above nothing is infinite."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((above == 0) & (below == 0), 1.0, above / below)
