"""Do the parts of a checkpoint agree on how far the run had come?"""

from collections.abc import Iterator

from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.checks.resuming.checkpoint import TRAINER_STATE, TrainingCheckpoint, last_epoch
from weigh.checks.resuming.states import OptimizerState

_NEAR = 0.1


def steps_that_disagree(run: TrainingCheckpoint) -> CheckResult:
    """Steps as the optimizer, the scheduler, the loop and the name of the file count them."""
    faults = [*_of_trainer(run), *_of_name(run), *_of_lightning(run), *_of_schedulers(run)]
    said = [f"{place}: {value:,g}" for place, value in run.counters.items()]
    steps = {state.place: state.steps for state in run.optimizers if state.steps is not None}
    said += [f"{place}: step {count:,.0f}" for place, count in steps.items()]
    said += [f"{each.place}: last_epoch {count:,g}" for each in run.of("scheduler")
             if (count := last_epoch(each.value)) is not None]  # fmt: skip
    if run.named_step is not None:
        said.append(f"by its name: {run.named_step:,}")
    if len(said) < 2:
        raise NotExamined("only one part of it counts steps" if said else "nothing in it counts steps")
    notes = [note for state in run.optimizers for note in _behind(state)]
    return counted(
        "counts of steps that contradict one another",
        faults,
        "these parts are not of one moment: a resume takes each as it is; save all of them behind the same step",
        cost={"counts": len(said)},
        notes=[*notes, "; ".join(said[:8])],
    )


def _scaled(run: TrainingCheckpoint) -> bool:
    """Whether a scaler may have skipped steps of the optimizer."""
    return any(each.value for each in run.of("scaler"))


def _of_trainer(run: TrainingCheckpoint) -> Iterator[Fault]:
    steps = run.trainer_state.get("global_step")
    if not isinstance(steps, int) or abs(steps) >= 2**63:
        return
    for state in run.optimizers:
        if state.steps is not None and state.steps != steps and not (_scaled(run) and state.steps < steps):
            yield Fault(state.place, "step", f"{state.steps:,.0f}", f"{steps:,}, as {TRAINER_STATE} says")
    for each in run.of("scheduler"):
        last = last_epoch(each.value)
        if last is not None and last < steps and not _scaled(run):
            yield Fault(each.place, "last_epoch", f"{last:,g}", f"{steps:,}, as {TRAINER_STATE} says")


def _of_name(run: TrainingCheckpoint) -> Iterator[Fault]:
    named = run.named_step
    if named is None:
        return
    counts = {place: value for place, value in run.counters.items() if "step" in place.rpartition(" ")[2]}
    if counts and named not in counts.values():
        place, value = next(iter(counts.items()))
        yield Fault(place, "steps", f"{value:,g}", f"{named:,}, as it is called")


def _of_lightning(run: TrainingCheckpoint) -> Iterator[Fault]:
    if not any(key.startswith("pytorch-lightning_version") for key in run.contents.metadata):
        return
    place, steps = next(((p, v) for p, v in run.counters.items() if p.endswith("global_step")), ("", 0))
    taken = [state.steps for state in run.optimizers if state.steps is not None]
    if place and len(taken) == len(run.optimizers) > 0 and not _scaled(run) and sum(taken) != steps:
        yield Fault(place, "global_step", f"{steps:,g}", f"{sum(taken):,.0f}, the steps of all optimizers")


def _of_schedulers(run: TrainingCheckpoint) -> Iterator[Fault]:
    """Schedulers that are a few steps before or behind the optimizer, but neither step with it nor by epochs."""
    if run.trainer_state or _scaled(run) or len(run.optimizers) != 1:
        return
    steps = run.optimizers[0].steps
    counted = {*run.counters.values(), *(value + 1 for value in run.counters.values())}
    for each in run.of("scheduler"):
        last = last_epoch(each.value)
        if last is None or not steps or last == steps or last in counted - {steps}:
            continue
        many = last > steps and last % steps == 0  # accelerate steps it once for each process
        if not many and abs(last - steps) <= max(1, _NEAR * steps):
            yield Fault(each.place, "last_epoch", f"{last:,g}", f"{steps:,.0f}, the steps of the optimizer")


def _behind(state: OptimizerState) -> Iterator[str]:
    counts = {key: entry.steps for key, entry in state.entries.items() if entry.steps is not None}
    behind = [key for key, count in counts.items() if count != max(counts.values())]
    if behind:
        least = min(counts[key] for key in behind)
        yield f"{state.place}: {len(behind):,} parameters have taken fewer steps than the others, {least:,.0f} at least"
