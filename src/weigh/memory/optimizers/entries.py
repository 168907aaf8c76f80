"""One optimizer of a library: what it keeps of each weight, of all weights together, and of each group of them."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from weigh.tensors import Tensor

Shape: TypeAlias = tuple[int, ...]

Kept: TypeAlias = tuple[str, Shape, str]
"""A tensor of optimizer state: its name, its shape and the name of its number format."""

State: TypeAlias = Iterator[Kept]

STEP: Kept = ("step", (), "float32")
"""The count of steps, as PyTorch keeps it of each weight."""


@dataclass(frozen=True, slots=True)
class Copies:
    """What lives while an optimizer steps, and at no other time: copies of weights in the format of the state.

    Attributes:
        of_all: Of all weights at once, as PyTorch's foreach implementations make them.
        of_largest: Of one weight after another, of which the largest counts.
    """

    of_all: float = 0
    of_largest: float = 0


@dataclass(frozen=True, slots=True)
class Optimizer:
    """An optimizer of a library, as the state that it keeps.

    Attributes:
        library: The library, as it is written before the colon.
        name: Its name there.
        source: The package with the version whose code was read, and that tests compare with.
        state: Gives the state of a weight in a number format; its keyword-only arguments are the options.
        shared: Gives what is kept once for all weights together, of the same options.
        of_group: What is kept once for each parameter group.
        elementwise: Whether the state of each element depends on that element alone, so that ZeRO may cut anywhere.
        at_construction: The names of the tensors of a weight that are there before the first step.
        copies: What lives while it steps, of any weights or as a function of them; `None` if that is not known.
        limits: Options with the lowest and the highest value that they take; the others take any from 0.
        unknown: Options whose value no config tells, such as the steps so far: the lowest and the highest.
        assumed: What the prediction takes for granted, in words; empty if nothing.
    """

    library: str
    name: str
    source: str
    state: Callable[..., State]
    shared: Callable[..., State] | None = None
    of_group: tuple[Kept, ...] = ()
    elementwise: bool = True
    at_construction: tuple[str, ...] = ()
    copies: Copies | Callable[[Sequence[Tensor], str], Copies] | None = None
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unknown: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    assumed: str = ""

    @property
    def key(self) -> str:
        """The name by which the command takes it."""
        return f"{self.library}:{self.name}"

    @property
    def options(self) -> dict[str, Any]:
        """The options with their defaults: the keyword-only arguments of `state`."""
        return options_of(self.state)

    @property
    def about(self) -> str:
        """What it keeps, and where it was published: the docstring of `state`."""
        return inspect.cleandoc(self.state.__doc__ or "")


def options_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The keyword-only arguments of a function, with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


LARGEST = 2**63 - 1
"""The largest number that an option takes: an integer of PyTorch has no more bits."""


def from_one(*names: str) -> dict[str, tuple[float, float]]:
    """Limits of options that divide something, such as the elements of a block."""
    return dict.fromkeys(names, (1, LARGEST))


class Library:
    """The optimizers of a library, in the order in which they are written.

    Args:
        name: What stands before the colon.
        source: The package with the version whose code was read.
    """

    def __init__(self, name: str, source: str) -> None:
        self.name, self.source = name, source
        self.optimizers: dict[str, Optimizer] = {}

    def optimizer(self, *names: str, **facts: Any) -> Callable[[Callable[..., State]], Callable[..., State]]:
        """A decorator that adds an optimizer under each of its names; `facts` are attributes of `Optimizer`."""

        def add(state: Callable[..., State]) -> Callable[..., State]:
            for name in names:
                self.optimizers[name] = Optimizer(self.name, name, self.source, state, **facts)
            return state

        return add

    def alias(self, name: str, meant: Optimizer, **facts: Any) -> None:
        """Add an optimizer of another library under the name that this one has for it."""
        self.optimizers[name] = replace(meant, library=self.name, name=name, **facts)


def tensorwise(*names: str) -> Callable[[Tensor, str], State]:
    """State that is as large as the weight, under each of the names, in the format of the weights."""

    def state(tensor: Tensor, dtype: str) -> State:
        for name in names:
            yield name, tensor.shape, dtype

    return state
