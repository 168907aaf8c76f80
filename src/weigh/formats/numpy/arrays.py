"""Read NumPy's `.npy`, a header and one array, and `.npz`, a zip archive of them.

The header is a Python literal, `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`
(https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). NumPy compiles it; here a small parser reads
it. An array of Python objects is a pickle: it is disassembled for what it would import, and never counted or run.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple, TypeAlias

from weigh import errors
from weigh.dtypes import DTYPES, bytes_of
from weigh.formats import archives, pickles
from weigh.formats.archives import Record
from weigh.formats.numpy.literals import Literal
from weigh.sources import MAX_HEADER, File, Source
from weigh.tensors import Contents, Tensor, is_shape

Array: TypeAlias = File | Record

MAGIC = b"\x93NUMPY"
_EMPTY = b"PK\5\6" + bytes(18)  # numpy.savez of no array
MAX_CHARACTERS = 10_000
"""The longest header that numpy.load parses."""

_VERSIONS = {(1, 0): (2, "latin-1"), (2, 0): (4, "latin-1"), (3, 0): (4, "utf-8")}  # bytes of the length, and the text
_KINDS = {
    **{f"i{size}": f"int{8 * size}" for size in (1, 2, 4, 8)},
    **{f"u{size}": f"uint{8 * size}" for size in (1, 2, 4, 8)},
    **{f"f{size}": f"float{8 * size}" for size in (2, 4, 8, 16)},
    **{f"c{size}": f"complex{8 * size}" for size in (8, 16, 32)},
    "b1": "bool", "M8": "int64", "m8": "int64",
}  # fmt: skip

_NOTES = {
    "M": "dates, read as the int64 they are stored as",
    "m": "times, read as the int64 they are stored as",
    "S": "text, read as its bytes: uint8, with a dimension more",
    "U": "text, read as its code points: uint32, with a dimension more",
    "V": "bytes without a type, as bfloat16 and others of ml_dtypes are saved: uint8, with a dimension more",
    "fields": "records of several fields, read as their bytes: uint8, with a dimension more",
    ">": "big-endian",
    "rest": "followed by bytes that numpy.load does not read",
    "O": "Python objects in a pickle, which numpy.load refuses by default; they are not counted",
    "other": "no array",
}


def read(file: File) -> Contents:
    """Read the headers of an `.npy` or `.npz` file. The cost is that of the headers, whatever the size of the arrays.

    Arrays of text, dates and records are read as the integers or bytes that they are stored as, which a note says.

    Raises:
        MalformedHeader: If a header is not the literal that numpy writes.
        HeaderTooLarge: If it is longer than numpy.load allows.
        UnknownDtype: If an array has numbers that NumPy itself does not have.
        TruncatedFile: If the file or a record ends before its array does.
        MalformedArchive: If an `.npz` file is no zip archive, or has no array in it.
        MalformedPickle: If the pickle of an array of objects is malformed.
    """
    arrays, others = _arrays(file)
    found = _Found(file)
    found.notes["other"] = others
    for record, array in arrays.items():
        found.add(record, array)
    return found.contents("npy" if "" in arrays else "npz")


def _arrays(file: File) -> tuple[dict[str, Array], list[str]]:
    """The arrays by the names of their records, of which a single one has none, and the records that are no arrays."""
    start = file.first(len(_EMPTY) + 1)
    if start.startswith(MAGIC):
        return {"": file}, []
    if start == _EMPTY:  # too short for zipfile, which looks for the record of a large archive in front of its end
        return {}, []
    records = archives.records(file, "write it again with numpy.savez", compressed=True)
    arrays: dict[str, Array] = {name: record for name, record in records.items() if record.first(len(MAGIC)) == MAGIC}
    others = [name for name in records if name not in arrays]
    if others and not arrays:
        raise errors.MalformedArchive(file, f"has no array, only records such as {others[0][:80]!r}; do not use it")
    return arrays, others


class _Found:
    """What the arrays of a file come to, one after the other."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.tensors: dict[str, Tensor] = {}
        self.storages: dict[str, Source] = {}
        self.stored = 0
        self.imports: list[str] = []
        self.notes: dict[str, list[str]] = defaultdict(list)

    def add(self, record: str, array: Array) -> None:
        """Read the header of an array: as a tensor, or as the imports of a pickle."""
        name = record.removesuffix(".npy") or self.file.path.stem
        where = f"{self.file}, array {name[:80]!r}" if record else str(self.file)
        header = _header(array, where)
        for note in _notes(header):
            self.notes[note].append(name)
        if header.type.kind == "O":
            self.imports += _imports(array, header.length, where)
            return
        if name in self.tensors:
            raise errors.DuplicateKey(where, "is there twice; save the file again")
        storage = f"{self.file.name}:{record}" if record else self.file.name
        self.tensors[name] = tensor = _tensor(header, name, storage, array, where)
        self.storages[storage] = Swapped(array, header.type.swapped) if header.type.swapped else array
        self.stored += array.size - header.length if array.packed is None else array.packed
        if array.size > tensor.end:
            self.notes["rest"].append(name)

    def contents(self, format: str) -> Contents:
        """The tensors and notes so far, as contents of the file."""
        return Contents(
            path=str(self.file),
            format=format,
            named=tuple(self.tensors.values()),
            bytes_on_disk=self.file.size,
            bytes_in_storages=self.stored,
            imports=tuple(dict.fromkeys(self.imports)),
            notes=tuple(f"{_list(names)}: {_NOTES[note]}" for note, names in self.notes.items() if names),
            storages=self.storages,
        )


