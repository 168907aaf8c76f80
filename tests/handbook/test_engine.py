"""The cache: what is replayed, what is run again, and that no damage or race makes an outcome stale."""

from __future__ import annotations

import contextlib
import functools
import os
import py_compile
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import diskcache
import pytest
from bs4 import BeautifulSoup

from handbook import pages, running, versions
from handbook.blocks import Block
from handbook.engine import Engine
from handbook.running import Task
from handbook.store import VARIANTS, Entry, address
from handbook.worker import Job

Convert = Callable[..., BeautifulSoup]
Write = Callable[[str, str], Path]
Build = Callable[..., list[str]]


@pytest.fixture
def store(project: Path) -> Path:
    return project / ".cache" / "pages"


@pytest.fixture
def engine(project: Path, store: Path) -> Iterator[Engine]:
    engine = Engine(project, store)
    yield engine
    engine.close()


def build(engine: Engine, *codes: str) -> list[str]:
    """The outputs of a page's blocks in a build that starts now."""
    engine.begin()
    entry = engine.submit(Job(tuple(Block(code) for code in codes))).result()
    assert not entry.outcome.error, entry.outcome.error
    return entry.outcome.outputs


def did(engine: Engine) -> tuple[int, int]:
    """How many blocks the last build ran, and how many it replayed."""
    return engine.counts.ran, engine.counts.replayed


# Replayed, or run again


def test_a_second_build_runs_nothing(engine: Engine, project: Path, store: Path) -> None:
    assert build(engine, "x = 1", "print(x)", "x + 1") == ["", "1\n", "2\n"]
    assert did(engine) == (3, 0)
    assert build(engine, "x = 1", "print(x)", "x + 1") == ["", "1\n", "2\n"]
    assert did(engine) == (0, 3)
    another = Engine(project, store)
    assert build(another, "x = 1", "print(x)", "x + 1") == ["", "1\n", "2\n"]
    assert did(another) == (0, 3)
    another.close()


