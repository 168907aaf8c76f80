"""Cohere's Command R (2024): attention and feed-forward side by side, after one norm."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, attention, caches, decoder, gated, saved_attention, saved_mlp
from weigh.models.family import Family
from weigh.models.layers import Tensors, Weight, rms_norm


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(DecoderSizes):
    """A decoder's sizes, and whether every query and key head has a norm of its own, as in Command R+."""

    head_norms: bool


def read(config: Config) -> Sizes:
    """The sizes of Command R."""
    bias = config.flag("attention_bias", False)
    config.ignore("logit_scale")
    return Sizes.of(
        config, V=256000, D=8192, F=22528, L=40, H=64, tied=True, qkv_bias=bias, o_bias=bias,
        head_norms=config.flag("use_qk_norm", False),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of a decoder with one norm a layer, which has a weight and no bias."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        if s.head_norms:
            yield Weight(f"{name}.self_attn.q_norm.weight", (s.H, s.E), "norm")
            yield Weight(f"{name}.self_attn.k_norm.weight", (s.K, s.E), "norm")
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)

    return decoder(architecture, s, layer)


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of attention and feed-forward, which one norm feeds."""
    per_head = saved.head_norms(saved.CENTRED_32, s.H, s.K, s.E) if s.head_norms else []
    norm = saved.norm(saved.CENTRED_32, s.D)
    layer = saved.layer(s.D, norm, per_head, saved_attention(s), saved_mlp(s, gated=True))
    return saved.SavedActivations([layer] * s.L, norm)


FAMILY = Family(
    model_type="cohere",
    architectures=("CohereForCausalLM", "CohereModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
