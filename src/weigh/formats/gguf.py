"""Read a GGUF file: key-value pairs, a list of tensors, and the tensors.

The layout is the one of ggml's docs/gguf.md (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), in versions 2
and 3, which differ in nothing that is little-endian. The header holds the vocabulary too, so it has megabytes; arrays
are passed over and only their lengths kept.
"""

import struct
from math import prod
from typing import Any

from weigh import errors
from weigh.dtypes import DTYPES, bytes_of
from weigh.sources import MAX_HEADER, File, Reader
from weigh.tensors import Contents, Tensor, is_shape

_PIECE = 2**18  # the bytes that are read ahead
_KEPT = 1000  # the longest text that is kept as a value
_MAX_ENTRIES = 2**18  # of each list; the experts of DeepSeek-V3, one by one, would be 44,544 tensors
_MAX_DEPTH = 4  # of arrays in arrays; no known model has any
_MAX_KEY = 2**16 - 1
_MAX_NAME = 127  # 64 in the specification; programs that build ggml with GGML_MAX_NAME=128 use more

_UINT8, _UINT32, _UINT64 = struct.Struct("<B"), struct.Struct("<I"), struct.Struct("<Q")
_SCALARS: dict[int, tuple[str, struct.Struct]] = {
    0: ("uint8", _UINT8), 1: ("int8", struct.Struct("<b")), 2: ("uint16", struct.Struct("<H")),
    3: ("int16", struct.Struct("<h")), 4: ("uint32", _UINT32), 5: ("int32", struct.Struct("<i")),
    6: ("float32", struct.Struct("<f")), 7: ("bool", _UINT8), 10: ("uint64", _UINT64),
    11: ("int64", struct.Struct("<q")), 12: ("float64", struct.Struct("<d")),
}  # fmt: skip
_UINT32_VALUE, _BOOL, _STRING, _ARRAY = 4, 7, 8, 9

TYPES: dict[int, str] = {
    0: "float32", 1: "float16", 2: "q4_0", 3: "q4_1", 6: "q5_0", 7: "q5_1", 8: "q8_0", 9: "q8_1", 10: "q2_k",
    11: "q3_k", 12: "q4_k", 13: "q5_k", 14: "q6_k", 15: "q8_k", 16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs",
    19: "iq1_s", 20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs", 24: "int8", 25: "int16", 26: "int32",
    27: "int64", 28: "float64", 29: "iq1_m", 30: "bfloat16", 34: "tq1_0", 35: "tq2_0", 39: "mxfp4", 40: "nvfp4",
    41: "q1_0",
}  # fmt: skip
"""The number formats of tensors, by ggml's numbers (`ggml_type`). Those left out are given up."""


def read(file: File) -> Contents:
    """Read the header of a GGUF file. The cost is the header's, whatever the size of the tensors.

    Raises:
        UnknownFormat: If it is of version 1, or written for big-endian machines.
        HeaderTooLarge: If a count in it is more than the rest of the file can hold.
        MalformedHeader: If a key, a value or a tensor breaks the specification.
        DuplicateKey: If two keys or two tensors have the same name.
        UnknownDtype: If a tensor is of a type that ggml has not or no longer.
        InvalidOffsets: If a tensor is not aligned, overlaps another, or has rows that are no multiple of its blocks.
        TruncatedFile: If the file ends before its header or its tensors do.
    """
    with file.open() as reader:
        header = _Header(file, reader)
        header.take(4)
        version = header.number(_UINT32)
        if version & 0xFFFF == 0:
            raise errors.UnknownFormat(
                file, "is for big-endian machines; convert the model again, on a little-endian one"
            )
        if version not in (2, 3):
            raise errors.UnknownFormat(file, f"is of GGUF's version {version}; weigh reads 2 and 3: convert it again")
        tensor_count, pair_count = header.number(_UINT64), header.number(_UINT64)
        header.expect(tensor_count, 24, "tensors", _MAX_ENTRIES)
        header.expect(pair_count, 13, "key-value pairs", _MAX_ENTRIES)
        metadata = header.pairs(pair_count)
        alignment = metadata.get("general.alignment", 32)
        tensors: dict[str, Tensor] = {}
        for _ in range(tensor_count):
            tensor = header.tensor(alignment)
            if tensor.name in tensors:
                raise errors.DuplicateKey(f"{file}, tensor {tensor.name!r}", "is listed twice; do not use the file")
            tensors[tensor.name] = tensor
        start = _aligned(header.position, alignment)
    payload = max(0, file.size - start)
    return Contents(
        path=str(file),
        format="gguf",
        named=tuple(tensors.values()),
        bytes_on_disk=file.size,
        bytes_in_storages=_bytes_behind_header(file, list(tensors.values()), payload, alignment),
        metadata=metadata,
        notes=_split(metadata),
        storages={file.name: file.stretch(start, payload)},
    )


