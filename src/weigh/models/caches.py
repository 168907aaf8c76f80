"""What the layers of a model keep of the past while it generates: their KV caches, or states in place of them."""

from dataclasses import dataclass
from typing import Any, TypeAlias


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
    """A layer that caches one compressed vector for each token: `rank` numbers and `rope` of rotated key.

    With `window`, only the last so many tokens stay. With `index`, a key of so many numbers stays too, by which the
    layer chooses the tokens that it attends to.
    """

    rank: int
    rope: int
    window: int | None = None
    index: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """A layer that keeps `numel` numbers for each sequence, however long it is.

    They are in the format of the cache, or in `dtype` whatever that is: sums over all tokens need the digits. With
    `kernel`, they are the last so many inputs of each channel of a convolution.
    """

    numel: int
    dtype: str | None = None
    kernel: int | None = None


@dataclass(frozen=True, slots=True)
class Vectors:
    """A layer that keeps a vector of `numel` numbers for each token, or one for every `every` tokens together.

    Tokens that are too few for such a group yet keep `waiting` numbers each. With `window`, only the vectors of the
    last so many tokens stay. They are in the format of the cache, or in `dtype` whatever that is.
    """

    numel: int
    every: int = 1
    waiting: int = 0
    window: int | None = None
    dtype: str | None = None


Layer: TypeAlias = KeyValue | Latent | State | Vectors
Caches: TypeAlias = list[Layer]


def no_caches(sizes: Any) -> Caches:
    """The caches of a model that does not generate: none."""
    return []