def test_the_cache_may_be_elsewhere(
    convert: Convert, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("shared")
    monkeypatch.setenv("HANDBOOK_CACHE", str(elsewhere))
    convert("```python exec\n1\n```\n")
    assert (elsewhere / "pages/cache.db").is_file()
    assert not (pages.site.root / ".cache").exists()


def test_a_build_counts_and_times_its_blocks(engine: Engine) -> None:
    engine.submit(Job((Block("import time\ntime.sleep(0.05)"), Block("1"))), "a.md").result()
    (slow, name), (fast, _) = engine.counts.seconds
    assert (slow > 0.05 > fast, name) == (True, "a.md, block 1")


def test_a_page_twice_in_a_build_is_run_once(engine: Engine) -> None:
    job = Job((Block("1"),))
    assert engine.submit(job) is engine.submit(job)
    engine.submit(job).result()
    assert did(engine) == (1, 0)


REPOSITORY = {
    "src/near/__init__.py": "from near import deep\ndef value():\n from near import lazy\n return deep.A + lazy.B\n",
    "src/near/deep.py": "A = 1\n",
    "src/near/lazy.py": "B = 1\n",
    "src/near/unused.py": "C = 1\n",
    "src/far.py": "D = 1\n",
    "src/near/words.txt": "word",
    "data/numbers.txt": "1",
    "data/other.txt": "1",
    "models/tiny/config.json": "{}",
    "snippets/other.py": "",
}
CODES = (
    "import os, near\nfrom pathlib import Path",
    "near.value(), [Path(path).read_text() for path in ('data/numbers.txt', 'src/near/words.txt')], os.listdir('data')",
    "try:\n    print(open('later/on.txt').read())\nexcept OSError:\n    print('not yet')",
)

EDITS: dict[str, tuple[str, str | None, bool]] = {
    "an imported module": ("src/near/__init__.py", "def value():\n    return 5\n", True),
    "one that it imports": ("src/near/deep.py", "A = 2\n", True),
    "one imported in a function": ("src/near/lazy.py", "B = 2\n", True),
    "a data file of the library": ("src/near/words.txt", "words", True),
    "a data file": ("data/numbers.txt", "2", True),
    "a data file that is gone": ("data/other.txt", None, True),
    "a new file in a directory that it lists": ("data/third.txt", "", True),
    "a file that was not there": ("later/on.txt", "now", True),
    "a model": ("models/tiny/config.json", '{"a": 1}', True),
    "a new model": ("models/new/config.json", "{}", True),
    "a module of a package that it imports, not reached": ("src/near/unused.py", "C = 2\n", False),
    "a module not reached": ("src/far.py", "D = 2\n", False),
    "a new module": ("src/new.py", "E = 1\n", False),
    "a file not read": ("snippets/other.py", "x = 1\n", False),
    "the same text again": ("src/near/deep.py", "A = 1\n", False),
    "bytecode": ("src/near/__pycache__/deep.pyc", "", False),
}


@pytest.mark.parametrize(("path", "text", "runs"), EDITS.values(), ids=EDITS)
def test_what_an_edit_runs_again(engine: Engine, write: Write, path: str, text: str | None, runs: bool) -> None:
    for name, content in REPOSITORY.items():
        write(name, content)
    first = build(engine, *CODES)
    build(engine, *CODES)
    assert did(engine) == (0, 3)
    if text is None:
        (engine.root / path).unlink()
    else:
        write(path, text)
    again = build(engine, *CODES)
    assert did(engine) == ((3, 0) if runs else (0, 3))
    assert (again != first) is (runs and "model" not in path)


def test_a_changed_block_runs_its_page_again(engine: Engine) -> None:
    assert build(engine, "x = 1", "x") == ["", "1\n"]
    assert build(engine, "x = 1", "x + 1") == ["", "2\n"]
    assert did(engine) == (2, 0)
    assert build(engine, "x = 5", "x + 1") == ["", "6\n"]
    assert did(engine) == (2, 0)


@pytest.mark.parametrize("option", ['output="markdown"', 'raises="ValueError"', 'limit="9"', "setup", 'title="x"'])
def test_a_changed_option_that_the_run_sees_runs_it_again(convert: Convert, option: str) -> None:
    code = "if False: ...\n'shown'" if "raises" not in option else "raise ValueError"
    before = 'raises="Exception"' if "raises" in option else "varies"
    convert(f"```python exec {before}\n{code}\n```\n")
    convert(f"```python exec {option}\n{code}\n```\n")
    shown_only = option in ("setup", 'title="x"')
    assert did(pages.site.engine) == ((0, 1) if shown_only else (1, 0))


def test_an_edit_of_prose_runs_nothing(convert: Convert, write: Write) -> None:
    write("snippets/a.py", "# --8<-- [start:a]\nprint(1)\n# --8<-- [end:a]\n# --8<-- [start:b]\n2\n# --8<-- [end:b]\n")
    fence = '```python exec\n--8<-- "snippets/a.py:a"\n```\n'
    convert(f"# One\n\n{fence}")
    convert(f"# Two\n\nMore prose.\n\n{fence}\nAnd `code`, and\n\n```python\nno = 'run'\n```\n")
    assert did(pages.site.engine) == (0, 1)
    write("snippets/a.py", "# --8<-- [start:a]\nprint(1)\n# --8<-- [end:a]\n# --8<-- [start:b]\n3\n# --8<-- [end:b]\n")
    convert(f"# Two\n\n{fence}")
    assert did(pages.site.engine) == (0, 1)  # the page does not include the other section


@pytest.mark.parametrize("distribution", ["torch", "numpy", "scipy", "pyyaml"])
def test_another_version_of_what_it_imports_runs_it_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, distribution: str
) -> None:
    code = "import torch, scipy, yaml"
    build(engine, code)
    found = versions.version

    @functools.cache
    def other(name: str) -> str:
        return "0.0" if name.lower() == distribution else found(name)

    monkeypatch.setattr(versions, "version", other)
    build(engine, code)
    assert did(engine) == (1, 0)
    build(engine, code)
    assert did(engine) == (0, 1)


def test_a_version_of_something_else_runs_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    build(engine, "1")
    found = versions.version
    other = functools.cache(lambda name: "0.0" if name == "beautifulsoup4" else found(name))
    monkeypatch.setattr(versions, "version", other)
    build(engine, "1")
    assert did(engine) == (0, 1)


