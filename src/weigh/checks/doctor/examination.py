"""What an examination gives: faults by file and place, or the reason why nothing could be examined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weigh.checks.results import CheckReport, CheckResult, Figure, first


class NotExamined(Exception):
    """What an examination needs is not there, or cannot be read; the message says what."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a model directory.

    Attributes:
        file: The file.
        place: Where in it: a field, a tensor, a token.
        found: What is there.
        expected: What should be.
    """

    file: str
    place: str
    found: object
    expected: object

    def row(self) -> dict[str, str]:
        """The fault as a row of evidence."""
        return {
            "file": self.file,
            "place": self.place[:120],
            "is": str(self.found)[:120],
            "should be": str(self.expected)[:120],
        }


def counted(
    what: str, faults: Sequence[Fault], reason: str, *, cost: Mapping[str, int] | None = None, notes: Sequence[str] = ()
) -> CheckResult:
    """The result of an examination that counts faults, of which there should be none."""
    return CheckResult(
        check=what,
        figure=Figure.exact(what, len(faults)),
        threshold=0,
        reason=reason,
        evidence=first(fault.row() for fault in faults),
        cost=cost or {},
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class Diagnosis(CheckReport):
    """The results of all examinations that a directory allows.

    Attributes:
        not_examined: The other examinations, each with the reason.
    """

    not_examined: Mapping[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """One line: the examinations by what they found, and what could not be examined and why."""
        found = {"fault": "yes", "undecided": "undecided", "no fault": "no"}
        parts = {
            said: ", ".join(result.check for result in self.results if result.finding == finding)
            for said, finding in found.items()
        }
        parts["not examined"] = "; ".join(f"{name} ({why})" for name, why in self.not_examined.items())
        parts["fault"] = parts["fault"] or "none found"
        return "; ".join(f"{said}: {names}" for said, names in parts.items() if names)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        return super().as_dict() | {"not_examined": dict(self.not_examined)}
