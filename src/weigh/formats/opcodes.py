"""The instructions of pickles, followed without importing or calling anything.

A pickle is a program for a small stack machine. Two of its instructions are dangerous: one imports any name, another
calls it. In this machine an import becomes a `Global` and a call becomes a `Call`, and both are only written down.
The opcodes are documented in the standard library's `pickletools`, and `torch.save` uses some thirty of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from weigh.errors import MalformedPickle

MAX_NAME = 1000
"""The most characters of a name that is imported, or of a key."""


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


MARK = object()
"""What marks a place on the stack."""


class Machine:
    """The stack, the memo, and all that the instructions so far would have imported, called and referred to."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.globals: list[Global] = []
        self.references: list[Persistent] = []
        self.calls: list[Call] = []

    def pop_to_mark(self) -> list[Any]:
        """The values above the last mark, taken off the stack."""
        items: list[Any] = []
        while (item := self.stack.pop()) is not MARK:
            items.append(item)
        return items[::-1]

    def import_(self, module: Any, name: Any) -> None:
        """Note an import, and put it on the stack."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise MalformedPickle("pickle", "imports a name that is not text")
        if len(module) + len(name) > MAX_NAME:
            raise MalformedPickle("pickle", f"imports a name of more than {MAX_NAME:,} characters")
        self.globals.append(Global(module, name))
        self.stack.append(self.globals[-1])

    def call(self, function: Any, args: Any) -> None:
        """Note a call, and put it on the stack in place of its result."""
        self.calls.append(Call(function, args))
        self.stack.append(self.calls[-1])

    def refer(self, id: Any) -> None:
        """Note a persistent reference, and put it on the stack."""
        self.references.append(Persistent(id))
        self.stack.append(self.references[-1])

    def set_items(self, flat: list[Any]) -> None:
        """Put keys and values, in turns, into the dictionary or call on top of the stack."""
        target = self.stack[-1]
        if not isinstance(target, Mapping | Call) or len(flat) % 2:
            raise MalformedPickle("pickle", "sets items of something that is not a dictionary")
        target.pairs.extend(zip(flat[::2], flat[1::2], strict=True))

    def extend(self, items: list[Any]) -> None:
        """Append items to the list or call on top of the stack."""
        target = self.stack[-1]
        if isinstance(target, Call):
            target.elements.extend(items)
        elif isinstance(target, list):
            target.extend(items)
        else:
            raise MalformedPickle("pickle", "appends to something that is not a list")

    def build(self) -> None:
        """Give the call below the top of the stack the state on top."""
        state = self.stack.pop()
        if isinstance(self.stack[-1], Call):
            self.stack[-1].state = state

    def memoize(self, key: int) -> None:
        """Keep the top of the stack under a number."""
        self.memo[key] = self.stack[-1]


def _tuple(n: int) -> Callable[[Machine, Any], None]:
    def build(m: Machine, _: Any) -> None:
        m.stack.append(tuple([m.stack.pop() for _ in range(n)][::-1]))

    return build


def _two(m: Machine) -> list[Any]:
    last = m.stack.pop()
    return [m.stack.pop(), last]


def _new_with_keywords(m: Machine) -> None:
    args, keywords = _two(m)
    m.call(m.stack.pop(), (args, keywords))


def _object(m: Machine) -> None:
    function, *args = m.pop_to_mark()
    m.call(function, tuple(args))


def _instance(m: Machine, arg: str) -> None:
    args = tuple(m.pop_to_mark())
    m.import_(*arg.split(" ", 1))
    m.call(m.stack.pop(), args)


def _dictionary(m: Machine) -> None:
    flat = m.pop_to_mark()
    m.stack.append(Mapping())
    m.set_items(flat)


_LITERALS = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
)  # fmt: skip

OPCODES: dict[str, Callable[[Machine, Any], object]] = {
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
    "MARK": lambda m, _: m.stack.append(MARK),
    "POP": lambda m, _: m.stack.pop(),
    "POPMARK": lambda m, _: m.pop_to_mark(),
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
"""What each instruction does to the machine, given its argument. Others have no business in a model file."""
