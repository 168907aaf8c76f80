"""The bytes of a quantized model by its config, against the tensors that each library lays down for a small Llama."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from safetensors.torch import save_file

import weigh
from weigh.cli import main
from weigh.models.quantization.names import Names
from weigh.models.quantization.unknown import Unknown

CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 96,
    "tie_word_embeddings": False, "dtype": "bfloat16",
}  # fmt: skip
LINEAR = {
    "self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64), "mlp.gate_proj": (128, 64), "mlp.up_proj": (128, 64), "mlp.down_proj": (64, 128),
}  # fmt: skip
PARAMETERS = 2 * 96 * 64 + 2 * (sum(rows * columns for rows, columns in LINEAR.values()) + 2 * 64) + 64

Layout = Callable[[int, int], dict[str, torch.Tensor]]


def of(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


def text(**values: Any) -> torch.Tensor:
    return torch.tensor(list(json.dumps(values).encode()), dtype=torch.uint8)


I8, U8, I32, I64 = torch.int8, torch.uint8, torch.int32, torch.int64
F8, F16, BF16, F32 = torch.float8_e4m3fn, torch.float16, torch.bfloat16, torch.float32

W4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32, "symmetric": True}


def compressed(form: str, weights: dict[str, Any], **group: Any) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": weights, **group}
    return {
        "quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"], "config_groups": {"group_0": group}
    }  # fmt: skip


SCHEMES: dict[str, tuple[dict[str, Any], Layout]] = {
    "gptq": (
        {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True},
        lambda rows, columns: {
            "qweight": of(columns // 8, rows, dtype=I32), "qzeros": of(columns // 32, rows // 8, dtype=I32),
            "scales": of(columns // 32, rows, dtype=F16), "g_idx": of(columns, dtype=I32),
        },
    ),
    "gptq of 3 bits": (
        {"quant_method": "gptq", "bits": 3, "group_size": -1},
        lambda rows, columns: {
            "qweight": of(columns // 32 * 3, rows, dtype=I32), "qzeros": of(1, rows // 32 * 3, dtype=I32),
            "scales": of(1, rows, dtype=F16), "g_idx": of(columns, dtype=I32),
        },
    ),
    "awq": (
        {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True},
        lambda rows, columns: {
            "qweight": of(columns, rows // 8, dtype=I32), "qzeros": of(columns // 32, rows // 8, dtype=I32),
            "scales": of(columns // 32, rows, dtype=F16),
        },
    ),
    "nf4": (
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        lambda rows, columns: {
            "weight": of(rows * columns // 2, 1, dtype=U8), "weight.absmax": of(rows * columns // 64, dtype=F32),
            "weight.quant_map": of(16, dtype=F32),
            "weight.quant_state.bitsandbytes__nf4": text(
                quant_type="nf4", blocksize=64, dtype="bfloat16", shape=[rows, columns]
            ),
        },
    ),
    "nf4 with double quantization": (
        {
            "quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
        },
        lambda rows, columns: {
            "weight": of(rows * columns // 2, 1, dtype=U8), "weight.absmax": of(rows * columns // 64, dtype=U8),
            "weight.nested_absmax": of(1, dtype=F32), "weight.nested_quant_map": of(256, dtype=F32),
            "weight.quant_map": of(16, dtype=F32),
            "weight.quant_state.bitsandbytes__nf4": text(
                quant_type="nf4", blocksize=64, dtype="bfloat16", shape=[rows, columns], nested_blocksize=256,
                nested_dtype="float32", nested_offset=0.05077361687898636,
            ),
        },
    ),
    "int8 of bitsandbytes": (
        {"quant_method": "bitsandbytes", "load_in_8bit": True},
        lambda rows, columns: {
            "weight": of(rows, columns, dtype=I8), "SCB": of(rows, dtype=F32), "weight_format": of(dtype=U8),
        },
    ),
    "fp8 in blocks": (
        {"quant_method": "fp8", "weight_block_size": [48, 48], "fmt": "e4m3", "activation_scheme": "dynamic"},
        lambda rows, columns: {
            "weight": of(rows, columns, dtype=F8), "weight_scale_inv": of(-(-rows // 48), -(-columns // 48), dtype=F32),
        },
    ),
    "int4 of compressed-tensors": (
        compressed("pack-quantized", W4),
        lambda rows, columns: {
            "weight_packed": of(rows, columns // 8, dtype=I32), "weight_scale": of(rows, columns // 32, dtype=BF16),
            "weight_shape": torch.tensor([rows, columns], dtype=I64),
        },
    ),
    "asymmetric int4 of compressed-tensors": (
        compressed("pack-quantized", {**W4, "symmetric": False}),
        lambda rows, columns: {
            "weight_packed": of(rows, columns // 8, dtype=I32), "weight_scale": of(rows, columns // 32, dtype=BF16),
            "weight_zero_point": of(rows // 8, columns // 32, dtype=I32),
            "weight_shape": torch.tensor([rows, columns], dtype=I64),
        },
    ),
    "int8 of compressed-tensors": (
        compressed("int-quantized", {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}),
        lambda rows, columns: {
            "weight": of(rows, columns, dtype=I8), "weight_scale": of(rows, 1, dtype=BF16),
        },
    ),
    "fp8 of compressed-tensors": (
        compressed(
            "float-quantized", {"num_bits": 8, "type": "float", "strategy": "tensor", "symmetric": True},
            input_activations={"num_bits": 8, "type": "float", "dynamic": False},
        ),
        lambda rows, columns: {
            "weight": of(rows, columns, dtype=F8), "weight_scale": of(1, dtype=BF16), "input_scale": of(1, dtype=BF16),
        },
    ),
    "nvfp4 of compressed-tensors": (
        compressed(
            "nvfp4-pack-quantized",
            {"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "symmetric": True},
            input_activations={"num_bits": 4, "type": "float", "dynamic": "local"},
        ),
        lambda rows, columns: {
            "weight_packed": of(rows, columns // 2, dtype=U8), "weight_scale": of(rows, columns // 16, dtype=F8),
            "weight_global_scale": of(1, dtype=F32), "input_global_scale": of(1, dtype=F32),
        },
    ),
    "quanto": (
        {"quant_method": "quanto", "weights": "int4"},
        lambda rows, columns: {
            "weight._data._data": of(rows // 2, columns, dtype=U8), "weight._scale": of(rows, 1, dtype=BF16),
            "weight._shift": of(rows, 1, dtype=BF16), "input_scale": of(dtype=BF16), "output_scale": of(dtype=BF16),
        },
    ),
}  # fmt: skip
"""Each as seen in a file of the library itself, but for GPTQ and AWQ, whose packing kernels want a GPU."""


def lay(directory: Path, settings: dict[str, Any], layout: Layout) -> int:
    """Write a quantized Llama and its config. Gives the bytes of its tensors."""
    tensors = {
        "model.embed_tokens.weight": of(96, 64, dtype=BF16),
        "lm_head.weight": of(96, 64, dtype=BF16),
        "model.norm.weight": of(64, dtype=BF16),
    }
    for layer in range(2):
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{norm}.weight"] = of(64, dtype=BF16)
        for name, shape in LINEAR.items():
            for part, tensor in layout(*shape).items():
                tensors[f"model.layers.{layer}.{name}.{part}"] = tensor
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "config.json").write_text(json.dumps({**CONFIG, "quantization_config": settings}))
    return sum(tensor.nbytes for tensor in tensors.values())


@pytest.mark.parametrize("name", SCHEMES)
def test_the_bytes_of_a_config_are_those_of_its_file(name: str, tmp_path: Path) -> None:
    settings, layout = SCHEMES[name]
    size = lay(tmp_path, settings, layout)
    model, contents = weigh.params(tmp_path), weigh.inspect(tmp_path)
    assert model.parameters == contents.parameters == PARAMETERS
    assert model.saved is not None
    assert model.saved.nbytes is not None
    assert abs(model.saved.nbytes - size) <= model.saved.within
    assert (model.saved.within > 0) is ("double" in name)
    assert contents.quantized is not None
    assert model.saved.parameters == contents.quantized["parameters"]


@pytest.mark.parametrize("keys", [("quantization",), ("quantization", "quantization_config")])
def test_mlx_quantizes_tables_too(keys: tuple[str, ...], tmp_path: Path) -> None:
    settings = {"group_size": 64, "bits": 4}
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **dict.fromkeys(keys, settings)}))
    saved = weigh.params(tmp_path, strict=True).saved
    quantized = PARAMETERS - 5 * 64
    assert saved is not None
    assert (saved.method, saved.parameters) == ("mlx", quantized)
    assert saved.nbytes == quantized // 2 + quantized // 64 * 2 * 2 + 5 * 64 * 2


def params_of(tmp_path: Path, settings: Any, **fields: Any) -> weigh.Model:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **fields, "quantization_config": settings}))
    return weigh.params(tmp_path)


def test_experts_of_gpt_oss_weigh_what_its_index_says(tmp_path: Path) -> None:
    """`total_size` of the published model.safetensors.index.json of gpt-oss-20b is 13,761,264,768."""
    published = json.loads(Path("models/gpt-oss-20b/config.json").read_text())
    left = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    published["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": left}
    (tmp_path / "config.json").write_text(json.dumps(published))
    saved = weigh.params(tmp_path).saved
    assert saved is not None
    assert saved.nbytes == 13_761_264_768
    del published["torch_dtype"]  # as it is published
    (tmp_path / "config.json").write_text(json.dumps(published))
    assert weigh.params(tmp_path).saved == saved


def test_fp8_is_called_by_either_name(tmp_path: Path) -> None:
    """MiniMax-M2 writes `float8_e4m3fn` for what DeepSeek-V3 calls `e4m3`."""
    by = [params_of(tmp_path, {"quant_method": "fp8", "fmt": fmt}).saved for fmt in ("e4m3", "float8_e4m3fn")]
    assert by[0] == by[1]
    assert by[0] is not None
    assert by[0].nbytes


def test_modules_that_the_config_leaves_are_left(tmp_path: Path) -> None:
    """Against files of bitsandbytes: a list of one's own takes the place of the usual one, and the head goes too."""
    of_list = params_of(
        tmp_path, {"quant_method": "bitsandbytes", "load_in_4bit": True, "llm_int8_skip_modules": ["q_proj"]}
    ).saved
    assert of_list is not None
    assert of_list.parameters == 73_728 - 2 * 64 * 64 + 96 * 64
    tied = params_of(tmp_path, {"quant_method": "bitsandbytes", "load_in_8bit": True}, tie_word_embeddings=True).saved
    assert tied is not None
    assert tied.parameters == 73_728


