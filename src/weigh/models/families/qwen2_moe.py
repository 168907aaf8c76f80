"""Qwen1.5-MoE and Qwen2-MoE (Yang et al. 2024): Qwen2 with routed experts and one that every token passes through."""

from weigh.models import mixtures, saved
from weigh.models.config import Config
from weigh.models.decoders import Windows, alternating, attention, caches, decoder, gated, norms, used_window
from weigh.models.family import Family
from weigh.models.layers import Tensors, linear
from weigh.models.mixtures import MixtureSizes, expert_counts, experts, router, saved_experts, sparse_layers


def windows(config: Config, L: int) -> Windows:
    """The window of every other layer below `max_window_layers`, where the config uses one."""
    (slides, window), end = used_window(config, 4096), config.size("max_window_layers", 28, least=0)
    return alternating(config, L, window, lambda i: slides and i < end and i % 2 == 0)


def read(config: Config) -> MixtureSizes:
    """The sizes of Qwen1.5-MoE-A2.7B."""
    used, count = expert_counts(config, "num_experts", 60, 4)
    return MixtureSizes.of(
        config, V=151936, D=2048, F=5632, L=24, H=16, K=16, qkv_bias=config.flag("qkv_bias", True), windows=windows,
        used=used, count=count, sparse=sparse_layers,
        own_width=config.size("moe_intermediate_size", 1408),
        shared=config.size("shared_expert_intermediate_size", 5632),
    )  # fmt: skip


def tensors(s: MixtureSizes, architecture: str) -> Tensors:
    """The tensors of Qwen2, with experts in sparse layers, and in others one gated network of the full width F."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        if s.sparse[i]:
            yield from router(f"{name}.mlp.gate", s)
            yield from experts(f"{name}.mlp.experts", s)
            yield from gated(f"{name}.mlp.shared_expert", s.D, s.shared, sublayer="shared-expert")
            yield from linear(f"{name}.mlp.shared_expert_gate", s.D, 1, "router", bias=False)
        else:
            yield from gated(f"{name}.mlp", s.D, s.F)
        yield from norms(name, s.D)

    return decoder(architecture, s, layer)


def saves(s: MixtureSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of Llama, with routed experts, beside one whose output is multiplied by a gate of its own."""
    shared = saved.feed_forward(s.shared, s.activation.kept, gated=True)
    return mixtures.saves(
        s, [*saved_experts(s), *shared, *saved.one("outputs of the shared expert", "b · D", D=s.D)]
    )  # fmt: skip


FAMILY = Family(
    model_type="qwen2_moe",
    architectures=("Qwen2MoeForCausalLM", "Qwen2MoeModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
