"""gpt-oss (OpenAI 2025): a mixture of experts with biases throughout, and heads that may attend to nothing."""

from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import attention, caches, decoder, every_other_layer, norms
from weigh.models.family import Family
from weigh.models.layers import Tensors, Weight, linear
from weigh.models.mixtures import MixtureSizes, all_layers, expert_counts


def read(config: Config) -> MixtureSizes:
    """The sizes of gpt-oss-120b."""
    used, count = expert_counts(config, "num_local_experts", 128, 4)
    bias = config.flag("attention_bias", True)
    config.ignore("experts_per_token", "initial_context_length", "swiglu_alpha", "swiglu_limit")
    return MixtureSizes.of(
        config, V=201088, D=2880, F=2880, L=36, H=64, K=8, E=64, qkv_bias=bias, o_bias=bias,
        windows=every_other_layer(128), used=used, count=count, sparse=all_layers,
    )  # fmt: skip


def experts(name: str, s: MixtureSizes) -> Tensors:
    """The tensors of gated networks with biases, stacked, and stored (inputs, outputs)."""
    N, D, F, chosen = s.count, s.D, s.width, (s.used, s.count)
    yield Weight(f"{name}.gate_up_proj", (N, D, 2 * F), "expert gate-up", transposed=True, experts=chosen)
    yield Weight(f"{name}.gate_up_proj_bias", (N, 2 * F), "expert bias", experts=chosen)
    yield Weight(f"{name}.down_proj", (N, F, D), "expert down", transposed=True, experts=chosen)
    yield Weight(f"{name}.down_proj_bias", (N, D), "expert bias", experts=chosen)


def tensors(s: MixtureSizes, architecture: str) -> Tensors:
    """The tensors of a mixture whose heads have sinks, learned scores that take attention from the tokens."""

    def layer(name: str, i: int) -> Tensors:
        yield Weight(f"{name}.self_attn.sinks", (s.H,), "sink")
        yield from attention(f"{name}.self_attn", s)
        yield from linear(f"{name}.mlp.router", s.D, s.count, "router")
        yield from experts(f"{name}.mlp.experts", s)
        yield from norms(name, s.D)

    return decoder(architecture, s, layer)


def saves(s: MixtureSizes, architecture: str) -> saved.SavedActivations:
    """The saved tensors of norms in float32, scores with one for the sink, and experts clamped and gated one by one."""
    heads = [
        *saved.heads(s.H, s.K, s.E),
        # The softmax, and where the largest score is, which is subtracted.
        *saved.one("attention scores", "H · ((T + 1) · b + 8)", "stored", H=s.H),
    ]
    # Gate and input in one; the gate clamped, its sigmoid, their product, the input clamped and shifted, their product.
    experts = saved.routed(s.D, s.width, s.used, 5)
    layer = saved.layer(s.D, 2 * saved.norm(saved.RMS_32, s.D), heads, experts)
    return saved.SavedActivations([layer] * s.L, saved.norm(saved.RMS_32, s.D))


FAMILY = Family(
    model_type="gpt_oss",
    architectures=("GptOssForCausalLM", "GptOssModel"),
    read=read,
    tensors=tensors,
    caches=caches,
    saves=saves,
)
