"""The value that was saved: dictionaries, lists and numbers as they were, tensors by their place, all else described.

`inspect` wants the tensors of a checkpoint. What a resume goes by lies beside them: the groups of an optimizer, the
counts of a scheduler, the state of a generator. They stand in the same pickle, and are read from its opcodes; nothing
is imported or called.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weigh import errors
from weigh.formats import opcodes, pickles
from weigh.formats.opcodes import Call, Global
from weigh.formats.pickles import MAX_DEPTH
from weigh.formats.torch import distributed, legacy, rebuilding, saved, subclasses
from weigh.formats.torch.rebuilding import Resolve
from weigh.sources import File, Source
from weigh.tensors import Tensor

_DICTIONARIES = {"collections.OrderedDict", "collections.defaultdict", "collections.Counter", "builtins.dict"}
_NUMBERS = {
    "float64": "<d", "float32": "<f", "float16": "<e", "bfloat16": "<f", "int64": "<q", "int32": "<i", "int16": "<h",
    "int8": "<b", "uint8": "<B", "bool": "<?",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instance:
    """An object that the pickle would make, as what it would be made of.

    Attributes:
        name: What the pickle would call, a class or a function, by its dotted name.
        entries: Its attributes or items.
        args: The arguments of the call.
        shape: The sizes that a tensor subclass pretends to have, such as a quantized or a distributed one.
        dtype: The number format that it pretends to have.
    """

    name: str
    entries: dict[Any, Any] = field(default_factory=dict)
    args: tuple[Any, ...] = ()
    shape: tuple[int, ...] | None = None
    dtype: str = ""


@dataclass(frozen=True)
class Saved:
    """A value that was saved.

    Attributes:
        value: Dictionaries, lists, tuples, numbers and text as they were; `Tensor` for a tensor, `Instance` for an
            object, its dotted name for a class or function.
        storages: Where the bytes of the tensors are.
    """

    value: Any
    storages: Mapping[str, Source] = field(repr=False)

    def number(self, tensor: Tensor) -> float | None:
        """The one number of a tensor that has one; `None` of any other, and of a number format that is none of C's."""
        if tensor.numel != 1 or tensor.dtype not in _NUMBERS or tensor.storage not in self.storages:
            return None
        raw = bytes(self.storages[tensor.storage].read(tensor.begin, tensor.begin + tensor.nbytes))
        if tensor.dtype == "bfloat16":
            raw = b"\0\0" + raw  # the upper half of a float32
        return float(struct.unpack(_NUMBERS[tensor.dtype], raw)[0])


def read(file: File) -> Saved:
    """The value in a file of torch's, old or new, in a bare pickle, or in a directory of `torch.distributed`.

    Args:
        file: The file, or the `.metadata` of a directory, of which `inspect` has read the tensors without an error.

    Raises:
        WeighError: What the readers of the formats raise.
    """
    if file.name == distributed.METADATA:
        return _distributed(file)
    if file.first(4) != b"PK\x03\x04":
        root, resolve, storages = legacy.opened(file)
        return Saved(_Plain(file, resolve).of(root, ()), {storage.name: storage.source for storage in storages})
    records = saved.records_of(file)
    if "data.pkl" not in records or "constants.pkl" in records:
        raise errors.UnknownFormat(file, "is a program and no value that was saved; give the checkpoint it was made of")
    root = pickles.read_file(records["data.pkl"].stored, f"{file}, data.pkl").root
    prefix = f"{file.name}:"
    plain = _Plain(file, saved.resolver(records, "data/", prefix)).of(root, ())
    return Saved(plain, saved.storages_in(records, "data/", prefix))


def _distributed(file: File) -> Saved:
    tree: dict[Any, Any] = {}
    for keys, found in distributed.entries(file):
        at = tree
        for key in keys[:-1]:
            below = at.setdefault(key, {})
            at = below if isinstance(below, dict) else {}
        at[keys[-1]] = read(found).value if isinstance(found, File) else found
    from weigh.formats import read as contents_of

    return Saved(tree, contents_of(file).storages)


class _Plain:
    """Turns what a pickle would build into plain values, each container once however often it is reached."""

    def __init__(self, where: object, resolve: Resolve) -> None:
        self.where, self.resolve = where, resolve
        self.made: dict[int, Any] = {}

    def of(self, value: Any, keys: tuple[Any, ...]) -> Any:
        """The plain value; `None` for a container inside itself, and for what has no plain form."""
        if isinstance(value, Global):
            return str(value)
        if not isinstance(value, opcodes.Mapping | Call | list | tuple):
            if isinstance(value, int) and abs(value) >= 2**63:
                return None
            return value if isinstance(value, bool | int | float | str | bytes) else None
        if id(value) in self.made:
            return self.made[id(value)]
        if len(keys) > MAX_DEPTH:
            raise errors.MalformedPickle(
                self.where, f"its pickle nests deeper than {MAX_DEPTH} levels; do not load this file"
            )
        self.made[id(value)] = None
        self.made[id(value)] = self.container(value, keys)
        return self.made[id(value)]

    def container(self, value: Any, keys: tuple[Any, ...]) -> Any:
        if rebuilding.is_tensor(value):
            name = ".".join(map(str, keys))
            return rebuilding.tensor(f"{self.where}, tensor {name[:80]!r}", name, value, self.resolve, "")
        if isinstance(value, opcodes.Mapping):
            return self.entries(value.pairs, keys)
        if isinstance(value, list | tuple):
            inside = [self.of(child, (*keys, number)) for number, child in enumerate(value)]
            return tuple(inside) if isinstance(value, tuple) else inside
        name = str(value.function) if isinstance(value.function, Global) else "?"
        if name in _DICTIONARIES:  # with attributes or without, such as the `_metadata` of a state dict
            return self.entries(value.pairs, keys)
        if (subclass := subclasses.described(value)) is not None:
            kind, dtype, shape = subclass
            attributes = self.of(value.args[3], (*keys, "<state>")) if len(value.args) > 3 else None
            return Instance(kind, attributes if isinstance(attributes, dict) else {}, (), shape, dtype)
        state = self.of(value.state, (*keys, "<state>"))
        args = self.of(value.args, (*keys, "<args>"))
        entries = self.entries(value.pairs, keys)
        entries |= dict(enumerate(self.of(child, (*keys, n)) for n, child in enumerate(value.elements)))
        return Instance(name, entries | (state if isinstance(state, dict) else {}), args if type(args) is tuple else ())

    def entries(self, pairs: list[tuple[Any, Any]], keys: tuple[Any, ...]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, child in pairs:
            if isinstance(key, int) and abs(key) >= 2**63:
                continue
            if isinstance(key, str | int | float | bool):
                found[key] = self.of(child, (*keys, key))
        return found
