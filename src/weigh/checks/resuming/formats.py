"""Is the state in the number formats that its library keeps it in, and does loading leave it so?

`torch.optim.Optimizer.load_state_dict` casts each tensor of the state of a floating-point parameter to the format of
the parameter, `step` apart (`_process_value_according_to_param_policy`). What an optimizer keeps wider than its weights
is rounded by that, without a word.
"""

from collections.abc import Iterator
from functools import cache
from itertools import islice, product
from typing import Any

from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.checks.resuming.aligning import Alignment
from weigh.checks.resuming.checkpoint import TrainingCheckpoint
from weigh.checks.resuming.fitting import alignments
from weigh.checks.resuming.states import STEP, Entry, Key, Shape, is_float
from weigh.dtypes import DTYPES
from weigh.memory.optimizers import OPTIMIZERS
from weigh.memory.optimizers.entries import Optimizer
from weigh.tensors import Tensor

_CAST_BY_THEMSELVES = {
    *("qmap1", "qmap2", "max1", "max2", "new_max1", "new_max2", "state1", "state2", "gnorm_vec", "absmax1", "absmax2"),
    "unorm_vec",
}
"""What bitsandbytes leaves as it is when it loads, `non_castable_tensor_keys` of its `Optimizer8bit`."""

_LARGEST = {"bfloat16": 2**8, "float16": 2**11}
"""Up to which whole number each is exact: the next one is not counted any more."""

_MOST_VARIANTS = 32


def number_formats(run: TrainingCheckpoint) -> CheckResult:
    """State that loading rounds, and state that is narrower than its library keeps it."""
    faults: list[Fault] = []
    tensors = 0
    for one in alignments(run):
        seen: dict[tuple[str, str, str], list[Key]] = {}
        for key, entry in one.state.entries.items():
            dtype = _dtype(one, key)
            tensors += len(entry.slots)
            for name, found, expected in _wrong(entry, one.shapes.get(key), dtype) if dtype else _wrong_step(entry):
                seen.setdefault((name, found, expected), []).append(key)
        for (name, found, expected), keys in seen.items():
            more = f" and {len(keys) - 1:,} more" if len(keys) > 1 else ""
            faults.append(Fault(one.state.place, f"{name} of {keys[0]}{more}", found, expected))
    if not tensors:
        raise NotExamined("the optimizer keeps no tensors")
    return counted(
        "tensors of the state in a number format that a resume does not keep",
        faults,
        "load_state_dict casts all but step to the format of the weights; put the state back by hand after loading, in "
        "the format that the optimizer made it in, or save the weights in the format that they are trained in",
        cost={"tensors of the state": tensors},
    )


def _dtype(one: Alignment, key: Key) -> str:
    """The number format of the weight of a parameter; empty if that is not certain."""
    if key in one.weight_of:
        return one.weight_of[key].dtype
    shape = one.shapes.get(key)
    dtypes = {tensor.dtype for tensor in one.weights if shape is None or tensor.shape == shape}
    return dtypes.pop() if len(dtypes) == 1 else ""


def _wrong_step(entry: Entry) -> Iterator[tuple[str, str, str]]:
    step = entry.slots.get(STEP)
    if step and step.dtype in _LARGEST:
        count = entry.numbers.get(STEP)
        at = f", at {count:,.0f}" if count is not None else ""
        yield STEP, f"{step.dtype}{at}", f"float32: {step.dtype} stops counting at {_LARGEST[step.dtype]:,}"


def _wrong(entry: Entry, shape: Shape | None, dtype: str) -> Iterator[tuple[str, str, str]]:
    """The tensors in another format than they should be: their name, the format, and what it should be."""
    yield from _wrong_step(entry)
    kept = _kept(frozenset(entry.slots), shape, dtype) if shape is not None else {}
    for name, slot in entry.slots.items():
        if (
            name == STEP
            or not is_float(slot)
            or DTYPES[dtype].kind != "float"
            or name.rpartition(".")[2] in _CAST_BY_THEMSELVES
        ):
            continue
        known = kept.get(name, set())
        if DTYPES[slot.dtype].bits > DTYPES[dtype].bits:
            yield name, f"{slot.dtype} beside weights in {dtype}", f"{dtype}, to which loading rounds it"
        elif known and slot.dtype not in known and all(DTYPES[k].bits > DTYPES[slot.dtype].bits for k in known):
            yield name, slot.dtype, f"{' or '.join(sorted(known))}, in which its library makes it"
        elif not known and DTYPES[slot.dtype].bits < DTYPES[dtype].bits:
            yield name, slot.dtype, f"{dtype}, as the weights"


@cache
def _kept(names: frozenset[str], shape: Shape, dtype: str) -> dict[str, set[str]]:
    """The number formats in which optimizers that keep tensors of these names for such a weight make each of them."""
    found: dict[str, set[str]] = {}
    weight = Tensor("weight", shape, dtype, "weight", 0, 0)
    for each, options in _optimizers():
        kept = list(each.state(weight, dtype, **options))
        if {name for name, _, _ in kept} == names:
            for name, _, of in kept:
                found.setdefault(name, set()).add(of)
    return found


@cache
def _optimizers() -> list[tuple[Optimizer, dict[str, Any]]]:
    """Every optimizer with each of its settings: listed once, since to read a signature takes longer than to use it."""
    return [
        (each, options) for each in OPTIMIZERS.values() for options in islice(_variants(each.options), _MOST_VARIANTS)
    ]


def _variants(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings that decide what is kept: switches on and off, and numbers as they are and not zero."""
    values = {
        name: (default, not default) if isinstance(default, bool) else (default, 0.9)
        for name, default in options.items()
        if isinstance(default, bool) or default == 0.0
    }
    for chosen in product(*values.values()):
        yield dict(zip(values, chosen, strict=True))
