"""Beam search: keep the few most probable texts so far, not only the best next token.

Greedy decoding can lose a probable text because its first token is not the best one. Beam search extends each of its
B beams by every token and keeps the B most probable results. The step and the rules for its end are those of
transformers' `generate(num_beams=B)`, so both find the same texts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from weigh.decoding.filters import checked
from weigh.decoding.generation import NextLogits, ask, listed
from weigh.errors import InvalidSetting

_Beam: TypeAlias = tuple[float, list[int]]  # the log-probability of the tokens after the prompt, and those


@dataclass(frozen=True)
class Hypothesis:
    """A text that beam search found.

    Attributes:
        tokens: The ids after the prompt, the end token included.
        log_probability: The sum of the tokens' log-probabilities, natural logarithm.
        score: What hypotheses are ranked by: log_probability / (number of tokens) ** length_penalty.
        reason: `eos`, an end token, or `length`, the limit.
    """

    tokens: tuple[int, ...]
    log_probability: float
    score: float
    reason: str


def beam_search(
    next_logits: NextLogits,
    prompt: Sequence[int],
    *,
    beams: int,
    max_tokens: int,
    eos: Collection[int] = (),
    length_penalty: float = 1.0,
    early_stopping: bool | Literal["never"] = False,
) -> tuple[Hypothesis, ...]:
    """Beam search: the most probable continuations of a prompt, as far as a few beams see.

    Args:
        next_logits: The model: ids of shape (T,) → logits of shape (V,). Asked once for each beam and step.
        prompt: The ids to continue, at least one.
        beams: B, how many to keep.
        max_tokens: The most tokens to add.
        eos: The ids that end a text.
        length_penalty: The exponent of the length in the score. Log-probabilities are negative and add up, so above 0
            longer texts are favoured; at 0 the score is the plain sum.
        early_stopping: When to give up on the beams that still run, once B texts have ended: at once (`True`), when the
            best one's score as it is now is no better than the worst of those (`False`), or when its score could not
            become better at any length (`"never"`), which alone never gives up too early.

    Returns:
        At most B texts, the best score first.

    Raises:
        InvalidSetting: If an argument is outside its range.
        InvalidLogits: If the model's logits allow no token.
    """
    start = listed(prompt, max_tokens)
    if beams < 1:
        raise InvalidSetting("beams", f"{beams} must be at least 1")
    # Enough that B beams are left even if all others end: each beam has one best place for each end token.
    wanted = beams * max(2, 1 + len(eos))
    running: list[_Beam] = [(0.0, [])]
    ended: list[Hypothesis] = []
    for length in range(1, max_tokens + 1):
        found = _extended(next_logits, start, running, wanted)
        for total, tokens in found[:beams]:
            if tokens[-1] in eos or length == max_tokens:
                reason = "eos" if tokens[-1] in eos else "length"
                ended.append(Hypothesis(tuple(tokens), total, total / length**length_penalty, reason))
        ended = sorted(ended, key=lambda hypothesis: -hypothesis.score)[:beams]
        running = [(total, tokens) for total, tokens in found if tokens[-1] not in eos][:beams]
        if not running:
            break
        if len(ended) == beams:
            hoped = max_tokens if early_stopping == "never" and length_penalty > 0 else length
            if early_stopping is True or running[0][0] / hoped**length_penalty <= ended[-1].score:
                break
    return tuple(ended)


def _extended(next_logits: NextLogits, start: list[int], running: list[_Beam], wanted: int) -> list[_Beam]:
    """The most probable extensions of all beams by one token, the best first."""
    import torch

    rows = [checked(ask(next_logits, start + tokens), "next_logits").log_softmax(-1) for _, tokens in running]
    totals = torch.stack([total + row for (total, _), row in zip(running, rows, strict=True)])  # (B, V)
    best = totals.flatten().topk(min(wanted, totals.numel()))
    return [
        (total, [*running[index // totals.shape[1]][1], index % totals.shape[1]])
        for total, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        if total > float("-inf")
    ]
