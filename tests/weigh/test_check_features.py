"""Checks of features: the fault found, its absence, the border between them, and input that allows no answer."""

import datetime
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.tree import DecisionTreeClassifier

import weigh
from weigh.checks.features.out_of_fold import auc, folds_of, r_squared
from weigh.checks.features.problems import problem
from weigh.cli import main

ROWS = 400


def honest(rows: int = ROWS, seed: int = 0, noise: float = 2.5) -> pl.DataFrame:
    """Three columns of which two tell a part of the answer."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    answer = a + b + rng.normal(scale=noise, size=rows) > 0
    region = rng.choice(["north", "south", "east", "west"], rows)
    return pl.DataFrame({"a": a, "b": b, "region": region, "churned": answer.astype(int)})


def with_leak(copies: int = 1) -> pl.DataFrame:
    """A refund that only those who left get: the answer, in other words."""
    table = honest()
    refund = pl.when(pl.col("churned") == 1).then(pl.int_range(ROWS) % 50 + 10)
    return table.with_columns(refund.alias(f"refund{copy or ''}") for copy in range(copies))


def findings(report: weigh.CheckReport) -> dict[str, str]:
    return {result.check: result.finding for result in report.results}


def test_a_clean_table_has_no_finding_once_its_columns_are_declared() -> None:
    report = weigh.check_features(honest(), "churned", known=["a", "b", "region"])
    assert report.finding == "no"
    assert len(report.results) == 4
    assert findings(weigh.check_features(honest(), "churned")) == {
        "telling features": "no", "telling identifiers": "no", "row order": "no",
        "columns not known at prediction time": "undecided",
    }  # fmt: skip


def test_a_field_that_is_filled_after_the_answer_is_found() -> None:
    found = weigh.telling_features(with_leak(), "churned")
    assert found.finding == "yes"
    assert "'refund'" in found.figure.name
    assert found.figure.value == 1
    assert found.threshold == 0.75, "the honest columns reach less together"
    assert found.evidence[0]["column"] == "refund"
    assert found.evidence[1]["AUC alone"] < 0.8


def test_what_the_others_reach_together_is_the_threshold_where_it_is_higher() -> None:
    table = honest(noise=0.3).with_columns(leak=pl.col("churned") + 1)
    found = weigh.telling_features(table, "churned")
    assert found.finding == "yes"
    assert 0.9 < found.threshold < 1
    strong = table.select("churned", "a", hint=pl.col("a") + 0.01 * pl.col("b"))
    assert weigh.telling_features(strong, "churned").finding != "yes", "it tells no more than its neighbour"


def test_two_copies_hide_each_other_until_the_others_are_declared() -> None:
    assert weigh.telling_features(with_leak(2), "churned").finding != "yes"
    declared = weigh.telling_features(with_leak(2), "churned", known=["a", "b", "region"])
    assert declared.finding == "yes"
    together = weigh.unknown_at_prediction(with_leak(2), "churned", known=["a", "b", "region"])
    assert together.finding == "yes"
    assert together.figure.value > 0.3
    assert {row["column"]: row["known"] for row in together.evidence}["refund"] == "not declared"


def test_what_is_declared_known_is_not_under_suspicion() -> None:
    names = ["a", "b", "region", "refund"]
    assert weigh.check_features(with_leak(), "churned", known=names).finding == "no"
    said_no = weigh.unknown_at_prediction(with_leak(), "churned", known={**dict.fromkeys(names, True), "refund": False})
    assert said_no.finding == "yes"
    assert said_no.evidence[0]["known"] == "no"


def test_the_threshold_is_the_border() -> None:
    table = honest()
    score = weigh.telling_features(table, "churned").figure
    assert score.low < score.value < score.high
    below, above = score.low - 0.01, score.high + 0.01
    assert weigh.telling_features(table.select("a", "churned"), "churned", threshold=below).finding in (
        "yes",
        "undecided",
    )
    assert weigh.telling_features(table, "churned", threshold=above).finding == "no"
    assert weigh.row_order(table, "churned", threshold=0.0).finding == "yes"


def test_an_id_that_was_given_out_by_the_answer_is_found_and_others_are_not() -> None:
    rng, table = np.random.default_rng(1), honest()
    code = np.where(table["churned"].to_numpy() == 1, "C", "N")
    mixed = np.where(rng.random(ROWS) < 0.8, code, "N")
    told = table.with_columns(ticket=pl.Series([f"{c}{i:05d}" for i, c in enumerate(mixed)]))
    found = weigh.telling_identifiers(told, "churned")
    assert found.finding == "yes"
    assert "'ticket'" in found.figure.name
    for ids in (rng.permutation(ROWS) + 10**12, [f"{i:05d}" for i in rng.permutation(ROWS)]):
        assert weigh.telling_identifiers(table.with_columns(ticket=pl.Series(ids)), "churned").finding == "no"
    assert weigh.telling_identifiers(table, "churned").figure.interval == "exact", "measurements are no ids"


def test_ids_beyond_what_float32_tells_apart_are_kept_apart() -> None:
    """Trees compute in float32, in which a hundred billion and one is a hundred billion."""
    table = honest().sort("churned").with_columns(id=10**11 + pl.int_range(ROWS))
    assert weigh.telling_identifiers(table, "churned").figure.value > 0.98


def test_rows_in_the_order_of_the_answer_are_found() -> None:
    assert weigh.row_order(honest().sort("churned"), "churned").finding == "yes"
    assert weigh.row_order(honest(), "churned").finding == "no"


def test_a_number_as_answer_is_judged_by_its_variance() -> None:
    table = honest().with_columns(pay=pl.col("a") * 3 + pl.col("b") + 10).drop("churned")
    assert weigh.telling_features(table.select("b", "region", "pay"), "pay").finding == "no"
    leaked = table.select("b", "region", "pay", tax=pl.col("pay") * 0.3)
    found = weigh.telling_features(leaked, "pay")
    assert (found.finding, found.figure.name) == ("yes", "R² of 'tax' alone")
    assert weigh.unknown_at_prediction(leaked, "pay", known=["b", "region"]).finding == "yes"


def test_a_random_category_tells_nothing_since_its_encoding_is_cross_fitted() -> None:
    rng = np.random.default_rng(2)
    table = honest().with_columns(street=pl.Series(rng.integers(0, 150, ROWS)).cast(pl.String) + " St")
    scores = {row["column"]: row["AUC alone"] for row in weigh.telling_features(table, "churned").evidence}
    assert scores["street"] < 0.6


def test_rows_of_one_group_are_never_on_both_sides() -> None:
    """Each person has one answer and many rows: by rows her number tells it, by persons it does not."""
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(80), 5)
    table = pl.DataFrame({"person": person, "x": person, "y": rng.integers(0, 2, 80)[person]})
    table = table.with_columns(x=pl.col("x").cast(pl.String), noise=pl.Series(rng.normal(size=len(person))))
    assert weigh.telling_features(table, "y", features=["x", "noise"]).figure.value > 0.9
    by_person = weigh.telling_features(table, "y", groups="person")
    assert by_person.figure.value < 0.65
    assert "groups" in by_person.figure.interval


@pytest.mark.parametrize("groups", [None, "g"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_score_of_a_column_is_that_of_cross_val_score(groups: str | None, classes: int) -> None:
    rng = np.random.default_rng(4)
    table = honest().with_columns(
        g=pl.Series(rng.integers(0, 60, ROWS)), churned=pl.Series(rng.integers(0, classes, ROWS))
    )
    read = problem(table, "churned", groups=groups)
    column = read.columns["a"]
    ours = float(read.score(read.alone(column))[0])
    splits = [(np.flatnonzero(read.folds != k), np.flatnonzero(read.folds == k)) for k in range(5)]
    tree = DecisionTreeClassifier(max_depth=4, min_samples_leaf=5, random_state=0)
    scoring = "roc_auc" if classes == 2 else "roc_auc_ovr"
    theirs = cross_val_score(tree, column.ranks[:, None], read.answer, cv=splits, scoring=scoring).mean()
    assert ours == pytest.approx(theirs, abs=1e-12)
    if groups:
        assert all(len(set(read.folds[read.units == unit])) == 1 for unit in set(read.units))
    else:
        stratified = StratifiedKFold(5, shuffle=True, random_state=0).split(read.answer, read.answer)
        assert all((read.folds[test] == k).all() for k, (_, test) in enumerate(stratified))


@pytest.mark.parametrize("seed", range(5))
def test_scores_with_weights_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    said = rng.integers(0, 6, 50) / 5  # with ties
    positive, counts = rng.random(50) < 0.4, rng.multinomial(50, np.full(50, 1 / 50), size=7).astype(float)
    expected = [roc_auc_score(positive, said, sample_weight=each) for each in counts]
    np.testing.assert_allclose(auc(positive, said, counts), expected, atol=1e-12)
    truth = rng.normal(size=50)
    expected = [r2_score(truth, said, sample_weight=each) for each in counts]
    np.testing.assert_allclose(r_squared(truth, said, counts), expected, atol=1e-12)


def test_the_interval_covers_the_noise_of_columns_that_tell_nothing() -> None:
    """Of 20 tables of pure noise, next to none has a column whose interval lies above chance."""
    above = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = pl.DataFrame({**{f"x{i}": rng.normal(size=120) for i in range(3)}, "y": rng.integers(0, 2, 120)})
        above += weigh.telling_features(table, "y", threshold=0.5).finding == "yes"
    assert above <= 2


def test_every_kind_of_table_gives_the_same_answer(tmp_path: Path) -> None:
    table = with_leak().with_columns(
        id=pl.Series([f"r{i:04d}" for i in range(ROWS)]),
        kind=pl.col("region").cast(pl.Categorical), flag=pl.col("a") > 0, hole=pl.lit(None, pl.Float64),
        day=pl.date(2026, 1, 1) + pl.duration(days=pl.int_range(ROWS) % 200),
    )  # fmt: skip
    table.write_parquet(tmp_path / "t.parquet")
    table.write_csv(tmp_path / "t.csv")
    arrow = table.to_arrow()
    tables: list[Any] = [
        table, table.to_pandas(), arrow, duckdb.from_arrow(arrow), tmp_path / "t.parquet", tmp_path / "t.csv",
    ]  # fmt: skip
    first, *others = (weigh.telling_features(each, "churned", known=["a", "b", "region"]).as_dict() for each in tables)
    assert first["finding"] == "yes"
    assert len(first["evidence"]) == 6
    for other in others:
        assert other == first


def test_missing_values_can_be_what_tells() -> None:
    """The column has one value, and whether it is there is the answer."""
    table = honest().with_columns(closed=pl.when(pl.col("churned") == 1).then(1.0))
    assert weigh.telling_features(table, "churned").figure.name == "AUC of 'closed' alone"
    as_nan = table.with_columns(pl.col("closed").fill_null(float("nan")))
    assert weigh.telling_features(as_nan, "churned").as_dict() == weigh.telling_features(table, "churned").as_dict()


def test_values_from_the_future_are_counted_in_all_rows() -> None:
    start = datetime.datetime(2026, 1, 1)
    asked = [start + datetime.timedelta(hours=i) for i in range(ROWS)]
    seen = [when + datetime.timedelta(hours=2 if i % 4 == 0 else -2) for i, when in enumerate(asked)]
    table = honest().with_columns(asked=pl.Series(asked), seen=pl.Series(seen))
    found = weigh.late_values(table, known={"a": "seen", "b": True}, time="asked")
    assert (found.finding, found.figure.value, found.figure.interval) == ("yes", 0.25, "exact")
    assert found.evidence[0] == {"column": "a", "late rows": 100, "values without a time": 0, "time in": "seen"}
    report = weigh.check_features(table, "churned", known={"a": "seen", "b": True, "region": True}, time="asked")
    assert findings(report)["columns not known at prediction time"] == "yes", "late columns are not known"
    on_time = table.with_columns(seen=pl.col("asked"))
    assert weigh.late_values(on_time, known={"a": "seen"}, time="asked").finding == "no", (
        "at the same moment is in time"
    )
    as_text = table.with_columns(pl.col("asked", "seen").dt.to_string("%Y-%m-%d %H:%M:%S"))
    assert weigh.late_values(as_text, known={"a": "seen"}, time="asked") == found
    undated = table.with_columns(seen=pl.lit(None, pl.Datetime))
    assert weigh.late_values(undated, known={"a": "seen"}, time="asked").evidence[0]["values without a time"] == ROWS


def test_a_longer_table_is_drawn_from_and_says_so() -> None:
    found = weigh.telling_features(honest(3000), "churned", most_rows=500)
    assert found.cost["rows"] == 500
    assert "500 of 3,000 rows were drawn" in found.notes
    assert weigh.telling_features(honest(3000), "churned", most_rows=500) == found, "the same rows with the same seed"


def test_too_few_rows_are_no_answer() -> None:
    found = weigh.telling_features(with_leak().sort("churned").gather([*range(6), *range(394, 400)]), "churned")
    assert found.finding == "undecided"
    assert any("too few rows" in note for note in found.notes)


def test_no_warning_reaches_the_reader() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = with_leak().with_columns(g=pl.int_range(ROWS) // 10, hole=pl.lit(None, pl.String))
        weigh.check_features(table, "churned", groups="g", known=["a"])


BAD: list[tuple[pl.DataFrame, dict[str, Any], str]] = [
    (honest().head(0), {}, "0 rows"),
    (honest().head(1), {}, "1 rows"),
    (honest().drop("churned"), {}, "no column 'churned'"),
    (honest(), {"features": ["aa"]}, "no column 'aa'"),
    (honest(), {"features": ["a", "churned"]}, "among the features"),
    (honest(), {"groups": "nobody"}, "no column 'nobody'"),
    (honest(), {"time": "never"}, "no column 'never'"),
    (honest().with_columns(churned=1), {}, "the one value 1"),
    (honest().with_columns(churned=pl.when(pl.int_range(ROWS) != 7).then(1)), {}, "row 8 of column 'churned'"),
    (honest().with_columns(churned=pl.int_range(ROWS).cast(pl.String)), {}, "400 classes"),
    (honest().with_columns(churned=pl.int_range(ROWS) == 3), {}, "has 1 rows"),
    (honest().with_columns(churned=pl.col("a") / 0), {"task": "number"}, "not finite"),
    (honest().with_columns(g=pl.int_range(ROWS) % 3), {"groups": "g"}, "fewer than 5 groups"),
    (honest().with_columns(g=pl.int_range(ROWS) // 60).sort("churned"), {"groups": "g"}, "class|fold"),
    (honest().select("churned"), {}, "no column beside"),
    (honest().select("churned", x=pl.concat_list("a", "b")), {}, "no column of numbers"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "settings", "said"), BAD[:13] + BAD[14:])
def test_a_table_without_an_answer_is_refused_in_a_line(
    table: pl.DataFrame, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(weigh.WeighError, match=said) as refused:
        weigh.check_features(table, "churned", **settings)
    assert "\n" not in str(refused.value)


def test_mixed_types_are_refused() -> None:
    import pandas as pd

    mixed = pd.DataFrame({"x": pd.Series(["a", 1] * 20, dtype=object), "y": [0, 1] * 20})
    with pytest.raises(weigh.WeighError, match="'x' mixes int and str"):
        weigh.telling_features(mixed, "y")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("k.json", "{", "cannot be read"),
        ("k.json", "[1]", "no table of columns"),
        ("k.json", '{"a": 1}', "declared as 1"),
        ("k.json", '{"a": true, "a": false}', "declared twice"),
        ("k.json", '{"z": true}', "names no feature"),
        ("k.json", '{"a": "seen"}', "--time"),
        ("k.toml", "a = ", "cannot be read"),
        ("k.toml", "a = true\na = false", "cannot be read"),
        ("k.json", "[" * 100_000, "cannot be read"),
        ("k.json", "\udcff", "cannot be read"),
        ("k.json", " " * 1_100_000, "1,000,000 bytes"),
    ],
)
def test_a_declaration_that_says_something_else_is_refused(name: str, text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(weigh.WeighError, match=said):
        weigh.check_features(honest(), "churned", known=tmp_path / name)


def test_declarations_as_files_mappings_and_names_are_one(tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text('{"a": true, "refund": false}')
    (tmp_path / "k.toml").write_text("[known]\na = true\nrefund = false\n")
    expected = weigh.unknown_at_prediction(with_leak(), "churned", known={"a": True, "refund": False})
    for known in (tmp_path / "k.json", [str(tmp_path / "k.toml")], ["a", str(tmp_path / "k.json")]):
        assert weigh.unknown_at_prediction(with_leak(), "churned", known=known) == expected
    strange = weigh.unknown_at_prediction(with_leak(), "churned", known={"a": True, "zeta": True})
    assert any("zeta" in note for note in strange.notes)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as done:
        main([str(word) for word in words])
    out = capsys.readouterr()
    return int(done.value.code or 0), out.out, out.err


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_command_says_what_the_function_finds(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"t.{kind}"
    (with_leak().write_csv if kind == "csv" else with_leak().write_parquet)(path)
    code, out, err = run(capsys, "check", "features", path, "--target", "churned", "--json")
    assert (code, err) == (1, "")
    assert json.loads(out) == weigh.check_features(path, "churned").as_dict()
    names = [word for name in ("a", "b", "region", "refund") for word in ("--known", name)]
    code, out, err = run(capsys, "check", "features", path, "--target", "churned", *names)
    assert (code, err) == (0, "")
    assert "telling features: no" in out
    code, out, err = run(capsys, "check", "features", path, "--target", "chrned")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "'churned'" in err, "the nearest name"


def test_the_command_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    program = "import sys; from weigh.cli import main; main(sys.argv[1:])"
    words = ["check", "features", str(tmp_path / "t.csv"), "--target", "b"]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "Traceback" not in done.stderr


def test_folds_hold_no_unit_twice() -> None:
    units = np.repeat(np.arange(20), 3)
    folds = folds_of(np.arange(60.0), units, False, 0)
    assert all(len(set(folds[units == unit])) == 1 for unit in range(20))


def test_many_groups_are_whole_in_folds_that_are_alike() -> None:
    units, answer = np.repeat(np.arange(3000), 2), np.tile([0.0, 1.0], 3000)
    folds = folds_of(answer, units, True, 0)
    assert (folds[::2] == folds[1::2]).all()
    assert np.bincount(folds).tolist() == [1200] * 5
