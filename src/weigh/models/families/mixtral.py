"""Mixtral (Jiang et al. 2024): Mistral with a mixture of experts for its feed-forward."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, attention, block, decoder, expert_counts, experts, key_values
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of Mixtral 8x7B."""
    return Sizes.of(config, V=32000, D=4096, F=14336, L=32, H=32, K=8)


def tensors(config: Config, architecture: str) -> Tensors:
    """A router picks 2 of 8 experts for each token in each layer."""
    s = sizes(config)
    used, count = expert_counts(config, "num_local_experts", 8, 2)
    config.ignore("router_jitter_noise")

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield f"{name}.mlp.gate.weight", (count, s.D)
        yield from experts(f"{name}.mlp.experts", s.D, s.F, used, count)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def caches(config: Config) -> Caches:
    """Every token, unless the config sets a window."""
    s = sizes(config)
    return key_values(s, [config.optional("sliding_window")] * s.L)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Llama's, with a router and experts."""
    s = sizes(config)
    used, count = expert_counts(config, "num_local_experts", 8, 2)
    mlp = saved.routed(s.D, s.F, used, saved.activation(config, "silu"), probabilities=count)
    return saved.Saves([block(config, s, mlp)] * s.L, saved.norm(saved.RMS, s.D))


MIXTRAL = Family(tensors, caches, ("MixtralForCausalLM", "MixtralModel"), saves=saves)
