"""Mutations of a model directory: the doctor notices each, against the original and by its manifest, or it is harmless.

Harmless means that the logits are equal. Alone, the doctor gives a diagnosis of whatever it is given, and no exception.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import weigh
from quill import tokenizer
from quill.model import Quill
from weigh.artifacts.manifests import ModelManifest, model_manifest

MODELS = Path(__file__).parents[2] / "models"
CONFIGS = ("config.json", "generation_config.json", "tokenizer_config.json")
ARTIFACT = dict(zip(CONFIGS, ("architecture config", "generation config", "tokenizer / preprocessor"), strict=True))

few = settings(max_examples=8, deadline=None, derandomize=True)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.floats(), st.text(max_size=8),
    st.lists(st.integers(-1, 3000), max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelManifest]:
    """A small model with all that Quill has beside its weights, and its manifest."""
    home = Path(shutil.copytree(MODELS / "quill-draft", tmp_path_factory.mktemp("models") / "draft"))
    shutil.copy(MODELS / "quill" / "generation_config.json", home)
    return home, model_manifest(home)


@contextmanager
def copied(home: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(home, Path(folder, "draft")))


def noticed(home: Path, original: tuple[Path, ModelManifest]) -> tuple[set[str], bool]:
    """The artifacts to which the changes are attributed, and whether the manifest notices too."""
    report = weigh.diagnose(home, against=original[0], manifest=original[1])
    found = {result.check for result in report.results if result.finding == "yes"}
    manifest = "changes since the manifest" in found
    return {name.removeprefix("changed ") for name in found if name.startswith("changed ")}, manifest


def logits(home: Path) -> torch.Tensor:
    with torch.no_grad():
        return Quill.read(home)(torch.tensor([tokenizer.read(home).encode("Double, double toil and trouble").ids]))[0]


@few
@given(st.sampled_from(CONFIGS), st.data())
def test_a_field_changed(original: tuple[Path, ModelManifest], file: str, data: st.DataObject) -> None:
    with copied(original[0]) as home:
        fields = json.loads((home / file).read_text())
        name = data.draw(st.sampled_from(sorted(fields)) | st.text(min_size=1, max_size=5))
        value = data.draw(values)
        written = json.dumps(fields | {name: value})
        same = json.loads(written) == fields and type(value) is type(fields.get(name))
        (home / file).write_text(written)
        artifacts, manifest = noticed(home, original)
        assert manifest, "other bytes"
        if same:
            assert not artifacts and torch.equal(logits(home), logits(original[0])), "white space is harmless"
        else:
            assert artifacts == {ARTIFACT[file]}


@few
@given(st.integers(1, 2047), st.integers(1, 2047))
def test_two_tokens_exchanged(original: tuple[Path, ModelManifest], one: int, other: int) -> None:
    with copied(original[0]) as home:
        whole = json.loads((home / "tokenizer.json").read_text(encoding="utf-8"))
        vocab = whole["model"]["vocab"]
        names = {number: name for name, number in vocab.items()}
        vocab[names[one]], vocab[names[other]] = other, one
        (home / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
        artifacts, manifest = noticed(home, original)
        assert manifest
        assert artifacts == (set() if one == other else {"tokenizer / preprocessor"})


@few
@given(st.data(), st.floats(width=32))
def test_an_element_changed(original: tuple[Path, ModelManifest], data: st.DataObject, value: float) -> None:
    with copied(original[0]) as home:
        tensors = load_file(home / "model.safetensors")
        name = data.draw(st.sampled_from(sorted(tensors)))
        flat = tensors[name].view(-1)
        at = data.draw(st.integers(0, flat.numel() - 1))
        flat[at] = value
        save_file(tensors, home / "model.safetensors", metadata={"format": "pt"})
        assert noticed(home, original)[0] == {"weights"}
        if not torch.isfinite(flat).all():
            report = weigh.diagnose(home)
            assert {r.check for r in report.results if r.finding == "yes"} >= {"NaN and infinite numbers"}


@few
@given(st.sampled_from([*CONFIGS, "tokenizer.json", "model.safetensors"]), st.data())
def test_a_file_damaged(original: tuple[Path, ModelManifest], file: str, data: st.DataObject) -> None:
    with copied(original[0]) as home:
        raw = (home / file).read_bytes()
        begin = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(["gone", "cut", "overwritten", "longer"]))
        new = {"cut": raw[:begin], "overwritten": raw[:begin] + b"\xff" + raw[begin + 1 :], "longer": raw + b"\0"}
        if kind == "gone":
            (home / file).unlink()
        else:
            (home / file).write_bytes(new[kind])
        alone = weigh.diagnose(home)
        artifacts, manifest = noticed(home, original)
        assert manifest or new.get(kind) == raw
        assert artifacts or new.get(kind) == raw
        if kind in ("cut", "longer"):
            assert alone.finding == "yes", "a damaged file is a finding without the original"


NAMES = [
    "architectures", "model_type", "vocab_size", "eos_token_id", "bos_token_id", "torch_dtype", "tie_word_embeddings",
    "eos_token", "chat_template", "do_sample", "temperature", "max_length", "text_config", "quantization_config",
    "max_position_embeddings",
]  # fmt: skip


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.sampled_from(CONFIGS), st.dictionaries(st.sampled_from(NAMES), values, min_size=1))
def test_a_diagnosis_of_whatever_it_is_given(
    original: tuple[Path, ModelManifest], file: str, changes: dict[str, Any]
) -> None:
    with copied(original[0]) as home:
        (home / "model.safetensors").unlink()
        fields = json.loads((home / file).read_text())
        (home / file).write_text(json.dumps(fields | changes))
        assert weigh.diagnose(home).finding in ("yes", "no", "undecided")
