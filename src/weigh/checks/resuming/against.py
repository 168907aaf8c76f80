"""What changed between two saves of one run that should not have: settings, formats, counts, and what moved."""

from collections.abc import Iterator, Mapping
from typing import Any

from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.checks.resuming.aligning import Alignment, align, is_buffer
from weigh.checks.resuming.checkpoint import Found, TrainingCheckpoint, pieces
from weigh.checks.resuming.parts import parts_of
from weigh.checks.resuming.settings import MODE
from weigh.checks.resuming.states import STEP, OptimizerState, is_float
from weigh.dtypes import DTYPES
from weigh.formats.torch.values import Instance, Saved
from weigh.tensors import Tensor

_MOVES = {"lr", "k", "step", "weight_sum", "lr_max", "scheduled_lr", "d", "d0", "d_max", "d_hat", "d_numerator"}
"""Settings of groups that change while a run goes on: the rate, and what schedule-free and Prodigy count in them."""

_SIMPLE = (bool, int, float, str)
_MOST = 64  # elements of a setting that are compared


def parts_that_are_gone(now: TrainingCheckpoint, before: TrainingCheckpoint) -> CheckResult:
    """Parts of the run that one of two saves has and the other has not."""
    here, there = ({part.name: part.places for part in parts_of(run)} for run in (now, before))
    faults = [
        Fault(now.path, name, "missing", ", ".join(there[name])) for name in there if there[name] > here[name] == ()
    ]
    faults += [
        Fault(before.path, name, "missing", ", ".join(here[name])) for name in here if here[name] > there[name] == ()
    ]
    return counted(
        "parts that one of the two saves lacks",
        faults,
        "one run saves the same parts each time; from the save without it a resume goes another way",
        cost={"parts": sum(bool(places) for places in here.values())},
    )


def _pairs(now: TrainingCheckpoint, before: TrainingCheckpoint) -> list[tuple[OptimizerState, OptimizerState]]:
    if not now.optimizers or not before.optimizers:
        raise NotExamined("one of the two has no state of an optimizer in the form of torch's")
    return list(zip(now.optimizers, before.optimizers, strict=False))


def groups_that_changed(now: TrainingCheckpoint, before: TrainingCheckpoint) -> CheckResult:
    """Groups of another number, order or size, and settings that no schedule changes."""
    faults, groups = [], 0
    for new, old in _pairs(now, before):
        sizes, before_sizes = ([len(group.params) for group in state.groups] for state in (new, old))
        if sizes != before_sizes:
            faults.append(Fault(new.place, "sizes of the groups", sizes, before_sizes))
            continue
        for number, (group, earlier) in enumerate(zip(new.groups, old.groups, strict=True)):
            groups += 1
            if (group.names or group.params) != (earlier.names or earlier.params):
                faults.append(Fault(new.place, f"order of group {number}", list(group.params), list(earlier.params)))
            for name in {**earlier.options, **group.options}:
                value, was = group.options.get(name), earlier.options.get(name)
                value, was = _plain(value), _plain(was)
                if name not in (*_MOVES, MODE) and value != was:
                    faults.append(Fault(new.place, f"{name} of group {number}", value, was))
    return counted(
        "settings of groups that changed",
        faults,
        "loading puts the saved settings over those of the code, so they changed in the run, or it is another run",
        cost={"groups": groups},
    )


def _plain(value: Any) -> Any:
    """A number, a text or a row of them; of anything else no more than that it is there."""
    if isinstance(value, list | tuple):
        return [_plain(each) if isinstance(each, _SIMPLE) else "…" for each in value[:_MOST]]
    return value if value is None or isinstance(value, _SIMPLE) else "…"


def modes_that_changed(now: TrainingCheckpoint, before: TrainingCheckpoint) -> CheckResult:
    """Two saves of a schedule-free optimizer in different modes."""
    found = []
    for new, old in _pairs(now, before):
        modes = [[bool(g.options[MODE]) for g in state.groups if MODE in g.options] for state in (new, old)]
        if any(modes):
            found.append((new.place, modes[0], modes[1]))
    if not found:
        raise NotExamined("no group of an optimizer has a train_mode")
    return counted(
        "optimizers saved in another mode",
        [Fault(place, MODE, new, old) for place, new, old in found if new != old],
        "the weights in the two files are different points: compare, average and serve those of eval() alone",
        cost={"optimizers": len(found)},
    )