def test_torchao_asks_its_patterns_of_parameters(tmp_path: Path) -> None:
    """As transformers 5.23.0 does: the end of a module's name is no end of its parameter's, and leaves nothing."""
    quant_type = {
        "default": {
            "_type": "Int8WeightOnlyConfig", "_version": 2,
            "_data": {"granularity": {"_type": "PerRow", "_version": 1, "_data": {"dim": -1}}, "group_size": None},
        }
    }  # fmt: skip
    settings: dict[str, Any] = {"quant_method": "torchao", "quant_type": quant_type, "modules_to_not_convert": None}
    usual = params_of(tmp_path, settings).saved
    assert usual is not None
    assert (usual.nbytes, usual.parameters) == (104_064, 73_728)
    listed = params_of(tmp_path, {**settings, "modules_to_not_convert": ["q_proj"]}).saved
    assert listed is not None
    assert (listed.nbytes, listed.parameters) == (98_400, 79_872)
    whole = {**settings, "modules_to_not_convert": ["model.layers.0.self_attn.q_proj", "lm_head"]}
    left = params_of(tmp_path, whole).saved
    assert left is not None
    assert left.parameters == 73_728 - 64 * 64


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "aqlm"},
        {"quant_method": 7},
        {"quant_method": "gptq", "bits": 5},
        {"quant_method": "gptq", "bits": True},
        {"quant_method": "gptq", "group_size": 0},
        {"quant_method": "gptq", "dynamic": {"-:.*": {}}},
        {"quant_method": "awq", "version": "gemv"},
        {"quant_method": "awq", "modules_to_not_convert": "lm_head"},
        {"quant_method": "awq", "modules_to_not_convert": [3]},
        {"quant_method": "bitsandbytes"},
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "llm_int8_skip_modules": ["(a+)+$"]},
        {"quant_method": "fp8", "weight_block_size": [0, 128]},
        {"quant_method": "fp8", "weight_block_size": [[], 128]},
        {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int8WeightOnlyConfig", "_version": 9}}},
        {"quant_method": "compressed-tensors"},
        {"quant_method": "compressed-tensors", "config_groups": {"a": 1}},
        compressed("marlin-24", W4),
        compressed("pack-quantized", {**W4, "group_size": -5}),
        {"quant_method": "x" * 10_000},
    ],
)
def test_what_is_not_known_is_said_and_the_model_counted(settings: dict[str, Any], tmp_path: Path) -> None:
    model = params_of(tmp_path, settings)
    assert model.parameters == PARAMETERS
    assert model.saved is not None
    assert model.saved.nbytes is None
    assert 0 < len(model.saved.unknown) < 200
    assert len(model.saved.method) <= 40


