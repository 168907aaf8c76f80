"""What the estimates of memory have in common: their figures with the work behind them, and the tokens they assume."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from weigh.formulas import Range, Step


@dataclass(frozen=True)
class Estimate:
    """An estimate of memory, in bytes, with the work behind it.

    Attributes:
        range: Where the total lies, for what `assumptions` leave open.
        steps: How each figure was computed.
        assumptions: What the figures rest on.
    """

    _figures: ClassVar[tuple[str, ...]] = ()
    """The figures, by the names that `--json` promises."""

    range: Range
    steps: tuple[Step, ...]
    assumptions: tuple[str, ...]

    @property
    def low_bytes(self) -> int:
        """The least bytes in all."""
        return self.range.low

    @property
    def high_bytes(self) -> int:
        """The most bytes in all."""
        return self.range.high

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain integers and strings, under the names that `--json` promises."""
        return {name: getattr(self, name) for name in (*self._figures, "low_bytes", "high_bytes")} | {
            "steps": [asdict(step) for step in self.steps],
            "assumptions": list(self.assumptions),
        }
