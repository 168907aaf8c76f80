"""The house: rooms that import only those below them, and modules that fit in a sitting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import weigh
from weigh.formats import FORMATS

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
    stub = Path(weigh.__file__).read_text("utf-8").partition("_MODULES")[0]
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
