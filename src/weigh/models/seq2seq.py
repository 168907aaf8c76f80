"""What encoder-decoders in the line of BART are written with: the sizes of their two sides, and their layers."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.caches import Caches, KeyValue
from weigh.models.config import Config
from weigh.models.layers import Tensors, layer_norm, linear, stack


@dataclass(frozen=True, slots=True)
class Side:
    """The layers L, feed-forward width F and heads H of an encoder or a decoder."""

    L: int
    F: int
    H: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seq2SeqSizes:
    """The sizes of an encoder-decoder.

    Attributes:
        V, D: Vocabulary and width.
        T: Learned positions of the decoder.
        S: Learned positions of the encoder.
        encoder, decoder: The sizes of each side.
        tied: Whether the head is the embedding.
        activation: The activation function of the feed-forward.
        dropout, score_dropout, inner_dropout: The rates at which numbers are dropped, attention scores, and what the
            activation function gives.
    """

    V: int
    D: int
    T: int
    S: int
    encoder: Side
    decoder: Side
    tied: bool
    activation: saved.Activation
    dropout: float
    score_dropout: float
    inner_dropout: float


def sides(config: Config, D: int, *, L: int, F: int, H: int) -> tuple[Side, Side]:
    """The sizes of both sides; the arguments are a family's defaults."""
    config.ignore("decoder_layerdrop", "encoder_layerdrop", "init_std", "is_encoder_decoder", "scale_embedding")
    encoder, decoder = (
        Side(
            config.layers(f"{side}_layers", L),
            config.size(f"{side}_ffn_dim", F),
            config.size(f"{side}_attention_heads", H),
        )
        for side in ("encoder", "decoder")
    )
    for side, sizes in (("encoder", encoder), ("decoder", decoder)):
        config.split("d_model", f"{side}_attention_heads", D, sizes.H)
    config.only("num_hidden_layers", encoder.L)
    return encoder, decoder


def attention(name: str, D: int, key_bias: bool = True, sublayer: str = "attention") -> Tensors:
    """Key, value, query and output, in this order. A bias of the keys would not change the attention."""
    yield from linear(f"{name}.k_proj", D, D, f"{sublayer} key", key_bias)
    yield from linear(f"{name}.v_proj", D, D, f"{sublayer} value")
    yield from linear(f"{name}.q_proj", D, D, f"{sublayer} query")
    yield from linear(f"{name}.out_proj", D, D, f"{sublayer} output")


def layers(name: str, side: Side, D: int, *, cross: bool, key_bias: bool = True) -> Tensors:
    """The layers of the encoder or, with attention across to it, of the decoder."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", D, key_bias)
        yield from layer_norm(f"{name}.self_attn_layer_norm", D)
        if cross:
            yield from attention(f"{name}.encoder_attn", D, key_bias, "cross-attention")
            yield from layer_norm(f"{name}.encoder_attn_layer_norm", D)
        yield from linear(f"{name}.fc1", D, side.F, "feed-forward up")
        yield from linear(f"{name}.fc2", side.F, D, "feed-forward down")
        yield from layer_norm(f"{name}.final_layer_norm", D)

    return stack(f"{name}.layers", side.L, layer)


def caches(s: Seq2SeqSizes) -> Caches:
    """The KV caches of each decoder layer: of its own tokens, and of the encoder's."""
    H, E = s.decoder.H, s.D // s.decoder.H
    return [KeyValue(H, E, E), KeyValue(H, E, E, cross=True)] * s.decoder.L


def positions(s: Seq2SeqSizes) -> dict[str, int]:
    """The rows of the decoder's table, and of the encoder's."""
    return {"context": s.T, "encoder_context": s.S}


def saved_layer(
    s: Seq2SeqSizes, side: Side, *more: saved.SavedTensors, across: saved.SavedTensors | None = None
) -> saved.SavedTensors:
    """The saved tensors of a layer of either side, in the decoder with those of the attention `across`."""
    D, H, masked = s.D, side.H, saved.dropped(s.dropout, s.D)
    attend = [
        *saved.norm(saved.LAYER, D),
        *saved.heads(H, H, D // H),
        *saved.scores(H, s.score_dropout, softmax_32=False),
        *masked,
    ]
    encoded = [*saved.norm(saved.LAYER, D), *across, *masked] if across else []
    mlp = [
        *saved.norm(saved.LAYER, D),
        *saved.feed_forward(side.F, s.activation.kept),
        *saved.dropped(s.inner_dropout, side.F),
        *masked,
    ]
    return saved.layer(D, attend, encoded, mlp, *more)
