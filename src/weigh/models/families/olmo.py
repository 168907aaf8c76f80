"""OLMo (Groeneveld et al. 2024): Llama with norms that have no weights."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, attention, caches, decoder, gated, saved_layer, saved_mlp
from weigh.models.family import Family
from weigh.models.layers import Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(DecoderSizes):
    """A decoder's sizes, and whether queries, keys and values are clipped."""

    clips: bool


def read(config: Config) -> Sizes:
    """The sizes of OLMo 7B."""
    bias = config.flag("attention_bias", False)
    return Sizes.of(
        config, V=50304, D=4096, F=11008, L=32, H=32, qkv_bias=bias, o_bias=bias, clips=bool(config.get("clip_qkv"))
    )


def weightless(name: str, size: int) -> Tensors:
    """A layer norm that only standardises."""
    yield from ()


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of Llama without norms: nothing but matrices."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from gated(f"{name}.mlp", s.D, s.F)

    return decoder(architecture, s, layer, weightless)


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of Llama, with layer norms in float32, and with what is clipped, if it is."""
    clipped = saved.one("clipped queries, keys and values", "b · (H + 2 · K) · E", H=s.H, K=s.K, E=s.E)
    layer = saved_layer(s, saved_mlp(s, gated=True), clipped if s.clips else [], kind=saved.LAYER_32)
    return saved.SavedActivations([layer] * s.L, saved.norm(saved.LAYER_32, s.D))


FAMILY = Family(
    model_type="olmo",
    architectures=("OlmoForCausalLM", "OlmoModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
