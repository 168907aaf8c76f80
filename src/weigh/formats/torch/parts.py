"""What the parts of a checkpoint are, by their structure: state dicts, copies of them, optimizer state, the rest.

Training loops save a dictionary of what they need: a state dict below one key, an optimizer's below another, scalars
and settings beside them. No key has a fixed name, but most parts have a form of their own. A state dict is a dictionary
with tensors directly below it, an optimizer's has `state` and `param_groups` (`torch/optim/optimizer.py`), and a
pickled module keeps its tensors in `_parameters`, `_buffers` and `_modules` (`torch/nn/modules/module.py`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from weigh.formats.opcodes import Call, Mapping
from weigh.formats.pickles import MAX_DEPTH, Keys, children, length, pairs, texts

STATE_DICTS = (
    "state_dict",
    "model",
    "model_state_dict",
    "model_state",
    "net",
    "network",
    "module",
    "weights",
    "params",
)
"""The keys below which training loops keep a model's state dict, as Lightning, nanoGPT and timm do."""

AVERAGE = re.compile(r"(^|_)(ema|swa|shadow|averag\w*|avg|polyak)(_|$)|^current_model_state$")
"""Keys of a moving average of the weights: `ema`, `model_ema`, `shadow_params`, `averaged_model`, `swa_state_dict`.

And the key below which Lightning keeps the weights themselves, where the average is in `state_dict`.
"""

COUNTER = "n_averaged"
"""What `torch.optim.swa_utils.AveragedModel` counts its averages in, beside the model below `module`."""

_RNG = re.compile(r"(^|_)rngs?(_|$)|random_state|(manual|random)_seed")
_LOOP = re.compile(
    r"callbacks|loops|(datamodule_)?(hyper_parameters|hparams)|args|cfg|config|settings|opt|options|(grad_?)?scaler|"
    r"native_amp_scaling_state|amp|sampler|(train_|val_)?(data)?loader|metrics|meters|history|lr_?sched\w*"
)
_SLOTS = {"exp_avg", "exp_avg_sq", "momentum_buffer", "square_avg", "acc_delta", "sum", "exp_inf", "state1", "state2"}
_OPTIMIZER = ("state", "param_groups")
_MODULE = ("_parameters", "_buffers", "_modules")
_MOST_REPEATS = 40_000  # entries of containers that are reached again
_GENERATOR = 5056  # bytes of torch's generator on the CPU: torch.get_rng_state()

Shape = Callable[[Any], tuple[int, ...] | None]
"""The sizes of a value that is a tensor; `None` for any other."""


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


def parts(root: Any, shape: Shape) -> Parts:
    """Find out what the parts of a checkpoint are.

    Args:
        root: What its pickle would build.
        shape: Tells tensors from other values.
    """
    reader = _Reader(shape)
    if (size := shape(root)) is None:
        reader.visit(root, (), ())
    elif size == (_GENERATOR,):
        reader.found.marks[()] = "rng"
    return reader.found


