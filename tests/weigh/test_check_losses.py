"""`weigh check losses`: the fault found, its absence seen, the edge between, and what is refused."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.metrics as metrics
import torch
from click.testing import CliRunner

import weigh
from weigh.checks.losses.check import LOSSES, OBJECTIVES
from weigh.checks.losses.paired import value
from weigh.checks.losses.scores import SCORES, Predictions
from weigh.cli import main
from weigh.errors import InvalidSetting, InvalidTable, NotFound


def skewed(rows: int = 400, seed: int = 0) -> pl.DataFrame:
    """Targets with a tail, predicted by their mean and by their median, each with a little noise."""
    rng = np.random.default_rng(seed)
    y = rng.lognormal(0, 1, rows)
    noise = rng.normal(0, 0.05, (2, rows))
    return pl.DataFrame(
        {"y": y, "mean": np.exp(0.5) + noise[0], "median": 1 + noise[1], "home": np.arange(rows) // 4 % (rows // 4)}
    )


def clicks(rows: int = 600, seed: int = 0) -> pl.DataFrame:
    """A sure model that is right more often, and a careful one that its log loss prefers."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    sure, careful = (np.where(rng.random(rows) < right, y, 1 - y) for right in (0.93, 0.85))
    return pl.DataFrame({"y": y, "sure": np.where(sure, 0.9999, 0.0001), "careful": np.where(careful, 0.85, 0.15)})


def lists(queries: int = 60, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, queries * 5)
    rough = rng.normal(0, 0.3, y.size)
    return pl.DataFrame({"q": np.repeat(np.arange(queries), 5), "y": y, "a": 3 * y + rough, "b": rough})


def tokens(short: float = 2.0, sequences: int = 40, seed: int = 0) -> pl.DataFrame:
    """Half the sequences have 2 tokens, half 40; the tokens of the short ones have another loss than 4."""
    rng = np.random.default_rng(seed)
    length = np.where(np.arange(sequences) % 2, 2, 40)
    number = np.repeat(np.arange(sequences), length)
    loss = np.where(length[number] == 2, short, 4.0) + rng.normal(0, 0.1, number.size)
    return pl.DataFrame({"text": number, "loss": loss, "label": rng.integers(0, 500, number.size)})


def asked(table: Any, loss: str = "absolute", objective: str = "bias", **given: Any) -> weigh.CheckResult:
    return weigh.loss_against_objective(table, "y", ["mean", "median"], loss, objective, **{"resamples": 100, **given})


def test_a_median_is_found_where_users_see_the_total() -> None:
    result = asked(skewed())
    assert result.finding == "yes"
    assert "from median, the favourite of absolute, to mean" in result.figure.name
    assert 0 < result.figure.low < result.figure.value < result.figure.high
    by = {row["score"]: row for row in result.evidence}
    assert by["absolute"]["prefers"] == "median" and by["squared"]["prefers"] == "mean" == by["bias"]["prefers"]


def test_a_loss_that_is_its_own_objective_is_no_fault() -> None:
    result = asked(skewed(), "squared", "squared")
    assert (result.finding, asked(skewed(), "squared", "bias").finding) == ("no", "no")
    assert result.figure.value < 0 and "squared prefers mean to median" in result.notes[0]


def test_two_equal_models_are_no_fault() -> None:
    table = skewed().with_columns(median=pl.col("mean"))
    result = asked(table)
    assert (result.finding, result.figure.value, result.figure.low) == ("no", 0, 0)
    assert "cannot tell" in result.notes[0]


def test_a_gain_within_chance_is_undecided_and_a_threshold_moves_the_edge() -> None:
    found = asked(skewed())
    between = asked(skewed(), threshold=found.figure.value)
    assert between.finding == "undecided" and between.figure == found.figure
    assert asked(skewed(), threshold=found.figure.high).finding == "no", "a gain of just the threshold is none"
    assert asked(skewed(), threshold=np.nextafter(found.figure.low, -1)).finding == "yes"


def test_a_sure_model_that_is_right_more_often_loses_by_log_loss() -> None:
    result = weigh.loss_against_objective(clicks(), "y", ["sure", "careful"], "log", "accuracy")
    assert result.finding == "yes" and "from careful" in result.figure.name
    names = [row["score"] for row in result.evidence]
    assert names[:2] == ["log", "accuracy"] and {"brier", "auc", "recall"} < set(names) and "p95" not in names


