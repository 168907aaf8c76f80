"""OLMo 2 (OLMo Team 2024): norms after each part of a layer instead of before it, and on queries and keys."""

from weigh.config import Config
from weigh.families.decoder import Sizes, attention, decoder, gated, key_values
from weigh.families.parts import Caches, Family, Tensors, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of the reference's default."""
    return Sizes.of(config, V=50304, D=4096, F=11008, L=32, H=32)


def tensors(config: Config, architecture: str) -> Tensors:
    """The norms of queries and keys span all heads."""
    s = sizes(config)
    bias = config.flag("attention_bias", False)

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, bias, bias)
        yield from rms_norm(f"{name}.self_attn.q_norm", s.H * s.E)
        yield from rms_norm(f"{name}.self_attn.k_norm", s.K * s.E)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)
        yield from rms_norm(f"{name}.post_feedforward_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head."""
    return key_values(sizes(config))


OLMO2 = Family(tensors, caches, ("Olmo2ForCausalLM", "Olmo2Model"))
