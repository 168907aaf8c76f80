"""A training checkpoint as the examinations see it: one file or a directory of several, with the parts of the run."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from weigh.checks.resuming.states import OptimizerState, read_state
from weigh.dtypes import DTYPES
from weigh.errors import InvalidConfig, WeighError
from weigh.files.directories.listing import list_tree
from weigh.files.directories.pickles import SUFFIXES
from weigh.files.inspecting import inspect
from weigh.formats.torch import values
from weigh.formats.torch.distributed import METADATA
from weigh.formats.torch.values import Instance, Saved
from weigh.models.parameters import params
from weigh.sources import File, is_directory, locate, opening
from weigh.tensors import Contents, Tensor, location

TRAINER_STATE = "trainer_state.json"
_WEIGHTS = re.compile(r"(pytorch_model|adapter_model|diffusion_pytorch_model|training_args).*")
_LARGEST = 2**26
_MOST_FILES = 1_000
_MOST_DEEP = 16
_PYTORCH = ("pytorch", "pytorch legacy", "pickle", "torch.distributed.checkpoint")

_RANK = re.compile(r"(?:rng_state|random_states|dl_state_dict|sampler)_(\d+)")
_NAMED_STEP = re.compile(r"(?:checkpoint|ckpt|step|iter)[-_=]?(\d+)", re.IGNORECASE)
_COUNTER = re.compile(r"(global_?|current_?|train_?|num_?|n_)?(step|epoch|iter|iteration|iter_num|update)s?(_num)?")
_LOADER = re.compile(r"(^|_)((data_?)?loader|sampler)(s|_state|_state_dict|_states)?($|_)|^dl_state_dict")
_ITERATOR = {"_iterator_finished", "_sampler_iter_yielded", "_num_yielded", "_snapshot", "sample_in_epoch"}
_SCALER = {"scale", "growth_factor", "backoff_factor"}
_IS_SCALER = re.compile(r"scaler|native_amp|^amp$", re.IGNORECASE)
_GENERATOR = re.compile(r"rng|seed|cuda|xpu|npu|hpu|mlu|musa|generator|random", re.IGNORECASE)
_CPU, _DEVICE = (5056,), (16,)  # bytes of torch's generators
_WORDS = 625  # of Python's generator: 624 and the position among them


@dataclass(frozen=True)
class Found:
    """A part of a run.

    Attributes:
        place: Where it is: its path in the one file there is, else the file first.
        value: What was saved.
        file: The file, from the directory.
        saved: All that the file holds.
    """

    place: str
    value: Any
    file: str
    saved: Saved = field(repr=False)

    @property
    def rank(self) -> int | None:
        """The number of the process that wrote the file, if its name says it."""
        match = _RANK.match(PurePosixPath(self.file).name)
        return int(match[1]) if match else None


class TrainingCheckpoint:
    """A training checkpoint: what `inspect` finds, and the values beside the tensors.

    Args:
        path: A file or a directory.

    Raises:
        WeighError: What `inspect` raises.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = str(path)
        self.where = locate(path)
        self.contents: Contents = inspect(path)
        self.unread: dict[str, str] = {}
        self.files: list[str] = []
        self.saved: dict[str, Saved] = {}
        with opening(self.where):
            self.is_directory = is_directory(self.where)
            for name, file in self._sources():
                self._read(name, file)
        self._parts: dict[str, list[Found]] = {}
        for name, saved in self.saved.items():
            seen: set[int] = set()
            for kind, keys, value in _walk(saved.value, (PurePosixPath(name).stem,), seen):
                inside = ".".join(map(str, keys[1:]))
                place = f"{name}: {inside}" if inside and self.is_directory and name != METADATA else inside or name
                self._parts.setdefault(kind, []).append(Found(place, value, name, saved))

    def _sources(self) -> Iterator[tuple[str, File]]:
        if not self.is_directory:
            if self.contents.format in _PYTORCH:
                yield self.where.name, File(self.where)
            return
        entries = [entry.path for entry in list_tree(self.where).entries if not entry.why]
        self.files = entries
        another = {each.path: each.why for each in self.contents.not_read}
        for path in entries[:_MOST_FILES]:
            name = PurePosixPath(path).name
            inside = path.count("/") == 0 or (path.count("/") == 1 and not path.startswith("checkpoint-"))
            is_state = PurePosixPath(path).suffix in SUFFIXES and not _WEIGHTS.fullmatch(name)
            if not inside or not (name == METADATA or is_state):
                continue
            if path in another:  # such as the save before: one checkpoint is examined, not two as one
                self.unread[path] = another[path]
            else:
                yield path, File(self.where / path)

    def _read(self, name: str, file: File) -> None:
        try:
            self.saved[name] = values.read(file)
        except WeighError as error:
            if not self.is_directory:
                raise
            self.unread[name] = f"cannot be read: {error.problem}"

    def of(self, kind: str) -> list[Found]:
        """The parts of a kind: `optimizer`, `scheduler`, `scaler`, `position`, `counter`, or a kind of generator."""
        return self._parts.get(kind, [])

    @cached_property
    def optimizers(self) -> list[OptimizerState]:
        """The states of all optimizers."""
        return [read_state(self.where, each.place, each.value, each.saved) for each in self.of("optimizer")]

    @cached_property
    def weights(self) -> list[Tensor]:
        """The floating-point weights, each once, in the order of the model as far as that is known."""
        seen, found = set(), []
        for tensor in self.contents.named:
            is_weight = tensor.component == "weights" and DTYPES[tensor.dtype].kind in ("float", "complex")
            if is_weight and not tensor.buffer and location(tensor) not in seen:
                if tensor.numel:
                    seen.add(location(tensor))
                found.append(tensor)
        return sorted(found, key=lambda tensor: self._order.get(tensor.name, 0))

    @cached_property
    def _order(self) -> dict[str, int]:
        """The places of the weights by their names, where the config beside them describes all of them."""
        if "config.json" not in self.files:
            return {}
        try:
            described = params(self.where, fallback=False).named
        except WeighError:
            return {}
        order = {tensor.name: number for number, tensor in enumerate(described)}
        return order if all(each.name in order for each in self.contents.named if each.component == "weights") else {}

    @property
    def is_ordered(self) -> bool:
        """Whether the weights are in the order of the model: safetensors sorts them, and a config may tell it."""
        return "safetensors" not in self.contents.format or bool(self._order)

    @cached_property
    def trainer_state(self) -> dict[str, Any]:
        """What the Trainer of transformers writes beside its state; nothing where there is none."""
        return self._json(TRAINER_STATE)

    def _json(self, name: str) -> dict[str, Any]:
        if name not in self.files:
            return {}
        file = File(self.where / name)
        try:
            found = json.loads(file.first(_LARGEST))
        except (ValueError, RecursionError):
            raise InvalidConfig(f"{file}", "is not the JSON object that the Trainer writes; fetch it again") from None
        return found if isinstance(found, dict) else {}

    @cached_property
    def counters(self) -> dict[str, float]:
        """Steps and epochs that a loop counted itself, by their places."""
        found = {each.place: each.value for each in self.of("counter") if not _RANK.match(each.file)}
        for name in ("global_step", "epoch"):
            count = self.trainer_state.get(name)
            if isinstance(count, int | float) and abs(count) < 2**63:
                found[f"{TRAINER_STATE}: {name}"] = count
        return found

    @property
    def steps(self) -> float:
        """The most steps or epochs that anything in the checkpoint has counted."""
        counted = [*self.counters.values(), *(state.steps or 0 for state in self.optimizers), self.named_step or 0]
        counted += [last for each in self.of("scheduler") if (last := last_epoch(each.value)) is not None]
        return max(counted, default=0)

    @property
    def named_step(self) -> int | None:
        """The step that the name of the file or the directory says."""
        found = _NAMED_STEP.findall(Path(os.path.abspath(self.where)).name if self.is_directory else self.where.name)
        return int(found[-1][:18]) if found else None

    def bytes_of(self, tensor: Tensor) -> Iterator[bytes]:
        """The bytes of a tensor of `contents`, a piece at a time."""
        yield from pieces(self.contents.storages, tensor)


