"""`weigh resume`: silent on checkpoints as torch makes them, and each fault found by the examination that it is for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import weigh

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
