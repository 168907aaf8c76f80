"""Each program runs on its own, from the root of the repository and without a network, as its reader runs it.

A page executes the sections of its program, and little else: its run is the program's. A program of which that is not
so is run through the engine, which replays it like a page, and one as a plain process, as all of them could be.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from handbook.blocks import Block
from handbook.engine import Engine
from handbook.programs import program_of
from handbook.runs import Run
from handbook.site import Site
from handbook.worker import Job

ROOT = Path(__file__).parent.parent
PROGRAMS = sorted((ROOT / "snippets").rglob("*.py"))
NAMES = [str(program.relative_to(ROOT)) for program in PROGRAMS]

GUARDED = """
import runpy, socket, sys

def refuse(*_, **__):
    raise OSError("the programs of the handbook run without a network")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = refuse
socket.create_connection = socket.getaddrinfo = refuse
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def run_guarded(program: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", GUARDED, str(program)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_there_are_programs() -> None:
    assert PROGRAMS


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Site(root=ROOT).engine
    yield engine
    engine.close()


def is_run_by(job: Job, source: str) -> bool:
    """Whether a page runs the statements of a program, all of them in order, and ends them as a script would.

    Its other blocks must not lend the program a name that it does not make itself.
    """
    tree = ast.parse(source)
    _docstring, *left = map(ast.dump, tree.body)
    lent: set[str] = set()
    for block in job.blocks:
        statements = ast.parse(block.code)
        dumped = list(map(ast.dump, statements.body))
        if dumped == left[: len(dumped)] and not block.raises:
            del left[: len(dumped)]
        else:
            lent |= bound(statements)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return not left and not (lent & used) - bound(tree)


def bound(tree: ast.Module) -> set[str]:
    """The names that statements give to something."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names.add(other or name.partition(".")[0])
    return names


@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_program_runs(program: Path, runs: dict[str, Run], engine: Engine) -> None:
    source, name = program.read_text("utf-8"), str(program.relative_to(ROOT))
    run = next(run for page, run in runs.items() if program_of(page) == name)
    entry = run.entry if is_run_by(run.job, source) else engine.submit(Job((Block(source),)), name).result()
    assert entry
    assert entry.outcome.failed < 0, entry.outcome.error


def test_a_program_runs_as_a_plain_process() -> None:
    done = run_guarded(ROOT / "snippets" / "models" / "first_commands.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_that_lives_on_a_name_of_its_page_is_told() -> None:
    blocks = Block("x = 1"), Block("from os import sep as y"), Block("x = y")
    assert not is_run_by(Job(blocks), '"""A program."""\nx = 1\nx = y\n')
    assert is_run_by(Job((Block("y = 2"), *blocks)), '"""A program."""\ny = 2\nx = 1\nx = y\n')


@pytest.mark.parametrize(
    ("blocks", "same"),
    [
        ([Block("x = 1"), Block("y = x  # more\ny")], True),
        ([Block("x = 1\ny = x\n\ny")], True),
        ([Block("x = 1"), Block("y = x")], False),
        ([Block("x = 1"), Block("import os\nx"), Block("y = x\ny")], True),
        ([Block("x = 1"), Block("1 / 0", raises="ZeroDivisionError"), Block("y = x\ny")], True),
        ([Block("y = x\ny"), Block("x = 1")], False),
        ([Block("x = 1"), Block("y = x\ny", raises="NameError")], False),
    ],
    ids=["sections", "one block", "not all", "and more", "and an error", "another order", "stops"],
)
def test_a_page_that_does_not_run_its_program_is_told_from_one_that_does(blocks: list[Block], same: bool) -> None:
    assert is_run_by(Job(tuple(blocks)), '"""A program."""\n\n# --8<-- [start:a]\nx = 1\ny = x  # and\ny\n') == same


# Modules that were imported before a page runs, and which a reader has only by importing them.
EARLIER = """
import sys
from handbook.worker import PRELOADED

own = set()
for package in sorted({name.partition(".")[0] for name in PRELOADED}):
    __import__(package)
    own |= {name for name in sys.modules if name.partition(".")[0] == package}
for name in PRELOADED:
    __import__(name)
print(*(sys.modules.keys() - own))
"""


@pytest.fixture(scope="module")
def earlier() -> set[str]:
    done = subprocess.run([sys.executable, "-c", EARLIER], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def used_but_not_imported(source: str, modules: set[str]) -> set[str]:
    """Those of the modules that a program reaches as attributes of their package, and does not import."""
    nodes = list(ast.walk(ast.parse(source)))
    aliases = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names = {alias.asname or alias.name: alias.name for alias in aliases}
    imported = {*names.values(), *(node.module for node in nodes if isinstance(node, ast.ImportFrom))}
    attributes = (ast.unparse(node).partition(".") for node in nodes if isinstance(node, ast.Attribute))
    found = {f"{names.get(first, first)}.{rest}" for first, _, rest in attributes} & modules - imported
    return {module for module in found if not comes_with_its_package(module)}


@cache
def comes_with_its_package(module: str) -> bool:
    code = f"import {module.partition('.')[0]}; {module}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_program_imports_the_modules_that_it_uses(program: Path, earlier: set[str]) -> None:
    assert not used_but_not_imported(program.read_text("utf-8"), earlier)


def test_a_missing_import_is_found(earlier: set[str]) -> None:
    assert used_but_not_imported("import matplotlib\nmatplotlib.pyplot.figure()", earlier) == {"matplotlib.pyplot"}
    assert used_but_not_imported("import matplotlib as m\nm.pyplot.figure()", earlier) == {"matplotlib.pyplot"}
    assert used_but_not_imported("import matplotlib.pyplot\nmatplotlib.pyplot.figure()", earlier) == set()


@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_program_is_a_plain_script(program: Path) -> None:
    """What a page cannot do, or would do otherwise than a terminal, is in no program."""
    for node in ast.walk(ast.parse(program.read_text("utf-8"))):
        match node:
            case ast.Name(id="__file__" | "__name__" | "exit" | "quit" as name):
                pytest.fail(f"{program.name}:{node.lineno} uses {name}")
            case ast.Attribute(value=ast.Name(id="sys"), attr="exit" | "argv" as name):
                pytest.fail(f"{program.name}:{node.lineno} uses sys.{name}")
            case ast.Import(names=names) if any(alias.name.split(".")[0] == "handbook" for alias in names):
                pytest.fail(f"{program.name}:{node.lineno} imports handbook, which readers have not")
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] == "handbook":
                pytest.fail(f"{program.name}:{node.lineno} imports handbook, which readers have not")
            case ast.ImportFrom(module="__future__"):
                pytest.fail(f"{program.name}:{node.lineno}: a future import would hold for one block of the page only")


def test_the_guard_blocks_the_network(tmp_path: Path) -> None:
    program = tmp_path / "online.py"
    program.write_text("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/')\n")
    assert "run without a network" in run_guarded(program).stderr
