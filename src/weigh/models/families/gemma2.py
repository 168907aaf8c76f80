"""Gemma 2 (Gemma Team 2024): Gemma with norms on both sides of each part of a layer, and local layers."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, alternating, attention, decoder, gated
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of Gemma 2 2B."""
    return Sizes.of(config, V=256000, D=2304, F=9216, L=26, H=8, K=4, E=256)


def tensors(config: Config, architecture: str) -> Tensors:
    """Four norms a layer."""
    s = sizes(config)
    bias = config.flag("attention_bias", False)
    config.ignore("use_bidirectional_attention", "cache_implementation")

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, bias, bias)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)
        yield from rms_norm(f"{name}.pre_feedforward_layernorm", s.D)
        yield from rms_norm(f"{name}.post_feedforward_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", True), layer)


def caches(config: Config) -> Caches:
    """A window in every other layer, the first included."""
    return alternating(config, sizes(config), config.optional("sliding_window", 4096), lambda i: i % 2 == 0)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Of the norms on both sides of each part, those after it feed no matrix."""
    s = sizes(config)
    four = [*2 * saved.norm(saved.RMS_32, s.D), *2 * saved.norm(saved.RMS_32, s.D, results=0)]
    heads = saved.attention(s.H, s.K, s.E, config.get("attention_dropout", 0))
    mlp = saved.feed_forward(s.F, saved.activation(config, "gelu_pytorch_tanh", "hidden_activation"), gated=True)
    capped, last = saved.piece("capped scores", "b · H · T", "stored", H=s.H), saved.norm(saved.RMS_32, s.D)
    if "attn_logit_softcapping" in config.nulls:
        capped = []
    if "final_logit_softcapping" not in config.nulls and architecture == "Gemma2ForCausalLM":
        last += saved.piece("capped logits", "b · V", V=s.V)
    return saved.Saves([saved.layer(s.D, four, heads, capped, mlp)] * s.L, last)


GEMMA2 = Family(tensors, caches, ("Gemma2ForCausalLM", "Gemma2Model"), saves=saves)
