"""The function that readers take from *Resumes that do not*: it stands alone, and names the part that a loop loses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

PROGRAM = Path(__file__).parent.parent / "snippets/checkpoints/resumes_that_do_not.py"
SECTION = "# --8<-- [{}:compare]\n"
Run = SimpleNamespace


@pytest.fixture(scope="module")
def copied() -> Iterator[ModuleType]:
    """The first section of the program alone, as a reader copies it."""
    text = PROGRAM.read_text("utf-8").partition(SECTION.format("start"))[2].partition(SECTION.format("end"))[0]
    module = ModuleType("copied")
    sys.modules["copied"] = module  # where a dataclass looks for the names of its annotations
    exec(compile(text, str(PROGRAM), "exec"), vars(module))
    yield module
    del sys.modules["copied"]


class Noise(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(x.shape, dtype=x.dtype)


class Numbers:
    """Data that keep their place."""

    def __init__(self) -> None:
        self.place = 0

    def state_dict(self) -> dict[str, int]:
        return {"place": self.place}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.place = state["place"]

    def __next__(self) -> torch.Tensor:
        self.place += 1
        return torch.full((2, 3), float(self.place), dtype=torch.float64).cos()


def start() -> Run:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), Noise(), nn.Linear(4, 1)).double()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    # As gradients that fit only with a small scale: it grows every third step, and is multiplied into the loss below.
    scaler = torch.amp.GradScaler("cpu", init_scale=1.0, growth_interval=3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.7)
    return Run(model=model, optimizer=optimizer, scheduler=scheduler, scaler=scaler, data=Numbers(), warm=0)


def step(run: Run) -> None:
    run.warm += 1
    loss = run.model(next(run.data)).square().mean() * min(run.warm, 8)
    loss = loss + run.scaler.get_scale() * run.model[0].bias.sum() / 100
    run.optimizer.zero_grad()
    run.scaler.scale(loss).backward()
    run.scaler.step(run.optimizer)
    run.scaler.update()
    run.scheduler.step()


def io(*forgotten: str, begin: Callable[[], Run] = start) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`save` and `load` of all but some parts."""

    def save(run: Run, path: Path) -> None:
        parts = {name: getattr(part, "state_dict", lambda part=part: part)() for name, part in vars(run).items()}
        parts["random numbers"] = torch.get_rng_state()
        torch.save({name: state for name, state in parts.items() if name not in forgotten}, path)

    def load(path: Path) -> Run:
        run = begin()
        states = torch.load(path)
        for name, state in states.items():
            if name == "random numbers":
                continue
            if hasattr(getattr(run, name), "load_state_dict"):
                getattr(run, name).load_state_dict(state)
            else:
                setattr(run, name, state)
        if "random numbers" in states:
            torch.set_rng_state(states["random numbers"])
        return run

    return save, load


PARTS = ("model", "optimizer", "scheduler", "scaler", "data", "warm", "random numbers")


