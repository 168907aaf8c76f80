"""What encoders in the line of BERT are written with: their sizes, embeddings, layers, head for masked words."""

from dataclasses import dataclass
from typing import Any, Self

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.layers import Tensors, Weight, embedding, labels, layer_norm, linear, lm_head, stack


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSizes:
    """The sizes of an encoder.

    Attributes:
        V, T, S: Words, learned positions, and kinds of segment.
        E: The width of the embeddings, which may be narrower than the model.
        D, F, L, H: Width, feed-forward width, layers, heads.
        labels: The classes that a classification head tells apart.
        tied: Whether the head for masked words is the embedding.
        activation: The activation function of the feed-forward.
        dropout, score_dropout: The rates at which numbers and attention scores are dropped.
    """

    V: int
    T: int
    S: int
    E: int
    D: int
    F: int
    L: int
    H: int
    labels: int
    tied: bool
    activation: saved.Activation
    dropout: float
    score_dropout: float

    @classmethod
    def of(
        cls, config: Config, *, V: int, D: int, F: int, H: int, E: int | None = None, S: int = 2, L: int = 12,
        activation: str = "gelu", dropout: float = 0.1, **others: Any,
    ) -> Self:  # fmt: skip
        """The sizes under the names that most configs use; the arguments are a family's defaults.

        Without E the embeddings are as wide as the model, whatever the config says.
        """
        config.only("add_cross_attention", False)
        config.only("position_embedding_type", "absolute")
        D, H = config.size("hidden_size", D), config.size("num_attention_heads", H)
        config.split("hidden_size", "num_attention_heads", D, H)
        return cls(
            V=config.size("vocab_size", V), T=config.size("max_position_embeddings", 512),
            S=config.size("type_vocab_size", S), E=D if E is None else config.size("embedding_size", E),
            D=D, F=config.size("intermediate_size", F), L=config.layers("num_hidden_layers", L), H=H,
            labels=labels(config), tied=config.flag("tie_word_embeddings", True),
            activation=saved.activation(config, activation), dropout=config.rate("hidden_dropout_prob", dropout),
            score_dropout=config.rate("attention_probs_dropout_prob", dropout), **others,
        )  # fmt: skip


def embeddings(name: str, s: EncoderSizes) -> Tensors:
    """Words, positions and S kinds of segment, added and normalised."""
    yield from embedding(f"{name}.word_embeddings", s.V, s.E)
    yield from embedding(f"{name}.position_embeddings", s.T, s.E, "position table")
    yield from embedding(f"{name}.token_type_embeddings", s.S, s.E, "segment table")
    yield from layer_norm(f"{name}.LayerNorm", s.E)


def encoder(name: str, s: EncoderSizes) -> Tensors:
    """Layers that normalise after the attention and after the feed-forward."""

    def layer(name: str, i: int) -> Tensors:
        for projection in ("query", "key", "value"):
            yield from linear(f"{name}.attention.self.{projection}", s.D, s.D, f"attention {projection}")
        yield from after_attention(name, s)

    return stack(f"{name}.layer", s.L, layer)


def after_attention(layer: str, s: EncoderSizes) -> Tensors:
    """The projection of what the heads found, and the feed-forward."""
    yield from linear(f"{layer}.attention.output.dense", s.D, s.D, "attention output")
    yield from layer_norm(f"{layer}.attention.output.LayerNorm", s.D)
    yield from linear(f"{layer}.intermediate.dense", s.D, s.F, "feed-forward up")
    yield from linear(f"{layer}.output.dense", s.F, s.D, "feed-forward down")
    yield from layer_norm(f"{layer}.output.LayerNorm", s.D)


def predictions(name: str, words: str, s: EncoderSizes) -> Tensors:
    """The head that guesses masked words, at the width of the word embeddings."""
    yield Weight(f"{name}.bias", (s.V,), "lm head bias")
    yield from linear(f"{name}.transform.dense", s.D, s.E, "projection")
    yield from layer_norm(f"{name}.transform.LayerNorm", s.E)
    yield from scores(name, words, s)


def scores(name: str, words: str, s: EncoderSizes) -> Tensors:
    """Scores of all words: the word embeddings and the head's own bias, under second names if tied."""
    yield from lm_head(f"{name}.decoder", s.V, s.E, tied_to=words if s.tied else "")
    yield Weight(f"{name}.decoder.bias", (s.V,), "lm head bias", tied_to=f"{name}.bias" if s.tied else "")


def classifier(name: str, D: int, labels: int) -> Tensors:
    """The scores of a few classes."""
    return linear(name, D, labels, "classifier")


def hidden_classifier(name: str, D: int, labels: int) -> Tensors:
    """The scores of a few classes, behind a layer as wide as the model."""
    yield from classifier(f"{name}.dense", D, D)
    yield from classifier(f"{name}.out_proj", D, labels)


def saved_layer(s: EncoderSizes, *masks: saved.SavedTensors) -> saved.SavedTensors:
    """The saved tensors of a layer: the softmax is in the model's format, and both norms feed what follows."""
    attention = saved.attention(s.H, s.H, s.D // s.H, s.score_dropout, softmax_32=False)
    mlp = saved.feed_forward(s.F, s.activation.kept)
    return saved.layer(s.D, attention, 2 * saved.norm(saved.LAYER, s.D), mlp, *masks)


def saved_transform(E: int, k: int) -> saved.SavedTensors:
    """The saved tensors of the head for masked words: k of its activation function (T, E), and those of its norm."""
    # The result of the activation function is the input of the norm.
    return [*saved.one("activation function of the head", "b · k · E", k=k - 1, E=E), *saved.norm(saved.LAYER, E)]


def saves(s: EncoderSizes, transform: saved.SavedTensors) -> saved.SavedActivations:
    """The saved tensors of embeddings, layers, and a head's transform."""
    layer = saved_layer(s, saved.dropped(s.dropout, s.D, 2))
    embedded = [*saved.norm(saved.LAYER, s.E), *saved.dropped(s.dropout, s.E)]
    return saved.SavedActivations([layer] * s.L, [*embedded, *saved_widened(s), *transform], loss_32=False)


def saved_widened(s: EncoderSizes) -> saved.SavedTensors:
    """The embeddings (T, D) that a matrix has widened, where they are narrower than the model."""
    return saved.one("embeddings as wide as the layers", "b · D", D=s.D) if s.E != s.D else []
