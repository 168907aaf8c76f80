"""Gemma 2 (Gemma Team 2024): Gemma with norms on both sides of each sublayer, and local layers."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import (
    DecoderSizes,
    attention,
    caches,
    decoder,
    every_other_layer,
    four_norms,
    gated,
    saved_attention,
    saves_of_four_norms,
)  # fmt: skip
from weigh.models.family import Family
from weigh.models.layers import Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(DecoderSizes):
    """Gemma's sizes, and whether the scores of the attention and those of the vocabulary are capped."""

    caps_scores: bool
    caps_logits: bool


def read(config: Config) -> Sizes:
    """The sizes of Gemma 2 2B."""
    bias = config.flag("attention_bias", False)
    config.ignore("use_bidirectional_attention", "cache_implementation")
    return Sizes.of(
        config, V=256000, D=2304, F=9216, L=26, H=8, K=4, E=256, tied=True, qkv_bias=bias, o_bias=bias,
        activation="gelu_pytorch_tanh", activation_field="hidden_activation",
        divided=True, windows=every_other_layer(4096),
        caps_scores="attn_logit_softcapping" not in config.nulls,
        caps_logits="final_logit_softcapping" not in config.nulls,
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of Llama, with four norms a layer."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from four_norms(name, s.D)

    return decoder(architecture, s, layer)


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of four norms a layer, and what is capped."""
    scores = saved.one("capped scores", "b · H · T", "stored", H=s.H) if s.caps_scores else []
    logits = saved.one("capped logits", "b · V", V=s.V) if s.caps_logits and architecture == "Gemma2ForCausalLM" else []
    return saved.SavedActivations(
        [saves_of_four_norms(s, [*saved_attention(s), *scores])] * s.L, [*saved.norm(saved.RMS_32, s.D), *logits]
    )  # fmt: skip


FAMILY = Family(
    model_type="gemma2",
    architectures=("Gemma2ForCausalLM", "Gemma2Model"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
