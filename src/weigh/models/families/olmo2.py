"""OLMo 2 (OLMo Team 2024): norms after each part of a layer instead of before it, and on queries and keys."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, attention, decoder, gated, key_values
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm


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


def saves(config: Config, architecture: str) -> saved.Saves:
    """The residual stream itself feeds attention and feed-forward; only the last norm feeds a matrix."""
    s = sizes(config)
    stream = saved.piece("inputs of attention and feed-forward", "2 · b · D", D=s.D)
    widths = (s.D, s.D, s.H * s.E, s.K * s.E)
    norms = [part for width in widths for part in saved.norm(saved.RMS_32, width, results=0)]
    heads = saved.attention(s.H, s.K, s.E, config.get("attention_dropout", 0))
    mlp = saved.feed_forward(s.F, saved.activation(config, "silu"), gated=True)
    return saved.Saves([saved.layer(s.D, stream, norms, heads, mlp)] * s.L, saved.norm(saved.RMS_32, s.D))


OLMO2 = Family(tensors, caches, ("Olmo2ForCausalLM", "Olmo2Model"), saves=saves)
