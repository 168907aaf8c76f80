"""The archive of sliced constructors: an index, and the modules, each read where it lies.

It is a zip archive whose first entry is the index, which says where the others are: to list all of them takes longer
than to construct a model. The index has a line of JSON for each model type, of which those that are asked for are read.
"""

import json
import zlib
from functools import cache, cached_property
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("constructors.zip")

Entry = dict[str, Any]
"""What the index says of a model type: its `config`, a module and a class; its `models`, the module of each class; and
its `auto`, the class that each of the Auto classes has for it."""


FIELDS = ((8, 10), (18, 22), (26, 28), (28, 30))
"""Where the header of an entry (APPNOTE.TXT, 4.3.7) has its method, its size, and the lengths of what follows."""


def entry(place: int) -> tuple[bytes, int]:
    """The content of the entry of the archive that begins at a byte, and where the next one begins.

    The 30 bytes of its header say how it is compressed, how long it is, and how long the names behind them are.
    """
    with PATH.open("rb") as file:
        file.seek(place)
        header = file.read(30)
        method, size, name, extra = (int.from_bytes(header[at:end], "little") for at, end in FIELDS)
        file.seek(name + extra, 1)
        held = file.read(size)
    return zlib.decompress(held, -zlib.MAX_WBITS) if method else held, place + len(header) + name + extra + size


class Index:
    """The index: what the archive has of each model type, of each class, and of each module."""

    def __init__(self) -> None:
        held, self.begin = entry(0)
        self.text = held.decode()
        self.known: dict[str, Entry | None] = {}

    @cached_property
    def head(self) -> dict[str, Any]:
        """The first line: what belongs to no type."""
        found: dict[str, Any] = json.loads(self.text[: self.text.index("\n")])
        return found

    def of(self, kind: Any) -> Entry | None:
        """What there is of a model type; `None` if transformers has none of that name."""
        if not isinstance(kind, str):
            return None
        if kind not in self.known:
            self.known[kind] = self._line(f'\n{{"type": {json.dumps(kind)}, ')
        return self.known[kind]

    def owner(self, name: str) -> tuple[str, str] | None:
        """The module of a model class, and its type; `None` if there is no such class."""
        found = self._line(f'{json.dumps(name)}: "models.')
        return (found["models"][name], found["type"]) if found else None

    def module(self, path: str) -> bytes:
        """The text of a module."""
        return entry(self.begin + self.head["modules"][path])[0]

    def types(self) -> dict[str, Entry]:
        """What there is of every model type."""
        return {found["type"]: found for found in map(json.loads, self.text.splitlines()[1:])}

    def _line(self, part: str) -> Entry | None:
        at = self.text.find(part)
        if at < 0:
            return None
        found: Entry = json.loads(self.text[self.text.rindex("\n", 0, at + 1) : self.text.index("\n", at + 1)])
        return found


@cache
def index() -> Index:
    """The index, read once."""
    return Index()
