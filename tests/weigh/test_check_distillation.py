"""The checks of a distilled student: overall, by slice, item by item, by confidence; hit, miss, boundary, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.optimize import minimize_scalar
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

import weigh
from weigh.checks.multiple_tests import holm
from weigh.checks.paired_intervals import design_effect, loss_interval, loss_p_value
from weigh.cli import main


def answers(lost: dict[str, int], gained: dict[str, int] | None = None, rows: int = 400) -> pl.DataFrame:
    """As many rows in each slice, a teacher that is right on all but ten and those that the student gains there."""
    gained = gained or {}
    parts = []
    for name, count in lost.items():
        teacher, student = np.ones(rows, dtype=int), np.ones(rows, dtype=int)
        student[:count] = 0
        teacher[rows - 10 - gained.get(name, 0) :] = 0
        student[rows - 10 :] = 0
        parts.append(pl.DataFrame({"y": np.ones(rows, dtype=int), "big": teacher, "small": student, "site": name}))
    return pl.concat(parts)


def command(*args: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    return int(ended.value.code or 0)


NAMES = ("--label", "y", "--teacher", "big", "--student", "small", "--slice", "site")


# The interval


@pytest.mark.parametrize(("lost", "gained", "rows"), [(12, 5, 100), (3, 0, 50), (9, 8, 40), (40, 1, 1000)])
def test_against_zero_it_is_mcnemars_test(lost: int, gained: int, rows: int) -> None:
    table = [[rows - lost - gained, lost], [gained, 0]]
    library = mcnemar(table, exact=False, correction=False).pvalue
    assert 2 * loss_p_value(lost, gained, rows, 0.0) == pytest.approx(library)
    low, _ = loss_interval(lost, gained, rows, library / 2)
    assert low == pytest.approx(0, abs=1e-9), "the interval ends where the test just rejects"


@pytest.mark.parametrize("loss", [-0.3, -0.02, 0.05, 0.2])
@pytest.mark.parametrize(("lost", "gained", "rows"), [(12, 5, 100), (3, 0, 50), (0, 6, 30), (0, 0, 25)])
def test_the_standard_error_is_the_likeliest_under_the_loss(lost: int, gained: int, rows: int, loss: float) -> None:
    """A second implementation: the likelihood is maximised by a search instead of solved."""

    def surprise(share: float) -> float:
        chances = np.clip([share + loss, share, 1 - 2 * share - loss], 1e-300, 1)
        return -float(np.dot([lost, gained, rows - lost - gained], np.log(chances)))

    lowest, highest = max(0.0, -loss), (1 - loss) / 2
    share = minimize_scalar(surprise, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-12}).x
    score = (lost - gained - rows * loss) / np.sqrt(rows * (2 * share + loss - loss**2))
    from scipy.stats import norm

    assert loss_p_value(lost, gained, rows, loss) == pytest.approx(norm.sf(score), rel=2e-3)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(0).multinomial(180, [0.05, 0.02, 0.93], 4000)
    low, high = loss_interval(drawn[:, 0], drawn[:, 1], 180)
    assert 0.94 < ((low <= 0.03) & (high >= 0.03)).mean() < 0.965


@pytest.mark.parametrize(("lost", "gained", "rows"), [(0, 0, 1), (1, 0, 1), (0, 0, 10_000), (5, 0, 5), (0, 5, 5)])
def test_the_ends_stand_on_both_sides_of_the_loss(lost: int, gained: int, rows: int) -> None:
    low, high = loss_interval(lost, gained, rows)
    assert -1 <= low <= (lost - gained) / rows <= high <= 1
    assert low < high
    other = loss_interval(gained, lost, rows)
    assert (-other[1], -other[0]) == pytest.approx((float(low), float(high)), abs=1e-9), "it has no favourite"


def test_groups_of_one_row_change_nothing_and_copies_count_once() -> None:
    ones = np.array([1, 0, -1, 1, 0, 0, 1, 0])
    assert design_effect(np.stack([ones, ones**2], axis=1), np.ones(8)) == pytest.approx(8 / 7)
    copied = np.stack([5 * ones, 5 * ones**2], axis=1)
    assert design_effect(copied, np.full(8, 5)) == pytest.approx(5 * 8 / 7)
    assert design_effect(np.zeros((8, 2)), np.full(8, 5)) == 5, "where nothing differs each group is one voice"


# Hit, miss, boundary


def test_a_slice_that_collapsed_behind_a_small_aggregate_is_found() -> None:
    table = answers({"a": 8, "b": 6, "c": 60, "d": 2, "e": 4, "f": 3, "g": 5}, {"a": 3, "b": 6, "d": 4})
    report = weigh.check_distillation(table, "y", "big", "small", ["site"], allowed=0.04)
    overall, slices, lost = report.results
    assert [one.finding for one in report.results] == ["no", "yes", "no"]
    assert overall.figure.value == pytest.approx((88 - 13) / 2800)
    assert slices.evidence[0]["slice"] == "site=c"
    assert slices.figure.value == pytest.approx(0.15)
    assert lost.figure.value == pytest.approx(88 / 2800)
    assert report.finding == "yes"


def test_a_student_that_lost_nothing_is_acquitted_everywhere() -> None:
    table = answers(dict.fromkeys("abcdefghij", 2), dict.fromkeys("abcdefghij", 2))
    report = weigh.check_distillation(table, "y", "big", "small", ["site"])
    assert [one.finding for one in report.results] == ["no", "no", "no"]


def test_one_small_slice_keeps_it_undecided_and_is_named() -> None:
    table = pl.concat([answers({"a": 2, "b": 2}), answers({"tiny": 0}, rows=20)])
    result = weigh.worst_slice_drop(table, "y", "big", "small", ["site"])
    assert result.finding == "undecided"
    assert any("too small to search" in note and "site=tiny" in note for note in result.notes)
    assert result.cost == {"rows": 820, "slices": 3, "searched": 2}
    low, high = proportion_confint(0, 20, method="wilson")
    assert result.figure.high == pytest.approx(high), "without a row that differs Tango's end is Wilson's"
    assert low == 0


def test_the_threshold_is_where_the_interval_ends() -> None:
    table = answers({"a": 40, "b": 2})
    lost, gained = 40 + 2, 0
    low, high = loss_interval(lost, gained, 800)
    for shift, findings in ((-1e-6, ("yes", "undecided")), (1e-6, ("undecided", "no"))):
        below = weigh.aggregate_drop(table, "y", "big", "small", threshold=float(low) + shift)
        above = weigh.aggregate_drop(table, "y", "big", "small", threshold=float(high) + shift)
        assert (below.finding, above.finding) == findings


@pytest.mark.parametrize("count", [1, 2, 50])
def test_p_values_of_many_tests_are_those_of_statsmodels(count: int) -> None:
    p = np.random.default_rng(count).random(count).round(1) ** 3
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1].tolist())


def test_the_guard_is_holms() -> None:
    table = answers({"a": 44, "b": 41, "c": 30, "d": 5, "e": 0, "f": 1})
    result = weigh.worst_slice_drop(table, "y", "big", "small", ["site"], threshold=0.05)
    alone = [float(loss_p_value(lost, 0, 400, 0.05)) for lost in (44, 41, 30, 5, 0, 1)]
    holm = dict(zip("abcdef", multipletests(alone, method="holm")[1], strict=True))
    for row in result.evidence:
        assert row["p, Holm"] == pytest.approx(holm[row["slice"][-1]])
    assert (min(holm.values()) <= 0.025) == (result.finding == "yes"), "the interval and Holm's first step agree"


def test_the_more_slices_are_searched_the_more_a_slice_must_lose() -> None:
    few, many = answers({"a": 34, "b": 0}), answers({"a": 34} | {f"s{one}": 0 for one in range(200)})
    assert weigh.worst_slice_drop(few, "y", "big", "small", ["site"]).finding == "yes"
    assert weigh.worst_slice_drop(many, "y", "big", "small", ["site"]).finding == "undecided"


def test_clean_students_raise_no_alarm_and_without_the_guard_they_would() -> None:
    random = np.random.default_rng(0)
    drawn = random.multinomial(180, [0.08, 0.03, 0.89], (400, 50))  # each slice loses just what it may
    p = loss_p_value(drawn[..., 0], drawn[..., 1], 180, 0.05)
    assert (p.min(1) * 50 <= 0.025).mean() < 0.06
    assert (p.min(1) <= 0.025).mean() > 0.5


def test_churn_is_there_where_the_aggregate_is_level() -> None:
    table = answers({"a": 50}, {"a": 50})
    report = weigh.check_distillation(table, "y", "big", "small", ["site"])
    assert [one.finding for one in report.results] == ["undecided", "no", "yes"]
    low, high = proportion_confint(50, 400, method="wilson")
    figure = report.results[2].figure
    assert (figure.value, figure.low, figure.high) == pytest.approx((0.125, low, high))
    assert [row["rows"] for row in report.results[2].evidence] == [290, 50, 50, 10, 0]


def test_agreement_with_the_teacher_is_apart_from_agreement_with_the_labels() -> None:
    table = pl.DataFrame({"y": [0, 1, 2, 3], "big": [0, 1, 3, 1], "small": [0, 2, 3, 2]})
    result = weigh.churn(table, "y", "big", "small")
    assert [row["rows"] for row in result.evidence] == [1, 1, 0, 1, 1]
    said = "agrees with the teacher on 50.0% of the rows, and with the labels on 25.0%; of the teacher's 2 errors"
    assert said in result.notes[0]


def test_a_weak_teacher_is_named() -> None:
    table = answers({"a": 2, "b": 2, "c": 2}).with_columns(
        big=pl.when(pl.col("site") == "b").then(pl.col("big") * (pl.int_range(pl.len()) % 2)).otherwise("big")
    )
    notes = weigh.worst_slice_drop(table, "y", "big", "small", ["site"]).notes
    assert any("the teacher itself is right on" in note and "site=b" in note for note in notes)


def sure(student: float) -> pl.DataFrame:
    random = np.random.default_rng(0)
    return answers({"a": 20}).with_columns(
        p_big=pl.Series(np.clip(0.96 + random.normal(0, 0.01, 400), 0, 1)),
        p_small=pl.Series(np.clip(student + random.normal(0, 0.01, 400), 0, 1)),
    )


@pytest.mark.parametrize(("student", "finding"), [(0.99, "yes"), (0.925, "no"), (0.965, "undecided")])
def test_a_student_surer_than_right_is_found(student: float, finding: str) -> None:
    table = sure(student)
    result = weigh.added_overconfidence(table, "y", "big", "small", "p_big", "p_small")
    assert result.finding == finding
    excess = (table["p_small"] - table["small"]) - (table["p_big"] - table["big"])
    error = 1.966 * float(excess.std()) / 20  # type: ignore[arg-type]
    assert result.figure.value == pytest.approx(float(excess.mean()))  # type: ignore[arg-type]
    assert result.figure.high - result.figure.value == pytest.approx(error, rel=1e-3)
    assert result.evidence[1]["accuracy"] == pytest.approx(0.925)


def test_added_overconfidence_over_groups_is_that_of_statsmodels() -> None:
    from statsmodels.regression.linear_model import OLS

    table = sure(0.97).with_columns(person=pl.Series(np.random.default_rng(1).integers(0, 40, 400)))
    excess = ((table["p_small"] - table["small"]) - (table["p_big"] - table["big"])).to_numpy()
    library = OLS(excess, np.ones(400)).fit(
        cov_type="cluster", cov_kwds={"groups": table["person"].to_numpy()}, use_t=True
    )
    figure = weigh.added_overconfidence(table, "y", "big", "small", "p_big", "p_small", group="person").figure
    assert (figure.low, figure.high) == pytest.approx(library.conf_int()[0].tolist(), abs=2e-5)


def test_rows_of_a_few_people_are_worth_less() -> None:
    table = answers({"a": 40})
    together = table.with_columns(person=pl.int_range(pl.len()) // 20)  # a person's rows are all lost or all kept
    alone = table.with_columns(person=pl.int_range(pl.len()))
    plain, one, twenty = (
        weigh.aggregate_drop(rows, "y", "big", "small", group=group).figure
        for rows, group in ((table, None), (alone, "person"), (together, "person"))
    )
    assert plain.value == one.value == twenty.value
    assert (one.low, one.high) == pytest.approx((plain.low, plain.high), abs=5e-4)
    assert twenty.low < plain.low - 0.02 and twenty.high > plain.high + 0.02


def test_few_groups_are_undecided_with_a_note() -> None:
    table = answers({"a": 200}).with_columns(person=pl.int_range(pl.len()) % 4)
    report = weigh.check_distillation(table, "y", "big", "small", ["site"], group="person")
    assert {one.finding for one in report.results[:2]} == {"undecided"}
    assert "groups are too few for an interval: 4, and 10 are needed" in report.results[0].notes


def test_a_single_row_is_undecided() -> None:
    table = pl.DataFrame({"y": [1], "big": [1], "small": [1], "p": [0.9]})
    report = weigh.check_distillation(table, "y", "big", "small", ["y"], teacher_confidence="p", student_confidence="p")
    assert {one.finding for one in report.results} == {"undecided"}
    assert "rows are too few for an interval: 1, and 30 are needed" in report.results[3].notes


# Tables


def test_all_engines_say_the_same() -> None:
    table = answers({"x": 30, "y": 4}).with_columns(
        depth=pl.when(pl.int_range(pl.len()) % 7 == 0).then(None).otherwise(pl.int_range(pl.len()) % 3),
        person=pl.int_range(pl.len()) % 37, p=pl.lit(0.5),
    )  # fmt: skip
    native = duckdb.from_arrow(table.to_arrow())
    found = [
        weigh.check_distillation(
            frame, "y", "big", "small", ["site", "depth"], group="person", teacher_confidence="p",
            student_confidence="p",
        ).results
        for frame in (table, table.to_pandas(), table.to_arrow(), native, table.lazy())
    ]  # fmt: skip
    said = [json.dumps([one.as_dict() for one in results]) for results in found]
    assert len(set(said)) == 1
    assert "depth=(missing)" in said[0] and "depth=2" in said[0], "missing is a slice, and 2.0 is 2"


def test_text_and_categories_are_answers_too() -> None:
    words = answers({"a": 30}).with_columns(pl.col("y", "big", "small").replace_strict({0: "no", 1: "yes"}))
    plain = weigh.aggregate_drop(words, "y", "big", "small")
    mixed = words.with_columns(pl.col("small").cast(pl.Categorical), pl.col("big").cast(pl.Enum(["yes", "no"])))
    assert weigh.aggregate_drop(mixed, "y", "big", "small") == plain
    assert weigh.aggregate_drop(words.to_pandas().astype("category"), "y", "big", "small") == plain
    truths = answers({"a": 30}).with_columns(pl.col("y", "big", "small").cast(pl.Boolean))
    assert weigh.aggregate_drop(truths, "y", "big", "small") == plain


def test_answers_are_equal_where_they_say_the_same() -> None:
    table = answers({"a": 30})
    plain = weigh.aggregate_drop(table, "y", "big", "small")
    as_text = table.with_columns(small=pl.col("small").cast(str))
    as_float = table.with_columns(pl.col("y", "big").cast(str), small=pl.col("small").cast(float).cast(str))
    assert weigh.aggregate_drop(as_text, "y", "big", "small") == plain, "the text 1 beside the number 1"
    assert weigh.aggregate_drop(as_float, "y", "big", "small") == plain, "the text 1.0 beside the text 1"
    large = pl.DataFrame({"y": [2**60] * 50, "small": [2**60 + 1] * 50})
    assert weigh.aggregate_drop(large, "y", "y", "small").figure.value == 1, "floats would make them one"
    cased = table.with_columns(pl.col("y", "big").replace_strict({0: "No", 1: "Yes"}),
                               small=pl.col("small").replace_strict({0: "no", 1: "yes "}))  # fmt: skip
    assert "answers differ only in case or in blanks" in weigh.aggregate_drop(cased, "y", "big", "small").notes[0]
    assert "were the two swapped?" in weigh.aggregate_drop(table, "y", "small", "big").notes[-1]


def test_the_label_may_be_a_slice_and_columns_may_be_named_twice() -> None:
    result = weigh.worst_slice_drop(answers({"a": 30}), "y", "big", "small", ["y", "y"])
    assert result.evidence[0]["slice"] == "y=1"
    assert result.cost["slices"] == 1


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_command(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"rows.{suffix}"
    bad, good = answers({"a": 60, "b": 2}), answers(dict.fromkeys("abcd", 2), dict.fromkeys("abcd", 2))
    getattr(bad, f"write_{suffix}")(path)
    assert command("check", "distillation", path, *NAMES) == 1
    assert "worst slice drop: yes" in capsys.readouterr().out
    assert command("check", "distillation", path, *NAMES, "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["name"], report["finding"]) == ("distillation", "yes")
    assert report["results"][1]["evidence"][0]["slice"] == "site=a"
    assert command("check", "distillation", path, *NAMES, "--allowed", "0.2", "--allowed-in-slice", "0.3",
                   "--allowed-churn", "0.3") == 0  # fmt: skip
    getattr(good, f"write_{suffix}")(path)
    assert command("check", "distillation", path, *NAMES) == 0
    capsys.readouterr()
    assert command("check", "distillation", path, *NAMES, "--slice", "colour") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_process_says_one_line_of_a_bad_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    ended = subprocess.run(
        [sys.executable, "-m", "weigh", "check", "distillation", str(path), *NAMES], capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert ended.stdout == "" and ended.stderr.count("\n") == 1 and str(path) in ended.stderr


# Bad input


def base(**columns: Any) -> dict[str, Any]:
    return {"y": [0, 1, 1], "big": [0, 1, 1], "small": [0, 1, 0], "site": ["a", "a", "b"]} | columns


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (base(y=[], big=[], small=[], site=[]), "has no rows"),
        (base(small=[0, None, 0]), "row 2 of column 'small' is missing, and 1 in all; drop such rows or fill them"),
        (base(small=[0.0, float("nan"), 0.0]), "row 2 of column 'small' is missing"),
        (base(small=["0", "1", "cat"]), "column 'y' holds numbers and column 'small' holds text, such as 'cat'"),
        (base(big=[True, False, True]), "column 'y' holds numbers and column 'big' holds Boolean"),
        (base(person=[1, None, 2]), "row 2 of column 'person' is missing"),
        (base(p=[0.5, 99.0, 0.2]), "row 2 of column 'p' is 99, and 1 such rows in all; give probab"),
        (base(p=["high", "low", "low"]), "numbers are needed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame, pa.table])
def test_a_bad_table_is_one_line(make: Any, columns: dict[str, Any], said: str) -> None:
    if make is pd.DataFrame and "person" in columns:
        columns = columns | {"person": pd.array(columns["person"], dtype="Int64")}
    names = {"group": "person"} if "person" in columns else {}
    names |= {"teacher_confidence": "p", "student_confidence": "p"} if "p" in columns else {}
    with pytest.raises(weigh.WeighError) as error:
        weigh.check_distillation(make(columns), "y", "big", "small", ["site"], **names)  # type: ignore[arg-type]
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_missing_or_too_fine_is_said() -> None:
    table = pl.DataFrame(base())
    for call, said in (
        (lambda: weigh.check_distillation(table, "y", "big", "small", []), "name a column for it, at least that of"),
        (lambda: weigh.worst_slice_drop(table, "y", "big", "small", []), "no slice is named"),
        (lambda: weigh.check_distillation(table, "y", "big", "tiny", ["y"]), "has no column 'tiny'"),
        (lambda: weigh.check_distillation(table, "y", "big", "small", ["y"], student_confidence="y"), "of both"),
        (lambda: weigh.check_distillation(table, "y", "big", "small", ["y"], allowed=2), "two points are 0.02"),
        (lambda: weigh.churn(table, "y", "big", "small", threshold=float("nan")), "is a share from 0"),
        (lambda: weigh.aggregate_drop(3, "y", "big", "small"), "is no table"),
        (
            lambda: weigh.worst_slice_drop(
                table.with_columns(pl.lit(1).alias("__weigh rows")), "y", "big", "small", ["__weigh rows"]
            ),
            "rename it",
        ),
        (lambda: weigh.aggregate_drop(table.with_columns(small=pl.lit(0.7)), "y", "big", "small"), "is 0.7, which is"),
        (lambda: weigh.aggregate_drop("gone.csv", "y", "big", "small"), "no such file"),
    ):
        with pytest.raises(weigh.WeighError) as error:
            call()
        assert said in str(error.value)
    fine = pl.DataFrame({"y": [1] * 1001, "ink": np.linspace(0, 1, 1001)})
    with pytest.raises(weigh.WeighError, match="column 'ink' has 1,001 values; a slice for each is too fine: bin it"):
        weigh.worst_slice_drop(fine, "y", "y", "y", ["ink"])


def test_many_rows_are_grouped_by_the_engine() -> None:
    random, rows = np.random.default_rng(0), 200_000
    label = random.integers(0, 10, rows)
    table = pl.DataFrame({
        "y": label, "big": np.where(random.random(rows) < 0.02, 0, label),
        "small": np.where((random.random(rows) < 0.2) & (label == 8), 3, label), "site": random.integers(0, 50, rows),
    })  # fmt: skip
    report = weigh.check_distillation(table, "y", "big", "small", ["y", "site"])
    assert report.results[1].evidence[0]["slice"] == "y=8"
    assert report.results[1].cost == {"rows": rows, "slices": 60, "searched": 60}
    assert [one.finding for one in report.results] == ["no", "yes", "no"]
