"""What is particular to a decoder: active parameters, what null means, and the configs that are refused."""

import json
from pathlib import Path
from typing import Any

import pytest

import weigh
from weigh import errors
from weigh.models.caches import KeyValue, Latent, State


def params(directory: Path, **fields: Any) -> weigh.Model:
    (directory / "config.json").write_text(json.dumps(fields))
    return weigh.params(directory, fallback=False)


@pytest.mark.parametrize(
    ("name", "active", "published"),
    [
        ("mixtral-8x7b", 12_879_925_248, "12.9B"),
        ("qwen1.5-moe-a2.7b", 2_689_173_504, "2.7B"),
        ("qwen3-30b-a3b", 3_353_032_704, "3.4B"),
        ("deepseek-v2", 21_375_800_320, "21.4B"),
        ("deepseek-v3", 37_552_282_624, "37.6B"),
        ("gpt-oss-20b", 4_187_440_704, "4.2B"),
        ("gpt-oss-120b", 5_711_982_912, "5.7B"),
    ],
)
def test_the_parameters_that_a_token_passes_through(name: str, active: int, published: str) -> None:
    assert weigh.params(f"models/{name}").active_parameters == active
    assert f"{active / 1e9:.1f}B" == published


def test_openai_counts_the_active_parameters_without_the_embedding() -> None:
    for name, published in (("gpt-oss-20b", "3.61B"), ("gpt-oss-120b", "5.13B")):
        assert f"{(weigh.params(f'models/{name}').active_parameters - 201_088 * 2880) / 1e9:.2f}B" == published


def test_every_parameter_of_a_dense_model_is_active() -> None:
    for name in ("mistral-7b", "gemma-3-1b", "mamba-130m"):
        model = weigh.params(f"models/{name}")
        assert model.active_parameters == model.parameters


def test_what_published_models_keep() -> None:
    def kept(name: str) -> dict[object, int]:
        caches = weigh.params(f"models/{name}").caches
        return {layer: caches.count(layer) for layer in caches}

    assert kept("mistral-7b") == {KeyValue(8, 128, 128, 4096): 32}
    assert kept("qwen2.5-7b") == {KeyValue(4, 128, 128): 28}
    assert kept("falcon-7b") == {KeyValue(1, 64, 64): 32}
    assert kept("falcon-40b") == {KeyValue(8, 64, 64): 60}
    assert kept("gemma-3-1b") == {KeyValue(1, 256, 256, 512): 22, KeyValue(1, 256, 256): 4}
    assert kept("gpt-oss-20b") == {KeyValue(8, 64, 64, 128): 12, KeyValue(8, 64, 64): 12}
    assert kept("gpt-neo-1.3b") == {KeyValue(16, 128, 128): 12, KeyValue(16, 128, 128, 256): 12}
    assert kept("deepseek-v3") == {Latent(512, 64): 61}
    assert kept("mamba-130m") == {State(1536 * 4, kernel=4): 24, State(1536 * 16, "float32"): 24}


def test_null_is_not_always_the_default(tmp_path: Path) -> None:
    compressed, direct = (
        params(tmp_path, model_type="deepseek_v3", **fields) for fields in ({}, {"q_lora_rank": None})
    )
    assert "model.layers.0.self_attn.q_a_proj.weight" in {tensor.name for tensor in compressed.named}
    assert "model.layers.0.self_attn.q_proj.weight" in {tensor.name for tensor in direct.named}
    assert params(tmp_path, model_type="mistral").caches[0] == KeyValue(8, 128, 128, 4096)
    assert params(tmp_path, model_type="mistral", sliding_window=None).caches[0] == KeyValue(8, 128, 128)


def test_a_private_field_removes_the_last_norm_of_opt(tmp_path: Path) -> None:
    with_norm, without = (
        params(tmp_path, model_type="opt", **fields) for fields in ({}, {"_remove_final_layer_norm": True})
    )
    assert with_norm.parameters - without.parameters == 2 * 768


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"model_type": "mistral", "hidden_size": 4090}, errors.InvalidConfig, "hidden_size"),
        ({"model_type": "mistral", "num_key_value_heads": 5}, errors.InvalidConfig, "num_attention_heads"),
        ({"model_type": "mistral", "head_dim": 0}, errors.InvalidConfig, "head_dim"),
        ({"model_type": "mixtral", "num_experts_per_tok": 9}, errors.InvalidConfig, "more than num_local_experts, 8"),
        ({"model_type": "qwen3_moe", "mlp_only_layers": 3}, errors.InvalidConfig, "mlp_only_layers"),
        ({"model_type": "phi3", "attention_bias": True}, errors.UnsupportedField, "attention_bias"),
        ({"model_type": "stablelm", "head_dim": 64}, errors.UnsupportedField, "head_dim"),
        ({"model_type": "starcoder2", "mlp_type": "gated"}, errors.UnsupportedField, "mlp_type"),
        ({"model_type": "deepseek_v3", "moe_layer_freq": 2}, errors.UnsupportedField, "moe_layer_freq"),
        ({"model_type": "deepseek_v3", "mlp_bias": True}, errors.UnsupportedField, "mlp_bias"),
        ({"model_type": "falcon", "num_attention_heads": 70}, errors.InvalidConfig, "hidden_size"),
        (
            {"model_type": "falcon", "new_decoder_architecture": True, "num_kv_heads": 8},
            errors.InvalidConfig,
            "num_kv_heads",
        ),
        ({"model_type": "gpt_neox", "num_attention_heads": 7}, errors.InvalidConfig, "hidden_size"),
        ({"model_type": "gptj", "n_head": 7}, errors.InvalidConfig, "n_embd"),
        ({"model_type": "bloom", "n_head": 7}, errors.InvalidConfig, "hidden_size"),
        ({"model_type": "mamba", "time_step_rank": "high"}, errors.InvalidConfig, "time_step_rank"),
    ],
)
def test_a_config_that_the_reference_would_not_build_so_is_refused(
    fields: dict[str, Any], error: type[errors.WeighError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        params(tmp_path, **fields)
