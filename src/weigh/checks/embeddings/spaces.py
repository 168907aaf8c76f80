"""Whether stored vectors and those of today's encoder lie in one space, by items that are embedded again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weigh.checks.embeddings.search import ROUNDING, alike_in_pairs, nearest, of_length_one
from weigh.checks.embeddings.vectors import Vectors, drawn, places, vectors
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import InvalidTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE = 1000
"""How many items are compared, if there are more."""

_TYPICAL = 0.05  # a vector of length 1 that is no farther from the mean has rounding left, and no direction


@dataclass(frozen=True)
class SameItems:
    """Items of which both sides have a usable vector.

    Attributes:
        stored: The stored vectors.
        new: Those of today's encoder.
        rows: Rows of `new`: shape (items,).
        places: The rows of `stored` that are the same items.
        unusable: How many items of the sample were left out, for a vector with NaN, infinite or only zeros.
    """

    stored: Vectors
    new: Vectors
    rows: "NDArray[np.int64]"
    places: "NDArray[np.int64]"
    unusable: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out."""
        return (f"{self.unusable:,} items of the sample have an unusable vector: left out",) if self.unusable else ()


def same_items(stored: Any, new: Any, rows: Any = None, *, sample: int = SAMPLE, seed: int = 0) -> SameItems:
    """Items embedded twice, drawn at random without one twice.

    Args:
        stored: The stored vectors, as `vectors` takes them.
        new: The vectors of some or all of the items by the encoder of today.
        rows: The row of `stored` of each row of `new`, counted from 0: an array or the path of one. Without it both
            have the same items in the same order.
        sample: How many items at most.
        seed: The seed of the draw.

    Raises:
        InvalidTable: If the two do not fit together, or no item has two usable vectors.
        InvalidSetting: If the sample or the seed is none.
    """
    old, now = vectors(stored), vectors(new)
    if old.dimensions != now.dimensions:
        problem = f"has vectors of {now.dimensions:,} numbers and {old.subject} of {old.dimensions:,}: two spaces"
        raise InvalidTable(now.subject, problem)
    at = places(rows, now, old)
    chosen = drawn(now.rows, sample, seed)
    good = chosen[now.survey.usable[chosen] & old.survey.usable[at[chosen]]]
    if not len(good):
        raise InvalidTable(now.subject, "has no item with a usable vector on both sides; embed them again")
    return SameItems(old, now, good, at[good], len(chosen) - len(good))


def same_space(items: SameItems, *, threshold: float = 0.9) -> CheckResult:
    """Self-recall: the share of items whose new vector finds their own stored vector first, among all that are stored.

    By the cosine, whatever the metric of the index: by the dot product a longer vector may rightly come before an
    item's own. A vector equal to an item's own, to what float32 rounds, counts as its own. The cost is that of exact
    search for a sample, a product for each sampled item and stored vector; memory is a few blocks of 16 MiB.

    Args:
        items: Items embedded twice, as `same_items` draws them.
        threshold: The least share.

    Raises:
        MissingPackage: If SciPy is not installed.
    """
    import numpy as np

    queries = items.new.at(items.rows)
    own = alike_in_pairs(queries, items.stored.at(items.places)[:, None], "cosine")[:, 0]
    found = nearest(items.stored, queries, "cosine", 1)
    best = found.likeness[:, 0]
    lost = np.flatnonzero(own < best - ROUNDING)
    worst = lost[np.argsort(own[lost] - best[lost], kind="stable")]
    evidence = (
        {
            "row": int(items.places[one]),
            "own cosine": float(own[one]),
            "found first": int(found.rows[one, 0]),
            "its cosine": float(best[one]),
        }
        for one in worst
    )
    return CheckResult(
        check="same space",
        figure=Figure.share("share of items that find their own stored vector first", len(own) - len(lost), len(own)),
        threshold=threshold,
        fault="below",
        reason="one encoder finds nearly all of its own vectors, another one nearly none",
        evidence=first(evidence, 5),
        cost={"items": len(own), "stored vectors": items.stored.rows, "products": found.products},
        notes=(f"mean cosine of the same item {own.mean():.2f}, which alone says little", *items.notes),
    )


def moved_vectors(items: SameItems, *, least: float = 0.9, threshold: float = 0.01) -> CheckResult:
    """Moved vectors: the share of items whose stored vector is not what the encoder of today makes of them.

    All vectors are made length 1, and the mean of today's is taken off, for what all have in common says nothing of an
    item. An item has moved if the cosine of its two vectors is then below `least`: its text has changed since, or its
    vector was made by another model, pooling or prompt. So an index that is migrated in part is seen, which self-recall
    forgives.

    Args:
        items: Items embedded twice, as `same_items` draws them.
        least: The least centred cosine of an item with itself. Rounding to float16, bfloat16 or int8 keeps it near 1.
        threshold: The largest share of items that may have moved.

    Raises:
        MissingPackage: If SciPy is not installed.
    """
    import numpy as np

    before, after = (of_length_one(side) for side in (items.stored.at(items.places), items.new.at(items.rows)))
    mean = after.mean(0)
    typical = np.linalg.norm(after - mean, axis=1) < _TYPICAL
    centre = np.where(typical[:, None], np.float32(0), mean)
    own = alike_in_pairs(before - centre, (after - centre)[:, None], "cosine")[:, 0]
    moved = np.flatnonzero(own < least)
    places = items.places[moved]
    notes = items.notes
    if len(moved):
        span = f"moved rows lie from {places.min():,} to {places.max():,}, counted from 0, of {items.stored.rows:,}"
        notes += (span, f"median centred cosine of the moved {np.median(own[moved]):.2f}, of all {np.median(own):.2f}")
    if typical.any():
        notes += (f"{typical.sum():,} items lie at the mean itself, and are compared without taking it off",)
    return CheckResult(
        check="moved vectors",
        figure=Figure.share(f"share of items with a centred cosine below {least:g}", len(moved), len(own)),
        threshold=threshold,
        reason="fewer cost less than approximate search loses anyway",
        evidence=first(
            {"row": int(items.places[one]), "centred cosine": float(own[one])}
            for one in moved[np.argsort(own[moved], kind="stable")]
        ),
        cost={"items": len(own)},
        notes=notes,
    )
