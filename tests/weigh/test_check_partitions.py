"""Checks over the partitions of a cluster of two workers: what they find is what one machine finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from distributed import LocalCluster

import weigh
from weigh.cli import main
from weigh.errors import InvalidTable, Unreachable

ROWS, FILES = 4_000, 4


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a cluster of two workers, each a process."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:  # type: ignore[no-untyped-call]
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table in four files, with missing keys, texts that pandas would take for missing, and texts almost alike."""
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("rows")
    words = ["oats", "barley", "rye", "wheat", "spelt", "millet", "maize", "rice", "teff", "emmer", "sorghum", "NA"]
    frame = pl.DataFrame(
        {
            "weight": random.integers(0, 60, ROWS) / 4,
            "grain": random.choice([*words, None], ROWS),
            "note": [" ".join(random.choice(words, 12)) for _ in range(ROWS // 2)] * 2,
            "patient": random.integers(0, 3_000, ROWS),
            "day": random.integers(0, 365, ROWS),
            "part": random.choice(["train", "test"], ROWS, p=[0.8, 0.2]),
        }
    )
    for number in range(FILES):
        frame[number * ROWS // FILES : (number + 1) * ROWS // FILES].write_parquet(folder / f"{number}.parquet")
    frame.write_csv(folder / "rows.csv")
    return folder


@pytest.mark.parametrize("name", ["", pytest.param("rows.csv", marks=pytest.mark.slow)])
def test_a_cluster_finds_what_one_machine_finds(name: str, folder: Path, scheduler: str) -> None:
    columns = {"keys": ["weight", "grain"], "group": "patient", "time": "day", "text": "note"}
    here = weigh.check_splits(folder / name, "part", **columns)
    there = weigh.check_splits(folder / name, "part", scheduler=scheduler, **columns)
    assert here.finding == "yes" and len(here.results) == 4
    assert there == here


def test_the_command_asks_a_cluster(folder: Path, scheduler: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["check", "splits", str(folder), "--split", "part", "--key", "patient", "--scheduler", scheduler])
    shown = capsys.readouterr()
    assert left.value.code == 1
    assert "exact duplicates: yes" in shown.out and str(folder) in shown.out
    assert "Warning" not in shown.err


def test_a_scheduler_that_does_not_answer_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weigh.checks.partitions._PATIENCE", "1s")
    with pytest.raises(Unreachable, match=r"tcp://127\.0\.0\.1:1: no Dask scheduler answers"):
        weigh.check_splits(folder, "part", scheduler="tcp://127.0.0.1:1")
    with pytest.raises(Unreachable, match="no Dask scheduler answers"):
        weigh.check_splits(folder, "part", scheduler="nonsense://")


def test_what_workers_cannot_read_is_refused() -> None:
    with pytest.raises(InvalidTable, match="workers read CSV and Parquet files"):
        weigh.check_splits("README.md", "part", scheduler="tcp://127.0.0.1:1")
