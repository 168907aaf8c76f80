"""What decoders are written with: their sizes, and those in the line of Llama with their attention, feed-forward, and
the frame of embedding, layers, norm and head. A family says what is in one of its layers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from weigh.errors import InvalidConfig, UnsupportedField
from weigh.models import saved
from weigh.models.caches import Caches, KeyValue
from weigh.models.config import Config
from weigh.models.layers import Tensors, embedding, linear, lm_head, rms_norm, stack

Windows: TypeAlias = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderSizes:
    """The sizes of a decoder.

    Attributes:
        V, D, F, L: Vocabulary, width, feed-forward width, layers.
        H, K, E: Query heads, key-value heads, head size.
        tied: Whether the head is the embedding.
        activation: The activation function of the feed-forward.
        score_dropout, residual_dropout, embedding_dropout: The rates at which the scores of the attention are dropped,
            what a sublayer adds to the residual stream, and what the embeddings give.
        qkv_bias, o_bias, mlp_bias: Whether the projections into attention, that out of it, and the feed-forward have
            biases, in families where that differs.
        T: The rows of the table of learned positions; 0 if positions are computed.
        windows: The tokens that each layer attends to, `None` for all; empty if all layers attend to all.
    """

    V: int
    D: int
    F: int
    L: int
    H: int
    K: int
    E: int
    tied: bool
    activation: saved.Activation
    score_dropout: float = 0
    residual_dropout: float = 0
    embedding_dropout: float = 0
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    T: int = 0
    windows: Windows = ()

    @classmethod
    def of(
        cls, config: Config, *, V: int, D: int, F: int, L: int, H: int, K: int | None = None, E: int | None = None,
        tied: bool = False, activation: str = "silu", activation_field: str = "hidden_act", divided: bool = False,
        **others: Any,
    ) -> Self:  # fmt: skip
        """The sizes under the names that most configs use; the arguments are a family's defaults.

        Without K there are as many key-value heads as query heads, and without E the heads share the width. What
        differs from layer to layer is given as a function of the config and the number of layers. Some families take no
        width that is not `divided` by the heads, whatever the size of a head.
        """
        config.ignore("max_position_embeddings")  # positions are rotations, not weights
        V, D = config.size("vocab_size", V), config.size("hidden_size", D)
        L, F = config.layers("num_hidden_layers", L), config.size("intermediate_size", F)
        H = config.size("num_attention_heads", H)
        K = config.optional("num_key_value_heads", K) or H
        E = config.optional("head_dim", E)
        share = config.split("hidden_size", "num_attention_heads", D, H) if E is None or divided else 0
        config.split("num_attention_heads", "num_key_value_heads", H, K)
        return cls(
            V=V, D=D, F=F, L=L, H=H, K=K, E=E or share,
            tied=config.flag("tie_word_embeddings", tied),
            activation=saved.activation(config, activation, activation_field),
            score_dropout=config.rate("attention_dropout", 0),
            **{name: value(config, L) if callable(value) else value for name, value in others.items()},
        )  # fmt: skip


def every_layer(default: int | None = None) -> Callable[[Config, int], Windows]:
    """The windows of layers that all have the same, or none where the config has none or sets it to null."""
    return lambda config, L: (config.optional("sliding_window", default),) * L


def alternating(config: Config, L: int, window: int | None, slides: Callable[[int], bool]) -> Windows:
    """The windows of layers that differ: `layer_types` says which attend to a window, or else the family's rule.

    Args:
        config: The config.
        L: The number of layers.
        window: The tokens that a sliding layer attends to.
        slides: The rule, given the index of a layer.
    """
    kinds = config.get("layer_types", ["sliding_attention" if slides(i) else "full_attention" for i in range(L)])
    where = f"{config.where}, field layer_types"
    if not isinstance(kinds, list) or len(kinds) != L:
        raise InvalidConfig(where, f"must name the attention of each of the {L} layers, not {kinds!r:.40}")
    for kind in kinds:
        if kind not in ("full_attention", "sliding_attention"):
            raise UnsupportedField(where, f"{kind!r:.40} is not known to weigh; it knows full and sliding attention")
    if "sliding_attention" in kinds and window is None:
        raise InvalidConfig(where, "has sliding layers, but there is no sliding_window")
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def every_other_layer(default: int) -> Callable[[Config, int], Windows]:
    """The windows where every other layer has one, the first included."""
    return lambda config, L: alternating(config, L, config.optional("sliding_window", default), lambda i: i % 2 == 0)


def used_window(config: Config, default: int) -> tuple[bool, int | None]:
    """Whether Qwen's layers use a window, which only then is read, and the window."""
    config.ignore("sliding_window")
    used = config.flag("use_sliding_window", False)
    return used, config.optional("sliding_window", default) if used else None


def upper_layers(config: Config, L: int) -> Windows:
    """The windows where the layers from `max_window_layers` up have one."""
    (_, window), first = used_window(config, 4096), config.size("max_window_layers", 28, least=0)
    return alternating(config, L, window, lambda i: window is not None and i >= first)


def nothing(body: str) -> Tensors:
    """No tensor."""
    return iter(())


