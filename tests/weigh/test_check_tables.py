"""Tables for checks: every engine's frame and every kind of file gives the same rows, and a bad one gets one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import weigh
from weigh.checks.tables import complete, numbers, read
from weigh.cli import main
from weigh.errors import InvalidTable, NotFound

ROWS = pl.DataFrame(
    {
        "age": [31.5, 31.5, None, 40.0, 40.0],
        "name": ["Ann", "Ann", "Åsa", None, "Bo"],
        "part": ["train", "test", "train", "test", "test"],
    }
)
ENGINES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars": lambda frame: frame,
    "polars, lazy": lambda frame: frame.lazy(),
    "pandas": lambda frame: frame.to_pandas(),
    "pyarrow": lambda frame: frame.to_arrow(),
    "duckdb": lambda frame: duckdb.from_arrow(frame.to_arrow()),
}
WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    "rows.csv": lambda frame, path: frame.write_csv(path),
    "rows.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "rows.parquet": lambda frame, path: frame.write_parquet(path),
    "rows.arrow": lambda frame, path: frame.write_ipc(path),
    "named-otherwise.data": lambda frame, path: frame.write_parquet(path),
}


@pytest.fixture(params=[*ENGINES, *WRITERS])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[pl.DataFrame], Any]:
    """Makes a frame or a file of each kind from rows."""

    def make(frame: pl.DataFrame) -> Any:
        if request.param in ENGINES:
            return ENGINES[request.param](frame)
        path = tmp_path / request.param
        WRITERS[request.param](frame, path)
        return path

    return make


def test_every_source_gives_the_same_rows(source: Callable[[pl.DataFrame], Any]) -> None:
    table = read(source(ROWS), ["name", "age"])
    assert table.columns == ["name", "age"]
    assert table["name"].to_list()[:3] == ["Ann", "Ann", "Åsa"]
    assert numbers(table.head(2), "rows", "age").tolist() == [31.5, 31.5]
    with pytest.raises(InvalidTable, match=r"row 3 of column 'age' is missing or not finite, and 1 in all"):
        numbers(table, "rows", "age")
    with pytest.raises(InvalidTable, match=r"row 4 of column 'name' is missing"):
        complete(table, "rows", "name")


def test_every_source_gives_the_same_duplicates(source: Callable[[pl.DataFrame], Any]) -> None:
    result = weigh.exact_duplicates(source(ROWS), "part")
    assert (result.finding, result.figure.value) == ("yes", 1 / 3)
    assert result.evidence == ({"in train": 1, "in test": 1, "age": 31.5, "name": "Ann"},)
    assert weigh.exact_duplicates(source(ROWS), "part", threshold=1 / 3).finding == "no"


def test_a_directory_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    ROWS[:2].write_parquet(tmp_path / "a.parquet")
    ROWS[2:].write_parquet(tmp_path / "b.parquet")
    assert weigh.exact_duplicates(tmp_path, "part") == weigh.exact_duplicates(ROWS, "part")


@pytest.mark.parametrize("wrapped", [np.array([1.0, 2.0]), [{"a": 1}], object(), 3])
def test_what_is_no_table_is_refused(wrapped: object) -> None:
    with pytest.raises(InvalidTable, match="is no table; give a path, or a frame of pandas"):
        read(wrapped)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.csv", None, "no such file"),
        ("empty.csv", b"", "cannot be read as a table"),
        ("heading.csv", b"a,part\n", "no row is in the part 'train'"),
        ("ragged.csv", b"a,part\n1,train\n2,test,3\n", "cannot be read as a table"),
        ("cut.parquet", b"PAR1\x00\x00", "cannot be read as a table"),
        ("cut.arrow", b"ARROW1\x00\x00", "cannot be read as a table"),
        ("model.pkl", b"\x80\x04N.", "is no CSV, Parquet or Arrow file"),
        ("columns.csv", b"a,prat\n1,train\n", "has no column 'part'; there are 'prat' and others"),
        ("one-part.csv", b"a,part\n1,train\n", "no row is in the part 'test'; name the parts with --train and --test"),
    ],
)
def test_a_bad_file_gets_one_line_and_exit_code_2(
    name: str, content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SystemExit) as left:
        main(["check", "splits", str(path), "--split", "part"])
    shown = capsys.readouterr()
    assert (left.value.code, shown.out) == (2, "")
    assert shown.err.startswith(f"weigh: {path}: ") and shown.err.count("\n") == 1
    assert said in shown.err


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_two_columns_of_one_name_are_refused(kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table, path = pa.table([["train", "test"], [1, 2], [3, 4]], names=["part", "x", "x"]), tmp_path / f"rows.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table)
    with pytest.raises(InvalidTable, match="column with name 'x' has more than one occurrence"):
        read(path)
    assert capfd.readouterr().err == ""


def test_a_word_among_numbers_is_found_however_late(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a\n" + "1\n" * 5_000 + "many\n")
    with pytest.raises(InvalidTable, match="column 'a' is String, such as 'many'; numbers are needed"):
        numbers(read(path), path, "a")


def test_a_missing_value_of_pandas_nullable_columns_is_refused() -> None:
    frame = pd.DataFrame({"person": pd.array([1, None, 2], dtype="Int64"), "kind": pd.array(["a", None, "b"])})
    for column in ("person", "kind"):
        with pytest.raises(InvalidTable, match=f"row 2 of column '{column}' is missing, and 1 in all"):
            complete(read(frame), "rows", column)


def test_a_table_in_memory_is_named_by_its_kind() -> None:
    with pytest.raises(InvalidTable, match=r"^pandas table: has no column 'b'; there are 'a'$"):
        read(pd.DataFrame({"a": [1]}), ["b"])
    with pytest.raises(NotFound):
        read("absent.parquet")


@given(
    low=st.floats(-1, 1), width=st.floats(0, 1), threshold=st.floats(-1, 2), fault=st.sampled_from(["above", "below"])
)
def test_a_finding_is_decided_by_the_interval(low: float, width: float, threshold: float, fault: Any) -> None:
    figure = weigh.Figure("it", low, low, low + width, "95 %")
    finding = weigh.CheckResult("it", figure, threshold, "so", fault=fault).finding
    inside = low <= threshold <= low + width
    if finding == "undecided":
        assert inside
    elif not inside:
        assert (finding == "yes") == ((low > threshold) == (fault == "above"))


def test_a_figure_that_cannot_be_formed_is_undecided_and_valid_json() -> None:
    nan = float("nan")
    result = weigh.CheckResult("it", weigh.Figure("it", nan, nan, nan), 0.0, "so", evidence=({"a": np.float32(2)},))
    said = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert (said["finding"], said["figure"]["value"], said["evidence"]) == ("undecided", None, [{"a": 2.0}])


def test_a_report_finds_what_one_of_its_checks_finds() -> None:
    def result(value: float, low: float, high: float) -> weigh.CheckResult:
        return weigh.CheckResult("it", weigh.Figure("it", value, low, high), 0.5, "so")

    yes, no, unsure = result(0.9, 0.8, 1.0), result(0.1, 0.0, 0.2), result(0.5, 0.4, 0.6)
    assert [weigh.CheckReport("a", "b", each).finding for each in [(no, yes, unsure), (no, unsure), (no, no)]] == [
        "yes",
        "undecided",
        "no",
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("ab"), st.sampled_from(["train", "test"])), min_size=1))
def test_exact_duplicates_are_those_that_a_set_finds(rows: list[tuple[int, str, str]]) -> None:
    frame = pl.DataFrame(rows, schema=["n", "letter", "part"], orient="row")
    train = {row[:2] for row in rows if row[2] == "train"}
    test = [row[:2] for row in rows if row[2] == "test"]
    if not train or not test:
        with pytest.raises(InvalidTable, match="no row is in the part"):
            weigh.exact_duplicates(frame, "part")
        return
    shared = sum(row in train for row in test)
    assert weigh.exact_duplicates(frame, "part").figure.value == shared / len(test)
