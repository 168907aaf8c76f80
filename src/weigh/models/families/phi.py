"""Phi-1 to Phi-2 (Li et al. 2023): attention and feed-forward side by side, biases throughout, the head's included."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, decoder, saved_attention, saved_mlp
from weigh.models.family import Family
from weigh.models.layers import Tensors, layer_norm, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(DecoderSizes):
    """A decoder's sizes, and whether queries and keys have norms."""

    head_norms: bool


def read(config: Config) -> Sizes:
    """The sizes of Phi-1."""
    return Sizes.of(
        config, V=51200, D=2048, F=8192, L=24, H=32, activation="gelu_new",
        head_norms=config.flag("qk_layernorm", False),
        residual_dropout=config.rate("resid_pdrop", 0), embedding_dropout=config.rate("embd_pdrop", 0),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of a decoder with one norm a layer, and with `qk_layernorm` one each for queries and keys."""

    def layer(name: str, i: int) -> Tensors:
        yield from linear(f"{name}.self_attn.q_proj", s.D, s.H * s.E, "attention query")
        yield from linear(f"{name}.self_attn.k_proj", s.D, s.K * s.E, "attention key")
        yield from linear(f"{name}.self_attn.v_proj", s.D, s.K * s.E, "attention value")
        yield from linear(f"{name}.self_attn.dense", s.H * s.E, s.D, "attention output")
        if s.head_norms:
            yield from layer_norm(f"{name}.self_attn.q_layernorm", s.D // s.H)
            yield from layer_norm(f"{name}.self_attn.k_layernorm", s.D // s.H)
        yield from linear(f"{name}.mlp.fc1", s.D, s.F, "feed-forward up")
        yield from linear(f"{name}.mlp.fc2", s.F, s.D, "feed-forward down")
        yield from layer_norm(f"{name}.input_layernorm", s.D)

    return decoder(architecture, s, layer, layer_norm, last="final_layernorm", head_bias=True)


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of attention and feed-forward, which one norm feeds."""
    per_head = saved.head_norms(saved.LAYER, s.H, s.K, s.E) if s.head_norms else []
    masks, embedded = saved.dropped(s.residual_dropout, s.D, 2), saved.dropped(s.embedding_dropout, s.D)
    norm, copied = saved.norm(saved.LAYER, s.D), saved.heads_first(s.H, s.E)
    layer = saved.layer(s.D, norm, per_head, saved_attention(s), copied, saved_mlp(s), masks)
    return saved.SavedActivations([layer] * s.L, [*embedded, *norm])


FAMILY = Family(
    model_type="phi",
    architectures=("PhiForCausalLM", "PhiModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
