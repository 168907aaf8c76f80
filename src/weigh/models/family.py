"""A family of models: how its configs are read, and the answers to every question that follow from their sizes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from weigh.models.caches import Caches
from weigh.models.config import Config
from weigh.models.layers import Tensors
from weigh.models.saved import SavedActivations

Sizes = TypeVar("Sizes")
Positions: TypeAlias = dict[str, int]


class Positioned(Protocol):
    """Sizes with a table of T learned positions."""

    @property
    def T(self) -> int:
        """The rows of the table."""


def computed(sizes: Any) -> Positions:
    """The rows of no table: positions that are computed do not end."""
    return {}


def learned(sizes: Positioned) -> Positions:
    """The T rows of a table of learned positions."""
    return {"context": sizes.T}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[Sizes]):
    """A family of models, in one place.

    A config is read once, by `read`. All else follows from the sizes that it returns, which hold the only defaults for
    absent fields: those of the Hugging Face implementation.

    Attributes:
        model_type: What configs call it.
        architectures: The classes that it covers. The first is what a config without `architectures` means.
        read: The sizes that a config states.
        tensors: Every tensor of an architecture, in the order and under the names of the Hugging Face implementation.
        caches: The cache of each layer; an empty list for a model that does not generate.
        positions: The rows of its tables of learned positions: those of the `context` and, where an encoder has a
            table, of the `encoder_context`.
        saves: The saved tensors of an architecture's forward pass, if they are known.
        gguf_mixes: Whether llama.cpp's converter keeps its tensors as they are, so that its rule for mixes applies.
    """

    model_type: str
    architectures: tuple[str, ...]
    read: Callable[[Config], Sizes]
    tensors: Callable[[Sizes, str], Tensors]
    caches: Callable[[Sizes], Caches]
    positions: Callable[[Sizes], Positions] = computed
    saves: Callable[[Sizes, str], SavedActivations] | None = None
    gguf_mixes: bool = False
