"""The tensors that a forward pass saves for the backward pass, in the Hugging Face implementations.

Each operation saves what its derivative needs: a matrix its input, a product both factors, a norm its input and
statistics, a softmax its result, a dropout its mask. What two operations need is saved once, and a view keeps alive
the whole tensor that it is a view of. A family lists its saved tensors with the functions here, which were read in
transformers 5.23 and are tested against the tensors that it saves.

A formula counts the bytes for one token, in the house's symbols. Two more are known in every formula: b, the bytes of
a number in the format that is computed with, and c, those of a copy of it in float32, which is 0 where it is float32.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from weigh.errors import UnsupportedField
from weigh.models.config import Config

When = Literal["always", "fused", "stored", "alone", "several", "recomputed"]


@dataclass(frozen=True, slots=True)
class SavedTensor:
    """A saved tensor, or several alike, by its bytes for each token.

    Attributes:
        name: What it is.
        formula: How many bytes for each token.
        sizes: What the symbols of the formula stand for, beside B, T, b and c. A T or B among them is for what is not
            as long as the sequence, or is not there for each of the batch.
        when: Whether it is always saved, or with attention that is `fused` or has its scores `stored`, those of a
            sequence `alone` or of `several`, or only where the rest of the layer is `recomputed`.
    """

    name: str
    formula: str
    sizes: tuple[tuple[str, int], ...]
    when: When = "always"


SavedTensors: TypeAlias = list[SavedTensor]


@dataclass(frozen=True, slots=True)
class SavedActivations:
    """The saved tensors of a model.

    Attributes:
        layers: Those of each of its layers.
        outside: Those outside of them, up to the scores of the vocabulary.
        loss_32: Whether those are copied to float32 for the loss, as decoders do.
        fused: Whether the implementation can give its attention to a flash kernel.
    """

    layers: list[SavedTensors]
    outside: SavedTensors
    loss_32: bool = True
    fused: bool = True


def one(name: str, formula: str, when: When = "always", **sizes: int) -> SavedTensors:
    """One saved tensor, with the sizes that its formula names."""
    return [SavedTensor(name, formula, tuple(sizes.items()), when)]


def layer(D: int, *saved: SavedTensors) -> SavedTensors:
    """The saved tensors of a layer; of its input (T, D) alone if the backward pass computes the others again."""
    return [*one("inputs of the layers", "b · D", "recomputed", D=D), *(tensor for some in saved for tensor in some)]


def reading(T: int, saved: SavedTensors) -> SavedTensors:
    """The saved tensors of what always reads T tokens, however long the sequence is."""
    return [replace(tensor, sizes=(*tensor.sizes, ("T", T))) for tensor in saved]


@dataclass(frozen=True, slots=True)
class Norm:
    """The bytes that a norm saves, beside its result.

    Attributes:
        wide: Bytes in float32 for each number.
        narrow: Copies in the model's format.
        statistics: Bytes of means and deviations, in float32.
    """

    wide: int
    narrow: int
    statistics: int

    def formula(self, size: str, results: int = 0) -> str:
        """The bytes for a vector of that size, and of its results if those are saved."""
        narrow = self.narrow + results
        terms = [f"{self.wide} · {size}"] if self.wide else []
        terms += [f"{narrow} · b · {size}" if narrow > 1 else f"b · {size}"] if narrow else []
        return " + ".join([*terms, str(self.statistics)])


LAYER = Norm(wide=0, narrow=1, statistics=8)
"""A layer norm saves its input."""
TWO_LAYERS = Norm(wide=0, narrow=1, statistics=16)
"""Two of the same input, for an attention and a feed-forward that stand side by side."""
LAYER_32 = Norm(wide=4, narrow=0, statistics=8)
"""A layer norm of a copy in float32."""
CENTRED_32 = Norm(wide=12, narrow=0, statistics=4)
"""Written out in float32: twice the centred input, for the deviation and for the quotient, and the quotient."""
RMS = Norm(wide=4, narrow=1, statistics=4)
"""Written out: the input in float32, and the quotient, which meets the weight in the model's format."""
RMS_32 = Norm(wide=8, narrow=0, statistics=4)
"""Written out, and the quotient meets the weight in float32."""


def norm(kind: Norm, D: int, results: int = 1) -> SavedTensors:
    """The input (T, D) of a norm, and the results that it feeds to matrices: none, or those of two norms."""
    return one("norms", kind.formula("D", results), D=D)


def head_norms(kind: Norm, H: int, K: int, E: int) -> SavedTensors:
    """The inputs (T, H + K, E) of norms for each head of queries and keys.

    Their results are rotated, and saved as such by the attention.
    """
    return one("norms of the heads", f"(H + K) · ({kind.formula('E')})", H=H, K=K, E=E)


HEADS = "queries, keys, values and what the heads found"


def heads(H: int, K: int, E: int, *, broadcast: bool = False) -> SavedTensors:
    """Queries (H, T, E), keys and values (K, T, E), and what the heads found (T, H, E).

    Fused attention has a statistic of each row of scores as well. The other repeats the keys and values of a group for
    each of its queries; if it leaves that to the product, by `broadcast`, one sequence alone is not repeated.
    """
    return [
        *one(HEADS, "b · (2 · H + 2 · K) · E + 4 · H", "fused", H=H, K=K, E=E),
        *one(HEADS, "b · 4 · H · E", "several" if broadcast else "stored", H=H, E=E),
        *(one(HEADS, "b · (2 · H + 2 · K) · E", "alone", H=H, K=K, E=E) if broadcast else []),
    ]


