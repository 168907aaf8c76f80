"""Which parts of a run are in a checkpoint, and what is lost without the others."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from weigh.checks.doctor.examination import Fault, counted
from weigh.checks.results import CheckResult
from weigh.checks.resuming.checkpoint import TRAINER_STATE, Found, TrainingCheckpoint
from weigh.formats.torch.rebuilding import naming

LOST = {
    "weights": "there is nothing to go on from",
    "optimizer": "its moments begin at zero: the first steps after the resume are those of a new run",
    "scheduler": "the learning rate begins its schedule again, or stays where it was",
    "scaler": "a run in float16 begins with the default scale, and skips steps until that fits",
    "Python's generator": "what Python draws, such as augmentation, is drawn anew",
    "NumPy's generator": "what NumPy draws, such as augmentation, is drawn anew",
    "torch's generator": "dropout and the order of the data on the CPU are drawn anew",
    "generators of devices": "dropout on a GPU is drawn anew",
    "position in the data": "the epoch begins again, or goes on in another order: rows are seen twice, others never",
    "steps and epochs": "logs, schedules and the end of the run count from zero",
}
"""The parts of a run, each with what is lost without it."""

_KINDS = {
    "optimizer": "optimizer", "scheduler": "scheduler", "scaler": "scaler", "Python's generator": "python",
    "NumPy's generator": "numpy", "torch's generator": "torch", "generators of devices": "device",
    "position in the data": "position", "steps and epochs": "counter",
}  # fmt: skip
_GENERATORS = ("python", "numpy", "torch", "device")
_MOST_NAMED = 8  # ranks without a file: the number in the name of one may be any


@dataclass(frozen=True)
class Part:
    """A part of a run.

    Attributes:
        name: What it is, such as `optimizer`.
        places: Where it is; empty if it is not there.
        lost: What is lost without it.
    """

    name: str
    places: tuple[str, ...]
    lost: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        return {**asdict(self), "places": list(self.places)}


def parts_of(run: TrainingCheckpoint) -> tuple[Part, ...]:
    """The parts of a run, those that are missing with no place."""
    found = {name: [each.place for each in run.of(kind)] for name, kind in _KINDS.items()}
    weights = dict.fromkeys(tensor.storage.partition(":")[0] for tensor in run.weights)
    found["weights"] = [f"{len(run.weights):,} tensors in {', '.join(list(weights)[:3])}"] if weights else []
    found["steps and epochs"] = list(run.counters)
    flat = [tensor.name for tensor in run.contents.named if tensor.component == "optimizer"]
    if not found["optimizer"] and flat:
        found["optimizer"] = [f"{len(flat):,} tensors, of another form than torch's"]
    if not found["position in the data"] and run.trainer_state:
        found["position in the data"] = [f"{TRAINER_STATE}: the Trainer skips as many batches as global_step says"]
    return tuple(Part(name, tuple(found[name]), lost) for name, lost in LOST.items())


def missing_parts(run: TrainingCheckpoint) -> CheckResult:
    """Parts that are not there though the run had them, by what else is there."""
    faults = [Fault(run.path, name, f"missing: {LOST[name]}", f"there: {why}") for name, why in _missing(run).items()]
    faults += _ranks(run)
    for each in run.of("scaler"):
        scale = each.value.get("scale")
        if isinstance(scale, int | float) and not 0 < scale < float("inf"):
            faults.append(Fault(each.place, "scale", scale, "a number above 0: no gradient survives this one"))
    there = [part.name for part in parts_of(run) if part.places]
    imports = run.contents.imports
    notes = [f"loading it would import {naming(imports)}, which a safe loader refuses"] if imports else []
    notes += [
        f"{each.place} is empty, as a disabled scaler saves it: one that is enabled refuses to load it"
        for each in run.of("scaler")
        if not each.value
    ]
    return counted(
        "parts of the run that are missing",
        faults,
        "a resume makes them anew, and goes another way; save what is missing too",
        cost={"parts there": len(there)},
        notes=notes,
    )


def _missing(run: TrainingCheckpoint) -> dict[str, str]:
    """The parts that the run had, by what says so."""
    found: dict[str, str] = {}
    there = {part.name for part in parts_of(run) if part.places}
    for name, why in _expected(run):
        if name not in there:
            found.setdefault(name, why)
    return found


def _expected(run: TrainingCheckpoint) -> Iterator[tuple[str, str]]:
    yield "weights", "every run has them"
    yield "optimizer", "a run that goes on needs its state"
    if run.trainer_state:
        yield "scheduler", "the Trainer writes scheduler.pt, and loads neither it nor the optimizer without the other"
        yield "torch's generator", "the Trainer writes rng_state.pth"
    options = [group.options for state in run.optimizers for group in state.groups]
    rates = [(each.get("initial_lr"), each.get("lr")) for each in options]
    if any(isinstance(first, int | float) and isinstance(rate, int | float) and first != rate for first, rate in rates):
        yield "scheduler", "the groups have an initial_lr, which schedulers put there, and another lr"


def _ranks(run: TrainingCheckpoint) -> Iterator[Fault]:
    """Files of ranks that are not there, by the highest number among their like."""
    every: dict[str, set[int]] = {}
    for kind in (*_GENERATORS, "position"):
        for each in run.of(kind):
            if each.rank is not None:
                every.setdefault(_like(each), set()).add(each.rank)
    most = max((max(ranks) for ranks in every.values()), default=-1)
    for like, ranks in every.items():
        if len(ranks) == 1 and most == max(ranks) == 0:
            continue
        if missing := list(islice((rank for rank in range(most + 1) if rank not in ranks), _MOST_NAMED)):
            if like.startswith("dl_state_dict") and ranks == {0}:
                continue
            yield Fault(
                like, f"rank {', '.join(map(str, missing))}", "missing: it draws anew", f"there, as of {most + 1} ranks"
            )


def _like(found: Found) -> str:
    return found.file.replace(str(found.rank), "*", 1)
