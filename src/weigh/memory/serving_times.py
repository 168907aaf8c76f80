"""What an engine did with requests: waiting, latency and throughput, and how sure a percentile of them is.

Waiting times are not independent: who comes behind a burst waits as long as its neighbours. So the interval of a
percentile is not that of as many independent numbers. Here the share below the percentile is averaged over blocks of
neighbours, and the blocks' spread says how far the share is known ("batch means", Schmeiser 1982, doi
10.1287/opre.30.3.556); the interval runs between the order statistics at these shares (Woodruff 1952, doi
10.1080/01621459.1952.10483443).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import ceil, floor, sqrt
from statistics import NormalDist, fmean, variance
from typing import Any

from weigh.errors import WeighError
from weigh.memory.arrivals import Request

BLOCKS = 20
"""Blocks of neighbours for an interval: few enough to be long, and more add little to what they say of the spread."""

_SHORTEST_BLOCK, _FEWEST_BLOCKS = 10, 5

TIMES = ("waiting", "first_token", "per_token", "total")
"""What users wait for: a place, the first token, each further one, and the whole answer."""


@dataclass(frozen=True, slots=True)
class Percentile:
    """A percentile of times, with an interval of 95 %.

    Attributes:
        share: Which: 0.99 for p99.
        value: The time that this share of requests does not exceed.
        low: The lower end of the interval; `None` where the requests are too few to say.
        high: The upper end, or `None`.
        count: The requests.
        independent: As many independent requests would say as much.
    """

    share: float
    value: float
    low: float | None
    high: float | None
    count: int
    independent: int


def percentile(times: Sequence[float], share: float, *, blocks: int = BLOCKS) -> Percentile:
    """A percentile of times in the order of their arrival, with an interval for times that depend on their neighbours.

    Args:
        times: The times, as they followed one another.
        share: Between 0 and 1: 0.99 for p99.
        blocks: How many blocks of neighbours; fewer where a block would have less than ten.

    Raises:
        WeighError: If there are no times, or there is no such share.

    Examples:
        >>> percentile([3.0, 1.0, 2.0, 4.0], 0.5).value
        2.0
    """
    if not times or not 0 < share < 1:
        raise WeighError("percentile", "needs times, and a share between 0 and 1")
    count, ordered = len(times), sorted(times)
    value = ordered[_rank(count * share) - 1]
    blocks = min(blocks, count // _SHORTEST_BLOCK)
    if blocks < _FEWEST_BLOCKS:
        return Percentile(share, value, None, None, count, count)
    edges = [count * number // blocks for number in range(blocks + 1)]
    below = [fmean(time <= value for time in times[begin:end]) for begin, end in pairwise(edges)]
    alone = share * (1 - share) / count
    spread = max(alone, variance(below) / blocks)
    half = _student(blocks - 1) * sqrt(spread)
    low, high = floor(count * (share - half)), ceil(count * (share + half)) + 1
    return Percentile(
        share, value, ordered[low - 1] if low >= 1 else None, ordered[high - 1] if high <= count else None,
        count, round(count * alone / spread),
    )  # fmt: skip


def _rank(place: float) -> int:
    """The order statistic at a place, whatever a product of floats leaves behind the point."""
    return ceil(round(place, 6))


def _student(degrees: int) -> float:
    """The 97.5 % quantile of Student's distribution, by its expansion around the normal one (Fisher)."""
    z = NormalDist().inv_cdf(0.975)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3


@dataclass(frozen=True, slots=True)
class ServedRequest:
    """A request and what became of it, in seconds.

    Attributes:
        request: Who asked.
        start: When it got a place.
        first: When its first token was there.
        finish: When its last token was there.
    """

    request: Request
    start: float
    first: float
    finish: float

    @property
    def waiting(self) -> float:
        """Seconds until it got a place."""
        return self.start - self.request.arrival

    @property
    def first_token(self) -> float:
        """Seconds until its first token."""
        return self.first - self.request.arrival

    @property
    def per_token(self) -> float | None:
        """Seconds for each token after the first, on average; `None` if there is none."""
        more = self.request.generated - 1
        return (self.finish - self.first) / more if more else None

    @property
    def total(self) -> float:
        """Seconds until its last token."""
        return self.finish - self.request.arrival


@dataclass(frozen=True)
class ServingRun:
    """What an engine did with requests.

    Attributes:
        requests: Each with its times, in the order of arrival.
        batch: The most sequences that it may serve at once.
        largest_batch: The most that it did.
        steps: The steps it took.
        busy_seconds: The time that they took.
        sequence_seconds: That time, with each step counted for each sequence that had a place.
        tokens: The tokens that went through the model, padding included.
    """

    requests: tuple[ServedRequest, ...]
    batch: int
    largest_batch: int
    steps: int
    busy_seconds: float
    sequence_seconds: float
    tokens: int

    @cached_property
    def seconds(self) -> float:
        """From the first arrival until all is done."""
        return max(each.finish for each in self.requests) - self.requests[0].request.arrival

    @property
    def utilisation(self) -> float:
        """The share of this time in which it was busy."""
        return self.busy_seconds / self.seconds

    @property
    def mean_batch(self) -> float:
        """The sequences of a step, on average over the busy time."""
        return self.sequence_seconds / self.busy_seconds

    @property
    def requests_per_second(self) -> float:
        """The requests that were done in a second."""
        return len(self.requests) / self.seconds

    @property
    def tokens_per_second(self) -> float:
        """The tokens that were generated in a second, those of padding left out."""
        return sum(each.request.generated for each in self.requests) / self.seconds

    @property
    def padding_tokens(self) -> int:
        """The tokens that went through the model for nobody."""
        return self.tokens - sum(each.request.prompt + each.request.generated - 1 for each in self.requests)

    def times(self, what: str) -> list[float]:
        """The times of all requests that have them: one of `waiting`, `first_token`, `per_token`, `total`.

        Raises:
            WeighError: If there is no such time.
        """
        if what not in TIMES:
            raise WeighError(f"time {what!r:.40}", f"must be one of {', '.join(TIMES)}")
        found = (getattr(each, what) for each in self.requests)
        return [time for time in found if time is not None]

    def percentile(self, what: str, share: float) -> Percentile:
        """A percentile of such times, with its interval."""
        return percentile(self.times(what), share)

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain numbers and strings."""
        plain = ("batch", "largest_batch", "steps", "busy_seconds", "seconds", "utilisation", "mean_batch",
                 "requests_per_second", "tokens_per_second", "padding_tokens")  # fmt: skip
        spread = {
            f"{what}_p{100 * share:.0f}": [found.value, found.low, found.high]
            for what in TIMES if self.times(what)
            for share in (0.5, 0.95, 0.99)
            for found in [self.percentile(what, share)]
        }  # fmt: skip
        return {"requests": len(self.requests)} | {name: getattr(self, name) for name in plain} | spread
