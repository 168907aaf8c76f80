"""Gemma (Gemma Team 2024): Llama with wide heads and the embedding for its head."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, attention, block, decoder, gated, key_values
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of Gemma 7B."""
    return Sizes.of(config, V=256000, D=3072, F=24576, L=28, H=16, K=16, E=256)


def tensors(config: Config, architecture: str) -> Tensors:
    """No biases unless the config asks for them."""
    s = sizes(config)
    bias = config.flag("attention_bias", False)
    config.ignore("use_bidirectional_attention")

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, bias, bias)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", True), layer)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head; one head in Gemma 2B."""
    return key_values(sizes(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """Llama's, with norms all in float32."""
    s = sizes(config)
    k = saved.activation(config, "gelu_pytorch_tanh", "hidden_activation")
    return saved.Saves(
        [block(config, s, saved.feed_forward(s.F, k, gated=True), kind=saved.RMS_32)] * s.L,
        saved.norm(saved.RMS_32, s.D),
    )


GEMMA = Family(tensors, caches, ("GemmaForCausalLM", "GemmaModel"), saves=saves)
