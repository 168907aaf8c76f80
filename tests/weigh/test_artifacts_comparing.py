"""`weigh diff` of model directories: every mutation of a file is noticed, and no rewriting of the same values."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mistral_common
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import weigh
from weigh import errors
from weigh.artifacts.comparing import ArtifactChange, compare
from weigh.artifacts.reading import artifact_of, read_values
from weigh.artifacts.values import fields_of, parse_json
from weigh.cli import main
from weigh.cli import weigh as command
from weigh.files.directories import ARTIFACTS

QUILL, TOKENS, MERGES = Path("models/quill"), 60, 40
JSON = ("config.json", "generation_config.json", "tokenizer_config.json", "adapter_config.json", "tokenizer.json")
TEMPLATE = "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{% endfor %}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with a file of every kind, and Quill's first tokens and merges."""
    directory = tmp_path_factory.mktemp("model")
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "README.md"):
        shutil.copy(QUILL / name, directory)
    edit(directory / "tokenizer.json", lambda all: all.update(model=shortened(all["model"])))
    shutil.copy("models/quill-milton/adapter_config.json", directory)
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    (directory / "onnx").mkdir()
    (directory / "onnx" / "notes.txt").write_text("exported")
    save_file({"w": torch.arange(6.0), "b": torch.ones(2)}, directory / "model.safetensors")
    return directory


def shortened(model: dict[str, Any]) -> dict[str, Any]:
    vocabulary = dict(list(model["vocab"].items())[:TOKENS])
    return {**model, "vocab": vocabulary, "merges": model["merges"][:MERGES]}


def copied(model: Path, into: str | Path) -> Path:
    return Path(shutil.copytree(model, Path(into) / "copy"))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")


def swap(container: Any, one: Any, other: Any) -> None:
    container[one], container[other] = container[other], container[one]


