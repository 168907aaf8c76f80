"""Agreement between raters: one coefficient with its interval, and the pairs of raters that agree least."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from numbers import Real
from typing import Any, Literal

from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tables import rows, scan, select, subject
from weigh.errors import InvalidTable
from weigh.optional import needed

Level = Literal["nominal", "ordinal", "interval"]

_RATERS = "__raters"
_FEWEST_ITEMS = 20
_MOST_VALUES = 200
_MOST_RATERS_IN_PAIRS = 10
_MOST_CELLS = 20_000_000
_MOST_DRAWN = 4_000_000
_RESAMPLES = 1000


def agreement(
    table: Any,
    raters: Iterable[str],
    *,
    level: Level = "nominal",
    order: Sequence[Any] | None = None,
    threshold: float = 0.667,
    seed: int = 0,
) -> CheckResult:
    """Agreement between raters beyond chance: Krippendorff's alpha, with a bootstrap interval over items.

    The evidence is the pairs of raters, those that agree least first, with Cohen's kappa; notes give the raw agreement
    and, where every item has a rating of every rater, Fleiss' kappa. Alpha is 1 − observed / expected disagreement
    (Krippendorff 2004, Human Communication Research 30, 411).

    Args:
        table: A path or a frame with a row for each item.
        raters: Two columns or more, one for each rater; a rating may be missing.
        level: What a difference of two ratings means: `nominal` only that they differ, `ordinal` how many ranks lie
            between them, `interval` how far apart the numbers are.
        order: The values of ordinal ratings that are no numbers, lowest first.
        threshold: The least alpha that is enough.
        seed: Of the bootstrap.

    Raises:
        InvalidTable: If a column is missing, there are fewer than two, the values do not fit the level, or no item has
            two ratings.
    """
    import numpy as np

    ratings = _ratings(table, list(dict.fromkeys(raters)), level, order)
    counts, weights = ratings.counts()
    of_items = int(weights.sum())
    value = _value(counts, weights, ratings.values, level)
    low, high, notes = _interval(counts, weights, ratings.values, level, seed)
    pairs = _pairs(ratings)
    agreed = (counts * (counts - 1)).sum(1) / (counts.sum(1) * (counts.sum(1) - 1))
    shares = weights @ counts / (weights @ counts).sum()
    top = int(np.argmax(shares))
    notes = [
        f"raw agreement {np.average(agreed, weights=weights):.1%}; the most frequent value, {ratings.values[top]!r}, "
        f"has {shares[top]:.1%} of the ratings",
        *_fleiss(counts, weights, len(ratings.raters)),
        *notes,
    ]
    if ratings.items > of_items:
        notes.append(f"{ratings.items - of_items:,} of {ratings.items:,} items have fewer than two ratings: left out")
    if len(ratings.raters) > _MOST_RATERS_IN_PAIRS:
        notes.append(f"pairs are of the {_MOST_RATERS_IN_PAIRS} raters with most ratings")
    return CheckResult(
        check="agreement between raters",
        figure=Figure(f"Krippendorff's alpha, {level}", value, low, high, "95 %, bootstrap over items"),
        threshold=threshold,
        fault="below",
        reason="below .667 Krippendorff draws no conclusions from labels, not even tentative ones",
        evidence=first(pairs),
        cost={"items": of_items, "ratings": int((weights @ counts).sum()), "resamples": _RESAMPLES},
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Ratings:
    """Ratings as codes, a row for each different pattern of ratings: all that agreement depends on.

    Attributes:
        raters: The columns.
        values: The values, in order.
        codes: Places in `values`, −1 for a missing rating: shape (patterns, raters).
        weights: How many items have the pattern: shape (patterns,).
    """

    raters: list[str]
    values: list[Any]
    codes: Any
    weights: Any

    @property
    def items(self) -> int:
        return int(self.weights.sum())

    def counts(self) -> tuple[Any, Any]:
        """How many raters gave each value, and how many items have such counts, of items with two ratings."""
        import numpy as np

        counts = np.zeros((len(self.codes), len(self.values)), dtype=np.uint16)
        for rater in self.codes.T:
            rated = np.flatnonzero(rater >= 0)
            counts[rated, rater[rated]] += 1
        paired = counts.sum(1) >= 2
        different, places = np.unique(counts[paired], axis=0, return_inverse=True)
        return different.astype(int), np.bincount(places.ravel(), self.weights[paired], len(different))


def _ratings(table: Any, raters: list[str], level: Level, order: Sequence[Any] | None) -> _Ratings:
    where = subject(table)
    if len(raters) < 2:
        raise InvalidTable(where, "agreement needs two raters; name a column for each")
    with needed(where):
        import narwhals as nw
        import numpy as np

    frame = select(scan(table), table, raters)
    patterns = rows(frame.group_by(raters).agg(nw.len().alias(_RATERS)), table)
    columns = {name: [_known(value) for value in patterns[name].to_list()] for name in raters}
    values = _values(columns, where, level, order)
    place = {value: code for code, value in enumerate(values)} | {None: -1}
    codes = np.array([[place[value] for value in column] for column in columns.values()], dtype=int).T
    weights = patterns[_RATERS].to_numpy()
    if not len(codes) or not ((codes >= 0).sum(1) >= 2).any():
        raise InvalidTable(where, "no item has two ratings; give a row for each item and a column for each rater")
    by_code = np.lexsort(codes.T[::-1])  # engines group in no order, and the bootstrap draws in this one
    return _Ratings(raters, values, codes[by_code], weights[by_code].astype(float))


def _known(value: Any) -> Any:
    """A rating, or None where it is missing: NaN, or text without a letter."""
    missing = value is None or value != value or (isinstance(value, str) and not value.strip())
    return None if missing else value


def _values(columns: Mapping[str, list[Any]], where: str, level: Level, order: Sequence[Any] | None) -> list[Any]:
    """The different values, lowest first."""
    for name, column in columns.items():
        if any(not isinstance(value, Hashable) for value in column):
            raise InvalidTable(where, f"column {name!r} has lists or records; a rating is one word or number")
    known = {name: {value for value in column if value is not None} for name, column in columns.items()}
    words = {name for name, values in known.items() if any(not isinstance(value, Real | Decimal) for value in values)}
    plain = {name for name, values in known.items() if values} - words
    if words and plain:
        problem = f"column {min(words)!r} has words and column {min(plain)!r} has numbers"
        raise InvalidTable(where, f"{problem}, so that no rating of one equals one of the other; make them of one type")
    found = set().union(*known.values())
    if len(found) > _MOST_VALUES:
        raise InvalidTable(where, f"the ratings have more than {_MOST_VALUES} different values; bin them first")
    if order is not None:
        named = {str(value): value for value in found}
        ordered = list(dict.fromkeys(named.get(str(value), value) for value in order))
        if found - set(ordered):
            missing = min(map(repr, found - set(ordered)))
            raise InvalidTable(where, f"the order lacks the rating {missing}; name all values, lowest first")
        return ordered
    if words and level != "nominal":
        remedy = "give their order, lowest first" if level == "ordinal" else "give numbers"
        problem = f"column {min(words)!r} has words, which have no {level} scale of their own"
        raise InvalidTable(where, f"{problem}; {remedy}")
    return sorted(found, key=str) if words else sorted(found)


def _alphas(counts: Any, draws: Any, values: Sequence[Any], level: Level) -> Any:
    """Alpha of items that count so and so often, which the library cannot give: shape (draws,).

    Summed over all pairs of values, a squared difference of scores is made of sums over single values. So a matrix of
    pairs is needed for no item.

    Args:
        counts: How many raters gave each value, for each pattern: shape (patterns, values).
        draws: How often each pattern counts: shape (draws, patterns).
        values: The values, in order.
        level: The level of measurement.
    """
    import numpy as np

    of_item, totals = counts.sum(1), draws @ counts
    all_ratings = totals.sum(1)
    if level == "nominal":
        observed = draws @ ((of_item**2 - (counts**2).sum(1)) / (of_item - 1))
        expected = all_ratings**2 - (totals**2).sum(1)
    else:
        ranks = np.cumsum(totals, 1) - totals / 2
        scores = ranks if level == "ordinal" else np.asarray(values, dtype=float)[None]
        scores = scores - (scores * totals).sum(1, keepdims=True) / all_ratings[:, None]
        spread = (scores**2 @ counts.T) * of_item - (scores @ counts.T) ** 2
        observed = 2 * (draws * spread / (of_item - 1)).sum(1)
        expected = 2 * (all_ratings * (totals * scores**2).sum(1) - (totals * scores).sum(1) ** 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        alphas = 1 - (all_ratings - 1) * observed / expected
    return np.where(np.count_nonzero(totals, axis=1) > 1, alphas, np.nan)


def _value(counts: Any, weights: Any, values: Sequence[Any], level: Level) -> float:
    """Alpha, by the library as long as a matrix for each item fits into memory."""
    with needed("agreement"):
        import krippendorff
        import numpy as np

    if np.count_nonzero(weights @ counts) < 2 or weights.sum() * len(values) ** 2 > _MOST_CELLS:
        return float(_alphas(counts, weights[None], values, level)[0])
    domain = values if level == "interval" else range(len(values))
    repeated = np.repeat(counts, weights.astype(int), axis=0)
    return float(krippendorff.alpha(value_counts=repeated, value_domain=domain, level_of_measurement=level))


def _interval(
    counts: Any, weights: Any, values: Sequence[Any], level: Level, seed: int
) -> tuple[float, float, list[str]]:
    """The middle 95 % of alpha over bootstrap samples of the items, or none, with the reason."""
    import numpy as np

    items, nan = int(weights.sum()), float("nan")
    if np.count_nonzero(weights @ counts) < 2:
        return nan, nan, ["all ratings are the same value, so nothing shows that the raters could tell two apart"]
    if items < _FEWEST_ITEMS:
        return nan, nan, [f"{items} items with two ratings are too few for an interval; {_FEWEST_ITEMS} are enough"]
    random, at_once = np.random.default_rng(seed), max(1, _MOST_DRAWN // len(counts))
    drawn = np.concatenate(
        [
            _alphas(counts, random.multinomial(items, weights / items, size).astype(float), values, level)
            for size in (min(at_once, _RESAMPLES - start) for start in range(0, _RESAMPLES, at_once))
        ]
    )
    undefined = float(np.isnan(drawn).mean())
    if undefined > 0.025:
        return (
            nan,
            nan,
            [f"in {undefined:.0%} of the bootstrap samples all ratings are one value: too few of the others"],
        )
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high), []


def _fleiss(counts: Any, weights: Any, raters: int) -> list[str]:
    """Fleiss' kappa as a note, where each item has as many ratings as there are raters, of at least two values."""
    with needed("agreement"):
        import numpy as np
        from statsmodels.stats.inter_rater import fleiss_kappa

    if (counts.sum(1) != raters).any() or np.count_nonzero(weights @ counts) < 2:
        return []
    return [f"Fleiss' kappa {fleiss_kappa(np.repeat(counts, weights.astype(int), axis=0)):.3f}"]


