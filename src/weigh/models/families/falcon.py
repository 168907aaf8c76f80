"""Falcon (Almazrouei et al. 2023): multi-query attention in the first release, grouped-query in the later ones."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, layer_norm, linear


def heads(config: Config) -> tuple[int, int, int, int]:
    """Width D, query heads H, key-value heads K and head size E."""
    D = config.size("n_embed", config.size("hidden_size", 4544))
    H = config.size("num_attention_heads", 71)
    K = config.size("num_kv_heads", H)
    if not config.flag("new_decoder_architecture", False):
        K = 1 if config.flag("multi_query", True) else H
    config.split("num_attention_heads", "num_kv_heads", H, K)
    return D, H, K, config.split("hidden_size", "num_attention_heads", D, H)


def tensors(config: Config, architecture: str) -> Tensors:
    """Attention and feed-forward side by side, after one norm or one norm each, unless `parallel_attn` is off."""
    D, H, K, E = heads(config)
    V, L, F = (
        config.size("vocab_size", 65024),
        config.size("num_hidden_layers", 32),
        config.size("ffn_hidden_size", 4 * D),
    )
    bias, tied = config.flag("bias", False), config.flag("tie_word_embeddings", True)
    parallel, new = config.flag("parallel_attn", True), config.flag("new_decoder_architecture", False)
    norms = config.size("num_ln_in_parallel_attn", 2 if new else 1)
    config.ignore(
        "activation", "alibi", "apply_residual_connection_post_layernorm", "ff_factor", "max_position_embeddings",
        "multi_query",
    )  # fmt: skip
    body = "" if architecture == "FalconModel" else "transformer."
    yield f"{body}word_embeddings.weight", (V, D)
    for i in range(L):
        layer = f"{body}h.{i}"
        yield from linear(f"{layer}.self_attention.query_key_value", D, (H + 2 * K) * E, bias)
        yield from linear(f"{layer}.self_attention.dense", D, D, bias)
        yield from linear(f"{layer}.mlp.dense_h_to_4h", D, F, bias)
        yield from linear(f"{layer}.mlp.dense_4h_to_h", F, D, bias)
        if not parallel:
            yield from layer_norm(f"{layer}.post_attention_layernorm", D)
        if parallel and norms == 2:
            yield from layer_norm(f"{layer}.ln_attn", D)
            yield from layer_norm(f"{layer}.ln_mlp", D)
        else:
            yield from layer_norm(f"{layer}.input_layernorm", D)
    yield from layer_norm(f"{body}ln_f", D)
    if architecture == "FalconForCausalLM":
        yield "lm_head.weight", TiedTo(f"{body}word_embeddings.weight") if tied else (V, D)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head, which the reference repeats for each query head it serves."""
    _, _, K, E = heads(config)
    return [KeyValue(K, E, E)] * config.size("num_hidden_layers", 32)


def saves(config: Config, architecture: str) -> saved.Saves:
    """The newer releases copy keys and values for each query; in the older ones, unless shared, values are a view."""
    (D, H, K, E), L = heads(config), config.size("num_hidden_layers", 32)
    new, alibi = config.flag("new_decoder_architecture", False), config.flag("alibi", False)
    masks, drops_scores = saved.dropped(config.get("hidden_dropout", 0), D), config.get("attention_dropout", 0)
    if not config.flag("parallel_attn", True):
        norms = 2 * saved.norm(saved.LAYER, D)
        masks += saved.dropped(drops_scores, D)  # that of the attention's output, at the rate of the scores
    elif config.size("num_ln_in_parallel_attn", 2 if new else 1) == 2:
        norms = saved.norm(saved.TWO_LAYERS, D, results=2)
    else:
        norms = saved.norm(saved.LAYER, D)
    attention = [
        *saved.heads(H, H if new else K, E, broadcast=K < H and not new),
        *(saved.rest_of_view(2 * H * E) if K == H and not alibi else []),
        *saved.scores(H, drops_scores if alibi else 0, softmax_32=False),  # without, the reference drops none
        # Fused attention is always given a mask, which is cast to the model's format in each layer.
        *saved.piece("attention mask", "b · T", "fused"),
    ]
    mlp = saved.feed_forward(config.size("ffn_hidden_size", 4 * D), saved.activation(config, "gelu", "activation"))
    return saved.Saves([saved.layer(D, norms, attention, mlp, masks)] * L, saved.norm(saved.LAYER, D))


FALCON = Family(tensors, caches, ("FalconForCausalLM", "FalconModel"), saves=saves)
