"""GPT-J (Wang and Komatsuzaki 2021): attention and feed-forward side by side, and a head with a bias."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, layer_norm, linear


def tensors(config: Config, architecture: str) -> Tensors:
    """One norm a layer, and no biases in attention."""
    V, D, L = config.size("vocab_size", 50400), config.size("n_embd", 4096), config.size("n_layer", 28)
    F = config.size("n_inner", 4 * D)
    tied = config.flag("tie_word_embeddings", False)
    config.ignore("n_positions", "rotary", "rotary_dim")
    body = "" if architecture == "GPTJModel" else "transformer."
    yield f"{body}wte.weight", (V, D)
    for i in range(L):
        layer = f"{body}h.{i}"
        yield from layer_norm(f"{layer}.ln_1", D)
        for projection in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from linear(f"{layer}.attn.{projection}", D, D, bias=False)
        yield from linear(f"{layer}.mlp.fc_in", D, F)
        yield from linear(f"{layer}.mlp.fc_out", F, D)
    yield from layer_norm(f"{body}ln_f", D)
    if architecture == "GPTJForCausalLM":
        yield "lm_head.weight", TiedTo(f"{body}wte.weight") if tied else (V, D)
        yield "lm_head.bias", (V,)


def caches(config: Config) -> Caches:
    """A key and a value for every head."""
    D, H = config.size("n_embd", 4096), config.size("n_head", 16)
    E = config.split("n_embd", "n_head", D, H)
    return [KeyValue(H, E, E)] * config.size("n_layer", 28)


def saves(config: Config, architecture: str) -> saved.Saves:
    """One norm feeds attention and feed-forward; scores are products in float32."""
    D, H, L = config.size("n_embd", 4096), config.size("n_head", 16), config.size("n_layer", 28)
    heads = [*saved.attention(H, H, D // H, config.get("attn_pdrop", 0)), *saved.products_32(H, D // H)]
    F, k = config.size("n_inner", 4 * D), saved.activation(config, "gelu_new", "activation_function")
    masks = saved.dropped(config.get("resid_pdrop", 0), D, 2)
    embedded = saved.dropped(config.get("embd_pdrop", 0), D)
    one = saved.layer(D, saved.norm(saved.LAYER, D), heads, saved.feed_forward(F, k), masks)
    return saved.Saves([one] * L, [*embedded, *saved.norm(saved.LAYER, D)])


GPTJ = Family(tensors, caches, ("GPTJForCausalLM", "GPTJModel"), saves=saves)
