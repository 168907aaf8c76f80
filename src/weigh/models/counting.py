"""What is counted of a specification: from shapes alone, or from the tensors with what each is for."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Protocol

from weigh.dtypes import DType, bytes_of, dtype

if TYPE_CHECKING:
    from weigh.models.layers import Weight
    from weigh.tensors import Tensor


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
    of_experts: frozenset[str]
    find_weights: "Callable[[Container[str] | None], Iterable[Weight]]"

    @cached_property
    def _active(self) -> tuple[int | None, tuple[int, int] | None]:
        return active_of(self.find_weights(self.of_experts) if self.of_experts else (), self.parameters)

    @cached_property
    def named(self) -> "tuple[Tensor, ...]":
        """Every tensor under every name it has, tied ones included, in `dtype`, with what it is for."""
        return tuple(tensors_of(self.find_weights(None), dtype(self.dtype)))

    @property
    def active_parameters(self) -> int | None:
        """The parameters that one token passes through: all of them, except in a mixture of experts.

        `None` if nobody says how many experts it takes.
        """
        return self._active[0]

    @property
    def experts(self) -> tuple[int, int] | None:
        """Of how many experts of a layer a token passes through how many: `(used, count)`; `None` without."""
        return self._active[1]

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


def tensors_of(weights: "Iterable[Weight]", saved: DType) -> "Iterator[Tensor]":
    """The tensors of a specification.

    Args:
        weights: The specification.
        saved: The number format of all of them.
    """
    from weigh.tensors import Tensor  # which takes longer to import than shapes to count

    for weight in weights:
        size = bytes_of(prod(weight.shape), saved)
        yield Tensor(
            weight.name, weight.shape, saved.name, weight.tied_to or weight.name, 0, size, "weights", None,
            weight.role, weight.layer, weight.transposed, weight.experts,
        )  # fmt: skip


def active_of(weights: "Iterable[Weight]", parameters: int) -> tuple[int | None, tuple[int, int] | None]:
    """The parameters that a token passes through, and the experts.

    Args:
        weights: All that is of experts, and perhaps more.
        parameters: How many there are in all.

    Returns:
        The parameters of the tensors that every token meets and of as many experts as one takes, `None` if nobody says
        how many; and that number with the number of all experts, `None` without.
    """
    routed: Counter[tuple[int, int]] = Counter()
    experts = None
    for weight in weights:
        if weight.experts:
            experts = weight.experts
            routed[experts] += 0 if weight.tied_to else prod(weight.shape)
    known = all(used for used, _ in routed)
    passed_by = sum(numel - numel * used // count for (used, count), numel in routed.items())
    return parameters - passed_by if known else None, experts