def test_an_edit_is_seen_whatever_its_times_say(engine: Engine, write: Write) -> None:
    path = write("src/thing.py", "X = 1\n")
    status = path.stat()
    for number in range(2, 6):
        build(engine, "import thing\nthing.X")
        py_compile.compile(str(path))  # as Python leaves it behind elsewhere, good for this second and size
        path.write_text(f"X = {number}\n")  # in the same second, and of the same size
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert build(engine, "import thing\nthing.X") == [f"{number}\n"]


def test_edits_in_one_tick_of_the_clock_are_seen(engine: Engine, write: Write) -> None:
    path = write("data/x.txt", "0")
    for number in range(40):
        path.write_text(str(number % 10))
        digest = engine.digests.now("data/x.txt")
        path.write_text(str((number + 1) % 10))
        assert engine.digests.now("data/x.txt") != digest


def test_a_page_that_starts_a_process_depends_on_all_of_src(engine: Engine, write: Write) -> None:
    write("src/thing.py", "X = 1\n")
    code = "import subprocess, sys\nsubprocess.check_output([sys.executable, '-c', 'import thing; print(thing.X)'])"
    assert build(engine, code) == ["b'1\\n'\n"]
    write("src/thing.py", "X = 2\n")
    assert build(engine, code) == ["b'2\\n'\n"]
    build(engine, code)
    assert did(engine) == (0, 1)


MEANWHILE = {
    "a module": ("src/thing.py", "import thing", "write_text('X = 2\\n')"),
    "a data file": ("data/x.txt", "open('data/x.txt').read()", "write_text('X = 2\\n')"),
    "a data file that is removed": ("data/x.txt", "open('data/x.txt').read()", "unlink()"),
    "a model": ("models/x/config.json", "import os\nos.path.getsize('models/x/config.json')", "write_text('')"),
}


@pytest.mark.parametrize(("path", "read", "edit"), MEANWHILE.values(), ids=MEANWHILE)
def test_what_is_edited_while_it_runs_is_not_remembered(
    engine: Engine, write: Write, path: str, read: str, edit: str
) -> None:
    """Which of the two versions ran, nobody knows. A block's own edit stands for one by its author."""
    write(path, "X = 1\n")
    after = f"from pathlib import Path\nif not Path('done').exists():\n    Path({path!r}).{edit}"
    job = Job((Block(read), Block(after)))
    assert engine.submit(job).result().outcome.failed == -1
    write("done", "")
    engine.begin()
    engine.submit(job).result()
    assert engine.counts.replayed == 0


def test_a_failure_is_not_remembered(engine: Engine, write: Write) -> None:
    job = Job((Block("1"), Block("import random, os\nassert os.path.exists('flag')")))
    assert engine.submit(job).result().outcome.failed == 1
    write("flag", "")
    engine.begin()
    assert engine.submit(job).result().outcome.failed == -1
    assert did(engine) == (2, 0)


def test_going_back_runs_nothing(engine: Engine, write: Write) -> None:
    code = "import thing\nthing.X"
    for number in range(VARIANTS):
        write("src/thing.py", f"X = {number}\n")
        assert build(engine, code) == [f"{number}\n"]
        assert did(engine) == (1, 0)
    for number in reversed(range(VARIANTS)):
        write("src/thing.py", f"X = {number}\n")
        assert build(engine, code) == [f"{number}\n"]
        assert did(engine) == (0, 1)


def test_an_entry_says_how_it_came_about(engine: Engine) -> None:
    engine.begin()
    entry = engine.submit(Job((Block("import json, numpy as np\nfrom bs4 import BeautifulSoup"),))).result()
    assert [name.split()[0] for name in entry.imports] == ["beautifulsoup4", "numpy"]
    assert entry.python == ".".join(map(str, sys.version_info[:3]))
    assert time.strftime("%Y") in entry.made
    assert entry.commit == ""  # not under git


# Damage and races


def entries(store: Path) -> list[Path]:
    return [path for path in store.rglob("*") if path.is_file()]


RANDOM = (
    "import random\nprint(random.Random({}).randbytes(60_000).hex())"  # too long for the database: a file of its own
)


def drawn(seed: int) -> str:
    return random.Random(seed).randbytes(60_000).hex() + "\n"


