"""The chain of decoding settings, in which the order matters.

A temperature before top-p changes what top-p keeps; after it, only the shares of what was kept. Engines differ in the
order, so one generation config gives different text in each.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weigh.decoding.filters import Choice, checked, min_p, require, temperature, top_k, top_p, typical_p
from weigh.decoding.penalties import frequency_penalty, no_repeat_ngram, presence_penalty, repetition_penalty
from weigh.errors import InvalidSetting

if TYPE_CHECKING:
    import torch

_PENALTIES = ("repetition_penalty", "frequency_penalty", "presence_penalty")

SAMPLER_ORDERS: dict[str, tuple[str, ...]] = {
    "transformers": (
        "repetition_penalty",
        "no_repeat_ngram_size",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
    ),
    "vllm": (*_PENALTIES, "temperature", "min_p", "top_k", "top_p"),
    "llama.cpp": (*_PENALTIES, "top_k", "typical_p", "top_p", "min_p", "temperature"),
}
"""The order in which three engines apply these settings: `_get_logits_processor` of transformers 5, the sampler of
vLLM's v1 engine, and the default of llama.cpp's `--samplers`. The same settings give different text in each."""

_OF_LOGITS: dict[str, Callable[["torch.Tensor", Any], Choice]] = {
    "temperature": temperature,
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
    "typical_p": typical_p,
}
_OF_TEXT: dict[str, Callable[["torch.Tensor", Sequence[int], Any], Choice]] = {
    "repetition_penalty": repetition_penalty,
    "no_repeat_ngram_size": no_repeat_ngram,
}
_OF_OUTPUT = {"frequency_penalty": frequency_penalty, "presence_penalty": presence_penalty}


def filter_logits(
    logits: "torch.Tensor", settings: Mapping[str, float], ids: Sequence[int] = (), prompt: int = 0
) -> Choice:
    """Decoding settings applied to logits, one after the other, in the order in which they are given.

    Args:
        logits: Shape (V,).
        settings: Each setting with its value, under the names of a `generation_config.json` (and `frequency_penalty`,
            `presence_penalty`): `{"temperature": 0.7, "top_p": 0.9}`. A setting that is there is applied: to switch
            one off, leave it out.
        ids: The tokens so far, prompt included.
        prompt: How many of them are the prompt. Frequency and presence penalties count the others only.

    Returns:
        The whole chain as one choice, from the first logits to the last; `.steps` has each step.

    Raises:
        InvalidSetting: If a name is unknown or a value outside its range.
        InvalidLogits: If no token can be drawn from the logits, before or after.
    """
    steps: list[Choice] = []
    before = after = checked(logits, "logits")
    for name, value in settings.items():
        require(name, value, isinstance(value, int | float), "is no number; to switch a setting off, leave it out")
        if name in _OF_LOGITS:
            steps.append(_OF_LOGITS[name](after, value))
        elif name in _OF_TEXT:
            steps.append(_OF_TEXT[name](after, ids, value))
        elif name in _OF_OUTPUT:
            steps.append(_OF_OUTPUT[name](after, ids[prompt:], value))
        else:
            known = ", ".join([*_OF_LOGITS, *_OF_TEXT, *_OF_OUTPUT])
            raise InvalidSetting(str(name)[:80], f"is no decoding setting; there are {known}")
        after = steps[-1].logits
    return Choice(" → ".join(settings), None, before, after, tuple(steps))
