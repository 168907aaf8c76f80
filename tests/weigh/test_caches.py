"""What the layers of a decoder keep, against the reference library's own caches after a real forward pass."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from transformers import Cache, DynamicCache, StaticCache

import weigh
from weigh import errors
from weigh.memory.kv_cache import cache_bytes
from weigh.models.caches import KeyValue, Latent, State
from weigh.models.families import FAMILIES

from .strategies_decoders import DECODERS

BATCH, TOKENS = 2, 11
HEADS = {
    "vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "pad_token_id": 0,
    "max_position_embeddings": 64,
}  # fmt: skip
SMALL = HEADS | {"intermediate_size": 24, "num_key_value_heads": 2}
GPT = {"vocab_size": 30, "n_embd": 32, "n_head": 4, "n_layer": 2}
EXPERTS = {"moe_intermediate_size": 8, "num_experts_per_tok": 2}
LATENT = {
    "kv_lora_rank": 12, "q_lora_rank": 10, "qk_rope_head_dim": 6, "qk_nope_head_dim": 8, "v_head_dim": 10,
    "n_routed_experts": 4, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1,
}  # fmt: skip
WINDOW = {"use_sliding_window": True, "sliding_window": 5}

CACHED: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", GPT),
    "llama": ("llama", SMALL),
    "llama, multi-query": ("llama", SMALL | {"num_key_value_heads": 1}),
    "llama, a head size of its own": ("llama", SMALL | {"head_dim": 12}),
    "gpt_neox": ("gpt_neox", HEADS | {"intermediate_size": 24}),
    "gptj": ("gptj", GPT | {"rotary_dim": 4}),
    "opt": ("opt", HEADS | {"ffn_dim": 24}),
    "bloom": ("bloom", {"vocab_size": 30, "hidden_size": 32, "n_head": 4, "n_layer": 2}),
    "falcon, multi-query": ("falcon", HEADS),
    "falcon, multi-head": ("falcon", HEADS | {"multi_query": False}),
    "phi": ("phi", SMALL),
    "phi3": ("phi3", SMALL),
    "phi3, sliding": ("phi3", SMALL | {"sliding_window": 5}),
    "mistral": ("mistral", SMALL),
    "mistral, sliding": ("mistral", SMALL | {"sliding_window": 5}),
    "mistral, not sliding": ("mistral", SMALL | {"sliding_window": None}),
    "mixtral": ("mixtral", SMALL | {"num_local_experts": 4}),
    "qwen2": ("qwen2", SMALL | {"sliding_window": 5, "max_window_layers": 1}),
    "qwen2, upper layers sliding": ("qwen2", SMALL | WINDOW | {"max_window_layers": 1}),
    "qwen2_moe, alternating": ("qwen2_moe", SMALL | WINDOW | EXPERTS | {"num_experts": 4, "max_window_layers": 2}),
    "qwen3": ("qwen3", SMALL | {"head_dim": 12}),
    "qwen3, upper layers sliding": ("qwen3", SMALL | WINDOW | {"head_dim": 12, "max_window_layers": 3}),
    "qwen3_moe": ("qwen3_moe", SMALL | EXPERTS | {"num_experts": 4}),
    "qwen3_moe, sliding": ("qwen3_moe", SMALL | WINDOW | EXPERTS | {"num_experts": 4}),
    "gemma": ("gemma", SMALL | {"head_dim": 12}),
    "gemma2, alternating": ("gemma2", SMALL | {"sliding_window": 5}),
    "gemma2, as its layer types say": (
        "gemma2",
        SMALL | {"sliding_window": 5, "layer_types": ["full_attention"] * 2 + ["sliding_attention"] * 2},
    ),
    "gemma3_text, two in three": ("gemma3_text", SMALL | {"sliding_window": 5, "sliding_window_pattern": 3}),
    "gemma3_text, both ways": ("gemma3_text", SMALL | {"sliding_window": 8, "use_bidirectional_attention": True}),
    "cohere": ("cohere", SMALL),
    "starcoder2": ("starcoder2", SMALL),
    "starcoder2, sliding": ("starcoder2", SMALL | {"sliding_window": 5}),
    "stablelm": ("stablelm", SMALL),
    "olmo": ("olmo", SMALL),
    "olmo2": ("olmo2", SMALL),
    "deepseek_v2": ("deepseek_v2", SMALL | LATENT | EXPERTS | {"num_key_value_heads": 4}),
    "deepseek_v3": ("deepseek_v3", SMALL | LATENT | EXPERTS | {"num_key_value_heads": 4}),
    "gpt_oss, alternating": ("gpt_oss", SMALL | {"sliding_window": 5, "num_local_experts": 4, "head_dim": 12}),
    "mamba": ("mamba", {"vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 2, "conv_kernel": 3}),
}


def counted(directory: Path, **fields: Any) -> weigh.Model:
    (directory / "config.json").write_text(json.dumps(fields))
    return weigh.params(directory, fallback=False)


def after_a_forward_pass(
    model_type: str, fields: dict[str, Any], static: bool, dtype: torch.dtype = torch.float32
) -> Cache:
    """The reference's cache once a tiny model with random weights has read some tokens."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = transformers.AutoConfig.for_model(model_type, **fields)
    model = getattr(transformers, FAMILIES[model_type].architectures[0])(config).to(dtype).eval()
    cache = StaticCache(config=config, max_cache_len=TOKENS) if static else DynamicCache(config=config)
    with torch.no_grad():
        model(torch.ones(BATCH, TOKENS, dtype=torch.long), use_cache=True,
              **{"cache_params" if model_type == "mamba" else "past_key_values": cache})  # fmt: skip
    return cache


