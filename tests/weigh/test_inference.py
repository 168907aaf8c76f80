"""The memory to serve a model: against published figures, and against the reference library's own caches."""

import json
import re
import weakref
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils import _pytree as tree
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import DynamicCache

import weigh
from weigh import errors
from weigh.cli import weigh as weigh_command
from weigh.memory.inference import UTILIZATION
from weigh.memory.kv_cache import CACHE_FORMATS, cache_bytes
from weigh.models.caches import Caches, KeyValue, Latent, State

from .test_caches import BATCH, CACHED, TOKENS, after_a_forward_pass, counted
from .test_caches_seq2seq import READ, TINY, WRITTEN

GEMMA_3_27B = {
    "model_type": "gemma3_text", "vocab_size": 262_208, "hidden_size": 5376, "intermediate_size": 21_504,
    "num_hidden_layers": 62, "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128,
    "sliding_window": 1024, "sliding_window_pattern": 6,
}  # fmt: skip

KV = st.builds(
    KeyValue, st.integers(1, 8), *[st.integers(1, 4).map(lambda n: 32 * n)] * 2, st.none() | st.integers(1, 50)
)
LAYERS = st.lists(
    KV
    | st.builds(Latent, st.just(64), st.just(32))
    | st.builds(State, st.just(320), st.sampled_from([None, "float32"])),
    max_size=6,
)
COUNTS = st.integers(1, 80)


@pytest.mark.parametrize(
    ("name", "context", "size", "per_token"),
    [
        ("llama-2-7b", 4096, 2 * weigh.GiB, 524_288),
        ("llama-3-70b", 8192, 5 * weigh.GiB // 2, 327_680),
        ("llama-3-70b", 131_072, 40 * weigh.GiB, 327_680),
        ("mistral-7b", 32_768, weigh.GiB // 2, 0),
        ("mistral-7b", 4095, 4095 * 131_072, 131_072),
        ("deepseek-v3", 163_840, 163_840 * 70_272, 70_272),
        ("gpt-oss-20b", 131_072, 12 * 2048 * (131_072 + 128), 24_576),
        ("mamba-2.8b", 10**6, 64 * (5120 * 16 * 4 + 5120 * 4 * 2), 0),
        ("bert-base", 512, 0, 0),
    ],
)
def test_known_caches(name: str, context: int, size: int, per_token: int) -> None:
    found = weigh.inference(weigh.params(f"models/{name}"), context=context)
    assert (found.kv_cache_bytes, found.kv_cache_bytes_per_token) == (size, per_token)


def test_a_hybrid_cache_of_52_windows_and_10_full_layers(tmp_path: Path) -> None:
    model = counted(tmp_path, **GEMMA_3_27B)
    found = weigh.inference(model, context=131_072)
    assert weigh.format_bytes(found.kv_cache_bytes, binary=True) == "10.41 GiB"
    assert found.kv_cache_bytes == 2 * 2 * 16 * 128 * (10 * 131_072 + 52 * 1024)
    assert found.kv_cache_bytes_per_token == 10 * 8192
    full = cache_bytes([KeyValue(16, 128, 128)] * 62, 131_072, 1, "bfloat16", 0)
    assert full == 62 * weigh.GiB, "what the formula for full attention says"


def test_the_cache_grows_with_the_batch_as_the_weights_do_not() -> None:
    """Twenty per cent for everything but the weights holds for no model in general."""
    model = weigh.params("models/llama-2-7b")
    one, many = (weigh.inference(model, context=8192, batch=batch) for batch in (1, 32))
    assert one.weight_bytes == many.weight_bytes == 13_476_831_232
    assert many.kv_cache_bytes == 32 * one.kv_cache_bytes
    assert 10 < many.kv_cache_bytes / many.weight_bytes < 10.3


@pytest.mark.parametrize("case", sorted(set(CACHED)))
def test_caches_have_the_bytes_of_the_references(case: str, tmp_path: Path) -> None:
    model_type, fields = CACHED[case]
    cache = after_a_forward_pass(model_type, fields, static=True)
    kept = [
        tensor
        for layer in cache.layers
        for tensor in (
            [*layer.conv_states.values(), *layer.recurrent_states.values()]
            if model_type == "mamba"
            else [layer.keys, layer.values]
        )
    ]
    found = weigh.inference(
        counted(tmp_path, model_type=model_type, **fields), "float32", TOKENS, BATCH, kv_dtype="float32"
    )
    assert found.kv_cache_bytes == sum(tensor.nbytes for tensor in kept)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("case", ["llama", "llama, multi-query", "deepseek_v3"])
def test_a_cache_grows_by_the_bytes_of_one_token(case: str, dtype: str, tmp_path: Path) -> None:
    model_type, fields = CACHED[case]
    config = transformers.AutoConfig.for_model(model_type, **fields)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype)).eval()
    cache, sizes = DynamicCache(config=config), []
    for tokens in (TOKENS, 1):
        with torch.no_grad():
            model(torch.ones(1, tokens, dtype=torch.long), past_key_values=cache)
        sizes.append(sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers))
    found = weigh.inference(counted(tmp_path, model_type=model_type, **fields), dtype, TOKENS)
    assert found.kv_dtype == dtype
    assert (found.kv_cache_bytes, found.kv_cache_bytes_per_token) == (sizes[0], sizes[1] - sizes[0])