class _Reader:
    def __init__(self, shape: Shape) -> None:
        self.shape, self.found = shape, Parts()
        self.seen: set[int] = set()
        self.averages: list[Keys] = []
        self.scalars: set[Keys] = set()
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
        direct = {key: size for key, child in entries if (size := self.shape(child)) is not None}
        before, averages, optimizer = len(self.found.state_dicts), len(self.averages), False
        copies: list[str | int] = []
        weights: list[str | int] = []
        for key, child in entries:
            if named := _by_name(key, key in direct):
                self.found.marks[(*keys, key)] = named
                optimizer |= named == "optimizer"
                direct.pop(key, None)
            elif key not in direct and isinstance(child, Mapping | Call | list | tuple):
                inside = self.visit(child, (*keys, key), above)
                optimizer |= self.found.marks.get((*keys, key)) == "optimizer"
                if inside:
                    (copies if _beside(key) else weights).append(key)
        solid = [key for key, size in direct.items() if size and size != (_GENERATOR,)]
        if weights or solid:
            self.beside({(*keys, key): _beside(key) for key in copies}, self.averages[averages:])
        elif copies:  # nothing but what would be a copy beside weights
            self.averages += [(*keys, key) for key in copies if _beside(key) == "ema"]
            weights = copies
        known = optimizer or any(key in STATE_DICTS for key in weights)
        scalars = [key for key in weights if (*keys, key) in self.scalars]
        if known and 0 < len(scalars) < len(weights):
            for key in scalars:
                self.found.marks[(*keys, key)] = "beside"
        found = self.judge(keys, direct, weights, optimizer=optimizer, known=known)
        if found or (
            keys and keys[-1] in STATE_DICTS and len(self.found.state_dicts) > before + 1
        ):  # one state dict, with others in it
            while len(self.found.state_dicts) > before:
                self.found.state_dicts.popitem()
            self.found.state_dicts[keys] = None
        return found or bool(weights)

    def beside(self, copies: dict[Keys, str], averages: list[Keys]) -> None:
        """Mark parts that have weights beside them; a moving average in them stays one, with its counter."""
        self.found.marks |= copies
        for path in copies:
            self.found.marks.pop((*path, COUNTER), None)
        depth = len(next(iter(copies), ()))
        self.found.marks |= {average: "ema" for average in averages if average[:depth] in copies}

    def judge(
        self, keys: Keys, direct: dict[str | int, Any], weights: list[str | int], *, optimizer: bool, known: bool
    ) -> bool:
        """Whether the tensors directly in a container are weights, or values beside the state dicts in it."""
        for key, size in list(direct.items()):
            if size == (_GENERATOR,):
                self.found.marks[(*keys, key)] = "rng"
                del direct[key]
        scalars = [key for key, size in direct.items() if not size]
        if weights and known:
            outside = list(direct)
        elif weights or (optimizer and len(scalars) == len(direct)):
            outside = scalars
        else:
            outside = _outside(direct)
        for key in outside:
            self.found.marks[(*keys, key)] = "beside"
            del direct[key]
        for key in _averages(direct):
            self.found.marks[(*keys, key)] = "ema"
        if direct and len(scalars) == len(direct) and not weights:
            self.scalars.add(keys)
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
        place = id(pairs(value))
        if place not in self.wholes:
            self.wholes[place] = self.look_up(self.named(value))
        return self.wholes[place]

    def look_up(self, named: dict[Any, Any]) -> str:
        state, groups = (named.get(key) for key in _OPTIMIZER)
        if isinstance(groups, list | tuple | Mapping) and state is not None and not isinstance(state, str):
            return "optimizer"
        if len(named) == 1 and state is not None:
            slots = (self.named(value) for value in self.named(state).values())
            if any(any(slot in found for slot in _SLOTS) for found in slots):
                return "optimizer"
        if named and all(isinstance(key, str) and key.startswith(("state.", "param_groups.")) for key in named):
            return "optimizer"  # flattened, as torch.distributed.checkpoint.state_dict does
        return "metadata" if {"last_epoch", "base_lrs"} <= named.keys() else ""


def _by_name(key: Any, is_tensor: bool) -> str:
    return "" if not isinstance(key, str) else by_name(key, is_tensor)


def by_name(key: str, is_tensor: bool) -> str:
    """What a key says of what is below it: `optimizer`, `rng` or `metadata`; nothing if it is none of those.

    `optimizer`, `optimizer_state_dict` and `optimizer_states` hold more below them; `rng_state` and the like may be a
    tensor themselves.
    """
    key = key.lower()
    if "optim" in key and not is_tensor:
        return "optimizer"
    if _RNG.search(key):
        return "rng"
    return "metadata" if "scheduler" in key and not is_tensor else ""


def _beside(key: Any) -> str:
    """What a key says of a part with tensors that has weights beside it."""
    if not isinstance(key, str):
        return ""
    return "ema" if AVERAGE.search(key.lower()) else "beside" if _LOOP.fullmatch(key.lower()) else ""


def _outside(direct: dict[Any, Any]) -> list[Any]:
    """The counter of an averaged model, alone or beside the model."""
    others = [key for key in direct if key != COUNTER]
    wrapped = all(isinstance(key, str) and key.startswith("module.") for key in others)
    return [COUNTER] if wrapped and len(others) < len(direct) else []


def _averages(direct: dict[Any, Any]) -> list[Any]:
    """The names of a state dict whose first part is a moving average's, if it has others."""
    names = [key for key in direct if isinstance(key, str) and AVERAGE.search(key.partition(".")[0]) and "." in key]
    return names if len(names) < len(direct) else []
