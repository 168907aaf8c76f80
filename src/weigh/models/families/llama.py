"""Llama 1 to 3 (Touvron et al. 2023, Grattafiori et al. 2024)."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, block
from weigh.models.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, linear


def tensors(config: Config, architecture: str) -> Tensors:
    """Grouped-query attention where K < H. No biases unless the config asks for them."""
    V, D, L = config.size("vocab_size", 32000), config.size("hidden_size", 4096), config.size("num_hidden_layers", 32)
    F, H = config.size("intermediate_size", 11008), config.size("num_attention_heads", 32)
    K = config.size("num_key_value_heads", H)
    config.split("num_attention_heads", "num_key_value_heads", H, K)
    E = config.size("head_dim", D // H)
    attention_bias, mlp_bias = config.flag("attention_bias", False), config.flag("mlp_bias", False)
    tied = config.flag("tie_word_embeddings", False)
    config.ignore("max_position_embeddings")  # positions are rotations, not weights
    body = "" if architecture == "LlamaModel" else "model."
    yield f"{body}embed_tokens.weight", (V, D)
    for i in range(L):
        layer = f"{body}layers.{i}"
        yield from linear(f"{layer}.self_attn.q_proj", D, H * E, attention_bias)
        yield from linear(f"{layer}.self_attn.k_proj", D, K * E, attention_bias)
        yield from linear(f"{layer}.self_attn.v_proj", D, K * E, attention_bias)
        yield from linear(f"{layer}.self_attn.o_proj", H * E, D, attention_bias)
        yield from linear(f"{layer}.mlp.gate_proj", D, F, mlp_bias)
        yield from linear(f"{layer}.mlp.up_proj", D, F, mlp_bias)
        yield from linear(f"{layer}.mlp.down_proj", F, D, mlp_bias)
        yield f"{layer}.input_layernorm.weight", (D,)
        yield f"{layer}.post_attention_layernorm.weight", (D,)
    yield f"{body}norm.weight", (D,)
    if architecture == "LlamaForCausalLM":
        yield "lm_head.weight", TiedTo(f"{body}embed_tokens.weight") if tied else (V, D)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head."""
    H = config.size("num_attention_heads", 32)
    E = config.size("head_dim", config.size("hidden_size", 4096) // H)
    return [KeyValue(config.size("num_key_value_heads", H), E, E)] * config.size("num_hidden_layers", 32)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Two norms, attention, and a gated feed-forward."""
    s = Sizes.of(config, V=32000, D=4096, F=11008, L=32, H=32)
    return saved.Saves(
        [block(config, s, saved.feed_forward(s.F, saved.activation(config, "silu"), gated=True))] * s.L,
        saved.norm(saved.RMS, s.D),
    )


LLAMA = Family(tensors, caches, ("LlamaForCausalLM", "LlamaModel"), saves=saves)
