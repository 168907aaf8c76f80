"""The settings that come with the state of an optimizer: its mode, and the learning rates that a resume uses."""

import math
from collections.abc import Iterator
from typing import Any

from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.checks.resuming.checkpoint import TrainingCheckpoint
from weigh.checks.resuming.states import OptimizerState

MODE = "train_mode"
_CLOSE = 1e-6


def modes(run: TrainingCheckpoint) -> CheckResult:
    """The mode of a schedule-free optimizer, which decides which of two sets of weights is in the file."""
    states = [state for state in run.optimizers if any(MODE in group.options for group in state.groups)]
    if not states:
        raise NotExamined("no group of an optimizer has a train_mode")
    faults, notes = [], []
    for state in states:
        found = [bool(group.options.get(MODE)) for group in state.groups]
        for number, mode in enumerate(found):
            if mode != found[0]:
                faults.append(Fault(state.place, f"group {number}", f"train_mode {mode}", f"{found[0]}, as of group 0"))
        which = "the point where gradients are taken" if found[0] else "the average, which is evaluated and served"
        notes.append(
            f"{state.place}: saved with train_mode {found[0]}: the weights have to be {which}; from those of the "
            "other mode a resume goes another way, and nothing in the files says which they are"
        )
    return counted(
        "groups in another mode than the first",
        faults,
        "the next call of train() or eval() moves the weights of one group and not of the other; call eval() on the "
        "whole optimizer before saving weights and state, and train() after loading",
        cost={"groups": sum(len(state.groups) for state in states)},
        notes=notes,
    )


def learning_rates(run: TrainingCheckpoint) -> CheckResult:
    """The rates in the groups against those of the scheduler."""
    states = [state for state in run.optimizers if any(_rate(group.options) is not None for group in state.groups)]
    if not states:
        raise NotExamined("no group of an optimizer has a learning rate")
    faults = [
        Fault(state.place, f"lr of group {number}", rate, "a number from 0")
        for state in states
        for number, group in enumerate(state.groups)
        if (rate := _rate(group.options)) is not None and not (rate >= 0 and math.isfinite(rate))
    ]
    schedulers = run.of("scheduler")
    if len(states) == 1 and len(schedulers) == 1:
        faults += _against_scheduler(states[0], schedulers[0].place, schedulers[0].value)
    return counted(
        "learning rates that contradict one another",
        faults,
        "the optimizer steps with the rate in its groups, and the scheduler goes on from its own; load both from one "
        "save, and change a rate in both",
        cost={"groups": sum(len(state.groups) for state in states)},
        notes=[note for state in states for note in _used(state)],
    )


def _rate(options: Any) -> float | None:
    rate = options.get("lr")
    return float(rate) if isinstance(rate, int | float) and not isinstance(rate, bool) else None


def _against_scheduler(state: OptimizerState, place: str, scheduler: dict[str, Any]) -> Iterator[Fault]:
    for name, field in (("_last_lr", "lr"), ("base_lrs", "initial_lr")):
        rates = scheduler.get(name)
        if not isinstance(rates, list | tuple):
            continue
        if len(rates) != len(state.groups):
            yield Fault(place, name, f"{len(rates)} rates", f"{len(state.groups)}, one for each group")
            continue
        for number, (rate, group) in enumerate(zip(rates, state.groups, strict=True)):
            own = group.options.get(field)
            if not isinstance(rate, int | float) or not isinstance(own, int | float):
                continue
            if not math.isclose(rate, own, rel_tol=_CLOSE, abs_tol=1e-15):
                yield Fault(place, f"{name} of group {number}", f"{rate:.6g}", f"{own:.6g}, the {field} in the groups")


def _used(state: OptimizerState) -> Iterator[str]:
    """What a resume goes on with, whatever the arguments say."""
    rates = [rate for group in state.groups if (rate := _rate(group.options)) is not None]
    shown = ", ".join(f"{rate:.6g}" for rate in list(dict.fromkeys(rates))[:4])
    yield f"{state.place}: a resume goes on with lr {shown}: loading overwrites the rate that a new optimizer was given"
    if rates and all(rate == 0 for rate in rates):
        yield f"{state.place}: with lr 0 nothing will move: the schedule has come to its end"
