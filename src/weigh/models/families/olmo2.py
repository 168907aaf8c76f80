"""OLMo 2 (OLMo Team 2024): norms after each sublayer instead of before it, and on queries and keys."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import (
    DecoderSizes,
    attention,
    caches,
    decoder,
    gated,
    head_norms,
    saved_attention,
    saved_mlp,
)  # fmt: skip
from weigh.models.family import Family
from weigh.models.layers import Tensors, rms_norm


def read(config: Config) -> DecoderSizes:
    """The sizes of the reference's default."""
    bias = config.flag("attention_bias", False)
    return DecoderSizes.of(config, V=50304, D=4096, F=11008, L=32, H=32, qkv_bias=bias, o_bias=bias)


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of Llama with other norms. Those of queries and keys span all heads."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from head_norms(f"{name}.self_attn", s.H * s.E, s.K * s.E)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)
        yield from rms_norm(f"{name}.post_feedforward_layernorm", s.D)

    return decoder(architecture, s, layer)


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of attention and feed-forward, which the residual stream itself feeds, and of norms."""
    stream = saved.one("inputs of attention and feed-forward", "2 · b · D", D=s.D)
    widths = (s.D, s.D, s.H * s.E, s.K * s.E)
    norms = [tensor for width in widths for tensor in saved.norm(saved.RMS_32, width, results=0)]
    layer = saved.layer(s.D, stream, norms, saved_attention(s), saved_mlp(s, gated=True))
    return saved.SavedActivations([layer] * s.L, saved.norm(saved.RMS_32, s.D))


FAMILY = Family(
    model_type="olmo2",
    architectures=("Olmo2ForCausalLM", "Olmo2Model"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
