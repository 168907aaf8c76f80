"""The loop around a model: ask for logits, filter them, draw a token, append it, until something says stop.

The model is any function from the ids so far, an int64 tensor of shape (T,), to the logits of the next token, shape
(V,). In `generate` the ids only ever grow, so a model that keeps a cache can use it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weigh.decoding.chain import filter_logits
from weigh.decoding.filters import Choice, checked, greedy
from weigh.errors import InvalidSetting

if TYPE_CHECKING:
    import torch

NextLogits = Callable[["torch.Tensor"], "torch.Tensor"]
"""A model, as generation needs it: ids of shape (T,) → logits of the next token, shape (V,)."""


@dataclass(frozen=True)
class Generation:
    """A generated sequence, with the choice behind each of its tokens.

    Attributes:
        prompt: The ids it began with.
        tokens: The ids it added, those that stopped it included.
        reason: What stopped it: `eos`, an end token; `stop`, a stop sequence; `length`, the limit.
        text: The added tokens as text, up to the first stop sequence. `None` without `decode`.
        steps: For each token, the logits, what every setting made of them and what was kept. Empty without `trace`.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    reason: str
    text: str | None = None
    steps: tuple[Choice, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """Token ids of the prompt and of what was generated, shape (T,)."""
        return self.prompt + self.tokens


def sample(logits: "torch.Tensor", generator: "torch.Generator | None" = None) -> int:
    """A token id, drawn from the softmax of the logits.

    Args:
        logits: Shape (V,), filtered or not.
        generator: Where the random numbers come from: torch's default generator if there is none.

    Returns:
        The id of a token. The same generator in the same state draws the same one.

    Raises:
        InvalidLogits: If no token can be drawn from them.
    """
    return int(checked(logits, "sample").softmax(-1).multinomial(1, generator=generator))


def generate(
    next_logits: NextLogits,
    prompt: Sequence[int],
    settings: Mapping[str, float] | None = None,
    *,
    max_tokens: int,
    seed: "int | torch.Generator | None" = None,
    eos: Collection[int] = (),
    stop: str | Sequence[str | Sequence[int]] = (),
    decode: Callable[[Sequence[int]], str] | None = None,
    trace: bool = False,
) -> Generation:
    """Generation: a prompt continued, one token at a time.

    Args:
        next_logits: The model: ids of shape (T,) → logits of shape (V,).
        prompt: The ids to continue, at least one.
        settings: Decoding settings in the order in which they apply, as `filter_logits` takes them.
        max_tokens: The most tokens to add.
        seed: Draw tokens, from a generator of this seed: the same seed gives the same text. Without one, take the most
            probable token each time, which is greedy decoding.
        eos: The ids that end a text.
        stop: What to stop after: sequences of ids, or strings, which are looked for in the decoded text, since a token
            may begin before a stop string and end behind it.
        decode: A tokenizer's function from ids to text. Stop strings need it.
        trace: Whether to keep each step's `Choice`, which takes 4 · V bytes a token and as much again for each setting.

    Raises:
        InvalidSetting: If a setting or an argument is outside its range.
        InvalidLogits: If the model's logits, or what the settings leave of them, allow no token.

    Examples:
        >>> import torch
        >>> counting = lambda ids: torch.eye(10)[(ids[-1] + 1) % 10]
        >>> generate(counting, [3], max_tokens=9, eos={7})
        Generation(prompt=(3,), tokens=(4, 5, 6, 7), reason='eos', text=None, steps=())
    """
    ids = listed(prompt, max_tokens)
    stop = [stop] if isinstance(stop, str) else stop
    if not all(map(len, stop)):
        raise InvalidSetting("stop", "an empty sequence would stop everything; leave it out")
    if decode is None and any(isinstance(sequence, str) for sequence in stop):
        raise InvalidSetting("stop", "a string is looked for in the text, so give `decode`, or give token ids")
    generator = seeded(seed)
    start, reason, text, steps = len(ids), "", None, []
    while not reason:
        choice = filter_logits(ask(next_logits, ids), settings or {}, ids, start)
        token = int(greedy(choice.logits).kept) if generator is None else sample(choice.logits, generator)
        ids.append(token)
        if trace:
            steps.append(choice)
        text = decode(ids[start:]) if decode else None
        if token in eos:
            reason = "eos"
        elif any(_ends(ids[start:], text, sequence) for sequence in stop):
            reason = "stop"
        elif len(ids) - start == max_tokens:
            reason = "length"
    return Generation(tuple(ids[:start]), tuple(ids[start:]), reason, _before(text, stop), tuple(steps))


def _ends(tokens: list[int], text: str | None, sequence: str | Sequence[int]) -> bool:
    if isinstance(sequence, str):
        return sequence in (text or "")
    return tokens[-len(sequence) :] == list(sequence)


def _before(text: str | None, stop: Sequence[str | Sequence[int]]) -> str | None:
    """The text up to the stop string that comes first in it."""
    if text is None:
        return None
    places = [text.find(sequence) for sequence in stop if isinstance(sequence, str)]
    return text[: min((place for place in places if place >= 0), default=None)]


def listed(prompt: Sequence[int], max_tokens: int) -> list[int]:
    """The ids of a prompt as a list of their own, if there is something to do."""
    if not len(prompt):
        raise InvalidSetting("prompt", "is empty; give at least one token, such as the one that begins a text")
    if max_tokens < 1:
        raise InvalidSetting("max_tokens", f"{max_tokens} must be at least 1")
    return [int(token) for token in prompt]


def ask(model: NextLogits, ids: Sequence[int]) -> "torch.Tensor":
    """A model's answer, with no graph for gradients, and alone: a row of a matrix would keep all of it in memory."""
    import torch

    with torch.no_grad():
        return model(torch.tensor(ids)).clone()


def seeded(seed: "int | torch.Generator | None") -> "torch.Generator | None":
    """A generator of random numbers from a seed; one that is there already, as it is."""
    import torch

    return torch.Generator().manual_seed(seed) if isinstance(seed, int) else seed
