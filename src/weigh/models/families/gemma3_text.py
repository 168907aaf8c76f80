"""The text model of Gemma 3 (Gemma Team 2025): Gemma 2 with norms on queries and keys, and five local layers in six."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import (
    DecoderSizes,
    Windows,
    alternating,
    attention,
    caches,
    decoder,
    four_norms,
    gated,
    head_norms,
    saved_attention,
    saves_of_four_norms,
)  # fmt: skip
from weigh.models.family import Family
from weigh.models.layers import Tensors


def windows(config: Config, L: int) -> Windows:
    """The window of each layer but every sixth, which attends to all tokens.

    One that looks both ways lies half ahead.
    """
    window, every = config.optional("sliding_window", 4096), config.size("sliding_window_pattern", 6)
    if config.flag("use_bidirectional_attention", False) and window is not None:
        window = window // 2 + 1
    return alternating(config, L, window, lambda i: (i + 1) % every != 0)


def read(config: Config) -> DecoderSizes:
    """The sizes of the reference's default."""
    bias = config.flag("attention_bias", False)
    config.ignore("cache_implementation", "rope_local_base_freq")
    return DecoderSizes.of(
        config, V=262_208, D=2304, F=9216, L=26, H=8, K=4, E=256, tied=True, qkv_bias=bias, o_bias=bias,
        activation="gelu_pytorch_tanh", activation_field="hidden_activation", divided=True, windows=windows,
    )  # fmt: skip


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of Llama, with four norms a layer, and two in its attention."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from head_norms(f"{name}.self_attn", s.E, s.E)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from four_norms(name, s.D)

    return decoder(architecture, s, layer)


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of four norms a layer, and of norms of the heads."""
    attention = [*saved.head_norms(saved.RMS_32, s.H, s.K, s.E), *saved_attention(s)]
    layer = saves_of_four_norms(s, attention)
    return saved.SavedActivations([layer] * s.L, saved.norm(saved.RMS_32, s.D))


FAMILY = Family(
    model_type="gemma3_text",
    architectures=("Gemma3ForCausalLM", "Gemma3TextModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
