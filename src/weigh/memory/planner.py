"""How often should a run save, what does that cost, and what does a failure cost?

A checkpoint takes time to write, and a failure throws away the work since the last one. Saving often costs the first,
saving seldom the second. Young 1974 (CACM 17:9, doi 10.1145/361147.361115) gave the interval in between to first
order; Daly 2006 (FGCS 22:3, doi 10.1016/j.future.2004.11.016) counts what Young leaves out: failures while saving and
while restarting, and more than one in an interval.

Symbols: d seconds to write a checkpoint, M seconds between failures, R seconds to restart, t seconds of work between
checkpoints, W seconds of work in the run. Failures come at random with a constant rate.
"""

import re
from dataclasses import asdict, dataclass
from math import ceil, exp, expm1, inf, isfinite, sqrt
from typing import Any

from weigh.errors import WeighError
from weigh.units import positive

SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
"""Units of time, in seconds."""

_SHORTER = {"ms": 0.001}


def parse_seconds(text: str) -> float:
    """Read a time, such as `30ms`, `90s`, `15min`, `8h`, `30d` or `2w`; a number alone is seconds.

    Raises:
        WeighError: If it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text)
    units = _SHORTER | SECONDS
    if not found or (found[2] or "s") not in units:
        raise WeighError(f"time {text!r:.40}", f"must be a number with one of {', '.join(units)}, such as 8h")
    return float(found[1]) * units[found[2] or "s"]


def young(write_time: float, mtbf: float) -> float:
    """The interval of Young 1974, √(2 · d · M), in the unit of the arguments.

    Examples:
        >>> young(5, 24 * 60)  # minutes
        120.0
    """
    return sqrt(2 * write_time * mtbf)


def daly(write_time: float, mtbf: float) -> float:
    """The work between checkpoints of Daly 2006, in the unit of the arguments.

    √(2 · d · M) · (1 + ⅓ · √(d / 2M) + ⅑ · (d / 2M)) − d if d < 2 · M, else M.

    Examples:
        >>> round(daly(5, 24 * 60)), round(daly(5, 6 * 60)), round(daly(5, 15), 1)  # minutes: his figures 3, 4, 5
        (117, 57, 9.1)
    """
    if write_time >= 2 * mtbf:
        return mtbf
    x = write_time / (2 * mtbf)
    return sqrt(2 * write_time * mtbf) * (1 + sqrt(x) / 3 + x / 9) - write_time


def wall_time(work: float, interval: float, write_time: float, mtbf: float, restart: float = 0.0) -> float:
    """The expected time of a run in Daly's complete model: M · e^(R/M) · (e^((t+d)/M) − 1) · W / t.

    Args:
        work: Seconds of work in the run, W.
        interval: Seconds of work between checkpoints, t.
        write_time: Seconds to write a checkpoint, d, during which the run does not work.
        mtbf: Mean seconds between failures of the whole machine, M.
        restart: Seconds from a failure until work goes on, R.

    Returns:
        Seconds; infinity where no number can hold them.
    """
    try:
        return mtbf * exp(restart / mtbf) * expm1((interval + write_time) / mtbf) * work / interval
    except OverflowError:
        return inf


@dataclass(frozen=True, slots=True)
class Plan:
    """A training run with its checkpoints: intervals and times in seconds, sizes in bytes.

    Attributes:
        checkpoint_bytes: One checkpoint.
        keep: How many are kept, K.
        write_time: Seconds to write one.
        run_time: Seconds of work in the run.
        mtbf: Mean seconds between failures.
        restart: Seconds from a failure until work goes on.
        interval: Seconds of work between checkpoints.
        young: The interval of Young 1974, in seconds.
        daly: The interval of Daly 2006, in seconds.
        checkpoints: How many the run writes, if every interval were worked through once.
        wall_time: Expected seconds until the run is done.
    """

    checkpoint_bytes: int
    keep: int
    write_time: float
    run_time: float
    mtbf: float
    restart: float
    interval: float
    young: float
    daly: float
    checkpoints: int
    wall_time: float

    @property
    def kept_bytes(self) -> int:
        """Bytes on disk: the checkpoints that are kept, and the one that is written before the oldest is deleted."""
        return (min(self.keep, self.checkpoints - 1) + 1) * self.checkpoint_bytes

    @property
    def written_bytes(self) -> int:
        """Bytes written in the run, by all its checkpoints."""
        return self.checkpoints * self.checkpoint_bytes

    @property
    def failures(self) -> float:
        """Failures to be expected during the run."""
        return self.wall_time / self.mtbf

    @property
    def lost_fraction(self) -> float:
        """The share of the wall time that is not work: saving, work done again, restarting."""
        return 1 - self.run_time / self.wall_time

    @property
    def saving_fraction(self) -> float:
        """The share of the wall time that checkpoints take, each counted once."""
        return self.run_time / self.interval * self.write_time / self.wall_time

    @property
    def lost_per_failure(self) -> float:
        """Seconds that a failure costs on average: what was done since the last checkpoint, and the restart."""
        return (self.wall_time - self.run_time - self.run_time / self.interval * self.write_time) / self.failures

    def as_dict(self) -> dict[str, Any]:
        """The figures under the names that `weigh plan --json` promises: bytes and counts are integers."""
        names = ("kept_bytes", "written_bytes", "failures", "lost_fraction", "saving_fraction", "lost_per_failure")
        return asdict(self) | {name: getattr(self, name) for name in names}


def plan(
    checkpoint_bytes: int,
    bandwidth: float,
    mtbf: float,
    run_time: float,
    keep: int = 1,
    *,
    restart: float | None = None,
    interval: float | None = None,
) -> Plan:
    """The checkpoint plan of a training run: its interval in seconds, its bytes, and what failures cost.

    Args:
        checkpoint_bytes: One checkpoint, such as `weigh.training(…).checkpoint_bytes`.
        bandwidth: Bytes that all writers together write in a second, while the run waits. For checkpoints written in
            the background, give the bandwidth that its pause corresponds to.
        mtbf: Mean seconds between failures of the whole machine: of one node, divided by the nodes.
        run_time: Seconds of work in the run.
        keep: How many checkpoints are kept.
        restart: Seconds from a failure until work goes on; by default as long as reading a checkpoint at `bandwidth`.
        interval: Seconds of work between checkpoints; by default Daly's, or the whole run where that is shorter.

    Raises:
        WeighError: If a number is not positive, or the run is not to be expected to end.
    """
    for name, number in (("checkpoint bytes", checkpoint_bytes), ("checkpoints to keep", keep)):
        positive(name, number)
    for name, seconds in (("bandwidth", bandwidth), ("time between failures", mtbf), ("run time", run_time)):
        _refuse(name, seconds)
    write_time = checkpoint_bytes / bandwidth
    restart = write_time if restart is None else restart
    _refuse("restart time", restart, zero=True)
    best = daly(write_time, mtbf)
    chosen = min(best, run_time) if interval is None else interval
    _refuse("interval", chosen)
    if chosen > run_time:
        raise WeighError("interval", "longer than the run, which would never save; leave it out")
    expected = wall_time(run_time, chosen, write_time, mtbf, restart)
    if not isfinite(expected):
        raise WeighError(
            "time between failures",
            f"{mtbf:,.0f} s, is too short for checkpoints of {write_time:,.0f} s: the run never ends; write faster",
        )
    return Plan(
        checkpoint_bytes, keep, write_time, run_time, mtbf, restart, chosen, young(write_time, mtbf), best,
        ceil(run_time / chosen - 1e-9), expected,
    )  # fmt: skip


def _refuse(name: str, number: float, zero: bool = False) -> None:
    if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
        raise WeighError(name, f"must be a number, not {number!r:.40}")
    if number < 0 or (number == 0 and not zero):
        raise WeighError(name, f"must be more than nothing, not {number}")
