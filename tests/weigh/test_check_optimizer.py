"""The check of training logs: runs that come apart, stand still or learn by heart, and runs that do not."""

import json
import logging
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
import torch
from click.testing import CliRunner

import weigh
from weigh.checks.optimizers.rises import levels, rise
from weigh.cli.group import weigh as command
from weigh.errors import InvalidSetting, InvalidTable, NotFound

STEPS = 200


def table(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({"step": np.arange(STEPS), **columns})


def noisy(level: Any, seed: int = 0, spread: float = 0.2) -> Any:
    """A level with noise of a fifth, as gradient norms of batches have it."""
    return level * np.exp(np.random.default_rng(seed).normal(0, spread, STEPS))


FALLING = 2 * np.exp(-np.arange(STEPS) / 50) + 0.5
GROWING = np.where(np.arange(STEPS) < 100, 1, 1.03 ** (np.arange(STEPS) - 100))


@pytest.fixture
def calm() -> pl.DataFrame:
    return table(
        loss=noisy(FALLING, 1, 0.02),
        grad_norm=noisy(FALLING),
        update_ratio=noisy(np.linspace(1e-3, 0, STEPS), 2),
        eval_loss=noisy(FALLING, 3, 0.01),
        learning_rate=np.linspace(1e-3, 0, STEPS),
    )


@pytest.fixture
def coming_apart() -> pl.DataFrame:
    return table(loss=noisy(FALLING, 1, 0.02), grad_norm=noisy(GROWING))


def by_name(report: weigh.CheckReport) -> dict[str, weigh.CheckResult]:
    return {result.check: result for result in report.results}


def run(*arguments: Any) -> tuple[int, str]:
    found = CliRunner().invoke(command, ["check", "optimizer", *map(str, arguments)], standalone_mode=False)
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.return_value, found.output


# Instability.


def test_growth_is_reported_before_the_loss_shows_it(coming_apart: pl.DataFrame) -> None:
    found = weigh.instability(coming_apart)
    (seen,) = found.evidence
    assert found.finding == "yes"
    assert 100 < seen["beyond doubt at step"] < 150
    assert seen["loss rises at step"] is None


def test_the_step_of_the_loss_is_found_too(coming_apart: pl.DataFrame) -> None:
    loss = np.where(np.arange(STEPS) < 160, FALLING, FALLING + (np.arange(STEPS) - 160) * 0.02)
    (seen,) = weigh.instability(coming_apart.with_columns(loss=loss)).evidence
    assert seen["beyond doubt at step"] < 160 < seen["loss rises at step"] < 195


def test_a_loss_that_is_no_number_has_shown_it(coming_apart: pl.DataFrame) -> None:
    loss = np.where(np.arange(STEPS) == 120, np.nan, FALLING)
    assert weigh.instability(coming_apart.with_columns(loss=loss)).evidence[0]["loss rises at step"] == 120


def test_a_calm_run_has_no_fault(calm: pl.DataFrame) -> None:
    report = weigh.check_optimizer(calm)
    assert [result.finding for result in report.results] == ["no"] * 8, report


@pytest.mark.parametrize(("growth", "finding"), [(1.9, "no"), (2.0, "no"), (2.1, "yes")])
def test_the_threshold_is_twice_the_lowest_level(growth: float, finding: str) -> None:
    found = weigh.instability(table(grad_norm=np.where(np.arange(STEPS) < 100, 1.0, growth)))
    assert (found.finding, found.figure.value) == (finding, growth)


def test_growth_within_the_noise_is_undecided() -> None:
    noise = noisy(np.where(np.arange(STEPS) < 100, 1.0, 2.5), spread=0.8)
    assert weigh.instability(table(grad_norm=noise)).finding == "undecided"


def test_a_spike_of_a_step_is_no_growth(calm: pl.DataFrame) -> None:
    norms = calm["grad_norm"].to_numpy().copy()
    norms[[90, 150]] = 1e6
    assert weigh.instability(calm.with_columns(grad_norm=norms)).finding == "no"


def test_a_warm_up_is_no_growth() -> None:
    rate = np.minimum(np.arange(STEPS) / 100, 1) * 1e-3
    log = table(update_ratio=noisy(rate), learning_rate=rate)
    assert weigh.instability(log).finding == "no"
    assert weigh.instability(log.drop("learning_rate").with_row_index().filter(pl.col("step") > 0)).finding == "yes"


def test_too_few_rows_are_undecided() -> None:
    found = weigh.instability(table(grad_norm=np.ones(STEPS)).head(39))
    assert found.finding == "undecided" and math.isnan(found.figure.value)
    assert "39 finite values" in found.notes[0] and "40" in found.notes[0]
    assert weigh.instability(table(grad_norm=np.ones(STEPS)).head(40)).finding == "no"


def test_a_norm_that_vanished_and_came_back() -> None:
    found = weigh.instability(table(grad_norm=np.where(np.arange(STEPS) < 100, 0.0, 1.0)))
    assert found.finding == "yes" and found.figure.value == math.inf
    assert weigh.instability(table(grad_norm=np.zeros(STEPS))).finding == "no"


def test_rounding_that_is_left_over_may_grow() -> None:
    norms = np.concatenate([np.logspace(0, -16, 100), noisy(1e-16, spread=2)[:50], noisy(1e-14, spread=2)[:50]])
    assert weigh.instability(table(grad_norm=norms)).finding == "no"


@pytest.mark.parametrize("window", [5, 6, 20])
def test_levels_are_those_of_sorted_windows(window: int) -> None:
    values = np.random.default_rng(0).normal(size=61)
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(values, window), axis=1)
    spared = {5: 0, 6: 0, 20: 2}[window]
    expected = windows[:, spared], windows[:, window // 2], windows[:, -1 - spared]
    for got, want in zip(levels(values, window), expected, strict=True):
        assert np.array_equal(got, want)


def test_a_rise_looks_back_only() -> None:
    values = np.random.default_rng(1).lognormal(size=120)
    first = rise(values, 20, 0.25).first
    assert first is not None and first > 45
    assert all(rise(values[:end], 20, 0.25).first in (None, first) for end in range(40, 120))
    assert rise(values[: first + 1], 20, 0.25).first == first
    assert rise(values[:first], 20, 0.25).first is None


# Numbers that are none.


def test_numbers_lost_for_good(calm: pl.DataFrame) -> None:
    norms = np.where(np.arange(STEPS) < 190, 1.0, np.nan)
    found = weigh.not_a_number(calm.with_columns(grad_norm=norms, loss=np.where(np.arange(STEPS) < 190, FALLING, 0)))
    assert (found.finding, found.figure.value) == ("yes", 10)
    assert found.evidence == ({"series": "gradient norm", "since step": 190, "rows": 10},)


def test_a_step_that_a_loss_scaler_skips_is_no_fault(calm: pl.DataFrame) -> None:
    norms = calm["grad_norm"].to_numpy().copy()
    norms[[0, 1, 90]] = np.inf
    found = weigh.not_a_number(calm.with_columns(grad_norm=norms))
    assert found.finding == "no" and found.notes[-1].startswith("3 values")


def test_a_log_of_nothing_but_nan() -> None:
    report = by_name(weigh.check_optimizer(table(loss=np.full(STEPS, np.nan), grad_norm=np.full(STEPS, np.nan))))
    assert report["not a number"].finding == "yes" and report["instability"].finding == "undecided"


def test_gradients_that_are_gone(calm: pl.DataFrame) -> None:
    found = weigh.dead_gradients(calm.with_columns(grad_norm=np.where(np.arange(STEPS) < 150, 1.0, 0.0)))
    assert (found.finding, found.figure.value, found.evidence) == ("yes", 50, ({"since step": 150},))
    assert (
        weigh.dead_gradients(calm.with_columns(grad_norm=np.where(np.arange(STEPS) == 150, 0.0, 1.0))).finding == "no"
    )
    assert weigh.dead_gradients(calm.with_columns(grad_norm=np.zeros(STEPS))).figure.value == STEPS


# Updates.


def steps_of(dtype: torch.dtype, rate: float = 1e-4, many: int = 30) -> pl.DataFrame:
    """A log of Adam on random targets, with weights kept in a format."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(8, 8, dtype=dtype)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=rate)
    rows = []
    for step in range(many):
        optimizer.zero_grad()
        loss = (layer(torch.randn(16, 8, dtype=dtype)) - torch.randn(16, 8, dtype=dtype)).square().mean()
        loss.backward()
        with weigh.update_ratio(optimizer) as row:
            optimizer.step()
        rows.append({"step": step, "loss": loss.item(), **row})
    return pl.DataFrame(rows)


def test_updates_that_bfloat16_swallows() -> None:
    found = weigh.vanishing_updates(steps_of(torch.bfloat16))
    assert found.finding == "yes" and found.figure.value > 0.6
    assert weigh.vanishing_updates(steps_of(torch.float32)).finding == "no"


def test_the_ratio_is_that_of_the_step() -> None:
    weight = torch.nn.Parameter(torch.tensor([3.0, 4.0, 0.0]))
    frozen = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.tensor([0.6, 0.8, 0.0])
    optimizer = torch.optim.SGD([weight, frozen], lr=0.5)
    with weigh.update_ratio(optimizer) as row:
        assert row == {}
        optimizer.step()
    assert row == pytest.approx({"gradient_norm": 1.0, "update_ratio": 0.1, "unmoved": 0.0})
    optimizer.param_groups[0]["lr"] = 1e-9
    with weigh.update_ratio(optimizer) as row:
        optimizer.step()
    assert row["unmoved"] == 1 and row["update_ratio"] == 0


def test_sparse_gradients_are_measured() -> None:
    table = torch.nn.Embedding(10, 2, sparse=True)
    table(torch.tensor([1, 1, 2])).sum().backward()
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)
    with weigh.update_ratio(optimizer) as row:
        optimizer.step()
    assert row["gradient_norm"] == pytest.approx(math.sqrt(2 * 4 + 2 * 1))
    assert row["unmoved"] == 0


@pytest.mark.parametrize(("dtype", "power"), [("bfloat16", -9), ("float16", -12), ("float32", -25), ("float64", -54)])
def test_half_a_unit_in_the_last_place(dtype: str, power: int) -> None:
    below, above = (table(update_ratio=np.full(STEPS, factor * 2.0**power)) for factor in (0.9, 1.0))
    assert weigh.vanishing_updates(below, dtype=dtype).finding == "yes"
    assert weigh.vanishing_updates(above, dtype=dtype).finding == "no"
    if dtype != "float64":
        stored = torch.tensor(1.9375, dtype=getattr(torch, dtype))
        assert stored - (0.9 * 2.0**power * 1.9375) == stored, "the largest update that is below it rounds to nothing"


def test_weights_that_stay_where_they_are() -> None:
    assert weigh.standstill(table(update_ratio=np.full(STEPS, 4e-5))).finding == "yes"
    found = weigh.standstill(table(update_ratio=np.full(STEPS, 6e-5)))
    assert found.finding == "no" and found.figure.value == pytest.approx(STEPS * 6e-5)
    every_tenth = table(update_ratio=np.full(STEPS, 6e-5)).gather_every(10)
    assert weigh.standstill(every_tenth).figure.value == pytest.approx(191 * 6e-5)


# Curves.


@pytest.mark.parametrize(("end", "finding"), [(0.9, "no"), (0.98, "no"), (0.995, "yes"), (1.0, "yes"), (3.0, "yes")])
def test_a_loss_that_has_not_fallen(end: float, finding: str) -> None:
    found = weigh.no_progress(table(loss=np.where(np.arange(STEPS) < 100, 1.0, end)))
    assert found.finding == finding and found.figure.value == pytest.approx(1 - end)


def test_a_loss_that_the_first_steps_raised() -> None:
    loss = 2.3 + 1000 * np.exp(-np.arange(STEPS) / 30) * (np.arange(STEPS) > 0)
    assert loss[-1] < 0.1 * loss[20] and weigh.no_progress(table(loss=loss)).finding == "yes"


def test_no_progress_is_undecided_in_noise_and_without_rows() -> None:
    assert weigh.no_progress(table(loss=noisy(np.linspace(0.95, 1, STEPS)))).finding == "undecided"
    assert weigh.no_progress(table(loss=noisy(1.0)).head(39)).finding == "undecided"
    assert weigh.no_progress(table(loss=-FALLING)).finding == "undecided"


EVALUATED = np.arange(0, STEPS, 10)


def validated(losses: Any) -> pl.DataFrame:
    values: list[float | None] = [None] * STEPS
    for at, loss in zip(EVALUATED, losses, strict=True):
        values[at] = float(loss)
    return table(loss=FALLING, eval_loss=values)


def test_a_validation_loss_that_rises_alone() -> None:
    losses = np.concatenate([np.linspace(2, 1, 10), np.linspace(1, 1.6, 10)])
    found = weigh.overfitting(validated(losses))
    assert found.finding == "yes" and 0.3 < found.figure.value < 0.7
    assert found.cost == {"evaluations": 20}
    assert found.evidence[0]["training loss"] > found.evidence[1]["training loss"]


def test_a_rise_that_both_losses_share_is_no_overfitting() -> None:
    losses = np.concatenate([np.linspace(2, 1, 10), np.linspace(1, 1.6, 10)])
    both = np.interp(np.arange(STEPS), EVALUATED, losses)
    assert weigh.overfitting(validated(losses).with_columns(loss=both)).finding == "no"


@pytest.mark.parametrize(("back", "finding"), [(0.0, "no"), (0.04, "no"), (0.06, "yes")])
def test_the_best_loss_may_rise_by_a_twentieth(back: float, finding: str) -> None:
    losses = np.concatenate([np.linspace(2, 1, 5), np.full(5, 1.0), np.full(10, 1 + back)])
    assert weigh.overfitting(validated(losses)).finding == finding


def test_a_loss_that_only_rises() -> None:
    found = weigh.overfitting(validated(np.linspace(1, 2, 20)))
    assert found.finding == "yes" and found.figure.value > 0.7


def test_a_loss_below_zero_has_no_share() -> None:
    found = weigh.overfitting(validated(np.linspace(-2, -1, 20)))
    assert found.finding == "undecided" and "not above 0" in found.notes[0]


def test_few_evaluations_are_undecided() -> None:
    found = weigh.overfitting(validated([2.0, 1.0, *[np.nan] * 18]))
    assert found.finding == "undecided" and "2 finite validation losses" in found.notes[0]


def test_rates() -> None:
    constant, decaying = table(lr=np.full(STEPS, 1e-3)), table(lr=np.linspace(1e-3, 1e-4, STEPS))
    assert weigh.undecayed_rate(constant).finding == "yes"
    assert weigh.undecayed_rate(constant, threshold=1).finding == "no"
    found = weigh.undecayed_rate(decaying)
    assert found.finding == "no" and found.figure.value == pytest.approx(0.1) and "no warm-up" in found.notes[0]
    found = weigh.undecayed_rate(table(lr=np.zeros(STEPS)))
    assert found.finding == "undecided" and "no rate is above 0" in found.notes[0]


# Logs.


@pytest.mark.parametrize(
    "name", ["grad_norm", "gradient norm", "train/grad_norm", "Gradient-Norm", "train_grad_norm", "train/gradient_norm"]
)
def test_columns_are_known_by_many_names(name: str) -> None:
    assert list(weigh.training_log(pl.DataFrame({name: [1.0]})).series) == ["gradient norm"]


def test_each_engine_gives_the_same_answer(coming_apart: pl.DataFrame, tmp_path: Path) -> None:
    expected = weigh.check_optimizer(coming_apart).as_dict()["results"]
    coming_apart.write_csv(tmp_path / "log.csv")
    coming_apart.write_parquet(tmp_path / "log.parquet")
    coming_apart.write_ipc(tmp_path / "log.arrow")
    con = duckdb.connect()
    sources: dict[str, Any] = {
        "pandas": coming_apart.to_pandas(),
        "pyarrow": coming_apart.to_arrow(),
        "duckdb": con.from_arrow(coming_apart.to_arrow()),
        "lazy": coming_apart.lazy(),
        "shuffled": coming_apart.sample(fraction=1, shuffle=True, seed=1),
        **{end: tmp_path / f"log.{end}" for end in ("csv", "parquet", "arrow")},
    }
    for name, source in sources.items():
        assert weigh.check_optimizer(source).as_dict()["results"] == expected, name


def test_the_later_row_of_a_step_counts() -> None:
    log = weigh.training_log(pl.DataFrame({"step": [1, 2, 3, 2, 3], "loss": [5.0, 4, 3, 2, 1]}))
    assert log.series["train loss"].steps.tolist() == [1, 2, 3]
    assert log.series["train loss"].values.tolist() == [5, 2, 1]


def test_rows_without_a_step_are_counted() -> None:
    log = weigh.training_log(pl.DataFrame({"loss": [None, 2.0, 1.0]}))
    assert log.series["train loss"].steps.tolist() == [2, 3] and "no column says the step" in log.notes[0]
    assert "no column says the step" in weigh.not_a_number(log).notes[0]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pl.DataFrame({"a": [1.0]}), "name the columns"),
        (pl.DataFrame({"loss": ["low"]}), "'loss' is String, such as 'low'"),
        (pl.DataFrame({"loss": pl.Series([], dtype=pl.Float64)}), "has no rows"),
        (pl.DataFrame({"loss": [None, None]}), "name the columns"),
        (pl.DataFrame({"step": [1, None], "loss": [1.0, 2.0]}), "row 2 has a 'loss' and no step"),
        (pl.DataFrame({"step": ["a"], "loss": [1.0]}), "'step' is String"),
        (pl.DataFrame({"eval_a_loss": [1.0], "eval_b_loss": [1.0]}), "several validation losses"),
    ],
)
def test_what_is_no_log(frame: pl.DataFrame, said: str) -> None:
    with pytest.raises(InvalidTable, match=said) as caught:
        weigh.check_optimizer(frame)
    assert "\n" not in str(caught.value)


def test_settings_that_cannot_be(calm: pl.DataFrame) -> None:
    with pytest.raises(InvalidSetting, match="at least 5"):
        weigh.check_optimizer(calm, window=4)
    with pytest.raises(InvalidSetting, match="bfloat16"):
        weigh.check_optimizer(calm, dtype="int8")
    with pytest.raises(InvalidTable, match="below 0"):
        weigh.instability(table(grad_norm=np.full(STEPS, -1.0)))
    with pytest.raises(InvalidTable, match="has no gradient norm; name its column"):
        weigh.instability(table(loss=FALLING))
    with pytest.raises(InvalidTable, match="has no column 'g'"):
        weigh.check_optimizer(calm, columns={"gradient norm": "g"})


def test_one_of_several_validation_losses() -> None:
    frame = pl.DataFrame({"eval_a_loss": [1.0], "eval_b_loss": [2.0]})
    log = weigh.training_log(frame, {"validation loss": "eval_b_loss"})
    assert log.series["validation loss"].values.tolist() == [2.0]


# The Trainer's state.


def state(path: Path, history: Any, **fields: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"log_history": history, **fields}))
    return path


def test_a_state_is_found_where_the_trainer_puts_it(tmp_path: Path) -> None:
    for step in (90, 500, 1000):
        state(tmp_path / f"checkpoint-{step}" / "trainer_state.json", [{"step": step, "loss": 1.0}])
    assert weigh.training_log(tmp_path).series["train loss"].steps.tolist() == [1000]
    at = state(tmp_path / "trainer_state.json", [{"step": 1, "loss": float("nan"), "epoch": 0.1}, {"step": 2}])
    for given in (tmp_path, at, str(at)):
        found = weigh.training_log(given)
        assert np.isnan(found.series["train loss"].values).tolist() == [True] and found.subject == str(at)


def test_a_run_that_goes_on_is_undecided_about_its_rate(tmp_path: Path) -> None:
    history = [{"step": step, "learning_rate": 1e-3} for step in range(1, 11)]
    at = state(tmp_path / "trainer_state.json", history, global_step=10, max_steps=20)
    assert weigh.undecayed_rate(at).finding == "undecided"
    state(at, history, global_step=20, max_steps=20)
    assert weigh.undecayed_rate(at).finding == "yes"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "has no log_history"),
        ('{"log_history": [1]}', "has no log_history"),
        ('{"log_history": []}', "empty log_history"),
        ('{"log_history": [{"step": 1, "loss": "low"}]}', "entry 1 of log_history: 'loss' is 'low'"),
        ('{"log_history": [{"step": true, "loss": 1}]}', "'step' is 'True'"),
        ('{"log_history": [{"step": 1}]}', "name the columns"),
        ('{"log_history": [{"step": 1, "loss": 1' + "0" * 400 + "}]}", "'loss' is '1000"),
    ],
)
def test_what_is_no_state(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "trainer_state.json").write_text(text)
    with pytest.raises(InvalidTable, match=said) as caught:
        weigh.check_optimizer(tmp_path)
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_log(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="directory"):
        weigh.check_optimizer(tmp_path)
    with pytest.raises(NotFound):
        weigh.check_optimizer(tmp_path / "trainer_state.json")
    with pytest.raises(NotFound):
        weigh.check_optimizer(tmp_path / "log.csv")


def test_the_trainer_hides_a_nan_loss_and_the_check_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Transformers logs 0 for a loss that is NaN, and the gradient norm beside it as it is."""
    transformers = pytest.importorskip("transformers")
    logging.getLogger("transformers").setLevel(logging.ERROR)

    class Line(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": ((x @ self.weight - labels) ** 2).mean()}

    rows = [{"x": [1.0, float(i)], "labels": 1.0 if i < 6 else float("inf")} for i in range(8)]
    arguments = transformers.TrainingArguments(
        str(tmp_path), per_device_train_batch_size=1, max_steps=8, logging_steps=1, report_to=[], use_cpu=True,
        train_sampling_strategy="sequential", save_strategy="no", disable_tqdm=True, learning_rate=1e-3,
    )  # fmt: skip
    trainer = transformers.Trainer(Line(), arguments, train_dataset=rows)
    trainer.train()
    trainer.save_state()
    log = weigh.training_log(tmp_path)
    assert log.finished
    assert np.isfinite(log.series["train loss"].values).all(), "the loss shows nothing"
    assert log.series["train loss"].values[-1] == 0
    found = weigh.not_a_number(log)
    assert found.finding == "yes" and found.evidence[0]["series"] == "gradient norm"


# The command.


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_the_command(calm: pl.DataFrame, coming_apart: pl.DataFrame, tmp_path: Path, end: str) -> None:
    writers: dict[str, Callable[..., Any]] = {"csv": pl.DataFrame.write_csv, "parquet": pl.DataFrame.write_parquet}
    for name, frame in {"calm": calm, "apart": coming_apart}.items():
        writers[end](frame, tmp_path / f"{name}.{end}")
    code, said = run(tmp_path / f"calm.{end}")
    assert code == 0 and "instability: no" in said
    code, said = run(tmp_path / f"apart.{end}", "--json")
    assert code == 1 and json.loads(said)["finding"] == "yes"


def test_the_command_takes_names(coming_apart: pl.DataFrame, tmp_path: Path) -> None:
    coming_apart.rename({"grad_norm": "g", "step": "t"}).write_csv(tmp_path / "log.csv")
    assert "instability" not in run(tmp_path / "log.csv")[1]
    assert run(tmp_path / "log.csv", "--gradient-norm", "g", "--step", "t")[0] == 1
    assert run(tmp_path / "log.csv", "--gradient-norm", "g", "--window", 101)[0] == 0, "too few rows"


def test_a_nan_as_python_writes_it_is_a_number_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n" + "".join(f"{step},{2.0 if step < 40 else math.nan}\n" for step in range(50)))
    lost = weigh.not_a_number(path)
    assert lost.finding == "yes" and lost.figure.value == 10


def test_numbers_near_the_largest_are_read_without_a_warning() -> None:
    norms = np.where(np.arange(STEPS) < 100, 1e-3, 1e308)
    found = weigh.check_optimizer(table(loss=FALLING, grad_norm=norms, update_ratio=norms, learning_rate=norms))
    (grown,) = (result for result in found.results if result.check == "instability")
    assert grown.finding == "yes" and math.isfinite(grown.figure.value)


def test_an_empty_value_in_a_history_is_no_zero(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": [{"step": 1, "loss": []}]}))
    with pytest.raises(InvalidTable, match="a number is needed"):
        weigh.check_optimizer(tmp_path)


def test_a_directory_without_a_log_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match=r"without trainer_state\.json"):
        weigh.check_optimizer(tmp_path)


def test_one_line_for_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,loss\n1,low\n")
    found = subprocess.run(
        [sys.executable, "-m", "weigh", "check", "optimizer", str(path)], capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr == f"weigh: {path}: column 'loss' is String, such as 'low'; numbers are needed\n"
