"""Models of no family here: by their own constructors, or else by an installed transformers in a process of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import weigh
from weigh import errors
from weigh.models import constructors, fallback, meta_device
from weigh.models.constructors import layers

from .test_parameters import reference, write

TINY: dict[str, Any] = {
    "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"],
    "text_config": {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 99, "torch_dtype": "bfloat16",
    },
    "vision_config": {
        "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 16,
        "patch_size": 8, "vision_use_head": False,
    },
}  # fmt: skip
TRAP = "raise SystemExit('code of a model was run')"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constructors that know no type."""

    def refuse(*given: Any) -> Any:
        raise errors.NotConstructed("here", "asks for what weigh does not compute")

    monkeypatch.setattr(constructors, "construct", refuse)


def answering(monkeypatch: pytest.MonkeyPatch, answer: bytes | Exception) -> list[Any]:
    """Have the program of the fallback answer so; gives what it is called with."""
    calls: list[Any] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
        calls.append(command)
        if isinstance(answer, Exception):
            raise answer
        return subprocess.CompletedProcess(command, 0, answer)

    monkeypatch.setattr(fallback.subprocess, "run", run)
    return calls


def test_transformers_counts_what_nobody_else_can_and_is_asked_once(
    unknown: None, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names, shapes and ties that it builds in this process, though the directory holds traps for the other one."""
    for trap in ("modeling_own.py", "torch.py", "json.py", "transformers.py"):
        (tmp_path / trap).write_text(TRAP)
    monkeypatch.chdir(tmp_path)
    own = {"auto_map": {"AutoModel": "modeling_own.Own"}, "_attn_implementation": "kernels-community/own", "extra": 1}
    path = write(tmp_path, **TINY, **own)
    model = weigh.params(path)
    built = dict(reference(TINY).named_parameters(remove_duplicate=False))
    assert [(t.name, t.shape) for t in model.named] == [(name, tuple(p.shape)) for name, p in built.items()]
    assert model.parameters == sum(parameter.numel() for parameter in set(built.values())) == sum(model.parts.values())
    assert (model.counted_by, model.unread, model.dtype) == (fallback.building(), ("extra",), "bfloat16")
    assert "text_config.tie_word_embeddings" in model.assumed
    assert {t.role for t in model.named if "q_proj" in t.name and "language" in t.name} == {"attention query"}

    kept = list((cache / "weigh").rglob("*.json"))
    calls = answering(monkeypatch, kept[0].read_bytes())
    assert weigh.params(path) == model and not calls, "asked again, though the answer was kept"
    for damaged in (b"", b"{", b"[]", kept[0].read_bytes()[:-50], b'{"parameters": [["w", [-1], "Linear", ""]]}'):
        whole = kept[0].read_bytes()
        kept[0].write_bytes(damaged)
        assert weigh.params(path) == model
        assert kept[0].read_bytes() == whole, "a damaged answer stays"
    assert len(calls) == 5
    assert weigh.params(write(tmp_path, **TINY | {"vision_config": None})) == model and len(calls) == 6


def test_what_the_constructors_say_is_what_transformers_builds(tmp_path: Path) -> None:
    model = weigh.params(write(tmp_path, **TINY), fallback=False)
    built = dict(reference(TINY).named_parameters(remove_duplicate=False))
    assert [(t.name, t.shape) for t in model.named] == [(name, tuple(p.shape)) for name, p in built.items()]
    assert model.counted_by == f"constructors of transformers {constructors.version()}"
    assert set(model.parts) == {"text", "vision", "projector"}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "did not come to an end"),
        (b"[]", "does not build it"),
        (b"{}", "no answer that could be read"),
        (b'{"error": "ImportError: needs timm\\n(and more)"}', "does not build it: ImportError: needs timm"),
        (subprocess.TimeoutExpired("python", 1), "within 180 seconds"),
        (OSError(12, "Cannot allocate memory"), "did not come to an end"),
    ],
)
def test_what_goes_wrong_in_transformers_is_one_line(
    answer: bytes | Exception, message: str, unknown: None, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, answer)
    with pytest.raises(errors.NotConstructed, match=message) as caught:
        weigh.params(write(tmp_path, **TINY))
    assert "\n" not in str(caught.value) and str(tmp_path / "config.json") in str(caught.value)
    assert not list(cache.rglob("*.json"))


def test_without_transformers_the_way_to_it_is_said(
    unknown: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = answering(monkeypatch, b"")
    monkeypatch.setattr(fallback, "_PACKAGES", ("transformers", "no-torch-here"))
    with pytest.raises(errors.NotConstructed, match=r'pip install "weights-and-measures\[torch\]"'):
        weigh.params(write(tmp_path, **TINY))
    assert not calls


def test_transformers_is_not_started_for_a_type_that_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answering(monkeypatch, b"")
    with pytest.raises(errors.UnknownArchitecture, match="does not know it either; weigh inspect"):
        weigh.params(write(tmp_path, model_type="no_such_type"))
    assert not calls


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_hidden_layers", 10**6), ("num_hidden_layers", -1), ("hidden_size", -8), ("hidden_size", "8"),
        ("hidden_size", 2**63), ("vocab_size", {"a": 1}), ("layer_types", ["full_attention"] * 20_000),
        ("num_hidden_layers", 9_999), ("num_attention_heads", 0), ("block_types", ["recurrent"] * 20_000),
    ],
)  # fmt: skip
def test_what_no_model_has_is_refused_before_anything_is_started(
    field: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = answering(monkeypatch, b"")
    path = write(tmp_path, **TINY | {"text_config": TINY["text_config"] | {field: value}})
    with pytest.raises(errors.InvalidConfig) as caught:
        weigh.params(path)
    assert not calls and str(caught.value).startswith(str(tmp_path / "config.json"))


SMALL = {
    "model_type": "smollm3", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 99, "num_hidden_layers": 2, "pad_token_id": 0,
}  # fmt: skip
LLAVA = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]}


@pytest.mark.parametrize(
    ("fields", "lacking"),
    [
        (SMALL | {"architectures": ["Trainer"]}, "'Trainer'"),
        (SMALL | {"architectures": ["LlamaModel"]}, "'LlamaModel'"),
        (LLAVA | {"text_config": {"model_type": "nope"}}, "'nope'"),
        ({"model_type": "idefics_vision"}, "'idefics_vision'"),
    ],
)
def test_transformers_is_not_started_for_a_class_that_it_lacks(
    fields: dict[str, Any], lacking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = answering(monkeypatch, b"")
    with pytest.raises(errors.WeighError, match=f"{lacking} .* does not know it either; weigh inspect"):
        weigh.params(write(tmp_path, **fields))
    assert not calls


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (SMALL | {"vocab_size": 0}, "padding_idx: 0 is not below 0"),
        (SMALL | {"no_rope_layers": [1]}, r"no_rope_layers\[layer_idx\] \(IndexError: list index out of range\)"),
        (SMALL | {"num_attention_heads": [4]}, "TypeError: unsupported operand .* 'list'"),
        (SMALL | {"hidden_act": "nope"}, "an activation: 'nope' is none"),
        (LLAVA | {"vision_config": [1]}, r"field vision_config: must be an object, not \[1\]"),
        (LLAVA | {"text_config": {"model_type": 5}}, "field model_type: must be text, not 5"),
        ({"model_type": "modernbert", "num_attention_heads": 5}, r"num_attention_heads != 0 \(ValueError\)"),
    ],
)
def test_what_a_constructor_refuses_itself_is_refused_without_transformers_and_by_it(
    fields: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = answering(monkeypatch, b"")
    with pytest.raises(errors.InvalidConfig, match=message) as caught:
        weigh.params(write(tmp_path, **fields))
    assert not calls and "\n" not in str(caught.value)
    with pytest.raises(Exception):  # noqa: B017  # whatever it raises
        reference({"architectures": [constructors.architecture_of(fields["model_type"])]} | fields)


def test_what_a_stand_in_may_be_to_blame_for_is_left_to_transformers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = answering(monkeypatch, b"")
    monkeypatch.setattr(layers.Linear, "__init__", lambda self, inputs: None)
    with pytest.raises(errors.NotConstructed, match="TypeError"):
        weigh.params(write(tmp_path, **SMALL))
    assert calls


def test_the_program_runs_by_its_path_and_imports_nothing_of_weigh() -> None:
    assert "weigh" not in {line.split()[1] for line in Path(meta_device.__file__).read_text().splitlines()
                           if line.startswith(("import ", "from "))}  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {"model_type": "gpt2", "n_layer": 2, "architectures": ["GPT2LMHeadModel"], "add_cross_attention": True},
        {"model_type": "mixtral", "num_hidden_layers": 2, "architectures": ["MixtralForCausalLM"], "num_experts": 4},
        {"model_type": "deberta-v2", "architectures": ["DebertaV2Model"], "attention_head_size": 32},
        {"model_type": "bart", "architectures": ["BartModel"], "num_hidden_layers": 2},
    ],
)
def test_a_family_gives_way_where_it_does_not_know_what_changes_the_answer(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    *_, changed = fields
    model = weigh.params(write(tmp_path, **fields), fallback=False)
    assert model.parameters == sum(p.numel() for p in reference(fields).parameters())
    without = weigh.params(write(tmp_path, **{name: fields[name] for name in fields if name != changed}))
    assert (model.parameters != without.parameters, model.unread, without.counted_by) == (True, (), "weigh")


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta"])
def test_a_field_that_transformers_has_forgotten_and_files_have_not_is_refused(model_type: str, tmp_path: Path) -> None:
    with pytest.raises(errors.UnsupportedField, match="position_embedding_type"):
        weigh.params(write(tmp_path, model_type=model_type, position_embedding_type="relative_key"), fallback=False)
    usual = weigh.params(write(tmp_path, model_type=model_type, position_embedding_type="absolute"), fallback=False)
    assert usual.unread == ()


@pytest.mark.parametrize("said", ["rotary", "alibi"])
def test_positions_of_a_model_with_code_of_its_own_are_refused(said: str, tmp_path: Path) -> None:
    """jina-embeddings-v3 calls itself XLMRobertaModel, and has no table of positions."""
    with pytest.raises(errors.UnsupportedField, match="position_embedding_type"):
        weigh.params(write(tmp_path, model_type="xlm-roberta", position_embedding_type=said), fallback=False)


MT5_SMALL = {
    "model_type": "mt5", "architectures": ["MT5ForConditionalGeneration"], "d_ff": 1024, "d_kv": 64, "d_model": 512,
    "feed_forward_proj": "gated-gelu", "num_decoder_layers": 8, "num_heads": 6, "num_layers": 8, "vocab_size": 250112,
}  # fmt: skip
MISTRAL_SMALL = {
    "model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"], "spatial_merge_size": 2,
    "text_config": {
        "model_type": "mistral", "head_dim": 128, "hidden_size": 5120, "intermediate_size": 32768,
        "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 8, "vocab_size": 131072,
    },
    "vision_config": {"model_type": "pixtral", "image_size": 1540, "patch_size": 14},
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "published"),
    [
        (MT5_SMALL | {"tie_word_embeddings": False}, 300_176_768),
        (MT5_SMALL, 300_176_768 - 250112 * 512),
        (MISTRAL_SMALL, 24_011_361_280),
        (MISTRAL_SMALL | {"tie_word_embeddings": True}, 24_011_361_280 - 131072 * 5120),
    ],
)
def test_an_output_matrix_is_counted_where_the_file_has_one(
    fields: dict[str, Any], published: int, tmp_path: Path
) -> None:
    """transformers builds these models tied, and leaves them as they are when it loads a file that holds both."""
    assert weigh.params(write(tmp_path, **fields), fallback=False).parameters == published


def test_a_class_may_be_spelled_as_it_was_published(tmp_path: Path) -> None:
    """Phi-3.5-MoE calls itself PhiMoEForCausalLM, and transformers' class is PhimoeForCausalLM."""
    biases = {"attention_bias": True, "lm_head_bias": True}
    config = write(tmp_path, model_type="phimoe", architectures=["PhiMoEForCausalLM"], **biases)
    model = weigh.params(config, fallback=False)
    assert (model.architecture, model.parameters) == ("PhimoeForCausalLM", 41_873_153_344)


def test_a_type_means_a_class_that_takes_its_config(tmp_path: Path) -> None:
    """The Auto classes have MusicgenModel for MusicGen, which takes the config of its decoder."""
    model = weigh.params(write(tmp_path, model_type="musicgen"), fallback=False)
    assert model.architecture == "MusicgenForConditionalGeneration"


def test_a_class_may_be_called_as_before(tmp_path: Path) -> None:
    """As Qwen2.5-Omni was published."""
    names = ("Qwen2_5OmniModel", "Qwen2_5OmniForConditionalGeneration")
    fields = {"model_type": "qwen2_5_omni"}
    old, new = (weigh.params(write(tmp_path, **fields, architectures=[name]), fallback=False) for name in names)
    assert old.named == new.named


def test_the_head_of_a_text_model_inside_another_is_its_own(tmp_path: Path) -> None:
    """As BLIP-2 with Flan-T5 is published."""
    sizes = {"d_model": 64, "num_layers": 2, "d_ff": 64, "num_heads": 2, "vocab_size": 1000}
    own, tied = (
        weigh.params(
            write(tmp_path, model_type="blip-2", text_config={"model_type": "t5", **sizes, "tie_word_embeddings": tie}),
            fallback=False,
        )
        for tie in (False, True)
    )
    assert own.parameters - tied.parameters == 64 * 1000


def test_a_refusal_names_what_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(errors.UnknownArchitecture, match="model_type: 'kimi_k2' is not known"):
        weigh.params(write(tmp_path, model_type="kimi_k2", architectures=["DeepseekV3ForCausalLM"]), fallback=False)


@pytest.mark.parametrize(
    "fields",
    [
        {"model_type": "granitemoehybrid", "mamba_expand": [1, 2], "hidden_size": 10**9},
        {"model_type": "granitemoehybrid", "mamba_expand": ["x"] * 9000},
    ],
)
def test_a_list_where_a_number_belongs_is_not_repeated_without_end(fields: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(errors.WeighError, match="list"):
        weigh.params(write(tmp_path, **fields), fallback=False)


def test_a_config_that_states_the_text_beside_its_parts_is_understood(tmp_path: Path) -> None:
    """As those of Qwen2-VL are published."""
    fields = {
        "model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"], "hidden_size": 64,
        "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": 99, "tie_word_embeddings": True, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "vision_config": {"depth": 2, "embed_dim": 32, "num_heads": 2, "hidden_size": 64, "in_chans": 3},
    }  # fmt: skip
    model = weigh.params(write(tmp_path, **fields), fallback=False)
    built = reference(fields)
    assert model.parameters == sum(p.numel() for p in built.parameters())
    assert model.unread == ("vision_config.in_chans",)


def test_a_field_that_only_a_cache_depends_on_leaves_the_count_alone(tmp_path: Path) -> None:
    model = weigh.params(write(tmp_path, model_type="roberta", is_decoder=True), fallback=False)
    assert (model.unread, model.parameters) == (
        ("is_decoder",),
        weigh.params(write(tmp_path, model_type="roberta")).parameters,
    )
    with pytest.raises(errors.UnsupportedField, match="field is_decoder: what such a 'roberta' keeps of the past"):
        weigh.inference(model)


def test_the_text_alone_of_a_multimodal_model_is_counted(tmp_path: Path) -> None:
    text = {"model_type": "qwen2_5_vl_text", "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
            "num_hidden_layers": 2, "intermediate_size": 96, "vocab_size": 99, "torch_dtype": "bfloat16"}  # fmt: skip
    alone = weigh.params(write(tmp_path, **text, architectures=["Qwen2_5_VLForConditionalGeneration"]), fallback=False)
    built = reference(text | {"architectures": ["Qwen2_5_VLTextModel"]})
    assert (alone.architecture, alone.parts) == ("Qwen2_5_VLTextModel", {})
    assert alone.assumed["architectures"] == ["Qwen2_5_VLTextModel"]
    assert alone.parameters == sum(p.numel() for p in built.parameters())
    assert weigh.params(write(tmp_path, **text), fallback=False).parameters == alone.parameters


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"\x02\0\0\0\0\0\0\0{}"), ("renamed.json", b"\x02\0\0\0\0\0\0\0{}"),
        ("model.gguf", b"GGUF\3\0\0\0"), ("pytorch_model.bin", b"PK\3\4"), ("old.pt", b"\x80\x02}."),
        ("w.bin", b"\1\2"),
    ],
)  # fmt: skip
def test_weights_in_place_of_a_config_are_named(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(errors.InvalidConfig, match=r"wants a config\.json; for the file itself: weigh inspect"):
        weigh.params(tmp_path / name)


def test_a_config_in_place_of_weights_is_named() -> None:
    with pytest.raises(errors.UnknownFormat, match="if it is a model's config: weigh params"):
        weigh.inspect("models/quill/config.json")


@pytest.mark.parametrize("deep", [{"a": 40}, {"a": 900}])
def test_a_config_that_is_nested_without_end_is_refused(deep: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "a": ' + "[" * deep["a"] + "]" * deep["a"] + "}")
    with pytest.raises(errors.InvalidConfig, match="nested more than 32 deep"):
        weigh.params(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "a": " " * 8_000_000}))
    with pytest.raises(errors.InvalidConfig, match="no config more than 8,000,000"):
        weigh.params(tmp_path)
