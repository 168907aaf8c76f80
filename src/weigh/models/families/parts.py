"""What specifications are written with: the shapes of common layers, and what a layer keeps of the past.

Symbols, here and in every family: V vocabulary, D model width, F feed-forward width, L layers, H query heads,
K key-value heads, E head size, T positions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from weigh.errors import InvalidConfig
from weigh.models.config import Config
from weigh.models.families.saved import Saves

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TiedTo:
    """In place of a shape: this name is a second one for another tensor."""

    name: str


@dataclass(frozen=True, slots=True)
class Routed:
    """In place of a shape: a tensor of experts, of which a token passes through `used` of `experts`."""

    shape: Shape
    used: int
    experts: int


Tensors: TypeAlias = Iterator[tuple[str, Shape | TiedTo | Routed]]


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A layer that caches a key and a value for each of its `heads` and each token.

    With `window`, only the last so many tokens stay. With `cross`, the tokens are those of the encoder.
    """

    heads: int
    key: int
    value: int
    window: int | None = None
    cross: bool = False


@dataclass(frozen=True, slots=True)
class Latent:
    """A layer that caches one compressed vector for each token: `rank` numbers and `rope` of rotated key."""

    rank: int
    rope: int


@dataclass(frozen=True, slots=True)
class State:
    """A layer that keeps `numel` numbers for each sequence, however long it is.

    They are in the format of the cache, or in `dtype` whatever that is: sums over all tokens need the digits.
    """

    numel: int
    dtype: str | None = None


Caches: TypeAlias = list[KeyValue | Latent | State]


Positions: TypeAlias = dict[str, int]


def no_table(config: Config) -> Positions:
    """For a model whose positions are computed, so that no table ends."""
    return {}


def learned(field: str, default: int) -> Callable[[Config], Positions]:
    """For a model with a table of learned positions, whose size is that field of its config."""
    return lambda config: {"context": config.size(field, default)}


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models, in one place.

    Attributes:
        tensors: Yields the name and shape of every tensor, in the order, under the names and with the defaults for
            absent fields of the Hugging Face implementation.
        caches: What each layer keeps while it generates; an empty list for a model that does not generate.
        architectures: The classes that it covers. The first is what a config without `architectures` means.
        positions: How many tokens its tables of learned positions have rows for: those of the `context` and, where an
            encoder has a table, of the `encoder_context`.
        saves: What each layer saves of a forward pass for the backward pass, if that is known.
    """

    tensors: Callable[[Config, str], Tensors]
    caches: Callable[[Config], Caches]
    architectures: tuple[str, ...]
    positions: Callable[[Config], Positions] = no_table
    saves: Callable[[Config, str], Saves] | None = None


def no_caches(config: Config) -> Caches:
    """For a model that does not generate."""
    return []


def linear(name: str, inputs: int, outputs: int, bias: bool = True) -> Tensors:
    """A linear layer: `weight` (outputs, inputs) and, unless there is none, `bias` (outputs)."""
    yield f"{name}.weight", (outputs, inputs)
    if bias:
        yield f"{name}.bias", (outputs,)


def layer_norm(name: str, size: int) -> Tensors:
    """A layer norm: `weight` and `bias`, both (size)."""
    yield f"{name}.weight", (size,)
    yield f"{name}.bias", (size,)


def convolution(name: str, inputs: int, outputs: int, *kernel: int, bias: bool = True) -> Tensors:
    """A convolution: `weight` (outputs, inputs of a group, kernel) and, unless there is none, `bias` (outputs)."""
    yield f"{name}.weight", (outputs, inputs, *kernel)
    if bias:
        yield f"{name}.bias", (outputs,)


def labels(config: Config, default: int = 2) -> int:
    """The classes that a classification head tells apart: `num_labels`, or as many as `id2label` names."""
    names = config.get("id2label")
    if not isinstance(names, dict | None):
        raise InvalidConfig(f"{config.where}, field id2label", f"must be an object, not {names!r:.40}")
    return config.size("num_labels", default if names is None else len(names))


def rms_norm(name: str, size: int) -> Tensors:
    """A root-mean-square norm: `weight` (size) alone."""
    yield f"{name}.weight", (size,)
