"""What changed between two checkpoints: which tensors came, went, changed shape, dtype or values, and by how much."""

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from weigh.errors import UnknownDtype
from weigh.files.inspecting import inspect
from weigh.files.loading import CODES, codes, load
from weigh.tensors import Contents, Tensor, location, shared_prefix

if TYPE_CHECKING:
    import torch

Named = dict[str, Tensor]

KINDS = ("added", "removed", "reshaped", "retyped", "changed")
_CHUNK = 2**22  # elements whose difference is held in float64 at a time


@dataclass(frozen=True)
class Change:
    """A tensor that differs between two checkpoints, and by how much.

    Attributes:
        name: Its name.
        kind: `added`, `removed`, `reshaped`, `retyped` (the dtype differs, whatever the values do) or `changed`.
        component: `weights`, `optimizer`, `rng` or `metadata`.
        before: Its dtype and shape there; `None` if it is not there.
        after: The same of the other side.
        norm: ‖after − before‖₂, in float64. `None` where there is nothing to subtract, or no way to.
        relative: The norm over ‖before‖₂; infinite if that is 0.
        largest: The largest absolute difference of one element. `nan` if a difference is no number.
        elements: How many elements differ.
    """

    name: str
    kind: str
    component: str
    before: str | None
    after: str | None
    norm: float | None = None
    relative: float | None = None
    largest: float | None = None
    elements: int | None = None


@dataclass(frozen=True)
class Difference:
    """The tensors and values in which two checkpoints differ.

    Attributes:
        before: The path of one of the two.
        after: The path of the other.
        changes: The tensors that are not the same, in the order of `before`, the added ones last.
        equal: How many tensors are the same to the byte.
        metadata: The values beside the tensors that differ, as pairs; `None` where there is none.
        notes: What a reader should know before using the figures.
    """

    before: str
    after: str
    changes: tuple[Change, ...]
    equal: int
    metadata: dict[str, tuple[Any, Any]]
    notes: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Tensors that changed, counted by the kind of change."""
        return {kind: sum(change.kind == kind for change in self.changes) for kind in KINDS}

    @property
    def same(self) -> bool:
        """Whether nothing differs, neither a tensor nor a value."""
        return not self.changes and not self.metadata

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values, under the names that `weigh diff --json` promises."""
        return {
            "before": self.before,
            "after": self.after,
            "same": self.same,
            "equal": self.equal,
            **self.counts,
            "changes": [_finite(asdict(change)) for change in self.changes],
            "metadata": {name: list(pair) for name, pair in self.metadata.items()},
            "notes": list(self.notes),
        }


