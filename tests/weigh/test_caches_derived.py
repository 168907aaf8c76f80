"""What layers of any type keep, by rules over the fields of its config, against the reference library's own caches."""

import json
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, BltForCausalLM, DynamicCache

import weigh
from handbook.families.cache_runs import built, classes, run, types
from handbook.families.cache_samples import sample
from handbook.families.cache_tensors import READINGS, Reading, expected, in_total, seen
from handbook.families.caches import UNCACHED
from weigh.memory.kv_cache import cache_bytes, cache_steps
from weigh.memory.runtimes import Served, llama_cpp, vllm
from weigh.memory.runtimes import transformers as of_transformers
from weigh.models.caches import KeyValue, Latent, State, Vectors
from weigh.models.derived_caches import ATTENTION, apply, caches, rules
from weigh.models.recurrent_states import STATES

SAMPLED = [
    "olmo3", "smollm3", "deepseek_v32", "qwen3_5", "bamba", "falcon_mamba", "lfm2", "kimi_linear", "minimax",
    "mimo_v2_flash", "m2m_100", "gemma4_text", "nemotron_h", "rwkv", "xlstm", "recurrent_gemma", "xlnet", "reformer",
    "deepseek_v4", "mllama", "musicgen_melody", "cpmant", "inkling_text", "qwen4_exp_text", "glm5_next_text",
    "mistral_large4_text", "zaya", "minimax_m3_vl_text", "unlimited_ocr", "hrm_text", "bark",
]  # fmt: skip


def fields(**given: Any) -> SimpleNamespace:
    return SimpleNamespace(**given)


def read(model_type: str, reading: Reading, seed: str) -> tuple[Any, list[Any]]:
    """A config that can be built, and the tensors of its cache."""
    for attempt in range(8):
        try:
            config, cache = run(model_type, sample(model_type, f"{seed}.{attempt}"), reading)
            return config, seen(cache, reading)
        except Exception:  # some changes of fields make no model
            continue
    pytest.fail("no config could be built")


@pytest.mark.parametrize("model_type", SAMPLED)
def test_a_type_keeps_what_the_reference_keeps(model_type: str) -> None:
    alone = model_type in ("cpmant", "musicgen_melody")  # they read everything again
    reading = READINGS[len(model_type) % 2] if alone else READINGS[len(model_type) % 4]
    config, found = read(model_type, reading, "test")
    said = caches(config, model_type)
    assert said and found
    assert in_total(expected(said, reading, bool(getattr(config, "is_encoder_decoder", False)))) == in_total(found)


