"""No page shows what its code would no longer give: every function that a page reaches is edited, one at a time.

The edits are made to a small library of its own. `EVERY_FUNCTION=1` makes them to a copy of this repository too, to
every function of `weigh` that a page calls (`make bench` does).
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from mkdocs.config import load_config
from mkdocs.utils.meta import get_data

from handbook import hooks
from handbook.blocks import Block
from handbook.engine import Engine
from handbook.pages import find, finder
from handbook.store import Entry
from handbook.worker import Job

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))

FENCES = (ROOT / "tests" / "handbook" / "fences.yml").read_text("utf-8")
MKDOCS = f"""
site_name: Scales
theme: {{name: null, custom_dir: theme}}
plugins: []
hooks: [{Path(hooks.__file__).as_posix()}]
markdown_extensions:
{FENCES}"""

# Without importing ahead what none of these pages needs.
PROGRAM = "from handbook import worker; worker.PRELOADED = (); from mkdocs.__main__ import cli; cli()"

# The library: what a function returns contains what those that it calls return, so an edit shows wherever it is called.
LIBRARY = {
    "__init__": "",
    "grain": "def grain():\n    return 'grain'\n\ndef troy():\n    return 'troy ' + grain()\n",
    "ounce": "def ounce():\n    return 'ounce'\n\ndef fluid():\n    return 'fluid ' + ounce()\n",
    "pound": "from scales import ounce\n\ndef pound():\n    return 'sixteen ' + ounce.ounce()\n",
    "stone": """from scales.pound import pound

def stone():
    return 'fourteen ' + pound()

class Sack:
    def weight(self):
        from scales import grain
        return 'sack of ' + grain.grain()
""",
}

# The blocks and formulas of each page, and the functions that it reaches.
PAGES = {
    "direct": (["from scales import grain", "print(grain.troy())"], [], {"grain.troy", "grain.grain"}),
    "through others": (["from scales.stone import stone\nstone()"], [], {"stone.stone", "pound.pound", "ounce.ounce"}),
    "in a formula": (["import scales.ounce as o"], ["o.fluid()"], {"ounce.fluid", "ounce.ounce"}),
    "late": (
        ["from scales.stone import Sack, stone", "print(Sack().weight())"],
        ["stone()"],
        {"stone.weight", "grain.grain", "stone.stone", "pound.pound", "ounce.ounce"},
    ),
    "in another process": (
        [
            "import subprocess, sys\n"
            "code = 'from scales.pound import pound; print(pound())'\n"
            "print(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout)"
        ],
        [],
        {"pound.pound", "ounce.ounce"},
    ),
    "nothing": (["print(1)"], ["1 + 1"], set()),
}
JOBS = {page: Job(tuple(map(Block, blocks)), tuple(formulas)) for page, (blocks, formulas, _) in PAGES.items()}
FUNCTIONS = sorted({function for *_, reached in PAGES.values() for function in reached})

# A page depends on the modules that it imports, whether or not it calls all of their functions.
IMPORTS = {
    "direct": {"grain"},
    "through others": {"stone", "pound", "ounce"},
    "in a formula": {"ounce"},
    "late": {"stone", "pound", "ounce", "grain"},
    "in another process": {"grain", "stone", "pound", "ounce"},  # which nobody sees
    "nothing": set(),
}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def mutate(source: str, name: str, line: int = 0) -> str:
    """The source with another value returned by a function: the only one of this name, or that at `line`."""
    tree = ast.parse(source)
    (function,) = (node for node in functions(tree) if node.name == name and line in (0, node.lineno))
    function.body = [ast.Return(ast.Constant("MUTANT"))]
    return ast.unparse(ast.fix_missing_locations(tree))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a library and no pages."""
    root = tmp_path_factory.mktemp("repository")
    (root / "src" / "scales").mkdir(parents=True)
    for name, source in LIBRARY.items():
        (root / "src" / "scales" / f"{name}.py").write_text(source)
    return root


