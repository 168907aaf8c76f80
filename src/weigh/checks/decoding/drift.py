"""How far two decoding configs take one model apart: in the next token's distribution, and in the texts drawn."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from weigh.checks.decoding.settings import FILTERS, PENALTIES, EffectiveSettings
from weigh.checks.results import CheckResult, Figure, first
from weigh.decoding.beams import beam_search
from weigh.decoding.chain import filter_logits
from weigh.decoding.filters import greedy
from weigh.decoding.generation import sample
from weigh.errors import InvalidSetting
from weigh.optional import needed

if TYPE_CHECKING:
    import torch

BatchLogits = Callable[["torch.Tensor"], "torch.Tensor"]
"""A model, as drift needs it: ids of shape (N, T) → logits of the next token, shape (N, V)."""

_FEWEST = 8
_RESAMPLES = 2000


def output_drift(
    logits: "torch.Tensor",
    a: EffectiveSettings,
    b: EffectiveSettings,
    contexts: Sequence[Sequence[int]] | None = None,
    *,
    threshold: float = 0.01,
) -> CheckResult:
    """Output drift: the total variation distance between the next tokens of two decoding configs, over contexts.

    It is the smallest share of draws in which two samplers disagree, however they are paired. The evidence has the
    Jensen–Shannon distance (base 2) too. Both are 0 for equal distributions and 1 for those that share no token.

    Args:
        logits: The model's logits after each context, shape (N, V).
        a: The one config, as `effective_settings` gives it.
        b: The other.
        contexts: The ids of each context, which penalties fall on. Without them, nothing has been said yet.
        threshold: The largest mean distance that passes.

    Raises:
        InvalidSetting: If one of them searches beams, which have no distribution of the next token.
        InvalidLogits: If no token can be drawn from logits, before or after the filters.
        MissingPackage: If torch or SciPy is not installed.
    """
    with needed("output drift"):
        import numpy as np
        from scipy.spatial.distance import jensenshannon
        from scipy.stats import bootstrap
    texts = [()] * len(logits) if contexts is None else contexts
    distances, divergences, kept = [], [], []
    for row, ids in zip(logits, texts, strict=True):
        left, right = (next_token(row, settings, ids, len(ids)) for settings in (a, b))
        kept.append((int((left > 0).sum()), int((right > 0).sum())))
        distances.append(float((left - right).abs().sum()) / 2)
        divergences.append(float(jensenshannon(left.double().numpy(), right.double().numpy(), base=2)))
    mean, low, high, interval = float(np.mean(distances)), math.nan, math.nan, "none: too few contexts"
    if a.values == b.values:
        low = high = mean
        interval = "exact"
    elif len(distances) >= _FEWEST:
        resampled = bootstrap(
            (distances,), np.mean, n_resamples=_RESAMPLES, method="percentile", rng=np.random.default_rng(0)
        )
        low, high = (float(end) for end in resampled.confidence_interval)
        interval = "95 %, bootstrap over contexts"
    worst = sorted(range(len(distances)), key=lambda place: (-distances[place], place))
    return CheckResult(
        check="output drift",
        figure=Figure("mean total variation of the next token", mean, low, high, interval),
        threshold=threshold,
        reason="of so large a share of tokens, two samplers must draw another one, however their seeds are paired",
        evidence=first(
            {
                "context": place,
                "total variation": distances[place],
                "Jensen–Shannon": divergences[place],
                "tokens kept by A": kept[place][0],
                "by B": kept[place][1],
            }
            for place in worst[:10]
        ),
        cost={"contexts": len(distances), "passes of the model": len(distances)},
        notes=_notes(a, b),
    )


def text_drift(
    model: BatchLogits,
    contexts: "torch.Tensor",
    a: EffectiveSettings,
    b: EffectiveSettings,
    *,
    tokens: int = 32,
    seed: int = 0,
    decode: Callable[[Sequence[int]], str] | None = None,
    threshold: float = 0.1,
) -> CheckResult:
    """Text drift: the share of contexts that two decoding configs continue differently under one seed.

    The same random numbers are used for both, context by context, so what differs is due to the settings. Unlike the
    distance of the next token, it sees limits, stop strings, end tokens, beams, and penalties on what was generated.

    Args:
        model: Ids of shape (N, T) → logits of shape (N, V). The ids only ever grow, so it can keep a cache.
        contexts: Ids of shape (N, T): contexts of one length.
        a: The one config, as `effective_settings` gives it.
        b: The other.
        tokens: The most tokens of a text. Limits beyond it are not seen.
        seed: The seed of the first context; the next has the next.
        decode: A tokenizer's function from ids to text, which stop strings need.
        threshold: The largest share that passes.

    Raises:
        InvalidSetting: If stop strings have no `decode`, or for what `not_measured` names.
        MissingPackage: If torch or SciPy is not installed.
    """
    texts = [continuations(model, contexts, settings, tokens, seed, decode) for settings in (a, b)]
    pairs = list(zip(*texts, strict=True))
    changed = [place for place, (left, right) in enumerate(pairs) if left != right]
    name = "share of texts that differ under one seed"
    if a.values == b.values:
        figure = Figure.exact(name, len(changed) / len(pairs))
    else:
        figure = Figure.share(name, len(changed), len(pairs), "95 %, Wilson over contexts")
    return CheckResult(
        check="text drift",
        figure=figure,
        threshold=threshold,
        reason="at one text in ten, two of three conversations of ten turns have a changed one",
        evidence=first({"context": place, **_shown(pairs[place], decode)} for place in changed[:10]),
        cost={"contexts": len(pairs), "tokens drawn": sum(len(text) for pair in pairs for text in pair)},
        notes=(f"texts of at most {tokens} tokens, so a limit beyond that is not seen", *_notes(a, b)),
    )


def not_measured(settings: EffectiveSettings) -> str:
    """Why the texts of a config cannot be drawn here; nothing if they can."""
    if settings.method == "beam sampling":
        return "drawn beams are not measured; set do_sample to false"
    if settings.method == "beam search" and settings.active(PENALTIES):
        return "beams with a penalty are not measured; leave one of them out"
    return ""


def next_token(
    logits: "torch.Tensor", settings: EffectiveSettings, ids: Sequence[int] = (), prompt: int = 0
) -> "torch.Tensor":
    """The probabilities of the next token that a config leaves, shape (V,).

    Args:
        logits: The model's, shape (V,).
        settings: As `effective_settings` gives it.
        ids: The text so far.
        prompt: How many of its tokens are the prompt.

    Raises:
        InvalidSetting: If the config searches beams.
    """
    if "beam" in settings.method:
        raise InvalidSetting("num_beams", "beam search has no distribution of the next token; compare texts")
    return _left(logits, settings, ids, prompt).softmax(-1)


def _left(logits: "torch.Tensor", settings: EffectiveSettings, ids: Sequence[int], prompt: int) -> "torch.Tensor":
    """The logits after penalties and filters."""
    said = settings.values.get("penalised text", "")
    last = int(said.split()[2]) if said.startswith("the last") else len(ids)
    seen = list(ids[max(0, len(ids) - last) :])
    start = 0 if settings.engine.counts_prompt else max(0, prompt - (len(ids) - len(seen)))
    left = filter_logits(logits, settings.active(PENALTIES), seen, start).logits
    if settings.method == "greedy":
        return greedy(left).logits
    active = settings.active(FILTERS)
    return filter_logits(
        left, {name: active[name] for name in settings.engine.order or FILTERS if name in active}
    ).logits


def continuations(
    model: BatchLogits,
    contexts: "torch.Tensor",
    settings: EffectiveSettings,
    tokens: int,
    seed: int = 0,
    decode: Callable[[Sequence[int]], str] | None = None,
) -> list[tuple[int, ...]]:
    """Continuations: what a decoding config writes after each context, until its own limit, stop string or end token.

    Args:
        model: Ids of shape (N, T) → logits of shape (N, V).
        contexts: Ids of shape (N, T).
        settings: As `effective_settings` gives it.
        tokens: The most tokens to add.
        seed: The seed of the first context; the next has the next.
        decode: A tokenizer's function from ids to text, which stop strings need.

    Returns:
        For each context, the ids that were added, the end token included.

    Raises:
        InvalidSetting: If stop strings have no `decode`, or beams are combined with sampling or penalties.
    """
    import torch

    stop = () if settings.values["stop"] == "none" else settings.values["stop"]
    if stop and decode is None:
        raise InvalidSetting("stop", "strings are looked for in the text, so give `decode`")
    most, ends = _limit(settings, contexts.shape[1], tokens), set(settings.values.get("eos_token_id", ()))
    if unmeasured := not_measured(settings):
        raise InvalidSetting("num_beams", unmeasured)
    if settings.method == "beam search":
        return [_searched(model, row, settings, most, ends) for row in contexts]
    start = contexts.shape[1]
    generators = [torch.Generator().manual_seed(seed + place) for place in range(len(contexts))]
    texts, ended = [row.tolist() for row in contexts], dict[int, int]()
    while len(texts[0]) - start < most and len(ended) < len(texts):
        with torch.no_grad():
            logits = model(torch.tensor(texts))
        for place, text in enumerate(texts):
            left = _left(logits[place], settings, text, start)
            text.append(int(left.argmax()) if settings.method == "greedy" else sample(left, generators[place]))
            if text[-1] in ends or (decode and any(mark in decode(text[start:]) for mark in stop)):
                ended.setdefault(place, len(text))  # it goes on, so that the batch stays a rectangle
    return [tuple(text[start : ended.get(place)]) for place, text in enumerate(texts)]


def _searched(
    model: BatchLogits, row: "torch.Tensor", settings: EffectiveSettings, most: int, ends: set[int]
) -> tuple[int, ...]:
    values = settings.values
    best, *_ = beam_search(
        lambda ids: model(ids[None])[0],
        row.tolist(),
        beams=values["num_beams"],
        max_tokens=most,
        eos=ends,
        length_penalty=values["length_penalty"],
        early_stopping=values["early_stopping"],
    )
    return best.tokens


def _limit(settings: EffectiveSettings, prompt: int, tokens: int) -> int:
    if "max_length" in settings.values:
        return max(1, min(tokens, int(settings.values["max_length"]) - prompt))
    said = settings.values["max_new_tokens"]
    return tokens if said == "no limit" else min(tokens, int(said))


def _shown(
    pair: tuple[tuple[int, ...], tuple[int, ...]], decode: Callable[[Sequence[int]], str] | None
) -> dict[str, Any]:
    left, right = pair
    same = next((place for place, (x, y) in enumerate(zip(left, right, strict=False)) if x != y), None)
    at = min(len(left), len(right)) if same is None else same
    found: dict[str, Any] = {"same tokens": at, "tokens of A": len(left), "tokens of B": len(right)}
    if decode:
        found |= {side: " ".join(decode(text)[:40].split()) for side, text in (("A", left), ("B", right))}
    return found


def _notes(a: EffectiveSettings, b: EffectiveSettings) -> tuple[str, ...]:
    silent = {one.engine.name for one in (a, b) if one.engine.order is None and "order" in one.values}
    return tuple(f"{name} does not say in which order it filters: temperature first is assumed" for name in silent)
