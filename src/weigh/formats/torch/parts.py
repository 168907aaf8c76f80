"""What the parts of a checkpoint are, by their structure: state dicts, copies of them, optimizer state, the rest.

Training loops save a dictionary of what they need: a state dict below one key, an optimizer's below another, scalars
and settings beside them. No key has a fixed name, but most parts have a form of their own. A state dict is a dictionary
with tensors directly below it, an optimizer's has `state` and `param_groups` (`torch/optim/optimizer.py`), and a
pickled module keeps its tensors in `_parameters`, `_buffers` and `_modules` (`torch/nn/modules/module.py`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from weigh.dtypes import DTYPES
from weigh.formats.opcodes import Call, Mapping
from weigh.formats.pickles import MAX_DEPTH, Keys, children, length, pairs, texts
from weigh.formats.torch import naming
from weigh.formats.torch.naming import COUNTER, STATE_DICTS

_SLOTS = {"exp_avg", "exp_avg_sq", "momentum_buffer", "square_avg", "acc_delta", "sum", "exp_inf", "state1", "state2"}
_OPTIMIZER = ("state", "param_groups")
_FLATTENED = ("state.", "param_groups.")
_MODULE = ("_parameters", "_buffers", "_modules")
_MOST_REPEATS = 40_000  # entries of containers that are reached again
_MOST_DEVICES = 64
_GENERATORS = ((5056,), (16,))  # bytes of torch's generators on the CPU and on a GPU: torch.get_rng_state()


class Form(NamedTuple):
    """What a pickle says of a tensor: its sizes, and its number format, empty where that is not told."""

    shape: tuple[int, ...]
    dtype: str = ""

    @property
    def is_generator(self) -> bool:
        """Whether it has the form of the state of torch's generator on the CPU."""
        return self.shape == _GENERATORS[0] and self.dtype in ("uint8", "")

    @property
    def is_light(self) -> bool:
        """Whether it is a scalar or of integers, as counters and positions are; a model has other tensors too."""
        return not self.shape or (self.dtype in DTYPES and DTYPES[self.dtype].kind in ("int", "bool"))


Describe = Callable[[Any], Form | None]
"""The form of a value that is a tensor; `None` for any other."""


@dataclass
class Parts:
    """The components and state dicts in a value that was saved, by the paths that lead to them.

    Attributes:
        marks: The component of everything below a path, where it is not that of what is above.
        state_dicts: The paths of the state dicts, in the order of the value.
        buffers: The paths of the buffers of pickled modules.
    """

    marks: dict[Keys, str] = field(default_factory=dict)
    state_dicts: dict[Keys, None] = field(default_factory=dict)
    buffers: set[Keys] = field(default_factory=set)

    def mark(self, keys: Keys) -> str:
        """What the nearest marked container above a value says: its component, or `beside` the weights."""
        if not self.marks:
            return "weights"
        return next((self.marks[keys[:n]] for n in range(len(keys), -1, -1) if keys[:n] in self.marks), "weights")

    def component(self, keys: Keys) -> str:
        """The component of a value at a path. What lies beside the weights is metadata, a tensor or not."""
        return self.mark(keys).replace("beside", "metadata")

    def state_dict(self, keys: Keys) -> str:
        """The name of the state dict that a path leads into: its own path, nothing where that is the root's."""
        found = next((keys[:n] for n in range(len(keys), 0, -1) if keys[:n] in self.state_dicts), ())
        return ".".join(attribute_path(found)) if found else ""


def attribute_path(keys: Keys) -> list[str]:
    """The parts of a tensor's name, as the state dict of a pickled module has it."""
    if "<state>" not in keys:
        return [str(key) for key in keys]
    names, at = [], 0
    while at < len(keys):
        if keys[at] == "<state>":
            at += 2 if keys[at + 1 : at + 2] and keys[at + 1] in _MODULE else 1
            continue
        names.append(str(keys[at]))
        at += 1
    return names


def parts(root: Any, describe: Describe) -> Parts:
    """Find out what the parts of a checkpoint are.

    Args:
        root: What its pickle would build.
        describe: Tells tensors from other values.
    """
    reader = _Reader(describe)
    if (form := describe(root)) is None:
        reader.visit(root, (), ())
    elif form.is_generator:
        reader.found.marks[()] = "rng"
    return reader.found


