"""Gemma (Gemma Team 2024): Llama with wide heads and the embedding for its head."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, saved_layer, saved_mlp, tensors
from weigh.models.family import Family


def read(config: Config) -> DecoderSizes:
    """The sizes of Gemma 7B."""
    bias = config.flag("attention_bias", False)
    config.ignore("use_bidirectional_attention")
    return DecoderSizes.of(
        config, V=256000, D=3072, F=24576, L=28, H=16, K=16, E=256, tied=True, qkv_bias=bias, o_bias=bias,
        activation="gelu_pytorch_tanh", activation_field="hidden_activation",
    )  # fmt: skip


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of Llama, with norms all in float32."""
    layer = saved_layer(s, saved_mlp(s, gated=True), kind=saved.RMS_32)
    return saved.SavedActivations([layer] * s.L, saved.norm(saved.RMS_32, s.D))


FAMILY = Family(
    model_type="gemma",
    architectures=("GemmaForCausalLM", "GemmaModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
