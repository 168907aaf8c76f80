"""The house: rooms that import only those below them, and modules that fit in a sitting."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import weigh
from weigh import errors, formats
from weigh.cli import weigh as weigh_command
from weigh.cli.training import training_command
from weigh.formats import FORMATS, Format
from weigh.memory.optimizers.entries import State
from weigh.memory.optimizers.pytorch import LIBRARY
from weigh.tensors import Tensor

MODULES = sorted(Path("src").rglob("*.py"))


def test_each_room_imports_only_those_below_it(root: Path) -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    environment = os.environ | {"PYTHONPATH": str(root / "src")}
    command = [sys.executable, "-c", program, "--no-cache"]
    linted = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_fits_in_a_sitting(module: Path) -> None:
    assert len(module.read_text("utf-8").splitlines()) <= 300


def test_every_module_says_what_it_is_about() -> None:
    assert [str(module) for module in MODULES if not module.read_text("utf-8").startswith(('"""', "#"))] == []


def test_every_public_name_is_typed_and_found() -> None:
    stub = Path(weigh.__file__).with_suffix(".pyi").read_text("utf-8")
    for module, names in weigh._MODULES.items():
        for name in names.split():
            assert f"from weigh.{module} import {name} as {name}\n" in stub
            assert getattr(weigh, name) is getattr(sys.modules[f"weigh.{module}"], name)


def test_a_file_format_is_named_in_one_place() -> None:
    """Its suffixes and magic bytes stand in the table alone."""
    suffixes = {suffix for each in FORMATS for suffix in each.suffixes}
    assert {".safetensors", ".onnx", ".pt"} <= suffixes
    for module in Path("src/weigh").rglob("*.py"):
        if module.parts[:3] != ("src", "weigh", "formats"):
            for suffix in suffixes - {".bin"}:
                # Names that transformers gives to single files are knowledge of their own.
                lines = [line for line in module.read_text("utf-8").splitlines() if f'"{suffix}"' in line]
                assert lines == [], module


def test_a_file_format_is_a_module_and_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file and a directory of it are inspected, and an error about another file names it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "tiny.py").write_text(
        "from weigh.tensors import Contents, Tensor\n\n\n"
        "def read(file):\n"
        "    whole = Tensor('all', (file.size - 4,), 'uint8', file.name, 4, file.size)\n"
        "    return Contents(str(file), 'tiny', (whole,), file.size, file.size - 4, storages={file.name: file})\n"
    )
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path / "code")])
    monkeypatch.setattr(formats, "FORMATS", (*FORMATS, Format("Tiny", "tiny", (b"TINY",))))
    model, other = tmp_path / "model.tiny", tmp_path / "other"
    model.write_bytes(b"TINY" + bytes(7))
    other.write_bytes(b"OTHER")
    contents = weigh.inspect(model)
    assert (contents.format, contents.bytes_in_tensors) == ("tiny", 7)
    with pytest.raises(errors.UnknownFormat, match="Tiny"):
        weigh.inspect(other)


def test_an_optimizer_is_one_function() -> None:
    """The commands complete and list it, and the estimates count its state."""

    @LIBRARY.optimizer("Signum", elementwise=False)
    def _signum(tensor: Tensor, dtype: str) -> State:
        yield "momentum_buffer", tensor.shape, dtype

    try:
        model = weigh.params("models/quill")
        assert weigh.checkpoint(model.distinct, "torch:signum", "fp32").optimizer_state_bytes == 4 * model.parameters
        for zero, said in ((1, True), (0, False)):
            estimate = weigh.training(model, "torch:Signum", zero=zero, devices=2, batch=1, sequence=8)
            assert any(text.startswith("torch:Signum needs whole tensors") for text in estimate.assumptions) == said
        assert "torch:Signum" in CliRunner().invoke(weigh_command, ["optimizers", "sig"]).output
        (option,) = (each for each in training_command.params if each.name == "optimizer")
        completed = [item.value for item in option.shell_complete(click.Context(training_command), "torch:sig")]
        assert completed == ["torch:Signum"]
    finally:
        del LIBRARY.optimizers["Signum"]


@pytest.mark.parametrize("name", ["READER", "FAMILY"])
def test_what_the_page_on_architecture_writes_passes_the_checks(root: Path, name: str) -> None:
    """A newcomer puts it into the library as it stands."""
    program = ast.parse((root / "snippets/contributing/architecture.py").read_text("utf-8"))
    assigned = [node for node in program.body if isinstance(node, ast.Assign)]
    (text,) = (ast.literal_eval(node.value) for node in assigned if getattr(node.targets[0], "id", "") == name)
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--stdin-filename", "src/weigh/new.py", "-"]
    checked = subprocess.run(ruff, cwd=root, input=text.lstrip(), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert [one.name for one in functions if not one.returns] == []


def test_a_command_is_one_function() -> None:
    @weigh_command.command("twice")
    @click.argument("number", type=int)
    def twice(number: int) -> None:
        """Say twice a NUMBER."""
        click.echo(2 * number)

    try:
        assert "twice" in CliRunner().invoke(weigh_command, ["--help"]).output
        assert CliRunner().invoke(weigh_command, ["twice", "21"]).output == "42\n"
    finally:
        del weigh_command.commands["twice"]
