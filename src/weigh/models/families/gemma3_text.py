"""The text model of Gemma 3 (Gemma Team 2025): Gemma 2 with norms on queries and keys, and five local layers in six."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, alternating, attention, decoder, gated
from weigh.models.families.parts import Caches, Family, Tensors, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of the reference's default."""
    return Sizes.of(config, V=262_208, D=2304, F=9216, L=26, H=8, K=4, E=256)


def tensors(config: Config, architecture: str) -> Tensors:
    """Four norms a layer, and two in its attention."""
    s = sizes(config)
    bias = config.flag("attention_bias", False)
    config.ignore("cache_implementation", "rope_local_base_freq")

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s, bias, bias)
        yield from rms_norm(f"{name}.self_attn.q_norm", s.E)
        yield from rms_norm(f"{name}.self_attn.k_norm", s.E)
        yield from gated(f"{name}.mlp", s.D, s.F)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)
        yield from rms_norm(f"{name}.pre_feedforward_layernorm", s.D)
        yield from rms_norm(f"{name}.post_feedforward_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", True), layer)


def caches(config: Config) -> Caches:
    """Every sixth layer attends to all tokens, the others to a window; one that looks both ways lies half ahead."""
    window, every = config.optional("sliding_window", 4096), config.size("sliding_window_pattern", 6)
    if config.flag("use_bidirectional_attention", False) and window is not None:
        window = window // 2 + 1
    return alternating(config, sizes(config), window, lambda i: (i + 1) % every != 0)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Of the norms on both sides of each part, those after it feed no matrix."""
    s = sizes(config)
    four = [*2 * saved.norm(saved.RMS_32, s.D), *2 * saved.norm(saved.RMS_32, s.D, results=0)]
    heads = saved.attention(s.H, s.K, s.E, config.get("attention_dropout", 0))
    mlp = saved.feed_forward(s.F, saved.activation(config, "gelu_pytorch_tanh", "hidden_activation"), gated=True)
    one = saved.layer(s.D, four, saved.head_norms(saved.RMS_32, s.H, s.K, s.E), heads, mlp)
    return saved.Saves([one] * s.L, saved.norm(saved.RMS_32, s.D))


GEMMA3_TEXT = Family(tensors, caches, ("Gemma3ForCausalLM", "Gemma3TextModel"), saves=saves)
