"""OLMo (Groeneveld et al. 2024): Llama with norms that have no weights."""

from weigh.config import Config
from weigh.families.decoder import Sizes, attention, decoder, gated, key_values
from weigh.families.parts import Caches, Family, Tensors


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


OLMO = Family(tensors, caches, ("OlmoForCausalLM", "OlmoModel"))
