"""Phi-3 (Abdin et al. 2024): Llama with its input projections fused."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, decoder, every_layer, norms, saved_layer, saved_mlp
from weigh.models.family import Family
from weigh.models.layers import Tensors, linear


def read(config: Config) -> DecoderSizes:
    """The sizes of Phi-3-mini, which sets a window."""
    config.only("attention_bias", False)
    return DecoderSizes.of(
        config, V=32064, D=3072, F=8192, L=32, H=32, windows=every_layer(),
        residual_dropout=config.rate("resid_pdrop", 0),
    )  # fmt: skip


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of Llama, with one matrix for queries, keys and values, and one for the gate and what it gates."""

    def layer(name: str, i: int) -> Tensors:
        attention, mlp = f"{name}.self_attn", f"{name}.mlp"
        yield from linear(f"{attention}.o_proj", s.H * s.E, s.D, "attention output", bias=False)
        yield from linear(f"{attention}.qkv_proj", s.D, (s.H + 2 * s.K) * s.E, "attention query-key-value", bias=False)
        yield from linear(f"{mlp}.gate_up_proj", s.D, 2 * s.F, "feed-forward gate-up", bias=False)
        yield from linear(f"{mlp}.down_proj", s.F, s.D, "feed-forward down", bias=False)
        yield from norms(name, s.D)

    return decoder(architecture, s, layer)


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of Llama, but the values are a view of all that one matrix gives."""
    view, copied = saved.rest_of_view((s.H + s.K) * s.E, repeated=s.K < s.H), saved.heads_first(s.H, s.E)
    layer = saved_layer(s, saved_mlp(s, gated=True), view, copied, saved.dropped(s.residual_dropout, s.D, 2))
    return saved.SavedActivations([layer] * s.L, saved.norm(saved.RMS, s.D))


FAMILY = Family(
    model_type="phi3",
    architectures=("Phi3ForCausalLM", "Phi3Model"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
