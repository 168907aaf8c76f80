"""Qwen1.5-MoE and Qwen2-MoE (Yang et al. 2024): Qwen2 with routed experts and one that every token passes through."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import (
    Sizes,
    alternating,
    attention,
    block,
    decoder,
    expert_counts,
    experts,
    gated,
    sparse_layers,
)  # fmt: skip
from weigh.models.families.parts import Caches, Family, Tensors, linear, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of Qwen1.5-MoE-A2.7B."""
    return Sizes.of(config, V=151936, D=2048, F=5632, L=24, H=16, K=16)


def tensors(config: Config, architecture: str) -> Tensors:
    """Layers that are not sparse have one gated network of the full width F."""
    s = sizes(config)
    bias = config.flag("qkv_bias", True)
    used, count = expert_counts(config, "num_experts", 60, 4)
    routed, shared = config.size("moe_intermediate_size", 1408), config.size("shared_expert_intermediate_size", 5632)
    sparse = sparse_layers(config, s)

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, qkv_bias=bias)
        if sparse[i]:
            yield f"{name}.mlp.gate.weight", (count, s.D)
            yield from experts(f"{name}.mlp.experts", s.D, routed, used, count)
            yield from gated(f"{name}.mlp.shared_expert", s.D, shared)
            yield from linear(f"{name}.mlp.shared_expert_gate", s.D, 1, bias=False)
        else:
            yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def caches(config: Config) -> Caches:
    """Where the config uses its window, every other layer below `max_window_layers` has it."""
    config.ignore("sliding_window")
    slides = config.flag("use_sliding_window", False)
    window = config.optional("sliding_window", 4096) if slides else None
    end = config.size("max_window_layers", 28, least=0)
    return alternating(config, sizes(config), window, lambda i: slides and i < end and i % 2 == 0)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Llama's, with a router and experts, beside one whose output is multiplied by a gate of its own."""
    s, k = sizes(config), saved.activation(config, "silu")
    used, count = expert_counts(config, "num_experts", 60, 4)
    routed, shared = config.size("moe_intermediate_size", 1408), config.size("shared_expert_intermediate_size", 5632)
    sparse = [
        *saved.routed(s.D, routed, used, k, probabilities=count),
        *saved.feed_forward(shared, k, gated=True),
        *saved.piece("outputs of the shared expert", "b · D", D=s.D),
    ]
    dense = saved.feed_forward(s.F, k, gated=True)
    layers = [block(config, s, sparse if routes else dense) for routes in sparse_layers(config, s)]
    return saved.Saves(layers, saved.norm(saved.RMS, s.D))


QWEN2_MOE = Family(tensors, caches, ("Qwen2MoeForCausalLM", "Qwen2MoeModel"), saves=saves)