def containers(value: Any) -> list[Any]:
    """Every object and list of a document that is not empty."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if inner else []) + [found for each in inner for found in containers(each)]


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(JSON), st.data())
def test_a_value_that_is_changed_removed_or_added_is_noticed(model: Path, name: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        other = copied(model, folder)

        def mutate(document: Any) -> None:
            if name == "tokenizer.json" and data.draw(st.booleans()):
                document = document["model"]
            holder = data.draw(st.sampled_from(containers(document)))
            key = data.draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))
            match data.draw(st.sampled_from(["change", "remove", "add"])):
                case "change":
                    old = holder[key]
                    holder[key] = not old if isinstance(old, bool) else f"{old}x" if isinstance(old, str) else [old]
                case "remove":
                    del holder[key]
                case "add":
                    value = data.draw(st.one_of(st.none(), st.integers(), st.floats(), st.text(), st.just({})))
                    if isinstance(holder, dict):
                        holder["a new.key"] = value
                    else:
                        holder.append(value)

        edit(other / name, mutate)
        found = compare(model, other)
        assert found.changes and {change.file for change in found.changes} == {name}
        back = compare(other, model)
        assert {(change.place, change.after, change.before) for change in back.changes} == {
            (change.place, change.before, change.after) for change in found.changes
        }


@settings(deadline=None, max_examples=20)
@given(st.integers(1, TOKENS - 1), st.integers(1, TOKENS - 1))
def test_two_tokens_exchanged_are_two_changes_by_id(model: Path, one: int, other: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(model, folder)
        pieces = {
            number: piece
            for piece, number in json.loads((model / "tokenizer.json").read_text())["model"]["vocab"].items()
        }
        edit(copy / "tokenizer.json", lambda all: swap(all["model"]["vocab"], pieces[one], pieces[other]))
        found = {(change.place, change.before, change.after) for change in compare(model, copy).changes}
    written = [json.dumps(pieces[number], ensure_ascii=False) for number in (one, other)]
    assert found == ({(f"token {one}", *written), (f"token {other}", *written[::-1])} if one != other else set())


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, MERGES - 1), min_size=2, max_size=6, unique=True), st.booleans())
def test_merges_are_compared_by_their_order(model: Path, ranks: list[int], gone: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(model, folder)

        def mutate(document: Any) -> None:
            merges = document["model"]["merges"]
            if gone:
                for rank in sorted(ranks, reverse=True):
                    del merges[rank]
            else:
                swap(merges, ranks[0], ranks[1])

        edit(copy / "tokenizer.json", mutate)
        changes = compare(model, copy).changes
    assert all(change.place.startswith("merge ") for change in changes)
    assert len(changes) == (len(ranks) if gone else min(2, abs(ranks[0] - ranks[1])))
    assert all((change.after is None) == gone for change in changes)


def test_what_is_no_document_is_compared_by_its_text_its_bytes_or_its_tensors(model: Path, tmp_path: Path) -> None:
    copy = copied(model, tmp_path)
    (copy / "chat_template.jinja").write_text(TEMPLATE.replace("role", "name"))
    (copy / "README.md").write_text((model / "README.md").read_text("utf-8").replace("license: mit", "license: gpl"))
    (copy / "onnx" / "notes.txt").write_text("Exported")
    (copy / "vocab.txt").write_text("a\nb\n")
    (copy / "generation_config.json").unlink()
    found = {change.file: change for change in compare(model, copy).changes}
    assert {name: (change.artifact, change.place) for name, change in found.items()} == {
        "generation_config.json": ("generation config", ""),
        "chat_template.jinja": ("tokenizer / preprocessor", "text"),
        "vocab.txt": ("tokenizer / preprocessor", ""),
        "README.md": ("model card", "front matter" if "license: mit" in (model / "README.md").read_text() else "text"),
        "onnx/notes.txt": ("other files", ""),
    }
    assert found["generation_config.json"].after is None and found["vocab.txt"].before is None
    assert str(found["generation_config.json"]).endswith("→ absent")
    weights = load_file(copy / "model.safetensors")
    weights["w"][3] += 1e-6
    save_file(weights, copy / "model.safetensors")
    assert compare(copy, copy).same and weigh.diff(model, copy).counts["changed"] == 1
    digests = compare(model, copy, tensors_by_digest=True)
    assert "model.safetensors" in {change.file for change in digests.changes} and not digests.tensors


def test_tensors_of_one_name_in_two_files_are_not_left_to_their_names(model: Path, tmp_path: Path) -> None:
    copies = [copied(model, tmp_path / side) for side in "ab"]
    for copy, seed in zip(copies, (0, 1), strict=True):
        torch.save({"cpu": torch.tensor([seed])}, copy / "rng_state_0.pth")
        torch.save({"cpu": torch.tensor([2])}, copy / "rng_state_1.pth")
    assert weigh.diff(*copies).same, "the second of the two stands for both"
    (change,) = compare(*copies).changes
    assert (change.artifact, change.file) == ("checkpoint", "rng_state_0.pth")


@pytest.mark.parametrize("style", [{"indent": 7}, {"sort_keys": True, "ensure_ascii": True}])
def test_the_same_values_written_otherwise_are_no_change(model: Path, style: dict[str, Any], tmp_path: Path) -> None:
    copy = copied(model, tmp_path)
    for name in JSON:
        document = json.loads((copy / name).read_text("utf-8"))
        if name == "tokenizer.json":  # as earlier versions of tokenizers wrote them
            document["model"]["merges"] = [" ".join(pair) for pair in document["model"]["merges"]]
        backwards = dict(reversed(document.items()))
        (copy / name).write_text(json.dumps(backwards, **style), "utf-8")
    found = compare(model, copy)
    assert found.same and found.compared["config.json"] == "field by field", found.changes
    assert found.compared["tokenizer.json"] == "token by token"


def test_places_tell_apart_what_json_does() -> None:
    assert fields_of("x", {"a": {"b.c": [1, {}]}, "a.b": None, "": 1.0, "d": {"0": 1}, "e": []}) == {
        "a.\"b.c\"[0]": "1", "a.\"b.c\"[1]": "{}", '"a.b"': "null", '""': "1.0", "d.0": "1", "e": "[]",
    }  # fmt: skip
    assert len(fields_of("x", {"k" * 500 + "a": 1, "k" * 500 + "b": 2})) == 2


def test_a_long_value_is_cut_where_it_begins_to_differ(model: Path, tmp_path: Path) -> None:
    copy = copied(model, tmp_path)
    texts = ["a" * 5000 + end for end in ("one", "two")]
    for directory, text in zip((copy, model), texts, strict=True):
        (directory / "additional_chat_templates").mkdir()
        (directory / "additional_chat_templates" / "tool.jinja").write_text(text)
    try:
        (change,) = compare(copy, model).changes
    finally:
        shutil.rmtree(model / "additional_chat_templates")
    assert change.artifact == "tokenizer / preprocessor"
    assert (change.before or "").endswith('aone"') and (change.after or "").endswith('atwo"')
    assert (change.before or "").startswith("…") and len(change.before or "") < 60


def test_every_tokenizer_file_is_read_token_by_token(tmp_path: Path) -> None:
    data = Path(mistral_common.__file__).parent / "data"
    shutil.copy(data / "mistral_instruct_tokenizer_240323.model.v3", tmp_path / "tokenizer.model")
    found = read_values(tmp_path / "tokenizer.model")
    assert found and found.fields["token 1"] == '"<s>" 0.0 CONTROL' and "trainerSpec.vocabSize" in found.fields
    lines = [base64.b64encode(token).decode() + f" {rank}\n" for rank, token in enumerate([b"a", b"\xff"])]
    (tmp_path / "list.model").write_text("".join(lines))
    assert read_values(tmp_path / "list.model").fields == {"token 0": '"a"', "token 1": "bytes ff"}  # type: ignore[union-attr]
    entry = {"rank": 0, "token_bytes": "YQ==", "token_str": "a"}
    tekken = {"config": {"version": "v3"}, "vocab": [entry], "special_tokens": [{"rank": 0, "token_str": "<s>"}]}
    (tmp_path / "tekken.json").write_text(json.dumps(tekken))
    found = read_values(tmp_path / "tekken.json")
    assert found and set(found.fields) == {"config.version", "token 0", "special token 0"}
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "c": 1}))
    assert read_values(tmp_path / "vocab.json").fields == {"token 0": '"a"', "token 1": '"b" and "c"'}  # type: ignore[union-attr]
    (tmp_path / "vocab.txt").write_bytes("a\u2028\nb\r\n\n".encode())
    assert list(read_values(tmp_path / "vocab.txt").fields.values()) == ['"a\u2028"', '"b"', '""']  # type: ignore[union-attr]
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\nb c\n")
    assert read_values(tmp_path / "merges.txt").lists == {"merge": ["a b", "b c"]}  # type: ignore[union-attr]
    unigram = {"model": {"type": "Unigram", "vocab": [["<unk>", 0], ["a", -1.5]]}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(unigram))
    assert read_values(tmp_path / "tokenizer.json").fields["token 1"] == '"a" -1.5'  # type: ignore[union-attr]


def test_a_file_belongs_to_an_artifact() -> None:
    assert artifact_of("adapter_model.safetensors") == "adapter" and artifact_of("config.json") in ARTIFACTS
    assert artifact_of("onnx/config.json") == artifact_of("LICENSE") == "other files"


BROKEN = {
    "no JSON": b'{"a": 1',
    "a key twice": b'{"a": 1, "a": 2}',
    "not UTF-8": b'{"a": "\xff"}',
    "too deep": b'{"a":' * 150 + b"1" + b"}" * 150,
    "far too deep": b"[" * 200_000,
    "a number of many digits": b'{"a": ' + b"1" * 5000 + b"}",
    "a pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n",
    "another form": b'{"model": [], "added_tokens": 3}',
    "a list": b"[1, 2]",
}


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tekken.json", "vocab.json", "tokenizer.model"])
@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_a_change_and_said_to_be_broken(model: Path, raw: bytes, name: str, tmp_path: Path) -> None:
    copy = copied(model, tmp_path)
    (copy / name).write_bytes(raw)
    whole = copied(model, tmp_path / "whole")
    if not (whole / name).exists():
        (whole / name).write_text("{}")
    found = compare(whole, copy)
    assert {change.file for change in found.changes} == {name}
    if found.compared[name] == "by SHA-256" and b"git-lfs" not in raw:
        assert "by SHA-256 only" in found.not_compared[name]
    assert compare(copy, copy).same


def test_what_no_document_may_be_is_refused_in_one_line() -> None:
    for raw in BROKEN.values():
        if b"git-lfs" in raw or raw.startswith((b'{"model', b"[1")) or raw.endswith(b"}}"):
            continue
        with pytest.raises(errors.InvalidArtifact):
            parse_json("config.json", raw)
    with pytest.raises(errors.InvalidArtifact, match="has the key 'a' twice"):
        parse_json("config.json", BROKEN["a key twice"])


def ask(*args: object) -> tuple[int, str]:
    done = CliRunner().invoke(command, [str(arg) for arg in args], standalone_mode=False)
    assert done.exception is None, done.exception
    return int(done.return_value), done.output  # type: ignore[call-overload]


def test_the_command_names_a_setting_and_two_tokens(tmp_path: Path) -> None:
    copy = copied(QUILL, tmp_path)
    edit(copy / "generation_config.json", lambda fields: fields.update(temperature=1.2))
    edit(copy / "tokenizer.json", lambda all: swap(all["model"]["vocab"], "Ġthe", "Ġking"))
    code, output = ask("diff", QUILL, copy)
    assert code == 1 and "38 equal" in output
    assert "temperature   0.8" in output and '"Ġking"' in output
    assert "compared: model.safetensors (tensor by tensor)" in output
    assert "not compared: checkpoint, optimizer state (in neither directory)" in output
    code, output = ask("diff", QUILL, copy, "--json")
    facts = json.loads(output)
    assert code == 1 and not facts["same"] and facts["equal"] == 38 and facts["changes"] == []
    assert len(facts["artifacts"]) == 3 and set(facts["artifacts"][0]) == set(ArtifactChange.__dataclass_fields__)
    assert (
        facts["compared"]["generation_config.json"] == "field by field" and "optimizer state" in facts["not_compared"]
    )
    assert ask("diff", QUILL, QUILL)[0] == 0


def test_the_command_lists_some_changes_of_each_file(tmp_path: Path) -> None:
    copy = copied(QUILL, tmp_path)
    edit(copy / "generation_config.json", lambda fields: fields.update(temperature=1.2))
    edit(copy / "tokenizer.json", lambda all: all["model"]["merges"].reverse())
    code, output = ask("diff", QUILL, copy)
    merges = output.count("merge ")
    assert code == 1 and merges == 10 and "more in tokenizer.json; --all lists them" in output
    assert "temperature" in output and ask("diff", QUILL, copy, "--all")[1].count("merge ") > 1000


def test_directories_without_weights_and_files_are_compared_too(tmp_path: Path) -> None:
    code, output = ask("diff", "models/gpt2", "models/gpt2-xl")
    assert code == 1 and "n_layer" in output and "no tensors" in output
    code, output = ask("diff", QUILL / "model.safetensors", QUILL / "model.safetensors", "--json")
    assert code == 0 and json.loads(output)["artifacts"] == []
    copy = copied(QUILL, tmp_path)
    (copy / "model.safetensors").write_bytes(BROKEN["a pointer"])
    code, output = ask("diff", QUILL, copy)
    assert code == 1 and "a Git LFS pointer to 12 bytes" in output and "not compared: tensors" in output


def test_without_torch_the_rest_is_compared(tmp_path: Path) -> None:
    copy = copied(QUILL, tmp_path)
    edit(copy / "generation_config.json", lambda fields: fields.update(temperature=1.2))
    program = "import sys; sys.modules['torch'] = None; from weigh.cli import main; main(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", program, "diff", QUILL, copy], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "temperature" in done.stdout and "needs the package torch" in done.stdout
    assert "README.md, config.json" in done.stdout and "model.safetensors" in done.stdout


def test_what_is_no_model_is_refused_in_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    for arguments in ((model, tmp_path), (model, tmp_path / "none"), (tmp_path, tmp_path), ("a\0b", model)):
        with pytest.raises(SystemExit) as exit:
            main(["diff", *map(str, arguments)])
        assert exit.value.code == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.startswith("weigh: ") and said.err.count("\n") == 1
    with pytest.raises(errors.NotFound):
        compare(model, model / "config.json")


def test_a_link_to_nothing_is_not_compared(model: Path, tmp_path: Path) -> None:
    copy = copied(model, tmp_path)
    (copy / "lonely.json").symlink_to("nowhere")
    found = compare(model, copy)
    assert found.same and found.not_compared["lonely.json"] == f"a link to nothing in {copy}"
