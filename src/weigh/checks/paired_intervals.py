"""How far the accuracy that a second model lost may be chance: paired tests, and groups that count as fewer rows."""

from typing import Any

from weigh.optional import needed

_HALVINGS = 40


def loss_interval(
    lost: Any, gained: Any, rows: Any, level: Any = 0.025, degrees: Any = float("inf")
) -> tuple[Any, Any]:
    """The interval of the accuracy that a second model lost, from the rows on which one of the two is right alone.

    Both models answered the same rows, so the rows on which both are right or both are wrong say nothing of the
    difference but how rare it is. The ends are where Tango's score test would just reject: 1998, Statistics in
    Medicine 17, 891. Against 0 it is McNemar's test.

    Args:
        lost: Rows that the first model has right and the second wrong. Numbers or arrays, as all others.
        gained: Rows that the second has right and the first wrong.
        rows: All rows.
        level: The chance that an end is beyond the truth; 0.025 for each of the two is an interval of 95 %.
        degrees: Degrees of freedom of Student's t, where rows are few groups; infinite for the normal distribution.
    """
    with needed("the interval of a paired difference"):
        import numpy as np
        from scipy.stats import t

    lost, gained, rows = (np.asarray(one, dtype=float) for one in (lost, gained, rows))
    critical, observed = t.isf(level, degrees), (lost - gained) / rows
    shape = np.broadcast_shapes(observed.shape, np.shape(critical))
    ends = []
    for side in (-1.0, 1.0):
        near, far = np.broadcast_to(observed, shape), np.full(shape, side)
        for _ in range(_HALVINGS):
            middle = (near + far) / 2
            is_inside = abs(_score(lost, gained, rows, middle)) < critical
            near, far = np.where(is_inside, middle, near), np.where(is_inside, far, middle)
        ends.append(near)
    return ends[0], ends[1]


def loss_p_value(lost: Any, gained: Any, rows: Any, allowed: float, degrees: Any = float("inf")) -> Any:
    """The p-value of a loss: how likely one as large is by chance, if truly as much is lost as is allowed.

    It is that of the test whose intervals `loss_interval` gives. Of many slices it has to be adjusted for their number.

    Args:
        lost: As `loss_interval` takes it.
        gained: As there.
        rows: As there.
        allowed: The accuracy that may be lost.
        degrees: As there.
    """
    from scipy.stats import t

    return t.sf(_score(lost, gained, rows, allowed), degrees)


def _score(lost: Any, gained: Any, rows: Any, loss: Any) -> Any:
    """Tango's statistic: how many standard errors the loss that was seen lies above a loss that may be true.

    The standard error is the one that is likeliest under that loss, so it is above 0 where no row differs.
    """
    import numpy as np

    # The likeliest share of gained rows solves a quadratic equation.
    square, linear = 2 * rows, (2 * rows - lost + gained) * loss - lost - gained
    constant = -gained * loss * (1 - loss)
    gain = (np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0)) - linear) / (2 * square)
    variance = rows * np.maximum(2 * gain + loss * (1 - loss), 0)
    distance = lost - gained - rows * loss
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance == 0, 0.0, distance / np.sqrt(variance))


def design_effect(differences: Any, sizes: Any) -> float:
    """By how much the mean over rows of groups varies more than one over as many independent rows; at least 1.

    Counts divided by it are those of as many independent rows as the groups are worth: Rao and Scott 1992, Biometrics
    48, 577. Where no row differs nothing can be measured, and each group counts as one row.

    Args:
        differences: The sums and the sums of squares of each group's differences. Shape (groups, 2).
        sizes: How many rows each group has. Shape (groups,).
    """
    import numpy as np

    groups, rows = len(sizes), sizes.sum()
    total, squares = differences.sum(0)
    of_rows = squares - total**2 / rows
    if groups < 2 or of_rows <= 0:
        return float(rows / groups)
    of_groups = ((differences[:, 0] - total / rows * sizes) ** 2).sum() * groups / (groups - 1)
    return float(np.maximum(1, of_groups / of_rows))


def mean_interval(totals: Any, sizes: Any = 1, level: float = 0.025) -> tuple[float, float]:
    """The interval of a mean over rows, by Student's t over rows, or over the groups that they belong to.

    Args:
        totals: The value of each row, or the sum over each group: shape (units,), two or more.
        sizes: How many rows each group has: shape (units,).
        level: The chance that an end is beyond the truth.
    """
    with needed("the interval of a mean"):
        import numpy as np
        from scipy.stats import t

    units, rows = len(totals), float(np.broadcast_to(sizes, np.shape(totals)).sum())
    mean = float(totals.sum() / rows)
    between = ((totals - mean * sizes) ** 2).sum() * units / (units - 1)
    spread = float(t.isf(level, units - 1) * np.sqrt(between) / rows)
    return mean - spread, mean + spread
