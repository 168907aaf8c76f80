"""Whether vectors can be compared at all: NaN, zeros, one vector for many items, lengths other than declared."""

from typing import Any

from weigh.checks.embeddings.spaces import SameItems
from weigh.checks.embeddings.vectors import vectors
from weigh.checks.results import CheckResult, Figure, first

TOLERANCE = 0.01
"""How far from 1 a length still counts as 1: float16 and bfloat16 keep it within 0.005."""

_SAME_LENGTH = 0.05
_SCALED = "int8"


def unusable_vectors(stored: Any, new: Any = None, *, threshold: float = 0) -> CheckResult:
    """Unusable vectors: those with NaN or an infinite number, and those of only zeros.

    Args:
        stored: The vectors, as `vectors` takes them.
        new: Those of today's encoder, which are counted too.
        threshold: How many there may be.
    """
    import numpy as np

    sides = [vectors(each) for each in (stored, new) if each is not None]
    bad = [(side, np.flatnonzero(~side.survey.usable)) for side in sides]
    count = sum(len(rows) for _, rows in bad)
    zeros = sum(int((side.survey.lengths[rows] == 0).sum()) for side, rows in bad)
    return CheckResult(
        check="unusable vectors",
        figure=Figure.exact("vectors with NaN, an infinite number or only zeros", count),
        threshold=threshold,
        reason="a cosine with NaN is NaN, which an index may rank first, and zeros point nowhere",
        evidence=first(
            {"in": side.subject, "row": int(row), "length": float(side.survey.lengths[row])}
            for side, rows in bad
            for row in rows
        ),
        cost={"vectors": sum(side.rows for side in sides)},
        notes=(f"{zeros:,} of only zeros, {count - zeros:,} not finite",) if count else (),
    )


def repeated_vectors(stored: Any, *, threshold: float = 0.01) -> CheckResult:
    """Repeated vectors: the share of rows that have the most frequent vector again, number for number.

    Args:
        stored: The vectors, as `vectors` takes them.
        threshold: The largest share that is likely by texts that are simply equal.

    Raises:
        MissingPackage: If SciPy is not installed.
    """
    import numpy as np

    these = vectors(stored)
    usable = these.survey.usable
    distinct, where, counts = np.unique(these.survey.marks[usable], return_index=True, return_counts=True)
    rows = np.flatnonzero(usable)[where]
    again = int(counts.max()) - 1 if len(counts) else 0
    order = np.argsort(-counts, kind="stable")
    return CheckResult(
        check="repeated vectors",
        figure=Figure.share("share of rows with the most frequent vector again", again, these.rows),
        threshold=threshold,
        reason="one vector for so many items is a placeholder, or of texts cut before they differ",
        evidence=first(
            ({"first row": int(rows[one]), "rows": int(counts[one])} for one in order if counts[one] > 1), 3
        ),
        cost={"vectors": these.rows},
        notes=(f"{len(distinct):,} distinct vectors",),
    )


def vector_lengths(
    stored: Any, items: SameItems | None = None, *, normalised: bool | None = None, threshold: float = 0
) -> CheckResult:
    """Lengths that are not as declared, or of an item not the same on both sides.

    Of normalised vectors, those whose length is not 1 to a hundredth are counted, on both sides. Of others, the items
    whose lengths differ by more than a twentieth. For the cosine no length matters. The numbers of int8 have a unit of
    their own, so their lengths are divided by what they and those on the other side are in the middle.

    Args:
        stored: The vectors, as `vectors` takes them.
        items: Items embedded twice, as `same_items` draws them.
        normalised: Whether vectors are declared to have length 1; without it, whether most of the stored ones do.
        threshold: How many may differ.
    """
    import numpy as np

    these = vectors(stored)
    sides = [(these, these.survey)] + ([(items.new, items.new.survey)] if items else [])
    told = is_normalised(these) if normalised is None else normalised
    notes = () if normalised is not None else (f"most stored vectors have {'' if told else 'not '}length 1",)
    rows: list[dict[str, Any]] = []
    if told:
        for side, survey in sides:
            unit = np.median(survey.lengths[survey.usable]) if side.dtype == _SCALED and survey.usable.any() else 1
            off = np.flatnonzero(survey.usable & (np.abs(survey.lengths / unit - 1) > TOLERANCE))
            rows += ({"in": side.subject, "row": int(row), "length": float(survey.lengths[row])} for row in off)
        name = "vectors whose length is not 1"
    else:
        name = "items whose length differs by more than 5 %"
        if items:
            before, after = these.survey.lengths[items.places], items.new.survey.lengths[items.rows]
            ratios = after / before
            if _SCALED in (these.dtype, items.new.dtype):
                ratios /= np.median(ratios)
            off = np.flatnonzero(np.abs(ratios - 1) > _SAME_LENGTH)
            rows += (
                {"row": int(items.places[one]), "stored": float(before[one]), "new": float(after[one])} for one in off
            )
    return CheckResult(
        check="lengths",
        figure=Figure.exact(name, len(rows)),
        threshold=threshold,
        reason="by the dot product and the distance a vector's length changes who comes first",
        evidence=first(rows, 5),
        cost={"vectors": sum(side.rows for side, _ in sides)},
        notes=notes,
    )


def is_normalised(stored: Any) -> bool:
    """Whether most of the usable vectors have length 1."""
    import numpy as np

    survey = vectors(stored).survey
    lengths = survey.lengths[survey.usable]
    return bool(len(lengths)) and float(np.mean(np.abs(lengths - 1) <= TOLERANCE)) > 1 / 2
