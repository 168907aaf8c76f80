"""The result of a check: a finding, the figure it rests on, the threshold it was held against, and the evidence."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from weigh.optional import needed

Answer = Literal["yes", "no", "undecided"]


@dataclass(frozen=True)
class Figure:
    """A figure with its interval. A count of all rows is exact, and its interval is the figure itself.

    Attributes:
        name: What it is, with its unit: `share of test rows with a twin`.
        value: The figure; NaN where none can be formed.
        low: The lower end of the interval.
        high: Its upper end.
        interval: What the interval is, such as `95 %, bootstrap over groups`; `exact` for a count of all rows.
    """

    name: str
    value: float
    low: float
    high: float
    interval: str = "exact"

    @classmethod
    def exact(cls, name: str, value: float) -> "Figure":
        """A figure that was counted, not estimated."""
        return cls(name, value, value, value)

    @classmethod
    def share(cls, name: str, count: int, total: int, interval: str = "95 %, Wilson") -> "Figure":
        """A share of a sample, with its interval by Wilson's score.

        Raises:
            MissingPackage: If SciPy is not installed.
        """
        with needed("the interval of a share"):
            from scipy.stats import binomtest

        low, high = (float(end) for end in binomtest(count, total).proportion_ci(method="wilson"))
        return cls(name, count / total, low, high, interval)


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        check: The question that was asked, such as `exact duplicates`.
        finding: `yes` if the fault is there, `no` if it is not, `undecided` if the interval holds the threshold.
        figure: The figure that decides.
        threshold: What the figure was held against.
        fault: On which side of the threshold the fault lies: `above` or `below`.
        reason: Why that threshold.
        evidence: The worst rows, or what else one would look at first: a few mappings with the same keys.
        cost: What it took: rows read, pairs compared, models fitted.
        notes: What was assumed or left out.
    """

    check: str
    figure: Figure
    threshold: float
    reason: str
    fault: Literal["above", "below"] = "above"
    evidence: tuple[Mapping[str, Any], ...] = ()
    cost: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def finding(self) -> Answer:
        """Whether the fault is there: yes, no, or undecided where the interval holds the threshold."""
        low, high, limit = self.figure.low, self.figure.high, self.threshold
        if math.isnan(low) or math.isnan(high):
            return "undecided"
        if self.fault == "below":
            low, high, limit = -high, -low, -limit
        return "yes" if low > limit else "no" if high <= limit else "undecided"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them. A figure that cannot be formed is null, for JSON knows no NaN."""
        numbers = {name: _plain(getattr(self.figure, name)) for name in ("value", "low", "high")}
        return {
            "check": self.check,
            "finding": self.finding,
            "figure": {"name": self.figure.name, **numbers, "interval": self.figure.interval},
            "threshold": _plain(self.threshold),
            "fault": self.fault,
            "reason": self.reason,
            "evidence": [{key: _plain(value) for key, value in row.items()} for row in self.evidence],
            "cost": dict(self.cost),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class CheckReport:
    """The results of the checks of one gap.

    Attributes:
        name: The gap, by the name that `weigh check` has for it.
        subject: What was checked: a path, or the kind of a table in memory.
        results: The result of each check.
    """

    name: str
    subject: str
    results: tuple[CheckResult, ...]

    @property
    def finding(self) -> Answer:
        """`yes` if one check found its fault, else `undecided` if one was, else `no`."""
        findings = {result.finding for result in self.results}
        return "yes" if "yes" in findings else "undecided" if "undecided" in findings else "no"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        results = [result.as_dict() for result in self.results]
        return {"name": self.name, "subject": self.subject, "finding": self.finding, "results": results}


def first(rows: Iterable[Mapping[str, Any]], most: int = 10) -> tuple[Mapping[str, Any], ...]:
    """The first rows of evidence: enough to see what is wrong, few enough to read."""
    return tuple(row for _, row in zip(range(most), rows, strict=False))


def _plain(value: Any) -> Any:
    """A value that JSON has: NumPy's numbers become Python's, what is not finite becomes null, the rest text."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
