"""Qwen3-MoE (Yang et al. 2025): Qwen3 with routed experts and none that is shared."""

from weigh.models import mixtures, saved
from weigh.models.config import Config
from weigh.models.decoders import Windows, attention, caches, decoder, gated, head_norms, norms, used_window
from weigh.models.family import Family
from weigh.models.layers import Tensors
from weigh.models.mixtures import MixtureSizes, expert_counts, experts, router, saved_experts, sparse_layers


def windows(config: Config, L: int) -> Windows:
    """The window of every layer, where the config uses one."""
    config.ignore("max_window_layers")
    _, window = used_window(config, 4096)
    return (window,) * L


def read(config: Config) -> MixtureSizes:
    """The sizes of the reference's default. The experts were published as num_experts; the reference renames them."""
    field = "num_local_experts" if "num_local_experts" in config.fields else "num_experts"
    used, count = expert_counts(config, field, 128, 8)
    bias = config.flag("attention_bias", False)
    return MixtureSizes.of(
        config, V=151936, D=2048, F=6144, L=24, H=32, K=4, qkv_bias=bias, o_bias=bias, windows=windows,
        used=used, count=count, sparse=sparse_layers, own_width=config.size("moe_intermediate_size", 768),
    )  # fmt: skip


def tensors(s: MixtureSizes, architecture: str) -> Tensors:
    """The tensors of Qwen3, with experts in sparse layers, and in others one gated network of the full width F."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from head_norms(f"{name}.self_attn", s.E, s.E)
        if s.sparse[i]:
            yield from experts(f"{name}.mlp.experts", s)
            yield from router(f"{name}.mlp.gate", s)
        else:
            yield from gated(f"{name}.mlp", s.D, s.F)
        yield from norms(name, s.D)

    return decoder(architecture, s, layer)


def saves(s: MixtureSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of Qwen3, with a router and experts."""
    return mixtures.saves(s, saved_experts(s), saved.head_norms(saved.RMS, s.H, s.K, s.E))


FAMILY = Family(
    model_type="qwen3_moe",
    architectures=("Qwen3MoeForCausalLM", "Qwen3MoeModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
