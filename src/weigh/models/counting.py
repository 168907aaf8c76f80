"""The tensors of a specification as those of a model, and how many of their numbers one token meets."""

from collections import Counter
from math import prod
from typing import TypeAlias

from weigh.dtypes import DType, bytes_of
from weigh.models.layers import Tensors
from weigh.tensors import Tensor

Counted: TypeAlias = tuple[tuple[Tensor, ...], int | None, tuple[int, int] | None]


def tensors_of(weights: Tensors, saved: DType) -> Counted:
    """The tensors of a specification, the parameters that a token passes through, and its experts.

    Args:
        weights: The specification.
        saved: The number format of all of them.

    Returns:
        The tensors; the parameters of those that every token meets and of as many experts as one takes, `None` if
        nobody says how many; and that number with the number of all experts, `None` without.
    """
    tensors: list[Tensor] = []
    always, experts = 0, None
    routed: Counter[tuple[int, int]] = Counter()
    for weight in weights:
        numel = prod(weight.shape)
        if weight.experts:
            experts = weight.experts
            routed[experts] += 0 if weight.tied_to else numel
        elif not weight.tied_to:
            always += numel
        tensors.append(Tensor(
            weight.name, weight.shape, saved.name, weight.tied_to or weight.name, 0, bytes_of(numel, saved),
            "weights", None, weight.role, weight.layer, weight.transposed, weight.experts,
        ))  # fmt: skip
    known = all(used for used, _ in routed)
    active = always + sum(numel * used // count for (used, count), numel in routed.items()) if known else None
    return tuple(tensors), active, experts
