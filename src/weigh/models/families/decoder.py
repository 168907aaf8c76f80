"""What decoders in the line of Llama are written with: their sizes, attention, feed-forward, experts, and the frame
of embedding, layers, norm and head. A family says what is in one of its layers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from weigh.errors import InvalidConfig, UnsupportedField
from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, KeyValue, Routed, Tensors, TiedTo, linear, rms_norm


@dataclass(frozen=True, slots=True)
class Sizes:
    """Vocabulary V, width D, feed-forward F, layers L, query heads H, key-value heads K, head size E."""

    V: int
    D: int
    F: int
    L: int
    H: int
    K: int
    E: int

    @classmethod
    def of(
        cls, config: Config, *, V: int, D: int, F: int, L: int, H: int, K: int | None = None, E: int | None = None
    ) -> "Sizes":
        """Read them under the names that most configs use; the arguments are a family's defaults.

        Without K there are as many key-value heads as query heads, and without E the heads share the width.
        """
        config.ignore("max_position_embeddings")  # positions are rotations, not weights
        V, D = config.size("vocab_size", V), config.size("hidden_size", D)
        L, F = config.size("num_hidden_layers", L), config.size("intermediate_size", F)
        H = config.size("num_attention_heads", H)
        K = config.optional("num_key_value_heads", K) or H
        E = config.optional("head_dim", E) or config.split("hidden_size", "num_attention_heads", D, H)
        config.split("num_attention_heads", "num_key_value_heads", H, K)
        return cls(V, D, F, L, H, K, E)


def decoder(
    architecture: str,
    s: Sizes,
    tied: bool,
    layer: Callable[[str, int], Tensors],
    norm: Callable[[str, int], Tensors] = rms_norm,
) -> Tensors:
    """Embedding, layers and a last norm, and in front of a vocabulary the head, which may be the embedding again.

    Args:
        architecture: The class: `…ForCausalLM` has a head, the base model has none.
        s: The sizes.
        tied: Whether the head is the embedding.
        layer: Yields the tensors of one layer, given its name and its index.
        norm: The last norm, given its name and its size.
    """
    body = "model." if architecture.endswith("ForCausalLM") else ""
    yield f"{body}embed_tokens.weight", (s.V, s.D)
    for i in range(s.L):
        yield from layer(f"{body}layers.{i}", i)
    yield from norm(f"{body}norm", s.D)
    if architecture.endswith("ForCausalLM"):
        yield "lm_head.weight", TiedTo(f"{body}embed_tokens.weight") if tied else (s.V, s.D)


def attention(name: str, s: Sizes, qkv_bias: bool = False, o_bias: bool = False) -> Tensors:
    """Attention of H query heads to K key-value heads: multi-head if K = H, multi-query if K = 1, else grouped."""
    yield from linear(f"{name}.q_proj", s.D, s.H * s.E, qkv_bias)
    yield from linear(f"{name}.k_proj", s.D, s.K * s.E, qkv_bias)
    yield from linear(f"{name}.v_proj", s.D, s.K * s.E, qkv_bias)
    yield from linear(f"{name}.o_proj", s.H * s.E, s.D, o_bias)


def gated(name: str, D: int, F: int, bias: bool = False) -> Tensors:
    """A feed-forward network whose hidden layer is gated by another, as in SwiGLU (Shazeer 2020): three matrices."""
    yield from linear(f"{name}.gate_proj", D, F, bias)
    yield from linear(f"{name}.up_proj", D, F, bias)
    yield from linear(f"{name}.down_proj", F, D, bias)


def experts(name: str, D: int, F: int, used: int, count: int) -> Tensors:
    """`count` gated networks without biases, stacked, of which a token passes through `used`."""
    yield f"{name}.gate_up_proj", Routed((count, 2 * F, D), used, count)
    yield f"{name}.down_proj", Routed((count, D, F), used, count)


def expert_counts(config: Config, field: str, count: int, used: int | None) -> tuple[int, int]:
    """How many experts a token passes through, and of how many, which is in `field`; by default `used` and `count`.

    Where neither the config nor the family says how many, it is all.
    """
    count = config.size(field, count)
    used = config.size("num_experts_per_tok", count if used is None else used)
    if used > count:
        raise InvalidConfig(f"{config.where}, field num_experts_per_tok", f"{used} is more than {field}, {count}")
    return used, count


def sparse_layers(config: Config, s: Sizes) -> list[bool]:
    """Which layers have experts: every `decoder_sparse_step`-th, unless `mlp_only_layers` names it."""
    step, dense = config.size("decoder_sparse_step", 1), config.get("mlp_only_layers", [])
    if not isinstance(dense, list) or not all(type(i) is int for i in dense):
        raise InvalidConfig(f"{config.where}, field mlp_only_layers", f"must be a list of layers, not {dense!r:.40}")
    return [(i + 1) % step == 0 and i not in dense for i in range(s.L)]


def key_values(s: Sizes, windows: list[int | None] | None = None) -> Caches:
    """A key and a value for every key-value head in each layer, inside its window if it has one."""
    return [KeyValue(s.K, s.E, s.E, window) for window in windows or [None] * s.L]


def alternating(config: Config, s: Sizes, window: int | None, slides: Callable[[int], bool]) -> Caches:
    """Keys and values of layers that differ: `layer_types` says which attend to a window, or else the family's rule.

    Args:
        config: The config.
        s: The sizes.
        window: The tokens that a sliding layer attends to.
        slides: The rule, given the index of a layer.
    """
    kinds = config.get("layer_types", ["sliding_attention" if slides(i) else "full_attention" for i in range(s.L)])
    where = f"{config.where}, field layer_types"
    if not isinstance(kinds, list) or len(kinds) != s.L:
        raise InvalidConfig(where, f"must name the attention of each of the {s.L} layers, not {kinds!r:.40}")
    for kind in kinds:
        if kind not in ("full_attention", "sliding_attention"):
            raise UnsupportedField(where, f"{kind!r:.40} is not known to weigh; it knows full and sliding attention")
    if "sliding_attention" in kinds and window is None:
        raise InvalidConfig(where, "has sliding layers, but there is no sliding_window")
    return key_values(s, [window if kind == "sliding_attention" else None for kind in kinds])


def block(
    config: Config, s: Sizes, feed_forward: saved.Part, *more: saved.Part, kind: saved.Norm = saved.RMS
) -> saved.Part:
    """What a layer saves that has a norm before its attention and one before its feed-forward.

    Args:
        config: The config.
        s: The sizes.
        feed_forward: What the feed-forward saves.
        *more: What else is saved.
        kind: What a norm saves.
    """
    heads = saved.attention(s.H, s.K, s.E, config.get("attention_dropout", 0))
    return saved.layer(s.D, 2 * saved.norm(kind, s.D), heads, feed_forward, *more)
