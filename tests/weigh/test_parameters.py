"""Counts from configs, against published figures and against transformers on the meta device."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import weigh
from weigh import errors
from weigh.models.families import FAMILIES

from .strategies_decoders import DECODERS
from .strategies_encoders import ENCODERS

PUBLISHED = {
    "quill": 1_967_808,  # these two are published here
    "quill-draft": 217_408,
    "bert-tiny": 4_385_920,
    "bert-base": 109_482_240,
    "gpt2": 124_439_808,
    "gpt2-xl": 1_557_611_200,
    "smollm2-135m": 134_515_008,
    "tinyllama-1.1b": 1_100_048_384,
    "llama-2-7b": 6_738_415_616,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "gpt-neo-1.3b": 1_315_575_808,
    "gpt-neox-20b": 20_554_567_680,
    "pythia-160m": 162_322_944,
    "gpt-j-6b": 6_050_882_784,
    "opt-350m": 331_196_416,
    "bloom": 176_247_271_424,
    "falcon-7b": 6_921_720_704,
    "falcon-40b": 41_303_293_952,
    "phi-2": 2_779_683_840,
    "phi-3-mini": 3_821_079_552,
    "mistral-7b": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-7b": 7_615_616_512,
    "qwen1.5-moe-a2.7b": 14_315_784_192,
    "qwen3-0.6b": 596_049_920,
    "qwen3-8b": 8_190_735_360,
    "qwen3-30b-a3b": 30_532_122_624,
    "gemma-2b": 2_506_172_416,
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
    "gemma-3-1b": 999_885_952,
    "command-r": 34_980_831_232,
    "starcoder2-3b": 3_030_371_328,
    "stablelm-3b-4e1t": 2_795_443_200,
    "olmo-7b": 6_888_095_744,
    "olmo-2-7b": 7_298_617_344,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v2": 235_741_434_880,
    "deepseek-v3": 671_026_404_352,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
    "mamba-130m": 129_135_360,
    "mamba-2.8b": 2_768_345_600,
    "roberta-base": 124_645_632,
    "distilbert-base": 66_362_880,
    "albert-base-v2": 11_683_584,
    "electra-small": 13_549_057,
    "deberta-v3-base": 183_831_552,
    "t5-small": 60_506_624,
    "bart-large": 406_291_456,
    "vit-base": 86_389_248,
    "clip-vit-base-patch32": 151_277_313,
    "whisper-tiny": 37_760_640,
    "whisper-large-v3": 1_543_490_560,
    "resnet-50": 25_557_032,
    "convnext-tiny": 28_589_128,
}


def write(directory: Path, **fields: Any) -> Path:
    (directory / "config.json").write_text(json.dumps(fields))
    return directory


def reference(fields: dict[str, Any]) -> torch.nn.Module:
    """The same config, built by transformers without memory."""
    config = transformers.AutoConfig.for_model(**fields)
    with torch.device("meta"):
        return getattr(transformers, fields["architectures"][0])(config)


def test_every_config_in_the_repository_has_its_published_count() -> None:
    assert {path.parent.name for path in Path("models").glob("*/config.json")} == set(PUBLISHED)
    for name, parameters in PUBLISHED.items():
        assert weigh.params(Path("models") / name).parameters == parameters


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_tensor_of_every_config_is_the_reference_librarys(name: str) -> None:
    assert_alike(json.loads(Path(f"models/{name}/config.json").read_text()), Path(f"models/{name}"))


def assert_alike(fields: dict[str, Any], path: Path) -> None:
    model, built = weigh.params(path), reference(fields)
    parameters = dict(built.named_parameters(remove_duplicate=False))
    assert [(tensor.name, tensor.shape) for tensor in model.named] == [
        (name, tuple(tensor.shape)) for name, tensor in parameters.items()
    ]
    assert model.parameters == sum(tensor.numel() for tensor in built.parameters())
    assert model.tensors == len(list(built.parameters()))


sizes = st.integers(1, 40)
heads = st.sampled_from([1, 2, 3, 4, 6])


@st.composite
def llama(draw: st.DrawFn) -> dict[str, Any]:
    queries = draw(heads)
    keys = draw(st.sampled_from([k for k in range(1, queries + 1) if queries % k == 0]))
    fields: dict[str, Any] = {
        "hidden_size": queries * 2 * draw(sizes), "intermediate_size": draw(sizes), "num_attention_heads": queries,
        "num_hidden_layers": draw(st.integers(1, 3)), "vocab_size": draw(sizes),
    }  # fmt: skip
    optional = {
        "num_key_value_heads": st.just(keys), "head_dim": st.integers(1, 8).map(lambda n: 2 * n),
        "attention_bias": st.booleans(), "mlp_bias": st.booleans(), "tie_word_embeddings": st.booleans(),
    }  # fmt: skip
    return fields | {name: draw(value) for name, value in optional.items() if draw(st.booleans())}


@st.composite
def gpt2(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(heads)
    fields: dict[str, Any] = {
        "n_embd": count * draw(sizes), "n_head": count, "n_layer": draw(st.integers(1, 3)),
        "n_positions": draw(sizes), "vocab_size": draw(sizes),
    }  # fmt: skip
    optional = {"n_inner": sizes, "tie_word_embeddings": st.booleans()}
    return fields | {name: draw(value) for name, value in optional.items() if draw(st.booleans())}


STRATEGIES = {"llama": llama(), "gpt2": gpt2()} | DECODERS | ENCODERS


def test_every_family_has_a_strategy() -> None:
    assert set(STRATEGIES) == set(FAMILIES)


@pytest.mark.parametrize(
    ("model_type", "architecture"), [(name, a) for name, family in FAMILIES.items() for a in family.architectures]
)
def test_perturbed_configs_are_counted_like_the_reference(model_type: str, architecture: str, tmp_path: Path) -> None:
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(STRATEGIES[model_type])
    def check(fields: dict[str, Any]) -> None:
        fields = {"model_type": model_type, "architectures": [architecture], **fields}
        assert_alike(fields, write(tmp_path, **fields))

    check()


@pytest.mark.parametrize("model_type", FAMILIES)
def test_absent_fields_have_the_reference_librarys_defaults(model_type: str, tmp_path: Path) -> None:
    fields = {"model_type": model_type, "architectures": [FAMILIES[model_type].architectures[0]]}
    assert_alike(fields, write(tmp_path, **fields))
    assert weigh.params(write(tmp_path, model_type=model_type)) == weigh.params(write(tmp_path, **fields))


@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_config_with_every_field_written_out_is_understood(model_type: str, tmp_path: Path) -> None:
    fields = {"model_type": model_type, "architectures": [FAMILIES[model_type].architectures[0]]}
    (tmp_path / "config.json").write_text(transformers.AutoConfig.for_model(**fields).to_json_string(use_diff=False))
    assert_alike(fields, tmp_path)


def test_a_field_that_nobody_reads_is_listed_and_refused_only_if_that_is_asked_for(tmp_path: Path) -> None:
    plain = weigh.params(write(tmp_path, model_type="clip"))
    path = write(tmp_path, model_type="clip", extra=2, off=False, gone=None, _private=1, text_config={"more": [1]})
    model = weigh.params(path)
    assert model.unread == ("extra", "text_config.more") == tuple(model.as_dict()["unread"])
    assert (model.parameters, model.counted_by, plain.unread) == (plain.parameters, "weigh", ())
    with pytest.raises(errors.UnsupportedField, match="field extra: is read by nothing"):
        weigh.params(path, strict=True)
    assert weigh.params(write(tmp_path, model_type="clip"), strict=True) == plain


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("gemma-2-2b", "sliding_window_size", 4096), ("command-r", "model_max_length", 131_072)],
)
def test_fields_of_published_configs_that_nobody_reads_change_nothing(
    name: str, field: str, value: int, tmp_path: Path
) -> None:
    fields = json.loads(Path(f"models/{name}/config.json").read_text())
    model = weigh.params(write(tmp_path, **fields, **{field: value}))
    assert (model.parameters, model.unread) == (PUBLISHED[name], (field,))


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "fp8", "mxfp4"])
def test_a_quantized_model_is_counted_as_it_was_before(method: str, tmp_path: Path) -> None:
    fields = json.loads(Path("models/tinyllama-1.1b/config.json").read_text())
    path = write(tmp_path, **fields, quantization_config={"quant_method": method, "bits": 4})
    model = weigh.params(path, strict=True)
    assert model.parameters == PUBLISHED["tinyllama-1.1b"]


def test_a_family_of_several_parts_is_counted_by_part() -> None:
    model, alone = weigh.params("models/clip-vit-base-patch32"), weigh.params("models/gpt2")
    assert set(model.parts) == {"text", "vision", "projector", "other"} and not alone.parts
    assert sum(model.parts.values()) == model.parameters
    assert model.parts["vision"] == sum(t.numel for t in model.distinct if t.name.startswith("vision_model."))


def test_what_is_filled_in_is_said(tmp_path: Path) -> None:
    model = weigh.params(write(tmp_path, model_type="gpt2", n_layer=2, architectures=["GPT2Model"]))
    reference = transformers.GPT2Config()
    assert model.assumed == {
        "dtype": "float32", "tie_word_embeddings": True, "add_cross_attention": False, "n_inner": 3072,
    } | {name: getattr(reference, name) for name in ("vocab_size", "n_positions", "n_embd", "n_head")}  # fmt: skip
    assert weigh.params("models/gpt2").as_dict()["assumed"].keys().isdisjoint(json.loads(
        Path("models/gpt2/config.json").read_text()
    ))  # fmt: skip


def test_a_tied_head_is_counted_once(tmp_path: Path) -> None:
    gpt2 = json.loads(Path("models/gpt2/config.json").read_text())
    tied, untied = weigh.params("models/gpt2"), weigh.params(write(tmp_path, **gpt2, tie_word_embeddings=False))
    assert untied.parameters - tied.parameters == 50_257 * 768
    assert untied.tensors - tied.tensors == 1


def test_bytes_follow_the_number_format() -> None:
    model = weigh.params("models/llama-2-7b")
    assert (model.dtype, model.bytes_in_tensors) == ("float16", 2 * 6_738_415_616)
    assert model.bytes_as("fp32") == 2 * model.bytes_as("torch.bfloat16") == 4 * 6_738_415_616
    with pytest.raises(errors.UnknownDtype, match="fp7"):
        model.bytes_as("fp7")


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({}, errors.UnknownArchitecture, "model_type: is missing"),
        ({"model_type": "perceiver9"}, errors.UnknownArchitecture, "'perceiver9' is not known.*weigh inspect"),
        ({"model_type": "own", "auto_map": {"AutoModel": "own.Own"}}, errors.UnknownArchitecture, "runs no code"),
        ({"model_type": ["gpt2"]}, errors.InvalidConfig, "model_type"),
        ({"model_type": "gpt2", "architectures": ["GPT9"]}, errors.UnknownArchitecture, "'GPT9' is not known"),
        ({"model_type": "gpt2", "architectures": "GPT2Model"}, errors.UnknownArchitecture, "architectures"),
        ({"model_type": "gpt2", "n_layer": 0}, errors.InvalidConfig, "n_layer"),
        ({"model_type": "gpt2", "n_layer": "12"}, errors.InvalidConfig, "n_layer"),
        ({"model_type": "gpt2", "n_layer": True}, errors.InvalidConfig, "n_layer"),
        ({"model_type": "gpt2", "n_embd": 770}, errors.InvalidConfig, "n_embd"),
        ({"model_type": "gpt2", "tie_word_embeddings": 1}, errors.InvalidConfig, "tie_word_embeddings"),
        ({"model_type": "llama", "num_key_value_heads": 5}, errors.InvalidConfig, "num_attention_heads"),
        ({"model_type": "llama", "torch_dtype": "fp7"}, errors.UnknownDtype, "fp7"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, errors.UnsupportedField, "relative_key"),
    ],
)
def test_a_config_from_which_no_count_follows_is_refused(
    fields: dict[str, Any], error: type[errors.WeighError], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        weigh.params(write(tmp_path, **fields), fallback=False)
    assert str(tmp_path / "config.json") in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"a":' * 100_000, b"9" * 5_000])
def test_a_file_that_is_no_config_is_refused(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(raw)
    with pytest.raises(errors.InvalidConfig):
        weigh.params(tmp_path)
    with pytest.raises(errors.NotFound):
        weigh.params(tmp_path / "absent.json")
