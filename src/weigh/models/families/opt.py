"""OPT (Zhang et al. 2022)."""

from weigh.models.config import Config
from weigh.models.families import saved
from weigh.models.families.parts import Caches, Family, KeyValue, Tensors, TiedTo, layer_norm, learned, linear


def tensors(config: Config, architecture: str) -> Tensors:
    """Embeddings of `word_embed_proj_dim` numbers, projected in and out if that is not the width, as in OPT-350M."""
    V, T, D = (
        config.size("vocab_size", 50272),
        config.size("max_position_embeddings", 2048),
        config.size("hidden_size", 768),
    )
    P, L, F = config.size("word_embed_proj_dim", D), config.size("num_hidden_layers", 12), config.size("ffn_dim", 3072)
    bias, affine = config.flag("enable_bias", True), config.flag("layer_norm_elementwise_affine", True)
    last_norm = config.flag("do_layer_norm_before", True) and not config.flag("_remove_final_layer_norm", False)
    tied = config.flag("tie_word_embeddings", True)
    config.ignore("layerdrop", "init_std")

    def norm(name: str) -> Tensors:
        if affine:
            yield from layer_norm(name, D)

    body = "decoder" if architecture == "OPTModel" else "model.decoder"
    yield f"{body}.embed_tokens.weight", (V, P)
    yield f"{body}.embed_positions.weight", (T + 2, D)  # positions count from 2
    if P != D:
        yield f"{body}.project_out.weight", (P, D)
        yield f"{body}.project_in.weight", (D, P)
    if last_norm:
        yield from norm(f"{body}.final_layer_norm")
    for i in range(L):
        layer = f"{body}.layers.{i}"
        for projection in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from linear(f"{layer}.self_attn.{projection}", D, D, bias)
        yield from norm(f"{layer}.self_attn_layer_norm")
        yield from linear(f"{layer}.fc1", D, F, bias)
        yield from linear(f"{layer}.fc2", F, D, bias)
        yield from norm(f"{layer}.final_layer_norm")
    if architecture == "OPTForCausalLM":
        yield "lm_head.weight", TiedTo(f"{body}.embed_tokens.weight") if tied else (V, P)


def caches(config: Config) -> Caches:
    """A key and a value for every head."""
    D, H = config.size("hidden_size", 768), config.size("num_attention_heads", 12)
    E = config.split("hidden_size", "num_attention_heads", D, H)
    return [KeyValue(H, E, E)] * config.size("num_hidden_layers", 12)


def saves(config: Config, architecture: str) -> saved.Saves:
    """Layer norms before each part, or after it, as in OPT-350M, where the embedding feeds the first layer."""
    D, H, L = (
        config.size("hidden_size", 768),
        config.size("num_attention_heads", 12),
        config.size("num_hidden_layers", 12),
    )
    P, before = config.size("word_embed_proj_dim", D), config.flag("do_layer_norm_before", True)
    heads = saved.attention(H, H, D // H, config.get("attention_dropout", 0))
    mlp = saved.feed_forward(config.size("ffn_dim", 3072), saved.activation(config, "relu", "activation_function"))
    masks = saved.dropped(config.get("dropout", 0.1), D, 2)
    ends = saved.norm(saved.LAYER, D) if before else saved.piece("input of the first layer", "b · D", D=D)
    projected = saved.piece("narrow embeddings, in and out", "2 · b · P", P=P) if P != D else []
    return saved.Saves([saved.layer(D, 2 * saved.norm(saved.LAYER, D), heads, mlp, masks)] * L, [*ends, *projected])


OPT = Family(tensors, caches, ("OPTForCausalLM", "OPTModel"), learned("max_position_embeddings", 2048), saves=saves)
