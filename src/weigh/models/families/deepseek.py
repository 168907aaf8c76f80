"""DeepSeek-V2 and V3 (DeepSeek-AI 2024): latent attention, and many small experts beside some that all tokens share.

V3 is V2 at other sizes. Two things in its files are no parameters of the reference: the module that predicts a second
token (`num_nextn_predict_layers`), which it does not build, and the biases that balance the experts, which it does not
train.
"""

from dataclasses import dataclass
from functools import partial

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.decoder import Sizes, decoder, expert_counts, experts, gated
from weigh.models.families.parts import Caches, Family, Latent, Tensors, linear, rms_norm


@dataclass(frozen=True, slots=True)
class Version:
    """What a version has where its config is silent.

    Attributes:
        V, D, F, L, H: Its sizes.
        experts: The routed experts of a layer.
        used: Those that a token passes through.
        shared: The experts that all tokens pass through, which are stored as one network.
        width: The feed-forward width of an expert.
        dense: The layers before the first with experts.
    """

    V: int
    D: int
    F: int
    L: int
    H: int
    experts: int
    used: int | None
    shared: int
    width: int
    dense: int


V2 = Version(V=102400, D=4096, F=11008, L=32, H=32, experts=64, used=None, shared=2, width=1407, dense=0)
V3 = Version(V=129280, D=7168, F=18432, L=61, H=128, experts=256, used=8, shared=1, width=2048, dense=3)


def latent_attention(name: str, config: Config, D: int, H: int) -> Tensors:
    """Keys and values are compressed to `kv_lora_rank` numbers, which are cached, and expanded for each head.

    Queries are compressed too, unless `q_lora_rank` is null. Beside the part of a key that is expanded, all heads share
    one that is rotated.
    """
    queries, rank = config.optional("q_lora_rank", 1536), config.size("kv_lora_rank", 512)
    rope, key = config.size("qk_rope_head_dim", 64), config.size("qk_nope_head_dim", 128)
    value, bias = config.size("v_head_dim", 128), config.flag("attention_bias", False)
    if queries is None:
        yield from linear(f"{name}.q_proj", D, H * (key + rope), bias=False)
    else:
        yield from linear(f"{name}.q_a_proj", D, queries, bias)
        yield from rms_norm(f"{name}.q_a_layernorm", queries)
        yield from linear(f"{name}.q_b_proj", queries, H * (key + rope), bias=False)
    yield from linear(f"{name}.kv_a_proj_with_mqa", D, rank + rope, bias)
    yield from rms_norm(f"{name}.kv_a_layernorm", rank)
    yield from linear(f"{name}.kv_b_proj", rank, H * (key + value), bias=False)
    yield from linear(f"{name}.o_proj", H * value, D, bias)


def tensors(version: Version, config: Config, architecture: str) -> Tensors:
    """Dense layers first, then layers of experts."""
    s = Sizes.of(config, V=version.V, D=version.D, F=version.F, L=version.L, H=version.H)
    used, count = expert_counts(config, "n_routed_experts", version.experts, version.used)
    shared, width = config.size("n_shared_experts", version.shared), config.size("moe_intermediate_size", version.width)
    dense = config.size("first_k_dense_replace", version.dense, least=0)
    config.refuse("moe_layer_freq", 1)
    if version is V3:
        config.refuse("mlp_bias", False)
    bias = config.flag("mlp_bias", False)
    config.ignore(
        "num_nextn_predict_layers", "num_mtp_layers", "qk_head_dim", "rope_interleave", "ep_size", "aux_loss_alpha",
        "seq_aux", "n_group", "topk_group", "topk_method", "scoring_func",
    )  # fmt: skip

    def layer(name: str, i: int) -> Tensors:
        yield from latent_attention(f"{name}.self_attn", config, s.D, s.H)
        if i >= dense:
            yield from experts(f"{name}.mlp.experts", s.D, width, used, count)
            yield f"{name}.mlp.gate.weight", (count, s.D)
            yield from gated(f"{name}.mlp.shared_experts", s.D, shared * width, bias)
        else:
            yield from gated(f"{name}.mlp", s.D, s.F, bias)
        yield from rms_norm(f"{name}.input_layernorm", s.D)
        yield from rms_norm(f"{name}.post_attention_layernorm", s.D)

    return decoder(architecture, s, config.flag("tie_word_embeddings", False), layer)


def caches(version: Version, config: Config) -> Caches:
    """The compressed keys and values, and the rotated key, once for all heads."""
    latent = Latent(config.size("kv_lora_rank", 512), config.size("qk_rope_head_dim", 64))
    return [latent] * config.size("num_hidden_layers", version.L)


def saves(version: Version, config: Config, architecture: str) -> saved.Saves:
    """Norms of what is compressed, queries and keys put together from two parts, and the router's input in float32."""
    D, H, L = (
        config.size("hidden_size", version.D),
        config.size("num_attention_heads", version.H),
        config.size("num_hidden_layers", version.L),
    )
    queries, rank = config.optional("q_lora_rank", 1536), config.size("kv_lora_rank", 512)
    rope, key, value = (
        config.size("qk_rope_head_dim", 64),
        config.size("qk_nope_head_dim", 128),
        config.size("v_head_dim", 128),
    )
    heads = [
        *(saved.norm(saved.RMS, queries) if queries else []),
        *saved.norm(saved.RMS, rank),
        *saved.piece(saved.HEADS, "b · H · (2 · E + 2 · U)", H=H, E=key + rope, U=value),
        *saved.piece("statistics of the scores", "4 · H", "fused", H=H),
        *saved.rest_of_view(H * key),
        *saved.heads_first(H, value),
        *saved.scores(H, config.get("attention_dropout", 0)),
    ]
    used, count = expert_counts(config, "n_routed_experts", version.experts, version.used)
    shared, width = config.size("n_shared_experts", version.shared), config.size("moe_intermediate_size", version.width)
    k, first = saved.activation(config, "silu"), config.size("first_k_dense_replace", version.dense, least=0)
    dense = saved.feed_forward(config.size("intermediate_size", version.F), k, gated=True)
    sparse = [
        *saved.piece("inputs of the routers in float32", "c · D", D=D),
        *saved.routed(D, width, used, k, probabilities=count),
        *saved.feed_forward(shared * width, k, gated=True),
    ]
    mlps = [dense if i < first else sparse for i in range(L)]
    layers = [saved.layer(D, 2 * saved.norm(saved.RMS, D), heads, mlp) for mlp in mlps]
    return saved.Saves(layers, saved.norm(saved.RMS, D))


DEEPSEEK_V2 = Family(
    partial(tensors, V2), partial(caches, V2), ("DeepseekV2ForCausalLM", "DeepseekV2Model"), saves=partial(saves, V2)
)
DEEPSEEK_V3 = Family(
    partial(tensors, V3), partial(caches, V3), ("DeepseekV3ForCausalLM", "DeepseekV3Model"), saves=partial(saves, V3)
)