def diff(
    before: str | os.PathLike[str],
    after: str | os.PathLike[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Difference:
    """Differences of two checkpoints or models, tensor by tensor, of any two formats that `weigh.inspect` reads.

    One tensor of each is in memory at a time, read from the bytes its header names; nothing is unpickled.

    Args:
        before: A file or directory.
        after: Another one.
        progress: Called with the bytes compared so far and in all.

    Raises:
        WeighError: What `weigh.inspect` raises, `TruncatedFile` if a file changes meanwhile, and `MissingPackage` if
            there are numbers to compare and torch is not installed.
    """
    left, right = inspect(before), inspect(after)
    here, there, notes = _aligned(left, right)
    here, there, aliases = _without_aliases(here, there)
    changes, done = [], 0
    total = sum(tensor.nbytes for name, tensor in here.items() if name in there)
    for name, old in here.items():
        if (new := there.get(name)) is None:
            changes.append(Change(name, "removed", old.component, _describe(old), None))
            continue
        if change := _compare(name, left, old, right, new):
            changes.append(change)
        done += old.nbytes
        progress(done, total)
    equal = len(here) - len(changes)
    changes += [
        Change(name, "added", new.component, None, _describe(new)) for name, new in there.items() if name not in here
    ]
    metadata = {
        key: (left.metadata.get(key), right.metadata.get(key))
        for key in {**left.metadata, **right.metadata}
        if left.metadata.get(key) != right.metadata.get(key)
    }
    return Difference(left.path, right.path, tuple(changes), equal, metadata, (*notes, *aliases))


def _aligned(left: Contents, right: Contents) -> tuple[Named, Named, tuple[str, ...]]:
    """The tensors of each side by name, and notes.

    Where no name is on both sides, what stands in front of all weights of one of them is taken off: the key of a state
    dict in a checkpoint, or a wrapper's `module.`.
    """
    sides = [{tensor.name: tensor for tensor in contents.named} for contents in (left, right)]
    if not sides[0].keys() & sides[1].keys():
        for one, other in ((0, 1), (1, 0)):
            bare, prefix = [name for name, tensor in sides[one].items() if tensor.component == "weights"], ""
            while step := shared_prefix(bare):
                prefix, bare = prefix + step, [name.removeprefix(step) for name in bare]
                if sides[other].keys() & set(bare):
                    sides[one] = {name.removeprefix(prefix): tensor for name, tensor in sides[one].items()}
                    return (
                        sides[0],
                        sides[1],
                        (f"{(left, right)[one].path} is compared without {prefix!r} in its names",),
                    )
    return sides[0], sides[1], ()


def _without_aliases(here: Named, there: Named) -> tuple[Named, Named, list[str]]:
    """Leave out a name of one side alone if it only ties to a name of both: the same numbers, written once or twice."""
    notes: list[str] = []

    def bare(named: Named, other: Named) -> Named:
        locations = {location(tensor): name for name, tensor in named.items() if name in other and tensor.numel}
        aliases = {name for name, tensor in named.items() if name not in other and location(tensor) in locations}
        notes.extend(
            f"{name} is another name of {locations[location(named[name])]}, on one side only" for name in aliases
        )
        return {name: tensor for name, tensor in named.items() if name not in aliases}

    return bare(here, there), bare(there, here), sorted(notes)


def _describe(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _compare(name: str, left: Contents, old: Tensor, right: Contents, new: Tensor) -> Change | None:
    """`None` if the two are the same to the byte."""
    before, after = _describe(old), _describe(new)
    if old.shape != new.shape:
        return Change(name, "reshaped", old.component, before, after)
    kind = "changed" if old.dtype == new.dtype else "retyped"
    try:
        a, b = load(left, old), load(right, new)
    except UnknownDtype:
        # Codes, or blocks of a few bits each: whether they differ can be said, by how much cannot without their scales.
        alike = kind == "changed" and (old.dtype in CODES or old.strides == new.strides)
        same = alike and _same_bytes(codes(left, old), codes(right, new))
        return None if same else Change(name, kind, old.component, before, after)
    if kind == "changed" and _same_bytes(a, b):
        return None
    return Change(name, kind, old.component, before, after, *_distance(a, b))


def _same_bytes(a: "torch.Tensor", b: "torch.Tensor") -> bool:
    """Whether two tensors of one dtype hold the same bits: no number is equal to NaN, but the same NaN is no change."""
    import torch

    a, b = (tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (a, b))
    return torch.equal(a, b)


def _distance(a: "torch.Tensor", b: "torch.Tensor") -> tuple[float, float, float, int]:
    """‖b − a‖, the same over ‖a‖, the largest difference of an element, and how many differ."""
    import torch

    wide = torch.complex128 if a.is_complex() or b.is_complex() else torch.float64
    square = size = largest = 0.0
    elements = 0
    a, b = a.reshape(-1), b.reshape(-1)
    for start in range(0, a.numel(), _CHUNK):
        old, new = (tensor[start : start + _CHUNK].to(wide) for tensor in (a, b))
        gap = torch.where((old == new) | (old.isnan() & new.isnan()), 0, new - old).abs()
        square += float((gap**2).sum())
        size += float((old.abs() ** 2).sum())
        largest = max(largest, float(gap.max()), key=lambda value: math.inf if math.isnan(value) else value)
        elements += int((gap != 0).sum())
    norm = math.sqrt(square)
    return norm, norm / math.sqrt(size) if size else (math.inf if norm else 0.0), largest, elements


def _finite(change: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: what is not a finite number becomes text."""
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in change.items()
    }
