"""Read a pickle without running it.

A pickle is a program for a small stack machine. Two of its instructions are dangerous: one imports any name, another
calls it. This machine takes the opcodes from the standard library's disassembler and follows them with those two left
out: an import becomes a `Global`, a call becomes a `Call`, and both are only written down. Nothing is hashed, compared
or converted either, so a hostile structure costs no more than its own bytes.

The opcodes are documented in the standard library's `pickletools`, and `torch.save` uses some thirty of them.
"""

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from weigh.errors import MalformedPickle
from weigh.sources import File

MAX_OPCODES = 20_000_000
"""The most instructions that are followed. A tensor takes some forty, and twice that in a distributed checkpoint."""

MAX_DEPTH = 64
MAX_NAME = 1000
MAX_REPEATS = 100_000
"""The most entries that are walked again because a container is reached again, as that of a tied layer is."""

Keys = tuple[str | int, ...]
"""The keys and positions that lead to a value."""


@dataclass(frozen=True, eq=False, slots=True)
class Global:
    """An import that was not made."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False, slots=True)
class Mapping:
    """A dictionary, as the pairs that were put in."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Call:
    """A call that was not made, with what the pickle would have done to its result."""

    function: Any
    args: Any
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    elements: list[Any] = field(default_factory=list)
    state: Any = None


@dataclass(frozen=True, eq=False, slots=True)
class Persistent:
    """A reference to something outside the pickle: in a PyTorch archive, a storage."""

    id: Any


@dataclass(frozen=True, slots=True)
class Pickle:
    """What a pickle would build and do.

    Attributes:
        root: A value of plain numbers, text, lists and tuples, `Mapping`, `Call`, `Global` and `Persistent`.
        imports: The dotted names that it would import, each once, in the order of the pickle.
        references: Its `Persistent`s, in the order of the pickle.
        calls: The calls that it would make, in the order of the pickle.
    """

    root: Any
    imports: tuple[str, ...]
    references: list[Persistent]
    calls: list[Call]


_MARK = object()


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.globals: list[Global] = []
        self.references: list[Persistent] = []
        self.calls: list[Call] = []

    def pop_to_mark(self) -> list[Any]:
        items: list[Any] = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def import_(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise MalformedPickle("pickle", "imports a name that is not text")
        if len(module) + len(name) > MAX_NAME:
            raise MalformedPickle("pickle", f"imports a name of more than {MAX_NAME:,} characters")
        self.globals.append(Global(module, name))
        self.stack.append(self.globals[-1])

    def call(self, function: Any, args: Any) -> None:
        self.calls.append(Call(function, args))
        self.stack.append(self.calls[-1])

    def refer(self, id: Any) -> None:
        self.references.append(Persistent(id))
        self.stack.append(self.references[-1])

    def set_items(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, Mapping | Call) or len(flat) % 2:
            raise MalformedPickle("pickle", "sets items of something that is not a dictionary")
        target.pairs.extend(zip(flat[::2], flat[1::2], strict=True))

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Call):
            target.elements.extend(items)
        elif isinstance(target, list):
            target.extend(items)
        else:
            raise MalformedPickle("pickle", "appends to something that is not a list")

    def build(self) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Call):
            self.stack[-1].state = state

    def memoize(self, key: int) -> None:
        self.memo[key] = self.stack[-1]


def _tuple(n: int) -> Callable[[_Machine, Any], None]:
    def build(m: _Machine, _: Any) -> None:
        m.stack.append(tuple([m.stack.pop() for _ in range(n)][::-1]))

    return build


def _two(m: _Machine) -> list[Any]:
    last = m.stack.pop()
    return [m.stack.pop(), last]


def _new_with_keywords(m: _Machine) -> None:
    args, keywords = _two(m)
    m.call(m.stack.pop(), (args, keywords))


def _object(m: _Machine) -> None:
    function, *args = m.pop_to_mark()
    m.call(function, tuple(args))


def _instance(m: _Machine, arg: str) -> None:
    args = tuple(m.pop_to_mark())
    m.import_(*arg.split(" ", 1))
    m.call(m.stack.pop(), args)


def _dictionary(m: _Machine) -> None:
    flat = m.pop_to_mark()
    m.stack.append(Mapping())
    m.set_items(flat)


_LITERALS = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
)  # fmt: skip