def test_three_models_are_compared_at_once() -> None:
    table = skewed().with_columns(other=pl.col("mean") + 0.01)
    two, three = (
        asked(table),
        weigh.loss_against_objective(table, "y", ["mean", "median", "other"], "absolute", "bias", resamples=100),
    )
    assert three.finding == "yes" and three.figure.high - three.figure.low > 0
    assert three.figure.value >= two.figure.value
    assert three.cost["resamples"] == 3 * 100


def test_rows_of_one_home_count_as_one() -> None:
    four = pl.concat([skewed()] * 4).with_columns(home=pl.Series(np.tile(np.arange(400), 4)))
    by_row, by_home, once = asked(four), asked(four, group="home"), asked(skewed())
    width = [result.figure.high - result.figure.low for result in (by_row, by_home, once)]
    assert width[0] < 0.6 * width[1], "copies are no evidence"
    assert 0.8 < width[1] / width[2] < 1.25
    assert "over home" in by_home.figure.interval


@pytest.mark.parametrize(
    ("name", "library"),
    {
        "squared": metrics.mean_squared_error,
        "absolute": metrics.mean_absolute_error,
        "quantile": lambda y, p: metrics.mean_pinball_loss(y, p, alpha=0.5),
        "huber": lambda y, p: float(torch.nn.functional.huber_loss(torch.tensor(p), torch.tensor(y).double())),
        "log": metrics.log_loss,
        "brier": metrics.brier_score_loss,
        "hinge": lambda y, p: metrics.hinge_loss(2 * y - 1, p),
        "accuracy": lambda y, p: metrics.accuracy_score(y, p > 0.5),
        "auc": metrics.roc_auc_score,
        "average-precision": metrics.average_precision_score,
        "recall": lambda y, p: metrics.recall_score(y, p > 0.5),
        "precision": lambda y, p: metrics.precision_score(y, p > 0.5),
        "f1": lambda y, p: metrics.f1_score(y, p > 0.5),
        "median": lambda y, p: np.quantile(abs(y - p), 0.5, method="inverted_cdf"),
        "p95": lambda y, p: np.quantile(abs(y - p), 0.95, method="inverted_cdf"),
        "bias": lambda y, p: abs(np.mean(y - p)),
    }.items(),
)
def test_a_score_is_the_librarys(name: str, library: Callable[[Any, Any], float]) -> None:
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 2, 301), rng.random(301).round(2)
    p[:2] = y[:2]  # sure and right
    assert value(SCORES[name], Predictions(y, p)) == pytest.approx(library(y, p))


@pytest.mark.parametrize("at", [None, 1, 3])
def test_a_score_of_lists_is_the_librarys_with_ties_too(at: int | None) -> None:
    rng = np.random.default_rng(2)
    y, s = rng.integers(0, 4, (50, 7)), rng.integers(0, 4, (50, 7)).astype(float)
    y[:, 0] += 1
    one = Predictions(y.ravel().astype(float), s.ravel(), np.repeat(np.arange(50), 7), at=at)
    assert value(SCORES["ndcg"], one) == pytest.approx(metrics.ndcg_score(y, s, k=at))
    share = torch.tensor(y / y.sum(1, keepdims=True))
    assert value(SCORES["softmax"], one) == pytest.approx(
        float(torch.nn.functional.cross_entropy(torch.tensor(s), share))
    )


def test_equal_scores_win_nothing_in_a_list() -> None:
    one = Predictions(np.array([1.0, 0, 0, 1, 0, 0]), np.zeros(6), np.repeat([0, 1], 3))
    assert value(SCORES["top-1"], one) == 0
    assert value(SCORES["reciprocal-rank"], one) == pytest.approx(1 / 3)


