"""StableLM (Bellagente et al. 2024): Llama with layer norms."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, attention, decoder, gated, key_values
from weigh.models.families.parts import Caches, Family, Tensors, layer_norm


def sizes(config: Config) -> Sizes:
    """Those of StableLM-3B-4E1T. The heads share the width, whatever the config says of their size."""
    s = Sizes.of(config, V=50304, D=2560, F=6912, L=32, H=32, K=32)
    config.refuse("head_dim", s.D // s.H)
    return s


def tensors(config: Config, architecture: str) -> Tensors:
    """With `qk_layernorm` each head has a norm of its own; with a parallel residual a layer has one norm for both."""
    s = sizes(config)
    bias, head_norms = config.flag("use_qkv_bias", False), config.flag("qk_layernorm", False)
    parallel = config.flag("use_parallel_residual", False)

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, qkv_bias=bias)
        if head_norms:
            for h in range(s.H):
                yield f"{name}.self_attn.q_layernorm.norms.{h}.weight", (s.E,)
            for h in range(s.K):
                yield f"{name}.self_attn.k_layernorm.norms.{h}.weight", (s.E,)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from layer_norm(f"{name}.input_layernorm", s.D)
        if not parallel:
            yield from layer_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer, layer_norm)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head."""
    return key_values(sizes(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """Llama's with layer norms, of which a parallel residual needs one."""
    s = sizes(config)
    before = saved.norm(saved.LAYER, s.D) * (1 if config.flag("use_parallel_residual", False) else 2)
    per_head = saved.head_norms(saved.LAYER, s.H, s.K, s.E) if config.flag("qk_layernorm", False) else []
    heads = saved.attention(s.H, s.K, s.E, config.get("attention_dropout", 0))
    copied = saved.heads_first(s.H, s.E)
    mlp = saved.feed_forward(s.F, saved.activation(config, "silu"), gated=True)
    masks = saved.dropped(config.get("hidden_dropout", 0), s.D)
    one = saved.layer(s.D, before, per_head, heads, copied, mlp, masks)
    return saved.Saves([one] * s.L, saved.norm(saved.LAYER, s.D))


STABLELM = Family(tensors, caches, ("StableLmForCausalLM", "StableLmModel"), saves=saves)
