"""BLOOM (BigScience 2022): positions are slopes of the attention scores, and the embedding has a norm."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, caches, decoder, saved_attention, saved_mlp
from weigh.models.family import Family
from weigh.models.layers import Tensors, layer_norm, linear


def read(config: Config) -> DecoderSizes:
    """The sizes of the reference's default. Configs call three of them by two names; the second prevails.

    The feed-forward is four times as wide as the model. Its GELU is the family's own, and saves what GELU does.
    """
    config.ignore(
        "apply_residual_connection_post_layernorm", "attention_softmax_in_fp32", "bias_dropout_fusion",
        "masked_softmax_fusion", "offset_alibi", "seq_length", "skip_bias_add", "skip_bias_add_qkv", "slow_but_exact",
    )  # fmt: skip
    D = config.size("n_embed", config.size("hidden_size", 64))
    H = config.size("num_attention_heads", config.size("n_head", 8))
    return DecoderSizes(
        V=config.size("vocab_size", 250880), D=D, F=4 * D,
        L=config.layers("num_hidden_layers", config.layers("n_layer", 2)),
        H=H, K=H, E=config.split("hidden_size", "n_head", D, H), tied=config.flag("tie_word_embeddings", True),
        activation=saved.Activation("gelu", config.where),
        score_dropout=config.rate("attention_dropout", 0), residual_dropout=config.rate("hidden_dropout", 0),
    )  # fmt: skip


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of a GPT whose queries, keys and values come from one matrix."""

    def layer(name: str, i: int) -> Tensors:
        yield from layer_norm(f"{name}.input_layernorm", s.D)
        yield from linear(f"{name}.self_attention.query_key_value", s.D, 3 * s.D, "attention query-key-value")
        yield from linear(f"{name}.self_attention.dense", s.D, s.D, "attention output")
        yield from layer_norm(f"{name}.post_attention_layernorm", s.D)
        yield from linear(f"{name}.mlp.dense_h_to_4h", s.D, s.F, "feed-forward up")
        yield from linear(f"{name}.mlp.dense_4h_to_h", s.F, s.D, "feed-forward down")

    return decoder(
        architecture, s, layer, layer_norm, body="transformer.", words="word_embeddings", layers="h", last="ln_f",
        between=lambda body: layer_norm(f"{body}word_embeddings_layernorm", s.D),
    )  # fmt: skip


def saves(s: DecoderSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of a GPT, and of a norm of the embedding, which feeds no matrix."""
    norm, masks = saved.norm(saved.LAYER, s.D), saved.dropped(s.residual_dropout, s.D, 2)
    layer = saved.layer(s.D, 2 * norm, saved_attention(s), saved_mlp(s), masks)
    return saved.SavedActivations([layer] * s.L, [*saved.norm(saved.LAYER, s.D, results=0), *norm], fused=False)


FAMILY = Family(
    model_type="bloom",
    architectures=("BloomForCausalLM", "BloomModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