def formats_that_changed(now: TrainingCheckpoint, before: TrainingCheckpoint) -> CheckResult:
    """Weights and state in another number format or shape than before."""
    old = {tensor.name: tensor for tensor in before.weights}
    both = [(tensor, old[tensor.name]) for tensor in now.weights if tensor.name in old]
    faults = [
        Fault(new.storage, new.name, f"{new.dtype} {list(new.shape)}", f"{was.dtype} {list(was.shape)}")
        for new, was in both
        if (new.dtype, new.shape) != (was.dtype, was.shape)
    ]
    for state, earlier in _pairs(now, before):
        changed: dict[tuple[str, str, str], list[Any]] = {}
        for key, entry in state.entries.items():
            for name, slot in entry.slots.items():
                was_slot = earlier.entries[key].slots.get(name) if key in earlier.entries else None
                if was_slot and (slot.dtype, slot.shape) != (was_slot.dtype, was_slot.shape):
                    said = (f"{each.dtype} {list(each.shape)}" for each in (slot, was_slot))
                    changed.setdefault((name, *said), []).append(key)  # type: ignore[arg-type]
        for (name, is_now, was), keys in changed.items():
            more = f" and {len(keys) - 1:,} more" if len(keys) > 1 else ""
            faults.append(Fault(state.place, f"{name} of {keys[0]}{more}", is_now, was))
    return counted(
        "tensors in another number format or shape",
        faults,
        "loading casts state to the format of the weights: what was kept wider was rounded between the two saves",
        cost={"weights in both": len(both)},
    )


def steps_that_went_back(now: TrainingCheckpoint, before: TrainingCheckpoint) -> CheckResult:
    """Counts that are lower than before, parameters that count from zero, and moments that are zero again."""
    faults = [
        Fault(now.path, place, f"{count:,g}", f"{before.counters[place]:,g} or more, as it was")
        for place, count in now.counters.items()
        if place in before.counters and count < before.counters[place]
    ]
    for state, earlier in _pairs(now, before):
        back = [
            key for key, entry in state.entries.items()
            if key in earlier.entries and (entry.steps or 0) < (earlier.entries[key].steps or 0)
        ]  # fmt: skip
        if back:
            first, was = state.entries[back[0]].steps, earlier.entries[back[0]].steps
            more = f" and {len(back) - 1:,} more" if len(back) > 1 else ""
            faults.append(
                Fault(state.place, f"step of {back[0]}{more}", f"{first or 0:,.0f}", f"{was or 0:,.0f} or more")
            )
        gone = [key for key in earlier.entries if key not in state.entries and key in state.params]
        faults += [Fault(state.place, f"state of {key}", "none", "there, as it was") for key in gone]
        faults += [
            Fault(state.place, f"{name} of {key}", "zeros throughout", "not zero, as it was")
            for key, name in _emptied(state, earlier)
        ]
    return counted(
        "counts and moments that began anew",
        faults,
        "the state was not loaded, or not all of it: the run between the two saves began with an optimizer of its own",
        cost={"optimizers": len(now.optimizers)},
    )


def _emptied(state: OptimizerState, earlier: OptimizerState) -> Iterator[tuple[Any, str]]:
    for key, entry in state.entries.items():
        for name, slot in entry.slots.items():
            was = earlier.entries[key].slots.get(name) if key in earlier.entries else None
            if name == STEP or not was or not slot.tensor or not was.tensor or not is_float(slot):
                continue
            if _is_zero(state.saved, slot.tensor) and not _is_zero(earlier.saved, was.tensor):
                yield key, name


def _is_zero(saved: Saved, tensor: Tensor) -> bool:
    return not any(piece.strip(b"\0") for piece in pieces(saved.storages, tensor))


