"""What engines keep or reserve for a cache: the tensors of transformers, and what vLLM's planner and llama.cpp said."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from click.testing import CliRunner
from transformers import DynamicCache

import weigh
from weigh.cli import weigh as command
from weigh.memory.paged_cache import paged_steps
from weigh.memory.runtimes import RUNTIMES, Served, llama_cpp, vllm
from weigh.memory.runtimes import transformers as of_transformers
from weigh.models.caches import Caches, KeyValue, Latent, State
from weigh.models.families import FAMILIES

GIB = 2**30
SMALL = {
    "vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 24,
    "num_key_value_heads": 2, "pad_token_id": 0,
}  # fmt: skip
TINY: dict[str, dict[str, Any]] = {
    "llama": SMALL,
    "gemma2": SMALL | {"sliding_window": 5, "head_dim": 12},
    "gpt_oss": SMALL | {"sliding_window": 4, "head_dim": 12, "num_local_experts": 4},
    "falcon": {
        "vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "num_kv_heads": 2,
        "new_decoder_architecture": True,
    },
    "gpt_neo": {
        "vocab_size": 30, "hidden_size": 32, "num_heads": 4, "num_layers": 2, "window_size": 5,
        "attention_types": [[["local", "global"], 1]],
    },
}  # fmt: skip


def counted(directory: Path, **fields: Any) -> weigh.Model:
    (directory / "config.json").write_text(json.dumps(fields))
    return weigh.params(directory)


def total(steps: Any) -> int:
    return sum(step.value for step in steps)


def served(caches: Caches, context: int, batch: int = 1, dtype: str = "float16", model_type: str = "") -> Served:
    model = weigh.Model(model_type, "", dtype, (), frozenset(), tuple, lambda: caches, {}, None, None)  # type: ignore[arg-type]
    return Served(model, dtype, "float16", context, batch, context, context)


@pytest.mark.parametrize("model_type", TINY)
def test_transformers_holds_a_whole_prompt_until_the_next_token(model_type: str, tmp_path: Path) -> None:
    config = transformers.AutoConfig.for_model(model_type, **TINY[model_type])
    model = getattr(transformers, FAMILIES[model_type].architectures[0])(config).eval()
    said = counted(tmp_path, model_type=model_type, **TINY[model_type])
    cache, tokens = DynamicCache(config=config), 0
    with torch.no_grad():
        for read in (11, 1, 1, 3):
            model(torch.ones(2, read, dtype=torch.long), past_key_values=cache, use_cache=True)
            tokens += read
            held = sum(
                tensor.untyped_storage().nbytes() for layer in cache.layers for tensor in (layer.keys, layer.values)
            )
            how = Served(said, "float32", "float32", tokens, 2, tokens, read)
            assert total(of_transformers(how)) == held


def hybrid(layers: int, period: int, window: tuple[int, int, int], full: tuple[int, int]) -> Caches:
    heads, size, tokens = window
    return [
        KeyValue(heads, size, size, tokens) if (i + 1) % period else KeyValue(full[0], full[1], full[1])
        for i in range(layers)
    ]


@pytest.mark.parametrize(
    ("caches", "context", "prompt", "planned"),
    [
        (hybrid(24, 2, (8, 64, 128), (8, 64)), 8192, 8192, 403_046_400),
        (hybrid(24, 2, (8, 64, 128), (8, 64)), 8192, 2048, 255_197_184),
        (hybrid(34, 6, (4, 256, 1024), (4, 256)), 8192, 2048, 547_225_600),
        (hybrid(30, 6, (8, 256, 1024), (2, 512)), 8192, 2048, 800_194_560),
        ([Latent(512, 64)] * 61, 8192, 2048, 575_668_224),
    ],
)
def test_vllm_reserves_what_its_planner_plans(caches: Caches, context: int, prompt: int, planned: int) -> None:
    """The figures are those of `vllm.v1.core.kv_cache_planning` of vLLM 0.33.0, for one sequence in bfloat16."""
    assert total(paged_steps(caches, 2, context, 1, context, prompt)) == planned


def test_a_page_of_tokens_is_as_large_as_that_of_a_state() -> None:
    caches: Caches = [State(96, "float16", 4), State(5000, "float32"), KeyValue(2, 16, 16), KeyValue(2, 16, 16)]
    # 144 + 20,000 bytes of state need 158 tokens of 128 bytes: 10 times 16, for each of two groups of a layer
    assert total(paged_steps(caches, 2, 161, 1, 161, 161)) == 160 * 128 * (1 + 2 + 2)


@pytest.mark.parametrize(
    ("caches", "kind", "context", "batch", "dtype", "mebibytes"),
    [
        ([KeyValue(2, 64, 64)] * 4, "llama", 1000, 1, "float16", 2.00),
        ([KeyValue(2, 64, 64)] * 4, "llama", 1024, 4, "float16", 8.00),
        ([KeyValue(2, 64, 64)] * 4, "llama", 4097, 1, "q8_0", 4.52),
        ([KeyValue(2, 64, 64)] * 4, "llama", 1024, 1, "float32", 4.00),
        ([KeyValue(2, 64, 64, 512)] * 7 + [KeyValue(2, 64, 64)], "gemma3_text", 4096, 1, "float16", 5.50),
        ([KeyValue(2, 64, 64, 512)] * 7 + [KeyValue(2, 64, 64)], "gemma3_text", 512, 1, "float16", 2.00),
        ([KeyValue(2, 64, 64, 512)] * 7 + [KeyValue(2, 64, 64)], "gemma3_text", 4096, 2, "float16", 11.00),
        ([KeyValue(2, 64, 64, 512)] * 4, "mistral", 4096, 1, "float16", 8.00),
        ([Latent(64, 32)] * 4, "deepseek_v2", 1000, 1, "float16", 0.75),
        ([State(512 * 4, kernel=4), State(512 * 16, "float32")] * 4, "mamba", 1000, 3, "float16", 0.45),
    ],
)
def test_llama_cpp_allocates_what_its_context_reported(
    caches: Caches, kind: str, context: int, batch: int, dtype: str, mebibytes: float
) -> None:
    """The figures are those that llama.cpp printed for tiny GGUF files (xllamacpp 2026.10.11549)."""
    assert round(total(llama_cpp(served(caches, context, batch, dtype, kind))) / 2**20, 2) == mebibytes


def test_gpt_oss_as_published(tmp_path: Path) -> None:
    model = weigh.params("models/gpt-oss-20b")
    found = weigh.inference(model, context=8192, batch=32).kv_cache_by_runtime
    assert list(found) == list(RUNTIMES)
    assert round(found["ideal"] / GIB, 2) == 6.09
    assert round(found["transformers"] / GIB, 2) == 12.00
    page = 12 * 16 * 2048  # bytes of a page of a group, of which a window has one more
    assert found["vllm"] == 12 * GIB + 32 * page
    large = weigh.params("models/gpt-oss-120b")
    assert (weigh.inference(large, context=32768).kv_cache_by_runtime["transformers"] or 0) == 32768 * 73_728


def test_what_is_not_known_of_an_engine_is_not_said() -> None:
    index: Caches = [Latent(512, 64, None, 128)]
    assert vllm(served(index, 10)) is None and llama_cpp(served(index, 10)) is None
    cross: Caches = [KeyValue(2, 8, 8), KeyValue(2, 8, 8, cross=True)]
    assert llama_cpp(served(cross, 10)) is None and vllm(served(cross, 10)) is not None
    assert of_transformers(served(cross, 10, dtype="q8_0")) is None and vllm(served(cross, 10, dtype="q8_0")) is None


def test_the_command_answers_for_an_engine() -> None:
    asked = ["inference", "models/gpt-oss-20b", "--context", "8192", "--runtime"]
    facts = json.loads(CliRunner().invoke(command, [*asked, "vllm", "--json"]).output)
    assert facts["runtime"] == "vllm"
    assert (
        facts["kv_cache_bytes"]
        == facts["kv_cache_by_runtime"]["vllm"]
        == sum(step["value"] for step in facts["steps"] if step["name"].startswith("pages"))
    )
    said = CliRunner().invoke(command, [*asked, "llama.cpp"]).output
    assert "KV cache in bfloat16, llama.cpp" in said and "bytes under vllm" in said
    plain = CliRunner().invoke(command, ["inference", "models/llama-3-8b", "--context", "8192"]).output
    assert "note" not in plain, "engines that agree need no note"


@pytest.mark.parametrize(
    ("engine", "message"),
    [(["--runtime", "tgi"], "not known to weigh, which knows ideal, transformers, vllm, llama.cpp"),
     (["--runtime", "vllm", "--kv-dtype", "q8_0"], "ask without --runtime")],
)  # fmt: skip
def test_an_engine_that_is_not_known_is_refused(engine: list[str], message: str) -> None:
    with pytest.raises(weigh.WeighError, match=message):
        CliRunner().invoke(command, ["inference", "models/llama-3-8b", *engine], catch_exceptions=False)
