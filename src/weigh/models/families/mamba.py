"""Mamba (Gu and Dao 2023): a selective state space instead of attention."""

from dataclasses import dataclass

from weigh.models.caches import Caches, State
from weigh.models.config import Config
from weigh.models.family import Family
from weigh.models.layers import Tensors, Weight, convolution, embedding, linear, lm_head, rms_norm, stack


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of a state space.

    Attributes:
        V, D, L: Vocabulary, width, layers.
        W: The inner width.
        N: The states of each inner channel.
        R: The rank of the time steps.
        k: The kernel of the convolution.
        tied: Whether the head is the embedding.
        bias, conv_bias: Whether the outer projections and the convolution have biases.
    """

    V: int
    D: int
    L: int
    W: int
    N: int
    R: int
    k: int
    tied: bool
    bias: bool
    conv_bias: bool


def read(config: Config) -> Sizes:
    """The sizes of Mamba 130M, but for its layers."""
    config.ignore(
        "d_inner", "d_model", "fused_add_norm", "n_layer", "rescale_prenorm_residual", "residual_in_fp32", "rms_norm",
        "time_step_floor", "time_step_init_scheme", "time_step_max", "time_step_min", "time_step_scale",
        "use_associative_scan", "use_mambapy",
    )  # fmt: skip
    D = config.size("hidden_size", 768)
    return Sizes(
        V=config.size("vocab_size", 50280), D=D, L=config.layers("num_hidden_layers", 32),
        W=config.size("intermediate_size", config.size("expand", 2) * D), N=config.size("state_size", 16),
        R=config.size("time_step_rank", -(-D // 16), word="auto"), k=config.size("conv_kernel", 4),
        tied=config.flag("tie_word_embeddings", True),
        bias=config.flag("use_bias", False), conv_bias=config.flag("use_conv_bias", True),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of state spaces.

    Time steps of rank R, inputs and outputs of the state are computed from each token.
    """

    def layer(name: str, i: int) -> Tensors:
        yield from rms_norm(f"{name}.norm", s.D)
        yield Weight(f"{name}.mixer.A_log", (s.W, s.N), "state")
        yield Weight(f"{name}.mixer.D", (s.W,), "state")
        yield from convolution(f"{name}.mixer.conv1d", 1, s.W, s.k, bias=s.conv_bias)
        yield from linear(f"{name}.mixer.in_proj", s.D, 2 * s.W, "mixer input", s.bias)
        yield from linear(f"{name}.mixer.x_proj", s.W, s.R + 2 * s.N, "mixer state", bias=False)
        yield from linear(f"{name}.mixer.dt_proj", s.R, s.W, "mixer time-step")
        yield from linear(f"{name}.mixer.out_proj", s.W, s.D, "mixer output", s.bias)

    body = "" if architecture == "MambaModel" else "backbone."
    yield from embedding(f"{body}embeddings", s.V, s.D)
    yield from stack(f"{body}layers", s.L, layer)
    yield from rms_norm(f"{body}norm_f", s.D)
    if architecture == "MambaForCausalLM":
        yield from lm_head("lm_head", s.V, s.D, tied_to=f"{body}embeddings.weight" if s.tied else "")


def caches(s: Sizes) -> Caches:
    """The states of each layer: the last inputs of every inner channel's convolution, and its state, in float32."""
    return [State(s.W * s.k, kernel=s.k), State(s.W * s.N, "float32")] * s.L


FAMILY = Family(
    model_type="mamba",
    architectures=("MambaForCausalLM", "MambaModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    gguf_mixes=True,
)
