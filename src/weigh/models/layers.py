"""What specifications are written with: the tensors of common layers, each with its role.

Symbols, here and in every family: V vocabulary, D model width, F feed-forward width, L layers, H query heads,
K key-value heads, E head size, T positions.

The role of a matrix that multiplies every token inside a layer is the sublayer that it belongs to and what it is there,
such as `attention query` or `feed-forward down`. All other roles are one of `OTHER_ROLES`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from weigh.errors import InvalidConfig
from weigh.models.config import Config

Shape: TypeAlias = tuple[int, ...]

SUBLAYERS = ("attention", "cross-attention", "mixer", "feed-forward", "expert", "shared-expert", "other")
"""What a layer is made of: attention, in a decoder across to an encoder too, or a mixer of tokens in its place; and a
feed-forward network, or experts of which a token passes through some, beside those that all tokens share. In models
that no family describes, a matrix may belong to none of these: `other`."""

OTHER_ROLES = (
    "embedding", "segment table", "position table", "token", "lm head", "lm head bias", "classifier", "pooler",
    "projection", "norm", "bias", "expert bias", "router", "convolution", "sink", "state", "scale",
)  # fmt: skip
"""The roles of tensors that are no such matrices. An `lm head` scores the vocabulary, a `classifier` a few classes."""


@dataclass(slots=True)
class Weight:
    """One tensor of a specification.

    Attributes:
        name: Its key in the state dict.
        shape: Its dimensions.
        role: What it is for.
        layer: The number of its layer, or `None` outside the layers.
        transposed: Whether a matrix is stored (inputs, outputs), and not (outputs, inputs) as usual.
        tied_to: The tensor of which this name is a second one.
        experts: For a tensor of experts: how many of them a token passes through, 0 if nobody says, and how many there
            are.
    """

    name: str
    shape: Shape
    role: str
    layer: int | None = None
    transposed: bool = False
    tied_to: str = ""
    experts: tuple[int, int] | None = None


Tensors: TypeAlias = Iterator[Weight]


def stack(name: str, count: int, layer: Callable[[str, int], Tensors]) -> Tensors:
    """Layers, one after the other: `layer` yields the tensors of one, given its name and its number."""
    for i in range(count):
        for weight in layer(f"{name}.{i}", i):
            weight.layer = i
            yield weight


def linear(name: str, inputs: int, outputs: int, role: str, bias: bool = True, *, transposed: bool = False) -> Tensors:
    """A linear layer: `weight` (outputs, inputs) and, unless there is none, `bias` (outputs)."""
    yield Weight(f"{name}.weight", (inputs, outputs) if transposed else (outputs, inputs), role, None, transposed)
    if bias:
        yield Weight(f"{name}.bias", (outputs,), "bias")


def embedding(name: str, rows: int, width: int, role: str = "embedding", *, tied_to: str = "") -> Tensors:
    """A table of vectors: `weight` (rows, width)."""
    yield Weight(f"{name}.weight", (rows, width), role, tied_to=tied_to)


def lm_head(name: str, V: int, width: int, *, tied_to: str = "", bias: bool = False) -> Tensors:
    """The scores of all V words: `weight` (V, width), which may be the word embeddings, and perhaps `bias` (V)."""
    yield Weight(f"{name}.weight", (V, width), "lm head", tied_to=tied_to)
    if bias:
        yield Weight(f"{name}.bias", (V,), "lm head bias")


def layer_norm(name: str, size: int) -> Tensors:
    """A layer norm: `weight` and `bias`, both (size)."""
    yield Weight(f"{name}.weight", (size,), "norm")
    yield Weight(f"{name}.bias", (size,), "norm")


def rms_norm(name: str, size: int) -> Tensors:
    """A root-mean-square norm: `weight` (size) alone."""
    yield Weight(f"{name}.weight", (size,), "norm")


def convolution(name: str, inputs: int, outputs: int, *kernel: int, bias: bool = True) -> Tensors:
    """A convolution: `weight` (outputs, inputs of a group, kernel) and, unless there is none, `bias` (outputs)."""
    yield Weight(f"{name}.weight", (outputs, inputs, *kernel), "convolution")
    if bias:
        yield Weight(f"{name}.bias", (outputs,), "bias")


def labels(config: Config, default: int = 2) -> int:
    """The classes that a classification head tells apart: `num_labels`, or as many as `id2label` names."""
    names = config.get("id2label")
    if not isinstance(names, dict | None):
        raise InvalidConfig(f"{config.where}, field id2label", f"must be an object, not {names!r:.40}")
    return config.size("num_labels", default if names is None else len(names), least=0)
