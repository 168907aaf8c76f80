"""Who asks when, and for how many tokens: a trace from a file, or arrivals at random."""

import csv
import os
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from weigh.errors import InvalidTable, WeighError
from weigh.sources import locate, opening
from weigh.units import positive

COLUMNS = ("seconds", "prompt_tokens", "generated_tokens")
"""The columns of a trace."""

_MOST_TOKENS = 10**8


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody who asks for a text.

    Attributes:
        arrival: When, in seconds.
        prompt: The tokens of the prompt.
        generated: The tokens of the answer.
    """

    arrival: float
    prompt: int
    generated: int

    def __post_init__(self) -> None:
        """Refuse what no request is. Raises WeighError."""
        if not (isinstance(self.arrival, int | float) and isfinite(self.arrival) and self.arrival >= 0):
            raise WeighError("arrival", f"must be seconds from 0, not {self.arrival!r:.40}")
        for name, tokens in (("prompt", self.prompt), ("generated", self.generated)):
            if positive(f"{name} tokens", tokens) > _MOST_TOKENS:
                raise WeighError(f"{name} tokens", f"{tokens:,} in one request; at most {_MOST_TOKENS:,}")


def read_arrivals(path: str | os.PathLike[str]) -> list[Request]:
    """The requests of a trace, a CSV file with the columns `seconds`, `prompt_tokens` and `generated_tokens`.

    Args:
        path: The file. Other columns are not read.

    Raises:
        NotFound: If there is no such file.
        InvalidTable: If it is no such table, has no rows, or one that is no request, with its line.
    """
    file, found = locate(path), []
    try:
        with opening(file), file.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines)
            heading = next(rows, [])
            missing = [name for name in COLUMNS if name not in heading]
            if missing:
                raise InvalidTable(file, f"has no column {missing[0]!r}; a trace has {', '.join(COLUMNS)}")
            places = [heading.index(name) for name in COLUMNS]
            for row in rows:
                if row:
                    found.append(_request(row, places, f"{file}, line {rows.line_num}"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidTable(file, f"is no CSV file in UTF-8 ({error})") from None
    if not found:
        raise InvalidTable(file, "has no rows; a trace needs at least one request")
    return sorted(found, key=lambda request: request.arrival)


def _request(row: list[str], places: list[int], where: str) -> Request:
    try:
        seconds, prompt, generated = (row[place] for place in places)
        return Request(float(seconds), int(prompt), int(generated))
    except WeighError as error:
        raise InvalidTable(where, f"{error.where}: {error.problem}") from None
    except (ValueError, IndexError):
        raise InvalidTable(where, f"must have a time and two whole numbers, not {','.join(row)!r:.60}") from None


def random_arrivals(
    lengths: Sequence[Request | tuple[int, int]], rate: float, *, count: int | None = None, seed: int = 0
) -> list[Request]:
    """Requests that arrive at random, each independent of the others: a Poisson process.

    Args:
        lengths: Requests, or pairs of prompt and generated tokens, to draw from with replacement.
        rate: Requests in a second, on average.
        count: How many; by default as many as there are lengths, each drawn once.
        seed: Of the generator.

    Raises:
        WeighError: If there are no lengths, or the rate is not positive.
    """
    if not lengths or not 0 < rate < float("inf"):
        raise WeighError("random arrivals", "need lengths to draw from and a rate above 0")
    generator = random.Random(seed)
    pairs = [(each.prompt, each.generated) if isinstance(each, Request) else each for each in lengths]
    drawn = generator.sample(pairs, len(pairs)) if count is None else generator.choices(pairs, k=count)
    now, found = 0.0, []
    for prompt, generated in drawn:
        now += generator.expovariate(rate)
        found.append(Request(now, prompt, generated))
    return found


def arrival_rate(requests: Sequence[Request]) -> float:
    """Requests in a second, from the first to the last. Raises WeighError if they do not span any time."""
    times = [request.arrival for request in requests]
    span = max(times) - min(times) if times else 0.0
    if not span:
        raise WeighError("rate", "follows from requests at two times at least")
    return (len(times) - 1) / span


def scaled_arrivals(requests: Iterable[Request], factor: float) -> list[Request]:
    """The same requests in the same order, `factor` times as many in a second."""
    return [Request(each.arrival / factor, each.prompt, each.generated) for each in requests]


def dispersion(requests: Sequence[Request], window: float) -> float:
    """Variance over mean of the arrivals in windows of so many seconds: 1 for a Poisson process, more for bursts.

    Args:
        requests: At least two windows of them.
        window: The seconds of a window. What is left after the last whole window does not count.

    Raises:
        WeighError: If there are fewer than two windows.
    """
    first = min(request.arrival for request in requests)
    windows = int((max(request.arrival for request in requests) - first) / window) if window > 0 else 0
    if windows < 2:
        raise WeighError("window", "must be above 0, and fit into the trace twice at least")
    counts = Counter(int((request.arrival - first) / window) for request in requests)
    each = [counts[number] for number in range(windows)]
    mean = sum(each) / windows
    return sum((count - mean) ** 2 for count in each) / (windows - 1) / mean