def test_a_faithful_loop_lost_nothing(copied: ModuleType, tmp_path: Path) -> None:
    result = copied.resume_and_compare(start, step, *io(), tmp_path / "a.pt")
    assert (result.repeated, result.saved, result.resumed, result.again) == (0, 0, 0, 0)
    assert result.lost == [] and list(result.alone) == list(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_lost_part_is_named(part: str, copied: ModuleType, tmp_path: Path) -> None:
    result = copied.resume_and_compare(start, step, *io(part), tmp_path / "a.pt")
    assert result.lost == [part] and result.saved == 0 < result.resumed == result.again
    assert {name for name, left in result.alone.items() if left == 0} == {part}


@pytest.mark.parametrize("parts", [("optimizer", "warm"), ("scheduler", "data", "random numbers"), PARTS])
def test_several_are_named_together(parts: tuple[str, ...], copied: ModuleType, tmp_path: Path) -> None:
    result = copied.resume_and_compare(start, step, *io(*parts), tmp_path / "a.pt")
    assert result.lost == list(parts) and 0 not in result.alone.values()


def test_numbers_that_are_equal_are_not_taken_for_parts(copied: ModuleType, tmp_path: Path) -> None:
    """A scheduler counts to where the run's own counter stands: it is not to be given the other run's counter."""
    result = copied.resume_and_compare(start, step, *io("scheduler", "warm"), tmp_path / "a.pt")
    assert result.lost == ["scheduler", "warm"]


def test_gradients_that_are_accumulated_go_with_the_model(copied: ModuleType, tmp_path: Path) -> None:
    def step_every_third(run: Run) -> None:
        run.warm += 1
        run.model(next(run.data)).square().mean().backward()
        if run.warm % 3 == 0:
            run.optimizer.step()
            run.optimizer.zero_grad()

    result = copied.resume_and_compare(start, step_every_third, *io(), tmp_path / "a.pt", stop=4, steps=9)
    assert result.lost == ["model"] and result.resumed > 0
    assert copied.resume_and_compare(start, step_every_third, *io(), tmp_path / "a.pt", stop=6, steps=9).lost == []


def test_what_no_part_holds_is_not_blamed_on_one(copied: ModuleType, tmp_path: Path) -> None:
    counter = {"steps": 0}

    def begin() -> Run:
        counter["steps"] = 0
        return start()

    def step_by_global(run: Run) -> None:
        counter["steps"] += 1
        run.optimizer.param_groups[0]["lr"] = 0.01 / counter["steps"]
        step(run)

    result = copied.resume_and_compare(begin, step_by_global, *io(begin=begin), tmp_path / "a.pt")
    assert result.lost is None and result.resumed > 0


def test_saving_that_changes_the_run_is_seen(copied: ModuleType, tmp_path: Path) -> None:
    save, load = io()

    def save_and_draw(run: Run, path: Path) -> None:
        save(run, path)
        torch.rand(1)  # as an evaluation with dropout does

    result = copied.resume_and_compare(start, step, save_and_draw, load, tmp_path / "a.pt")
    assert result.saved > 0 == result.resumed


def test_a_loop_that_does_not_repeat_itself_is_seen(copied: ModuleType, tmp_path: Path) -> None:
    drawn = iter(range(10_000))

    def step_anew(run: Run) -> None:
        run.model[0].bias.data += next(drawn) / 1000
        step(run)

    assert copied.resume_and_compare(start, step_anew, *io(), tmp_path / "a.pt").repeated > 0


def test_weights_that_are_not_numbers_are_no_faithful_resume(copied: ModuleType, tmp_path: Path) -> None:
    save, load = io()

    def load_nan(path: Path) -> Run:
        run = load(path)
        run.model[0].weight.data.fill_(float("nan"))
        return run

    result = copied.resume_and_compare(start, step, save, load_nan, tmp_path / "a.pt")
    assert result.lost == ["model"] and not result.resumed <= 1


class Wide(torch.optim.Optimizer):
    """It adds up a float32 beside bfloat16 weights, in parts that these would round away."""

    def __init__(self, weights: Any) -> None:
        super().__init__(weights, {})

    def step(self) -> None:
        for weight in self.param_groups[0]["params"]:
            total = self.state[weight].setdefault("total", torch.ones(weight.shape))
            total += torch.tensor(0.001, dtype=total.dtype)
            weight.data.copy_((total - 1) * 100)


def test_state_that_loading_narrows_is_the_optimizers(copied: ModuleType, tmp_path: Path) -> None:
    """So it is not handed over by `load_state_dict`, which narrows it."""

    def begin() -> Run:
        torch.manual_seed(0)
        model = nn.Linear(3, 1, dtype=torch.bfloat16)
        return Run(model=model, optimizer=Wide(model.parameters()))

    def step_of_wide(run: Run) -> None:
        run.optimizer.step()

    result = copied.resume_and_compare(begin, step_of_wide, *io(begin=begin), tmp_path / "a.pt")
    assert result.lost == ["optimizer"] and result.saved == 0 < result.resumed