@pytest.mark.parametrize(
    ("model_type", "tokens"), [*product(["rwkv", "xlnet", "reformer"], [9, 13]), ("xlstm", 9), ("cpmant", 9)]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_bytes_are_those_of_the_tensors(model_type: str, tokens: int, dtype: str) -> None:
    reading = Reading(dtype, batch=3, tokens=tokens)
    config, found = read(model_type, reading, "bytes")
    said = caches(config, model_type)
    held = sum(3 * numbers * getattr(torch, name).itemsize for _, numbers, name in in_total(found))
    assert said and cache_bytes(said, tokens, 3, dtype, 0) == held


def test_deepseek_v4_holds_a_prompt_whole_where_its_tokens_wait_for_a_group() -> None:
    fields = sample("deepseek_v4", "held") | {
        "layer_types": ["compressed_sparse_attention", "heavily_compressed_attention", "sliding_attention"],
        "mlp_layer_types": ["moe"] * 3, "num_hidden_layers": 3, "sliding_window": 6,
    }  # fmt: skip
    config = CONFIG_MAPPING["deepseek_v4"].from_dict(fields)
    model, said, tokens = built(classes("deepseek_v4")[0], config, "float32"), caches(config, "deepseek_v4"), 0
    whole = weigh.Model("deepseek_v4", "", "float32", (), 0, None, lambda: said, {}, None, None)  # type: ignore[arg-type]
    cache = DynamicCache(config=config)
    with torch.no_grad():
        for prompt in (11, 1, 1, 3):
            model(torch.ones(2, prompt, dtype=torch.long), past_key_values=cache, use_cache=True)
            tokens += prompt
            parts = [part for layer in cache.layers for part in vars(layer).values()]
            tensors = [each for part in parts for each in (part.values() if isinstance(part, dict) else [part])]
            held = {each.untyped_storage() for each in tensors if isinstance(each, torch.Tensor) and each.dim() > 1}
            served = Served(whole, "float32", "float32", tokens, 2, tokens, prompt)
            steps = of_transformers(served)
            assert steps is not None
            sizes = {storage.data_ptr(): storage.nbytes() for storage in held}
            assert sum(step.value for step in steps) == sum(sizes.values())
    assert vllm(served) is None and llama_cpp(served) is None, "no engine else is known to keep such vectors"


def test_vectors_of_groups_and_the_tokens_that_wait() -> None:
    kept = [Vectors(8, every=4, waiting=16)]
    assert [cache_bytes(kept, tokens, 1, "float16", 0) for tokens in (3, 4, 5)] == [3 * 32, 16, 16 + 32]
    (step,) = cache_steps(kept, 10, 2, "float16", 0)
    assert step.formula == "L · (G · R + M · Q) · B · b" and step.substituted == "1 · (2 · 8 + 2 · 16) · 2 · 2"
    assert cache_bytes([Vectors(8, window=5)], 9, 1, "float16", 0) == 5 * 16
    assert cache_bytes([Vectors(2, dtype="int64")], 9, 1, "q8_0", 0) == 9 * 16, "token ids are not quantized"
    with pytest.raises(weigh.WeighError, match="blocks of 32"):
        cache_bytes(kept, 8, 1, "q8_0", 0)


def test_a_kind_of_layer_that_no_rule_knows_has_no_answer() -> None:
    sizes = fields(num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8)
    sizes.layer_types = ["full_attention", "attention_of_tomorrow"]
    assert caches(sizes, "llama") is None


def test_defaults_of_well_known_models(tmp_path: Path) -> None:
    def kept(**given: Any) -> list[Any]:
        (tmp_path / "config.json").write_text(json.dumps(given))
        return weigh.params(tmp_path, fallback=False).caches

    layers = kept(model_type="recurrent_gemma", num_key_value_heads=1)  # of 26 layers each third attends
    assert layers.count(KeyValue(1, 256, 256, 2048)) == 8 and layers.count(State(2560, "float32")) == 18
    assert sum(one.numel for one in kept(model_type="rwkv", hidden_size=768, num_hidden_layers=12)) == 5 * 768 * 12
    vision = kept(model_type="mllama")  # 8 of 40 layers look at images
    assert [one.cross for one in vision].count(True) == 8 and len(vision) == 40
    assert kept(model_type="openai-gpt") == []


def test_blt_still_writes_without_a_cache_only() -> None:
    small = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 8}
    wide = small | {"hidden_size_global": 32}
    config = CONFIG_MAPPING["blt"](
        encoder_hash_byte_group_vocab=16, encoder_hash_byte_group_size=[3], patching_mode="space", patcher_config=small,
        encoder_config=wide, decoder_config=wide, global_config=small | {"hidden_size": 32},
    )  # fmt: skip
    model, ids = BltForCausalLM(config).eval(), torch.full((1, 6), 7)
    assert model.generate(ids, max_new_tokens=2, use_cache=False).shape[1] > 6
    with pytest.raises(AttributeError, match="num_hidden_layers"):
        model.generate(ids, max_new_tokens=2)
    assert caches(config, "blt") == []


def test_the_table_names_rules_that_there_are() -> None:
    known = rules()
    assert list(known) == sorted(known) and len(known) > 200
    for first, *states in known.values():
        assert first in {*ATTENTION, *STATES, "part", "nothing"}
        assert set(states) <= set(STATES)
    assert set(types()) <= set(known)
    at_once = {"fastspeech2_conformer_with_hifigan", "vits"}  # they make all of a sound
    assert {name for name in types() if known[name] == ("nothing",)} == {"openai-gpt", "xlm"} | at_once | UNCACHED


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
    assert apply(("attention", "delta"), sizes, sizes) == [State(conv, kernel=4), State(4 * 8 * 16, "float32")]


def test_an_encoder_decoder_keeps_the_encoders_tokens_too_without_a_window() -> None:
    config = fields(num_hidden_layers=1, num_attention_heads=2, hidden_size=8, sliding_window=3)
    config.is_encoder_decoder = True
    assert apply(("attention",), config, config) == [KeyValue(2, 4, 4, 3), KeyValue(2, 4, 4, cross=True)]


def test_an_index_is_kept_by_the_layers_that_have_one() -> None:
    config = fields(
        num_hidden_layers=2, layer_types=["indexed_attention"] * 2, indexer_types=["full", "shared"], kv_lora_rank=12,
        qk_rope_head_dim=4, index_head_dim=16,
    )  # fmt: skip
    assert apply(("indexed",), config, config) == [Latent(12, 4, None, 16), Latent(12, 4)]


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
