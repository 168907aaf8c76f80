"""The programs that readers download: the page's own, as a script and as a notebook."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from handbook.needs import check
from handbook.programs import MARKER, REPOSITORY, downloads, notebook, program_of

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = sorted((ROOT / "snippets").rglob("*.py"))
NAMES = [str(program.relative_to(ROOT)) for program in PROGRAMS]

PROGRAM = '''"""The program of a page: "quoted"."""

# --8<-- [start:first]
import math

greeting = "hello"
# --8<-- [end:first]

# --8<-- [start:second_part]
print(greeting, math.pi)


def double(x: int) -> int:
    """Twice `x`."""

    return 2 * x
# --8<-- [end:second_part]

print(double(21))  # between two sections


# --8<-- [start:last]
"not shown by a script"
print(f"{double(3)}")
text = "ends in a quote"
# --8<-- [end:last]
'''


def test_a_page_has_its_program_at_the_same_path() -> None:
    assert program_of("a/b-c.md") == "snippets/a/b_c.py"
    assert program_of("index.md") == "snippets/index.py"


def test_a_page_offers_its_program_twice_or_nothing(tmp_path: Path) -> None:
    assert list(downloads(tmp_path, "a/b-c.md")) == []
    (tmp_path / "snippets/a").mkdir(parents=True)
    (tmp_path / "snippets/a/b_c.py").write_text(PROGRAM, "utf-8")
    assert [name for name, _ in downloads(tmp_path, "a/b-c.md")] == ["programs/a/b_c.py", "programs/a/b_c.ipynb"]


def cells(source: str) -> list[tuple[str, str]]:
    """Kind and text of the cells of a notebook that is valid."""
    text = notebook(source)
    nbformat.validate(json.loads(text))
    return [(cell.cell_type, cell.source) for cell in nbformat.reads(text, as_version=4).cells]


def test_the_script_is_the_program_without_markers_and_prints_the_same(tmp_path: Path) -> None:
    (tmp_path / "snippets").mkdir()
    (tmp_path / "snippets/index.py").write_text(PROGRAM, "utf-8")
    (_, script), (_, text) = downloads(tmp_path, "index.md")
    kept = [line for line in PROGRAM.splitlines() if "--8<--" not in line]
    assert [line for line in script.splitlines() if line] == [line for line in kept if line]
    assert "\n\n\n\n" not in script and script.endswith('quote"\n')
    printed = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True, check=True).stdout
    assert printed == "hello 3.141592653589793\n42\n6\n"
    session: dict[str, object] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        for cell in nbformat.reads(text, as_version=4).cells:
            if cell.cell_type == "code":
                exec(cell.source, session)
    assert shown.getvalue() == printed


def test_a_notebook_has_a_cell_for_each_section(tmp_path: Path) -> None:
    (title, first, second, last) = cells(PROGRAM)
    assert title == ("markdown", 'The program of a page: "quoted".\n')
    assert first == ("code", 'import math\n\ngreeting = "hello"\n')
    assert second[1].startswith("print(greeting") and second[1].endswith("# between two sections\n")
    assert last[1].startswith('"not shown') and last[1].endswith('"ends in a quote"\n')


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
        ("import os\n\n# --8<-- [start:a]\nx = 1\n# --8<-- [end:a]\n", ["code", "code"]),
        ('"""Title."""\nimport os\n# --8<-- [start:a]\n# --8<-- [end:a]\n', ["markdown", "code"]),
        ("# --8<-- [start:a]\nx = '''\n\n'''\n# --8<-- [end:a]\n", ["code"]),
        ("", []),
    ],
    ids=["no title", "code above the sections", "one section", "empty"],
)
def test_other_programs_are_notebooks_too(source: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in cells(source)] == kinds


@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_downloads_are_the_program(program: Path) -> None:
    """The same statements in the same order, whatever comments and empty lines stand between them."""
    source = program.read_text("utf-8")
    name = str(program.relative_to(ROOT))
    page = str(program.relative_to(ROOT / "snippets").with_suffix(".md"))
    script = dict(downloads(ROOT, page))[f"programs/{page.removesuffix('.md')}.py"]
    begin = ast.parse(check(source, ROOT, name, REPOSITORY)).body
    first, *rest = ast.parse(source).body
    assert isinstance(first, ast.Expr), "what it needs is checked after its docstring"
    assert [ast.dump(node) for node in ast.parse(script).body] == [ast.dump(node) for node in (first, *begin, *rest)]
    assert not any(MARKER.match(line) for line in script.splitlines())
    (title, *code) = cells(source)
    assert title == ("markdown", (ast.get_docstring(ast.parse(source), clean=False) or "") + "\n")
    statements = [node for kind, text in code for node in ast.parse(text).body if kind == "code"]
    assert [ast.dump(node) for node in statements] == [ast.dump(node) for node in ast.parse(source).body[1:]]