class _Header:
    """What lies before the tensors, read in pieces: a vocabulary is too many strings to ask the file for each."""

    def __init__(self, file: File, reader: Reader) -> None:
        self.file, self.reader = file, reader
        self.piece, self.at = b"", 0
        self.arrays = 0

    @property
    def position(self) -> int:
        """Where in the file the next byte is."""
        return self.reader.tell() - len(self.piece) + self.at

    def malformed(self, problem: str) -> errors.MalformedHeader:
        return errors.MalformedHeader(f"{self.file}, byte {self.position:,}", f"{problem}; fetch or convert it again")

    def need(self, size: int) -> None:
        """Have the next bytes in the piece."""
        missing = self.at + size - len(self.piece)
        if missing > 0:
            if self.position + size > MAX_HEADER and missing <= self.reader.left:
                raise errors.HeaderTooLarge(
                    f"{self.file}, byte {self.position:,}",
                    f"the header goes on; weigh reads {MAX_HEADER:,} bytes of it",
                )
            more = self.reader.take(max(missing, min(_PIECE, self.reader.left)))
            self.piece, self.at = self.piece[self.at :] + more, 0

    def take(self, size: int) -> bytes:
        self.need(size)
        self.at += size
        return self.piece[self.at - size : self.at]

    def skip(self, size: int) -> None:
        ahead = len(self.piece) - self.at
        if size <= ahead:
            self.at += size
        else:
            self.reader.skip(size - ahead)
            self.piece, self.at = b"", 0

    def number(self, layout: struct.Struct) -> Any:
        return layout.unpack(self.take(layout.size))[0]

    def text(self, limit: int, what: str) -> str:
        """A string of at most so many bytes."""
        length = self.number(_UINT64)
        if length > limit:
            raise self.malformed(f"{what} of {length:,} bytes, where {limit:,} are allowed")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise self.malformed(f"{what} that is not UTF-8") from None

    def expect(self, count: int, size: int, what: str, limit: int = 2**64) -> None:
        """Refuse a count of things of at least so many bytes that the rest of the file cannot hold."""
        left = self.file.size - self.position
        if count * size > left or count > limit:
            raise errors.HeaderTooLarge(
                f"{self.file}, byte {self.position:,}",
                f"the header claims {count:,} {what} and {left:,} bytes follow; fetch the file again",
            )

    def pairs(self, count: int) -> dict[str, Any]:
        """Keys with their values: numbers and short texts as they are, the rest in a few words."""
        values: dict[str, Any] = {}
        for _ in range(count):
            key = self.text(_MAX_KEY, "a key")
            kind = self.number(_UINT32)
            if key in values:
                raise errors.DuplicateKey(f"{self.file}, key {key[:80]!r}", "appears twice; do not use the file")
            value = values[key] = self.value(kind)
            if key == "general.alignment" and (kind != _UINT32_VALUE or value.bit_count() != 1):
                raise self.malformed("general.alignment that is no power of two in 32 bits")
        return values

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            length = self.number(_UINT64)
            if length <= _KEPT:
                return self.take(length).decode("utf-8", "backslashreplace")
            self.skip(length)
            return f"text of {length:,} bytes"
        if kind == _ARRAY:
            return self.array(1)
        if kind not in _SCALARS:
            raise self.malformed(f"a value of type {kind}, which GGUF has not")
        value = self.number(_SCALARS[kind][1])
        if kind == _BOOL:
            if value > 1:
                raise self.malformed(f"the truth value {value}")
            return bool(value)
        return value

    def array(self, depth: int) -> str:
        """Pass over an array, and say of what it is."""
        kind, count = self.number(_UINT32), self.number(_UINT64)
        if kind in _SCALARS:
            what, layout = _SCALARS[kind]
            self.expect(count, layout.size, what)
            self.skip(count * layout.size)
        elif kind == _STRING:
            what = "strings"
            self.expect(count, 8, what)
            self.skip_strings(count)
        elif kind == _ARRAY and depth < _MAX_DEPTH:
            what = "arrays"
            self.expect(count, 12, what, _MAX_ENTRIES - self.arrays)
            self.arrays += count
            for _ in range(count):
                self.array(depth + 1)
        else:
            raise self.malformed(f"an array of type {kind}, at depth {depth}")
        return f"array of {count:,} {what}"

    def skip_strings(self, count: int) -> None:
        length_at = _UINT64.unpack_from
        while count:
            self.need(8)
            piece, at, last = self.piece, self.at, len(self.piece) - 8
            while count and at <= last:
                at += 8 + length_at(piece, at)[0]
                count -= 1
            self.skip(at - self.at)

    def tensor(self, alignment: int) -> Tensor:
        """The next entry of the list of tensors."""
        name = self.text(_MAX_NAME, "a tensor's name")
        dimensions = self.number(_UINT32)
        if dimensions > 4:
            raise self.malformed(f"a tensor of {dimensions:,} dimensions, where ggml has 4")
        shape = tuple(self.number(_UINT64) for _ in range(dimensions))[::-1]  # the first one written varies fastest
        code, begin = self.number(_UINT32), self.number(_UINT64)
        where = f"{self.file}, tensor {name!r}"
        if not is_shape(shape):
            raise errors.MalformedHeader(where, f"has the shape {shape}; fetch or convert the file again")
        if code not in TYPES:
            raise errors.UnknownDtype(where, f"is of ggml's type {code}, which weigh does not know; update weigh")
        dtype = DTYPES[TYPES[code]]
        if (shape or (1,))[-1] % dtype.block:
            raise errors.InvalidOffsets(
                where, f"has rows of {(shape or (1,))[-1]:,}, no multiple of the {dtype.block} of {dtype.name}'s blocks"
            )
        if begin % alignment:
            raise errors.InvalidOffsets(where, f"starts at {begin:,}, no multiple of {alignment}; convert it again")
        return Tensor(name, shape, dtype.name, self.file.name, begin, begin + bytes_of(prod(shape), dtype))