@dataclass(frozen=True)
class Swapped:
    """Numbers whose bytes lie in the other order, given in the usual one.

    Attributes:
        numbers: Where they are.
        width: Bytes of each.
    """

    numbers: Source
    width: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.numbers.size

    @property
    def packed(self) -> int | None:
        """The bytes that they take in an archive, when they are compressed there; else `None`."""
        return self.numbers.packed

    def read(self, begin: int, end: int) -> bytearray:
        """The bytes from `begin` to `end`, which are whole numbers, each in little-endian order."""
        data = self.numbers.read(begin, end)
        swapped = bytearray(len(data))
        for at in range(self.width):
            swapped[at :: self.width] = data[self.width - 1 - at :: self.width]
        return swapped


class _Type(NamedTuple):
    """What one item is: a letter of `_NOTES` or none, our dtype, the dimension it adds, and the bytes to swap."""

    kind: str
    dtype: str
    more: tuple[int, ...] = ()
    swapped: int = 0


class _Header(NamedTuple):
    length: int
    type: _Type
    fortran: bool
    shape: tuple[int, ...]


def _notes(header: _Header) -> list[str]:
    return [kind for kind in (header.type.kind, ">" if header.type.swapped else "") if kind]


def _list(names: list[str]) -> str:
    listed = ", ".join(name[:80] for name in names[:3])
    return listed if len(names) <= 3 else f"{listed} and {len(names) - 3:,} more"


def _header(array: Array, where: str) -> _Header:
    start = array.first(12)
    version = (start[6], start[7]) if len(start) >= 8 else None
    if version and version not in _VERSIONS:
        raise errors.MalformedHeader(where, f"is of version {version[0]}.{version[1]}, and there are 1.0 to 3.0")
    width, encoding = _VERSIONS[version or (1, 0)]
    begin = 8 + width
    length = int.from_bytes(start[8:begin], "little")
    if len(start) < begin or begin + length > array.size:
        raise errors.TruncatedFile(where, f"ends within its header of {length:,} bytes; fetch it again")
    if length > 4 * MAX_CHARACTERS:
        raise errors.HeaderTooLarge(
            where, f"has a header of {length:,} bytes, more than numpy.load reads; save it again"
        )
    raw = array.first(begin + length)[begin:]
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        raise errors.MalformedHeader(where, f"its header is not {encoding}; fetch or save it again") from None
    if len(raw) < length:
        raise errors.TruncatedFile(where, f"ends within its header of {length:,} bytes; fetch it again")
    if len(text) > MAX_CHARACTERS:
        raise errors.HeaderTooLarge(
            where, f"has a header of {len(text):,} characters, and numpy.load reads {MAX_CHARACTERS:,}; save it again"
        )
    header = Literal(text, where).value
    if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
        raise errors.MalformedHeader(where, "its header needs exactly descr, fortran_order and shape; save it again")
    if not isinstance(header["shape"], tuple) or not is_shape(header["shape"]):
        raise errors.MalformedHeader(where, "its shape must be a tuple of at most 64 whole numbers; save it again")
    if not isinstance(header["fortran_order"], bool):
        raise errors.MalformedHeader(where, "fortran_order must be True or False; save it again")
    return _Header(begin + length, _type(header["descr"], where), header["fortran_order"], header["shape"])


