"""Mixtral (Jiang et al. 2024): Mistral with a mixture of experts for its feed-forward."""

from weigh.models import mixtures
from weigh.models.config import Config
from weigh.models.decoders import attention, caches, decoder, every_layer, norms
from weigh.models.family import Family
from weigh.models.layers import Tensors
from weigh.models.mixtures import MixtureSizes, all_layers, expert_counts, experts, router, saved_experts
from weigh.models.saved import SavedActivations


def read(config: Config) -> MixtureSizes:
    """The sizes of Mixtral 8x7B, where a router picks 2 of 8 experts for each token in each layer."""
    used, count = expert_counts(config, "num_local_experts", 8, 2)
    config.ignore("router_jitter_noise")
    return MixtureSizes.of(
        config, V=32000, D=4096, F=14336, L=32, H=32, K=8,
        windows=every_layer(), used=used, count=count, sparse=all_layers,
    )  # fmt: skip


def tensors(s: MixtureSizes, architecture: str) -> Tensors:
    """The tensors of Mistral, with a router and experts."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from router(f"{name}.mlp.gate", s)
        yield from experts(f"{name}.mlp.experts", s)
        yield from norms(name, s.D)

    return decoder(architecture, s, layer)


def saves(s: MixtureSizes, architecture: str) -> SavedActivations:
    """The saved tensors of Llama, with a router and experts."""
    return mixtures.saves(s, saved_experts(s))


FAMILY = Family(
    model_type="mixtral",
    architectures=("MixtralForCausalLM", "MixtralModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
