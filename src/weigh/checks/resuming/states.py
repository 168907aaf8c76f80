"""The state of an optimizer as a checkpoint has it: its groups of parameters, and what is kept of each parameter."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weigh.dtypes import DTYPES
from weigh.errors import MalformedPickle
from weigh.formats.torch.values import Instance, Saved
from weigh.tensors import Tensor

Shape = tuple[int, ...]
Key = int | str
"""How a parameter is called in the state: its number in the groups, or its name."""

STEP = "step"
_SCALARS: tuple[Shape, ...] = ((), (1,))
_MOMENTS = ("exp_avg", "exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg", "acc_delta", "sum")
"""What torch's optimizers keep in the shape of the parameter, whatever that is."""

_MOST_HELD = 2**21  # parameters in groups and tensors of state, of all together
_MOST_FACTORS = 64  # tensors of one parameter that are compared in pairs


@dataclass(frozen=True)
class Slot:
    """A tensor of the state of one parameter, such as `exp_avg`.

    Attributes:
        shape: Its sizes; of a quantized or distributed one, those that it stands for.
        dtype: Its number format.
        tensor: The tensor, where it is a plain one.
    """

    shape: Shape
    dtype: str
    tensor: Tensor | None = None


@dataclass(frozen=True)
class Entry:
    """What is kept of one parameter.

    Attributes:
        slots: Its tensors, by their names.
        numbers: Its plain numbers, by theirs; a `step` that is a tensor is among them too.
    """

    slots: Mapping[str, Slot]
    numbers: Mapping[str, float]

    @property
    def steps(self) -> float | None:
        """The steps that the parameter has taken, if the state counts them."""
        return self.numbers.get(STEP)

    @property
    def large(self) -> dict[str, Slot]:
        """Its tensors, but for single numbers."""
        return {name: slot for name, slot in self.slots.items() if slot.shape not in _SCALARS}


