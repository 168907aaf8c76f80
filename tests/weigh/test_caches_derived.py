"""What layers of any type keep, by rules over the fields of its config, against the reference library's own caches."""

from types import SimpleNamespace
from typing import Any

import pytest
from transformers import CONFIG_MAPPING

from handbook.families import caches as verifying
from handbook.families.cache_samples import sample
from weigh.models.caches import KeyValue, Latent, State
from weigh.models.derived_caches import ATTENTION, apply, caches, rules
from weigh.models.recurrent_states import STATES

SAMPLED = [
    "olmo3", "smollm3", "deepseek_v32", "qwen3_5", "bamba", "falcon_mamba", "lfm2", "kimi_linear", "minimax",
    "mimo_v2_flash", "m2m_100", "gemma4_text", "nemotron_h",
]  # fmt: skip


def fields(**given: Any) -> SimpleNamespace:
    return SimpleNamespace(**given)


@pytest.mark.parametrize("model_type", SAMPLED)
def test_a_type_keeps_what_the_reference_keeps(model_type: str) -> None:
    for attempt in range(8):
        try:
            config, cache = verifying.run(model_type, sample(model_type, f"test.{attempt}"))
        except Exception:  # some changes of fields make no model
            continue
        said = caches(config, model_type)
        assert said and verifying.expected(said) == verifying.seen(cache)
        return
    pytest.fail("no config could be built")


def test_the_table_names_rules_that_there_are() -> None:
    known = rules()
    assert list(known) == sorted(known) and len(known) > 200
    for first, *states in known.values():
        assert first in {*ATTENTION, "part", "nothing"}
        assert set(states) <= set(STATES)


def test_a_type_that_was_not_verified_has_no_answer() -> None:
    assert caches(fields(num_hidden_layers=2, num_attention_heads=2, hidden_size=8), "llama_of_tomorrow") is None
    assert caches(fields(num_hidden_layers=2), "llama") is None
    assert caches(fields(text_config=fields(model_type="llama_of_tomorrow")), "llava") is None


@pytest.mark.parametrize(
    "changed",
    [{"num_hidden_layers": 10**9}, {"num_key_value_heads": -2}, {"head_dim": "8"}, {"head_dim": 2.5},
     {"num_hidden_layers": "many"}, {"num_attention_heads": 0, "head_dim": None}, {"head_dim": 10**30},
     {"num_attention_heads": 2**63, "head_dim": None}],
)  # fmt: skip
def test_sizes_that_no_model_has_give_no_answer(changed: dict[str, Any]) -> None:
    sizes = {
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_size": 32,
        "head_dim": 8,
    }
    assert caches(fields(**sizes), "llama") == [KeyValue(2, 8, 8)] * 2
    assert caches(fields(**sizes | changed), "llama") is None


def test_a_part_that_writes_answers_for_the_whole() -> None:
    text = CONFIG_MAPPING["qwen2"](num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, hidden_size=32)
    whole = CONFIG_MAPPING["llava"](text_config=text)
    assert caches(whole, "llava") == caches(text, "qwen2") == [KeyValue(2, 8, 8)] * 2


def test_layers_that_share_a_cache_keep_none() -> None:
    config = fields(
        num_hidden_layers=5, num_attention_heads=4, num_key_value_heads=1, head_dim=8, sliding_window=6,
        layer_types=["sliding_attention", "full_attention"] * 2 + ["full_attention"], num_kv_shared_layers=2,
    )  # fmt: skip
    assert caches(config, "gemma3n_text") == [KeyValue(1, 8, 8, 6), KeyValue(1, 8, 8), KeyValue(1, 8, 8, 6)]


def test_a_recurrent_state_is_wide_and_a_convolutions_inputs_are_not() -> None:
    sizes = fields(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=16,
                   linear_conv_kernel_dim=4, num_hidden_layers=1, layer_types=["linear_attention"])  # fmt: skip
    conv = (2 * 2 * 8 + 4 * 16) * 4
    assert apply(("attention", "delta"), sizes, False) == [State(conv, kernel=4), State(4 * 8 * 16, "float32")]


def test_an_encoder_decoder_keeps_the_encoders_tokens_too_without_a_window() -> None:
    config = fields(num_hidden_layers=1, num_attention_heads=2, hidden_size=8, sliding_window=3)
    assert apply(("attention",), config, True) == [KeyValue(2, 4, 4, 3), KeyValue(2, 4, 4, cross=True)]


def test_an_index_is_kept_by_the_layers_that_have_one() -> None:
    config = fields(
        num_hidden_layers=2, layer_types=["indexed_attention"] * 2, indexer_types=["full", "shared"], kv_lora_rank=12,
        qk_rope_head_dim=4, index_head_dim=16,
    )  # fmt: skip
    assert apply(("indexed",), config, False) == [Latent(12, 4, None, 16), Latent(12, 4)]


def test_a_published_hybrid() -> None:
    kinds = [0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0]
    config = fields(
        num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8, hidden_size=2048, conv_L_cache=3,
        layer_types=["full_attention" if heads else "conv" for heads in kinds],
    )  # fmt: skip
    kept = caches(config, "lfm2")
    assert kept is not None
    attention = [layer for layer in kept if isinstance(layer, KeyValue)]
    assert sum(layer.heads * (layer.key + layer.value) * 2 * 32_768 for layer in attention) == 384 * 2**20
