"""What DeepSeek-V2 and V3 are written with: latent attention, and many small experts beside some that all tokens share.

Two things in their files are no parameters of the reference: the module that predicts a second token
(`num_nextn_predict_layers`), which it does not build, and the biases that balance the experts, which it does not train.
"""

from dataclasses import dataclass
from typing import Any

from weigh.models import saved
from weigh.models.caches import Caches, Latent
from weigh.models.config import Config
from weigh.models.decoders import decoder, gated, norms, saved_mlp
from weigh.models.layers import Tensors, linear, rms_norm
from weigh.models.mixtures import MixtureSizes, expert_counts, experts, router, saved_experts


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentSizes(MixtureSizes):
    """A mixture's sizes, and those of its attention.

    Attributes:
        queries: The numbers that queries are compressed to; `None` if they are not.
        rank: Those that keys and values are compressed to, which are cached.
        key: The part of a head's key that is expanded from them.
        rope: The part that is rotated, which all heads share.
        value: The size of a head's value.
    """

    queries: int | None
    rank: int
    key: int
    rope: int
    value: int


def read(
    config: Config, *, experts: int, used: int | None, shared: int, width: int, dense: int, **sizes: Any
) -> LatentSizes:
    """The sizes that a config states.

    Args:
        config: The config.
        experts: The routed experts of a layer, where the config is silent; so are the others.
        used: Those that a token passes through.
        shared: The experts that all tokens pass through, which are stored as one network.
        width: The feed-forward width of an expert.
        dense: The layers before the first with experts.
        **sizes: Those of a decoder.
    """
    used, count = expert_counts(config, "n_routed_experts", experts, used)
    shared, width = config.size("n_shared_experts", shared), config.size("moe_intermediate_size", width)
    dense, bias = config.size("first_k_dense_replace", dense, least=0), config.flag("attention_bias", False)
    config.only("moe_layer_freq", 1)
    config.ignore(
        "num_nextn_predict_layers", "num_mtp_layers", "qk_head_dim", "rope_interleave", "ep_size", "aux_loss_alpha",
        "seq_aux", "n_group", "topk_group", "topk_method", "scoring_func",
    )  # fmt: skip
    return LatentSizes.of(
        config, used=used, count=count, own_width=width, shared=shared * width, qkv_bias=bias, o_bias=bias,
        sparse=lambda config, L: tuple(i >= dense for i in range(L)),
        queries=config.optional("q_lora_rank", 1536), rank=config.size("kv_lora_rank", 512),
        key=config.size("qk_nope_head_dim", 128), rope=config.size("qk_rope_head_dim", 64),
        value=config.size("v_head_dim", 128), **sizes,
    )  # fmt: skip


def attention(name: str, s: LatentSizes) -> Tensors:
    """The matrices that compress keys and values and expand them for each head, and for queries too if those are."""
    E = s.key + s.rope
    if s.queries is None:
        yield from linear(f"{name}.q_proj", s.D, s.H * E, "attention query", bias=False)
    else:
        yield from linear(f"{name}.q_a_proj", s.D, s.queries, "attention query-latent", s.qkv_bias)
        yield from rms_norm(f"{name}.q_a_layernorm", s.queries)
        yield from linear(f"{name}.q_b_proj", s.queries, s.H * E, "attention query", bias=False)
    yield from linear(f"{name}.kv_a_proj_with_mqa", s.D, s.rank + s.rope, "attention key-value-latent", s.qkv_bias)
    yield from rms_norm(f"{name}.kv_a_layernorm", s.rank)
    yield from linear(f"{name}.kv_b_proj", s.rank, s.H * (s.key + s.value), "attention key-value", bias=False)
    yield from linear(f"{name}.o_proj", s.H * s.value, s.D, "attention output", s.o_bias)


def tensors(s: LatentSizes, architecture: str) -> Tensors:
    """The tensors of dense layers first, then of layers with experts."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        if s.sparse[i]:
            yield from experts(f"{name}.mlp.experts", s)
            yield from router(f"{name}.mlp.gate", s)
            yield from gated(f"{name}.mlp.shared_experts", s.D, s.shared, s.mlp_bias, "shared-expert")
        else:
            yield from gated(f"{name}.mlp", s.D, s.F, s.mlp_bias)
        yield from norms(name, s.D)

    return decoder(architecture, s, layer)


def caches(s: LatentSizes) -> Caches:
    """The compressed keys and values, and the rotated key, once for all heads."""
    return [Latent(s.rank, s.rope)] * s.L


def saves(s: LatentSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of latent attention, dense layers and experts. The router's input is copied to float32."""
    heads = [
        *(saved.norm(saved.RMS, s.queries) if s.queries else []),
        *saved.norm(saved.RMS, s.rank),
        *saved.one(saved.HEADS, "b · H · (2 · E + 2 · U)", H=s.H, E=s.key + s.rope, U=s.value),
        *saved.one("statistics of the scores", "4 · H", "fused", H=s.H),
        *saved.rest_of_view(s.H * s.key),
        *saved.heads_first(s.H, s.value),
        *saved.scores(s.H, s.score_dropout),
    ]
    sparse = [
        *saved.one("inputs of the routers in float32", "c · D", D=s.D),
        *saved_experts(s),
        *saved.feed_forward(s.shared, s.activation.kept, gated=True),
    ]
    dense = saved_mlp(s, gated=True)
    layers = [
        saved.layer(s.D, 2 * saved.norm(saved.RMS, s.D), heads, sparse if routes else dense) for routes in s.sparse
    ]
    return saved.SavedActivations(layers, saved.norm(saved.RMS, s.D))
