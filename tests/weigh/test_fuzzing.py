"""A little fuzzing of each format, more in the slow tests, and that the fuzzer finds what it looks for."""

from pathlib import Path

import pytest

import weigh

from . import fuzzing

ENOUGH = 600.0  # seconds: other limits end what is not slow


def check(report: fuzzing.Report) -> None:
    assert not [what for what, _ in report.crashes], report
    assert report.executions > 20
    assert report.lines
    assert report.memory_growth < 150e6


@pytest.mark.parametrize("name", fuzzing.SEEDS)
def test_no_damaged_file_does_more_than_be_refused(name: str, tmp_path: Path) -> None:
    seeds = fuzzing.SEEDS[name](tmp_path)
    assert any([weigh.inspect(seed.inspected).named for seed in seeds])  # and none is refused
    check(fuzzing.fuzz(seeds, ENOUGH, executions=200))


def test_coverage_guides_it_through_the_shards_of_an_index_too(tmp_path: Path) -> None:
    report = fuzzing.fuzz(fuzzing.SEEDS["index"](tmp_path), ENOUGH, executions=20)
    assert {"safetensors.py", "shards.py"} <= report.lines.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", fuzzing.SEEDS)
def test_in_two_seconds_no_damaged_file_does_more_than_be_refused(name: str, tmp_path: Path) -> None:
    check(fuzzing.fuzz(fuzzing.SEEDS[name](tmp_path), 2))


# A reader of a format that begins with "KEY", which coverage finds from "key" bit by bit; it has the flaw `FLAW`.
READER = """
from pathlib import Path
from weigh.errors import WeighError

def read(path):
    data = path.read_bytes()
    if data[:1] != b"K":
        raise WeighError(path, "no K")
    if data[1:2] != b"E":
        raise WeighError(path, "no E")
    if data[2:3] != b"Y":
        raise WeighError(path, "no Y")
    FLAW
"""


def seeds_of_planted_reader(flaw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[fuzzing.Seed]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/planted.py").write_text(READER.replace("FLAW", flaw))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
    file = tmp_path / "file"
    file.write_bytes(b"key, and more")
    return [fuzzing.Seed(file, file)]


@pytest.mark.parametrize(
    ("flaw", "found"),
    {
        "{}[data[1]]": "KeyError at planted.py:13",
        "bytearray(2**33)": "MemoryError at planted.py:13",
        "exec('1')": "Forbidden at planted.py:13",
        "import colorsys": "Forbidden at planted.py:13: import 'colorsys'",
        "path.with_name('written').write_text('')": "Forbidden at planted.py:13: open",
        "Path('/etc/hostname').read_bytes()": "Forbidden at planted.py:13: open '/etc/hostname'",
        "raise WeighError(path, 'a' * 5000)": "ValueError",
        "import os; os.abort()": "the process ended with -6",
    }.items(),
)
def test_a_planted_flaw_is_found(flaw: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = seeds_of_planted_reader(flaw, tmp_path, monkeypatch)
    report = fuzzing.fuzz(seeds, ENOUGH, crashes=1, target="planted:read", folder=tmp_path / "code")
    assert [what for what, _ in report.crashes if what.startswith(found)], report
    assert all(data.startswith(b"KEY") for _, data in report.crashes)


def test_memory_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = seeds_of_planted_reader("b'x' * 300_000_000; {}[0]", tmp_path, monkeypatch)
    report = fuzzing.fuzz(seeds, ENOUGH, crashes=1, target="planted:read", folder=tmp_path / "code")
    assert report.crashes
    assert 290e6 < report.memory_growth < 350e6


def test_a_planted_endless_loop_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = seeds_of_planted_reader("while True: pass", tmp_path, monkeypatch)
    report = fuzzing.fuzz(seeds, ENOUGH, crashes=1, target="planted:read", folder=tmp_path / "code")
    assert [what for what, _ in report.crashes] == ["TooLong at planted.py:13"]
    assert report.max_seconds > 1.5


def test_a_reader_without_flaw_is_found_to_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = seeds_of_planted_reader("return", tmp_path, monkeypatch)
    report = fuzzing.fuzz(seeds, ENOUGH, executions=20_000, target="planted:read", folder=tmp_path / "code")
    assert not report.crashes
    assert report.lines == {"planted.py": [8, 8]}


def test_so_many_executions_are_the_same_each_time(tmp_path: Path) -> None:
    first, second = (fuzzing.fuzz(fuzzing.SEEDS["npy"](tmp_path), ENOUGH, executions=100) for _ in range(2))
    assert first.executions == second.executions == 100
    assert (first.lines, first.corpus) == (second.lines, second.corpus)