def last_epoch(scheduler: Mapping[Any, Any]) -> float | None:
    """How often a scheduler has stepped, as its state counts it."""
    counts = [scheduler.get("last_epoch")]
    if counts == [None]:  # of several in a row, those inside count
        inside = scheduler.get("_schedulers")
        rows = inside if isinstance(inside, list | tuple) else ()
        counts = [each.get("last_epoch") for each in rows if isinstance(each, Mapping)]
    return max((each for each in counts if isinstance(each, int | float)), default=None)


def pieces(storages: Mapping[str, Any], tensor: Tensor, size: int = 2**22) -> Iterator[bytes]:
    """The bytes of a tensor, from its first element to its last, so many at a time."""
    for begin in range(tensor.begin, tensor.end, size):
        yield bytes(storages[tensor.storage].read(begin, min(begin + size, tensor.end)))


def _walk(value: Any, keys: tuple[Any, ...], seen: set[int]) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """The parts of a run in a value, with the path to each."""
    if isinstance(value, Mapping | list | tuple | Instance):
        if id(value) in seen or len(keys) > _MOST_DEEP:
            return
        seen.add(id(value))
    if kind := _kind(value, keys):
        yield kind, keys, value
        return
    inside = value.entries if isinstance(value, Instance) else value
    pairs = inside.items() if isinstance(inside, Mapping) else enumerate(inside) if type(inside) is list else ()
    for key, child in pairs:
        yield from _walk(child, (*keys, key), seen)


def _kind(value: Any, keys: tuple[Any, ...]) -> str:
    """What part of a run a value is; empty if it is none, or holds several."""
    key = str(keys[-1])
    if isinstance(value, Mapping):
        if _is_optimizer(value):
            return "optimizer"
        if "last_epoch" in value or {"_schedulers", "_last_lr"} <= value.keys():
            return "scheduler"
        if value.keys() >= _SCALER or (not value and _IS_SCALER.search(key)):
            return "scaler"
        if _ITERATOR & value.keys() or (value and _LOADER.search(key)):
            return "position"
        return "numpy" if "bit_generator" in value else ""
    if isinstance(value, Tensor):
        under = " ".join(map(str, keys))
        if value.dtype == "uint8" and value.shape == _CPU:
            return "torch"
        return "device" if value.dtype == "uint8" and value.shape == _DEVICE and _GENERATOR.search(under) else ""
    if isinstance(value, list | tuple):
        match list(value[:2]):
            case [3, list() | tuple() as words] if len(words) == _WORDS:
                return "python"
            case ["MT19937", _]:
                return "numpy"
        return "position" if value and _LOADER.search(key) else ""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "counter" if is_number and len(keys) <= 3 and _COUNTER.fullmatch(key.lower()) else ""


def _is_optimizer(value: Mapping[Any, Any]) -> bool:
    groups, state = value.get("param_groups"), value.get("state")
    return isinstance(groups, list | tuple | Mapping) and isinstance(state, list | tuple | Mapping)