def test_a_decoder_also_keeps_what_its_encoder_read(tmp_path: Path) -> None:
    model = transformers.T5ForConditionalGeneration(transformers.T5Config(**TINY["t5"])).eval()
    ones = [torch.ones(BATCH, length, dtype=torch.long) for length in (READ, WRITTEN)]
    with torch.no_grad():
        cache = model(input_ids=ones[0], decoder_input_ids=ones[1], use_cache=True).past_key_values
    kept = [layer for side in (cache.self_attention_cache, cache.cross_attention_cache) for layer in side.layers]
    found = weigh.inference(
        counted(tmp_path, model_type="t5", **TINY["t5"]), "float32", WRITTEN, BATCH, encoder_context=READ
    )
    assert found.kv_cache_bytes == sum(layer.keys.nbytes + layer.values.nbytes for layer in kept)


class Alive(TorchDispatchMode):
    """The most bytes of tensors that are there at once, but for those that were there before."""

    def __init__(self, *before: torch.Tensor) -> None:
        super().__init__()
        self.before = [tensor.untyped_storage() for tensor in before]
        self.sizes = {storage._cdata: 0 for storage in self.before}
        self.now = self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in tree.tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage())._cdata not in self.sizes:
                self.sizes[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self.free, storage._cdata)
        self.peak = max(self.peak, self.now)
        return out

    def free(self, storage: int) -> None:
        self.now -= self.sizes.pop(storage)


