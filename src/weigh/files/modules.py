"""The modules of a model, as the names of its tensors tell them, with layers that are alike folded into one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from weigh.tensors import Contents, Tensor, own_bytes

Entry = tuple[tuple[str, ...], Tensor, int]
"""What is left of a tensor's dotted name, the tensor, and the bytes that are its own."""

_MAX_DEPTH = 32  # names come from files: a name of a million dots is not a million modules


@dataclass(frozen=True)
class Module:
    """A module of a model, with its parameters and bytes, or several modules that are alike.

    Attributes:
        name: Its name in the module above; `0-31` for 32 that are alike.
        count: How many there are.
        tensors: Its own tensors, with the bytes that no other has counted, of the first of them.
        children: The modules in it.
    """

    name: str
    count: int
    tensors: tuple[tuple[str, Tensor, int], ...]
    children: tuple["Module", ...]

    @cached_property
    def bytes_in_tensors(self) -> int:
        """Bytes in the tensors of the module and of those below it, times the modules that are alike."""
        return self.count * (
            sum(own for *_, own in self.tensors) + sum(child.bytes_in_tensors for child in self.children)
        )

    @cached_property
    def elements(self) -> int:
        """Elements of the tensors of the module and of those below it, times the modules that are alike."""
        own = sum(tensor.numel if nbytes else 0 for _, tensor, nbytes in self.tensors)
        return self.count * (own + sum(child.elements for child in self.children))

    @cached_property
    def _alike(self) -> tuple[Any, ...]:
        tensors = tuple((name, tensor.shape, tensor.dtype, own) for name, tensor, own in self.tensors)
        return tensors, tuple((child.name, child._alike) for child in self.children)

    def as_dict(self) -> dict[str, Any]:
        """The module and those below it, as plain values."""
        return {
            "name": self.name,
            "count": self.count,
            "elements": self.elements,
            "bytes": self.bytes_in_tensors,
            "tensors": [
                {"name": name, "shape": list(tensor.shape), "dtype": tensor.dtype, "bytes": own}
                for name, tensor, own in self.tensors
            ],
            "modules": [child.as_dict() for child in self.children],
        }


def tree(contents: Contents) -> Module:
    """Modules of an inspected model, in the order of the file, with neighbours that are alike folded into one.

    Modules are alike if their names are numbers and their tensors have the same names, shapes, dtypes and bytes.
    A tensor that shares its bytes with one before it adds none.
    """
    own = {id(tensor): nbytes for tensor, nbytes in own_bytes(contents.named)}
    return _module(
        "", [(tuple(tensor.name.split(".", _MAX_DEPTH)), tensor, own[id(tensor)]) for tensor in contents.named]
    )


def _module(name: str, entries: Iterable[Entry]) -> Module:
    tensors: list[tuple[str, Tensor, int]] = []
    below: dict[str, list[Entry]] = {}
    for (first, *rest), tensor, own in entries:
        if rest:
            below.setdefault(first, []).append((tuple(rest), tensor, own))
        else:
            tensors.append((first, tensor, own))
    children = [_module(child, inner) for child, inner in below.items()]
    return Module(name, 1, tuple(tensors), tuple(_folded(children)))


def _folded(modules: list[Module]) -> Iterator[Module]:
    modules = sorted(modules, key=lambda module: int(module.name)) if all(_is_number(m) for m in modules) else modules
    for (number, _), run in groupby(enumerate(modules), key=lambda item: _kind(*item)):
        alike = [module for _, module in run]
        first, last = alike[0], alike[-1]
        if number is None or len(alike) == 1:
            yield from alike
        else:
            yield Module(f"{first.name}-{last.name}", len(alike), first.tensors, first.children)


def _is_number(module: Module) -> bool:
    return module.name.isdecimal() and len(module.name) < 10


def _kind(position: int, module: Module) -> tuple[int | None, Any]:
    """Equal for neighbours that fold: numbered one after another, and alike."""
    return (int(module.name) - position, module._alike) if _is_number(module) else (None, module.name)
