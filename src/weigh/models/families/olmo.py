"""OLMo (Groeneveld et al. 2024): Llama with norms that have no weights."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, attention, block, decoder, gated, key_values
from weigh.models.families.parts import Caches, Family, Tensors


def sizes(config: Config) -> Sizes:
    """Those of OLMo 7B."""
    return Sizes.of(config, V=50304, D=4096, F=11008, L=32, H=32)


def weightless(name: str, size: int) -> Tensors:
    """A layer norm that only standardises."""
    yield from ()


def tensors(config: Config, architecture: str) -> Tensors:
    """Nothing but matrices."""
    s = sizes(config)
    bias = config.flag("attention_bias", False)
    config.ignore("clip_qkv")

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, bias, bias)
        yield from gated(f"{name}.mlp", s.D, s.F)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer, weightless)


def caches(config: Config) -> Caches:
    """A key and a value for every key-value head."""
    return key_values(sizes(config))


def saves(config: Config, architecture: str) -> saved.Saves:
    """Llama's with layer norms in float32, and what is clipped, if it is."""
    s = sizes(config)
    clipped = saved.piece("clipped queries, keys and values", "b · (H + 2 · K) · E", H=s.H, K=s.K, E=s.E)
    mlp = saved.feed_forward(s.F, saved.activation(config, "silu"), gated=True)
    one = block(config, s, mlp, clipped if config.get("clip_qkv") else [], kind=saved.LAYER_32)
    return saved.Saves([one] * s.L, saved.norm(saved.LAYER_32, s.D))


OLMO = Family(tensors, caches, ("OlmoForCausalLM", "OlmoModel"), saves=saves)