def test_lists_need_their_query_and_leave_out_those_without_an_answer() -> None:
    table = lists().with_columns(y=pl.when(pl.col("q") < 7).then(0).otherwise(pl.col("y")))
    mixed = table.sample(fraction=1, shuffle=True, seed=3)
    first, second = (
        weigh.loss_against_objective(one, "y", ["a", "b"], "softmax", "ndcg", group="q", at=3) for one in (table, mixed)
    )
    assert first.finding == "no" and first.figure.value == pytest.approx(second.figure.value)
    assert "7 of 60 queries have no relevant item" in first.notes[1]
    with pytest.raises(InvalidSetting, match="name the column of queries"):
        weigh.loss_against_objective(table, "y", ["a", "b"], "softmax", "ndcg")


def test_a_mean_of_sequence_means_apart_from_the_token_mean_is_found() -> None:
    result = weigh.token_and_sequence_mean(tokens(), "text", "loss")
    assert result.finding == "yes" and result.figure.low < result.figure.value < result.figure.high
    table = tokens()
    by_token = float(table["loss"].to_numpy().mean())
    by_sequence = float(table.group_by("text").agg(pl.col("loss").mean())["loss"].to_numpy().mean())
    assert result.figure.value == pytest.approx(abs(by_sequence - by_token))
    assert "counts 20 times" in result.notes[0]
    assert result.evidence[0]["weight of its tokens"] == pytest.approx(table.height / 40 / result.evidence[0]["tokens"])


def test_the_same_loss_everywhere_is_no_fault_whatever_the_lengths() -> None:
    assert weigh.token_and_sequence_mean(tokens(short=4.0), "text", "loss").finding == "no"
    edge = weigh.token_and_sequence_mean(tokens(), "text", "loss")
    assert weigh.token_and_sequence_mean(tokens(), "text", "loss", threshold=edge.figure.value).finding == "undecided"


def test_ignored_labels_do_not_count() -> None:
    table = tokens().with_columns(label=pl.when(pl.col("text") == 0).then(-100).otherwise(pl.col("label")))
    counted = weigh.ignored_labels(table, "loss", "label")
    assert (counted.finding, counted.figure.value, counted.evidence[0]["row"]) == ("yes", 40, 1)
    zeroed = table.with_columns(loss=pl.when(pl.col("label") == -100).then(0.0).otherwise(pl.col("loss")))
    clean = weigh.ignored_labels(zeroed, "loss", "label")
    assert (clean.finding, clean.figure.value) == ("no", 0)
    kept = zeroed.filter(pl.col("label") != -100)
    assert f"mean loss {kept['loss'].mean():.4g} without them, {zeroed['loss'].mean():.4g} with" in clean.notes[0]
    both = weigh.token_and_sequence_mean(zeroed, "text", "loss", label="label").figure
    assert both == weigh.token_and_sequence_mean(kept, "text", "loss").figure
    assert weigh.ignored_labels(table.with_columns(label=pl.lit(-100)), "loss", "label").finding == "yes"


def test_a_loss_above_that_of_frequencies_is_a_smell_of_shifted_labels() -> None:
    table = tokens(4.0)
    assert weigh.shifted_labels(table, "text", "loss", "label").finding == "no"
    wrong = weigh.shifted_labels(table.with_columns(pl.col("loss") + 4), "text", "loss", "label")
    assert wrong.finding == "yes"


def test_label_frequencies_come_from_the_other_sequences() -> None:
    table = pl.DataFrame({"text": [0, 0, 1, 1, 1], "label": [5, 5, 5, 6, 6], "loss": [0.0] * 5})
    result = weigh.shifted_labels(table, "text", "loss", "label")
    chances = np.array([2, 2, 3, 1, 1]) / np.array([5, 5, 4, 4, 4])
    assert result.figure.value == pytest.approx(np.log(chances).mean())
    assert result.finding == "undecided", "two sequences are too few"


@pytest.mark.parametrize("question", ["predictions", "tokens"])
def test_every_kind_of_table_gives_the_same_answer(tmp_path: Path, question: str) -> None:
    table = skewed() if question == "predictions" else tokens()
    given: dict[str, Any] = (
        {"target": "y", "predictions": ("mean", "median"), "loss": "absolute", "objective": "absolute", "group": "home"}
        if question == "predictions"
        else {"sequence": "text", "token_loss": "loss", "label": "label"}
    )
    table.write_parquet(tmp_path / "rows.parquet")
    kinds = [table, table.to_pandas(), table.to_arrow(), duckdb.from_arrow(table.to_arrow()), tmp_path / "rows.parquet"]
    first, *others = [weigh.check_losses(kind, **given).results for kind in kinds]
    assert all(other == first for other in others)