@pytest.fixture(scope="module")
def engine(library: Path) -> Iterator[Engine]:
    engine = Engine(library, library / ".cache")
    build(engine)
    yield engine
    engine.close()


def build(engine: Engine) -> tuple[dict[str, str], set[str]]:
    """What each page shows, and which pages were run."""
    engine.begin()
    done = {name: engine.submit(job, name) for name, job in JOBS.items()}
    shown = {name: _shown(task.result()) for name, task in done.items()}
    return shown, {page.rpartition(",")[0] for _, page in engine.counts.seconds}


def _shown(entry: Entry) -> str:
    assert entry.outcome.failed < 0, entry.outcome.error
    return "\n".join([*entry.outcome.outputs, *entry.outcome.formulas.values()])


def test_what_is_reached_is_seen_before_any_edit(engine: Engine) -> None:
    shown, ran = build(engine)
    assert not ran
    assert "MUTANT" not in "".join(shown.values())
    assert shown["late"].split("\n") == ["", "sack of grain", "", "fourteen sixteen ounce"]


@pytest.mark.parametrize(
    "function",
    [pytest.param(name, marks=[pytest.mark.slow] * (number % 3 > 0)) for number, name in enumerate(FUNCTIONS)],
)
def test_an_edit_shows_on_every_page_that_reaches_it_and_runs_no_other(
    function: str, library: Path, engine: Engine
) -> None:
    module, name = function.split(".")
    file = library / "src" / "scales" / f"{module}.py"
    file.write_text(mutate(LIBRARY[module], name))
    shown, ran = build(engine)
    file.write_text(LIBRARY[module])
    reaching = {page for page, (*_, reached) in PAGES.items() if function in reached}
    assert {page for page in PAGES if "MUTANT" in shown[page]} == reaching
    assert ran == {page for page in PAGES if module in IMPORTS[page]}
    assert "MUTANT" not in "".join(build(engine)[0].values()), "the edit was undone"


def test_an_edit_shows_in_a_build_of_mkdocs(library: Path) -> None:
    """The same with pages: two builds, an edit between them."""
    site = library / "by-mkdocs"
    shutil.copytree(library / "src", site / "src")
    for folder in ("docs", "theme"):
        (site / folder).mkdir()
    (site / "theme" / "main.html").write_text("{{ page.content }}")
    (site / "mkdocs.yml").write_text(MKDOCS)
    for name, (blocks, formulas, _) in PAGES.items():
        text = [f"```python exec\n{block}\n```" for block in blocks] + [f"`={formula}`" for formula in formulas]
        (site / "docs" / f"{name}.md").write_text("\n\n".join(text))
    for mutant, counts in ((False, "8 run, 0 replayed"), (True, "4 run, 4 replayed")):
        if mutant:
            (site / "src" / "scales" / "pound.py").write_text(mutate(LIBRARY["pound"], "pound"))
        command = [sys.executable, "-c", PROGRAM, "build"]
        log = subprocess.run(command, cwd=site, capture_output=True, text=True, check=True).stderr
        for name, (*_, reached) in PAGES.items():
            page = (site / "site" / name / "index.html").read_text()
            assert ("MUTANT" in page) == (mutant and "pound.pound" in reached), name
        assert f"Blocks: {counts}" in log


def test_a_data_file_of_the_library_is_a_dependency(library: Path, engine: Engine) -> None:
    (library / "src" / "scales" / "table.json").touch()
    code = "import json, pathlib, scales\njson.loads((pathlib.Path(scales.__file__).parent / 'table.json').read_text())"
    for value in "121":
        (library / "src" / "scales" / "table.json").write_text(value)
        engine.begin()
        assert engine.submit(Job((Block(code),))).result().outcome.outputs == [f"{value}\n"]


