"""BART (Lewis et al. 2020)."""

from weigh.config import Config
from weigh.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, labels, layer_norm, linear


def attention(name: str, D: int, key_bias: bool = True) -> Tensors:
    """Key, value, query and output, in this order. A bias of the keys would not change the attention."""
    yield from linear(f"{name}.k_proj", D, D, key_bias)
    for part in ("v_proj", "q_proj", "out_proj"):
        yield from linear(f"{name}.{part}", D, D)


def layers(stack: str, L: int, D: int, F: int, cross: bool, key_bias: bool = True) -> Tensors:
    """The layers of the encoder or, with attention across to it, of the decoder."""
    for i in range(L):
        layer = f"{stack}.layers.{i}"
        yield from attention(f"{layer}.self_attn", D, key_bias)
        yield from layer_norm(f"{layer}.self_attn_layer_norm", D)
        if cross:
            yield from attention(f"{layer}.encoder_attn", D, key_bias)
            yield from layer_norm(f"{layer}.encoder_attn_layer_norm", D)
        yield from linear(f"{layer}.fc1", D, F)
        yield from linear(f"{layer}.fc2", F, D)
        yield from layer_norm(f"{layer}.final_layer_norm", D)


def tensors(config: Config, architecture: str) -> Tensors:
    """Encoder and decoder with the same word embeddings. The positions begin at 2, so there are two rows more."""
    V, T, D = (
        config.size("vocab_size", 50265),
        config.size("max_position_embeddings", 1024),
        config.size("d_model", 1024),
    )
    tied = config.flag("tie_word_embeddings", True)
    config.refuse("normalize_embedding", True)
    config.refuse("extra_pos_embeddings", 2)
    config.refuse("num_hidden_layers", config.size("encoder_layers", 12))
    config.ignore("activation_dropout", "classif_dropout", "decoder_layerdrop", "encoder_layerdrop", "init_std")
    config.ignore("force_bos_token_to_be_generated", "is_encoder_decoder", "scale_embedding")
    body = "" if architecture == "BartModel" else "model."
    words = TiedTo(f"{body}shared.weight") if tied else (V, D)
    yield f"{body}shared.weight", (V, D)
    for side in ("encoder", "decoder"):
        stack = f"{body}{side}"
        L, F = config.size(f"{side}_layers", 12), config.size(f"{side}_ffn_dim", 4096)
        config.split("d_model", f"{side}_attention_heads", D, config.size(f"{side}_attention_heads", 16))
        yield f"{stack}.embed_tokens.weight", words
        yield f"{stack}.embed_positions.weight", (T + 2, D)
        yield from layers(stack, L, D, F, cross=side == "decoder")
        yield from layer_norm(f"{stack}.layernorm_embedding", D)
    if architecture == "BartForConditionalGeneration":
        yield "lm_head.weight", words
    if architecture == "BartForSequenceClassification":
        yield from linear("classification_head.dense", D, D)
        yield from linear("classification_head.out_proj", D, labels(config, 3))


def caches(config: Config) -> Caches:
    """A key and a value for every head of the decoder, and as many of the encoder's tokens."""
    H = config.size("decoder_attention_heads", 16)
    E = config.size("d_model", 1024) // H
    return [KeyValue(H, E, E), KeyValue(H, E, E, cross=True)] * config.size("decoder_layers", 12)


BART = Family(tensors, caches, ("BartForConditionalGeneration", "BartModel", "BartForSequenceClassification"))
