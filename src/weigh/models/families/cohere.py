"""Cohere's Command R (2024): attention and feed-forward side by side, after one norm."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, attention, decoder, gated, key_values
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of Command R."""
    return Sizes.of(config, V=256000, D=8192, F=22528, L=40, H=64)


def tensors(config: Config, architecture: str) -> Tensors:
    """Its layer norms have a weight and no bias. In Command R+ every query and key head has one of its own."""
    s = sizes(config)
    bias, head_norms = config.flag("attention_bias", False), config.flag("use_qk_norm", False)
    config.ignore("logit_scale")

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, bias, bias)
        if head_norms:
            yield f"{name}.self_attn.q_norm.weight", (s.H, s.E)
            yield f"{name}.self_attn.k_norm.weight", (s.K, s.E)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", True), layer)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head."""
    return key_values(sizes(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """One norm feeds attention and feed-forward."""
    s = sizes(config)
    heads = saved.attention(s.H, s.K, s.E, config.get("attention_dropout", 0))
    per_head = saved.head_norms(saved.CENTRED_32, s.H, s.K, s.E) if config.flag("use_qk_norm", False) else []
    mlp = saved.feed_forward(s.F, saved.activation(config, "silu"), gated=True)
    norm = saved.norm(saved.CENTRED_32, s.D)
    return saved.Saves([saved.layer(s.D, norm, per_head, heads, mlp)] * s.L, norm)


COHERE = Family(tensors, caches, ("CohereForCausalLM", "CohereModel"), saves=saves)
