"""GPT-NeoX and Pythia (Black et al. 2022, Biderman et al. 2023): GPT-3 with rotary positions."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, layer_norm, linear


def tensors(config: Config, architecture: str) -> Tensors:
    """Queries, keys and values come from one matrix."""
    V, D, L = config.size("vocab_size", 50432), config.size("hidden_size", 6144), config.size("num_hidden_layers", 44)
    F, bias = config.size("intermediate_size", 24576), config.flag("attention_bias", True)
    tied = config.flag("tie_word_embeddings", False)
    config.ignore("max_position_embeddings", "rotary_pct", "rotary_emb_base", "use_parallel_residual", "is_decoder")
    body = "" if architecture == "GPTNeoXModel" else "gpt_neox."
    yield f"{body}embed_in.weight", (V, D)
    for i in range(L):
        layer = f"{body}layers.{i}"
        yield from layer_norm(f"{layer}.input_layernorm", D)
        yield from layer_norm(f"{layer}.post_attention_layernorm", D)
        yield from linear(f"{layer}.attention.query_key_value", D, 3 * D, bias)
        yield from linear(f"{layer}.attention.dense", D, D, bias)
        yield from linear(f"{layer}.mlp.dense_h_to_4h", D, F)
        yield from linear(f"{layer}.mlp.dense_4h_to_h", F, D)
    yield from layer_norm(f"{body}final_layer_norm", D)
    if architecture == "GPTNeoXForCausalLM":
        yield "lm_head.weight", TiedTo(f"{body}embed_in.weight") if tied else (V, D)


def caches(config: Config) -> Caches:
    """A key and a value for every head."""
    D, H = config.size("hidden_size", 6144), config.size("num_attention_heads", 64)
    E = config.split("hidden_size", "num_attention_heads", D, H)
    return [KeyValue(H, E, E)] * config.size("num_hidden_layers", 44)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Side by side, attention and feed-forward have norms of their own, of the same input."""
    D, H, L = (
        config.size("hidden_size", 6144),
        config.size("num_attention_heads", 64),
        config.size("num_hidden_layers", 44),
    )
    E, parallel = D // H, config.flag("use_parallel_residual", True)
    norms = saved.norm(saved.TWO_LAYERS, D, results=2) if parallel else 2 * saved.norm(saved.LAYER, D)
    heads = saved.attention(H, H, E, config.get("attention_dropout", 0))
    view, copied = saved.rest_of_view(2 * H * E), saved.heads_first(H, E)
    mlp = saved.feed_forward(config.size("intermediate_size", 24576), saved.activation(config, "gelu"))
    masks = saved.dropped(config.get("hidden_dropout", 0), D)
    one = saved.layer(D, norms, heads, view, copied, mlp, 2 * masks)
    return saved.Saves([one] * L, [*masks, *saved.norm(saved.LAYER, D)])


GPT_NEOX = Family(tensors, caches, ("GPTNeoXForCausalLM", "GPTNeoXModel"), saves=saves)