@pytest.mark.parametrize(
    ("model_type", "fields"),
    [
        ("llama", {"intermediate_size": 512, "num_key_value_heads": 2}),
        ("llama", {"intermediate_size": 344, "num_key_value_heads": 4}),
        ("gpt_neox", {"intermediate_size": 512}),
        ("qwen3", {"intermediate_size": 512, "num_key_value_heads": 2, "head_dim": 32}),
    ],
)
def test_activations_of_a_prefill_are_there_at_once(model_type: str, fields: dict[str, Any], tmp_path: Path) -> None:
    """The reference also holds the embeddings and the input of the layer: two more times D."""
    torch.set_num_threads(1)
    fields |= {"vocab_size": 200, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.AutoConfig.for_model(model_type, **fields)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    ids = torch.ones(1, 512, dtype=torch.long)
    with torch.no_grad(), Alive(ids, *model.parameters(), *model.buffers()) as alive:
        model(ids, use_cache=True, logits_to_keep=1)
    found = weigh.inference(counted(tmp_path, model_type=model_type, **fields), "float32", 512)
    held = 2 * 512 * 128 * 4
    assert found.kv_cache_bytes + found.activation_bytes + held == pytest.approx(alive.peak, rel=0.05)


@pytest.mark.parametrize("dtype", ["bfloat16", "q4_k_m", "nf4-double", "awq-g64"])
@pytest.mark.parametrize("name", ["llama-3-8b", "mistral-7b", "mixtral-8x7b"])
@pytest.mark.parametrize("logits", ["last", "all"])
def test_the_work_is_right_as_it_is_written(name: str, dtype: str, logits: Any) -> None:
    found = weigh.inference(weigh.params(f"models/{name}"), dtype, 5000, 3, "q8_0", logits=logits)
    for step in found.steps:
        numbers = re.sub(r"(\d+)/(\d+)", r"Fraction(\1, \2)", re.sub(r"(?<=\d),(?=\d{3})", "", step.substituted))
        numbers = numbers.replace("·", "*")
        assert eval(numbers, {"Fraction": Fraction, "min": min}) == step.value
    assert sum(step.value for step in found.steps) == found.total_bytes
    assert str(found.steps[0]).endswith("bytes")


def test_what_an_estimate_says() -> None:
    found = weigh.inference(weigh.params("models/mistral-7b"), "q8_0", 1000, encoder_context=None, prefill=512)
    assert found.low_bytes < found.total_bytes < found.high_bytes == ceil(found.total_bytes / UTILIZATION)
    assert any("512 tokens" in said for said in found.assumptions)
    facts = found.as_dict()
    assert {"weight_bytes", "kv_cache_bytes", "kv_cache_bytes_per_token", "activation_bytes", "total_bytes"} <= set(
        facts
    )
    by_runtime = facts.pop("kv_cache_by_runtime")
    assert all(type(value) in (int, str, list) for value in facts.values())
    assert by_runtime["ideal"] == facts["kv_cache_bytes"]


def test_a_prefill_in_pieces_needs_less_and_all_scores_need_more() -> None:
    model = weigh.params("models/gemma-2b")
    whole = weigh.inference(model).activation_bytes
    assert weigh.inference(model, prefill=512).activation_bytes < whole
    every = weigh.inference(model, logits="all").activation_bytes
    assert every == 8192 * (2048 + 256_000) * 2 > whole


@given(LAYERS, COUNTS, COUNTS, st.sampled_from(sorted(CACHE_FORMATS)))
def test_caches_are_additive_linear_in_the_batch_and_grow_with_the_context(
    caches: Caches, context: int, batch: int, form: str
) -> None:
    size = cache_bytes(caches, context, batch, form, context)
    assert size == sum(cache_bytes([layer], context, batch, form, context) for layer in caches)
    assert size == batch * cache_bytes(caches, context, 1, form, context)
    assert size <= cache_bytes(caches, context + 1, batch, form, context + 1)


@given(KV, COUNTS, st.integers(1, 4))
def test_grouped_queries_and_windows_only_save(layer: KeyValue, context: int, group: int) -> None:
    every_head = KeyValue(layer.heads * group, layer.key, layer.value, layer.window)
    unlimited = KeyValue(layer.heads, layer.key, layer.value)
    sizes = [cache_bytes([one], context, 1, "bfloat16", 0) for one in (layer, every_head, unlimited)]
    assert sizes[1] == group * sizes[0]
    assert (sizes[0] == sizes[2]) == (layer.window is None or layer.window >= context)
    assert sizes[0] <= sizes[2]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["llama-3-8b", "mistral-7b", "mamba-130m", "gpt-oss-20b", "qwen2.5-0.5b"]),
    st.integers(1, 10**11), COUNTS, st.booleans(), st.sampled_from([None, 512]),
)  # fmt: skip
def test_what_is_said_to_fit_fits_and_nothing_larger(
    name: str, memory: int, given_size: int, bound: bool, prefill: int | None
) -> None:
    model = weigh.params(f"models/{name}")

    def needed(context: int, batch: int) -> int:
        found = weigh.inference(model, context=context, batch=batch, prefill=prefill)
        return found.low_bytes if bound else found.high_bytes

    context = weigh.largest_context(model, memory, batch=given_size, bound=bound, prefill=prefill)
    batch = weigh.largest_batch(model, memory, context=given_size, bound=bound, prefill=prefill)
    for size, at in ((context, lambda n: needed(n, given_size)), (batch, lambda n: needed(given_size, n))):
        if size is None:
            assert at(10**9) <= memory
        else:
            assert at(size + 1) > memory
            assert size == 0 or at(size) <= memory


WORDS = {
    "vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 24,
    "pad_token_id": 0, "max_position_embeddings": 9,
}  # fmt: skip
TABLES: dict[str, tuple[dict[str, Any], int]] = {
    "gpt2": ({"vocab_size": 30, "n_embd": 32, "n_head": 4, "n_layer": 1, "n_positions": 9}, 9),
    "gpt_neo": (
        {"vocab_size": 30, "hidden_size": 32, "num_heads": 4, "num_layers": 1, "attention_types": [[["global"], 1]],
         "max_position_embeddings": 9}, 9,
    ),
    "opt": (
        {"vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "ffn_dim": 24,
         "max_position_embeddings": 9}, 9,
    ),
    "bert": (WORDS, 9),
    "roberta": (WORDS | {"pad_token_id": 2}, 6),
    "distilbert": ({"vocab_size": 30, "dim": 32, "n_heads": 4, "n_layers": 1, "max_position_embeddings": 9}, 9),
    "electra": (WORDS, 9),
    "albert": (WORDS, 9),
    "deberta-v2": (WORDS, 9),
    "bart": (TINY["bart"] | {"max_position_embeddings": 9}, 9),
    "whisper": (TINY["whisper"] | {"max_target_positions": 9}, 9),
}  # fmt: skip


