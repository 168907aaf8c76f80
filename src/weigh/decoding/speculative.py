"""Speculative decoding: a small model proposes several tokens, the large one judges them all in one pass.

A forward pass over a few more positions costs a large model hardly more than one over the last, since both read all
its weights. So a draft model q proposes γ tokens, and the target p, which gives logits for all positions at once,
accepts each with probability min(1, p/q). At the first refusal a token is drawn from what p has more of than q. The
tokens that come out are distributed exactly as if p alone had drawn them, whatever the draft: a bad one costs time,
never quality.

Sources: Leviathan et al. 2023, arXiv 2211.17192, sections 2 and 3; Chen et al. 2023, arXiv 2302.01318.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weigh.decoding.chain import filter_logits
from weigh.decoding.filters import greedy
from weigh.decoding.generation import NextLogits, ask, listed, seeded
from weigh.errors import InvalidLogits, InvalidSetting

if TYPE_CHECKING:
    import torch

AllLogits = Callable[["torch.Tensor"], "torch.Tensor"]
"""A model that answers for every position: ids of shape (T,) → logits of shape (T, V), row t for the token after t."""


@dataclass(frozen=True)
class TargetPass:
    """One pass of the target.

    Attributes:
        drafted: The γ ids that the draft proposed.
        accepted: How many of them the target took, from the first.
        token: The id that the target added: in the place of the first one refused, or after the last.
        acceptance_probabilities: For each proposed place, the chance that a token drawn there is accepted.
    """

    drafted: tuple[int, ...]
    accepted: int
    token: int
    acceptance_probabilities: tuple[float, ...]

    @property
    def judged(self) -> int:
        """How many proposed tokens the target came to: the accepted ones and the first one refused."""
        return min(self.accepted + 1, len(self.drafted))


@dataclass(frozen=True)
class Speculation:
    """What `speculate` answers.

    Attributes:
        prompt: The ids it began with.
        tokens: The ids it added.
        reason: What stopped it: `eos` or `length`.
        passes: The passes of the target. The last may have given more tokens than were wanted.
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    reason: str
    passes: tuple[TargetPass, ...]

    @property
    def acceptance_rate(self) -> float:
        """The accepted tokens over the judged ones."""
        return sum(one.accepted for one in self.passes) / sum(one.judged for one in self.passes)

    @property
    def tokens_per_pass(self) -> float:
        """The tokens that a pass of the target gave on average: 1 without a draft, at most γ + 1."""
        return sum(one.accepted + 1 for one in self.passes) / len(self.passes)


def acceptance_probability(p: "torch.Tensor", q: "torch.Tensor") -> float:
    """The probability that a token drawn from q is accepted for p: Σ min(p, q), which is 1 − their total variation.

    Source: Leviathan et al. 2023, section 3.2.

    Args:
        p: The target's distribution, shape (V,).
        q: The draft's, of the same shape.
    """
    return float(p.minimum(q).sum())


def residual_distribution(p: "torch.Tensor", q: "torch.Tensor") -> "torch.Tensor":
    """The distribution to draw from after a refusal: what p has more of than q, scaled to sum to 1.

    Source: Leviathan et al. 2023, section 2.3.

    Args:
        p: The target's distribution, shape (V,).
        q: The draft's, of the same shape.
    """
    more = (p - q).clamp(min=0)
    return more / more.sum() if more.any() else p  # p and q are equal but for rounding


def judge_draft(
    p: "torch.Tensor", q: "torch.Tensor", drafted: Sequence[int], generator: "torch.Generator | None" = None
) -> tuple[int, int]:
    """Accept drafted tokens up to the first refusal, and draw one more token.

    Source: Leviathan et al. 2023, algorithm 1.

    Args:
        p: The target's distributions, shape (γ + 1, V): one for each drafted token's place and one behind.
        q: The draft's, shape (γ, V): those that its tokens were drawn from.
        drafted: The γ ids.
        generator: Where the random numbers come from: torch's default generator if there is none.

    Returns:
        How many were accepted, and the id drawn after them.
    """
    import torch

    for place, token in enumerate(drafted):
        if torch.rand((), generator=generator) * q[place, token] >= p[place, token]:
            return place, int(residual_distribution(p[place], q[place]).multinomial(1, generator=generator))
    return len(drafted), int(p[len(drafted)].multinomial(1, generator=generator))


def expected_tokens(rate: float, drafted: int) -> float:
    """Tokens for each pass of the target: (1 − αᵞ⁺¹) / (1 − α), if each token is accepted independently.

    Source: Leviathan et al. 2023, section 3.1, equation 1.

    Args:
        rate: α, the mean acceptance rate, from 0 to 1.
        drafted: γ, the tokens drafted for each pass.
    """
    return sum(rate**place for place in range(drafted + 1))


def speculate(
    target: AllLogits,
    draft: NextLogits,
    prompt: Sequence[int],
    settings: Mapping[str, float] | None = None,
    *,
    drafted: int = 4,
    max_tokens: int,
    seed: "int | torch.Generator | None" = None,
    eos: Collection[int] = (),
) -> Speculation:
    """Continue a prompt as `generate` would with the target, in fewer passes of it.

    Args:
        target: The large model: ids of shape (T,) → logits of all positions, shape (T, V).
        draft: The small one: ids of shape (T,) → logits of the next token, shape (V,). The vocabulary is the same.
        prompt: The ids to continue, at least one.
        settings: Decoding settings in order, applied to both models.
        drafted: γ, how many tokens to draft for each pass, at least 1.
        max_tokens: The most tokens to add.
        seed: Draw tokens, from a generator of this seed. Without one, decode greedily: a drafted token is accepted if
            it is the target's best. The distribution is that of `generate`; with the same seed the text is another.
        eos: The ids that end a text.

    Raises:
        InvalidSetting: If a setting or an argument is outside its range.
        InvalidLogits: If a model's logits allow no token or have the wrong shape.
    """
    import torch

    ids = listed(prompt, max_tokens)
    if drafted < 1:
        raise InvalidSetting("drafted", f"{drafted} must be at least 1")
    start, reason, passes = len(ids), "", []
    generator = seeded(0 if seed is None else seed)

    def distribution(logits: "torch.Tensor", ids: list[int]) -> "torch.Tensor":
        choice = filter_logits(logits, settings or {}, ids, start)
        return (greedy(choice.logits) if seed is None else choice).probabilities

    while not reason:
        proposed, q = list(ids), []
        for _ in range(drafted):
            q.append(distribution(ask(draft, proposed), proposed))
            proposed.append(int(q[-1].multinomial(1, generator=generator)))
        logits = ask(target, proposed)
        if logits.shape != (len(proposed), len(q[0])):
            raise InvalidLogits(
                "target",
                f"gave logits of shape {tuple(logits.shape)}, not (T, V): "
                f"{len(proposed)} positions, and the draft's {len(q[0])} tokens",
            )
        p = [distribution(logits[place - 1], proposed[:place]) for place in range(len(ids), len(proposed) + 1)]
        accepted, token = judge_draft(torch.stack(p), torch.stack(q), proposed[len(ids) :], generator)
        passes.append(
            TargetPass(tuple(proposed[len(ids) :]), accepted, token, tuple(map(acceptance_probability, p, q)))
        )
        for added in [*proposed[len(ids) : len(ids) + accepted], token]:
            ids.append(added)
            reason = "eos" if added in eos else "length" if len(ids) - start == max_tokens else ""
            if reason:
                break
    return Speculation(tuple(ids[:start]), tuple(ids[start:]), reason, tuple(passes))