def weights_that_stood_still(now: TrainingCheckpoint, before: TrainingCheckpoint) -> CheckResult:
    """Weights in training that did not move, and frozen ones that did."""
    (state, earlier), *others = _pairs(now, before)
    taken = (state.steps or now.steps) - (earlier.steps or before.steps)
    if taken <= 0:
        raise NotExamined("no step lies between the two saves")
    old = {tensor.name: tensor for tensor in before.weights}
    found = [_trained(align(now, each)) for each in (state, *(pair[0] for pair in others))]
    faults: list[Fault] = []
    compared, undecided = 0, 0
    for tensor in now.weights:
        was = old.get(tensor.name)
        if was is None or (was.shape, was.dtype, was.strides) != (tensor.shape, tensor.dtype, tensor.strides):
            continue
        compared += 1
        moved = any(a != b for a, b in zip(now.bytes_of(tensor), before.bytes_of(was), strict=True))
        trained = next((each[id(tensor)] for each in found if id(tensor) in each), None)
        if trained and not moved and not is_buffer(tensor):
            faults.append(Fault(tensor.storage, tensor.name, "the same bytes", f"moved, after {taken:,.0f} steps"))
        elif trained is False and moved:
            faults.append(Fault(tensor.storage, tensor.name, "moved", "the same bytes: it has no state, and is frozen"))
        undecided += trained is None and not is_buffer(tensor)
    if not compared:
        raise NotExamined("no weight has the same name, shape and format in both")
    return counted(
        "weights that stood still in training, or moved though frozen",
        faults,
        "a weight without a gradient, or whose updates are smaller than its number format tells apart, is not trained; "
        "a frozen one moves by weight decay or momentum, or was loaded from elsewhere",
        cost={"weights compared": compared},
        notes=[f"of {undecided:,} weights it is not certain whether they are trained"] if undecided else [],
    )


def _trained(one: Alignment) -> dict[int, bool | None]:
    """Whether the optimizer keeps state of a weight, and gives it a rate, by the identity of each that it may have.

    `None` where that is not certain.
    """
    rates = {key: group.options.get("lr") for group in one.state.groups for key in group.params}
    found: dict[int, bool | None] = {}
    if len(one.state.params) == len(one.weights) and all(map(one.state.entries.__contains__, one.state.params)):
        found = dict.fromkeys(map(id, one.weights), True if all(rates.values()) and not one.extra else None)
    return found | {
        id(tensor): key in one.state.entries if rates.get(key) else None for key, tensor in one.weight_of.items()
    }


def position_that_stood_still(now: TrainingCheckpoint, before: TrainingCheckpoint) -> CheckResult:
    """The state of a loader, or of a generator, that is the same as before."""
    pairs = [
        (kind, new, old)
        for kind in ("position", "torch", "numpy", "python", "device")
        for new in now.of(kind)
        for old in before.of(kind)
        if new.place == old.place
    ]
    loaders = [(new, old) for kind, new, old in pairs if kind == "position"]
    if not loaders:
        raise NotExamined("the two saves hold no state of a loader at the same place")
    if now.steps <= before.steps:
        raise NotExamined("no step lies between the two saves")
    faults = [
        Fault(new.place, "position in the data", "the same as before", "moved on")
        for new, old in loaders
        if _same(new.value, old.value, new, old, set())
    ]
    alike = [
        new.place for kind, new, old in pairs if kind != "position" and _same(new.value, old.value, new, old, set())
    ]
    return counted(
        "positions in the data that did not move on",
        faults,
        "the loader that is saved is not the one that is read: a resume sees the same rows again",
        cost={"positions": len(loaders)},
        notes=[f"generators that drew nothing between the two saves: {', '.join(alike)}"] if alike else [],
    )


def _same(new: Any, old: Any, here: Found, there: Found, seen: set[tuple[int, int]]) -> bool:
    """Whether two values are equal, tensors by their bytes; a pair that is met again is compared once."""
    if isinstance(new, Mapping | list | tuple | Instance):
        if (id(new), id(old)) in seen:
            return True
        seen.add((id(new), id(old)))
    if isinstance(new, Instance) and isinstance(old, Instance):
        alike = new.name == old.name and _same(new.entries, old.entries, here, there, seen)
        return alike and _same(new.args, old.args, here, there, seen)
    if isinstance(new, Tensor) and isinstance(old, Tensor):
        if (new.shape, new.dtype, new.strides) != (old.shape, old.dtype, old.strides):
            return False
        sides = (pieces(here.saved.storages, new), pieces(there.saved.storages, old))
        return DTYPES[new.dtype].bits >= 8 and all(a == b for a, b in zip(*sides, strict=True))
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return new.keys() == old.keys() and all(_same(new[key], old[key], here, there, seen) for key in new)
    if isinstance(new, list | tuple) and isinstance(old, list | tuple):
        return len(new) == len(old) and all(_same(a, b, here, there, seen) for a, b in zip(new, old, strict=True))
    return bool(new == old)
