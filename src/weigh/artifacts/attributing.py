"""Which part of a release changed its behaviour: every mixture of old and new parts is measured, and the change shared.

With n parts there are 2ⁿ mixtures. Shapley's value of a part is its mean effect over all orders in which the parts can
be changed one after the other (L. Shapley, "A value for n-person games", 1953).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

from weigh.errors import InvalidSetting

MOST_PARTS = 10
"""The most parts of which all mixtures are measured: 1,024."""

Parts = frozenset[str]


@dataclass(frozen=True)
class Attribution:
    """The change of a figure between two releases, shared among the parts that changed.

    Attributes:
        parts: The names of the parts.
        measured: The figure of each mixture, by the set of parts that are new in it.
        shapley: The share of each part in the change. They add up to `change`.
        effects: What each set of parts does that no smaller set in it does: for one part its effect alone, for several
            their interaction (Harsanyi's dividends). They add up to `change` too.
    """

    parts: tuple[str, ...]
    measured: Mapping[Parts, float]
    shapley: Mapping[str, float]
    effects: Mapping[Parts, float]

    @property
    def before(self) -> float:
        """The figure of the old release."""
        return self.measured[frozenset()]

    @property
    def after(self) -> float:
        """The figure of the new one."""
        return self.measured[frozenset(self.parts)]

    @property
    def change(self) -> float:
        """How far the figure moved."""
        return self.after - self.before

    @property
    def alone(self) -> dict[str, float]:
        """The figure of the old release with one part new."""
        return {part: self.measured[frozenset({part})] for part in self.parts}

    @property
    def put_back(self) -> dict[str, float]:
        """The figure of the new release with one part old again."""
        return {part: self.measured[frozenset(self.parts) - {part}] for part in self.parts}

    @property
    def interactions(self) -> dict[Parts, float]:
        """Effects of two parts and more that are not zero but for rounding, the largest first."""
        least = 1e-12 * max(abs(figure) for figure in self.measured.values())
        found = {parts: effect for parts, effect in self.effects.items() if len(parts) > 1 and abs(effect) > least}
        return dict(sorted(found.items(), key=lambda item: (-abs(item[1]), sorted(item[0]))))

    def restoring(self, tolerance: float = 0.0) -> tuple[Parts, ...]:
        """The smallest sets of parts that, put back, restore the old figure up to a tolerance.

        None contains another. If the new release has the old figure, the only one is the empty set.
        """
        found: list[Parts] = []
        for new, figure in reversed(tuple(self.measured.items())):  # the fewest put back first
            back = frozenset(self.parts) - new
            if abs(figure - self.before) <= tolerance and not any(smaller <= back for smaller in found):
                found.append(back)
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """Plain values. A set of parts is their names, joined by " + "."""
        return {
            "parts": list(self.parts),
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "shapley": dict(self.shapley),
            "alone": self.alone,
            "put_back": self.put_back,
            "measured": {self.name(parts): figure for parts, figure in self.measured.items()},
            "effects": {self.name(parts): figure for parts, figure in self.effects.items()},
        }

    def name(self, parts: Parts) -> str:
        """A set of parts in words, in the order of `parts`; "none" if it is empty."""
        return " + ".join(part for part in self.parts if part in parts) or "none"


def attribution(parts: Iterable[str], measure: Callable[[Parts], float]) -> Attribution:
    """Attribution of a difference in behaviour to the parts that changed, from all mixtures of old and new ones.

    Sums are exact, so that the shares add up to the change to the last digit that a float has.

    Args:
        parts: The names of the parts, at most 10.
        measure: A figure of the system in which these parts are new and the others old. Called once for each set.

    Raises:
        InvalidSetting: If there are no parts, too many, two of one name, or a figure that is no finite number.
    """
    names = tuple(parts)
    if not 1 <= len(names) <= MOST_PARTS:
        raise InvalidSetting("parts", f"there are {len(names)}, and all mixtures are measured of 1 to {MOST_PARTS}")
    if len(set(names)) < len(names):
        raise InvalidSetting("parts", "two have the same name; give each its own")
    subsets = [frozenset(some) for size in range(len(names) + 1) for some in combinations(names, size)]
    measured = {some: _figure(some, measure(some)) for some in subsets}
    effects = {some: Fraction(figure) for some, figure in measured.items()}
    for part in names:  # Möbius inversion, a part at a time
        for some in subsets:
            if part in some:
                effects[some] -= effects[some - {part}]
    shares = {part: sum(effect / len(some) for some, effect in effects.items() if part in some) for part in names}
    return Attribution(
        names,
        measured,
        {part: float(share) for part, share in shares.items()},
        {some: float(effect) for some, effect in effects.items() if some},
    )


def _figure(parts: Parts, figure: Any) -> float:
    try:
        number = float(figure)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        named = " + ".join(sorted(parts)) or "nothing"
        raise InvalidSetting("measure", f"gives {figure!r:.40} with {named} new, and not a finite number")
    return number