def states(cache: Cache) -> list[torch.Tensor]:
    """What a model without attention keeps, layer by layer: the convolution's last inputs, then the state."""
    return [
        state for layer in cache.layers for state in (*layer.conv_states.values(), *layer.recurrent_states.values())
    ]


def shapes(layer: KeyValue | Latent, static: bool) -> list[tuple[int, ...]]:
    """The tensors that the layer keeps. A cache that grows leaves out the token that the next one pushes out."""
    if isinstance(layer, Latent):
        return [(BATCH, 1, TOKENS, layer.rank), (BATCH, 1, TOKENS, layer.rope)]
    kept = TOKENS if layer.window is None else min(TOKENS, layer.window - (not static))
    return [(BATCH, layer.heads, kept, layer.key), (BATCH, layer.heads, kept, layer.value)]


@pytest.mark.parametrize("static", [True, False], ids=["static", "dynamic"])
@pytest.mark.parametrize("case", CACHED)
def test_every_layer_keeps_what_the_reference_keeps(case: str, static: bool, tmp_path: Path) -> None:
    model_type, fields = CACHED[case]
    cache, said = after_a_forward_pass(model_type, fields, static), counted(tmp_path, model_type=model_type, **fields)
    if model_type == "mamba":
        assert [state.numel() for state in states(cache)] == [BATCH * counts.numel for counts in said.caches]
        return
    assert len(cache.layers) == len(said.caches)
    for layer, counts in zip(cache.layers, said.caches, strict=True):
        assert [tuple(tensor.shape) for tensor in (layer.keys, layer.values)] == shapes(counts, static)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_recurrent_state_stays_in_float32(dtype: str, tmp_path: Path) -> None:
    model_type, fields = CACHED["mamba"]
    kept = states(after_a_forward_pass(model_type, fields, static=False, dtype=getattr(torch, dtype)))
    said = counted(tmp_path, model_type=model_type, **fields).caches
    assert all(isinstance(state, State) for state in said)
    assert [getattr(torch, state.dtype or dtype) for state in said] == [state.dtype for state in kept]
    assert cache_bytes(said, TOKENS, BATCH, dtype, 0) == sum(state.nbytes for state in kept)


@pytest.mark.parametrize("model_type", sorted(set(DECODERS) - {"gpt_neo", "mamba"}))
def test_every_layer_has_the_references_window(model_type: str, tmp_path: Path) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(DECODERS[model_type])
    def check(fields: dict[str, Any]) -> None:
        cache = DynamicCache(config=transformers.AutoConfig.for_model(model_type, **fields))
        said = counted(tmp_path, model_type=model_type, **fields).caches
        assert [getattr(layer, "window", None) for layer in said] == [
            getattr(layer, "sliding_window", None) for layer in cache.layers
        ]

    check()


def test_every_decoder_is_compared() -> None:
    assert set(DECODERS) - {model_type for model_type, _ in CACHED.values()} == {"gpt_neo"}


def test_the_reference_keeps_more_of_gpt_neo_than_it_needs(tmp_path: Path) -> None:
    fields = {
        "vocab_size": 30, "hidden_size": 32, "num_heads": 4, "num_layers": 2, "window_size": 5,
        "attention_types": [[["local", "global"], 1]],
    }  # fmt: skip
    assert counted(tmp_path, model_type="gpt_neo", **fields).caches == [KeyValue(4, 8, 8, 5), KeyValue(4, 8, 8)]
    cache = after_a_forward_pass("gpt_neo", fields, static=False)
    assert [tuple(layer.keys.shape) for layer in cache.layers] == [(BATCH, 4, TOKENS, 8)] * 2


def test_the_reference_repeats_the_key_value_heads_of_later_falcons(tmp_path: Path) -> None:
    fields = HEADS | {"new_decoder_architecture": True, "num_kv_heads": 2}
    assert counted(tmp_path, model_type="falcon", **fields).caches == [KeyValue(2, 8, 8)] * 4
    cache = after_a_forward_pass("falcon", fields, static=False)
    assert [tuple(layer.keys.shape) for layer in cache.layers] == [(BATCH, 4, TOKENS, 8)] * 4
    for layer in cache.layers:
        assert torch.equal(layer.keys[:, 0], layer.keys[:, 1])


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"model_type": "gemma2", "layer_types": ["full_attention"]}, errors.InvalidConfig, "each of the 26 layers"),
        ({"model_type": "gemma2", "layer_types": "sliding"}, errors.InvalidConfig, "layer_types"),
        ({"model_type": "gemma2", "sliding_window": None}, errors.InvalidConfig, "no sliding_window"),
        (
            {"model_type": "gpt_oss", "num_hidden_layers": 1, "layer_types": ["chunked_attention"]},
            errors.UnsupportedField,
            "keeps of the past",
        ),
        (
            {"model_type": "qwen2", "num_hidden_layers": 1, "layer_types": ["sliding_attention"]},
            errors.InvalidConfig,
            "no sliding_window",
        ),
        ({"model_type": "mistral", "layer_types": ["full_attention"] * 32}, errors.UnsupportedField, "layer_types"),
        ({"model_type": "gpt_neo", "num_layers": 12}, errors.InvalidConfig, "attention_types"),
        ({"model_type": "gpt_neo", "attention_types": [["global"]]}, errors.InvalidConfig, "attention_types"),
        ({"model_type": "gpt_neo", "attention_types": [["xy", 12]]}, errors.InvalidConfig, "attention_types"),
    ],
)
def test_a_config_that_does_not_say_what_is_kept_is_refused(
    fields: dict[str, Any], error: type[errors.WeighError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        counted(tmp_path, **fields).caches  # noqa: B018
