"""BLOOM (BigScience 2022): positions are slopes of the attention scores, and the embedding has a norm."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, layer_norm, linear


def shape(config: Config) -> tuple[int, int, int]:
    """Width D, layers L and heads H, each of which configs call by two names; the second prevails."""
    D = config.size("n_embed", config.size("hidden_size", 64))
    L = config.size("num_hidden_layers", config.size("n_layer", 2))
    return D, L, config.size("num_attention_heads", config.size("n_head", 8))


def tensors(config: Config, architecture: str) -> Tensors:
    """Queries, keys and values come from one matrix; the feed-forward is four times as wide as the model."""
    V, (D, L, _) = config.size("vocab_size", 250880), shape(config)
    tied = config.flag("tie_word_embeddings", True)
    config.ignore(
        "apply_residual_connection_post_layernorm", "attention_softmax_in_fp32", "bias_dropout_fusion",
        "masked_softmax_fusion", "offset_alibi", "seq_length", "skip_bias_add", "skip_bias_add_qkv", "slow_but_exact",
    )  # fmt: skip
    body = "" if architecture == "BloomModel" else "transformer."
    yield f"{body}word_embeddings.weight", (V, D)
    yield from layer_norm(f"{body}word_embeddings_layernorm", D)
    for i in range(L):
        layer = f"{body}h.{i}"
        yield from layer_norm(f"{layer}.input_layernorm", D)
        yield from linear(f"{layer}.self_attention.query_key_value", D, 3 * D)
        yield from linear(f"{layer}.self_attention.dense", D, D)
        yield from layer_norm(f"{layer}.post_attention_layernorm", D)
        yield from linear(f"{layer}.mlp.dense_h_to_4h", D, 4 * D)
        yield from linear(f"{layer}.mlp.dense_4h_to_h", 4 * D, D)
    yield from layer_norm(f"{body}ln_f", D)
    if architecture == "BloomForCausalLM":
        yield "lm_head.weight", TiedTo(f"{body}word_embeddings.weight") if tied else (V, D)


def caches(config: Config) -> Caches:
    """A key and a value for every head."""
    D, L, H = shape(config)
    E = config.split("hidden_size", "n_head", D, H)
    return [KeyValue(H, E, E)] * L


def saves(config: Config, architecture: str) -> saved.Saves:
    """A norm of the embedding feeds no matrix. The GELU is the family's own, and saves its input."""
    D, L, H = shape(config)
    heads = saved.attention(H, H, D // H, config.get("attention_dropout", 0))
    masks = saved.dropped(config.get("hidden_dropout", 0), D, 2)
    one = saved.layer(D, 2 * saved.norm(saved.LAYER, D), heads, saved.feed_forward(4 * D, 2), masks)
    return saved.Saves([one] * L, [*saved.norm(saved.LAYER, D, results=0), *saved.norm(saved.LAYER, D)], fused=False)


BLOOM = Family(tensors, caches, ("BloomForCausalLM", "BloomModel"), saves=saves)
