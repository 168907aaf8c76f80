"""What a layer without attention over all tokens keeps: the last inputs of its convolution, and a state."""

from collections.abc import Callable
from typing import Any

from weigh.models.caches import Caches, State

_MISSING = object()


def first(config: Any, *names: str, default: Any = _MISSING) -> Any:
    """The first of these fields that a config has a value for.

    Raises:
        AttributeError: If it has none of them and no default is given.
    """
    for name in names:
        value = getattr(config, name, None)
        if value is not None:
            return value
    if default is _MISSING:
        raise AttributeError(f"none of {', '.join(names)}")
    return default


def selective(place: int, kind: str, config: Any) -> Caches:
    """Mamba's: k inputs and N sums in float32 for every inner channel."""
    W = first(config, "mamba_intermediate_size", default=0)
    if not W:
        expand = getattr(config, "mamba_expand", None)
        W = config.intermediate_size if expand is None else expand * config.hidden_size
    N, k = first(config, "state_size", "mamba_d_state"), first(config, "conv_kernel", "mamba_d_conv")
    return [State(W * k, kernel=k), State(W * N, "float32")]


def heads_of_states(place: int, kind: str, config: Any) -> Caches:
    """Mamba-2's: heads of P channels with N sums each in float32; G groups share what enters and leaves the state."""
    H = first(config, "mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "num_heads")
    P = first(config, "mamba_d_head", "mamba_head_dim", "mamba_headdim", "head_dim")
    G = first(config, "mamba_n_groups", "mamba_ngroups", "n_groups")
    N = first(config, "mamba_d_state", "ssm_state_size", "state_size")
    k = first(config, "mamba_d_conv", "conv_kernel")
    return [State((H * P + 2 * G * N) * k, kernel=k), State(H * P * N, "float32")]


def delta(place: int, kind: str, config: Any) -> Caches:
    """The gated delta rule's: queries, keys and values of k tokens, and keys times values of each head in float32."""
    keys, values = config.linear_num_key_heads, config.linear_num_value_heads
    key, value = config.linear_key_head_dim, config.linear_value_head_dim
    k = config.linear_conv_kernel_dim
    return [State((2 * keys * key + values * value) * k, kernel=k), State(values * key * value, "float32")]


def square(place: int, kind: str, config: Any) -> Caches:
    """Kimi's delta attention: heads of one size for queries, keys and values."""
    H, E, k = config.linear_num_heads, config.linear_head_dim, config.linear_conv_kernel_dim
    return [State(3 * H * E * k, kernel=k), State(H * E * E, "float32")]


def lightning(place: int, kind: str, config: Any) -> Caches:
    """MiniMax's: keys times values of each head, in the format of the model."""
    head = first(config, "head_dim", default=0) or config.hidden_size // config.num_attention_heads
    return [State(config.num_attention_heads * head * head)]


def short(place: int, kind: str, config: Any) -> Caches:
    """A short convolution's: the last inputs of every channel."""
    return [State(config.hidden_size * config.conv_L_cache, kernel=config.conv_L_cache)]


def gated_linear(place: int, kind: str, config: Any) -> Caches:
    """RecurrentGemma's RG-LRU: k - 1 inputs, and a sum in float32 for every channel."""
    W = config.lru_width
    return [State(W * (config.conv1d_width - 1)), State(W, "float32")]


def time_mixing(place: int, kind: str, config: Any) -> Caches:
    """RWKV's: the last input of both halves of a block; numerator, denominator and exponent of a sum in float32."""
    D = config.hidden_size
    return [State(D), State(D), *(State(D, "float32") for _ in range(3))]


def matrix(place: int, kind: str, config: Any) -> Caches:
    """xLSTM's: keys times values of each head, a sum of keys, and an exponent."""
    H, E, U = config.num_heads, config.qk_head_dim, config.v_head_dim
    return [State(H * E * U), State(H * E), State(H)]


def four_convolutions(place: int, kind: str, config: Any) -> Caches:
    """Inkling's, in float32: k inputs of the convolutions of keys, values, attention output and feed-forward output."""
    own = "swa_" if kind == "hybrid_sliding" else ""
    width = getattr(config, f"{own}num_key_value_heads") * getattr(config, f"{own}head_dim")
    k = config.conv_kernel_size
    return [State(channels * k, "float32", k) for channels in (width, width, config.hidden_size, config.hidden_size)]


def delayed_values(place: int, kind: str, config: Any) -> Caches:
    """ZAYA's: the last inputs of two convolutions over queries and keys, and half of the last token's values."""
    H, K, E = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    k = config.cca_time0 + config.cca_time1 - 2
    return [State((H + K) * E * k), State(K * E // 2)]


def delta_and_words(place: int, kind: str, config: Any) -> Caches:
    """The gated delta rule's; in layers with embeddings of n-grams their convolution's inputs, and n - 1 token ids."""
    kept = delta(place, kind, config)
    if place + 1 in config.ple_layer_ids:
        n = config.ngram_size
        inputs = config.hc_count * config.hidden_size * (config.ple_conv_kernel_size - 1) * n
        kept += [State(inputs), State(n - 1, "int64")]
    return kept


STATES: dict[str, Callable[[int, str, Any], Caches]] = {
    "selective": selective,
    "heads-of-states": heads_of_states,
    "delta": delta,
    "square": square,
    "lightning": lightning,
    "short": short,
    "gated-linear": gated_linear,
    "time-mixing": time_mixing,
    "matrix": matrix,
    "four-convolutions": four_convolutions,
    "delayed-values": delayed_values,
    "delta-and-words": delta_and_words,
}
"""What such a layer keeps, by the name of the rule."""
