"""Qwen3 (Yang et al. 2025): Llama with a norm on each query and key head, and heads of a size of their own."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import (
    DecoderSizes,
    attention,
    caches,
    decoder,
    gated,
    head_norms,
    norms,
    saved_layer,
    saved_mlp,
    upper_layers,
)  # fmt: skip
from weigh.models.family import Family
from weigh.models.layers import Tensors


def read(config: Config) -> DecoderSizes:
    """The sizes of the reference's default."""
    bias = config.flag("attention_bias", False)
    return DecoderSizes.of(
        config, V=151936, D=4096, F=22016, L=32, H=32, K=32, E=128, qkv_bias=bias, o_bias=bias, windows=upper_layers
    )


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of Llama, with norms of queries and keys, one of size E for all heads."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from head_norms(f"{name}.self_attn", s.E, s.E)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from norms(name, s.D)

    return decoder(architecture, s, layer)


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of Llama, and of a norm for each head of queries and keys."""
    layer = saved_layer(s, saved_mlp(s, gated=True), saved.head_norms(saved.RMS, s.H, s.K, s.E))
    return saved.SavedActivations([layer] * s.L, saved.norm(saved.RMS, s.D))


FAMILY = Family(
    model_type="qwen3",
    architectures=("Qwen3ForCausalLM", "Qwen3Model"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
