"""Random configs of decoder-only models, small enough to build on the meta device in milliseconds."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Config = dict[str, Any]
Fields = dict[str, SearchStrategy[Any]]

sizes, layers, flags = st.integers(1, 40), st.integers(1, 3), st.booleans()
even = st.integers(1, 8).map(lambda n: 2 * n)


@st.composite
def configs(draw: st.DrawFn, base: SearchStrategy[Config], required: Fields, optional: Fields) -> Config:
    """A config with the fields of the base, all of the required ones, and some of the others."""
    chosen = required | {name: value for name, value in optional.items() if draw(flags)}
    return draw(base) | {name: draw(value) for name, value in chosen.items()}


@st.composite
def heads(draw: st.DrawFn, width: str = "hidden_size", heads: str = "num_attention_heads") -> Config:
    """A width, and the heads that share it."""
    H = draw(st.sampled_from([1, 2, 3, 4, 6]))
    return {width: 2 * H * draw(sizes), heads: H}


@st.composite
def grouped(draw: st.DrawFn, field: str = "num_key_value_heads", required: bool = False) -> Config:
    """A width, heads, and the key-value heads that they share; by default one for each."""
    config = draw(heads())
    H = config["num_attention_heads"]
    divisors = st.sampled_from([k for k in range(1, H + 1) if H % k == 0])
    return config | ({field: draw(divisors)} if required or draw(flags) else {})


@st.composite
def mixture(draw: st.DrawFn, base: SearchStrategy[Config], field: str) -> Config:
    """Experts, of which a token passes through some."""
    count = draw(st.integers(1, 6))
    return draw(base) | {field: count, "num_experts_per_tok": draw(st.integers(1, count))}


@st.composite
def typed(draw: st.DrawFn, base: SearchStrategy[Config], **also: bool) -> Config:
    """A config that may say of each layer whether it slides, and in that case has the other fields too."""
    config = draw(base)
    kinds, L = st.sampled_from(["full_attention", "sliding_attention"]), config["num_hidden_layers"]
    return config | ({"layer_types": draw(st.lists(kinds, min_size=L, max_size=L)), **also} if draw(flags) else {})


@st.composite
def local_and_global(draw: st.DrawFn) -> Config:
    """The layers of GPT-Neo, in its own words."""
    kinds = st.lists(st.sampled_from(["global", "local"]), min_size=1, max_size=2)
    types = [[draw(kinds), draw(layers)] for _ in range(draw(st.integers(1, 2)))]
    return draw(heads(heads="num_heads")) | {
        "attention_types": types, "num_layers": sum(len(kinds) * count for kinds, count in types),
    }  # fmt: skip


small: Fields = {"vocab_size": sizes, "num_hidden_layers": layers, "pad_token_id": st.just(0)}
llama: Fields = small | {"intermediate_size": sizes}
shared, own = grouped(), grouped(required=True)  # the key-value heads are as many as the heads if absent, or other
tied: Fields = {"tie_word_embeddings": flags}
biased: Fields = tied | {"attention_bias": flags, "head_dim": even}
window: Fields = {"sliding_window": st.none() | sizes}
qwen: Fields = {"sliding_window": sizes, "use_sliding_window": flags, "max_window_layers": st.integers(0, 4)}
sparse: Fields = {
    "decoder_sparse_step": layers, "mlp_only_layers": st.lists(st.integers(0, 2)), "moe_intermediate_size": sizes,
}  # fmt: skip
latent: Fields = {
    "q_lora_rank": st.none() | sizes, "kv_lora_rank": sizes, "qk_rope_head_dim": even, "qk_nope_head_dim": sizes,
    "v_head_dim": sizes, "attention_bias": flags, "n_shared_experts": layers, "moe_intermediate_size": sizes,
    "first_k_dense_replace": st.integers(0, 3), "num_nextn_predict_layers": layers,
}  # fmt: skip

DECODERS: dict[str, SearchStrategy[Config]] = {
    "gpt_neo": configs(
        local_and_global(),
        {"vocab_size": sizes, "max_position_embeddings": sizes},
        tied | {"intermediate_size": sizes, "window_size": sizes},
    ),
    "gpt_neox": configs(heads(), llama, tied | {"attention_bias": flags, "use_parallel_residual": flags}),
    "gptj": configs(
        heads("n_embd", "n_head"), {"vocab_size": sizes, "n_layer": layers}, tied | {"n_inner": st.none() | sizes}
    ),
    "opt": configs(
        heads(),
        small | {"ffn_dim": sizes, "max_position_embeddings": sizes},
        tied
        | {"word_embed_proj_dim": sizes, "do_layer_norm_before": flags, "_remove_final_layer_norm": flags}
        | {"enable_bias": flags, "layer_norm_elementwise_affine": flags},
    ),
    "bloom": configs(heads() | heads(heads="n_head") | heads("n_embed"), {"vocab_size": sizes, "n_layer": layers}, tied)
    | configs(heads(), small, tied),
    "falcon": configs(
        grouped("num_kv_heads"),
        small | {"ffn_hidden_size": sizes},
        tied
        | {"new_decoder_architecture": flags, "multi_query": flags, "parallel_attn": flags, "bias": flags}
        | {"num_ln_in_parallel_attn": st.sampled_from([None, 1, 2]), "alibi": flags},
    ),
    "phi": configs(shared, llama, tied | {"qk_layernorm": flags, "head_dim": even}),
    "phi3": configs(shared, llama, tied | window),
    "mistral": configs(own, llama, tied | window | {"head_dim": st.none() | even}),
    "mixtral": configs(mixture(own, "num_local_experts"), llama, tied | window | {"head_dim": even}),
    "qwen2": typed(
        configs(own, llama, tied | qwen | {"head_dim": even, "num_key_value_heads": st.none()}), use_sliding_window=True
    ),
    "qwen2_moe": typed(
        configs(
            mixture(own, "num_experts"),
            llama,
            tied | qwen | sparse | {"qkv_bias": flags, "shared_expert_intermediate_size": sizes},
        ),
        use_sliding_window=True,
    ),
    "qwen3": typed(configs(own, llama, biased | qwen), use_sliding_window=True),
    "qwen3_moe": configs(
        mixture(own, "num_experts") | mixture(own, "num_local_experts"),
        llama,
        biased | sparse | {"sliding_window": sizes, "use_sliding_window": flags},
    ),
    "gemma": configs(own, llama, biased),
    "gemma2": typed(configs(own, llama, biased | {"sliding_window": sizes})),
    "gemma3_text": typed(
        configs(
            own,
            llama,
            biased | {"sliding_window": sizes, "sliding_window_pattern": layers, "use_bidirectional_attention": flags},
        )
    ),
    "cohere": configs(shared, llama, biased | {"use_qk_norm": flags}),
    "starcoder2": configs(own, llama, tied | window | {"use_bias": flags}),
    "stablelm": configs(
        own, llama, tied | {"use_qkv_bias": flags, "qk_layernorm": flags, "use_parallel_residual": flags}
    ),
    "olmo": configs(shared, llama, biased),
    "olmo2": configs(shared, llama, biased),
    "deepseek_v2": configs(mixture(shared, "n_routed_experts"), llama, tied | latent | {"mlp_bias": flags}),
    "deepseek_v3": configs(mixture(shared, "n_routed_experts"), llama, tied | latent),
    "gpt_oss": typed(configs(mixture(own, "num_local_experts"), llama, biased | {"sliding_window": sizes})),
    "mamba": configs(
        st.just({}),
        small | {"hidden_size": sizes},
        tied
        | {"state_size": sizes, "expand": layers, "intermediate_size": sizes, "time_step_rank": st.just("auto") | sizes}
        | {"conv_kernel": layers, "use_bias": flags, "use_conv_bias": flags},
    ),
}
