"""What is counted of a specification: from shapes alone, or from the tensors with what each is for."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Protocol, TypeAlias

from weigh.dtypes import DType, bytes_of, dtype

if TYPE_CHECKING:
    from weigh.models.layers import Weight
    from weigh.tensors import Tensor

Counted: TypeAlias = "tuple[tuple[Tensor, ...], int | None, tuple[int, int] | None]"


class Specified(Protocol):
    """A tensor of a specification, of which it need not be known what it is for."""

    @property
    def name(self) -> str:
        """Its key in the state dict."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its dimensions."""

    @property
    def tied_to(self) -> str:
        """The tensor of which this name is a second one; nothing for others."""


class Counts:
    """A specification, and what is counted of it: the fields are those of `Model`."""

    dtype: str
    specified: tuple[Specified, ...]
    has_experts: bool
    find_weights: "Callable[[], Iterable[Weight]]"

    @cached_property
    def _counted(self) -> Counted:
        return tensors_of(self.find_weights(), dtype(self.dtype))

    @property
    def named(self) -> "tuple[Tensor, ...]":
        """Every tensor under every name it has, tied ones included, in `dtype`, with what it is for."""
        return self._counted[0]

    @property
    def active_parameters(self) -> int | None:
        """The parameters that one token passes through: all of them, except in a mixture of experts.

        `None` if nobody says how many experts it takes.
        """
        return self._counted[1] if self.has_experts else self.parameters

    @property
    def experts(self) -> tuple[int, int] | None:
        """Of how many experts of a layer a token passes through how many: `(used, count)`; `None` without."""
        return self._counted[2] if self.has_experts else None

    @cached_property
    def distinct(self) -> "list[Tensor]":
        """The tensors, tied ones once."""
        return [tensor for tensor in self.named if tensor.name == tensor.storage]

    @property
    def tensors(self) -> int:
        """The number of tensors, tied ones counted once."""
        return self._sizes.total()

    @property
    def parameters(self) -> int:
        """The number of parameters, tied ones counted once."""
        return sum(numel * count for numel, count in self._sizes.items())

    def bytes_as(self, name: str) -> int:
        """The bytes of the weights in the number format of that name.

        Raises:
            UnknownDtype: If there is none of that name.
        """
        kind = dtype(name)
        return sum(bytes_of(numel, kind) * count for numel, count in self._sizes.items())

    @cached_property
    def _sizes(self) -> Counter[int]:
        """How many tensors of each number of elements there are, tied ones once."""
        return Counter(prod(one.shape) for one in self.specified if not one.tied_to)


def tensors_of(weights: "Iterable[Weight]", saved: DType) -> Counted:
    """The tensors of a specification, the parameters that a token passes through, and its experts.

    Args:
        weights: The specification.
        saved: The number format of all of them.

    Returns:
        The tensors; the parameters of those that every token meets and of as many experts as one takes, `None` if
        nobody says how many; and that number with the number of all experts, `None` without.
    """
    from weigh.tensors import Tensor  # which takes longer to import than shapes to count

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
