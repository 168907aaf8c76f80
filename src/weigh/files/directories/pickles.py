"""What loading a file would import, of every pickle in a directory: of one whose tensors nobody counts, too."""

import io
import pickletools
from pathlib import PurePosixPath
from typing import IO

from weigh import formats
from weigh.errors import WeighError
from weigh.formats import archives
from weigh.formats.opcodes import OPCODES, Machine
from weigh.formats.pickles import MAX_OPCODES
from weigh.formats.torch import rebuilding
from weigh.sources import MAX_HEADER, File
from weigh.tensors import Contents

SUFFIXES = (".pkl", ".pickle", ".bin", ".pt", ".pth", ".ckpt", ".joblib", ".pdparams", ".pdopt")
"""The ends of files that are pickles, or may be."""

_ZIP = b"PK\x03\x04"
_MOST_PICKLES = 8  # in a row: torch before 1.6 wrote five
_NEWEST_PROTOCOL = 5
_FLAWS = (ValueError, KeyError, IndexError, TypeError, AttributeError)


def is_pickle(first: bytes) -> bool:
    """Whether a file that starts so is a zip archive, or says that it is a pickle, as they do from protocol 2 on."""
    return first.startswith(_ZIP) or (len(first) > 1 and first[0] == 0x80 and 2 <= first[1] <= _NEWEST_PROTOCOL)


def read_state(file: File) -> Contents | None:
    """Inspect a file of a training checkpoint, which may hold no tensor at all; `None` if it is no pickle.

    Raises:
        WeighError: What its reader raises, if it is a pickle that cannot be followed.
    """
    try:
        return formats.read(file)
    except WeighError:
        imports = imported_by(file)
    if imports is None:
        return None
    return Contents(str(file), "pytorch" if file.first(4) == _ZIP else "pickle", (), file.size, 0, imports=imports)


def imported_by(file: File) -> tuple[str, ...] | None:
    """The names that loading a file would import and a safe loader refuses; `None` if it is no pickle.

    Of a pickle that is not well-formed, those that come before the flaw: they would be imported all the same.

    Raises:
        WeighError: If it is a pickle and cannot be followed, and imports nothing that is refused before the flaw.
    """
    try:
        return formats.read(file).imports
    except WeighError as error:
        failure = error
    first = file.first(2)
    if file.first(4) == _ZIP:
        return _in_archive(file, failure)
    with file.open() as reader:
        names, flaw = _follow(reader)
    found = rebuilding.refused(names)
    if flaw and not is_pickle(first):
        return found if any(_is_name(name) for name in found) else None
    if flaw and not found:
        raise failure
    return found


def _in_archive(file: File, failure: WeighError) -> tuple[str, ...] | None:
    """Of the pickles among the records of an archive, whether or not torch would load it."""
    records = archives.records(file, "do not load it", compressed=True)
    pickles = [record for name, record in records.items() if PurePosixPath(name).suffix == ".pkl"]
    if not pickles:
        return None
    names: list[str] = []
    flawed = False
    for record in pickles:
        if record.size > MAX_HEADER:
            raise failure
        found, flaw = _follow(io.BytesIO(record.read(0, record.size)))
        names += found
        flawed = flawed or flaw
    refused = rebuilding.refused(tuple(dict.fromkeys(names)))
    if flawed and not refused:
        raise failure
    return refused


def _follow(stream: IO[bytes]) -> tuple[tuple[str, ...], bool]:
    """What a row of pickles imports, and whether there is a flaw in the first.

    Behind a flaw, which may be none to another reader, imports are still taken from the instructions one by one.
    """
    names: dict[str, None] = {}
    flaw, count = False, 0
    for number in range(_MOST_PICKLES):
        machine, texts = Machine(), ["?", "?"]
        sound = True
        try:
            for opcode, arg, _ in pickletools.genops(stream):
                count += 1
                if count > MAX_OPCODES:
                    raise ValueError("too many")
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
        except (WeighError, *_FLAWS):
            # Behind the first pickle come the bytes of an array, or of storages, which only look like another.
            flaw = flaw or number == 0
            sound = False
        names.update((str(each), None) for each in machine.globals)
        if not sound or stream.read(1) != b"\x80":
            break
        stream.seek(-1, io.SEEK_CUR)
    return tuple(names), flaw


def _is_name(name: str) -> bool:
    return name.isascii() and all(part.isidentifier() for part in name.split("."))
