"""What others install: a wheel that holds `weigh` alone, in an environment with click, rich and nothing else.

The network is not touched. The wheel is built here, as `pip install .` builds it, and unpacked rather than installed.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from weigh.optional import EXTRAS, INSTALL

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, f'build_{sys.argv[1]}')(sys.argv[2]))"

# -I and -S leave the standard library alone on the path; the command is found as a console script finds it.
ALONE = "import sys; sys.path += sys.argv[1:3]; del sys.argv[:3]\n"
WEIGH = (
    "from importlib.metadata import distribution\n"
    "command = distribution('weights-and-measures').entry_points['weigh'].load()\n"
    "command(sys.argv)"
)

STAND_INS = {
    "model.safetensors": "models/quill/model.safetensors",
    "step-1000.pt": "models/quill/model.safetensors",
    "step-2000.pt": "models/quill/model.safetensors",
    "checkpoint-2000": "models/quill",
    "served": "{new}",
    "config.json": "models/qwen2.5-0.5b/config.json",
}
NEEDS = {"check": "checks", "diff": "torch", "export": "torch"}


def build(kind: str, tree: Path, into: Path) -> Path:
    """Build a distribution of a tree, with the packages that are installed here."""
    done = subprocess.run([sys.executable, "-c", BUILD, kind, str(into)], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return into / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what distributions are built from, beside what is not to be in them."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (tree / "tests").mkdir()
    shutil.copy(__file__, tree / "tests")
    return tree


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, unpacked."""
    work = tmp_path_factory.mktemp("wheel")
    with tarfile.open(build("sdist", tree, work)) as source:
        source.extractall(work, filter="data")
    (unpacked,) = (path for path in work.iterdir() if path.is_dir())
    assert {path.name for path in unpacked.iterdir()} >= {"LICENSE", "README.md", "src"}
    assert not (unpacked / "tests").exists() and not (unpacked / "src/handbook").exists()
    with zipfile.ZipFile(build("wheel", unpacked, work)) as archive:
        archive.extractall(work / "site")
    return work / "site"


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the distributions that the project asks for without an extra, and of those that they ask for."""
    folder, wanted, seen = tmp_path_factory.mktemp("dependencies"), list(PROJECT["dependencies"]), set()
    while wanted:
        requirement = Requirement(wanted.pop())
        if requirement.name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(requirement.name)
        found = importlib.metadata.distribution(requirement.name)
        wanted += found.requires or ()
        for file in found.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), folder / file)
    assert {"click", "rich"} <= seen
    return folder


def alone(program: str, wheel: Path, dependencies: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", "-c", ALONE + program, str(wheel), str(dependencies), *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def commands() -> list[str]:
    """The `weigh` commands of the README, without their comments."""
    lines = re.findall(r"^\$ weigh (.+)$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    return [line.partition("#")[0].strip() for line in lines]


def test_the_wheel_holds_the_library_alone(wheel: Path) -> None:
    info = f"weights_and_measures-{PROJECT['version']}.dist-info"
    assert {path.name for path in wheel.iterdir()} == {"weigh", info}
    modules = {path.relative_to(ROOT / "src") for path in (ROOT / "src/weigh").rglob("*.py")}
    assert {path.relative_to(wheel) for path in (wheel / "weigh").rglob("*.py")} == modules
    assert (wheel / "weigh/py.typed").is_file()
    assert (wheel / info / "licenses/LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_an_editable_install_finds_the_machinery_of_the_site_too(tree: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build("editable", tree, tmp_path)) as archive:
        (path,) = (archive.read(name).decode().strip() for name in archive.namelist() if name.endswith(".pth"))
    assert Path(path) == tree / "src"
    assert {"handbook", "quill", "weigh"} <= {folder.name for folder in Path(path).iterdir()}


def test_importing_weigh_imports_nothing_else(wheel: Path, dependencies: Path) -> None:
    program = "import weigh; print(*{name.partition('.')[0] for name in sys.modules}, weigh.__file__)"
    done = alone(program, wheel, dependencies)
    *modules, file = done.stdout.split()
    assert Path(file) == wheel / "weigh/__init__.py", done.stderr
    assert set(modules) - sys.stdlib_module_names == {"__main__", "weigh"}


def test_the_command_says_what_it_can(wheel: Path, dependencies: Path) -> None:
    done = alone(WEIGH, wheel, dependencies, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    asked = {command.split()[0] for command in commands()}
    assert asked >= {"check", "inspect", "diff", "export", "params", "inference", "training", "plan"}
    assert asked <= set(done.stdout.split())


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_answers_or_names_the_extra_that_it_lacks(
    command: str, wheel: Path, dependencies: Path, tmp_path: Path
) -> None:
    args = [STAND_INS.get(word, word).format(new=tmp_path / "new") for word in shlex.split(command)]
    done = alone(WEIGH, wheel, dependencies, *args)
    if args[0] in NEEDS:
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(f'or the whole extra, "weights-and-measures[{NEEDS[args[0]]}]"\n')
        assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())
    else:
        finds = args[0] == "resume"  # that weights alone are no run
        assert (done.returncode, done.stderr) == (int(finds), "")
        assert done.stdout.count("\n") > 3


def extra(name: str) -> set[str]:
    return {Requirement(line).name for line in PROJECT["optional-dependencies"][name]}


def imported(path: Path) -> set[str]:
    """The packages that a module imports anywhere: their top-level modules, without Python's own and ours."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"weigh"}


def test_what_weigh_imports_belongs_to_an_extra_and_what_its_command_imports_is_asked_for() -> None:
    given = set(PROJECT["dependencies"]).union(*map(extra, EXTRAS))
    used: dict[str, set[str]] = {}
    for path in (ROOT / "src/weigh").rglob("*.py"):
        for module in imported(path):
            used.setdefault(INSTALL.get(module, module).split()[0], set()).add(
                path.relative_to(ROOT / "src/weigh").parts[0]
            )
    assert set(used) <= given
    assert used["click"] == used["rich"] == {"cli"}
    # By itself weigh does not import it: universal-pathlib does.
    assert given - set(used) == {"aiohttp"}


def test_the_extras_are_those_that_weigh_names() -> None:
    assert {name: tuple(sorted(extra(name))) for name in EXTRAS} == EXTRAS
    (whole,) = PROJECT["optional-dependencies"]["all"]
    assert Requirement(whole).name == PROJECT["name"] and Requirement(whole).extras == set(EXTRAS)
    assert set(PROJECT["optional-dependencies"]) == {*EXTRAS, "all", "pages"}