def _pairs(ratings: _Ratings) -> list[dict[str, Any]]:
    """Each pair of raters with Cohen's kappa, worst first, and last where it is undefined."""
    with needed("agreement"):
        import numpy as np
        from statsmodels.stats.inter_rater import cohens_kappa

    rated = ratings.weights @ (ratings.codes >= 0)
    most = sorted(np.argsort(-rated, kind="stable")[:_MOST_RATERS_IN_PAIRS].tolist())
    pairs, size = [], len(ratings.values)
    for one, other in combinations(most, 2):
        both = (ratings.codes[:, [one, other]] >= 0).all(1)
        left, right, weights = ratings.codes[both, one], ratings.codes[both, other], ratings.weights[both]
        if not len(weights):
            continue
        crossed = np.bincount(left * size + right, weights, size**2).reshape(size, size)
        agreed, chance = np.trace(crossed) / crossed.sum(), crossed.sum(0) @ crossed.sum(1) / crossed.sum() ** 2
        kappa = cohens_kappa(crossed, return_results=False) if chance < 1 else float("nan")
        pairs.append(
            {"rater": ratings.raters[one], "other rater": ratings.raters[other], "items": int(weights.sum()),
             "agreement": float(agreed), "by chance": float(chance), "Cohen's kappa": float(kappa)}
        )  # fmt: skip
    return sorted(pairs, key=lambda pair: (pair["Cohen's kappa"] != pair["Cohen's kappa"], pair["Cohen's kappa"]))