def _bytes_behind_header(file: File, tensors: list[Tensor], payload: int, alignment: int) -> int:
    """The bytes of the tensors, and those that belong to none and are no padding either."""
    position = unused = 0
    for tensor in sorted(tensors, key=lambda t: (t.begin, t.end)):
        if tensor.begin < position:
            raise errors.InvalidOffsets(
                f"{file}, tensor {tensor.name!r}",
                f"starts at {tensor.begin:,} and the tensor before it ends at {position:,}; do not use the file",
            )
        unused += max(0, tensor.begin - _aligned(position, alignment))
        position = tensor.end
    if position > payload:
        raise errors.TruncatedFile(
            file, f"its tensors need {position:,} bytes and {payload:,} are there; fetch it again"
        )
    unused += max(0, payload - _aligned(position, alignment))
    return sum(tensor.nbytes for tensor in tensors) + unused


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def _split(metadata: dict[str, Any]) -> tuple[str, ...]:
    """A model of many files says so in each of them."""
    number, count = metadata.get("split.no"), metadata.get("split.count")
    if type(count) is not int or count < 2:
        return ()
    part = f"file {number + 1} of {count}" if type(number) is int and 0 <= number < count else f"one of {count} files"
    return (f"this is {part} of the model; inspect their directory to add them up",)
