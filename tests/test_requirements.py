"""requirements.txt is all that a build needs: whatever the pages and the packages import is pinned there."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OWN = {path.name for path in (ROOT / "src").iterdir()}
OPTIONAL = {"upath"}  # remote files, which no page reads: the extra "remote" of pyproject.toml
CODE = [*(ROOT / "snippets").rglob("*.py"), *(ROOT / "src").rglob("*.py")]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def names(file: str) -> set[str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pinned = (re.match(r"([\w.-]+)==", line) for line in lines)
    return {canonical(match[1]) for match in pinned if match}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_is_pinned(path: Path) -> None:
    modules = {name.partition(".")[0] for name in imported(path)} - OWN - OPTIONAL - set(sys.stdlib_module_names)
    provided = packages_distributions()
    missing = {
        module
        for module in modules
        if not {canonical(name) for name in provided.get(module, ())} & names("requirements.txt")
    }
    assert not missing, "add it to requirements.in, with its reason, and run make lock"