@pytest.mark.parametrize("model_type", TABLES)
def test_a_table_of_positions_ends_where_the_references_does(model_type: str, tmp_path: Path) -> None:
    fields, rows = TABLES[model_type]
    reference = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(model_type, **fields)).eval()

    def read(tokens: int) -> None:
        words = {"input_ids": torch.full((1, tokens), 5)}
        if model_type == "whisper":
            words = {"input_features": torch.zeros(1, 5, 2 * READ), "decoder_input_ids": words["input_ids"]}
        with torch.no_grad():
            reference(**words)

    read(rows)
    with pytest.raises((IndexError, RuntimeError)):
        read(rows + 1)
    model = counted(tmp_path, model_type=model_type, **fields)
    assert weigh.inference(model).context == weigh.inference(model, context=rows).context == rows
    assert weigh.largest_context(model, 10**9) == weigh.largest_context(model, 10**9, bound=True) == rows
    for refused in (
        lambda: weigh.inference(model, context=rows + 1),
        lambda: weigh.largest_batch(model, 10**9, context=rows + 1),
        lambda: weigh.training(model, batch=1, sequence=rows + 1),
    ):
        with pytest.raises(errors.ContextTooLong, match=f"ask for at most {rows}"):
            refused()


def test_an_encoder_has_a_table_of_its_own() -> None:
    model = weigh.params("models/whisper-tiny")
    assert model.positions == {"context": 448, "encoder_context": 1500}
    assert weigh.inference(model, encoder_context=1500).context == 448
    with pytest.raises(errors.ContextTooLong, match="encoder context: 1,501 tokens"):
        weigh.inference(model, encoder_context=1501)


def test_a_bound_ends_with_the_table() -> None:
    model, device = weigh.params("models/gpt2"), {"bandwidth": 1e12, "flops": 1e14}
    for bound in (weigh.decode_bound, weigh.prefill_bound):
        assert bound(model, **device) == bound(model, context=1024, **device)
        with pytest.raises(errors.ContextTooLong):
            bound(model, context=1025, **device)


def test_computed_positions_do_not_end() -> None:
    model = weigh.params("models/llama-2-7b")
    assert model.positions == {}
    named = "the memory is that of 8,192 tokens, though max_position_embeddings is 4,096"
    assert named in weigh.inference(model, context=8192).assumptions
    assert not any("max_position" in said for said in weigh.inference(model, context=4096).assumptions)
    assert weigh.inference(weigh.params("models/bloom"), context=10**6).context == 10**6


@pytest.mark.parametrize(
    ("name", "context", "sequence"),
    [("llama-2-7b", 4096, 2048), ("gpt2", 1024, 1024), ("llama-3-8b", 8192, 2048), ("bloom", 8192, 2048)],
)
def test_what_nobody_says_is_no_more_than_the_model_is_made_for(name: str, context: int, sequence: int) -> None:
    """By one rule for serving and for training: its table of positions, or what its config names."""
    assert weigh.inference(weigh.params(f"models/{name}")).context == context
    trained = CliRunner().invoke(weigh_command, ["training", f"models/{name}", "--json"])
    assert json.loads(trained.output)["sequence"] == sequence


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"context": 0}, "context: must be a whole number from 1"),
        ({"batch": -1}, "batch"),
        ({"prefill": 0}, "prefill"),
        ({"context": 1.5}, "context"),
        ({"dtype": "int3"}, "int3"),
        ({"kv_dtype": "nf4"}, "KV cache format 'nf4'"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(weigh.WeighError, match=said):
        weigh.inference(weigh.params("models/gpt2"), **options)


def test_what_does_not_fit_the_shapes_is_refused(tmp_path: Path) -> None:
    odd = counted(tmp_path, model_type="llama", hidden_size=80, num_attention_heads=2, num_hidden_layers=1)
    with pytest.raises(weigh.WeighError, match="blocks of 32"):
        weigh.inference(odd, kv_dtype="q8_0")
    with pytest.raises(weigh.WeighError, match="reads images"):
        weigh.inference(weigh.params("models/resnet-50"))