def decoder(
    architecture: str,
    s: DecoderSizes,
    layer: Callable[[str, int], Tensors],
    norm: Callable[[str, int], Tensors] = rms_norm,
    *,
    body: str = "model.",
    words: str = "embed_tokens",
    between: Callable[[str], Tensors] = nothing,
    layers: str = "layers",
    last: str = "norm",
    head_bias: bool = False,
) -> Tensors:
    """Embedding, layers and a last norm, and in front of a vocabulary the head, which may be the embedding again.

    Args:
        architecture: The class: `…ForCausalLM` or `…LMHeadModel` has a head, the base model has none.
        s: The sizes.
        layer: Yields the tensors of one layer, given its name and its index.
        norm: The last norm, given its name and its size.
        body: What stands in front of all names but the head's, where there is a head.
        words: The name of the embedding.
        between: Yields what stands between embedding and layers, given what stands in front of its name.
        layers: The name of the layers.
        last: The name of the last norm.
        head_bias: Whether the head has a bias.
    """
    has_head = architecture.endswith(("ForCausalLM", "LMHeadModel"))
    body = body if has_head else ""
    yield from embedding(f"{body}{words}", s.V, s.D)
    yield from between(body)
    yield from stack(f"{body}{layers}", s.L, layer)
    yield from norm(f"{body}{last}", s.D)
    if has_head:
        yield from lm_head("lm_head", s.V, s.D, tied_to=f"{body}{words}.weight" if s.tied else "", bias=head_bias)


def attention(name: str, s: DecoderSizes) -> Tensors:
    """Attention of H query heads to K key-value heads: multi-head if K = H, multi-query if K = 1, else grouped."""
    yield from linear(f"{name}.q_proj", s.D, s.H * s.E, "attention query", s.qkv_bias)
    yield from linear(f"{name}.k_proj", s.D, s.K * s.E, "attention key", s.qkv_bias)
    yield from linear(f"{name}.v_proj", s.D, s.K * s.E, "attention value", s.qkv_bias)
    yield from linear(f"{name}.o_proj", s.H * s.E, s.D, "attention output", s.o_bias)


def head_norms(name: str, queries: int, keys: int) -> Tensors:
    """Norms of queries and of keys: of one head, which all share, or of all heads together."""
    yield from rms_norm(f"{name}.q_norm", queries)
    yield from rms_norm(f"{name}.k_norm", keys)


def gated(name: str, D: int, F: int, bias: bool = False, sublayer: str = "feed-forward") -> Tensors:
    """A feed-forward network whose hidden layer is gated by another, as in SwiGLU (Shazeer 2020): three matrices."""
    yield from linear(f"{name}.gate_proj", D, F, f"{sublayer} gate", bias)
    yield from linear(f"{name}.up_proj", D, F, f"{sublayer} up", bias)
    yield from linear(f"{name}.down_proj", F, D, f"{sublayer} down", bias)


def norms(name: str, D: int, norm: Callable[[str, int], Tensors] = rms_norm) -> Tensors:
    """The norm before the attention and the one before the feed-forward."""
    yield from norm(f"{name}.input_layernorm", D)
    yield from norm(f"{name}.post_attention_layernorm", D)


def four_norms(name: str, D: int) -> Tensors:
    """Norms before and after the attention, and before and after the feed-forward."""
    yield from norms(name, D)
    yield from rms_norm(f"{name}.pre_feedforward_layernorm", D)
    yield from rms_norm(f"{name}.post_feedforward_layernorm", D)


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of Llama: attention, a gated feed-forward, and a norm before each."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from gated(f"{name}.mlp", s.D, s.F, s.mlp_bias)
        yield from norms(name, s.D)

    return decoder(architecture, s, layer)


def caches(s: DecoderSizes) -> Caches:
    """The KV cache of each layer: a key and a value for every key-value head, inside its window if it has one."""
    return [KeyValue(s.K, s.E, s.E, window) for window in s.windows or [None] * s.L]


def saved_attention(s: DecoderSizes, *, softmax_32: bool = True) -> saved.SavedTensors:
    """The saved tensors of the attention of one layer."""
    return saved.attention(s.H, s.K, s.E, s.score_dropout, softmax_32=softmax_32)


def saved_mlp(s: DecoderSizes, *, gated: bool = False) -> saved.SavedTensors:
    """The saved tensors of the feed-forward of one layer."""
    return saved.feed_forward(s.F, s.activation.kept, gated=gated)


def saved_layer(
    s: DecoderSizes, feed_forward: saved.SavedTensors, *more: saved.SavedTensors, kind: saved.Norm = saved.RMS
) -> saved.SavedTensors:
    """The saved tensors of a layer with a norm before its attention and one before its feed-forward.

    Args:
        s: The sizes.
        feed_forward: Those of the feed-forward.
        *more: Others.
        kind: What a norm saves.
    """
    return saved.layer(s.D, 2 * saved.norm(kind, s.D), saved_attention(s), feed_forward, *more)


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of Llama: of two norms, attention, and a gated feed-forward."""
    return saved.SavedActivations([saved_layer(s, saved_mlp(s, gated=True))] * s.L, saved.norm(saved.RMS, s.D))


def saves_of_four_norms(s: DecoderSizes, attention: saved.SavedTensors) -> saved.SavedTensors:
    """The saved tensors of a layer with norms on both sides of each sublayer: those after it feed no matrix."""
    four = [*2 * saved.norm(saved.RMS_32, s.D), *2 * saved.norm(saved.RMS_32, s.D, results=0)]
    return saved.layer(s.D, four, attention, saved_mlp(s, gated=True))


def saves_of_gpt(s: DecoderSizes, attention: saved.SavedTensors, norms: int = 2) -> saved.SavedActivations:
    """The saved tensors of a GPT: layer norms, attention, a feed-forward without a gate, and dropouts.

    Args:
        s: The sizes.
        attention: Those of the attention of one layer.
        norms: The norms of one layer.
    """
    norm, masks = saved.norm(saved.LAYER, s.D), saved.dropped(s.residual_dropout, s.D, 2)
    layer = saved.layer(s.D, norms * norm, attention, saved_mlp(s), masks)
    return saved.SavedActivations([layer] * s.L, [*saved.dropped(s.embedding_dropout, s.D), *norm])
