"""How long does a step of an engine take? A step writes a token for each sequence, and may read pieces of prompts.

A step moves bytes and does operations. What all sequences share is counted once, the weights; what each brings with it
grows with the tokens that it looks back at, on straight lines that bend where a window is full. So a cost says three
things: what is shared, what a sequence adds, and what a piece of a prompt adds. Bytes and operations are whole numbers.
"""

from bisect import bisect_left
from collections import Counter
from copy import copy
from dataclasses import dataclass
from typing import Protocol

from weigh.errors import WeighError
from weigh.memory.inference import Serving
from weigh.memory.kv_cache import cache_bytes
from weigh.memory.roofline import (
    Experts,
    attentions,
    bytes_read,
    decode_bound,
    experts_touched,
    head_flops,
    layer_flops,
)
from weigh.models.caches import KeyValue, Latent, State
from weigh.models.parameters import Model

Work = tuple[int, int]
"""Bytes moved and operations."""


class StepCost(Protocol):
    """What steps take. A step lasts as long as the slower of its bytes and its operations."""

    @property
    def per_byte(self) -> float:
        """Seconds for a byte of a cache."""

    @property
    def per_flop(self) -> float:
        """Seconds for an operation of an attention."""

    @property
    def bends(self) -> tuple[int, ...]:
        """The contexts from which on a token adds less than the one before: windows that are full."""

    def shared(self, tokens: int, scored: int) -> tuple[float, float]:
        """Seconds of bytes and of operations that `tokens` cost wherever they stand, `scored` of them at the head."""

    def looking_back(self, context: int) -> Work:
        """What a token adds that looks back at `context` tokens."""

    def reading(self, before: int, tokens: int) -> Work:
        """What a piece of a prompt adds, after the tokens `before` it."""

    def kept(self, context: int) -> int:
        """The bytes of the cache of a sequence."""


@dataclass(frozen=True)
class LinearCost:
    """A step of fixed + per_token · n + per_cached_byte · c seconds: measured, or made up.

    Attributes:
        fixed: Seconds of a step of no tokens, such as to read the weights.
        per_token: Seconds for each of the n tokens that go through the model: one of each sequence, and of prompts all.
        per_cached_byte: Seconds for each of the c bytes of caches that are read.
        bytes_per_token: The bytes that a token adds to a cache.
    """

    fixed: float
    per_token: float = 0.0
    per_cached_byte: float = 0.0
    bytes_per_token: int = 1

    @property
    def per_flop(self) -> float:
        """Nothing: what operations cost is in the other parts."""
        return 0.0

    @property
    def bends(self) -> tuple[int, ...]:
        """None."""
        return ()

    def __post_init__(self) -> None:
        """Refuse times that are none. Raises WeighError."""
        times = (self.fixed, self.per_token, self.per_cached_byte)
        if not all(0 <= seconds < float("inf") for seconds in times) or not any(times[:2]):
            raise WeighError("cost of a step", f"must be seconds from 0, and take some, not {times}")

    @property
    def per_byte(self) -> float:
        """Seconds for a byte of a cache."""
        return self.per_cached_byte

    def shared(self, tokens: int, scored: int) -> tuple[float, float]:
        """The fixed part and that of the tokens."""
        return self.fixed + self.per_token * tokens, 0.0

    def looking_back(self, context: int) -> Work:
        """The bytes of its cache."""
        return self.kept(context), 0

    def reading(self, before: int, tokens: int) -> Work:
        """The bytes of its cache, those that it writes included."""
        return self.kept(before + tokens), 0

    def kept(self, context: int) -> int:
        """The bytes of its cache."""
        return self.bytes_per_token * context


