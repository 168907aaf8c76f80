"""From logits to the distribution that a token is drawn from: each decoding method as one function that shows its work.

A model gives one logit for each of the V tokens of its vocabulary; their softmax is the distribution of the next token.
Decoding settings change that distribution without changing a weight. Each function here takes the logits of one
position, shape (V,), and returns a `Choice`: the logits before and after, the tokens kept and their probabilities. A
token that is taken out has the logit −∞, so its probability is 0 and the others share the rest in proportion.

What looks at the text so far is in `weigh.decoding.penalties`, and the chain of several in `weigh.decoding.chain`.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weigh.errors import InvalidLogits, InvalidSetting

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Choice:
    """Logits and probabilities of one position, before and after a decoding step or a chain of them.

    Attributes:
        name: The setting: `top_p`. Of a chain, its settings in order: `temperature → top_p`.
        parameter: Its value. `None` for a chain, and for what has none.
        before: The logits as they came, shape (V,), in float32 at least.
        logits: The logits after, of the same shape; −∞ for each token that is out.
        steps: Of a chain, its steps in order.
    """

    name: str
    parameter: float | None
    before: "torch.Tensor"
    logits: "torch.Tensor"
    steps: tuple["Choice", ...] = ()

    @property
    def kept(self) -> "torch.Tensor":
        """The ids of the tokens that can still be drawn, the most probable first."""
        ranked = self.logits.argsort(descending=True, stable=True)
        return ranked[self.logits[ranked].isfinite()]

    @property
    def removed(self) -> "torch.Tensor":
        """The ids of the tokens that could be drawn before and no longer can, in the order of the vocabulary."""
        return (self.before.isfinite() & ~self.logits.isfinite()).nonzero().flatten()

    @property
    def probabilities_before(self) -> "torch.Tensor":
        """Probabilities before the step, shape (V,)."""
        return self.before.softmax(-1)

    @property
    def probabilities(self) -> "torch.Tensor":
        """Probabilities after the step, shape (V,): 0 for removed tokens, and their sum is 1 again."""
        return self.logits.softmax(-1)


def greedy(logits: "torch.Tensor") -> Choice:
    """Greedy decoding: the most probable token alone. Of several equal ones, the first in the vocabulary.

    Args:
        logits: Shape (V,).

    Raises:
        InvalidLogits: If they are not one vector, one is NaN or +∞, or all are −∞. So does every function here.
    """
    logits = checked(logits, "greedy")
    best = logits.argmax()
    return choice("greedy", None, logits, logits.new_full(logits.shape, -math.inf).index_copy(0, best, logits[best]))


def temperature(logits: "torch.Tensor", value: float) -> Choice:
    """Temperature: the logits divided by it. Below 1 the distribution is sharper, above 1 flatter. The ranking stays.

    It removes nothing. Towards 0 all mass goes to the best token, as `greedy` has it; 0 itself would be a division by
    zero.

    Args:
        logits: Shape (V,).
        value: The temperature, above 0.

    Raises:
        InvalidSetting: If the value is not a positive number.
    """
    logits = checked(logits, "temperature")
    require("temperature", value, 0 < value < math.inf, "must be above 0; for the limit at 0, decode greedily")
    return choice("temperature", value, logits, logits / value)


def top_k(logits: "torch.Tensor", k: int) -> Choice:
    """Top-k sampling: the k tokens of the highest logits, and those that are equal to the last of them.

    Source: Fan et al. 2018, arXiv 1805.04833.

    Args:
        logits: Shape (V,).
        k: How many, at least 1. All of them if there are fewer.

    Raises:
        InvalidSetting: If k is not a positive whole number.
    """
    logits = checked(logits, "top_k")
    require("top_k", k, isinstance(k, int) and k >= 1, "must be a whole number of at least 1")
    least = logits.topk(min(k, len(logits))).values[-1]
    return choice("top_k", k, logits, logits.masked_fill(logits < least, -math.inf))


def top_p(logits: "torch.Tensor", p: float) -> Choice:
    """Nucleus sampling: the fewest tokens whose probabilities add up to p, from the most probable down.

    Computed from the other end, as transformers does: the tail is removed as long as its mass stays within 1 − p. Which
    of several equal tokens at the border stays is left to torch's sort.

    Source: Holtzman et al. 2020, arXiv 1904.09751, section 3.1.

    Args:
        logits: Shape (V,).
        p: The mass to reach, above 0 and at most 1.

    Raises:
        InvalidSetting: If p is outside (0, 1].
    """
    logits = checked(logits, "top_p")
    require("top_p", p, 0 < p <= 1, "must be above 0 and at most 1")
    ascending, ids = logits.sort()
    in_tail = ascending.softmax(-1).cumsum(-1) <= 1 - p
    in_tail[-1] = False  # the best token stays, whatever the rounding
    return choice("top_p", p, logits, logits.masked_fill(in_tail.scatter(0, ids, in_tail), -math.inf))


def min_p(logits: "torch.Tensor", p: float) -> Choice:
    """Min-p sampling: the tokens that are at least p times as probable as the best one.

    A confident model keeps few tokens, an unsure one many.

    Source: Nguyen et al. 2024, arXiv 2407.01082.

    Args:
        logits: Shape (V,).
        p: The share of the highest probability, from 0 (keep all) to 1 (the best alone, with its equals).

    Raises:
        InvalidSetting: If p is outside [0, 1].
    """
    logits = checked(logits, "min_p")
    require("min_p", p, 0 <= p <= 1, "must be from 0 to 1")
    probabilities = logits.softmax(-1)
    return choice("min_p", p, logits, logits.masked_fill(probabilities < p * probabilities.max(), -math.inf))


def typical_p(logits: "torch.Tensor", p: float) -> Choice:
    """Locally typical sampling: the tokens about as surprising as one expects here, until their probabilities reach p.

    A token's surprise is −log of its probability, and its mean over the distribution is the entropy. Tokens are taken
    in the order of the distance between the two, so a token that is too probable can be left out.

    Source: Meister et al. 2023, arXiv 2202.00666.

    Args:
        logits: Shape (V,).
        p: The mass to reach, above 0 and below 1.

    Raises:
        InvalidSetting: If p is outside (0, 1).
    """
    logits = checked(logits, "typical_p")
    require("typical_p", p, 0 < p < 1, "must be above 0 and below 1")
    log_probabilities = logits.log_softmax(-1)
    entropy = -(log_probabilities.exp() * log_probabilities).nansum()  # 0 · log 0 is 0
    distance, ids = (-log_probabilities - entropy).abs().sort()
    short = (logits[ids].softmax(-1).cumsum(-1) < p).sum().clamp(max=len(ids) - 1)  # the first place that reaches p
    too_far = distance > distance[short]
    return choice("typical_p", p, logits, logits.masked_fill(too_far.scatter(0, ids, too_far), -math.inf))


def checked(logits: "torch.Tensor", where: str) -> "torch.Tensor":
    """The logits, in float32 at least as transformers takes them, if a token can be drawn from them."""
    import torch

    if logits.ndim != 1 or not len(logits):
        raise InvalidLogits(where, f"takes the logits of one position, shape (V,), not {tuple(logits.shape)}")
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    logits = logits.detach()
    highest = float(logits.max())  # of anything and NaN it is NaN
    if math.isnan(highest):
        raise InvalidLogits(where, "a logit is NaN; look for an overflow in the model's forward pass")
    if math.isinf(highest):
        raise InvalidLogits(
            where,
            "a logit is +∞; look for an overflow in the model's forward pass or a temperature too close to 0"
            if highest > 0
            else "every logit is −∞, so no token can be drawn; loosen the settings",
        )
    return logits


def choice(name: str, parameter: float | None, before: "torch.Tensor", after: "torch.Tensor") -> Choice:
    """One step, if it leaves something to draw."""
    return Choice(name, parameter, before, checked(after, name))


def require(name: str, value: float, holds: bool, rule: str) -> None:
    """Refuse a setting's value unless its rule holds."""
    if not holds:
        raise InvalidSetting(name, f"{value!r} {rule}")
