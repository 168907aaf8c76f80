"""The checks of labels: agreement, label errors, stale labels; hit, miss, boundary, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import krippendorff
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

import weigh
from weigh.checks.labels.agreement import _alphas
from weigh.cli import main

# Krippendorff's own example: twelve items, four raters, some ratings missing.
KRIPPENDORFF = {
    "a": [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    "b": [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    "c": [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    "d": [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
}


def rated(error: float, items: int = 300, raters: int = 3, seed: int = 0) -> dict[str, list[str]]:
    """Raters who each err independently, over three kinds."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, items)
    kinds = np.array(["bird", "cat", "dog"])
    return {
        f"rater {one}": kinds[np.where(random.random(items) < error, random.integers(0, 3, items), truth)].tolist()
        for one in range(raters)
    }


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any, Any]:
    """Digits with 5 % of the labels moved on by one: pixels, labels, and which were moved."""
    pixels, truth = load_digits(return_X_y=True)
    moved = np.random.default_rng(0).random(len(truth)) < 0.05
    return pixels / 16, np.where(moved, (truth + 1) % 10, truth), moved


def frame(labels: Any, chances: Any) -> pl.DataFrame:
    return pl.DataFrame({"label": labels, **{f"p_{digit}": column for digit, column in enumerate(chances.T)}})


@pytest.fixture(scope="module")
def folds(digits: tuple[Any, Any, Any]) -> pl.DataFrame:
    """Their out-of-fold probabilities."""
    pixels, labels, _ = digits
    chances = cross_val_predict(LogisticRegression(max_iter=300), pixels, labels, method="predict_proba", cv=3)
    return frame(labels, chances)


