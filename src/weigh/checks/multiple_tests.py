"""P-values of many tests, adjusted for their number."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's p-values, in the order given: each smaller one counts the tests that are left, and none is below it.

    They are those of `multipletests` of statsmodels, which collects the garbage of the whole process at each call.
    Holm 1979, Scandinavian Journal of Statistics 6, 65.
    """
    import numpy as np

    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    found: list[float] = adjusted.tolist()
    return found
