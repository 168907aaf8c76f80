"""How good is it? The loss on a text that it has not read, and what simpler models make of the same text."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from quill.model import Quill


@torch.no_grad()
def token_losses(model: Quill, ids: Tensor) -> Tensor:
    """The loss of every token but the first, in nats, each with at least half a context before it where there is one.

    Args:
        model: The model.
        ids: One dimension, n tokens.

    Returns:
        Shape (n - 1,): -ln p(token | what was before it in its window).
    """
    T = model.config.max_position_embeddings
    parts = []
    for start in range(0, len(ids) - 1, T // 2):
        begin = max(0, start - T // 2)
        window = ids[begin : start + T // 2 + 1]
        logits, _ = model(window[None, :-1])
        losses = F.cross_entropy(logits[0], window[1:], reduction="none")
        parts.append(losses[start - begin :])
    return torch.cat(parts)


def mean_loss(model: Quill, ids: Tensor) -> float:
    """The mean of `token_losses`. Its exponential is the perplexity."""
    return float(token_losses(model, ids).mean())


def uniform_loss(entries: int) -> float:
    """Of a model that knows the vocabulary alone."""
    return math.log(entries)


def unigram_loss(train: Sequence[int], test: Sequence[int], entries: int) -> float:
    """Of one that knows how often each token occurs, with one occurrence more of each."""
    counts = Counter(train)
    return -sum(math.log((counts[token] + 1) / (len(train) + entries)) for token in test[1:]) / (len(test) - 1)


def trigram_loss(train: Sequence[int], test: Sequence[int], entries: int, discount: float = 0.75) -> float:
    """Of one that knows which token follows which two, by interpolated absolute discounting (Ney et al. 1994)."""
    counts: list[dict[tuple[int, ...], Counter[int]]] = [defaultdict(Counter) for _ in range(3)]
    for order, table in enumerate(counts):
        for i in range(order, len(train)):
            table[tuple(train[i - order : i])][train[i]] += 1

    def probability(context: tuple[int, ...], token: int) -> float:
        below = probability(context[1:], token) if context else 1 / entries
        seen = counts[len(context)].get(context)
        if seen is None:
            return below
        total = seen.total()
        return max(seen[token] - discount, 0) / total + discount * len(seen) / total * below

    losses = [-math.log(probability(tuple(test[max(0, i - 2) : i]), test[i])) for i in range(1, len(test))]
    return sum(losses) / len(losses)
