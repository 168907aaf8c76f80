"""StableLM (Bellagente et al. 2024): Llama with layer norms."""

from dataclasses import dataclass

from weigh.errors import UnsupportedField
from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, attention, caches, decoder, gated, saved_attention, saved_mlp
from weigh.models.family import Family
from weigh.models.layers import Tensors, Weight, layer_norm


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(DecoderSizes):
    """A decoder's sizes, and whether each head has norms, and attention and feed-forward stand side by side."""

    head_norms: bool
    parallel: bool


def read(config: Config) -> Sizes:
    """The sizes of StableLM-3B-4E1T. The heads share the width, whatever the config says of their size."""
    s = Sizes.of(
        config, V=50304, D=2560, F=6912, L=32, H=32, K=32, qkv_bias=config.flag("use_qkv_bias", False),
        head_norms=config.flag("qk_layernorm", False), parallel=config.flag("use_parallel_residual", False),
        residual_dropout=config.rate("hidden_dropout", 0),
    )  # fmt: skip
    if s.E != s.D // s.H:
        raise UnsupportedField(
            f"{config.where}, field head_dim", f"{s.E} changes the answer, and weigh only knows {s.D // s.H}"
        )
    return s


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of Llama, perhaps with norms of each head, and with a parallel residual one norm a layer."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        if s.head_norms:
            for h in range(s.H):
                yield Weight(f"{name}.self_attn.q_layernorm.norms.{h}.weight", (s.E,), "norm")
            for h in range(s.K):
                yield Weight(f"{name}.self_attn.k_layernorm.norms.{h}.weight", (s.E,), "norm")
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from layer_norm(f"{name}.input_layernorm", s.D)
        if not s.parallel:
            yield from layer_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, layer, layer_norm)


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of Llama with layer norms, of which a parallel residual needs one."""
    before = saved.norm(saved.LAYER, s.D) * (1 if s.parallel else 2)
    per_head = saved.head_norms(saved.LAYER, s.H, s.K, s.E) if s.head_norms else []
    copied, masks = saved.heads_first(s.H, s.E), saved.dropped(s.residual_dropout, s.D)
    layer = saved.layer(s.D, before, per_head, saved_attention(s), copied, saved_mlp(s, gated=True), masks)
    return saved.SavedActivations([layer] * s.L, saved.norm(saved.LAYER, s.D))


FAMILY = Family(
    model_type="stablelm",
    architectures=("StableLmForCausalLM", "StableLmModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
