"""StarCoder2 (Lozhkov et al. 2024): grouped-query attention, a feed-forward without a gate, and biases throughout."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import (
    DecoderSizes,
    attention,
    caches,
    decoder,
    every_layer,
    norms,
    saved_layer,
    saved_mlp,
)  # fmt: skip
from weigh.models.family import Family
from weigh.models.layers import Tensors, layer_norm, linear


def read(config: Config) -> DecoderSizes:
    """The sizes of the reference's default. The released models set a window."""
    bias = config.flag("use_bias", True)
    config.only("mlp_type", "default")
    config.only("norm_type", "layer_norm")
    config.ignore("norm_epsilon")
    return DecoderSizes.of(
        config, V=49152, D=3072, F=12288, L=30, H=24, K=2, tied=True, qkv_bias=bias, o_bias=bias, mlp_bias=bias,
        activation="gelu_pytorch_tanh", windows=every_layer(),
        residual_dropout=config.rate("residual_dropout", 0), embedding_dropout=config.rate("embedding_dropout", 0),
    )  # fmt: skip


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of a decoder with layer norms, which have biases whether or not the projections do."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from linear(f"{name}.mlp.c_fc", s.D, s.F, "feed-forward up", s.mlp_bias)
        yield from linear(f"{name}.mlp.c_proj", s.F, s.D, "feed-forward down", s.mlp_bias)
        yield from norms(name, s.D, layer_norm)

    return decoder(architecture, s, layer, layer_norm)


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of Llama with layer norms, and with a feed-forward without a gate."""
    masks, embedded = saved.dropped(s.residual_dropout, s.D, 2), saved.dropped(s.embedding_dropout, s.D)
    layer = saved_layer(s, saved_mlp(s), masks, kind=saved.LAYER)
    return saved.SavedActivations([layer] * s.L, [*embedded, *saved.norm(saved.LAYER, s.D)])


FAMILY = Family(
    model_type="starcoder2",
    architectures=("Starcoder2ForCausalLM", "Starcoder2Model"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
    gguf_mixes=True,
)
