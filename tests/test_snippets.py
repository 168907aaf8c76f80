"""Each program runs on its own, from the root of the repository and without a network, as its reader runs it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

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
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_there_are_programs() -> None:
    assert PROGRAMS


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[dict[Path, Future[subprocess.CompletedProcess[str]]]]:
    """The programs that are to be tested, two at a time: on two cores that takes half as long."""
    tests = (item for item in request.session.items if isinstance(item, pytest.Function))
    chosen = [test.callspec.params["program"] for test in tests if test.originalname == "test_program_runs"]
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {program: pool.submit(run_guarded, program) for program in chosen}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)
def test_program_runs(program: Path, running: dict[Path, Future[subprocess.CompletedProcess[str]]]) -> None:
    done = running[program].result()
    assert done.returncode == 0, done.stdout + done.stderr


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