@dataclass(frozen=True)
class Group:
    """A group of parameters.

    Attributes:
        options: Its settings, such as `lr`; tensors of one number are numbers here.
        params: Its parameters.
        names: What they are called, where the optimizer was given names.
    """

    options: Mapping[str, Any]
    params: tuple[Key, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptimizerState:
    """The state dict of an optimizer.

    Attributes:
        place: Where it is: a file, a path in the file, or both.
        groups: Its groups.
        entries: What it keeps of each parameter.
        saved: The value that it is in, which has the bytes of its tensors.
    """

    place: str
    groups: tuple[Group, ...]
    entries: Mapping[Key, Entry]
    saved: Saved = field(repr=False)

    @property
    def params(self) -> list[Key]:
        """The parameters of all groups, in their order."""
        return [key for group in self.groups for key in group.params]

    @property
    def is_named(self) -> bool:
        """Whether the parameters are called by names and not by numbers."""
        return any(isinstance(key, str) for key in self.params or self.entries)

    @property
    def names(self) -> dict[Key, str]:
        """The names of the parameters, as far as the state has them."""
        found: dict[Key, str] = {key: key for key in self.params if isinstance(key, str)}
        for group in self.groups:
            names = group.names
            if len(group.params) == 1 and isinstance(group.options.get("name"), str):  # as Adam-mini does
                names = (group.options["name"],)
            if len(names) == len(group.params):
                found |= dict(zip(group.params, names, strict=True))
        return found

    @property
    def steps(self) -> float | None:
        """The most steps that a parameter or a group has counted; `None` if nothing counts them."""
        counted = [entry.steps for entry in self.entries.values() if entry.steps is not None]
        counted += [
            float(group.options[name])
            for group in self.groups
            for name in (STEP, "k")
            if isinstance(group.options.get(name), int | float)
        ]
        return max(counted, default=None)


def read_state(where: object, place: str, value: Mapping[Any, Any], saved: Saved) -> OptimizerState:
    """The state dict of an optimizer, from the value that was saved.

    Raises:
        MalformedPickle: If its groups or entries are one another, so often that they hold more than any file has.
    """
    left = _MOST_HELD
    made: dict[int, Any] = {}  # what is met again is not read again

    def once(each: Any, read: Callable[[Any, Saved], Any], size: Callable[[Any], int]) -> Any:
        nonlocal left
        if id(each) not in made:
            made[id(each)] = read(each, saved)
        found = made[id(each)]
        left -= size(found) if found else 0
        if left < 0:
            raise MalformedPickle(
                f"{where}, {place}", f"repeats itself to more than {_MOST_HELD:,} entries; do not load it"
            )
        return found

    listed = [each for each in _listed(value.get("param_groups")) if isinstance(each, Mapping)]
    groups: tuple[Group, ...] = tuple(once(each, _group, lambda group: len(group.params)) for each in listed)
    state = value.get("state")
    pairs = state.items() if isinstance(state, Mapping) else enumerate(_listed(state))
    numbered = {str(key): key for group in groups for key in group.params if isinstance(key, int)}
    entries = {}  # torch.distributed.checkpoint makes text of the numbers
    for key, each in pairs:
        entry = once(each, _entry, lambda entry: len(entry.slots))
        if isinstance(key, int | str) and entry is not None:
            entries[numbered.get(key, key) if isinstance(key, str) else key] = entry
    return OptimizerState(place, groups, entries, saved)


def _listed(value: Any) -> Sequence[Any]:
    """The elements of a list; of one that was flattened into numbers, in their order."""
    if isinstance(value, Mapping):
        return [value[key] for key in sorted(key for key in value if isinstance(key, int))]
    return value if isinstance(value, list | tuple) else ()


def _group(value: Mapping[Any, Any], saved: Saved) -> Group:
    options = {}
    for name, option in value.items():
        if isinstance(name, str) and name not in ("params", "param_names"):
            options[name] = saved.number(option) if isinstance(option, Tensor) else option
    params = tuple(key for key in _listed(value.get("params")) if isinstance(key, int | str))
    return Group(options, params, tuple(str(name) for name in _listed(value.get("param_names"))))


def _entry(value: Any, saved: Saved) -> Entry | None:
    if not isinstance(value, Mapping | list | tuple):
        return None
    slots: dict[str, Slot] = {}
    numbers: dict[str, float] = {}
    for name, found in _inside(value, "", set()):
        if isinstance(found, Tensor):
            slots[name] = Slot(found.shape, found.dtype, found)
            if name == STEP and (count := saved.number(found)) is not None:
                numbers[name] = count
        elif isinstance(found, Instance):
            slots[name] = Slot(found.shape or (), found.dtype)
        else:
            numbers[name] = found
    return Entry(slots, numbers)


def _inside(value: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The tensors and numbers in the state of a parameter, with the path to each; what is in it twice is met once."""
    is_tensor = isinstance(value, Tensor) or (isinstance(value, Instance) and value.shape is not None)
    if is_tensor or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield name, value
    elif isinstance(value, Mapping | list | tuple | Instance) and id(value) not in seen:
        seen.add(id(value))
        children = value.entries if isinstance(value, Instance) else value
        pairs = children.items() if isinstance(children, Mapping) else enumerate(children)
        for key, child in pairs:
            yield from _inside(child, f"{name}.{key}" if name else str(key), seen)


def parameter_shapes(state: OptimizerState, shapes: Sequence[Shape]) -> dict[Key, Shape]:
    """The shape of each parameter, as far as its state tells: that of a moment, or of a row and a column of one.

    Which tensors of the state are as large as their parameter is found by comparing: of a name such as `exp_avg`, at
    least half of the tensors have the shape of some weight. Where that holds of none, as of another model's state, it
    is what torch's optimizers keep, unless that is cut into flat pieces.

    Args:
        state: The state of the optimizer.
        shapes: Those of the weights.
    """
    there = set(shapes)
    projected = {key for group in state.groups if group.options.get("rank") for key in group.params}
    seen: Counter[str] = Counter()
    like: Counter[str] = Counter()
    for entry in state.entries.values():
        for name, slot in entry.large.items():
            seen[name] += 1
            like[name] += slot.shape in there
    full = sorted((name for name in seen if 2 * like[name] >= seen[name]), key=lambda name: (-seen[name], name))
    if not full and any(len(slot.shape) > 1 for entry in state.entries.values() for slot in entry.large.values()):
        full = [name for name in _MOMENTS if name in seen]
    found: dict[Key, Shape] = {}
    for key, entry in state.entries.items():
        shape = _shape(entry, full, there)
        if shape is not None and (key not in projected or (shape in there and len(shape) > 1)):
            found[key] = shape
    return found


def _shape(entry: Entry, full: list[str], there: set[Shape]) -> Shape | None:
    large = entry.large
    factored = _factored({name: slot.shape for name, slot in large.items()}, there)
    if factored is not None:
        return factored
    if named := [large[name].shape for name in full if name in large]:
        shape = next((shape for shape in named if shape in there), named[0])
        return None if shape not in there and 1 in shape and len(shape) > 1 else shape  # of rows alone, perhaps
    scalars = [slot.shape for name, slot in entry.slots.items() if name in full and slot.shape in there]
    return scalars[0] if scalars and not large else None


def _factored(large: Mapping[str, Shape], there: set[Shape]) -> Shape | None:
    """The shape of a matrix of which a row and a column are kept, as (n, 1) and (1, m) or as (n,) and (m,)."""
    if len(large) > _MOST_FACTORS or any(shape in there and len(shape) > 1 for shape in large.values()):
        return None
    for name, row in large.items():
        for other, column in large.items():
            if name == other or len(row) != len(column):
                continue
            if len(row) > 1 and row[-1] == 1 and column[-2] == 1 != row[-2] and row[:-2] == column[:-2]:
                return (*row[:-1], column[-1])
            by_name = other == name.replace("row", "col") and "row" in name
            if row[:-1] == column[:-1] and (by_name or (row != column and (*row, column[-1]) in there)):
                return (*row, column[-1])
    return None


def is_float(slot: Slot) -> bool:
    """Whether a tensor of the state holds numbers of 16 bits and more, and no codes."""
    return slot.dtype in DTYPES and DTYPES[slot.dtype].kind == "float" and DTYPES[slot.dtype].bits >= 16
