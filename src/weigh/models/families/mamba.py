"""Mamba (Gu and Dao 2023): a selective state space instead of attention."""

from weigh.models.config import Config
from weigh.models.families.parts import Caches, Family, State, Tensors, TiedTo, convolution, linear, rms_norm


def shape(config: Config) -> tuple[int, int, int, int]:
    """Width D, inner width W, states N of each inner channel, and kernel k of the convolution."""
    D = config.size("hidden_size", 768)
    W = config.size("intermediate_size", config.size("expand", 2) * D)
    return D, W, config.size("state_size", 16), config.size("conv_kernel", 4)


def tensors(config: Config, architecture: str) -> Tensors:
    """Time steps of rank R, inputs and outputs of the state are computed from each token."""
    V, L, (D, W, N, k) = config.size("vocab_size", 50280), config.size("num_hidden_layers", 32), shape(config)
    R = -(-D // 16) if config.get("time_step_rank", "auto") == "auto" else config.size("time_step_rank")
    bias, conv_bias = config.flag("use_bias", False), config.flag("use_conv_bias", True)
    tied = config.flag("tie_word_embeddings", True)
    config.ignore(
        "d_inner", "d_model", "fused_add_norm", "n_layer", "rescale_prenorm_residual", "residual_in_fp32", "rms_norm",
        "time_step_floor", "time_step_init_scheme", "time_step_max", "time_step_min", "time_step_scale",
        "use_associative_scan", "use_mambapy",
    )  # fmt: skip
    body = "" if architecture == "MambaModel" else "backbone."
    yield f"{body}embeddings.weight", (V, D)
    for i in range(L):
        layer = f"{body}layers.{i}"
        yield from rms_norm(f"{layer}.norm", D)
        yield f"{layer}.mixer.A_log", (W, N)
        yield f"{layer}.mixer.D", (W,)
        yield from convolution(f"{layer}.mixer.conv1d", 1, W, k, bias=conv_bias)
        yield from linear(f"{layer}.mixer.in_proj", D, 2 * W, bias)
        yield from linear(f"{layer}.mixer.x_proj", W, R + 2 * N, bias=False)
        yield from linear(f"{layer}.mixer.dt_proj", R, W)
        yield from linear(f"{layer}.mixer.out_proj", W, D, bias)
    yield from rms_norm(f"{body}norm_f", D)
    if architecture == "MambaForCausalLM":
        yield "lm_head.weight", TiedTo(f"{body}embeddings.weight") if tied else (V, D)


def caches(config: Config) -> Caches:
    """The last inputs of the convolution of every inner channel, and its state, which stays in float32."""
    _, W, N, k = shape(config)
    return [State(W * k), State(W * N, "float32")] * config.size("num_hidden_layers", 32)


MAMBA = Family(tensors, caches, ("MambaForCausalLM", "MambaModel"))