def command(*args: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    return int(ended.value.code or 0)


# Agreement


@pytest.mark.parametrize(("level", "known"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_is_krippendorffs(level: Any, known: float) -> None:
    result = weigh.agreement(pl.DataFrame(KRIPPENDORFF), KRIPPENDORFF, level=level)
    assert result.figure.value == pytest.approx(known, abs=0.0005)
    assert result.finding == "undecided", "eleven items are too few for an interval"
    assert any("11 items with two ratings are too few" in note for note in result.notes)
    assert any("1 of 12 items have fewer than two" in note for note in result.notes)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
@pytest.mark.parametrize("seed", range(5))
def test_weighted_alpha_is_that_of_the_library(level: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    table = random.choice([1.0, 2.0, 3.5, 7.0, np.nan], (4, 40), p=[0.3, 0.2, 0.2, 0.1, 0.2])
    counts = (table.T[..., None] == np.array([1.0, 2.0, 3.5, 7.0])).sum(1)
    counts = counts[counts.sum(1) > 1]
    weights = random.integers(1, 4, len(counts))
    repeated = np.repeat(counts, weights, axis=0)
    domain = [1.0, 2.0, 3.5, 7.0]
    library = krippendorff.alpha(value_counts=repeated, value_domain=domain, level_of_measurement=level)
    assert _alphas(counts, weights[None], domain, level) == pytest.approx(library, abs=1e-12)


def test_the_interval_is_a_bootstrap_over_items() -> None:
    table = rated(0.3)
    found = weigh.agreement(pl.DataFrame(table), table).figure
    codes = np.array([[{"bird": 0, "cat": 1, "dog": 2}[kind] for kind in column] for column in table.values()])
    random = np.random.default_rng(1)
    drawn = [
        krippendorff.alpha(codes[:, random.integers(0, 300, 300)], level_of_measurement="nominal") for _ in range(400)
    ]
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(("error", "finding"), [(0.05, "no"), (0.5, "yes"), (0.19, "undecided")])
def test_raters_that_agree_too_little_are_found(error: float, finding: str) -> None:
    table = rated(error)
    assert weigh.agreement(pl.DataFrame(table), table).finding == finding


def test_the_worst_pair_comes_first_with_cohens_kappa() -> None:
    table = {**rated(0.05), "stranger": rated(0.9)["rater 0"]}
    result = weigh.agreement(pl.DataFrame(table), table)
    assert "stranger" in (result.evidence[0]["rater"], result.evidence[0]["other rater"])
    for pair in result.evidence:
        kappa = cohen_kappa_score(table[pair["rater"]], table[pair["other rater"]])
        assert pair["Cohen's kappa"] == pytest.approx(kappa)
    counts, _ = aggregate_raters(np.array(list(table.values())).T)
    assert f"Fleiss' kappa {fleiss_kappa(counts):.3f}" in result.notes


def test_high_agreement_may_be_chance() -> None:
    one = ["no"] * 97 + ["yes"] * 3
    other = ["no"] * 95 + ["yes"] * 2 + ["no"] * 2 + ["yes"]
    table = pd.DataFrame({"one": one * 5, "other": other * 5})
    result = weigh.agreement(table, ["one", "other"])
    assert result.finding == "yes"
    assert result.figure.value < 0.4
    assert "raw agreement 96.0%" in result.notes[0]


def test_twenty_items_are_the_fewest() -> None:
    table = pl.DataFrame({"a": [0, 1] * 10, "b": [0, 1] * 10})
    assert weigh.agreement(table, ["a", "b"]).finding == "no"
    assert weigh.agreement(table.head(19), ["a", "b"]).finding == "undecided"


def test_one_value_shows_nothing() -> None:
    result = weigh.agreement(pl.DataFrame({"a": ["x"] * 50, "b": ["x"] * 50}), ["a", "b"])
    assert result.finding == "undecided"
    assert result.as_dict()["figure"]["value"] is None
    assert any("same value" in note for note in result.notes)


def test_a_rare_second_value_may_be_absent_from_a_sample() -> None:
    table = pl.DataFrame({"a": ["x"] * 99 + ["y"], "b": ["x"] * 99 + ["y"]})
    result = weigh.agreement(table, ["a", "b"])
    assert result.figure.value == 1
    assert result.finding == "undecided"


def test_one_answer_for_every_engine_and_every_order_of_rows(tmp_path: Path) -> None:
    table = rated(0.3)
    frames = [pl.DataFrame(table), pd.DataFrame(table), pl.DataFrame(table).to_arrow(), pl.DataFrame(table).reverse()]
    shown = pl.DataFrame(table)  # noqa: F841 - DuckDB finds it by its name
    frames.append(duckdb.sql("select * from shown"))
    for path, write in ((tmp_path / "t.csv", "write_csv"), (tmp_path / "t.parquet", "write_parquet")):
        getattr(pl.DataFrame(table), write)(path)
        frames.append(path)
    results = [weigh.agreement(each, table) for each in frames]
    assert len({(result.figure, result.notes, str(result.evidence)) for result in results}) == 1


def test_missing_ratings_are_missing_in_every_form() -> None:
    holes = [1, 2, None] * 20, [1, 2, 2] * 20
    nan = pd.DataFrame({"a": [np.nan if value is None else value for value in holes[0]], "b": holes[1]})
    null, blank = (
        pl.DataFrame({"a": holes[0], "b": holes[1]}),
        pl.DataFrame({"a": ["1", "2", " "] * 20, "b": ["1", "2", "2"] * 20}),
    )
    for table in (nan, null, blank):
        result = weigh.agreement(table, ["a", "b"])
        assert result.figure.value == 1
        assert "20 of 60 items have fewer than two ratings: left out" in result.notes


def test_ordinal_words_need_their_order() -> None:
    words = pl.DataFrame({"a": ["low", "mid", "high"] * 10, "b": ["low", "high", "high"] * 10})
    numbers = pl.DataFrame({"a": [0, 1, 2] * 10, "b": [0, 2, 2] * 10})
    with pytest.raises(weigh.WeighError, match="order"):
        weigh.agreement(words, ["a", "b"], level="ordinal")
    with pytest.raises(weigh.WeighError, match="lacks the rating 'high'"):
        weigh.agreement(words, ["a", "b"], level="ordinal", order=["low", "mid"])
    ordered = weigh.agreement(words, ["a", "b"], level="ordinal", order=["low", "mid", "high"])
    assert ordered.figure.value == weigh.agreement(numbers, ["a", "b"], level="ordinal").figure.value


@pytest.mark.parametrize(
    ("table", "raters", "said"),
    [
        ({"a": [1, 2]}, ["a"], "two raters"),
        ({"a": [1, 2]}, ["a", "a"], "two raters"),
        ({"a": [1, 2], "b": [1, 2]}, ["a", "c"], "no column 'c'"),
        ({"a": [1, None], "b": [None, 2]}, ["a", "b"], "no item has two ratings"),
        ({"a": [], "b": []}, ["a", "b"], "no item has two ratings"),
        ({"a": [1, 2], "b": ["1", "?"]}, ["a", "b"], "column 'b' has words and column 'a' has numbers"),
        ({"a": [[1], [2]], "b": [[1], [2]]}, ["a", "b"], "column 'a' has lists or records"),
        ({"a": list(range(300)), "b": list(range(300))}, ["a", "b"], "more than 200 different values"),
    ],
)
def test_ratings_that_cannot_be_compared_are_refused(table: Any, raters: list[str], said: str) -> None:
    with pytest.raises(weigh.WeighError, match=said.replace("?", "\\?")) as refused:
        weigh.agreement(pl.DataFrame(table), raters)
    assert "\n" not in str(refused.value)


def test_a_million_items_are_counted_in_the_engine() -> None:
    table = pl.DataFrame(rated(0.1, items=1000))
    large = pl.concat([table] * 1000)
    one, thousand = weigh.agreement(table, table.columns), weigh.agreement(large, large.columns)
    assert thousand.figure.value == pytest.approx(one.figure.value, abs=1e-3)
    assert thousand.figure.high - thousand.figure.low < 0.05 * (one.figure.high - one.figure.low)
    assert thousand.cost["items"] == 1_000_000


# Label errors


def test_planted_errors_are_found(digits: tuple[Any, Any, Any], folds: pl.DataFrame) -> None:
    result = weigh.label_errors(folds, "label", "p_")
    assert result.finding == "yes"
    moved = digits[2]
    assert all(moved[row["row"] - 1] for row in result.evidence), "the likeliest errors come first"
    assert all(str((int(row["likeliest"]) + 1) % 10) == row["label"] for row in result.evidence)


def test_few_are_found_where_none_are_planted(digits: tuple[Any, Any, Any]) -> None:
    pixels, truth = digits[0], load_digits(return_X_y=True)[1]
    chances = cross_val_predict(LogisticRegression(max_iter=300), pixels, truth, method="predict_proba", cv=3)
    result = weigh.label_errors(frame(truth, chances), "label", "p_")
    assert result.finding == "no"
    assert result.figure.value < 0.01
    assert not result.notes


def test_cleanlab_gives_the_rows(folds: pl.DataFrame) -> None:
    from cleanlab.filter import find_label_issues

    chances = folds.drop("label").to_numpy()
    rows = find_label_issues(
        folds["label"].to_numpy(),
        chances,
        filter_by="confident_learning",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    result = weigh.label_errors(folds, "label", "p_")
    assert [row["row"] - 1 for row in result.evidence] == rows[:10].tolist()
    assert result.cost["rows to review"] == len(rows)


def test_in_sample_probabilities_are_noticed(digits: tuple[Any, Any, Any]) -> None:
    from sklearn.ensemble import RandomForestClassifier

    pixels, labels, _ = digits
    chances = RandomForestClassifier(50, random_state=0).fit(pixels, labels).predict_proba(pixels)
    table = frame(labels, chances)
    result = weigh.label_errors(table, "label", "p_")
    assert (result.figure.value, result.finding) == (0, "undecided")
    assert any("in-sample" in note for note in result.notes)
    assert weigh.label_errors(table, "label", "p_", trusted=True).finding == "no"


def test_an_overconfident_model_decides_nothing(digits: tuple[Any, Any, Any]) -> None:
    pixels, truth = digits[0], load_digits(return_X_y=True)[1]
    chances = cross_val_predict(GaussianNB(), pixels, truth, method="predict_proba", cv=3)
    table = frame(truth, chances)
    result = weigh.label_errors(table, "label", "p_")
    assert (result.finding, result.figure.value > 0.1) == ("undecided", True)
    assert any("Calibrate" in note for note in result.notes)
    assert weigh.label_errors(table, "label", "p_", trusted=True).finding == "yes"


def test_classes_are_named_in_any_type() -> None:
    random = np.random.default_rng(0)
    truth = random.random(400) < 0.5
    high = np.where(truth, 0.95, 0.05)
    noisy = truth ^ (random.random(400) < 0.1)
    columns = {"no": 1 - high, "yes": high}
    answers = [
        weigh.label_errors(pl.DataFrame({"y": labels, **columns}), "y", {classes[0]: "no", classes[1]: "yes"}).figure
        for labels, classes in (
            (noisy, (False, True)),
            (noisy, ("false", "true")),
            (noisy.astype(int), (0, 1)),
            (noisy.astype(float), ("0", "1")),
            (np.where(noisy, "b", "a"), ("a", "b")),
        )
    ]
    assert len(set(answers)) == 1


def test_a_class_without_rows_and_a_small_one_are_no_trouble() -> None:
    labels = ["a"] * 50 + ["b"] * 50 + ["c"]
    chances = {"p_a": [0.9] * 50 + [0.05] * 50 + [0.3], "p_b": [0.05] * 50 + [0.9] * 50 + [0.3],
               "p_c": [0.05] * 100 + [0.4], "p_d": [0.0] * 101}  # fmt: skip
    result = weigh.label_errors(pl.DataFrame({"y": labels, **chances}), "y", "p_")
    assert any("too few rows to judge the labels of 'c' (1), 'd' (0)" in note for note in result.notes)


def test_a_tie_of_flags_with_the_threshold_is_undecided(folds: pl.DataFrame) -> None:
    share = weigh.label_errors(folds, "label", "p_").figure.value
    assert weigh.label_errors(folds, "label", "p_", threshold=share).finding == "undecided"
    assert weigh.label_errors(folds, "label", "p_", threshold=2 * share).finding == "no"


@pytest.mark.parametrize(
    ("table", "classes", "said"),
    [
        ({"y": ["a", "b"], "p_a": [1.0, 0.0]}, "p_", "probability of one class"),
        ({"y": ["a", "b"], "p_a": [1.0, 0.0], "p_b": [0.0, 1.0]}, "q_", "prefix of probabilities, which is 'q_'"),
        ({"y": ["a", "b"], "p_a": [1.0, 0.0], "p_b": [0.0, 1.0]}, {"a": "p_a", "b": "x"}, "no column 'x'"),
        ({"y": ["a", "c"], "p_a": [1.0, 0.0], "p_b": [0.0, 1.0]}, "p_", "row 2 has the label 'c'"),
        ({"y": ["a", None], "p_a": [1.0, 0.0], "p_b": [0.0, 1.0]}, "p_", "row 2 of column 'y' is missing"),
        ({"y": ["a", "a"], "p_a": [1.0, 0.0], "p_b": [0.0, 1.0]}, "p_", "all rows have the label 'a'"),
        ({"y": ["a", "b"], "p_a": [1.0, 0.0], "p_b": [0.0, 0.5]}, "p_", "row 2 .* add up to 0.5"),
        ({"y": ["a", "b"], "p_a": [1.5, 0.0], "p_b": [-0.5, 1.0]}, "p_", "row 1 are negative"),
        ({"y": ["a", "b"], "p_a": [1.0, float("nan")], "p_b": [0.0, 1.0]}, "p_", "row 2 of column 'p_a' is missing"),
        ({"y": ["a", "b"], "p_a": ["x", "y"], "p_b": [0.0, 1.0]}, "p_", "numbers are needed"),
        ({"y": [], "p_a": [], "p_b": []}, "p_", "no rows"),
    ],
)
def test_probabilities_that_cannot_be_are_refused(table: Any, classes: Any, said: str) -> None:
    with pytest.raises(weigh.WeighError, match=said) as refused:
        weigh.label_errors(pl.DataFrame(table), "y", classes)
    assert "\n" not in str(refused.value)


# Stale labels

TIMES: dict[str, list[str | None]] = {
    "labelled": ["2026-01-05", "2026-01-05", "2026-01-05", "2026-01-05"],
    "changed": ["2026-01-04", "2026-01-05", "2026-02-01", None],
}


def test_a_label_is_stale_if_its_source_changed_later() -> None:
    result = weigh.stale_labels(pl.DataFrame(TIMES), "labelled", "changed")
    assert (result.finding, result.figure.value, result.figure.interval) == ("yes", 0.25, "exact")
    assert [row["row"] for row in result.evidence] == [3]
    assert weigh.stale_labels(pl.DataFrame(TIMES), "labelled", "changed", threshold=0.25).finding == "no"
    fresh = pl.DataFrame(TIMES).filter(pl.col("changed") != "2026-02-01")
    assert weigh.stale_labels(fresh, "labelled", "changed").finding == "no"


def test_a_label_without_a_time_may_be_stale_or_not() -> None:
    table = pl.DataFrame({"labelled": ["2026-01-05", None], "changed": ["2026-01-04", "2026-01-01"]})
    result = weigh.stale_labels(table, "labelled", "changed")
    assert (result.finding, result.figure.low, result.figure.high) == ("undecided", 0, 0.5)


def test_times_are_those_of_every_engine(tmp_path: Path) -> None:
    text = pl.DataFrame(TIMES)
    dates = text.with_columns(pl.all().str.to_date())
    text.write_csv(tmp_path / "t.csv")
    dates.write_parquet(tmp_path / "t.parquet")
    zoned = dates.with_columns(pl.all().cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    numbers = pd.DataFrame({"labelled": [5.0] * 4, "changed": [4, 5, 32, np.nan]})
    tables = [text, text.to_pandas(), dates, dates.to_pandas(), dates.to_arrow(), zoned, numbers, tmp_path / "t.csv",
              tmp_path / "t.parquet", duckdb.sql("select * from dates")]  # fmt: skip
    assert {weigh.stale_labels(table, "labelled", "changed").figure.value for table in tables} == {0.25}


def test_the_longest_stale_comes_first() -> None:
    table = pl.DataFrame({"l": ["2026-01-01"] * 3, "c": ["2026-01-02", "2027-01-01", "2026-03-01"]})
    assert [row["row"] for row in weigh.stale_labels(table, "l", "c").evidence] == [2, 3, 1]


@pytest.mark.parametrize(
    ("labelled", "changed", "said"),
    [
        (["01/02/2026"], ["2026-01-01"], "'01/02/2026', which is no date"),
        (["2026-13-45"], ["2026-01-01"], "column 'l'"),
        ([2026], ["2026-01-01"], "column 'l' holds numbers and column 'c' holds times"),
        (["2026-01-01T00:00:00Z"], ["2026-01-01T00:00:00"], "with a time zone"),
        ([True], [False], "dates, times, ISO text or numbers are needed"),
        ([], [], "no rows"),
    ],
)
def test_times_that_cannot_be_compared_are_refused(labelled: Any, changed: Any, said: str) -> None:
    with pytest.raises(weigh.WeighError, match=said) as refused:
        weigh.stale_labels(pl.DataFrame({"l": labelled, "c": changed}), "l", "c")
    assert "\n" not in str(refused.value)


# All of them, and the command


def test_what_is_checked_follows_from_what_is_named(folds: pl.DataFrame) -> None:
    table = pl.DataFrame({**rated(0.05), **{name: column * 75 for name, column in TIMES.items()}})
    report = weigh.check_labels(table, raters=["rater 0", "rater 1"], labelled_at="labelled", changed_at="changed")
    assert [result.check for result in report.results] == ["agreement between raters", "stale labels"]
    assert report.finding == "yes"
    assert [result.check for result in weigh.check_labels(folds, label="label", probabilities="p_").results] == [
        "label errors"
    ]
    for named, said in (({}, "nothing to check"), ({"label": "x"}, "name both"), ({"changed_at": "x"}, "name both")):
        with pytest.raises(weigh.WeighError, match=said):
            weigh.check_labels(table, **named)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_command_says_it_by_its_exit_code(
    suffix: str, tmp_path: Path, folds: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    def path(name: str, table: pl.DataFrame) -> Path:
        file = tmp_path / f"{name}.{suffix}"
        (table.write_csv if suffix == "csv" else table.write_parquet)(file)
        return file

    doubtful = path("doubtful", folds)
    assert command("check", "labels", doubtful, "--label", "label", "--probabilities", "p_", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["finding"]) == ("labels", "yes")
    named = [part for digit in range(10) for part in ("--probability", f"{digit}=p_{digit}")]
    assert command("check", "labels", doubtful, "--label", "label", *named, "--json") == 1
    assert json.loads(capsys.readouterr().out) == found

    good = path("good", pl.DataFrame(rated(0.05)))
    raters = ("--rater", "rater 0", "--rater", "rater 1")
    assert command("check", "labels", good, *raters) == 0
    assert "agreement between raters: no" in capsys.readouterr().out

    levels = path("levels", pl.DataFrame({"a": ["low", "high"] * 20, "b": ["low", "high"] * 20}))
    order = ("--order", "low", "--order", "high")
    assert command("check", "labels", levels, "--rater", "a", "--rater", "b", "--level", "ordinal", *order) == 0
    capsys.readouterr()

    times = path("times", pl.DataFrame(TIMES))
    assert command("check", "labels", times, "--labelled-at", "labelled", "--changed-at", "changed") == 1
    assert "stale labels: yes" in capsys.readouterr().out

    for args, said in (
        ((good,), "nothing to check"),
        ((good, "--rater", "rater 0"), "two raters"),
        ((good, "--rater", "rater 0", "--rater", "ratr 1"), "rater 1"),
        ((good, *raters, "--level", "ordinal"), "give their order"),
        ((doubtful, "--label", "label", "--probability", "p_0"), "CLASS=COLUMN"),
        ((doubtful, "--label", "label", "--probability", "0=p_0", "--probabilities", "p_"), "either"),
        ((tmp_path / "absent.csv", *raters), "no such file"),
    ):
        assert command("check", "labels", *args) == 2
        said_on = capsys.readouterr()
        assert said_on.out == ""
        assert said_on.err.count("\n") == 1
        assert said in said_on.err


def test_a_file_that_is_no_table_gets_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    program = "import sys; from weigh.cli import main; main(sys.argv[1:])"
    args = ["check", "labels", str(path), "--rater", "a", "--rater", "b"]
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "cannot be read as a table" in done.stderr
