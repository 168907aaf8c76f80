"""What do users wait for, when an engine serves many at once? A simulation of static and of continuous batching.

A request arrives, waits for a place, has its prompt read, and gets a token from each step. **Static** batching takes
those who wait, pads them to the longest prompt and the longest answer, and takes nobody else until all are done.
**Continuous** batching (Yu et al. 2022, "Orca") takes the next one whenever a place is free. Requests are taken in the
order in which they came. Nothing is random: the same requests and costs give the same times.

Between an arrival, the end of an answer and a bend of the cost, the seconds of steps grow on a straight line, so that
many steps are summed at once.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import ceil, inf, sqrt
from typing import Literal

from weigh.errors import WeighError
from weigh.memory.arrivals import Request
from weigh.memory.serving_times import ServedRequest, ServingRun
from weigh.memory.step_costs import StepCost, next_bend
from weigh.units import positive


def simulate_serving(
    requests: Iterable[Request],
    cost: StepCost,
    *,
    batch: int,
    batching: Literal["continuous", "static"] = "continuous",
    cache_limit: int | None = None,
    step_tokens: int | None = None,
) -> ServingRun:
    """The times of requests that one engine serves.

    Args:
        requests: Who arrives when, with how many tokens.
        cost: What a step takes: a `RooflineCost` or a `LinearCost`.
        batch: The most sequences that are served at once.
        batching: Whether a place that is free is taken at once, or when the whole batch is done.
        cache_limit: The most bytes of caches. A request is taken only if its whole cache fits, prompt and answer, as
            if its length were known; an engine that does not know reserves more, or throws caches out.
        step_tokens: The most tokens of a step, as in an engine with chunked prefill: one of each sequence that is
            written, and of prompts as many as are left. Without it, prompts are read whole. Static batching reads
            them whole always.

    Raises:
        WeighError: If there are no requests, a limit is not positive or is less than a batch or a request needs.
    """
    positive("batch", batch)
    coming = sorted(requests, key=lambda request: request.arrival)
    if not coming:
        raise WeighError("requests", "there are none; give at least one")
    if batching not in ("continuous", "static"):
        raise WeighError("batching", f"must be continuous or static, not {batching!r:.40}")
    if step_tokens is not None and positive("step tokens", step_tokens) <= batch:
        raise WeighError("step tokens", f"must be more than the batch of {batch:,}, or no prompt is ever read")
    if cache_limit is not None:
        largest = max(cost.kept(request.prompt + request.generated) for request in coming)
        if largest > cache_limit:
            raise WeighError("cache limit", f"{cache_limit:,} bytes, and one request needs {largest:,}; give it more")
    engine = _Engine(cost, coming, batch, cache_limit, step_tokens)
    return engine.static() if batching == "static" else engine.continuous()


@dataclass(slots=True)
class _Running:
    """A sequence in the batch, with the place of its request among all."""

    number: int
    prompt: int
    generated: int
    read: int = 0
    slope: tuple[int, int] = (0, 0)


_BEND, _DONE, _LEAVE = range(3)
"""What happens to a sequence after a step, in this order: its cost bends, its answer is whole, its place is free."""


class _Engine:
    """The state of a simulated engine: the clock, the steps done, and the work of the sequences in the batch."""

    def __init__(
        self,
        cost: StepCost,
        coming: Sequence[Request],
        batch: int,
        cache_limit: int | None,
        step_tokens: int | None,
    ) -> None:
        self.cost, self.coming, self.limit = cost, coming, batch
        self.cache_limit, self.step_tokens = inf if cache_limit is None else cache_limit, step_tokens
        self.now, self.steps, self.arrived, self.writing, self.reserved = 0.0, 0, 0, 0, 0
        self.bytes = self.flops = self.more_bytes = self.more_flops = 0
        self.events: list[tuple[int, int, int, int, _Running]] = []
        self.queue: deque[int] = deque()
        self.busy = self.occupied = 0.0
        self.tokens = self.largest = 0
        self.start, self.first, self.finish = ([0.0] * len(coming) for _ in range(3))

    def continuous(self) -> ServingRun:
        """Take the next request whenever there is room."""
        reading: list[_Running] = []
        while self.arrived < len(self.coming) or self.queue or reading or self.writing:
            if not (self.queue or reading or self.writing):
                self.now = max(self.now, self.coming[self.arrived].arrival)
            self._arrive()
            while self.queue and self._room(reading):
                number = self.queue.popleft()
                reading.append(self._take(number, self.coming[number].prompt, self.coming[number].generated))
            if reading:
                self._mixed_step(reading)
            else:
                # Whoever arrives changes nothing as long as another one waits for room or all places are taken.
                blocked = self.queue or self.writing == self.limit or self.arrived == len(self.coming)
                self._write(inf if blocked else self.coming[self.arrived].arrival)
        return self._run()

    def static(self) -> ServingRun:
        """Take those who wait, and nobody until all of them are done."""
        while self.arrived < len(self.coming) or self.queue:
            if not self.queue:
                self.now = max(self.now, self.coming[self.arrived].arrival)
                self._arrive()
            taken = self._padded()
            prompt, count = taken[0].prompt, len(taken)
            self.largest = max(self.largest, count)
            self._spend(self._mixed_seconds([self.cost.reading(0, prompt)] * count, count * prompt, count), count)
            self.tokens += count * prompt
            self._stepped(1)
            for one in taken:
                self._enter(one, self.coming[one.number].generated)
            while self.writing:
                self._write(inf)
            self._arrive()
        return self._run()

    def _padded(self) -> list[_Running]:
        """As many of those who wait as fit, all as long as the longest prompt and the longest answer among them."""
        prompt = answer = 0
        numbers: list[int] = []
        while self.queue and len(numbers) < self.limit:
            request = self.coming[self.queue[0]]
            wider = max(prompt, request.prompt), max(answer, request.generated)
            if numbers and (len(numbers) + 1) * self.cost.kept(sum(wider)) > self.cache_limit:
                break
            prompt, answer = wider
            numbers.append(self.queue.popleft())
        return [self._take(number, prompt, answer) for number in numbers]

    def _arrive(self) -> None:
        while self.arrived < len(self.coming) and self.coming[self.arrived].arrival <= self.now:
            self.queue.append(self.arrived)
            self.arrived += 1

    def _room(self, reading: list[_Running]) -> bool:
        request = self.coming[self.queue[0]]
        needed = self.cost.kept(request.prompt + request.generated)
        return self.writing + len(reading) < self.limit and self.reserved + needed <= self.cache_limit

    def _take(self, number: int, prompt: int, answer: int) -> _Running:
        self.start[number] = self.now
        self.reserved += self.cost.kept(prompt + answer)
        return _Running(number, prompt, answer)

    def _mixed_step(self, reading: list[_Running]) -> None:
        """A step that writes a token for each sequence and reads prompts, the oldest first."""
        left = inf if self.step_tokens is None else self.step_tokens - self.writing
        pieces, read, done = [], 0, []
        for one in reading:
            if not left:
                break
            piece = int(min(left, one.prompt - one.read))
            pieces.append(self.cost.reading(one.read, piece))
            one.read += piece
            read, left = read + piece, left - piece
            if one.read == one.prompt:
                done.append(one)
        self.largest = max(self.largest, self.writing + len(reading))
        seconds = self._mixed_seconds(pieces, self.writing + read, self.writing + len(done))
        self._spend(seconds, self.writing + len(reading))
        self.tokens += read + self.writing
        self._stepped(1)
        for one in done:
            reading.remove(one)
            self._enter(one, one.generated)

    def _mixed_seconds(self, pieces: list[tuple[int, int]], tokens: int, scored: int) -> float:
        memory, compute = self.cost.shared(tokens, scored)
        moved = self.bytes + sum(piece[0] for piece in pieces)
        flops = self.flops + sum(piece[1] for piece in pieces)
        return max(memory + moved * self.cost.per_byte, compute + flops * self.cost.per_flop)

    def _write(self, until: float) -> None:
        """Steps that write a token for each sequence, up to the next event or to the first one after a time."""
        memory, compute = self.cost.shared(self.writing, self.writing)
        lines = [
            (memory + self.bytes * self.cost.per_byte, self.more_bytes * self.cost.per_byte),
            (compute + self.flops * self.cost.per_flop, self.more_flops * self.cost.per_flop),
        ]
        (seconds, growth), (others, their_growth) = sorted(lines, reverse=True)
        steps = self.events[0][0] - self.steps
        if their_growth > growth:  # then the other line becomes the higher one
            steps = min(steps, max(1, ceil((seconds - others) / (their_growth - growth))))
        if until < inf:
            steps = min(steps, _steps_until(until - self.now, seconds, growth))
        self._spend(steps * seconds + growth * (steps * (steps - 1) / 2), self.writing)
        self.tokens += steps * self.writing
        self._stepped(steps)

    def _spend(self, seconds: float, sequences: int) -> None:
        self.now += seconds
        self.busy += seconds
        self.occupied += seconds * sequences

    def _stepped(self, steps: int) -> None:
        """Every sequence is longer by some tokens. Then come the events of this step."""
        self.steps += steps
        self.bytes += steps * self.more_bytes
        self.flops += steps * self.more_flops
        while self.events and self.events[0][0] == self.steps:
            _, what, _, context, one = heappop(self.events)
            if what == _BEND:
                self._slope(one, context)
            elif what == _DONE:
                self.finish[one.number] = self.now
            else:
                self._leave(one, context)

    def _enter(self, one: _Running, own: int) -> None:
        """Its prompt is read and its first token written. From now on it gets a token a step, `own` of them for use."""
        self.first[one.number] = self.now
        if own == 1:
            self.finish[one.number] = self.now
        if one.generated == 1:
            self.reserved -= self.cost.kept(one.prompt + 1)
            return
        moved, flops = self.cost.looking_back(one.prompt)
        self.bytes, self.flops, self.writing = self.bytes + moved, self.flops + flops, self.writing + 1
        self._slope(one, one.prompt)
        if own > 1:
            self._at(self.steps + own - 1, _DONE, 0, one)
        self._at(self.steps + one.generated - 1, _LEAVE, one.prompt + one.generated - 1, one)

    def _slope(self, one: _Running, context: int) -> None:
        """What its next tokens add, up to the next bend."""
        here, there = self.cost.looking_back(context), self.cost.looking_back(context + 1)
        slope = there[0] - here[0], there[1] - here[1]
        self.more_bytes += slope[0] - one.slope[0]
        self.more_flops += slope[1] - one.slope[1]
        one.slope = slope
        bend = next_bend(self.cost, context)
        if bend is not None and bend < one.prompt + one.generated - 1:
            self._at(self.steps + bend - context, _BEND, bend, one)

    def _leave(self, one: _Running, context: int) -> None:
        moved, flops = self.cost.looking_back(context)
        self.bytes, self.flops, self.writing = self.bytes - moved, self.flops - flops, self.writing - 1
        self.more_bytes, self.more_flops = self.more_bytes - one.slope[0], self.more_flops - one.slope[1]
        self.reserved -= self.cost.kept(one.prompt + one.generated)

    def _at(self, step: int, what: int, context: int, one: _Running) -> None:
        heappush(self.events, (step, what, one.number, context, one))

    def _run(self) -> ServingRun:
        times = zip(self.coming, self.start, self.first, self.finish, strict=True)
        served = tuple(ServedRequest(*each) for each in times)
        return ServingRun(served, self.limit, self.largest, self.steps, self.busy, self.occupied, self.tokens)


def _steps_until(gap: float, seconds: float, growth: float) -> int:
    """The fewest steps, at least one, that take as long as a gap: n · s + g · n · (n - 1) / 2 ≥ gap."""
    if gap <= seconds:
        return 1
    half = seconds - growth / 2
    steps = ceil((sqrt(half * half + 2 * growth * gap) - half) / growth) if growth > 0 else ceil(gap / seconds)
    return max(1, steps)