def test_which_part_of_a_multimodal_model_is_quantized_is_not_guessed(tmp_path: Path) -> None:
    settings = {"quant_method": "gptq", "bits": 4}
    saved = params_of(tmp_path, settings, vision_config={"hidden_size": 32}).saved
    assert saved is not None
    assert "multimodal" in saved.unknown


def test_a_config_without_a_quantizer_has_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert weigh.params(tmp_path).saved is None
    assert weigh.params(tmp_path).as_dict()["saved"] is None


def printed(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit, match="0"):
        main(["params", str(path)])
    return capsys.readouterr().out


def test_the_command_says_what_it_takes_as_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = lay(tmp_path, *SCHEMES["gptq"])
    assert re.search(rf"as saved by gptq +{size:,} ", printed(tmp_path, capsys))
    params_of(tmp_path, {"quant_method": "aqlm"})
    assert "as saved by aqlm: not known" in printed(tmp_path, capsys)


MODULES = st.sampled_from(
    [
        "lm_head",
        "model.layers.0.mlp.gate",
        "model.layers.11.mlp.gate_proj",
        "model.layers.1.self_attn.q_proj",
        "visual.1",
    ]
)
PATTERNS = st.lists(
    st.sampled_from(
        ["model", ".", r"\.", "layers", "*", ".*", "1", r"\d+", "[0-9]+", "mlp", "gate", "(?:0|1)", "$", "v?"]
    ),
    min_size=1,
    max_size=7,
).map("".join)


