"""requirements.txt has all that a build needs: what pages and packages import is pinned there; `make` says its size."""

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
OPTIONAL = {"upath"}  # remote files, which no page reads: the extra "remote" of pyproject.toml
CODE = [*(ROOT / "snippets").rglob("*.py"), *(ROOT / "src").rglob("*.py")]
PROVIDED = packages_distributions()


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@cache
def names(file: str) -> set[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pinned = (re.match(r"([\w.-]+)==", line) for line in lines)
    return {canonical(match[1]) for match in pinned if match}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_is_pinned(path: Path) -> None:
    modules = {name.partition(".")[0] for name in imported(path)} - OWN - OPTIONAL - set(sys.stdlib_module_names)
    missing = {
        module
        for module in modules
        if not {canonical(name) for name in PROVIDED.get(module, ())} & names("requirements.txt")
    }
    assert not missing, "add it to requirements.in, with its reason, and run make lock"


def test_the_makefile_says_how_much_is_installed() -> None:
    """To a fifth, on Linux and with PyTorch's build for processors: of another one, the size is another."""
    if sys.platform != "linux" or find_spec("triton"):
        pytest.skip("another build of PyTorch")
    said = re.findall(r"([\d.]+) GB on disk", (ROOT / "Makefile").read_text(encoding="utf-8"))
    size = {canonical(one.name): sum(file.size or 0 for file in one.files or ()) for one in distributions()}
    build = names("requirements.txt")
    for gigabytes, packages in zip(said, (build, names("requirements-dev.txt") - build), strict=True):
        assert float(gigabytes) == pytest.approx(sum(size.get(name, 0) for name in packages) / 1e9, rel=0.2)
