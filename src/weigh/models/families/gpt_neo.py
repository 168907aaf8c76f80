"""GPT-Neo (Black et al. 2021): GPT-3 with local attention in some of its layers."""

from itertools import islice

from weigh.errors import InvalidConfig
from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, layer_norm, learned, linear


def tensors(config: Config, architecture: str) -> Tensors:
    """Local and global layers have the same tensors."""
    V, T = config.size("vocab_size", 50257), config.size("max_position_embeddings", 2048)
    D, L = config.size("hidden_size", 2048), config.size("num_layers", 24)
    F = config.size("intermediate_size", 4 * D)
    tied = config.flag("tie_word_embeddings", True)
    config.ignore("resid_dropout", "embed_dropout")
    body = "" if architecture == "GPTNeoModel" else "transformer."
    yield f"{body}wte.weight", (V, D)
    yield f"{body}wpe.weight", (T, D)
    for i in range(L):
        layer = f"{body}h.{i}"
        yield from layer_norm(f"{layer}.ln_1", D)
        for projection in ("k_proj", "v_proj", "q_proj"):
            yield from linear(f"{layer}.attn.attention.{projection}", D, D, bias=False)
        yield from linear(f"{layer}.attn.attention.out_proj", D, D)
        yield from layer_norm(f"{layer}.ln_2", D)
        yield from linear(f"{layer}.mlp.c_fc", D, F)
        yield from linear(f"{layer}.mlp.c_proj", F, D)
    yield from layer_norm(f"{body}ln_f", D)
    if architecture == "GPTNeoForCausalLM":
        yield "lm_head.weight", TiedTo(f"{body}wte.weight") if tied else (V, D)


def caches(config: Config) -> Caches:
    """Local layers need the tokens of their window; the reference keeps the others too, and masks them."""
    D, H, L = config.size("hidden_size", 2048), config.size("num_heads", 16), config.size("num_layers", 24)
    E = config.split("hidden_size", "num_heads", D, H)
    window, types = config.size("window_size", 256), config.get("attention_types", [[["global", "local"], 12]])
    config.ignore("attention_layers")  # the reference spells it out from attention_types
    try:
        kinds = list(islice((kind for kinds, count in types for _ in range(count) for kind in kinds), L + 1))
    except (TypeError, ValueError):
        kinds = []
    if len(kinds) != L or any(kind not in ("global", "local") for kind in kinds):
        raise InvalidConfig(
            f"{config.where}, field attention_types", f"must say global or local for each of {L} layers: {types!r:.40}"
        )
    return [KeyValue(H, E, E, window if kind == "local" else None) for kind in kinds]


def saves(config: Config, architecture: str) -> saved.Saves:
    """Layer norms, and scores that are products in float32."""
    D, H, L = config.size("hidden_size", 2048), config.size("num_heads", 16), config.size("num_layers", 24)
    heads = [*saved.attention(H, H, D // H, config.get("attention_dropout", 0)), *saved.products_32(H, D // H)]
    F, k = config.size("intermediate_size", 4 * D), saved.activation(config, "gelu_new", "activation_function")
    masks = saved.dropped(config.get("resid_dropout", 0), D, 2)
    embedded = saved.dropped(config.get("embed_dropout", 0), D)
    one = saved.layer(D, 2 * saved.norm(saved.LAYER, D), heads, saved.feed_forward(F, k), masks)
    return saved.Saves([one] * L, [*embedded, *saved.norm(saved.LAYER, D)])


GPT_NEO = Family(
    tensors, caches, ("GPTNeoForCausalLM", "GPTNeoModel"), learned("max_position_embeddings", 2048), saves=saves
)