def test_many_rows_are_drawn_by_blocks_with_the_standard_error_of_rows() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=200_000)
    table = pl.DataFrame({"y": y, "mean": y + rng.normal(size=y.size), "median": y + 1})
    result = asked(table, "squared", "absolute", resamples=400)
    gains = np.abs(table["mean"] - y) - 1
    half = (result.figure.high - result.figure.low) / 2
    assert half == pytest.approx(1.96 * gains.std() / np.sqrt(y.size), rel=0.15)
    assert result.cost == {"rows": 200_000, "models": 2, "resamples": 800}


def run(*arguments: object) -> Any:
    def called() -> None:
        main([str(argument) for argument in arguments])

    import click

    return CliRunner().invoke(click.Command("weigh", callback=called))


PREDICTED = ("--target", "y", "--prediction", "mean", "--prediction", "median")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_command_exits_with_1_where_the_fault_is_and_with_0_where_not(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows.{suffix}"
    getattr(skewed(), f"write_{suffix}")(path)
    found = run("check", "losses", path, *PREDICTED, "--loss", "absolute", "--objective", "bias", "--json")
    assert found.exit_code == 1 and json.loads(found.stdout)["finding"] == "yes"
    clean = run("check", "losses", path, *PREDICTED, "--loss", "squared", "--objective", "bias")
    assert clean.exit_code == 0 and "loss against objective: no" in clean.stdout
    tokens().write_csv(tmp_path / "tokens.csv")
    apart = run("check", "losses", tmp_path / "tokens.csv", "--sequence", "text", "--token-loss", "loss", "--json")
    assert apart.exit_code == 1 and [one["check"] for one in json.loads(apart.stdout)["results"]] == [
        "token mean and sequence mean"
    ]


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        ("y,mean,median\n", ("squared", "absolute"), "has no rows"),
        ("y,mean\n1,2\n", ("squared", "absolute"), "has no column 'median'"),
        ("y,mean,median\n1,2,\n2,1,1\n", ("squared", "absolute"), "row 1 of column 'median' is missing"),
        ("y,mean,median\n1,2,x\n2,1,1\n", ("squared", "absolute"), "numbers are needed"),
        ("y,mean,median\n1,2,inf\n2,1,1\n", ("squared", "absolute"), "not finite"),
        ("y,mean,median\n1,2,1\n2,1,1\n", ("log", "accuracy"), "row 2 of column 'y' is 2"),
        ("y,mean,median\n1,.2,1\n1,1,1\n", ("log", "accuracy"), "column 'y' holds one class"),
        ("y,mean,median\n1,.2,1\n0,1,-1\n", ("log", "accuracy"), "row 2 of column 'median' is -1"),
        ("y,mean,median\n1,2,1\n2,1,1\n", ("squared", "ndcg"), "name the column of queries"),
        ("\x00\x01binary", ("squared", "absolute"), "rows.csv"),
        (
            "y,mean,median\n1,2,nan\n2,1,1\n",
            ("squared", "absolute"),
            "row 1 of column 'median' is missing or not finite",
        ),
        ("y,mean,median\n1,2,1\n2,1e308,1\n", ("huber", "bias"), "row 2 of column 'mean' is 1e+308, whose square"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, content: str, arguments: tuple[str, str], said: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    done = run("check", "losses", path, *PREDICTED, "--loss", arguments[0], "--objective", arguments[1])
    assert done.exit_code == 2 and done.stdout == ""
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_a_single_row_is_undecided_not_a_nan(tmp_path: Path) -> None:
    result = asked(skewed().head(1))
    assert result.finding == "undecided" and "1 rows or groups are too few" in result.notes[0]
    assert result.as_dict()["figure"]["low"] is None


def test_a_single_row_of_a_class_is_shown_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("y,mean,median\n1,0.5,0.2\n")
    done = run("check", "losses", path, *PREDICTED, "--loss", "log", "--objective", "absolute")
    assert done.exit_code == 2 and "holds one class" in done.stderr
    result = asked(pl.read_csv(path), "squared", "absolute")
    assert not any(math.isnan(row["mean"]) for row in result.evidence)


def test_too_few_of_a_class_are_undecided() -> None:
    table = pl.DataFrame({"y": [1] * 3 + [0] * 97, "mean": [0.9] * 100, "median": [0.1] * 100})
    assert "3 rows of a class" in asked(table, "log", "auc").notes[0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"loss": "square"}, "there is no 'square'"),
        ({"objective": "rmse"}, "there is no 'rmse'"),
        ({"quantile": 1.0}, "between 0 and 1"),
        ({"delta": 0.0}, "above 0"),
        ({"at": 0}, "1 or more"),
        ({"resamples": 1}, "2 to 100,000"),
        ({"resamples": 10**11}, "2 to 100,000"),
        ({"threshold": float("nan")}, "a finite number"),
        ({"cut": float("inf")}, "a finite number"),
    ],
)
def test_a_setting_that_is_unknown_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        asked(skewed(), **given)