def rest_of_view(R: int, *, repeated: bool = False) -> SavedTensors:
    """The rest (T, R) that values keep alive, as a view of all that a matrix gives, keys or queries included.

    Those are saved as well, for rotated they are another tensor. Values that are multiplied by stored scores are a view
    only of one sequence alone, and if they are not `repeated`; others are copied.
    """
    name, formula = "the rest of what the values are a view of", "b · R"
    return [*one(name, formula, "fused", R=R), *([] if repeated else one(name, formula, "alone", R=R))]


def heads_first(H: int, E: int) -> SavedTensors:
    """A copy (T, H, E) of what the heads found, where the queries of one head lie together in memory.

    They do if they were put together from what is rotated and what is not. So does what fused attention then finds, at
    least on a CPU, and the matrix that comes next saves a copy in which the heads of one token lie together. Queries
    that are rotated whole lie as their matrix gave them, and so does the rest.
    """
    return one("a copy of what the heads found", "b · H · E", "fused", H=H, E=E)


def products_32(H: int, E: int) -> SavedTensors:
    """Queries and keys (H, T, E) in float32 in place of themselves, where stored scores are products in float32."""
    return one("queries and keys in float32", "2 · (4 - b) · H · E", "stored", H=H, E=E)


def scores(H: int, dropout: float = 0, *, softmax_32: bool = True, S: int | None = None) -> SavedTensors:
    """The attention scores (H, T, S) of H heads: the result of the softmax, and what is multiplied by the values.

    That is another tensor if the softmax is in float32, or if scores are dropped, which takes a mask as well.

    Args:
        H: The heads.
        dropout: The rate at which scores are dropped.
        softmax_32: Whether the softmax is in float32.
        S: The tokens that are attended to, if those are not the sequence's.
    """
    softmax = "4" if softmax_32 else "b"
    each = f"({softmax} + b + 1)" if dropout else "(c + b)" if softmax_32 else "b"
    if S is None:
        return one("attention scores", f"H · T · {each}", "stored", H=H)
    return one("attention scores", f"H · S · {each}", "stored", H=H, S=S)


def attention(H: int, K: int, E: int, dropout: float = 0, *, softmax_32: bool = True) -> SavedTensors:
    """The saved tensors of H heads of queries (T, H, E), which attend to K of keys and values, with their scores."""
    return [*heads(H, K, E), *scores(H, dropout, softmax_32=softmax_32)]


KEPT_BY_ACTIVATION = {
    "linear": 1, "relu": 1, "sigmoid": 1, "tanh": 1, "gelu": 2, "gelu_pytorch_tanh": 2, "hardswish": 2, "leaky_relu": 2,
    "mish": 2, "relu2": 2, "relu6": 2, "silu": 2, "swish": 2, "gelu_10": 3, "quick_gelu": 3, "gelu_python": 4,
    "gelu_accurate": 5, "gelu_new": 5, "gelu_python_tanh": 5, "gelu_fast": 8,
}  # fmt: skip
"""How many tensors as wide as the feed-forward an activation function saves, its result included. The derivative of a
ReLU follows from its result. `gelu_new` is written in seven operations, and four of them save something too."""


class Activation(NamedTuple):
    """The name of an activation function, and the field that states it."""

    name: str
    where: str

    @property
    def kept(self) -> int:
        """The tensors that it saves.

        Raises:
            UnsupportedField: If it is none of `KEPT_BY_ACTIVATION`.
        """
        if self.name not in KEPT_BY_ACTIVATION:
            known = ", ".join(KEPT_BY_ACTIVATION)
            raise UnsupportedField(
                self.where, f"are those of {self.name!r:.40}, which weigh does not know; it knows {known}"
            )
        return KEPT_BY_ACTIVATION[self.name]


def activation(config: Config, default: str, field: str = "hidden_act") -> Activation:
    """The activation function that a field of a config names."""
    return Activation(config.text(field, default), f"{config.where}, field {field}")


def feed_forward(F: int, k: int, *, gated: bool = False) -> SavedTensors:
    """The k tensors (T, F) that a feed-forward's activation function saves; gated, the factors of its product too."""
    return one("feed-forward", "b · k · F", k=k + 2 * gated, F=F)


def routed(D: int, F: int, used: int, k: int, *, probabilities: int = 0) -> SavedTensors:
    """The saved tensors of gated experts, of which each token passes through `used`, and of their router.

    Four lists (T · used) of 64-bit numbers say which tokens are whose. The experts' input (T · used, D) is a copy, and
    their output (T · used, D) is saved, since it is multiplied by the router's weight. Inside, they are (T · used, F).

    Args:
        D: The width of the model.
        F: That of an expert.
        used: The experts of a token.
        k: The tensors as wide as an expert that its activation function saves.
        probabilities: Those that the router computes for each token in float32.
    """
    return [
        *one("routers", "4 · N + 32 · U", N=probabilities, U=used),
        *one("experts", "U · b · (k · F + 2 · D)", U=used, k=k + 2, F=F, D=D),
    ]


def dropped(rate: float, D: int, times: int = 1) -> SavedTensors:
    """The masks (T, D) of dropouts: a byte for each number, and none at a rate of 0."""
    return [*one("dropout masks", "D", D=D)] * times if rate else []
