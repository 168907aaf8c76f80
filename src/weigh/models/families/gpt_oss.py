"""gpt-oss (OpenAI 2025): a mixture of experts with biases throughout, and heads that may attend to nothing."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, alternating, attention, decoder, expert_counts
from weigh.models.families.parts import Caches, Family, Routed, Tensors, linear, rms_norm


def sizes(config: Config) -> Sizes:
    """Those of gpt-oss-120b."""
    return Sizes.of(config, V=201088, D=2880, F=2880, L=36, H=64, K=8, E=64)


def tensors(config: Config, architecture: str) -> Tensors:
    """Each head has a sink, a learned score that takes attention from the tokens."""
    s = sizes(config)
    used, count = expert_counts(config, "num_local_experts", 128, 4)
    bias = config.flag("attention_bias", True)
    config.ignore("experts_per_token", "initial_context_length", "swiglu_alpha", "swiglu_limit")

    def layer(name: str, i: int) -> Tensors:
        yield f"{name}.self_attn.sinks", (s.H,)
        yield from attention(f"{name}.self_attn", s, bias, bias)
        yield from linear(f"{name}.mlp.router", s.D, count)
        yield f"{name}.mlp.experts.gate_up_proj", Routed((count, s.D, 2 * s.F), used, count)
        yield f"{name}.mlp.experts.gate_up_proj_bias", Routed((count, 2 * s.F), used, count)
        yield f"{name}.mlp.experts.down_proj", Routed((count, s.F, s.D), used, count)
        yield f"{name}.mlp.experts.down_proj_bias", Routed((count, s.D), used, count)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def caches(config: Config) -> Caches:
    """A window in every other layer, the first included."""
    return alternating(config, sizes(config), config.optional("sliding_window", 128), lambda i: i % 2 == 0)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Norms all in float32, scores with one more for the sink, and experts that are clamped and gated step by step."""
    s = sizes(config)
    used, _ = expert_counts(config, "num_local_experts", 128, 4)
    heads = [
        *saved.heads(s.H, s.K, s.E),
        # The softmax, and the place of the largest score, which is subtracted.
        *saved.piece("attention scores", "H · ((T + 1) · b + 8)", "stored", H=s.H),
    ]
    # Gate and input in one; the gate clamped, its sigmoid, their product, the input clamped and shifted, their product.
    mlp = saved.routed(s.D, s.F, used, 5)
    one = saved.layer(s.D, 2 * saved.norm(saved.RMS_32, s.D), heads, mlp)
    return saved.Saves([one] * s.L, saved.norm(saved.RMS_32, s.D))


GPT_OSS = Family(tensors, caches, ("GptOssForCausalLM", "GptOssModel"), saves=saves)
