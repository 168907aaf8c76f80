"""Phi-1 to Phi-2 (Li et al. 2023): attention and feed-forward side by side, biases throughout, the head's included."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, key_values
from weigh.models.families.parts import Caches, Family, Tensors, TiedTo, layer_norm, linear


def sizes(config: Config) -> Sizes:
    """Those of Phi-1."""
    return Sizes.of(config, V=51200, D=2048, F=8192, L=24, H=32)


def tensors(config: Config, architecture: str) -> Tensors:
    """One norm a layer, and with `qk_layernorm` one each for queries and keys."""
    s = sizes(config)
    head_norms = config.flag("qk_layernorm", False)
    tied = config.flag("tie_word_embeddings", False)
    body = "" if architecture == "PhiModel" else "model."
    yield f"{body}embed_tokens.weight", (s.V, s.D)
    for i in range(s.L):
        layer = f"{body}layers.{i}"
        yield from linear(f"{layer}.self_attn.q_proj", s.D, s.H * s.E)
        yield from linear(f"{layer}.self_attn.k_proj", s.D, s.K * s.E)
        yield from linear(f"{layer}.self_attn.v_proj", s.D, s.K * s.E)
        yield from linear(f"{layer}.self_attn.dense", s.H * s.E, s.D)
        if head_norms:
            yield from layer_norm(f"{layer}.self_attn.q_layernorm", s.D // s.H)
            yield from layer_norm(f"{layer}.self_attn.k_layernorm", s.D // s.H)
        yield from linear(f"{layer}.mlp.fc1", s.D, s.F)
        yield from linear(f"{layer}.mlp.fc2", s.F, s.D)
        yield from layer_norm(f"{layer}.input_layernorm", s.D)
    yield from layer_norm(f"{body}final_layernorm", s.D)
    if architecture == "PhiForCausalLM":
        yield "lm_head.weight", TiedTo(f"{body}embed_tokens.weight") if tied else (s.V, s.D)
        yield "lm_head.bias", (s.V,)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head."""
    return key_values(sizes(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """One norm feeds attention and feed-forward."""
    s = sizes(config)
    per_head = saved.head_norms(saved.LAYER, s.H, s.K, s.E) if config.flag("qk_layernorm", False) else []
    heads = saved.attention(s.H, s.K, s.E, config.get("attention_dropout", 0))
    copied = saved.heads_first(s.H, s.E)
    mlp = saved.feed_forward(s.F, saved.activation(config, "gelu_new"))
    masks = saved.dropped(config.get("resid_pdrop", 0), s.D, 2)
    embedded = saved.dropped(config.get("embd_pdrop", 0), s.D)
    one = saved.layer(s.D, saved.norm(saved.LAYER, s.D), per_head, heads, copied, mlp, masks)
    return saved.Saves([one] * s.L, [*embedded, *saved.norm(saved.LAYER, s.D)])


PHI = Family(tensors, caches, ("PhiForCausalLM", "PhiModel"), saves=saves)
