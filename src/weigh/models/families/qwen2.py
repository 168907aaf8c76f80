"""Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases on queries, keys and values."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, alternating, attention, block, decoder, gated
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of the reference's default."""
    return Sizes.of(config, V=151936, D=4096, F=22016, L=32, H=32, K=32)


def tensors(config: Config, architecture: str) -> Tensors:
    """Biases where the projections enter attention, none where they leave it."""
    s = sizes(config)

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, qkv_bias=True)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def upper_layers_slide(config: Config, s: Sizes) -> Caches:
    """Where the config uses its window, the layers from `max_window_layers` up have it."""
    config.ignore("sliding_window")
    window = config.optional("sliding_window", 4096) if config.flag("use_sliding_window", False) else None
    first = config.size("max_window_layers", 28, least=0)
    return alternating(config, s, window, lambda i: window is not None and i >= first)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head."""
    return upper_layers_slide(config, sizes(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """What Llama saves."""
    s = sizes(config)
    return saved.Saves(
        [block(config, s, saved.feed_forward(s.F, saved.activation(config, "silu"), gated=True))] * s.L,
        saved.norm(saved.RMS, s.D),
    )


QWEN2 = Family(tensors, caches, ("Qwen2ForCausalLM", "Qwen2Model"), saves=saves)