class _Reader:
    def __init__(self, describe: Describe) -> None:
        self.describe, self.found = describe, Parts()
        self.seen: set[int] = set()
        self.averages: list[Keys] = []
        self.counted: set[Keys] = set()
        self.light: set[Keys] = set()
        self.repeats = _MOST_REPEATS
        self.wholes: dict[int, str] = {}
        self.entries: dict[int, dict[Any, Any]] = {}

    def visit(self, value: Any, keys: Keys, above: tuple[int, ...]) -> bool:
        """Mark what is in a container, and say whether weights are."""
        entries = self.enter(value, above, len(keys))
        if not entries:
            return False
        above = (*above, id(value))
        if kind := self.whole(value):
            self.found.marks[keys] = kind
            return False
        if self.is_module(value):
            self.found.state_dicts[keys] = None
            self.module(value, keys, above)
            return True
        direct = {key: form for key, child in entries if (form := self.describe(child)) is not None}
        before, averages, optimizer = len(self.found.state_dicts), len(self.averages), False
        copies: list[str | int] = []
        weights: list[str | int] = []
        flat = _flat(key for key, _ in entries)
        for key, child in entries:
            if named := "optimizer" if key in flat else naming.of_key(key, key in direct):
                self.found.marks[(*keys, key)] = named
                optimizer |= named == "optimizer"
                direct.pop(key, None)
            elif key not in direct and isinstance(child, Mapping | Call | list | tuple):
                holds = self.visit(child, (*keys, key), above)
                optimizer |= self.found.marks.get((*keys, key)) == "optimizer"
                if holds:
                    (copies if self.beside((*keys, key)) else weights).append(key)
        light = [key for key in weights if (*keys, key) in self.light]
        solid = [key for key, form in direct.items() if form.shape and not form.is_generator]
        if solid or len(weights) > len(light):
            self.mark_copies({(*keys, key): self.beside((*keys, key)) for key in copies}, self.averages[averages:])
        elif copies:  # nothing but what would be a copy beside weights
            self.averages += [path for key in copies if self.beside(path := (*keys, key)) == "ema"]
            weights = [*copies, *weights]
        known = optimizer or any(key in STATE_DICTS or naming.beside(key) == "ema" for key in weights)
        if known and 0 < len(light) < len(weights):
            inside = dict(entries)
            self.found.marks |= {(*keys, key): self.of_light(inside[key]) for key in light}
        elif len(light) == len(weights) and all(form.is_light for form in direct.values()):
            self.light.add(keys)
        found = self.judge(keys, direct, weights, optimizer=optimizer, known=known)
        if found or (
            keys and keys[-1] in STATE_DICTS and len(self.found.state_dicts) > before + 1
        ):  # one state dict, with others in it
            while len(self.found.state_dicts) > before:
                self.found.state_dicts.popitem()
            self.found.state_dicts[keys] = None
        return found or bool(weights)

    def beside(self, path: Keys) -> str:
        """What a part with tensors is, if it has weights beside it, by its key or as torch's averaged model."""
        return naming.beside(path[-1]) or ("ema" if path in self.counted else "")

    def mark_copies(self, copies: dict[Keys, str], averages: list[Keys]) -> None:
        """Mark parts that have weights beside them; a moving average in them stays one, with its counter."""
        self.found.marks |= copies
        for path in copies:
            self.found.marks.pop((*path, COUNTER), None)
        depth = len(next(iter(copies), ()))
        self.found.marks |= {average: "ema" for average in averages if average[:depth] in copies}

    def of_light(self, value: Any) -> str:
        """What a part of scalars and integers beside the weights is: generators of GPUs, or values of the loop."""
        forms = [self.describe(child) for _, child in children(value)] if length(value) <= _MOST_DEVICES else [None]
        generators = all(form and form.dtype == "uint8" and form.shape in _GENERATORS for form in forms)
        return "rng" if generators else "beside"

    def judge(
        self, keys: Keys, direct: dict[str | int, Form], weights: list[str | int], *, optimizer: bool, known: bool
    ) -> bool:
        """Whether the tensors directly in a container are weights, or values beside the state dicts in it."""
        for key in [key for key, form in direct.items() if form.is_generator]:
            self.found.marks[(*keys, key)] = "rng"
            del direct[key]
        scalars = [key for key, form in direct.items() if not form.shape]
        shapes = {key: form.shape for key, form in direct.items()}
        averages, counters = naming.averages(shapes)
        if naming.counts_averages(direct):
            counters = [COUNTER]
        if counters and not averages:
            self.counted.add(keys)
        if weights and known:
            outside = list(direct)
        elif weights or (optimizer and len(scalars) == len(direct)):
            outside = scalars
        else:
            outside = [*counters, *naming.gradients(shapes)]
        for key in outside:
            self.found.marks[(*keys, key)] = "beside"
            del direct[key]
        for key in averages:
            self.found.marks[(*keys, key)] = "ema"
        return bool(direct)

    def module(self, value: Call, keys: Keys, above: tuple[int, ...]) -> None:
        """Mark what the state dict of a pickled module leaves out, and its buffers."""
        keys = (*keys, "<state>")
        left_out = texts(self.named(value.state).get("_non_persistent_buffers_set"))
        for key, child in self.enter(value.state, above, len(keys)):
            if key not in _MODULE:
                if isinstance(child, Mapping | Call | list | tuple):
                    self.found.marks[(*keys, key)] = "beside"
                continue
            for name, value in self.enter(child, above, len(keys)):
                path = (*keys, key, name)
                if key == "_modules" and self.is_module(value):
                    self.module(value, path, (*above, id(value)))
                elif key == "_buffers":
                    self.found.buffers.add(path)
                    if name in left_out:
                        self.found.marks[path] = "beside"

    def enter(self, value: Any, above: tuple[int, ...], depth: int) -> list[tuple[str | int, Any]]:
        """The entries of a container; none where it is inside itself, too deep, or was reached too often."""
        if not isinstance(value, Mapping | Call | list | tuple) or id(value) in above or depth > MAX_DEPTH:
            return []
        if id(value) in self.seen:
            self.repeats -= length(value)
            if self.repeats < 0:
                return []
        self.seen.add(id(value))
        return [(key if isinstance(key, str | int) else "?", child) for key, child in children(value)]

    def named(self, value: Any) -> dict[Any, Any]:
        """The entries of a dictionary, or the attributes of an object; looked up once, whoever shares them."""
        found = pairs(value)
        if id(found) not in self.entries:
            self.entries[id(found)] = {key: child for key, child in found if isinstance(key, str | int)}
        return self.entries[id(found)]

    def is_module(self, value: Any) -> TypeGuard[Call]:
        """Whether a value is a pickled module."""
        state = value.state if isinstance(value, Call) else None
        return isinstance(state, Mapping) and all(key in self.named(state) for key in _MODULE)

    def whole(self, value: Any) -> str:
        """What a container is as a whole, by the keys in it; nothing if those do not say."""
        found = pairs(value)
        place = id(found)
        if place not in self.wholes:
            by_weight = any(self.is_weight(key) for key, _ in found)
            self.wholes[place] = "optimizer" if by_weight else self.look_up(self.named(value))
        return self.wholes[place]

    def is_weight(self, key: Any) -> bool:
        """Whether a key stands for a weight: the tensor itself, or the numbers of its group and of it in the group."""
        if isinstance(key, tuple):
            return len(key) == 2 and all(type(number) is int for number in key)
        return isinstance(key, Call) and self.describe(key) is not None

    def look_up(self, named: dict[Any, Any]) -> str:
        state, groups = (named.get(key) for key in _OPTIMIZER)
        if isinstance(groups, list | tuple | Mapping) and state is not None and not isinstance(state, str):
            return "optimizer"
        if len(named) == 1 and state is not None:
            slots = (self.named(value) for value in self.named(state).values())
            if any(any(slot in found for slot in _SLOTS) for found in slots):
                return "optimizer"
        if named and all(isinstance(key, str) and key.startswith(_FLATTENED) for key in named):
            return "optimizer"  # flattened, as torch.distributed.checkpoint.state_dict does
        return "metadata" if {"last_epoch", "base_lrs"} <= named.keys() else ""


def _flat(keys: Iterable[str | int]) -> set[str]:
    """The keys of an optimizer's state that lies flattened among those of the weights."""
    found = {key for key in keys if isinstance(key, str) and key.startswith(_FLATTENED)}
    return found if len({key.partition(".")[0] for key in found}) == len(_FLATTENED) else set()
