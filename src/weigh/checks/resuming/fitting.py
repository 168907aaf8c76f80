"""Does the state of the optimizer belong to these weights? By number, by shape and by order."""

from collections import Counter

from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.checks.resuming.aligning import Alignment, align, is_buffer
from weigh.checks.resuming.checkpoint import TrainingCheckpoint
from weigh.checks.resuming.states import STEP, Entry, Key, OptimizerState
from weigh.tensors import Tensor

_KEEPS = ("betas", "momentum", "alpha", "rho", "etas", "lr_decay", "history_size", "beta2_decay")
"""Settings of groups of which a value other than 0 says that the optimizer keeps state of each parameter."""


def alignments(run: TrainingCheckpoint) -> list[Alignment]:
    """The parameters of each optimizer beside the weights.

    Raises:
        NotExamined: If either is missing, or the state is cut into flat pieces.
    """
    if not run.optimizers:
        raise NotExamined("there is no state of an optimizer in the form of torch's")
    if not run.weights:
        raise NotExamined("there are no weights")
    found = [align(run, state) for state in run.optimizers if state.params or state.entries]
    if not found:
        raise NotExamined("the optimizer has no parameters in its groups")
    return found


def state_against_weights(run: TrainingCheckpoint) -> CheckResult:
    """State for parameters that are not there, and parameters that are there in another order."""
    faults: list[Fault] = []
    notes: list[str] = []
    params = 0
    found = alignments(run)
    for one in found:
        place = one.state.place
        params += len(one.state.params)
        faults += [Fault(place, f"parameter {key}", why, "a weight of its shape") for key, why in one.extra.items()]
        faults += [Fault(place, f"parameter {key}", *sides) for key, sides in one.misplaced.items()]
        known, kinds = {*one.state.params}, {type(key) for key in one.state.params}  # what is of all has another key
        faults += [
            Fault(place, f"state of {key}", "kept", "nothing: no group has this parameter")
            for key in one.state.entries
            if type(key) in kinds and key not in known
        ]
        repeated = [key for key, count in Counter(one.state.params).items() if count > 1]
        faults += [Fault(place, f"parameter {key}", "in the groups twice", "once") for key in repeated]
        notes += _notes(one)
    if left := _in_no_group(found):
        names = ", ".join(tensor.name for tensor in left[:3])
        more = f" and {len(left) - 3:,} more" if len(left) > 3 else ""
        notes.append(f"in no group, and so frozen or buffers: {names}{more}")
    return counted(
        "parameters of the optimizer that do not fit the weights",
        faults,
        "load_state_dict compares numbers and no shapes: state goes to the parameter in its place, whatever that is; "
        "build the optimizer as the run did, or take the weights and the state of one save",
        cost={"parameters in groups": params, "weights": len(run.weights)},
        notes=notes,
    )


def _notes(one: Alignment) -> list[str]:
    notes = []
    if one.misplaced and not one.extra and one.how == "order":
        notes.append(
            f"{one.state.place}: every shape is there: if the optimizer was built in another order than the model, as "
            "with its head first, that is no fault; --against an earlier save says whether the order changed"
        )
    if one.how == "shapes":
        notes.append(
            f"{one.state.place}: the order is not examined: safetensors keeps none, and the state has no names"
        )
    unknown = sum(key not in one.shapes and key in one.state.entries for key in one.state.params)
    if unknown:
        notes.append(f"{one.state.place}: the state of {unknown:,} parameters does not tell their shape")
    return notes


def _in_no_group(found: list[Alignment]) -> list[Tensor]:
    """Weights that no optimizer has, buffers apart; none where it is not certain which these are."""
    if any(len(one.weight_of) < len(one.state.params) for one in found):
        return []
    taken = {id(tensor) for one in found for tensor in one.weight_of.values()}
    beside = {id(tensor): tensor for one in found for tensor in one.weights if id(tensor) not in taken}
    return [tensor for tensor in beside.values() if not is_buffer(tensor)]


def state_of_each(run: TrainingCheckpoint) -> CheckResult:
    """Parameters without state: all of them, or a part of the state of some."""
    states = [state for state in run.optimizers if state.params]
    if not states:
        raise NotExamined("there is no state of an optimizer in the form of torch's")
    faults: list[Fault] = []
    notes: list[str] = []
    for state in states:
        without = [key for key in state.params if key not in state.entries]
        if without and not state.entries:
            if any(group.options.get(name) for group in state.groups for name in _KEEPS):
                if run.steps:
                    said = f"none, after {run.steps:,.0f} steps"
                    faults.append(Fault(state.place, "state", said, "that of each parameter"))
                else:
                    notes.append(f"{state.place}: no state yet, as before the first step")
        elif without and not all("history_size" in group.options for group in state.groups):  # L-BFGS: all in the first
            notes.append(f"{state.place}: no state for {_named(without)}: frozen, or no gradient so far")
        faults += [
            Fault(state.place, f"state of {key}", f"no {', '.join(lacking)}", f"{', '.join(lacking)}, as of its like")
            for key, lacking in _lacking(state).items()
        ]
    return counted(
        "parameters whose state is missing",
        faults,
        "load_state_dict takes what is there; an optimizer makes the rest anew, or stops on it at the next step",
        cost={"parameters": sum(len(state.params) for state in states)},
        notes=notes,
    )


def _named(keys: list[Key]) -> str:
    shown = ", ".join(map(str, keys[:5]))
    return f"{shown} and {len(keys) - 5:,} more" if len(keys) > 5 else shown


def _lacking(state: OptimizerState) -> dict[Key, list[str]]:
    """What parameters lack that most of their group with as many dimensions have, `step` apart."""
    found: dict[Key, list[str]] = {}
    for group in state.groups:
        entries = {key: state.entries[key] for key in group.params if key in state.entries}
        for matrices in (True, False):
            like = {key: _tensors(entry) for key, entry in entries.items() if _is_matrix(entry) is matrices}
            if not like:
                continue
            usual, count = Counter(like.values()).most_common(1)[0]
            if 2 * count > len(like) > 1:
                found |= {key: sorted(usual - own) for key, own in like.items() if own < usual}
    return found


def _tensors(entry: Entry) -> frozenset[str]:
    return frozenset(name for name in entry.slots if name != STEP)


def _is_matrix(entry: Entry) -> bool:
    return any(sum(size > 1 for size in slot.shape) > 1 for slot in entry.slots.values())
