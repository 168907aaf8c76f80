"""GPT-2 (Radford et al. 2019)."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, layer_norm, learned


def tensors(config: Config, architecture: str) -> Tensors:
    """Its projections are stored (inputs, outputs), the other way round than `linear`."""
    config.refuse("add_cross_attention", False)
    V, T, D, L = (
        config.size("vocab_size", 50257), config.size("n_positions", 1024),
        config.size("n_embd", 768), config.size("n_layer", 12),
    )  # fmt: skip
    config.split("n_embd", "n_head", D, config.size("n_head", 12))
    F = config.size("n_inner", 4 * D)
    tied = config.flag("tie_word_embeddings", True)
    body = "" if architecture == "GPT2Model" else "transformer."
    yield f"{body}wte.weight", (V, D)
    yield f"{body}wpe.weight", (T, D)
    for i in range(L):
        layer = f"{body}h.{i}"
        yield from layer_norm(f"{layer}.ln_1", D)
        for name, inputs, outputs in (("attn.c_attn", D, 3 * D), ("attn.c_proj", D, D)):
            yield f"{layer}.{name}.weight", (inputs, outputs)
            yield f"{layer}.{name}.bias", (outputs,)
        yield from layer_norm(f"{layer}.ln_2", D)
        for name, inputs, outputs in (("mlp.c_fc", D, F), ("mlp.c_proj", F, D)):
            yield f"{layer}.{name}.weight", (inputs, outputs)
            yield f"{layer}.{name}.bias", (outputs,)
    yield from layer_norm(f"{body}ln_f", D)
    if architecture == "GPT2LMHeadModel":
        yield "lm_head.weight", TiedTo(f"{body}wte.weight") if tied else (V, D)


def caches(config: Config) -> Caches:
    """A key and a value for every head."""
    D, H = config.size("n_embd", 768), config.size("n_head", 12)
    return [KeyValue(H, D // H, D // H)] * config.size("n_layer", 12)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Layer norms, heads whose softmax is in the model's format, and dropouts."""
    D, H, L = config.size("n_embd", 768), config.size("n_head", 12), config.size("n_layer", 12)
    heads = saved.attention(H, H, D // H, config.get("attn_pdrop", 0.1), softmax_32=False)
    mlp = saved.feed_forward(config.size("n_inner", 4 * D), saved.activation(config, "gelu_new", "activation_function"))
    masks = saved.dropped(config.get("resid_pdrop", 0.1), D, 2)
    embedded = saved.dropped(config.get("embd_pdrop", 0.1), D)
    one = saved.layer(D, 2 * saved.norm(saved.LAYER, D), heads, mlp, masks)
    return saved.Saves([one] * L, [*embedded, *saved.norm(saved.LAYER, D)])


GPT2 = Family(tensors, caches, ("GPT2LMHeadModel", "GPT2Model"), learned("n_positions", 1024), saves=saves)
