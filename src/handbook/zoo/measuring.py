"""What does a real optimizer keep? It is made, takes two steps, and every block of bytes that it can reach is counted.

A block is a storage of PyTorch: it stays in memory as long as a view of it does, and `torch.save` writes it whole.
"""

import io
import pickle
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from handbook.zoo.mixed import give_gradients, mixed

Weights = dict[str, torch.nn.Parameter]

Recipe = Callable[[Weights], Any]
"""Makes the optimizer of the weights, or a list of several."""


@dataclass(frozen=True)
class Row:
    """What one optimizer keeps of the mixed model, in bytes.

    Attributes:
        of: For each weight, the state that is its own.
        shared: State of several weights, or of a parameter group.
        at_construction: State of single weights that is there before the first step.
        while_stepping: What lives in the second step and at no other time, at its most.
        file: The file that `torch.save` writes of the state dict; 0 if there is none.
        loads: Whether `torch.load(weights_only=True)` takes that file, in the process that wrote it; `None` without it.
        groups: The parameter groups that the weights are divided into.
    """

    of: dict[str, int]
    shared: int
    at_construction: int
    while_stepping: int
    file: int
    loads: bool | None
    groups: int = 1

    @property
    def total(self) -> int:
        """All state after two steps."""
        return sum(self.of.values()) + self.shared

    def as_dict(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self) | {"total": self.total}


@runtime_checkable
class Measurable(Protocol):
    """A recipe of what is no optimizer of PyTorch, and measures itself."""

    def measure(self, dtype: torch.dtype) -> Row:
        """What it keeps of the mixed model in a dtype."""


def measure(recipe: Recipe | Measurable, dtype: torch.dtype = torch.float32) -> Row:
    """Make an optimizer of the mixed model in a dtype, take two steps, and count what it keeps."""
    if isinstance(recipe, Measurable):
        return recipe.measure(dtype)
    weights = mixed(dtype)
    made = recipe(weights)
    optimizers = made if isinstance(made, list) else [made]
    before, _ = kept(optimizers, weights)
    peak = 0
    for seed in (1, 2):
        give_gradients(weights, seed)
        with Transient() as transient:
            for optimizer in optimizers:
                optimizer.step()
        peak = transient.peak
    after, shared = kept(optimizers, weights)
    buffer = io.BytesIO()
    states = [each.state_dict() for each in optimizers]
    torch.save(states if len(states) > 1 else states[0], buffer)
    groups = sum(len(each.param_groups) for each in optimizers)
    return Row(after, shared, sum(before.values()), peak, buffer.tell(), _loads(buffer), groups)


def kept(optimizers: list[Any], weights: Weights) -> tuple[dict[str, int], int]:
    """The bytes that optimizers keep of each weight alone, and of several or of none in particular."""
    owners: dict[int, set[str]] = defaultdict(set)
    sizes: dict[int, int] = {}
    names = {id(weight): name for name, weight in weights.items()}
    # A gradient that an optimizer holds on to is state: the training loop that drops it frees nothing.
    own = {weight.untyped_storage().data_ptr() for weight in weights.values()}
    for optimizer in optimizers:
        roots: list[tuple[str, Any]] = [(names.get(id(key), "?"), value) for key, value in optimizer.state.items()]
        for group in optimizer.param_groups:
            roots.append(("?", {key: value for key, value in group.items() if key != "params"}))
        for name, root in roots:
            for storage in storages(root):
                if storage.nbytes() and storage.data_ptr() not in own:
                    owners[storage.data_ptr()].add(name)
                    sizes[storage.data_ptr()] = storage.nbytes()
    of = {name: sum(size for block, size in sizes.items() if owners[block] == {name}) for name in weights}
    return of, sum(sizes.values()) - sum(of.values())


def storages(value: Any, seen: set[int] | None = None) -> Iterator[torch.UntypedStorage]:
    """The storages of all tensors that a value leads to: through containers, objects, and subclasses of tensors."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, type | torch.nn.Parameter | torch.dtype | torch.device):
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        flatten = getattr(value, "__tensor_flatten__", None)
        if flatten is None:
            yield value.untyped_storage()
        else:
            for name in flatten()[0]:
                yield from storages(getattr(value, name), seen)
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from storages(each, seen)
    elif isinstance(value, str | bytes):
        return
    elif hasattr(value, "__iter__") and hasattr(value, "__len__"):
        for each in value:
            yield from storages(each, seen)
    elif hasattr(value, "__dict__") and not callable(value):
        yield from storages(vars(value), seen)


class Transient(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The bytes that operations allocate while it is on: those that live at once, at most, less those that stay.

    Attributes:
        peak: The most that lived at once and was gone at the end.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.most = self.peak = 0
        self.watched: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, and watch the storages of what it gives."""
        before = {leaf.untyped_storage()._cdata for leaf in _plain(args) + _plain(kwargs)}
        result = function(*args, **(kwargs or {}))
        for leaf in _plain(result):
            storage = leaf.untyped_storage()
            if storage._cdata not in before and storage._cdata not in self.watched:
                self.watch(storage)
        return result

    def watch(self, storage: torch.UntypedStorage) -> None:
        """Count a storage until it is freed."""
        size, key = storage.nbytes(), storage._cdata
        self.live += size
        self.most = max(self.most, self.live)

        def gone(_: Any) -> None:
            self.live -= size
            self.watched.pop(key, None)

        self.watched[key] = weakref.ref(storage, gone)

    def __exit__(self, *error: Any) -> None:
        """Stop watching."""
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self.peak = self.most - self.live


def _plain(value: Any) -> list[torch.Tensor]:
    """The tensors with a storage of their own: those of a sparse tensor or a subclass come by themselves."""
    return [
        leaf
        for leaf in tree_leaves(value)
        if type(leaf) in (torch.Tensor, torch.nn.Parameter) and leaf.layout is torch.strided
    ]


def _loads(buffer: io.BytesIO) -> bool:
    buffer.seek(0)
    try:
        torch.load(buffer, weights_only=True)
    except pickle.UnpicklingError:
        return False
    return True
