"""`weigh resume`: silent on checkpoints as torch makes them, and each fault found by the examination that it is for."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import schedulefree
import torch
import torch.distributed.checkpoint as dcp
from click.testing import CliRunner
from torch.distributed.checkpoint.state_dict import get_state_dict
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

import weigh
from weigh.cli import weigh as group
from weigh.errors import WeighError

Saved = dict[str, Any]


def model() -> torch.nn.Module:
    """Weights of several shapes, two of them alike, and the buffers of a batch normalization."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Embedding(24, 8), torch.nn.Flatten(), torch.nn.Linear(16, 16), torch.nn.BatchNorm1d(16),
        torch.nn.Linear(16, 16), torch.nn.Linear(16, 4),
    )  # fmt: skip


def trained(
    make: Callable[..., Any] = torch.optim.AdamW,
    network: torch.nn.Module | None = None,
    steps: int = 4,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> tuple[torch.nn.Module, Any, Any]:
    """A model, its optimizer and its scheduler after some steps."""
    network = (network or model()).to(dtype)
    optimizer = make(network.parameters(), lr=0.01, **options)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 100)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randint(0, 24, (4, 2))).float().square().sum().backward()
        optimizer.step()
        scheduler.step()
    return network, optimizer, scheduler


def whole(network: torch.nn.Module, optimizer: Any, scheduler: Any, step: int = 4) -> Saved:
    """A checkpoint of all parts of a run on the CPU."""
    return copy.deepcopy({
        "model": network.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
        "rng": torch.get_rng_state(), "step": step,
    })  # fmt: skip


def faults(path: Path, value: Any = None, **options: Any) -> set[str]:
    """The examinations that found something."""
    if value is not None:
        torch.save(value, path)
    return {result.check for result in weigh.resume(path, **options).results if result.finding == "yes"}


@pytest.fixture(scope="module")
def sound() -> Saved:
    return whole(*trained())


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "AdamW": torch.optim.AdamW,
    "amsgrad": lambda params, lr: torch.optim.Adam(params, lr=lr, amsgrad=True),
    "SGD": torch.optim.SGD,
    "momentum": lambda params, lr: torch.optim.SGD(params, lr=lr, momentum=0.9),
    "RMSprop": lambda params, lr: torch.optim.RMSprop(params, lr=lr, centered=True),
    "Adagrad": torch.optim.Adagrad,
    "Adadelta": torch.optim.Adadelta,
    "Adamax": torch.optim.Adamax,
    "Adafactor": torch.optim.Adafactor,
    "NAdam": torch.optim.NAdam,
    "RAdam": torch.optim.RAdam,
    "ASGD": torch.optim.ASGD,
    "Rprop": torch.optim.Rprop,
    "one group each": lambda params, lr: torch.optim.AdamW([{"params": [p], "lr": lr} for p in params]),
    "decay and no decay": lambda params, lr: torch.optim.AdamW(
        [{"params": p, "weight_decay": d} for p, d in zip(split(params), (0.1, 0.0), strict=True)], lr=lr
    ),
    "fused": lambda params, lr: torch.optim.AdamW(params, lr=lr, fused=True),
    "a rate that is a tensor": lambda params, lr: torch.optim.AdamW(params, lr=torch.tensor(lr)),
}


def split(params: Any) -> tuple[list[Any], list[Any]]:
    params = list(params)
    return [p for p in params if p.ndim > 1], [p for p in params if p.ndim < 2]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_torch_keeps_is_sound(tmp_path: Path, name: str, dtype: torch.dtype) -> None:
    found = faults(tmp_path / "run.pt", whole(*trained(OPTIMIZERS[name], dtype=dtype)))
    wider = dtype == torch.bfloat16 and name in ("NAdam", "ASGD")
    assert found == ({"number formats"} if wider else set())


def wider() -> torch.nn.Module:
    """A model of the same names, no weight of which but the last bias has a shape of the first."""
    return torch.nn.Sequential(
        torch.nn.Embedding(24, 9), torch.nn.Flatten(), torch.nn.Linear(18, 18), torch.nn.BatchNorm1d(18),
        torch.nn.Linear(18, 18), torch.nn.Linear(18, 4),
    )  # fmt: skip


def entry(saved: Saved, number: int) -> Saved:
    state: Saved = saved["optimizer"]["state"][number]
    return state


