"""The tensors of a cache, told so that what a model keeps and what a rule says can be compared."""

from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch
from transformers import PretrainedConfig

from weigh.models.caches import Caches, KeyValue, Latent, State

Seen = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Reading:
    """What a model reads: prompts of so many tokens, then some more one by one; a decoder with an encoder, its own."""

    dtype: str = "bfloat16"
    batch: int = 2
    tokens: int = 11
    written: int = 5
    more: int = 0


READINGS = (Reading(), Reading("float32", 1, 9, 4), Reading(tokens=12, written=6, more=1), Reading("float32", 3, 14, 7))
"""What is read by the changed models in turn."""


def seen(cache: Any, reading: Reading) -> Seen:
    """What a cache holds, in the order of its layers: keys and values, and how many other numbers of which format."""
    if hasattr(cache, "self_attention_cache"):
        pairs = zip_longest(cache.self_attention_cache.layers, cache.cross_attention_cache.layers)
        return [one for own, cross in pairs for one in (*_layer(own, "kv", reading), *_layer(cross, "cross", reading))]
    if hasattr(cache, "layers"):
        states = getattr(cache, "linear_cache", ())
        pairs = zip_longest(cache.layers, states)
        return [one for layer, state in pairs for one in _layer(layer, "kv", reading) + _numbers(state, reading)]
    if isinstance(cache, list | tuple) and any(hasattr(one, "layers") for one in cache):
        return [found for one in cache for found in seen(one, reading)]
    return in_total(_numbers(cache, reading))


def _layer(layer: Any, kind: str, reading: Reading) -> Seen:
    keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
    if keys is None or values is None or not keys.numel():
        return _numbers(layer, reading)
    window = int(layer.sliding_window) if getattr(layer, "is_sliding", False) else None
    once = keys.data_ptr() == values.data_ptr() and values.shape == keys.shape  # a key that is the value, too
    batch, heads, tokens, width = keys.shape
    if batch != reading.batch:
        raise ValueError(f"{batch} sequences are kept of {reading.batch}")
    own = (kind, heads, tokens, width, 0 if once else values.shape[3], window, _format(keys))
    return [own, *_numbers(layer, reading, {id(keys), id(values)})]


def _format(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _numbers(thing: Any, reading: Reading, known: set[int] | None = None) -> Seen:
    """The tensors in anything, but for those known: how many numbers of each sequence, in which format."""
    known = set() if known is None else known
    if id(thing) in known or isinstance(thing, type | torch.nn.Module | PretrainedConfig):
        return []
    known.add(id(thing))
    if isinstance(thing, torch.Tensor):
        numbers, rest = divmod(thing.numel(), reading.batch)
        return [("numbers", numbers, _format(thing))] if not rest and numbers and thing.dim() > 1 else []
    parts = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    parts = [*parts, *(vars(thing).values() if hasattr(thing, "__dict__") else ())]
    return [one for part in parts for one in _numbers(part, reading, known)]


def in_total(found: Seen) -> Seen:
    """The numbers of each format, those of keys and values too, added up."""
    total: Counter[str] = Counter()
    for one in found:
        total[one[-1]] += one[1] if one[0] == "numbers" else one[1] * one[2] * (one[3] + one[4])
    return [("numbers", count, dtype) for dtype, count in sorted(total.items())]


def expected(caches: Caches, reading: Reading, crossing: bool) -> Seen:
    """What the tensors of these caches are, told as `seen` does."""
    found: Seen = []
    tokens = (reading.written if crossing else reading.tokens) + reading.more
    for layer in caches:
        if isinstance(layer, KeyValue | Latent):
            T = reading.tokens if isinstance(layer, KeyValue) and layer.cross else tokens
            T = T if layer.window is None else min(T, layer.window - 1)
        if isinstance(layer, KeyValue):
            kind, widths = "cross" if layer.cross else "kv", (layer.key, layer.value)
            found.append((kind, layer.heads, T, *widths, layer.window, reading.dtype))
        elif isinstance(layer, Latent):
            found.append(("kv", 1, T, layer.rank, layer.rope, layer.window, reading.dtype))
            found += [("numbers", tokens * layer.index, reading.dtype)] if layer.index else []
        elif isinstance(layer, State):
            found.append(("numbers", layer.numel, layer.dtype or reading.dtype))
        else:
            groups, rest = divmod(tokens, layer.every)
            kept = groups if layer.window is None else min(groups, layer.window)
            numbers = kept * layer.numel + rest * layer.waiting
            found += [("numbers", numbers, layer.dtype or reading.dtype)] if numbers else []
    return found