def _tensor(header: _Header, name: str, storage: str, array: Array, where: str) -> Tensor:
    _, dtype, more, _ = header.type
    shape = header.shape + more
    if len(shape) > 64:
        raise errors.MalformedHeader(where, "has more than 64 dimensions; save it again")
    size = bytes_of(prod(shape), DTYPES[dtype])
    if header.length + size > array.size:
        raise errors.TruncatedFile(
            where, f"needs {size:,} bytes, and {array.size - header.length:,} are there; fetch it again"
        )
    strides = None
    if header.fortran and len(header.shape) > 1:
        steps = [prod(more)]
        for n in header.shape[:-1]:
            steps.append(steps[-1] * n)
        strides = (*steps, *(1 for _ in more))
    return Tensor(name, shape, dtype, storage, header.length, header.length + size, strides=strides)


def _imports(array: Array, begin: int, where: str) -> tuple[str, ...]:
    if array.size - begin > MAX_HEADER:
        raise errors.HeaderTooLarge(
            where, f"is a pickle of {array.size - begin:,} bytes; weigh reads {MAX_HEADER:,}; do not load it"
        )
    return pickles.read(bytes(array.read(begin, array.size)), where).imports


def _type(descr: Any, where: str) -> _Type:
    if isinstance(descr, list):
        kind, size = _record(descr, where)
        return _Type(kind, "uint8", (size,))
    if not isinstance(descr, str):
        raise errors.MalformedHeader(where, "descr must be text or a list of fields; save it again")
    match = re.fullmatch(r"([<>|=]?)([A-Za-z?])(\d{0,9})(?:\[\w{1,20}\])?", descr, re.ASCII)
    if not match:
        raise errors.UnknownDtype(where, f"descr {descr[:40]!r} is none of NumPy's; update weigh or save it again")
    order, kind, digits = match.groups()
    size = int(digits or 0)
    if kind == "O":
        return _Type("O", "uint8")
    if kind in "SaV":
        return _Type("V" if kind == "V" else "S", "uint8", (size,))
    if kind == "U":
        return _Type("U", "uint32", (size,), 4 if order == ">" else 0)
    dtype = "bool" if descr.endswith("?") else _KINDS.get(f"{kind}{size}")
    if dtype is None:
        raise errors.UnknownDtype(where, f"descr {descr[:40]!r} is none of NumPy's; update weigh or save it again")
    part = size // 2 if kind == "c" else size
    return _Type(kind if kind in "Mm" else "", dtype, (), part if order == ">" and part > 1 else 0)


def _record(fields: list[Any], where: str) -> tuple[str, int]:
    """Whether a record has Python objects in it, `O` or `fields`, and its bytes."""
    kind, total = "fields", 0
    for field in fields:
        # (name, descr), or (name, descr, shape) for an array in each record.
        if not isinstance(field, tuple) or len(field) not in (2, 3) or (len(field) == 3 and not is_shape(field[2])):
            raise errors.MalformedHeader(where, "a field of its records is not described as numpy does; save it again")
        if isinstance(field[1], list):
            inner, size = _record(field[1], where)
        else:
            type_ = _type(field[1], where)
            inner, size = type_.kind, bytes_of(prod(type_.more), DTYPES[type_.dtype])
        kind = "O" if inner == "O" else kind
        total += size * (prod(field[2]) if len(field) == 3 else 1)
    return kind, total
