"""The bytes of weights in each format, against published files, the tensors of other libraries, and ggml's tables."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

import weigh
from weigh.memory.gguf_mixes import MIXES, assign
from weigh.memory.storage_formats import BLOCKS, storage_format, weight_steps
from weigh.models.families import FAMILIES
from weigh.models.matrices import matrices

from .test_caches import CACHED, counted

SIZES = st.integers(1, 32).map(lambda n: n * 256)


def nbytes(model: weigh.Model, name: str) -> int:
    return sum(one.nbytes for one in weigh.stored(model, name))


# The bits per weight that llama.cpp's tools/quantize/README.md gives for Llama 3.1 8B, whose shapes are Llama 3 8B's.
LLAMA_3_8B = {
    "Q2_K_S": 2.9697, "Q2_K": 3.1593, "Q3_K_S": 3.6429, "Q3_K_L": 4.2979, "Q4_K_S": 4.6672, "Q4_K_M": 4.8944,
    "Q5_K_S": 5.5704, "Q5_K_M": 5.7036, "Q6_K": 6.5633, "Q8_0": 8.5008,
}  # fmt: skip


@pytest.mark.parametrize("mix", LLAMA_3_8B)
def test_mixes_have_the_bits_per_weight_that_llama_cpp_publishes(mix: str) -> None:
    model = weigh.params("models/llama-3-8b")
    assert round(nbytes(model, mix) * 8 / model.parameters, 4) == LLAMA_3_8B[mix]


# Files of microsoft/phi-2 that several people have published on Hugging Face, in GB, with some 2 MB of vocabulary.
PHI_2 = {
    "Q2_K": 1.11, "Q3_K_S": 1.25, "Q3_K_M": 1.43, "Q3_K_L": 1.58, "Q4_0": 1.60, "Q4_K_S": 1.62, "Q4_K_M": 1.74,
    "Q5_K_M": 2.00, "Q6_K": 2.29, "Q8_0": 2.96,
}  # fmt: skip


@pytest.mark.parametrize("mix", PHI_2)
def test_mixes_have_the_size_of_published_files(mix: str) -> None:
    assert round((nbytes(weigh.params("models/phi-2"), mix) + 2e6) / weigh.GB, 2) == PHI_2[mix]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("gpt2", ["transformer.wpe.weight"]),
        ("mamba-130m", ["mixer.A_log", "mixer.conv1d.weight"]),
        ("gpt-neox-20b", []),
    ],
)
def test_tables_of_positions_and_small_tensors_of_a_state_space_stay_float32(name: str, kept: list[str]) -> None:
    stored = weigh.stored(weigh.params(f"models/{name}"), "q4_k_m")
    whole = {one.tensor.name for one in stored if one.format.name == "float32" and len(one.tensor.shape) > 1}
    assert {tensor for tensor in whole if not tensor.endswith(tuple(kept))} == set()
    assert all(any(tensor.endswith(end) for tensor in whole) for end in kept)


@pytest.mark.parametrize(
    ("name", "form", "size"),
    [
        # total_size in the index of openai/gpt-oss-20b
        ("gpt-oss-20b", "mxfp4", 13_761_264_768),
        ("llama-3-8b", "bfloat16", 16_060_522_496),
        ("deepseek-v3", "bfloat16", 2 * 671_026_404_352),
    ],
)
def test_exact_sizes(name: str, form: str, size: int) -> None:
    assert nbytes(weigh.params(f"models/{name}"), form) == size


@pytest.mark.parametrize(
    ("name", "form", "said"),
    [
        ("llama-3-70b", "q8_0", "69.82 GiB"),
        ("llama-3-70b", "q4_k_m", "39.59 GiB"),
        ("llama-2-7b", "q4_k_m", "4.080 GB"),
        ("llama-2-7b", "awq", "3.889 GB"),
        ("llama-3-8b", "nf4", "6.028 GB"),
    ],
)
def test_published_sizes(name: str, form: str, said: str) -> None:
    size = nbytes(weigh.params(f"models/{name}"), form)
    assert weigh.format_bytes(size, binary="GiB" in said) == said


def test_a_mix_is_not_its_name() -> None:
    """4.84 bits at 7B, and 2.63 is only the smallest of the blocks of a Q2_K file."""
    model = weigh.params("models/llama-2-7b")
    assert round(nbytes(model, "q4_k_m") * 8 / model.parameters, 2) == 4.84
    assert nbytes(model, "q2_k") * 8 / model.parameters > 3 > weigh.bits_per_weight("q2_k") == 2.625


def test_blocks_are_those_of_ggml() -> None:
    gguf = pytest.importorskip("gguf")
    sizes = {kind.name.lower(): size for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert {name: sizes[name] for name in BLOCKS} == BLOCKS


@pytest.mark.parametrize(
    ("form", "bits"),
    [
        ("q8_0", 8.5), ("q4_0", 4.5), ("q4_k", 4.5), ("q5_k", 5.5), ("q6_k", 6.5625), ("q2_k", 2.625),
        ("q3_k", 3.4375), ("mxfp4", 4.25), ("awq", 4 + 20 / 128), ("awq-g32", 4 + 20 / 32),
        ("gptq-3bit", 3 + 19 / 128 + 32 / 4096), ("gptq-8bit-g32", 8 + 24 / 32 + 32 / 4096),
        ("nf4", 4 + 32 / 64 + 64 * 8 / 4096**2), ("float16", 16), ("int8", 8 + 32 / 4096),
    ],
)  # fmt: skip
def test_bits_per_weight(form: str, bits: float) -> None:
    assert weigh.bits_per_weight(form) == bits


# What bitsandbytes 0.50 keeps of a Linear4bit of each shape: the bytes of its weight, absmax, quant_map and, doubly
# quantized, nested_absmax and nested_quant_map.
BITSANDBYTES = {
    (64, 96): (3072 + 384 + 64, 3072 + 96 + 64 + 4 + 1024),
    (768, 768): (294_912 + 36_864 + 64, 294_912 + 9216 + 64 + 144 + 1024),
    (300, 500): (75_000 + 9376 + 64, 75_000 + 2344 + 64 + 40 + 1024),
    (129, 16_448): (1_060_896 + 132_612 + 64, 1_060_896 + 33_153 + 64 + 520 + 1024),
}


@pytest.mark.parametrize("shape", BITSANDBYTES)
def test_nf4_is_what_bitsandbytes_keeps(shape: tuple[int, int]) -> None:
    assert (storage_format("nf4").nbytes(*shape), storage_format("nf4-double").nbytes(*shape)) == BITSANDBYTES[shape]


@given(SIZES, SIZES, st.sampled_from([32, 64, 128]))
def test_int4_is_the_tensors_of_awq_and_gptq(outputs: int, inputs: int, group: int) -> None:
    with torch.device("meta"):
        awq = [
            torch.empty(inputs, outputs // 8, dtype=torch.int32),  # qweight
            torch.empty(inputs // group, outputs // 8, dtype=torch.int32),  # qzeros
            torch.empty(inputs // group, outputs, dtype=torch.float16),  # scales
        ]
        g_idx = torch.empty(inputs, dtype=torch.int32)
    size = sum(tensor.nbytes for tensor in awq)
    assert storage_format(f"awq-g{group}").nbytes(outputs, inputs) == size
    assert storage_format(f"gptq-g{group}").nbytes(outputs, inputs) == size + g_idx.nbytes


@given(SIZES, SIZES, st.sampled_from([32, 64, 128]), st.sampled_from([2, 3, 8]))
def test_gptq_packs_32_numbers_into_as_many_words_as_they_have_bits(
    outputs: int, inputs: int, group: int, bits: int
) -> None:
    with torch.device("meta"):
        tensors = [
            torch.empty(inputs // 32 * bits, outputs, dtype=torch.int32),  # qweight
            torch.empty(inputs // group, outputs // 32 * bits, dtype=torch.int32),  # qzeros
            torch.empty(inputs // group, outputs, dtype=torch.float16),  # scales
            torch.empty(inputs, dtype=torch.int32),  # g_idx
        ]
    size = sum(tensor.nbytes for tensor in tensors)
    assert storage_format(f"gptq-{bits}bit-g{group}").nbytes(outputs, inputs) == size
    with pytest.raises(weigh.WeighError, match="divides"):
        storage_format("gptq-3bit").nbytes(outputs + 16, inputs)


@given(SIZES, SIZES)
def test_a_scale_for_each_row_tile_or_matrix(outputs: int, inputs: int) -> None:
    extra = {"int8": 4 * outputs, "float8_e4m3fn": 4, "float8-block": 4 * (outputs // 128) * (inputs // 128)}
    for form, size in extra.items():
        assert storage_format(form).nbytes(outputs, inputs) == outputs * inputs + size


@pytest.mark.parametrize(
    "case",
    [
        "gpt2", "llama", "gpt_neox", "opt", "bloom", "falcon, multi-query", "mixtral", "qwen3", "gemma2, alternating",
        "deepseek_v3", "gpt_oss, alternating", "mamba",
    ],
)  # fmt: skip
def test_the_matrices_are_the_linear_layers_of_the_reference(case: str, tmp_path: Path) -> None:
    model_type, fields = CACHED[case]
    with torch.device("meta"):
        config = transformers.AutoConfig.for_model(model_type, **fields)
        model = getattr(transformers, FAMILIES[model_type].architectures[0])(config)
    linear = {
        f"{name}.weight": (layer.nf, layer.nx) if conv else (layer.out_features, layer.in_features)
        for name, layer in model.named_modules()
        if (conv := isinstance(layer, transformers.pytorch_utils.Conv1D)) or isinstance(layer, torch.nn.Linear)
        if re.search(r"\.\d+\.", name)
    }
    found = matrices(counted(tmp_path, model_type=model_type, **fields))
    assert {one.tensor.name: (one.outputs, one.inputs) for one in found if not one.experts} == linear
    assert any(one.experts for one in found) == any(".experts." in name for name, _ in model.named_parameters())


@pytest.mark.parametrize(
    ("name", "used"), [("mixtral-8x7b", (2, 8)), ("deepseek-v3", (8, 256)), ("gpt-oss-20b", (4, 32)), ("gpt2", None)]
)
def test_how_many_experts_a_token_passes_through(name: str, used: tuple[int, int] | None) -> None:
    assert weigh.params(f"models/{name}").experts == used


@pytest.mark.parametrize("form", weigh.STORAGE_FORMATS)
def test_every_tensor_is_stored_once_and_the_steps_add_up(form: str) -> None:
    model = weigh.params("models/llama-3-8b")
    tensors = weigh.stored(model, form)
    assert [one.tensor.name for one in tensors] == [tensor.name for tensor in model.distinct]
    assert sum(step.value for step in weight_steps(tensors)) == nbytes(model, form)
    assert nbytes(model, form) <= nbytes(model, "float64")


def test_what_stays_in_sixteen_bits() -> None:
    by_name = {one.tensor.name: one.format.name for one in weigh.stored(weigh.params("models/mixtral-8x7b"), "awq")}
    assert (
        by_name["lm_head.weight"] == by_name["model.embed_tokens.weight"] == by_name["model.norm.weight"] == "bfloat16"
    )
    assert by_name["model.layers.0.mlp.gate.weight"] == "bfloat16"
    assert by_name["model.layers.0.mlp.experts.down_proj"] == by_name["model.layers.0.self_attn.q_proj.weight"] == "awq"


def test_rows_that_no_block_of_256_fits_get_smaller_blocks() -> None:
    """The width of Qwen2.5 0.5B, 896, is a multiple of 32 and not of 256."""
    formats = {one.tensor.name: one.format.name for one in weigh.stored(weigh.params("models/qwen2.5-0.5b"), "q4_k_m")}
    assert formats["model.embed_tokens.weight"] == "q8_0"
    assert formats["model.layers.5.self_attn.q_proj.weight"] == "q5_0"
    assert formats["model.layers.5.mlp.down_proj.weight"] in ("q4_k", "q6_k")  # 4,864 inputs


@pytest.mark.parametrize(
    "name",
    [
        "llama-2-7b", "mistral-7b", "mixtral-8x7b", "qwen2.5-7b", "qwen3-8b", "qwen3-30b-a3b", "gemma-2b", "gemma-2-2b",
        "gemma-3-1b", "phi-3-mini", "starcoder2-3b", "olmo-2-7b", "gpt2", "phi-2", "gpt-neox-20b", "mamba-130m",
    ],
)  # fmt: skip
def test_matrices_are_named_as_llama_cpp_names_them(name: str) -> None:
    """A rule for `attn_v` is a rule for what llama.cpp's converter calls so."""
    gguf = pytest.importorskip("gguf")
    from weigh.memory.gguf_mixes import _kind

    model = weigh.params(f"models/{name}")
    known = {"mistral": "llama", "mixtral": "llama", "qwen3_moe": "qwen3moe", "gemma3_text": "gemma3"}
    known |= {"phi": "phi2", "gpt_neox": "gptneox"}
    arch = {text: key for key, text in gguf.MODEL_ARCH_NAMES.items()}[known.get(model.model_type, model.model_type)]
    names = gguf.get_tensor_name_map(arch, 200)
    kinds = {"attn_v": "value", "attn_qkv": "value", "attn_k": "key", "attn_output": "output", "ffn_down": "down"}
    for matrix in matrices(model):
        theirs = names.get_name(matrix.tensor.name, try_suffixes=(".weight",)) or ""
        part = theirs.removesuffix(".weight").rpartition(".")[2].removesuffix("_exps")
        if theirs:  # gate and up of all experts, stacked in one, have no name of their own there
            assert _kind(matrix) == kinds.get(part), theirs


