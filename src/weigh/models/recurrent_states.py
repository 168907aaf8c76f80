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


def selective(config: Any) -> Caches:
    """Mamba's: k inputs and N sums in float32 for every inner channel."""
    W = first(config, "mamba_intermediate_size", default=0)
    if not W:
        expand = getattr(config, "mamba_expand", None)
        W = config.intermediate_size if expand is None else expand * config.hidden_size
    N, k = first(config, "state_size", "mamba_d_state"), first(config, "conv_kernel", "mamba_d_conv")
    return [State(W * k, kernel=k), State(W * N, "float32")]


def heads_of_states(config: Any) -> Caches:
    """Mamba-2's: heads of P channels with N sums each in float32; G groups share what enters and leaves the state."""
    H = first(config, "mamba_n_heads", "mamba_num_heads", "n_mamba_heads", "num_heads")
    P = first(config, "mamba_d_head", "mamba_head_dim", "mamba_headdim", "head_dim")
    G = first(config, "mamba_n_groups", "mamba_ngroups", "n_groups")
    N = first(config, "mamba_d_state", "ssm_state_size", "state_size")
    k = first(config, "mamba_d_conv", "conv_kernel")
    return [State((H * P + 2 * G * N) * k, kernel=k), State(H * P * N, "float32")]


def delta(config: Any) -> Caches:
    """The gated delta rule's: queries, keys and values of k tokens, and keys times values of each head in float32."""
    keys, values = config.linear_num_key_heads, config.linear_num_value_heads
    key, value = config.linear_key_head_dim, config.linear_value_head_dim
    k = config.linear_conv_kernel_dim
    return [State((2 * keys * key + values * value) * k, kernel=k), State(values * key * value, "float32")]


def square(config: Any) -> Caches:
    """Kimi's delta attention: heads of one size for queries, keys and values."""
    H, E, k = config.linear_num_heads, config.linear_head_dim, config.linear_conv_kernel_dim
    return [State(3 * H * E * k, kernel=k), State(H * E * E, "float32")]


def lightning(config: Any) -> Caches:
    """MiniMax's: keys times values of each head, in the format of the model."""
    head = first(config, "head_dim", default=0) or config.hidden_size // config.num_attention_heads
    return [State(config.num_attention_heads * head * head)]


def short(config: Any) -> Caches:
    """A short convolution's: the last inputs of every channel."""
    return [State(config.hidden_size * config.conv_L_cache, kernel=config.conv_L_cache)]


STATES: dict[str, Callable[[Any], Caches]] = {
    "selective": selective,
    "heads-of-states": heads_of_states,
    "delta": delta,
    "square": square,
    "lightning": lightning,
    "short": short,
}
"""What such a layer keeps, by the name of the rule."""