_STEPS: dict[str, Callable[[_Machine, Any], object]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda m, _: None),
    **dict.fromkeys(_LITERALS, lambda m, literal: m.stack.append(literal)),
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_to_mark())),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "LIST": lambda m, _: m.stack.append(m.pop_to_mark()),
    "APPEND": lambda m, _: m.extend([m.stack.pop()]),
    "APPENDS": lambda m, _: m.extend(m.pop_to_mark()),
    "EMPTY_SET": lambda m, _: m.stack.append([]),
    "ADDITEMS": lambda m, _: m.extend(m.pop_to_mark()),
    "FROZENSET": lambda m, _: m.stack.append(m.pop_to_mark()),
    "EMPTY_DICT": lambda m, _: m.stack.append(Mapping()),
    "DICT": lambda m, _: _dictionary(m),
    "SETITEM": lambda m, _: m.set_items(_two(m)),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    "MARK": lambda m, _: m.stack.append(_MARK),
    "POP": lambda m, _: m.stack.pop(),
    "POP_MARK": lambda m, _: m.pop_to_mark(),
    "DUP": lambda m, _: m.stack.append(m.stack[-1]),
    "PUT": lambda m, key: m.memoize(key),
    "BINPUT": lambda m, key: m.memoize(key),
    "LONG_BINPUT": lambda m, key: m.memoize(key),
    "MEMOIZE": lambda m, _: m.memoize(len(m.memo)),
    "GET": lambda m, key: m.stack.append(m.memo[key]),
    "BINGET": lambda m, key: m.stack.append(m.memo[key]),
    "LONG_BINGET": lambda m, key: m.stack.append(m.memo[key]),
    "GLOBAL": lambda m, arg: m.import_(*arg.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.import_(*_two(m)),
    "REDUCE": lambda m, _: m.call(*_two(m)),
    "NEWOBJ": lambda m, _: m.call(*_two(m)),
    "NEWOBJ_EX": lambda m, _: _new_with_keywords(m),
    "OBJ": lambda m, _: _object(m),
    "INST": _instance,
    "BUILD": lambda m, _: m.build(),
    "PERSID": lambda m, arg: m.refer(arg),
    "BINPERSID": lambda m, _: m.refer(m.stack.pop()),
}


def read_file(file: File, where: object) -> Pickle:
    """Read a file, or a record of an archive, that is a pickle: see `read`.

    Raises:
        HeaderTooLarge: If it has more bytes than are read as a header.
    """
    with file.open() as reader:
        return read(reader.read(), where)


def read(source: bytes | BytesIO, where: object) -> Pickle:
    """Follow a pickle's opcodes and say what it would build, and every import it would make.

    Args:
        source: The pickle, or a row of them: then the position is left behind the last byte of this one.
        where: What to call it in an error.

    Raises:
        MalformedPickle: If the pickle ends early, breaks the rules of its stack, uses another opcode, or more of them
            than a model file needs.
    """
    machine, position = _Machine(), 0
    try:
        for count, (opcode, arg, at) in enumerate(pickletools.genops(source)):
            position = at or 0
            if opcode.name not in _STEPS:
                raise MalformedPickle("pickle", f"opcode {opcode.name} has no business in a model file")
            if count == MAX_OPCODES:
                raise MalformedPickle("pickle", f"has more than {MAX_OPCODES:,} instructions, as no model file has")
            _STEPS[opcode.name](machine, arg)
        if not machine.stack or machine.stack[-1] is _MARK:
            raise MalformedPickle("pickle", "ends with nothing on its stack")
    except MalformedPickle as error:
        raise MalformedPickle(f"{where}, byte {position}", f"{error.problem}; do not load this file") from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise MalformedPickle(
            f"{where}, byte {position}", f"is not a well-formed pickle ({str(error)[:80]}); do not load this file"
        ) from None
    names = dict.fromkeys((imported.module, imported.name) for imported in machine.globals)
    return Pickle(machine.stack[-1], tuple(".".join(name) for name in names), machine.references, machine.calls)


def leaves(root: Any, is_leaf: Callable[[Any], bool], where: object) -> Iterator[tuple[Keys, Any]]:
    """Walk a value and yield its leaves with their paths, in the order of the pickle.

    A path is made of keys and positions; `<args>` and `<state>` stand for the arguments of a call and for what the
    pickle would set on its result. Calls for which `is_leaf` is true are leaves, all others are walked.
    A container that is reached again, as a tied layer's is, is walked again under its other path, unless it is inside
    itself. That ends at `MAX_REPEATS` entries, so that doubled structures cost no more than their bytes.

    Raises:
        MalformedPickle: If the value nests deeper than any model file does, has a key that long, or has one twice.
    """
    seen: set[int] = set()
    repeats = MAX_REPEATS
    stack: list[tuple[Keys, tuple[int, ...], Any]] = [((), (), root)]
    while stack:
        path, above, value = stack.pop()
        if not isinstance(value, Mapping | list | tuple | Call) or is_leaf(value):
            yield path, value
            continue
        if id(value) in seen:
            repeats -= _size(value)
            if id(value) in above or repeats < 0 or len(path) > MAX_DEPTH:
                continue
        if len(path) > MAX_DEPTH:
            raise MalformedPickle(where, f"its pickle nests deeper than {MAX_DEPTH} levels; do not load this file")
        children = _children(value)
        seen.add(id(value))
        above = (*above, id(value))
        stack.extend(((*path, _step(key, where)), above, child) for key, child in reversed(children))
        texts = [key for key, _ in children if isinstance(key, str)]
        if len(texts) > len(set(texts)):
            raise MalformedPickle(where, "its pickle sets a key twice in one dictionary; do not load this file")


def _size(value: Any) -> int:
    if isinstance(value, Call):
        return 3 + len(value.pairs) + len(value.elements)
    return 1 + len(value.pairs if isinstance(value, Mapping) else value)


def _children(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return value.pairs
    if isinstance(value, Call):
        return [*value.pairs, *enumerate(value.elements), ("<args>", value.args), ("<state>", value.state)]
    return list(enumerate(value))


def _step(key: Any, where: object) -> str | int:
    """A key as a step of a path: text, or a number that can be printed."""
    if isinstance(key, str):
        if len(key) > MAX_NAME:
            raise MalformedPickle(where, f"its pickle has a key of {len(key):,} characters; do not load this file")
        return key
    return key if isinstance(key, int) and abs(key) < 2**63 else "?"
