"""The checks of calibration: error against its noise floor, sign, classes, slices, abstention; hit, miss, bad input."""

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
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from statsmodels.discrete.discrete_model import Logit
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

import weigh
from weigh.checks.calibration.reliability import miscalibration
from weigh.checks.confidence_buckets import Buckets, borders, buckets
from weigh.cli import main


def made(rows: int, temperature: float = 1.0, seed: int = 0) -> weigh.Predictions:
    """Answers that are right as often as beta-distributed chances say, and a model whose logits are so much larger."""
    random = np.random.default_rng(seed)
    chance = random.beta(5, 2, rows)
    said = 1 / (1 + (1 / chance - 1) ** temperature)
    return weigh.Predictions(said, random.random(rows) < chance)


def frame(given: weigh.Predictions, **others: Any) -> pl.DataFrame:
    return pl.DataFrame({"sure": given.confidence, "right": given.correct.astype(int), **others})


def classified(rows: int = 3000, temperature: float = 1.0, seed: int = 0) -> pl.DataFrame:
    """Labels drawn from the probabilities of four classes, and a model whose logits are so much larger."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (rows, 4))
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (random.random((rows, 1)) > chances.cumsum(1)).sum(1)
    said = np.exp(temperature * logits)
    said /= said.sum(1, keepdims=True)
    return pl.DataFrame({"label": labels, **{f"p_{one}": said[:, one] for one in range(4)}})


def command(*args: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    return int(ended.value.code or 0)


# The error and its floor


def by_hand(sure: Any, right: Any, bins: int) -> float:
    """The calibration error as netcal and Guo and others have it: a bucket holds its upper border."""
    total = 0.0
    for low, high in zip(np.linspace(0, 1, bins + 1)[:-1], np.linspace(0, 1, bins + 1)[1:], strict=True):
        inside = (sure > low) & (sure <= high) if low else (sure <= high)
        if inside.any():
            total += inside.mean() * abs(sure[inside].mean() - right[inside].mean())
    return total


@pytest.mark.parametrize("bins", [1, 5, 15])
@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_that_of_the_formula(bins: int, seed: int) -> None:
    given = made(400, 1.5, seed)
    sure = np.round(given.confidence, 1)  # on borders
    result = weigh.calibration_error(weigh.Predictions(sure, given.correct), bins=bins)
    assert result.figure.value == pytest.approx(by_hand(sure, given.correct, bins), abs=1e-12)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_the_diagram_is_scikit_learns(strategy: Any) -> None:
    given = made(500, 1.5)
    sure = np.round(given.confidence, 2)
    accuracy, confidence = calibration_curve(given.correct, sure, n_bins=10, strategy=strategy)
    found = buckets(sure, given.correct, borders(sure, 10, strategy))
    assert found.accuracy == pytest.approx(accuracy)
    assert found.confidence == pytest.approx(confidence)
    assert ((found.lower <= found.confidence) & (found.confidence <= found.upper)).all()
    rows = weigh.calibration_error(weigh.Predictions(sure, given.correct), bins=10, strategy=strategy).evidence
    assert [row["rows"] for row in rows] == found.rows.tolist()
    assert all(row["from"] <= row["accuracy"] <= row["to"] for row in rows)


@pytest.mark.parametrize("rows", [60, 650])
def test_the_floor_is_that_of_labels_drawn_row_by_row(rows: int) -> None:
    sure, random = made(rows).confidence, np.random.default_rng(1)
    drawn = [by_hand(sure, random.random(rows) < sure, 15) for _ in range(1000)]
    edges = borders(sure, 15, "uniform")
    found = miscalibration(buckets(sure, sure, edges), 0, np.random.default_rng(0))
    assert found.floor == pytest.approx(np.median(drawn), rel=0.03)
    assert found.floor_95 == pytest.approx(np.quantile(drawn, 0.95), rel=0.04)


def test_the_floor_is_reported_with_its_rows() -> None:
    result = weigh.calibration_error(made(650))
    floor = weigh.noise_floor(made(650))
    assert f"scores {np.median(floor):.4f}, and up to {np.quantile(floor, 0.95):.4f} in 95 %" in result.notes[0]
    assert result.notes[0].startswith("noise floor: on 650 such rows a calibrated model scores 0.0")
    assert result.notes[0].endswith("not above that")


def test_a_test_at_five_percent_without_a_threshold() -> None:
    for rows in (100, 3000):
        found = [weigh.calibration_error(made(rows, 1, seed), threshold=0).figure for seed in range(80)]
        assert sum(one.low > 0 for one in found) <= 8, "5 % of 80, and two standard errors"
        assert sum(one.low > 0.02 for one in found) <= 3, "and fewer by the default"


@pytest.mark.parametrize(
    ("rows", "temperature", "finding"),
    [
        (10_000, 1, "no"),
        (10_000, 1.5, "yes"),
        (10_000, 0.6, "yes"),
        (650, 1, "undecided"),
        (650, 2, "yes"),
        (100, 1, "undecided"),
        (19, 5, "undecided"),
    ],
)
def test_what_is_found_depends_on_the_rows(rows: int, temperature: float, finding: str) -> None:
    assert weigh.calibration_error(made(rows, temperature)).finding == finding


def test_the_interval_holds_what_many_rows_would_leave() -> None:
    truth = weigh.calibration_error(made(1_000_000, 1.5)).figure.value
    ends = [weigh.calibration_error(made(500, 1.5, seed)).figure for seed in range(60)]
    assert np.mean([end.low > truth for end in ends]) <= 0.05
    assert np.mean([end.high < truth for end in ends]) <= 0.05


def test_a_sure_model_that_errs_as_often_as_is_allowed_raises_no_alarm() -> None:
    # Its floor is 0, for a calibrated model that is sure never errs; so the counts around its accuracy must count.
    random = np.random.default_rng(0)
    found = [weigh.calibration_error(weigh.Predictions(np.ones(100), random.random(100) > 0.02)) for _ in range(200)]
    assert sum(one.finding == "yes" for one in found) <= 16
    assert "up to 0.0000" in found[0].notes[0]


def test_a_second_opinion_agrees() -> None:
    for temperature, wrong in ((1.0, False), (1.5, True), (0.7, True)):
        given = made(5000, temperature, 3)
        sure, right = given.confidence, given.correct
        spiegelhalter = ((right - sure) * (1 - 2 * sure)).sum() / np.sqrt(
            ((1 - 2 * sure) ** 2 * sure * (1 - sure)).sum()
        )
        fit = Logit(right, np.stack([np.ones_like(sure), np.log(sure / (1 - sure))], axis=1)).fit(disp=0)
        assert fit.params[1] == pytest.approx(1 / temperature, abs=0.08), "the slope undoes the temperature"
        assert (abs(spiegelhalter) > 3) == wrong
        assert (weigh.calibration_error(given).finding == "yes") == wrong


def test_tied_confidences_make_fewer_buckets_of_equal_mass() -> None:
    sure = np.array([0.9] * 80 + [0.5] * 20)
    result = weigh.calibration_error(weigh.Predictions(sure, [1] * 100), strategy="quantile")
    assert result.cost["buckets"] == 2
    same = weigh.calibration_error(weigh.Predictions(np.full(100, 0.7), [1] * 70 + [0] * 30), strategy="quantile")
    assert (same.cost["buckets"], round(same.figure.value, 9)) == (1, 0)


def test_the_bucket_does_not_depend_on_the_bits_of_a_confidence() -> None:
    random = np.random.default_rng(0)
    sure = random.choice([0.5, 0.6, 0.7, 0.8, 0.9], 2000)
    right = random.random(2000) < np.select([sure == 0.6, sure == 0.7], [0.7, 0.6], sure)
    errors = [
        weigh.calibration_error(weigh.Predictions(sure.astype(kind), right), bins=10).figure.value
        for kind in (np.float32, np.float64)
    ]
    assert errors[0] == pytest.approx(errors[1], abs=1e-6)


def test_a_model_that_says_the_base_rate_is_calibrated_and_of_no_use() -> None:
    result = weigh.calibration_error(weigh.Predictions(np.full(50_000, 0.7), [1] * 35_000 + [0] * 15_000))
    assert result.finding == "no"
    assert "of no use" in result.notes[-1]
    assert "of no use" not in weigh.calibration_error(made(5000)).notes[-1]


@pytest.mark.parametrize("seed", range(3))
def test_parts_of_the_brier_score_add_up(seed: int) -> None:
    given = made(700, 1.6, seed)
    parts = weigh.brier_parts(given)
    assert parts.brier == pytest.approx(brier_score_loss(given.correct, given.confidence))
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(parts.brier, abs=1e-12)
    place = np.minimum((given.confidence * 15).astype(int), 14)
    within = sum(
        (place == one).mean() * (np.var(given.confidence[place == one])
        - 2 * np.cov(given.confidence[place == one], given.correct[place == one], bias=True)[0, 1])
        for one in np.unique(place)
    )  # fmt: skip
    assert parts.within == pytest.approx(within, abs=1e-12), "as Stephenson and others have it"
    few = weigh.Predictions(np.round(given.confidence, 1), given.correct)
    assert weigh.brier_parts(few, bins=20).within == pytest.approx(0, abs=1e-12)


# The sign


@pytest.mark.parametrize(("temperature", "sign", "finding"), [(2, "over", "yes"), (0.5, "under", "yes"), (1, "", "no")])
def test_the_sign_is_told(temperature: float, sign: str, finding: str) -> None:
    given = made(20_000, temperature)
    result = weigh.overconfidence(given)
    assert result.finding == finding
    assert result.figure.name.startswith(sign)
    assert result.figure.value == pytest.approx(abs(given.confidence.mean() - given.correct.mean()))


def test_the_interval_of_the_sign_is_never_empty() -> None:
    figure = weigh.overconfidence(weigh.Predictions(np.full(100, 0.99), np.ones(100))).figure
    assert figure.high - figure.low > 0.03
    assert weigh.overconfidence(weigh.Predictions([0.9] * 10, [0] * 10)).finding == "undecided"


@pytest.mark.parametrize(("rows", "finding"), [(20, "undecided"), (1000, "no")])
@pytest.mark.parametrize("right", [0, 1])
def test_rows_that_are_all_right_acquit_only_if_there_are_many(rows: int, finding: str, right: int) -> None:
    given = weigh.Predictions([float(right)] * rows, [right] * rows)
    assert weigh.calibration_error(given).finding == weigh.overconfidence(given).finding == finding
    high = weigh.calibration_error(given).figure.high
    assert high == pytest.approx(proportion_confint(0, rows, 0.1, "beta")[1]), "the bound of Clopper and Pearson"


# Classes and slices


def sliced(shift: float, rows: int = 20_000, slices: int = 2) -> weigh.Predictions:
    """Even slices are right more often than they are sure, odd ones less: together calibrated."""
    random = np.random.default_rng(0)
    chance, where = random.uniform(0.3, 0.7, rows), np.arange(rows) % slices
    return weigh.Predictions(
        chance, random.random(rows) < chance + np.where(where % 2, -shift, shift), {"camera": where}
    )


def test_slices_that_cancel_out_are_found() -> None:
    given = sliced(0.1)
    assert weigh.calibration_error(given).finding == "no"
    result = weigh.calibration_by_slice(given)
    assert result.finding == "yes"
    assert {row["slice"] for row in result.evidence} == {"camera = 0", "camera = 1"}
    assert all(row["Holm's p"] < 1e-6 for row in result.evidence)
    assert result.notes[0].startswith("2 of 2 slices are off by more than 0.02")
    assert weigh.calibration_by_slice(sliced(0), threshold=0.04).finding == "no"


def test_many_calibrated_slices_raise_no_alarm() -> None:
    alarms = 0
    for seed in range(5):
        given = made(2000, 1, seed)
        slices = {"customer": np.arange(2000) % 20}
        result = weigh.calibration_by_slice(weigh.Predictions(given.confidence, given.correct, slices), threshold=0)
        alarms += result.finding == "yes"
        assert (result.finding == "yes") == (min(row["Holm's p"] for row in result.evidence) <= 0.05)
    assert alarms <= 1, "while one at 5 % of 20 slices is nearly certain"


def test_p_values_are_holms() -> None:
    given = sliced(0.13, 2000, 10)
    result = weigh.calibration_by_slice(given, threshold=0)
    edges, alone = borders(given.confidence, 15, "uniform"), []
    for one in range(10):
        some = np.asarray(given.slices["camera"]) == one
        sure, right = given.confidence[some], given.correct[some]
        found, random = buckets(sure, right, edges), np.random.default_rng(one)
        place = np.searchsorted(edges[1:-1], sure)
        drawn = [
            abs(np.bincount(place, sure - (random.random(len(sure)) < sure), 15)).sum() / len(sure) for _ in range(200)
        ]
        alone.append((np.array(drawn) >= found.error).mean())
    adjusted = dict(zip([f"camera = {one}" for one in range(10)], multipletests(alone, method="holm")[1], strict=True))
    ours = {row["slice"]: row["Holm's p"] for row in result.evidence}
    assert {name for name, p in adjusted.items() if p < 0.02} <= {name for name, p in ours.items() if p < 0.05}
    assert {name for name, p in adjusted.items() if p > 0.2} <= {name for name, p in ours.items() if p > 0.05}
    assert min(ours.values()) < 0.05


def test_small_slices_are_left_out_and_named() -> None:
    given = made(100)
    only = weigh.Predictions(given.confidence, given.correct, {"kind": ["a"] * 81 + ["b"] * 19})
    result = weigh.calibration_by_slice(only)
    assert [row["slice"] for row in result.evidence] == ["kind = a"]
    assert any("1 slices have fewer than 20 rows" in note for note in result.notes)
    few = weigh.Predictions([0.9] * 5, [1] * 5, {"kind": list("abcde")})
    assert weigh.calibration_by_slice(few).finding == "undecided"


def test_a_class_that_is_off_is_found_where_the_whole_is_not() -> None:
    random = np.random.default_rng(0)
    said = random.integers(0, 2, 8000)
    sure = random.uniform(0.6, 0.8, 8000)
    right = random.random(8000) < sure + np.where(said, 0.1, -0.1)
    table = pl.DataFrame({"label": np.where(right, said, 1 - said), "p_0": np.where(said, 1 - sure, sure),
                          "p_1": np.where(said, sure, 1 - sure)})  # fmt: skip
    report = weigh.check_calibration(table, label="label", probabilities="p_")
    assert [(result.check, result.finding) for result in report.results] == [
        ("calibration", "no"), ("over- or under-confidence", "no"), ("calibration by class", "yes"),
    ]  # fmt: skip
    assert report.results[2].evidence[0]["slice"] in ("predicted class = 0", "predicted class = 1")


def test_class_wise_error_is_the_mean_over_classes() -> None:
    table = classified(800, 1.5)
    note = weigh.calibration_by_class(weigh.predictions(table, label="label", probabilities="p_")).notes[-1]
    by_class = [by_hand(table[f"p_{one}"].to_numpy(), (table["label"] == one).to_numpy(), 15) for one in range(4)]
    assert f"class-wise calibration error {np.mean(by_class):.4f}" in note


@pytest.mark.parametrize(("temperature", "finding"), [(1.0, "no"), (2.0, "yes")])
def test_a_classifier_is_checked_by_its_likeliest_class(temperature: float, finding: str) -> None:
    table = classified(40_000, temperature)
    report = weigh.check_calibration(table, label="label", probabilities="p_", threshold=0.03)
    assert report.finding == finding
    chances = table.drop("label").to_numpy()
    right = chances.argmax(1) == table["label"].to_numpy()
    assert (
        report.results[0].figure
        == weigh.calibration_error(weigh.Predictions(chances.max(1), right), threshold=0.03).figure
    )


def test_classes_have_one_name_in_columns_and_in_labels() -> None:
    table = classified(100)
    known = weigh.check_calibration(table, label="label", probabilities="p_")
    named = table.rename({f"p_{one}": f"p_{one}.0" for one in range(4)})
    for label in (pl.col("label"), pl.col("label").cast(float), pl.col("label").cast(float).cast(str)):
        assert weigh.check_calibration(named.with_columns(label), label="label", probabilities="p_") == known
    truths = pl.DataFrame({"y": [True, False] * 20, "p_True": [0.5] * 40, "p_False": [0.5] * 40})
    assert weigh.check_calibration(truths, label="y", probabilities="p_").results[0].figure.value == 0


def test_what_happened_is_no_slice() -> None:
    for named in ({"correct": "right", "confidence": "sure"}, {"label": "label", "probabilities": "p_"}):
        table = classified(100).with_columns(right=pl.lit(1), sure=pl.lit(1))
        column = named.get("correct", named.get("label"))
        with pytest.raises(weigh.WeighError, match=f"column '{column}' cannot be a slice: of the rows that turned out"):
            weigh.check_calibration(table, slices=[str(column)], **named)


# Abstention


def test_the_curve_is_that_of_sorted_rows() -> None:
    given = made(1000, 1.3)
    order = np.argsort(-given.confidence)
    risks = np.cumsum(1 - given.correct[order]) / np.arange(1, 1001)
    result = weigh.answerable(given, 0.2)
    for row in result.evidence:
        assert row["risk"] == pytest.approx(risks[round(1000 * row["answered"]) - 1])
    assert f"AURC {risks.mean():.4f}; {risks[-1]:.4f} in random order" in result.notes[0]
    assert result.figure.value == max(row["answered"] for row in result.evidence if row["risk"] <= 0.2)


@pytest.mark.parametrize(("risk", "finding"), [(0.6, "no"), (0.02, "yes"), (0.24, "undecided")])
def test_enough_rows_can_be_answered_or_not(risk: float, finding: str) -> None:
    assert weigh.answerable(made(2000), risk).finding == finding


def test_what_is_said_to_be_answerable_is() -> None:
    broken = 0
    for seed in range(60):
        given = made(500, 1, seed)
        low = weigh.answerable(given, 0.15).figure.low
        if low:
            answered = np.sort(given.confidence)[::-1][: round(500 * low)]
            broken += (1 - answered).mean() > 0.15  # the risk of these rows is known: confidences are true
    assert broken <= 3


def test_rows_of_one_confidence_are_answered_together() -> None:
    given = weigh.Predictions(np.full(100, 0.8), [1] * 80 + [0] * 20)
    result = weigh.answerable(given, 0.1)
    assert [row["answered"] for row in result.evidence] == [1.0]
    assert result.figure.value == 0
    assert result.notes[0].startswith("AURC 0.2000; 0.2000 in random order")
    assert weigh.answerable(weigh.Predictions([0.9] * 9, [1] * 9), 0.1).finding == "undecided"
    assert weigh.answerable(weigh.Predictions([0.9] * 900, [1] * 900), 0.1).finding == "no"


# Tables


def test_one_answer_for_every_engine(tmp_path: Path) -> None:
    table = frame(made(400, 1.4), part=["a", "b"] * 200)
    shown = table  # noqa: F841 - DuckDB finds it by its name
    table.write_csv(tmp_path / "t.csv")
    table.write_parquet(tmp_path / "t.parquet")
    tables = [table, table.to_pandas(), table.to_arrow(), duckdb.sql("select * from shown"),
              tmp_path / "t.csv", tmp_path / "t.parquet",
              table.with_columns(pl.col("right").cast(pl.Boolean))]  # fmt: skip
    found = [
        weigh.check_calibration(one, correct="right", confidence="sure", slices=["part"], risk=0.1).results
        for one in tables
    ]
    assert all(one == found[0] for one in found)


def test_slices_have_one_name_in_every_type() -> None:
    table = frame(made(100), part=[1, 2] * 50)
    names = [
        [row["slice"] for row in weigh.calibration_by_slice(
            weigh.predictions(one, correct="right", confidence="sure", slices=["part"])).evidence]
        for one in (table, table.with_columns(pl.col("part").cast(float)), table.with_columns(pl.col("part").cast(str)))
    ]  # fmt: skip
    assert names[0] == names[1] == names[2]


def test_a_softmax_in_few_bits_may_end_above_one() -> None:
    assert weigh.Predictions([1.00001] * 30, [1] * 30).confidence.max() == 1


def test_a_million_rows() -> None:
    found = weigh.calibration_error(made(1_000_000, 1.0))
    assert (found.finding, found.cost) == ("no", {"rows": 1_000_000, "buckets": 15})


GOOD: dict[str, list[Any]] = {"right": [1, 0], "sure": [0.9, 0.4], "part": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "named", "said"),
    [
        ({}, {}, "not clear what was predicted"),
        ({}, {"correct": "right"}, "not clear what was predicted"),
        ({}, {"correct": "right", "confidence": "sure", "label": "right"}, "not clear what was predicted"),
        ({}, {"correct": "right", "confidence": "surer"}, "no column 'surer'; there are 'sure'"),
        ({}, {"correct": "right", "confidence": "part"}, "numbers are needed"),
        ({"sure": [0.9, None]}, {}, "row 2 of column 'sure' is missing"),
        ({"sure": [0.9, float("nan")]}, {}, "row 2 of column 'sure' is missing or not finite"),
        ({"sure": [0.9, 3.5]}, {}, "row 2 of column 'sure' is 3.5, and 1 such rows in all; give probabilities"),
        ({"sure": [-0.1, 0.5]}, {}, "row 1 of column 'sure' is -0.1"),
        ({"right": [1, 2]}, {}, "row 2 of column 'right' is 2"),
        ({"right": ["yes", "no"]}, {}, "column 'right' is String"),
        ({"part": ["a", None]}, {"slices": ["part"]}, "row 2 of column 'part' is missing"),
        ({"right": [], "sure": [], "part": []}, {}, "no rows"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(change: Any, named: Any, said: str) -> None:
    asked = named if "correct" in named or not change else {"correct": "right", "confidence": "sure", **named}
    with pytest.raises(weigh.WeighError, match=said) as refused:
        weigh.check_calibration(pl.DataFrame(GOOD | change), **asked)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("sure", "right", "said"),
    [
        ([], [], "no rows"),
        ([0.5], [0, 1], "lengths of"),
        ([float("nan")], [0], "row 1 of confidence is nan"),
        ([[0.5]], [0], "more than one column"),
        (["high"], [0], "no number"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(sure: Any, right: Any, said: str) -> None:
    with pytest.raises(weigh.WeighError, match=said):
        weigh.Predictions(sure, right)


def test_settings_out_of_range_are_refused() -> None:
    given = made(50)
    for call, said in (
        (lambda: weigh.calibration_error(given, bins=0), "bins"),
        (lambda: weigh.calibration_error(given, strategy="equal"), "uniform, quantile"),  # type: ignore[arg-type]
        (lambda: weigh.calibration_error(given, threshold=-1), "threshold"),
        (lambda: weigh.overconfidence(given, threshold=1), "threshold"),
        (lambda: weigh.answerable(given, 2), "risk"),
        (lambda: weigh.calibration_by_slice(given), "no slices"),
        (lambda: weigh.calibration_by_class(given), "no classes"),
        (lambda: weigh.calibration_by_slice(weigh.Predictions([0.5] * 500, [0] * 500, {"row": range(500)})), "Bin it"),
    ):
        with pytest.raises(weigh.WeighError, match=said):
            call()


def test_no_bucket_is_without_rows() -> None:
    found = buckets(np.array([0.0, 1.0]), np.array([0, 1]), borders(np.array([0.0, 1.0]), 15, "uniform"))
    assert isinstance(found, Buckets)
    assert (found.rows.tolist(), found.error) == ([1, 1], 0)


# The command


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_command_says_it_by_its_exit_code(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def path(name: str, table: pl.DataFrame) -> Path:
        file = tmp_path / f"{name}.{suffix}"
        (table.write_csv if suffix == "csv" else table.write_parquet)(file)
        return file

    off = path("off", classified(2000, 2))
    assert command("check", "calibration", off, "--label", "label", "--probabilities", "p_", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["finding"], len(found["results"])) == ("calibration", "yes", 3)
    named = [part for one in range(4) for part in ("--probability", f"{one}=p_{one}")]
    assert command("check", "calibration", off, "--label", "label", *named, "--json") == 1
    assert json.loads(capsys.readouterr().out) == found

    good = path("good", frame(made(10_000), part=["a", "b"] * 5000))
    columns = ("--correct", "right", "--confidence", "sure")
    assert command("check", "calibration", good, *columns, "--risk", "0.5") == 0
    shown = capsys.readouterr().out
    assert "calibration: no" in shown
    assert "abstention: no" in shown
    assert command("check", "calibration", good, *columns, "--slice", "part", "--strategy", "quantile") == 0
    assert "calibration by slice" in capsys.readouterr().out

    for args, said in (
        ((good,), "not clear what was predicted"),
        ((good, "--correct", "right", "--confidence", "sur"), "'sure'"),
        ((good, *columns, "--threshold", "-1"), "threshold"),
        ((good, *columns, "--risk", "0"), "risk"),
        ((good, *columns, "--slice", "sure"), "Bin it"),
        ((off, "--label", "label", "--probability", "p_0"), "CLASS=COLUMN"),
        ((off, "--label", "label", "--probability", "0=p_0", "--probabilities", "p_"), "either"),
        ((tmp_path / "absent.csv", *columns), "no such file"),
    ):
        assert command("check", "calibration", *args) == 2
        said_on = capsys.readouterr()
        assert said_on.out == ""
        assert said_on.err.count("\n") == 1
        assert said in said_on.err


def test_a_file_that_is_no_table_gets_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    program = "import sys; from weigh.cli import main; main(sys.argv[1:])"
    args = ["check", "calibration", str(path), "--correct", "a", "--confidence", "b"]
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "cannot be read as a table" in done.stderr


def test_pandas_with_missing_values_is_refused() -> None:
    table = pd.DataFrame({"right": [1.0, np.nan], "sure": [0.5, 0.5]})
    with pytest.raises(weigh.WeighError, match="row 2 of column 'right'"):
        weigh.predictions(table, correct="right", confidence="sure")