def rotate(saved: Saved) -> None:
    state = saved["optimizer"]["state"]
    saved["optimizer"]["state"] = {key: state[(key + 1) % len(state)] for key in state}


def reverse_weights(saved: Saved) -> None:
    saved["model"] = dict(reversed(saved["model"].items()))


def cast(name: str, dtype: torch.dtype) -> Callable[[Saved], None]:
    def change(saved: Saved) -> None:
        for kept in saved["optimizer"]["state"].values():
            kept[name] = kept[name].to(dtype)

    return change


def halve_weights(saved: Saved) -> None:
    saved["model"] = {k: v.bfloat16() if v.is_floating_point() else v for k, v in saved["model"].items()}


def options(**changes: Any) -> Callable[[Saved], None]:
    return lambda saved: saved["optimizer"]["param_groups"][0].update(changes)


def scheduler(**changes: Any) -> Callable[[Saved], None]:
    return lambda saved: saved["scheduler"].update(changes)


SCALER = torch.amp.GradScaler("cpu").state_dict()

BROKEN: dict[str, tuple[str, Callable[[Saved], Any]]] = {
    "no weights": ("missing parts", lambda s: s.pop("model")),
    "no optimizer": ("missing parts", lambda s: s.pop("optimizer")),
    "no scheduler": ("missing parts", lambda s: s.pop("scheduler")),
    "a scale of zero": ("missing parts", lambda s: s.update(scaler=SCALER | {"scale": 0.0})),
    "state in the order of another model": ("state against weights", rotate),
    "weights in another order": ("state against weights", reverse_weights),
    "a table that has grown": ("state against weights", lambda s: s["model"].update({"0.weight": torch.ones(30, 8)})),
    "the optimizer of a wider model": (
        "state against weights",
        lambda s: s.update(optimizer=whole(*trained(network=wider()))["optimizer"])),
    "a layer that is gone": ("state against weights", lambda s: [s["model"].pop(f"5.{n}") for n in ("weight", "bias")]),
    "state of a parameter in no group": (
        "state against weights", lambda s: s["optimizer"]["param_groups"][0]["params"].pop()),
    "a parameter in the groups twice": (
        "state against weights", lambda s: s["optimizer"]["param_groups"][0]["params"].append(0)),
    "no state at all": ("state of each parameter", lambda s: s["optimizer"]["state"].clear()),
    "a moment of one parameter": ("state of each parameter", lambda s: entry(s, 3).pop("exp_avg_sq")),
    "moments in bfloat16": ("number formats", cast("exp_avg", torch.bfloat16)),
    "steps in bfloat16": ("number formats", cast("step", torch.bfloat16)),
    "moments wider than the weights": ("number formats", halve_weights),
    "a loop that counted on": ("steps", lambda s: s.update(scheduler=s["scheduler"] | {"last_epoch": 5}, step=6)),
    "a rate of the scheduler alone": ("learning rates", scheduler(_last_lr=[0.5])),
    "a first rate of the groups alone": ("learning rates", options(initial_lr=0.5)),
    "a rate that is none": ("learning rates", lambda s: [options(lr=float("nan"))(s), scheduler(_last_lr=None)(s)]),
    "rates for another number of groups": ("learning rates", lambda s: s["scheduler"].update(base_lrs=[0.01, 0.01])),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_one_fault_at_a_time(sound: Saved, tmp_path: Path, name: str) -> None:
    check, change = BROKEN[name]
    broken = copy.deepcopy(sound)
    change(broken)
    assert faults(tmp_path / "run.pt", broken) == {check}


@pytest.fixture(scope="module")
def later(sound: Saved) -> Saved:
    """The run of `sound` two steps later."""
    return whole(*trained(steps=6), step=6)


def freeze(saved: Saved, before: Saved) -> None:
    saved["model"]["2.weight"] = before["model"]["2.weight"].clone()


def thaw(saved: Saved, before: Saved) -> None:
    for side in (saved, before):
        side["optimizer"]["state"].pop(1)


def narrowed(saved: Saved, before: Saved) -> None:
    cast("exp_avg", torch.float16)(saved)
    cast("exp_avg", torch.float16)(before)
    cast("exp_avg_sq", torch.float16)(before)


def regrouped(saved: Saved, before: Saved) -> None:
    (only,) = saved["optimizer"]["param_groups"]
    first, rest = only["params"][:3], only["params"][3:]
    saved["optimizer"]["param_groups"] = [{**only, "params": first}, {**only, "params": rest}]
    saved["scheduler"].update(base_lrs=2 * saved["scheduler"]["base_lrs"], _last_lr=2 * saved["scheduler"]["_last_lr"])


def zeroed(saved: Saved, before: Saved) -> None:
    entry(saved, 4)["exp_avg"].zero_()


def restarted(saved: Saved, before: Saved) -> None:
    for each in saved["optimizer"]["state"].values():
        each["step"].fill_(2)


POSITION = {"_num_yielded": 3, "_iterator_finished": False}

CHANGED: dict[str, tuple[set[str], Callable[[Saved, Saved], Any]]] = {
    "nothing": (set(), lambda new, old: None),
    "a generator that is gone": ({"parts since then"}, lambda new, old: new.pop("rng")),
    "betas": ({"groups since then"}, lambda new, old: options(betas=(0.5, 0.9))(new)),
    "a group cut in two": ({"groups since then"}, regrouped),
    "parameters in another order": (
        {"groups since then"}, lambda new, old: options(params=[0, 5, 2, 3, 4, 1, 6, 7, 8])(new)),
    "the mode": (
        {"mode since then"}, lambda new, old: [options(train_mode=side is new)(side) for side in (new, old)]),
    "a format": ({"formats since then", "number formats"}, narrowed),
    "a count": ({"steps since then"}, lambda new, old: old.update(step=9)),
    "a moment that is zero again": ({"steps since then"}, zeroed),
    "an optimizer that began anew": ({"steps since then"}, restarted),
    "a layer that stood still": ({"weights since then"}, freeze),
    "a frozen vector that moved": ({"weights since then"}, thaw),
    "a position that stood still": (
        {"position since then"}, lambda new, old: [side.update(dataloader=POSITION) for side in (new, old)]),
    "a position that moved on": (
        set(), lambda new, old: [s.update(dataloader=POSITION | {"_num_yielded": s["step"]}) for s in (new, old)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_what_changed_since_an_earlier_save(sound: Saved, later: Saved, tmp_path: Path, name: str) -> None:
    expected, change = CHANGED[name]
    new, old = copy.deepcopy(later), copy.deepcopy(sound)
    change(new, old)
    torch.save(old, tmp_path / "before.pt")
    assert faults(tmp_path / "run.pt", new, against=tmp_path / "before.pt") == expected


def schedule_free(**modes: bool) -> Saved:
    """A schedule-free run; `weights` and `state` say whether each is saved in the mode for training."""
    network, optimizer = model(), None
    optimizer = schedulefree.AdamWScheduleFree(network.parameters(), lr=0.01)
    saved: Saved = {"step": 3}
    for _ in range(3):
        optimizer.train()
        network(torch.randint(0, 24, (4, 2))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    for part, what in (("weights", network), ("state", optimizer)):
        optimizer.train() if modes[part] else optimizer.eval()
        saved["model" if part == "weights" else "optimizer"] = copy.deepcopy(what.state_dict())
    return saved


def test_the_mode_of_a_schedule_free_optimizer_is_told(tmp_path: Path) -> None:
    for mode in (True, False):
        torch.save(schedule_free(weights=mode, state=mode), tmp_path / f"{mode}.pt")
        report = weigh.resume(tmp_path / f"{mode}.pt")
        (told,) = [result for result in report.results if result.check == "mode"]
        assert report.finding == "no" and f"train_mode {mode}" in told.notes[0]
    assert "mode since then" in faults(tmp_path / "True.pt", against=tmp_path / "False.pt")


def test_state_that_loading_narrowed_is_found_after_the_fact(tmp_path: Path) -> None:
    network, optimizer, scheduler = trained(torch.optim.NAdam, dtype=torch.bfloat16)
    again = torch.optim.NAdam(network.parameters(), lr=0.01)
    again.load_state_dict(optimizer.state_dict())
    kept = [state["mu_product"].dtype for state in again.state_dict()["state"].values()]
    assert set(kept) == {torch.bfloat16}, "what torch does: else this fault is no more"
    assert faults(tmp_path / "run.pt", whole(network, again, scheduler)) == {"number formats"}
    report = weigh.resume(tmp_path / "run.pt")
    (found,) = [result for result in report.results if result.finding == "yes"]
    assert found.evidence[0]["should be"].startswith("float32")


@pytest.fixture(scope="module")
def trainers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Trainer leaves of four steps."""
    torch.manual_seed(0)
    home = tmp_path_factory.mktemp("trainer")
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        tie_word_embeddings=True,
    )  # fmt: skip
    rows = [{"input_ids": torch.arange(8) + n, "labels": torch.arange(8) + n} for n in range(16)]
    arguments = TrainingArguments(
        str(home), max_steps=6, save_steps=2, report_to=[], use_cpu=True, per_device_train_batch_size=2,
        disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    Trainer(LlamaForCausalLM(config), arguments, train_dataset=rows).train()
    return home


def drop(name: str) -> Callable[[Path], None]:
    return lambda home: (home / name).unlink()


def rename(home: Path) -> None:
    state = json.loads((home / "trainer_state.json").read_text("utf-8"))
    (home / "trainer_state.json").write_text(json.dumps(state | {"global_step": 3}))


def reordered(home: Path) -> None:
    """State of two parameters of one shape is not told apart by shape; that of two of different shapes is."""
    saved = torch.load(home / "optimizer.pt")
    saved["state"] = {key: saved["state"][{1: 7, 7: 1}.get(key, key)] for key in saved["state"]}
    torch.save(saved, home / "optimizer.pt")


def rank(home: Path) -> None:
    shutil.move(home / "rng_state.pth", home / "rng_state_1.pth")


def other_state(home: Path) -> None:
    """State of the optimizer from another save."""
    shutil.copy(home.parent / "checkpoint-2" / "optimizer.pt", home)


TRAINER: dict[str, tuple[set[str], Callable[[Path], Any]]] = {
    "nothing": (set(), lambda home: None),
    "no generators": ({"missing parts"}, drop("rng_state.pth")),
    "no scheduler": ({"missing parts"}, drop("scheduler.pt")),
    "no optimizer": ({"missing parts"}, drop("optimizer.pt")),
    "the generators of one rank of two": ({"missing parts"}, rank),
    "state in another order": ({"state against weights"}, reordered),
    "another count": ({"steps"}, rename),
    "state of an earlier save": ({"steps", "learning rates"}, other_state),
}


@pytest.mark.parametrize("name", TRAINER)
def test_a_directory_of_the_trainer(trainers: Path, tmp_path: Path, name: str) -> None:
    expected, change = TRAINER[name]
    home = tmp_path / "checkpoint-4"
    for step in (2, 4):
        shutil.copytree(trainers / f"checkpoint-{step}", tmp_path / f"checkpoint-{step}")
    change(home)
    assert faults(home) == expected
    if not expected:
        assert faults(home, against=tmp_path / "checkpoint-2") == set()
        found = weigh.resume(home).as_dict()["parts"]
        assert {part["name"] for part in found if not part["places"]} == {"scaler", "generators of devices"}


def test_a_directory_of_torch_distributed_by_name_and_by_number(tmp_path: Path) -> None:
    network, optimizer, scheduler = trained()
    named = dict(zip(("model", "optimizer"), get_state_dict(network, optimizer), strict=True))
    for name, state in (("named", named), ("numbered", whole(network, optimizer, scheduler))):
        dcp.save({**state, "scheduler": scheduler.state_dict(), "step": 4}, checkpoint_id=tmp_path / name, no_dist=True)
        report = weigh.resume(tmp_path / name)
        assert report.finding == "no"
        assert {"state against weights", "steps", "learning rates"} <= {result.check for result in report.results}
    moved = {"0.weight": "5.weight", "5.weight": "0.weight"}
    state = named["optimizer"]["state"]
    named["optimizer"]["state"] = {moved.get(key, key): kept for key, kept in state.items()}
    dcp.save({**named, "scheduler": scheduler.state_dict()}, checkpoint_id=tmp_path / "swapped", no_dist=True)
    assert faults(tmp_path / "swapped") == {"state against weights"}


class Hostile:
    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trap),)


def test_nothing_is_run_and_bad_files_are_refused_in_one_line(sound: Saved, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    assert faults(tmp_path / "run.pt", sound | {"callbacks": Hostile(trap)}) == set()
    assert not trap.exists()
    (parts, *_) = weigh.resume(tmp_path / "run.pt").results
    assert any("mkdir" in note for note in parts.notes)
    whole_file = (tmp_path / "run.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole_file[: len(whole_file) // 2])
    (tmp_path / "text.pt").write_text("no checkpoint")
    for bad in ("cut.pt", "text.pt", "not-there.pt"):
        with pytest.raises(WeighError):
            weigh.resume(tmp_path / bad)


def test_doubled_structures_and_strange_values_cost_no_more_than_their_bytes(sound: Saved, tmp_path: Path) -> None:
    doubled: Any = [0]
    for _ in range(40):
        doubled = [doubled, doubled]
    strange = copy.deepcopy(sound)
    strange["optimizer"]["state"][0]["more"] = doubled
    options(train_mode=doubled, betas=doubled, initial_lr=10**400, eps="x")(strange)
    strange["scheduler"] |= {"last_epoch": None, "_schedulers": doubled, "base_lrs": doubled}
    strange |= {
        "dataloader": {"_num_yielded": doubled},
        "scaler": {"scale": doubled, "growth_factor": 1, "backoff_factor": 1},
    }
    for name in ("a.pt", "b.pt"):
        torch.save(strange, tmp_path / name)
    assert "learning rates" in faults(tmp_path / "a.pt", against=tmp_path / "b.pt")


def test_of_several_optimizers_each_has_its_weights(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(8, 9), torch.nn.Linear(9, 10), torch.nn.Linear(10, 11))
    both = [torch.optim.Muon([network[0].weight], lr=0.01), torch.optim.Adam(network[1].parameters(), lr=0.01)]
    network(torch.ones(2, 8)).square().sum().backward()
    for each in both:
        each.step()
    torch.save({"model": network.state_dict(), "optimizers": [one.state_dict() for one in both]}, tmp_path / "run.pt")
    notes = [note for result in weigh.resume(tmp_path / "run.pt").results for note in result.notes]
    left = "model.0.bias, model.2.weight, model.2.bias"
    assert [note for note in notes if "in no group" in note] == [f"in no group, and so frozen or buffers: {left}"]


def test_of_several_saves_in_one_folder_one_is_examined(tmp_path: Path) -> None:
    for step in (4, 8):
        torch.save(whole(*trained(steps=step), step=step), tmp_path / f"step_{step}.pt")
    found = weigh.resume(tmp_path)
    assert found.finding == "no" and found.not_examined["step_4.pt"].startswith("the same names and shapes as")
    assert [part.places for part in found.parts if part.name == "optimizer"] == [("step_8.pt: optimizer",)]


def test_groups_that_are_one_another_are_refused(sound: Saved, tmp_path: Path) -> None:
    groups = [{"params": list(range(20_000)), "lr": 0.1}] * 20_000
    torch.save(sound | {"optimizer": {"state": {}, "param_groups": groups}}, tmp_path / "run.pt")
    with pytest.raises(WeighError, match="repeats itself"):
        weigh.resume(tmp_path / "run.pt")


def test_the_number_of_a_rank_in_a_name_costs_nothing(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    torch.save({"torch_manual_seed": torch.get_rng_state()}, tmp_path / f"random_states_{10**15}.pkl")
    found = weigh.resume(tmp_path)
    shown = str([result.as_dict() for result in found.results])
    assert "rank 0, 1, 2, 3, 4, 5, 6, 7" in shown and f"{10**15 + 1} ranks" in shown


def test_the_command_says_it_in_lines_and_as_json(sound: Saved, tmp_path: Path) -> None:
    torch.save(sound, tmp_path / "run.pt")
    broken = copy.deepcopy(sound)
    rotate(broken)
    torch.save(broken, tmp_path / "broken.pt")
    runner = CliRunner()
    done = runner.invoke(group, ["resume", str(tmp_path / "run.pt")], standalone_mode=False)
    assert done.return_value == 0 and "sound: missing parts, state against weights, " in done.output
    done = runner.invoke(group, ["resume", str(tmp_path / "broken.pt")], standalone_mode=False)
    assert done.return_value == 1 and "[24, 8], as model.0.weight" in " ".join(done.output.split())
    done = runner.invoke(group, ["resume", str(tmp_path / "broken.pt"), "--json"], standalone_mode=False)
    assert done.return_value == 1 and json.loads(done.output)["finding"] == "yes"