def test_a_page_runs_the_library_of_its_own_clone(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clones can share a virtual environment, in which one of them is installed."""
    (tmp_path / "scales.py").write_text("def grain():\n    return 'of the other clone'\n")
    monkeypatch.syspath_prepend(tmp_path)
    engine.begin()
    entry = engine.submit(Job((Block("import scales.grain\nscales.grain.grain()"),))).result()
    assert entry.outcome.outputs == ["'grain'\n"]
    assert "src/scales/grain.py" in entry.files


# The library of this repository

TRACE = """
import ast, contextlib, io, json, sys

source, called = sys.argv[1], set()

def profile(frame, event, argument):
    if event == "call" and frame.f_code.co_filename.startswith(source):
        called.add((frame.f_code.co_filename, frame.f_code.co_firstlineno))

job, page = json.load(sys.stdin), {"__name__": "__main__"}
sys.setprofile(profile)
with contextlib.redirect_stdout(io.StringIO()):
    for block in job["blocks"]:
        with contextlib.suppress(Exception) if block["raises"] else contextlib.nullcontext():
            exec(compile(block["code"], "block", "exec", dont_inherit=True), page)
    for formula in job["formulas"]:
        eval(f"({formula})", page)
sys.setprofile(None)
json.dump(sorted(called), sys.stdout)
"""


def called(job: Job) -> set[tuple[Path, int]]:
    """The functions of `weigh` that a page calls, by file and line: found by a profiler, without the engine."""
    command = [sys.executable, "-c", TRACE, str(ROOT / "src" / "weigh")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, input=json.dumps(asdict(job)), capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return {(Path(file).relative_to(ROOT), line) for file, line in json.loads(done.stdout)}


@pytest.mark.skipif("EVERY_FUNCTION" not in os.environ, reason="runs every page twice: set EVERY_FUNCTION=1")
def test_no_page_is_replayed_after_an_edit_of_a_function_that_it_calls(tmp_path: Path) -> None:
    config = load_config(str(ROOT / "mkdocs.yml"))
    md = finder(config.mdx_configs)
    runs = {page.name: find(md, get_data(page.read_text("utf-8"))[0], (page.name, 0)) for page in DOCS}
    jobs = {page: run.job for page, run in runs.items() if run.fences}

    # A copy of the repository: its src/ to edit, the rest as it is, and the outcomes that are known.
    for path in ROOT.iterdir():
        if path.name not in ("src", ".cache"):
            (tmp_path / path.name).symlink_to(path)
    shutil.copytree(ROOT / "src", tmp_path / "src")
    if (ROOT / ".cache" / "pages").exists():
        shutil.copytree(ROOT / ".cache" / "pages", tmp_path / ".cache" / "pages")
    engine = Engine(tmp_path, tmp_path / ".cache" / "pages")
    entries = {page: task.result() for page, task in [(page, engine.submit(jobs[page], page)) for page in jobs]}
    assert all(engine._find(job) for job in jobs.values())

    calls = {page: called(job) for page, job in jobs.items()}
    stale, needless, edits = [], [], 0
    for file in sorted({file for found in calls.values() for file, _ in found}):
        source = (ROOT / file).read_text("utf-8")
        importing = {page for page, entry in entries.items() if {str(file), "src"} & entry.files.keys()}
        for function in functions(ast.parse(source)):
            place = file, min(node.lineno for node in [function, *function.decorator_list])
            calling = {page for page in jobs if place in calls[page]}
            if calling:
                edits += 1
                (tmp_path / file).write_text(mutate(source, function.name, function.lineno))
                engine.begin()
                replayed = {page for page, job in jobs.items() if engine._find(job)}
                stale += [f"{page}: {file}, {function.name}" for page in calling & replayed]
                needless += [f"{page}: {file}, {function.name}" for page in jobs.keys() - replayed - importing]
        (tmp_path / file).write_text(source)
    engine.close()
    print(f"{edits} functions of weigh, {len(jobs)} pages")
    assert edits
    assert not stale
    assert not needless
