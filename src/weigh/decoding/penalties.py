"""Penalties and bans against repetition: what the text so far does to the logits of the next token.

Each function takes the logits of one position, shape (V,), and ids of the text, and returns a `Choice`. Which part of
the text counts is part of the method: repetition penalties and n-grams look at the prompt too, frequency and presence
penalties at what was generated.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from weigh.decoding.filters import Choice, checked, choice, require
from weigh.errors import InvalidSetting

if TYPE_CHECKING:
    import torch


def repetition_penalty(logits: "torch.Tensor", ids: Sequence[int], penalty: float) -> Choice:
    """Repetition penalty: of each token in the text already, a positive logit is divided, a negative one multiplied.

    Without the rule for the sign, a negative logit would rise. Adding one number to all logits changes no probability,
    but it changes what this penalty does, since signs change.

    Source: Keskar et al. 2019 (CTRL), arXiv 1909.05858, section 4.1, which has no rule for the sign; it is
    transformers'.

    Args:
        logits: Shape (V,).
        ids: The tokens so far, prompt included.
        penalty: Above 0. Above 1 it discourages, below 1 it encourages.

    Raises:
        InvalidSetting: If the penalty is not a positive number, or an id is outside the vocabulary.
    """
    logits = checked(logits, "repetition_penalty")
    require("repetition_penalty", penalty, 0 < penalty < math.inf, "must be above 0; 1 changes nothing")
    penalised = (logits * penalty).where(logits < 0, logits / penalty)
    return choice("repetition_penalty", penalty, logits, penalised.where(_counts(logits, ids) > 0, logits))


def frequency_penalty(logits: "torch.Tensor", ids: Sequence[int], penalty: float) -> Choice:
    """Frequency penalty: subtracted from a token's logit once for each time that the token was generated.

    Source: the guide to OpenAI's API, "Frequency and presence penalties":
    μ[j] − c[j] · α_frequency − (c[j] > 0) · α_presence.

    Args:
        logits: Shape (V,).
        ids: The tokens generated so far, without the prompt.
        penalty: Any number; below 0 it encourages.

    Raises:
        InvalidSetting: If the penalty is not finite, or an id is outside the vocabulary.
    """
    logits = checked(logits, "frequency_penalty")
    require("frequency_penalty", penalty, math.isfinite(penalty), "must be a finite number")
    return choice("frequency_penalty", penalty, logits, logits - penalty * _counts(logits, ids))


def presence_penalty(logits: "torch.Tensor", ids: Sequence[int], penalty: float) -> Choice:
    """Presence penalty: subtracted once from the logit of each token that was generated. See `frequency_penalty`.

    Args:
        logits: Shape (V,).
        ids: The tokens generated so far, without the prompt.
        penalty: Any number; below 0 it encourages.

    Raises:
        InvalidSetting: If the penalty is not finite, or an id is outside the vocabulary.
    """
    logits = checked(logits, "presence_penalty")
    require("presence_penalty", penalty, math.isfinite(penalty), "must be a finite number")
    return choice("presence_penalty", penalty, logits, logits - penalty * (_counts(logits, ids) > 0))


def no_repeat_ngram(logits: "torch.Tensor", ids: Sequence[int], size: int) -> Choice:
    """N-gram blocking: no token that would complete a run of n tokens that is in the text already.

    Source: Paulus et al. 2017, arXiv 1705.04304, section 2.5, for trigrams.

    Args:
        logits: Shape (V,).
        ids: The tokens so far, prompt included.
        size: n, at least 1. With 1 no token comes twice.

    Raises:
        InvalidSetting: If n is not a positive whole number, or an id is outside the vocabulary.
        InvalidLogits: If no token is left.
    """
    logits = checked(logits, "no_repeat_ngram_size")
    require("no_repeat_ngram_size", size, isinstance(size, int) and size >= 1, "must be a whole number of at least 1")
    seen = [int(token) for token in ids]
    started = seen[len(seen) - size + 1 :]  # what the next token would be the last of
    runs = (seen[start : start + size] for start in range(len(seen) - size + 1))
    completing = _counts(logits, [run[-1] for run in runs if run[:-1] == started])
    return choice("no_repeat_ngram_size", size, logits, logits.masked_fill(completing > 0, -math.inf))


def _counts(logits: "torch.Tensor", ids: Sequence[int]) -> "torch.Tensor":
    """How often each token of the vocabulary is among the ids, shape (V,)."""
    import torch

    tokens = torch.as_tensor(ids, dtype=torch.int64, device=logits.device)
    if len(tokens) and not 0 <= int(tokens.min()) <= int(tokens.max()) < len(logits):
        raise InvalidSetting("ids", f"{int(tokens.max())} or {int(tokens.min())} is no id of {len(logits)} tokens")
    return tokens.bincount(minlength=len(logits))
