"""Phi-3 (Abdin et al. 2024): Llama with its input projections fused."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, block, decoder, key_values
from weigh.models.families.parts import Caches, Family, Tensors, linear, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of Phi-3-mini."""
    return Sizes.of(config, V=32064, D=3072, F=8192, L=32, H=32)


def tensors(config: Config, architecture: str) -> Tensors:
    """One matrix for queries, keys and values, one for the gate and what it gates, and no biases."""
    s = sizes(config)
    config.refuse("attention_bias", False)

    def layer(name: str, i: int) -> Tensors:
        yield from linear(f"{name}.self_attn.o_proj", s.H * s.E, s.D, bias=False)
        yield from linear(f"{name}.self_attn.qkv_proj", s.D, (s.H + 2 * s.K) * s.E, bias=False)
        yield from linear(f"{name}.mlp.gate_up_proj", s.D, 2 * s.F, bias=False)
        yield from linear(f"{name}.mlp.down_proj", s.F, s.D, bias=False)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def caches(config: Config) -> Caches:
    """Every token, unless the config sets a window, as Phi-3-mini does."""
    s = sizes(config)
    return key_values(s, [config.optional("sliding_window")] * s.L)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Llama's, but the values are a view of all that one matrix gives."""
    s = sizes(config)
    mlp = saved.feed_forward(s.F, saved.activation(config, "silu"), gated=True)
    masks = saved.dropped(config.get("resid_pdrop", 0), s.D, 2)
    view, copied = saved.rest_of_view((s.H + s.K) * s.E, repeated=s.K < s.H), saved.heads_first(s.H, s.E)
    return saved.Saves([block(config, s, mlp, view, copied, masks)] * s.L, saved.norm(saved.RMS, s.D))


PHI3 = Family(tensors, caches, ("Phi3ForCausalLM", "Phi3Model"), saves=saves)