class RooflineCost:
    """Steps as the roofline of a device bounds them, or slower by an efficiency that was measured.

    With efficiency 1 no engine beats these times. What is counted is what `weigh.decode_bound` and
    `weigh.prefill_bound` count; a step that reads prompts and writes tokens reads the weights once for both.

    Args:
        model: What `weigh.params` counted: a decoder.
        bandwidth: Bytes that the device's memory moves in a second.
        flops: Operations that the device does in a second in the format of the computation.
        dtype: The format of the weights, one of `weigh.STORAGE_FORMATS`.
        kv_dtype: The format of the cache; by default that of the computation.
        efficiency: The share of both rates that an engine reaches, above 0 and up to 1.

    Raises:
        WeighError: If the model does not generate, or has an encoder, or a rate or the efficiency is impossible.
    """

    def __init__(
        self,
        model: Model,
        *,
        bandwidth: float,
        flops: float,
        dtype: str = "bfloat16",
        kv_dtype: str | None = None,
        efficiency: float = 1.0,
    ) -> None:
        if not 0 < efficiency <= 1:
            raise WeighError("efficiency", f"must be above 0 and at most 1, not {efficiency}")
        for name, rate in (("bandwidth", bandwidth), ("FLOP/s", flops)):
            if 0 < rate * efficiency < 1:
                raise WeighError(name, f"must be 1 in a second at least, not {rate * efficiency}")
        decode_bound(model, bandwidth=bandwidth, flops=flops, dtype=dtype, kv_dtype=kv_dtype, context=1)  # may refuse
        self._per_byte, self._per_flop = 1 / (bandwidth * efficiency), 1 / (flops * efficiency)
        serving = Serving(model, dtype, kv_dtype)
        always, routed = bytes_read(serving)
        self._always, self._routed = sum(always), Counter[Experts]()
        for nbytes, experts in routed:
            self._routed[experts] += nbytes
        self._multiplied, self._head = layer_flops(model), head_flops(model)
        kinds = Counter(model.caches)
        sizes = {layer: number * cache_bytes([layer], 1, 1, serving.kv_dtype, 1) for layer, number in kinds.items()}
        self._state = sum(size for layer, size in sizes.items() if isinstance(layer, State))
        self._caches = [(_window(layer), size) for layer, size in sizes.items() if not isinstance(layer, State)]
        attention: Counter[int | None] = Counter()
        for layer, inputs in attentions(model):
            attention[_window(layer)] += 4 * inputs
        self._attention = list(attention.items())
        windows = {window for window, _ in self._caches if window}
        self._bends = tuple(sorted({bend for window in windows for bend in (window - 1, window)}))

    def on(self, bandwidth: float, flops: float) -> "RooflineCost":
        """The same work on another device, whose rates are those that are reached."""
        other = copy(self)
        other._per_byte, other._per_flop = 1 / bandwidth, 1 / flops
        return other

    @property
    def per_byte(self) -> float:
        """Seconds for a byte of a cache."""
        return self._per_byte

    @property
    def per_flop(self) -> float:
        """Seconds for an operation of an attention."""
        return self._per_flop

    @property
    def bends(self) -> tuple[int, ...]:
        """Where its windows are full."""
        return self._bends

    def shared(self, tokens: int, scored: int) -> tuple[float, float]:
        """Seconds to read the weights, of experts those that are expected to be touched, and to multiply by them."""
        touched = sum(
            int(nbytes * experts_touched(used, count, tokens) / count) for (used, count), nbytes in self._routed.items()
        )
        work = tokens * self._multiplied + scored * self._head
        return (self._always + touched) * self._per_byte, work * self._per_flop

    def looking_back(self, context: int) -> Work:
        """What a token adds: the cache that it reads, and its attention."""
        return self.kept(context), self._looks(context, 1)

    def reading(self, before: int, tokens: int) -> Work:
        """What a piece of a prompt adds: the cache that it reads and writes, and its attention."""
        return self.kept(before + tokens), self._looks(before, tokens)

    def kept(self, context: int) -> int:
        """The bytes of the cache of a sequence."""
        total = self._state
        for window, size in self._caches:
            total += size * (min(context, window) if window else context)
        return total

    def _looks(self, before: int, tokens: int) -> int:
        """The operations of attention: each token looks at all before it and at itself, or at a window of them."""
        flops, end = 0, before + tokens
        for window, each in self._attention:
            inside = max(0, min(end, window or end) - before)
            flops += each * ((2 * before + inside + 1) * inside // 2 + (window or 0) * (tokens - inside))
        return flops


def next_bend(cost: StepCost, context: int) -> int | None:
    """The first bend beyond a context; `None` if the line is straight from there on."""
    place = bisect_left(cost.bends, context + 1)
    return cost.bends[place] if place < len(cost.bends) else None


def _window(layer: object) -> int | None:
    return layer.window if isinstance(layer, KeyValue | Latent) else None
