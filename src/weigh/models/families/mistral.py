"""Mistral 7B (Jiang et al. 2023): Llama whose layers attend to a sliding window."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, attention, block, decoder, gated, key_values
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of Mistral 7B."""
    return Sizes.of(config, V=32000, D=4096, F=14336, L=32, H=32, K=8)


def tensors(config: Config, architecture: str) -> Tensors:
    """Grouped-query attention and a gated feed-forward, without biases."""
    s = sizes(config)

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def caches(config: Config) -> Caches:
    """The same window in every layer, and none where the config sets it to null, as later releases do."""
    s = sizes(config)
    return key_values(s, [config.optional("sliding_window", 4096)] * s.L)


def saves(config: Config, architecture: str) -> saved.Saves:
    """What Llama saves."""
    s = sizes(config)
    return saved.Saves(
        [block(config, s, saved.feed_forward(s.F, saved.activation(config, "silu"), gated=True))] * s.L,
        saved.norm(saved.RMS, s.D),
    )


MISTRAL = Family(tensors, caches, ("MistralForCausalLM", "MistralModel"), saves=saves)