def test_what_is_not_asked_clearly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="two models or more"):
        weigh.loss_against_objective(skewed(), "y", ["mean", "mean"], "squared", "bias")
    with pytest.raises(InvalidSetting, match="not clear what to ask"):
        weigh.check_losses(skewed(), target="y")
    with pytest.raises(InvalidSetting, match="not clear what to ask"):
        weigh.check_losses(tokens(), sequence="text")
    with pytest.raises(NotFound):
        weigh.check_losses(tmp_path / "none.csv", sequence="text", token_loss="loss")
    with pytest.raises(InvalidTable, match="is no table"):
        weigh.check_losses(3, sequence="text", token_loss="loss")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--quantile", "0.3", "quantile: is a setting of predictions"),
        ("--at", "3", "at: is a setting of predictions"),
        ("--threshold", "nan", "threshold: is a finite number"),
        ("--resamples", "0", "resamples: are 2 to 100,000"),
    ],
)
def test_settings_that_tokens_have_not_are_refused_in_one_line(
    tmp_path: Path, option: str, value: str, said: str
) -> None:
    path = tmp_path / "tokens.csv"
    tokens().write_csv(path)
    done = run("check", "losses", path, "--sequence", "text", "--token-loss", "loss", option, value)
    assert done.exit_code == 2 and said in done.stderr and done.stderr.count("\n") == 1


def test_tokens_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(InvalidTable, match="row 1 of column 'loss' is 1e\\+300, whose square is infinite"):
        weigh.token_and_sequence_mean(tokens().with_columns(loss=pl.lit(1e300)), "text", "loss")
    table = tokens()
    with pytest.raises(InvalidTable, match="all labels of column 'label' are -100"):
        weigh.token_and_sequence_mean(table.with_columns(label=pl.lit(-100)), "text", "loss", label="label")
    with pytest.raises(InvalidTable, match="names one sequence"):
        weigh.shifted_labels(table.with_columns(text=pl.lit(1)), "text", "loss", "label")
    with pytest.raises(InvalidTable, match="row 1 of column 'loss' is missing"):
        weigh.token_and_sequence_mean(table.with_columns(loss=pl.lit(float("nan"))), "text", "loss")
    with pytest.raises(InvalidTable, match="row 1 of column 'text' is missing"):
        weigh.token_and_sequence_mean(table.with_columns(text=pl.lit(None)), "text", "loss")
    nested = table.with_columns(text=pl.concat_list("text", "text"))
    with pytest.raises(InvalidTable, match="by more than numbers"):
        weigh.token_and_sequence_mean(nested, "text", "loss")


def test_pandas_with_words_and_numbers_in_one_column_is_refused() -> None:
    mixed = pd.DataFrame({"y": [1, "x", 2], "mean": [1, 2, 3], "median": [1, 2, 3]})
    with pytest.raises(InvalidTable, match="numbers are needed"):
        asked(mixed)


def test_the_names_are_those_of_the_scores() -> None:
    assert set(LOSSES) < set(OBJECTIVES) == set(SCORES)
    assert not any(SCORES[name].unit == "whole" for name in LOSSES), "a loss is a mean"


def test_the_command_is_a_process_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "weigh", "check", "losses", str(tmp_path / "none.csv"), "--sequence", "a",
         "--token-loss", "b"], capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1) and "no such file" in done.stderr
