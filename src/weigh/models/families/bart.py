"""BART (Lewis et al. 2020)."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, Family, KeyValue, Positions, Tensors, TiedTo, labels, layer_norm, linear


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


def positions(config: Config) -> Positions:
    """Encoder and decoder have tables of one size."""
    T = config.size("max_position_embeddings", 1024)
    return {"context": T, "encoder_context": T}


def seq2seq_layer(
    config: Config, D: int, H: int, F: int, rate: object, *more: saved.Part, across: saved.Part | None = None
) -> saved.Part:
    """What a layer of either side saves, in the decoder with what the attention `across` to the encoder does."""
    k, masked = saved.activation(config, "gelu", "activation_function"), saved.dropped(rate, D)
    attend = [
        *saved.norm(saved.LAYER, D),
        *saved.heads(H, H, D // H),
        *saved.scores(H, config.get("attention_dropout", 0), softmax_32=False),
        *masked,
    ]
    encoded = [*saved.norm(saved.LAYER, D), *across, *masked] if across else []
    mlp = [
        *saved.norm(saved.LAYER, D),
        *saved.feed_forward(F, k),
        *saved.dropped(config.get("activation_dropout", 0), F),
        *masked,
    ]
    return saved.layer(D, attend, encoded, mlp, *more)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Norms after each part and after the embeddings, all of which feed what follows."""
    D, rate, layers = config.size("d_model", 1024), config.get("dropout", 0.1), []
    for side in ("encoder", "decoder"):
        H, F = config.size(f"{side}_attention_heads", 16), config.size(f"{side}_ffn_dim", 4096)
        attention = saved.attention(H, H, D // H, config.get("attention_dropout", 0), softmax_32=False)
        across = attention if side == "decoder" else None
        layers += [seq2seq_layer(config, D, H, F, rate, across=across)] * config.size(f"{side}_layers", 12)
    embedded = [*saved.norm(saved.LAYER, D), *saved.dropped(rate, D)]
    return saved.Saves(layers, 2 * embedded, loss_32=False)


BART = Family(
    tensors,
    caches,
    ("BartForConditionalGeneration", "BartModel", "BartForSequenceClassification"),
    positions,
    saves=saves,
)
