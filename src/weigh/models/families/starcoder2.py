"""StarCoder2 (Lozhkov et al. 2024): grouped-query attention, a feed-forward without a gate, and biases throughout."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, attention, block, decoder, key_values
from weigh.models.families.parts import Caches, Family, Tensors, layer_norm, linear


def sizes(config: Config) -> Sizes:
    """Those of the reference's default."""
    return Sizes.of(config, V=49152, D=3072, F=12288, L=30, H=24, K=2)


def tensors(config: Config, architecture: str) -> Tensors:
    """Layer norms, with biases whether or not the projections have them."""
    s = sizes(config)
    bias = config.flag("use_bias", True)
    config.refuse("mlp_type", "default")
    config.refuse("norm_type", "layer_norm")
    config.ignore("norm_epsilon", "residual_dropout", "embedding_dropout")

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, bias, bias)
        yield from linear(f"{name}.mlp.c_fc", s.D, s.F, bias)
        yield from linear(f"{name}.mlp.c_proj", s.F, s.D, bias)
        yield from layer_norm(f"{name}.input_layernorm", s.D)
        yield from layer_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", True), layer, layer_norm)


def caches(config: Config) -> Caches:
    """Every token, unless the config sets a window, as the released models do."""
    s = sizes(config)
    return key_values(s, [config.optional("sliding_window")] * s.L)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Layer norms, and a feed-forward without a gate."""
    s = sizes(config)
    mlp = saved.feed_forward(s.F, saved.activation(config, "gelu_pytorch_tanh"))
    masks = saved.dropped(config.get("residual_dropout", 0), s.D, 2)
    embedded = saved.dropped(config.get("embedding_dropout", 0), s.D)
    one = block(config, s, mlp, masks, kind=saved.LAYER)
    return saved.Saves([one] * s.L, [*embedded, *saved.norm(saved.LAYER, s.D)])


STARCODER2 = Family(tensors, caches, ("Starcoder2ForCausalLM", "Starcoder2Model"), saves=saves)
