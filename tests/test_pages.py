"""The Markdown of the pages: all Python is run or says why not, and a page shows the whole of its program in order."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
PROGRAMS = sorted((ROOT / "snippets").rglob("*.py"))
LONGEST_FENCE = 25

OPEN = re.compile(r"(?P<indent>[\s>]*)(?P<ticks>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
INCLUDE = re.compile(r'--8<--\s+"(?P<path>[^":]+)(:(?P<section>\w+))?"')
MARKER = re.compile(r"# --8<-- \[(?P<what>start|end):(?P<name>\w+)\]$")
NOT_RUN = re.compile(r"<!-- not run: \S.* -->$")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@dataclass
class Fence:
    """A fenced block, its place and what stands before it."""

    line: int
    indent: str
    info: str
    code: list[str]
    before: list[str]

    @property
    def is_python(self) -> bool:
        return self.info.split(" ")[0].strip("{.}") in {"python", "py", "python3", "pycon"}

    @property
    def is_run(self) -> bool:
        return 'exec="1"' in self.info

    @property
    def is_folded(self) -> bool:
        parent = next((line for line in reversed(self.before) if line.strip() and not line.startswith(self.indent)), "")
        return bool(self.indent) and parent.strip().startswith("??? ")

    def includes(self) -> Iterator[tuple[str, str]]:
        """The program and the section of each inclusion."""
        for line in self.code:
            if (found := INCLUDE.search(line)) and found["path"].endswith(".py"):
                yield found["path"], found["section"] or ""

    def shown(self) -> list[str]:
        """The lines that a reader sees."""
        if self.is_run and "source=" not in self.info:
            return []
        lines: list[str] = []
        for line in self.code:
            found = INCLUDE.search(line)
            lines += sections(ROOT / found["path"])[found["section"]] if found and found["section"] else [line]
        return lines


def fences(text: str) -> list[Fence]:
    found: list[Fence] = []
    lines = text.splitlines()
    current: Fence | None = None
    ticks = ""
    for number, line in enumerate(lines):
        if current is None:
            if match := OPEN.match(line):
                ticks = match["ticks"]
                current = Fence(number + 1, match["indent"], match["info"].strip(), [], lines[:number])
        elif line.strip(" >\t") == ticks:
            found.append(current)
            current = None
        else:
            current.code.append(line)
    return found


def sections(program: Path) -> dict[str, list[str]]:
    """The lines of each section, in order; those outside are under ""."""
    found: dict[str, list[str]] = {"": []}
    current = ""
    for number, line in enumerate(program.read_text("utf-8").splitlines(), start=1):
        if not (marker := MARKER.match(line)):
            found[current].append(line)
        elif marker["what"] == "start":
            assert current == "", f"{name(program)}:{number}: section {current} has not ended"
            assert marker["name"] not in found, f"{name(program)}:{number}: there is another section of this name"
            current = marker["name"]
            found[current] = []
        else:
            assert current == marker["name"], f"{name(program)}:{number}: section {marker['name']} has not begun"
            current = ""
    assert current == "", f"{name(program)}: section {current} does not end"
    return found


def program_of(page: Path) -> Path:
    return ROOT / "snippets" / str(page.relative_to(ROOT / "docs").with_suffix(".py")).replace("-", "_")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_is_run_or_says_why_not(page: Path) -> None:
    for fence in fences(page.read_text("utf-8")):
        if fence.is_python and not fence.is_run:
            above = next((line.strip() for line in reversed(fence.before) if line.strip()), "")
            where = f"{name(page)}:{fence.line}"
            assert NOT_RUN.match(above), f'{where}: run it with exec="1", or say <!-- not run: reason --> above it'


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_fence_is_short_enough_to_read(page: Path) -> None:
    for fence in fences(page.read_text("utf-8")):
        if not fence.is_folded:
            length = len(fence.shown())
            assert length <= LONGEST_FENCE, (
                f"{name(page)}:{fence.line} shows {length} lines: run a part unseen, or fold"
            )


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_runs_the_sections_of_its_program_once_and_in_order(page: Path) -> None:
    text = page.read_text("utf-8")
    program = program_of(page)
    included = [include for fence in fences(text) if fence.is_run for include in fence.includes()]
    assert {path for path, _ in included} <= {name(program)}, "a page includes its own program only"
    expected = [section for section in sections(program) if section] if program.exists() else []
    assert [section for _, section in included] == expected


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_that_runs_a_program_ends_with_its_foot(page: Path) -> None:
    program = program_of(page)
    if program.exists():
        last = fences(page.read_text("utf-8"))[-1]
        assert last.is_run
        assert f'foot("{name(program)}"' in "\n".join(last.code)


@pytest.mark.parametrize("program", PROGRAMS, ids=name)
def test_a_program_is_all_on_its_page(program: Path) -> None:
    assert program in {program_of(page) for page in PAGES}, "no page has the path of this program"
    outside = ast.parse("\n".join(sections(program)[""])).body
    code = [node for node in outside if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    assert not code, f"outside of the sections: {ast.unparse(code[0])}"


def test_the_reader_of_fences_reads_them() -> None:
    text = '??? note "Long"\n\n    ```python\n    x\n    ```\n\n````md\n```python exec="1"\n```\n````\n> ```py\n> ```\n'
    found = fences(text)
    assert [(fence.line, fence.info, fence.is_python, fence.is_folded) for fence in found] == [
        (3, "python", True, True),
        (7, "md", False, False),
        (11, "py", True, False),
    ]
