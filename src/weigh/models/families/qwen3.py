"""Qwen3 (Yang et al. 2025): Llama with a norm on each query and key head, and heads of a size of their own."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, attention, block, decoder, gated
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm
from weigh.models.families.qwen2 import upper_layers_slide


def sizes(config: Config) -> Sizes:
    """Those of the reference's default."""
    return Sizes.of(config, V=151936, D=4096, F=22016, L=32, H=32, K=32, E=128)


def tensors(config: Config, architecture: str) -> Tensors:
    """One norm of size E serves all heads."""
    s = sizes(config)
    bias = config.flag("attention_bias", False)

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, bias, bias)
        yield from rms_norm(f"{name}.self_attn.q_norm", s.E)
        yield from rms_norm(f"{name}.self_attn.k_norm", s.E)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head."""
    return upper_layers_slide(config, sizes(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """Llama's, and a norm for each head of queries and keys."""
    s = sizes(config)
    mlp = saved.feed_forward(s.F, saved.activation(config, "silu"), gated=True)
    return saved.Saves(
        [block(config, s, mlp, saved.head_norms(saved.RMS, s.H, s.K, s.E))] * s.L, saved.norm(saved.RMS, s.D)
    )


QWEN3 = Family(tensors, caches, ("Qwen3ForCausalLM", "Qwen3Model"), saves=saves)
