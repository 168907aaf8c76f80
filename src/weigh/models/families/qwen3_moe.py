"""Qwen3-MoE (Yang et al. 2025): Qwen3 with routed experts and none that is shared."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import (
    Sizes,
    attention,
    block,
    decoder,
    expert_counts,
    experts,
    gated,
    key_values,
    sparse_layers,
)  # fmt: skip
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of the reference's default."""
    return Sizes.of(config, V=151936, D=2048, F=6144, L=24, H=32, K=4)


def experts_field(config: Config) -> str:
    """Published as num_experts; the reference saves it as num_local_experts."""
    return "num_local_experts" if "num_local_experts" in config.fields else "num_experts"


def tensors(config: Config, architecture: str) -> Tensors:
    """Layers that are not sparse have one gated network of the full width F."""
    s = sizes(config)
    bias = config.flag("attention_bias", False)
    used, count = expert_counts(config, experts_field(config), 128, 8)
    routed = config.size("moe_intermediate_size", 768)
    sparse = sparse_layers(config, s)

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, bias, bias)
        yield from rms_norm(f"{name}.self_attn.q_norm", s.E)
        yield from rms_norm(f"{name}.self_attn.k_norm", s.E)
        if sparse[i]:
            yield from experts(f"{name}.mlp.experts", s.D, routed, used, count)
            yield f"{name}.mlp.gate.weight", (count, s.D)
        else:
            yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def caches(config: Config) -> Caches:
    """Where the config uses its window, every layer has it."""
    s = sizes(config)
    config.ignore("sliding_window", "max_window_layers")
    window = config.optional("sliding_window", 4096) if config.flag("use_sliding_window", False) else None
    return key_values(s, [window] * s.L)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Qwen3's, with a router and experts."""
    s, k = sizes(config), saved.activation(config, "silu")
    used, count = expert_counts(config, experts_field(config), 128, 8)
    sparse = saved.routed(s.D, config.size("moe_intermediate_size", 768), used, k, probabilities=count)
    dense, per_head = saved.feed_forward(s.F, k, gated=True), saved.head_norms(saved.RMS, s.H, s.K, s.E)
    layers = [block(config, s, sparse if routes else dense, per_head) for routes in sparse_layers(config, s)]
    return saved.Saves(layers, saved.norm(saved.RMS, s.D))


QWEN3_MOE = Family(tensors, caches, ("Qwen3MoeForCausalLM", "Qwen3MoeModel"), saves=saves)
