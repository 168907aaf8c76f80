"""Read NumPy's `.npy`, a header and one array, and `.npz`, a zip archive of them.

The header is a Python literal, `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`
(https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). NumPy compiles it; here a small parser reads
it. An array of Python objects is a pickle: it is disassembled for what it would import, and never counted or run.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from weigh import errors
from weigh.dtypes import DTYPES, bytes_of
from weigh.formats import archives, pickles
from weigh.formats.archives import Record
from weigh.formats.numpy.literals import Literal
from weigh.sources import MAX_HEADER, File
from weigh.tensors import Contents, Tensor, is_shape

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
    with file.open() as reader:
        start = reader.read(len(_EMPTY) + 1)
    single = start.startswith(MAGIC)
    if single:
        arrays: dict[str, File] = {"": file}
        others = []
    else:
        # Too short for zipfile, which looks for the record of a large archive in front of its end.
        empty = start == _EMPTY
        records = {} if empty else archives.records(file, "write it again with numpy.savez", compressed=True)
        starts = {name: record.head(len(MAGIC)) for name, record in records.items()}
        arrays = {name: record for name, record in records.items() if starts[name] == MAGIC}
        others = [name for name in records if name not in arrays]
        if others and not arrays:
            raise errors.MalformedArchive(file, f"has no array, only records such as {others[0][:80]!r}; do not use it")
    notes: dict[str, list[str]] = defaultdict(list, other=others)
    tensors: dict[str, Tensor] = {}
    storages: dict[str, File] = {}
    imports: list[str] = []
    stored = 0
    for record, array in arrays.items():
        name = record.removesuffix(".npy") or file.path.stem
        where = f"{file}, array {name[:80]!r}" if record else str(file)
        header = _header(array, where)
        notes_of = _notes(header)
        if header.type.kind == "O":
            imports += _imports(array, header.length, where)
        else:
            if name in tensors:
                raise errors.DuplicateKey(where, "is there twice; save the file again")
            storage = f"{file.name}:{record}" if record else file.name
            tensors[name] = tensor = _tensor(header, name, storage, array, where)
            storages[storage] = Swapped.of(array, header.type.swapped) if header.type.swapped else array
            packed = getattr(array, "packed", None)
            stored += array.size - header.length if packed is None else packed
            if array.size > tensor.end:
                notes_of.append("rest")
        for note in notes_of:
            notes[note].append(name)
    return Contents(
        path=str(file),
        format="npy" if single else "npz",
        named=tuple(tensors.values()),
        bytes_on_disk=file.size,
        bytes_in_storages=stored,
        imports=tuple(dict.fromkeys(imports)),
        notes=tuple(f"{_list(names)}: {_NOTES[note]}" for note, names in notes.items() if names),
        storages=storages,
    )


@dataclass(frozen=True)
class Swapped(File):
    """Numbers whose bytes lie in the other order, given in the usual one.

    Attributes:
        numbers: Where they are.
        width: Bytes of each.
    """

    numbers: File | None = None
    width: int = 1

    @classmethod
    def of(cls, numbers: File, width: int) -> "Swapped":
        return cls(numbers.path, numbers.begin, numbers.length, numbers._handle, numbers, width)

    @property
    def packed(self) -> int | None:
        """The bytes that they take in an archive, when they are compressed there."""
        return getattr(self.numbers, "packed", None)

    @cached_property
    def size(self) -> int:
        """Bytes."""
        assert self.numbers is not None
        return self.numbers.size

    def part(self, begin: int, end: int) -> bytearray:
        """The bytes from `begin` to `end`, which are whole numbers, each in little-endian order."""
        assert self.numbers is not None
        data = self.numbers.part(begin, end)
        swapped = bytearray(len(data))
        for place in range(self.width):
            swapped[place :: self.width] = data[self.width - 1 - place :: self.width]
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


def _header(array: File, where: str) -> _Header:
    start = _head(array, 12)
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
    raw = _head(array, begin + length)[begin:]
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


def _head(array: File, size: int) -> bytes:
    if isinstance(array, Record):
        return array.head(size)
    with array.open() as reader:
        return reader.read(size)


def _tensor(header: _Header, name: str, storage: str, array: File, where: str) -> Tensor:
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


def _imports(array: File, begin: int, where: str) -> tuple[str, ...]:
    if array.size - begin > MAX_HEADER:
        raise errors.HeaderTooLarge(
            where, f"is a pickle of {array.size - begin:,} bytes; weigh reads {MAX_HEADER:,}; do not load it"
        )
    return pickles.read(bytes(array.part(begin, array.size)), where).imports


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