def test_every_mix_is_assigned() -> None:
    model = weigh.params("models/llama-3-70b")
    for mix in MIXES:
        assert len(list(assign(model, mix))) == model.tensors


@pytest.mark.parametrize(
    ("name", "form", "said"),
    [
        ("llama-2-7b", "int3", "not known to weigh, which knows float64"),
        ("llama-2-7b", "awq-g0", "not known to weigh"),
        ("llama-2-7b", "q5_k_x", "not known to weigh"),
        ("falcon-7b", "q4_k_m", "tensor by tensor, and weigh knows how for gemma"),
        ("smollm2-135m", "awq", "no matrix of 576 x 576 divides into its blocks of 8 x 128"),
    ],
)
def test_what_is_not_known_or_does_not_fit_is_refused(name: str, form: str, said: str) -> None:
    with pytest.raises(weigh.WeighError, match=said):
        weigh.stored(weigh.params(f"models/{name}"), form)


@pytest.mark.parametrize(
    ("one", "other"), [("Q4_K", "q4_k_m"), ("torch.bfloat16", "bf16"), ("FP8", "float8_e4m3fn"), ("awq-g128", "awq")]
)
def test_names_of_the_same_format(one: str, other: str) -> None:
    model = weigh.params("models/llama-2-7b")
    assert nbytes(model, one) == nbytes(model, other)


def test_a_model_in_layers_of_its_own(tmp_path: Path) -> None:
    """GPT-2 stores its matrices the other way round, which scales of rows must not miss."""
    fields: dict[str, Any] = {"vocab_size": 10, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 8}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", **fields}))
    sizes = {one.tensor.name: one.nbytes for one in weigh.stored(weigh.params(tmp_path), "int8")}
    assert sizes["transformer.h.0.attn.c_attn.weight"] == 16 * 48 + 48 * 4
