"""Falcon (Almazrouei et al. 2023): multi-query attention in the first release, grouped-query in the later ones."""

from dataclasses import dataclass

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, decoder, saved_mlp
from weigh.models.family import Family
from weigh.models.layers import Tensors, layer_norm, linear


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes(DecoderSizes):
    """A decoder's sizes.

    Attributes:
        new: Whether it is of the newer releases.
        bias: Whether projections have biases.
        parallel: Whether attention and feed-forward stand side by side.
        norms: How many norms they then have.
        alibi: Whether positions are slopes of the attention scores.
    """

    new: bool
    bias: bool
    parallel: bool
    norms: int
    alibi: bool


def read(config: Config) -> Sizes:
    """The sizes of Falcon-7B."""
    config.ignore("apply_residual_connection_post_layernorm", "ff_factor", "max_position_embeddings")
    D = config.size("n_embed", config.size("hidden_size", 4544))
    H = config.size("num_attention_heads", 71)
    K, multi_query = config.size("num_kv_heads", H), config.flag("multi_query", True)
    new = config.flag("new_decoder_architecture", False)
    if not new:
        K = 1 if multi_query else H
    config.split("num_attention_heads", "num_kv_heads", H, K)
    return Sizes(
        V=config.size("vocab_size", 65024), D=D, F=config.size("ffn_hidden_size", 4 * D),
        L=config.layers("num_hidden_layers", 32),
        H=H, K=K, E=config.split("hidden_size", "num_attention_heads", D, H), new=new,
        tied=config.flag("tie_word_embeddings", True), bias=config.flag("bias", False),
        parallel=config.flag("parallel_attn", True), norms=config.size("num_ln_in_parallel_attn", 2 if new else 1),
        alibi=config.flag("alibi", False), activation=saved.activation(config, "gelu", "activation"),
        score_dropout=config.rate("attention_dropout", 0), residual_dropout=config.rate("hidden_dropout", 0),
    )  # fmt: skip


def tensors(s: Sizes, architecture: str) -> Tensors:
    """The tensors of attention and feed-forward side by side, after one norm or one each, unless not `parallel`."""
    fused = (s.H + 2 * s.K) * s.E

    def layer(name: str, i: int) -> Tensors:
        attention = f"{name}.self_attention"
        yield from linear(f"{attention}.query_key_value", s.D, fused, "attention query-key-value", s.bias)
        yield from linear(f"{attention}.dense", s.D, s.D, "attention output", s.bias)
        yield from linear(f"{name}.mlp.dense_h_to_4h", s.D, s.F, "feed-forward up", s.bias)
        yield from linear(f"{name}.mlp.dense_4h_to_h", s.F, s.D, "feed-forward down", s.bias)
        if not s.parallel:
            yield from layer_norm(f"{name}.post_attention_layernorm", s.D)
        if s.parallel and s.norms == 2:
            yield from layer_norm(f"{name}.ln_attn", s.D)
            yield from layer_norm(f"{name}.ln_mlp", s.D)
        else:
            yield from layer_norm(f"{name}.input_layernorm", s.D)

    return decoder(
        architecture, s, layer, layer_norm, body="transformer.", words="word_embeddings", layers="h", last="ln_f"
    )


def saves(s: Sizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of a GPT.

    Newer releases copy keys and values for each query; in older ones, values may be a view.
    """
    norm, masks = saved.norm(saved.LAYER, s.D), saved.dropped(s.residual_dropout, s.D)
    if not s.parallel:
        norms = 2 * norm
        masks += saved.dropped(s.score_dropout, s.D)  # that of the attention's output, at the rate of the scores
    else:
        norms = saved.norm(saved.TWO_LAYERS, s.D, results=2) if s.norms == 2 else norm
    attention = [
        *saved.heads(s.H, s.H if s.new else s.K, s.E, broadcast=s.K < s.H and not s.new),
        *(saved.rest_of_view(2 * s.H * s.E) if s.K == s.H and not s.alibi else []),
        *saved.scores(s.H, s.score_dropout if s.alibi else 0, softmax_32=False),  # without, the reference drops none
        # Fused attention is always given a mask, which is cast to the model's format in each layer.
        *saved.one("attention mask", "b · T", "fused"),
    ]
    return saved.SavedActivations([saved.layer(s.D, norms, attention, saved_mlp(s), masks)] * s.L, norm)


FAMILY = Family(
    model_type="falcon",
    architectures=("FalconForCausalLM", "FalconModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
