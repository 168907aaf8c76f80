"""Read a pickle without running it.

The opcodes come from the standard library's disassembler and are followed by a machine that imports and calls nothing
(`weigh.formats.opcodes`). Nothing is hashed, compared or converted either, so a hostile structure costs no more than
its own bytes.
"""

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from weigh.errors import MalformedPickle
from weigh.formats.opcodes import MARK, MAX_NAME, OPCODES, Call, Machine, Mapping, Persistent
from weigh.sources import File

MAX_OPCODES = 20_000_000
"""The most instructions that are followed. A tensor takes some forty, and twice that in a distributed checkpoint."""

MAX_DEPTH = 64
MAX_REPEATS = 100_000
"""The most entries that are walked again because a container is reached again, as that of a tied layer is."""

_FLAWS: dict[type[Exception], str] = {
    IndexError: "takes from an empty stack",
    KeyError: "reads a place that was never written",
}

Keys = tuple[str | int, ...]
"""The keys and positions that lead to a value."""


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
    machine, position = Machine(), 0
    try:
        for count, (opcode, arg, at) in enumerate(pickletools.genops(source)):
            position = at or 0
            if opcode.name not in OPCODES:
                raise MalformedPickle("pickle", f"opcode {opcode.name} has no business in a model file")
            if count == MAX_OPCODES:
                raise MalformedPickle("pickle", f"has more than {MAX_OPCODES:,} instructions, as no model file has")
            OPCODES[opcode.name](machine, arg)
        if not machine.stack or machine.stack[-1] is MARK:
            raise MalformedPickle("pickle", "ends with nothing on its stack")
    except MalformedPickle as error:
        place, problem = f"{where}, byte {position}", f"{error.problem}; do not load this file"
        raise MalformedPickle(place, problem, _imports(machine)) from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = _FLAWS.get(type(error), str(error)[:80])
        raise MalformedPickle(
            f"{where}, byte {position}",
            f"is not a well-formed pickle ({reason}); do not load this file",
            _imports(machine),
        ) from None
    return Pickle(machine.stack[-1], _imports(machine), machine.references, machine.calls)


def _imports(machine: Machine) -> tuple[str, ...]:
    names = dict.fromkeys((imported.module, imported.name) for imported in machine.globals)
    return tuple(".".join(name) for name in names)


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
            repeats -= length(value)
            if id(value) in above or repeats < 0 or len(path) > MAX_DEPTH:
                continue
        if len(path) > MAX_DEPTH:
            raise MalformedPickle(where, f"its pickle nests deeper than {MAX_DEPTH} levels; do not load this file")
        entries = children(value)
        seen.add(id(value))
        above = (*above, id(value))
        stack.extend(((*path, _key(key, where)), above, child) for key, child in reversed(entries))
        texts = [key for key, _ in entries if isinstance(key, str)]
        if len(texts) > len(set(texts)):
            raise MalformedPickle(where, "its pickle sets a key twice in one dictionary; do not load this file")


def length(value: Any) -> int:
    """How many entries a container has, and one for itself or more; counted without making a list of them."""
    if isinstance(value, Call):
        return 3 + len(value.pairs) + len(value.elements)
    return 1 + len(value.pairs if isinstance(value, Mapping) else value)


def children(value: Any) -> list[tuple[Any, Any]]:
    """The keys or positions in a container, and what is there."""
    if isinstance(value, Mapping):
        return value.pairs
    if isinstance(value, Call):
        return [*value.pairs, *enumerate(value.elements), ("<args>", value.args), ("<state>", value.state)]
    return list(enumerate(value))


def pairs(value: Any) -> list[tuple[Any, Any]] | tuple[()]:
    """Where the entries of a dictionary, or the attributes of an object, stand."""
    if isinstance(value, Call) and isinstance(value.state, Mapping) and not value.pairs:
        value = value.state
    return value.pairs if isinstance(value, Mapping | Call) else ()


def texts(value: Any) -> set[str]:
    """The members of a set of texts, as either protocol writes it."""
    if isinstance(value, Call) and isinstance(value.args, tuple) and value.args:
        value = value.args[0]
    return {text for text in value if isinstance(text, str)} if isinstance(value, list) else set()


def _key(key: Any, where: object) -> str | int:
    """A key as paths have it: text, or a number that can be printed."""
    if isinstance(key, str):
        if len(key) > MAX_NAME:
            raise MalformedPickle(where, f"its pickle has a key of {len(key):,} characters; do not load this file")
        return key
    return key if isinstance(key, int) and abs(key) < 2**63 else "?"