@given(MODULES, PATTERNS)
def test_patterns_mean_what_they_mean_to_transformers(name: str, pattern: str) -> None:
    """The rule of `should_convert_module`: from the start up to a boundary of modules, or the end of the name."""
    assume("." not in pattern or not re.fullmatch(r"[\w.]*", pattern))  # a name's full stops are meant as such
    boundary = r"(?:(?<=\.)|(?=\.|$))"
    try:
        theirs = bool(re.match(rf"(?:{pattern}){boundary}", name)) or name.endswith(pattern)
        assert Names([pattern]).has(name) == theirs
    except (Unknown, re.error):
        reject()


@given(MODULES, PATTERNS)
def test_marked_patterns_mean_what_they_mean_to_compressed_tensors(name: str, pattern: str) -> None:
    try:
        assert Names([f"re:{pattern}"], marked=True).has(name) == bool(re.match(pattern, name))
    except (Unknown, re.error):
        reject()


def test_a_pattern_that_would_never_end_ends() -> None:
    assert not Names([".*" * 60 + "x"]).has("a" * 1000)
    slow = Names([".*" * 60 + "x"])
    with pytest.raises(Unknown):
        for _ in range(10_000):
            slow.has("a" * 1000)
    with pytest.raises(Unknown):
        Names(["(a|b)" * 60 + "$"])
