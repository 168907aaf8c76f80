"""requirements.txt has all that a build needs: what pages and packages import is pinned there; `make` says its size.

What tests and benchmarks import on top is named, with its reason, in one of the files that the pins are made from.
"""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions, packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OWN = {path.name for path in (ROOT / "src").iterdir()}
OPTIONAL = {"upath", "playwright"}  # remote files, which no page reads; and the sheet as a PDF, which no build makes
ZOO = [*(ROOT / "src/handbook/zoo").rglob("*.py")]  # real optimizers, which tests measure and no page imports
CODE = [path for folder in ("snippets", "src") for path in (ROOT / folder).rglob("*.py") if path not in ZOO]
CHECKS = [*ZOO, *(path for folder in ("tests", "bench") for path in (ROOT / folder).rglob("*.py"))]
PROVIDED = packages_distributions()


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@cache
def names(file: str) -> set[str]:
    """The distributions that a file pins or asks for."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    named = (re.match(r"[a-zA-Z0-9][\w.-]*", line) for line in lines)
    return {canonical(match[0]) for match in named if match}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(path: Path, named: set[str]) -> set[str]:
    """The modules that a file imports from distributions that are not named."""
    modules = {name.partition(".")[0] for name in imported(path)} - OWN - OPTIONAL - set(sys.stdlib_module_names)
    # What is pinned for other Pythons alone, and so is not installed, goes by its own name.
    return {module for module in modules if not {canonical(name) for name in PROVIDED.get(module, [module])} & named}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=name)
def test_what_is_imported_is_pinned(path: Path) -> None:
    hint = "add it to requirements.in, with its reason, and run make lock"
    assert not missing(path, names("requirements.txt")), hint


@pytest.mark.parametrize("path", CHECKS, ids=name)
def test_what_tests_and_benchmarks_import_is_named(path: Path) -> None:
    hint = "add it to requirements-dev.in, with its reason, and run make lock"
    assert not missing(path, names("requirements.in") | names("requirements-dev.in")), hint


def test_what_is_named_is_pinned() -> None:
    for file in ("requirements", "requirements-dev"):
        assert not names(f"{file}.in") - names(f"{file}.txt"), "run make lock"


def test_an_import_of_what_is_not_named_is_found(tmp_path: Path) -> None:
    (tmp_path / "test.py").write_text(
        "import json, pytest\nfrom mkdocs.config import load_config\nimport bs4.element\n"
    )
    assert missing(tmp_path / "test.py", {"pytest", "beautifulsoup4"}) == {"mkdocs"}


def test_the_makefile_says_how_much_is_installed() -> None:
    """To a fifth, on Linux and with PyTorch's build for processors: of another one, the size is another."""
    if sys.platform != "linux" or find_spec("triton"):
        pytest.skip("another build of PyTorch")
    said = re.findall(r"([\d.]+) GB on disk", (ROOT / "Makefile").read_text(encoding="utf-8"))
    size = {canonical(one.name): sum(file.size or 0 for file in one.files or ()) for one in distributions()}
    build = names("requirements.txt")
    for gigabytes, packages in zip(said, (build, names("requirements-dev.txt") - build), strict=True):
        assert float(gigabytes) == pytest.approx(sum(size.get(name, 0) for name in packages) / 1e9, rel=0.2)