def test_a_damaged_entry_is_run_again(engine: Engine, project: Path, store: Path) -> None:
    assert build(engine, RANDOM.format(0)) == [drawn(0)]
    (value,) = store.rglob("*.val")
    for damage in (value.read_bytes()[: value.stat().st_size // 2], b"", b"garbage", os.urandom(1000)):
        value = next(iter(store.rglob("*.val")))
        value.write_bytes(damage)
        assert build(engine, RANDOM.format(0)) == [drawn(0)]
        assert did(engine) == (1, 0)
        assert build(engine, RANDOM.format(0)) and did(engine) == (0, 1)
    next(iter(store.rglob("*.val"))).unlink()
    assert build(engine, RANDOM.format(0)) == [drawn(0)]
    assert did(engine) == (1, 0)


@pytest.mark.parametrize(
    "value",
    ["text", 3, None, [3], [{}], [{"outcome": {}}], [{"outcome": {"outputs": []}, "files": {}, "versions": {}}]],
    ids=str,
)
def test_an_entry_of_another_form_is_run_again(engine: Engine, value: object) -> None:
    job = Job((Block("1"),))
    engine.store._cache.set(address(job), value)
    assert build(engine, "1") == ["1\n"]
    assert did(engine) == (1, 0)


def test_an_entry_of_another_writer_is_not_unpickled(engine: Engine, store: Path, project: Path) -> None:
    job, opened = Job((Block("1"),)), project / "opened"

    class Planted:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (opened,)

    key, _ = engine.store._cache.disk.put(address(job))  # as the store writes it
    with diskcache.Cache(str(store)) as pickling:
        pickling.set(bytes(key), Planted())
    assert build(engine, "1") == ["1\n"]
    assert not opened.exists()


def test_an_entry_without_all_outputs_is_run_again(engine: Engine) -> None:
    job = Job((Block("1"), Block("2")))
    build(engine, "1", "2")
    (plain,) = engine.store._cache.get(address(job))
    plain["outcome"]["outputs"].pop()
    engine.store._cache.set(address(job), [plain])
    assert build(engine, "1", "2") == ["1\n", "2\n"]


@pytest.mark.parametrize("garbage", [b"", b"not a database" * 1000, None], ids=["empty", "garbage", "directory"])
def test_a_damaged_database_is_made_anew(project: Path, store: Path, garbage: bytes | None) -> None:
    engine = Engine(project, store)
    build(engine, "1")
    engine.close()
    for name in store.glob("cache.db*"):
        name.unlink()
    if garbage is None:
        (store / "cache.db").mkdir()
    else:
        (store / "cache.db").write_bytes(garbage)
    for expected in ((1, 0), (0, 1)):
        engine = Engine(project, store)
        assert build(engine, "1") == ["1\n"]
        assert did(engine) == expected
        engine.close()


def test_a_database_that_is_damaged_inside_or_during_a_build_costs_only_runs(engine: Engine, store: Path) -> None:
    build(engine, *map(str, range(9)))
    database = store / "cache.db"
    for _ in range(2):
        size = max(database.stat().st_size, 8192)
        database.write_bytes(database.read_bytes()[:100].ljust(100, b"\0") + os.urandom(size - 100))
        for log in store.glob("cache.db-*"):
            log.unlink()
        assert build(engine, "1 + 1") == ["2\n"]


def test_a_store_that_is_removed_during_a_build_costs_only_runs(engine: Engine, store: Path) -> None:
    build(engine, RANDOM.format(0))
    shutil.rmtree(store)
    assert build(engine, RANDOM.format(0)) == [drawn(0)]
    assert build(engine, "1 + 1") == ["2\n"]


def test_builds_at_the_same_time_share_a_store(project: Path, store: Path, write: Write) -> None:
    write("src/thing.py", "X = 1\n")
    jobs = [Job((Block("import thing"), Block(RANDOM.format(number) + "\nthing.X"))) for number in range(6)]

    def build_all(_: int) -> list[list[str]]:
        engine = Engine(project, store)
        found = [future.result().outcome.outputs for future in [engine.submit(job) for job in jobs]]
        engine.close()
        return found

    with ThreadPoolExecutor(3) as threads:
        expected = [["", drawn(number) + "1\n"] for number in range(6)]
        assert list(threads.map(build_all, range(3))) == [expected] * 3
    engine = Engine(project, store)
    assert [engine.submit(job).result().outcome.outputs for job in jobs] == expected
    assert did(engine) == (0, 12)
    engine.close()


WRITER = """
import random
import sys
from pathlib import Path
from handbook.store import Entry, Store
from handbook.blocks import Block
from handbook.worker import Job, Outcome

store = Store(Path(sys.argv[2]))
print("begun", flush=True)
for number in range(10**6):
    outcome = Outcome([random.Random(number % 5).randbytes(60_000).hex() + "\\n"])
    entry = Entry(outcome, {}, {}, [], "", "", "", "")
    store.keep(Job((Block(sys.argv[3].format(number % 5)),)), entry)
"""


def test_a_build_that_is_killed_leaves_a_store_that_works(project: Path, store: Path) -> None:
    for delay in (0.0, 0.05, 0.11):
        command = [sys.executable, "-c", WRITER, str(project), str(store), RANDOM]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert writer.stdout and writer.stdout.readline() == b"begun\n"
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        engine = Engine(project, store)
        for number in range(5):
            assert build(engine, RANDOM.format(number)) == [drawn(number)]
        engine.close()


BUILDER = """
import sys
from pathlib import Path
from handbook import worker
from handbook.engine import Engine
from handbook.blocks import Block
from handbook.worker import Job

if __name__ == "__main__":
    worker.PRELOADED = ()
    code = "import os, subprocess, time; print(os.getpid()); subprocess.Popen(['sleep', '600']); open('runs', 'w')"
    Engine(Path(sys.argv[1]), Path(sys.argv[2])).submit(Job((Block(code + "\\nwhile True: time.sleep(1)"),))).result()
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_what_a_killed_build_ran_ends_with_it(project: Path, store: Path, write: Write) -> None:
    program = write("builder.py", BUILDER)
    builder = subprocess.Popen([sys.executable, str(program), str(project), str(store)])

    def left() -> list[Path]:
        """The processes that work in the repository of this test."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink() == project:
                    found.append(process)
        return found

    while not (project / "runs").exists():
        time.sleep(0.01)
    assert len(left()) >= 2
    builder.kill()
    builder.wait()
    while left():
        time.sleep(0.01)


def test_a_job_is_found_by_all_that_it_says() -> None:
    block = Block("1")
    jobs = [
        Job((block,)),
        Job((block, block)),
        Job((block,), ("x",)),
        Job((Block("2"),)),
        Job((Block("1", output="html"),)),
        Job((Block("1", output="figure", alt="a"),)),
        Job((Block("1", raises="ValueError"),)),
        Job((Block("1", limit=1),)),
    ]
    assert len({address(job) for job in jobs}) == len(jobs)


def test_long_pages_show_progress(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    steps = iter(range(0, 1000, 6))
    monkeypatch.setattr(running.time, "monotonic", lambda: next(steps))
    with caplog.at_level("INFO"):
        Task(Job((Block("1"), Block("2"))), "a.md").run(engine.root, behind=False)
    assert [message for message in caplog.messages if message.startswith("a.md")] == [
        "a.md: block 1 of 2",
        "a.md: block 2 of 2",
        "a.md: its formulas",
    ]


def test_a_task_may_be_cancelled_while_its_process_starts(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    task, process = Task(Job((Block("while True: pass"),))), running._context().Process
    start = process.start

    def cancelled(self: object) -> None:
        task.cancel()
        start(self)

    monkeypatch.setattr(process, "start", cancelled)
    assert task.run(engine.root, behind=False).failed == 0


def test_entries_survive_the_store(engine: Engine) -> None:
    job = Job((Block("{'a': 'ä\\n'}"),), ("1 + 1",))
    made = engine.submit(job).result()
    engine.begin()
    found = engine.submit(job).result()
    assert isinstance(found, Entry)
    assert (found.outcome.outputs, found.outcome.formulas) == (made.outcome.outputs, {"1 + 1": "2"})
    assert (found.files, found.versions, found.made) == (made.files, made.versions, made.made)
