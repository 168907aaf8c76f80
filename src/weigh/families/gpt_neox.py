"""GPT-NeoX and Pythia (Black et al. 2022, Biderman et al. 2023): GPT-3 with rotary positions."""

from weigh.config import Config
from weigh.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, layer_norm, linear


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


GPT_NEOX = Family(tensors, caches, ("GPTNeoXForCausalLM", "GPTNeoXModel"))
