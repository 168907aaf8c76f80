"""What loading a file would import, of every pickle in a directory: of one whose tensors nobody counts, too."""

import io
import pickletools
from contextlib import suppress
from pathlib import PurePosixPath
from typing import IO, cast

from weigh import formats
from weigh.errors import WeighError
from weigh.formats import FORMATS, archives
from weigh.formats.opcodes import OPCODES, Call, Machine
from weigh.formats.torch import rebuilding
from weigh.formats.torch.allowed import Imports, split
from weigh.sources import File
from weigh.tensors import Contents

SUFFIXES = (
    *(suffix for each in FORMATS if each.reader == "torch.legacy" for suffix in each.suffixes),
    *(".pkl", ".pickle", ".joblib", ".pdparams", ".pdopt"),
)
"""The ends of files that are pickles, or may be."""

_ZIP = b"PK\x03\x04"
_MOST_PICKLES = 8  # in a row: torch before 1.6 wrote five
_NEWEST_PROTOCOL = 5
_MOST_INSTRUCTIONS = 300_000
_MOST_BYTES = 2**25
_LONGEST_LINE = 2**16
_FLAWS = (ValueError, KeyError, IndexError, TypeError, AttributeError)


def is_pickle(first: bytes) -> bool:
    """Whether a file that starts so is a zip archive, or says that it is a pickle, as they do from protocol 2 on."""
    return first.startswith(_ZIP) or (len(first) > 1 and first[0] == 0x80 and 2 <= first[1] <= _NEWEST_PROTOCOL)


class TooLong(Exception):
    """A pickle that has more instructions or bytes than are followed of those that nobody counts."""


class Follower:
    """Follows the pickles of one directory, so many instructions and bytes of all together.

    What is more is left to who inspects the file by itself.
    """

    def __init__(self) -> None:
        self.instructions, self.bytes = _MOST_INSTRUCTIONS, _MOST_BYTES

    def imported_by(self, file: File) -> Imports | None:
        """The names that loading a file would import and a safe loader refuses; `None` if it is no pickle.

        Of a pickle that is not well-formed, those that come before the flaw too: they would be imported all the same.

        Raises:
            TooLong: If there is more of it than is followed, and nothing that is refused before.
            WeighError: If it is a pickle and cannot be followed, and imports nothing that is refused before the flaw.
        """
        first = file.first(4)
        if first == _ZIP:
            return self._in_archive(file)
        with file.open() as reader:
            names, calls, flaw = self._follow(reader)
        found = rebuilding.refused(names)
        if flaw and not is_pickle(first):
            return Imports(found) if any(_is_name(name) for name in found) else None
        if flaw and not found:
            return Imports(formats.read(file).imports)  # which says what is wrong with it
        return Imports(found) if flaw else split(file.name, found, calls)

    def _in_archive(self, file: File) -> Imports | None:
        """Of the pickles among the records of an archive, whether or not torch would load it."""
        records = archives.records(file, "do not load it", compressed=True)
        pickles = {name: record for name, record in records.items() if PurePosixPath(name).suffix == ".pkl"}
        if not pickles:
            return None
        if any(PurePosixPath(name).name == "constants.pkl" for name in pickles):  # TorchScript, which is no Python
            with suppress(WeighError):
                return Imports(formats.read(file).imports)
        names: list[str] = []
        calls: list[Call] = []
        flawed = False
        for record in pickles.values():
            if record.size > self.bytes:
                raise TooLong
            found, made, flaw = self._follow(io.BytesIO(record.read(0, record.size)))
            names += found
            calls += made
            flawed = flawed or flaw
        refused = rebuilding.refused(tuple(dict.fromkeys(names)))
        if flawed:
            return Imports(refused or formats.read(file).imports)
        return split(file.name, refused, calls)

    def _follow(self, stream: IO[bytes]) -> tuple[tuple[str, ...], list[Call], bool]:
        """What a row of pickles imports and calls, and whether there is a flaw in the first.

        Behind a flaw, which may be none to another reader, imports are still taken from the instructions one by one.
        """
        names: dict[str, None] = {}
        calls: list[Call] = []
        limited = cast(IO[bytes], _Limited(stream, self))
        flaw = False
        for number in range(_MOST_PICKLES):
            machine, texts = Machine(), ["?", "?"]
            sound = True
            try:
                for opcode, arg, _ in pickletools.genops(limited):
                    self.instructions -= 1
                    if self.instructions < 0:
                        raise TooLong
                    if isinstance(arg, str):
                        texts = [texts[-1], arg]
                    if sound:
                        try:
                            OPCODES[opcode.name](machine, arg)
                            continue
                        except (WeighError, *_FLAWS):
                            sound, flaw = False, flaw or number == 0
                    if opcode.name in ("GLOBAL", "INST"):
                        names[str(arg).replace(" ", ".")] = None
                    elif opcode.name == "STACK_GLOBAL":
                        names[".".join(texts)] = None
            except TooLong:
                self.instructions = max(self.instructions, 0)
                names.update((str(each), None) for each in machine.globals)
                if not rebuilding.refused(tuple(names)):
                    raise
                return tuple(names), calls, True
            except (WeighError, *_FLAWS):
                # Behind the first pickle come the bytes of an array, or of storages, which only look like another.
                flaw = flaw or number == 0
                sound = False
            names.update((str(each), None) for each in machine.globals)
            calls += machine.calls
            if not sound or stream.read(1) != b"\x80":
                break
            stream.seek(-1, io.SEEK_CUR)
        return tuple(names), calls, flaw


class _Limited:
    """A stream of which no more bytes are read than the follower has left."""

    def __init__(self, stream: IO[bytes], follower: Follower) -> None:
        self.stream, self.follower = stream, follower
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if size > self.follower.bytes:
            raise TooLong
        self.follower.bytes -= size
        return self.stream.read(size)

    def readline(self) -> bytes:
        line = self.stream.readline(_LONGEST_LINE)
        self.follower.bytes -= len(line)
        if len(line) == _LONGEST_LINE or self.follower.bytes < 0:
            raise TooLong
        return line


def read_state(file: File) -> Contents | None:
    """Inspect a file of a training checkpoint, which may hold no tensor at all; `None` if it is no pickle.

    Raises:
        WeighError: What its reader raises, if it is a pickle that cannot be followed.
    """
    try:
        return formats.read(file)
    except WeighError as error:
        try:
            imports = Follower().imported_by(file)
        except TooLong:
            raise error from None
    if imports is None:
        return None
    kind = "pytorch" if file.first(4) == _ZIP else "pickle"
    return Contents(str(file), kind, (), file.size, 0, imports=imports.refused, allowed=imports.allowed)


def _is_name(name: str) -> bool:
    return name.isascii() and all(part.isidentifier() for part in name.split("."))
