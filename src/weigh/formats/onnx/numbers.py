"""Where the numbers of an ONNX tensor are in its TensorProto, and what they are in memory.

`raw_data` has them as they are in memory. The other fields have a number each, whatever is smaller spelled as an int32,
and integers as varints of one to ten bytes (onnx.proto, message TensorProto).
"""

from dataclasses import dataclass
from typing import NamedTuple

from weigh import errors
from weigh.formats.onnx.protobuf import BYTES, FIXED32, FIXED64, VARINT, Span, Walker
from weigh.sources import File

# The fields of a TensorProto that can hold its numbers, with how each is encoded where it is not packed.
FLOAT, INT32, INT64, RAW, DOUBLE, UINT64 = 4, 5, 7, 9, 10, 11
FIELDS = {FLOAT: FIXED32, INT32: VARINT, INT64: VARINT, RAW: BYTES, DOUBLE: FIXED64, UINT64: VARINT}
FIELD = {
    "float32": FLOAT, "complex64": FLOAT, "float64": DOUBLE, "complex128": DOUBLE, "int64": INT64,
    "uint32": UINT64, "uint64": UINT64,
}  # fmt: skip
"""Which of them a number format takes where it is not raw; `int32_data` all others."""


@dataclass(frozen=True)
class Typed:
    """The numbers of a tensor that are not stored as they are in memory: as varints, or each as a field of its own.

    Attributes:
        message: The stretch of the TensorProto, which is walked again when the numbers are asked for.
        number: The field that has the numbers.
        count: How many it has.
        bits: How many bits of each are kept.
        packed: The bytes that they take in the file.
    """

    message: File
    number: int
    count: int
    bits: int
    packed: int

    @property
    def size(self) -> int:
        """Bytes, decoded."""
        return (self.count * self.bits + 7) // 8

    def read(self, begin: int, end: int) -> bytearray:
        """The bytes from `begin` to `end`, decoded.

        Raises:
            InvalidOffsets: If there are more or fewer numbers than the shape asks for.
        """
        data = bytearray()
        values: list[int] = []
        with self.message.open() as reader:
            walker = Walker(reader)
            for field in walker.fields(walker.whole):
                if field.number == self.number and FIELDS[self.number] != VARINT:
                    data += self.message.read(*field.span)
                elif field.number == self.number:
                    values += [field.value] if field.wire == VARINT else walker.varints(field.span)
        if FIELDS[self.number] == VARINT:
            if len(values) != self.count:
                raise errors.InvalidOffsets(
                    self.message,
                    f"a tensor has {len(values):,} numbers, and its shape asks for {self.count:,}; save it again",
                )
            data += _narrowed(values, self.bits)
        return data[begin:end]


def _narrowed(values: list[int], bits: int) -> bytes:
    if bits % 8 == 0:
        return b"".join((value & (1 << bits) - 1).to_bytes(bits // 8, "little") for value in values)
    # Four of 6 bits are three bytes.
    groups = (values[at : at + 4] for at in range(0, len(values), 4))
    joined = (sum((value & 63) << 6 * place for place, value in enumerate(group)) for group in groups)
    return b"".join(three.to_bytes(3, "little") for three in joined)[: (len(values) * bits + 7) // 8]


class Numbers(NamedTuple):
    """Where a tensor's numbers are in the model file: in which field, its first value, how many values, their bytes."""

    number: int
    first: Span
    pieces: int
    size: int


def find(walker: Walker, span: Span, where: str) -> Numbers | None:
    """Where the numbers of the TensorProto at a span are; `None` if it has none.

    Raises:
        MalformedMessage: If they are encoded as another type than their field's.
        DuplicateKey: If two fields have them.
    """
    data = None
    for field in walker.fields(span):
        if field.number not in FIELDS or (field.number != RAW and field.span.begin == field.span.end):
            continue
        alone = FIELDS[field.number]
        if field.wire not in (alone, BYTES) or (
            field.number in (FLOAT, DOUBLE)
            and (field.span.end - field.span.begin) % (4 if field.number == FLOAT else 8)
        ):
            raise walker.malformed(field.span.begin, "numbers of a tensor in another type than their own")
        if data and (data.number != field.number or field.number == RAW):
            raise errors.DuplicateKey(where, "has its numbers twice; save the file again")
        size = field.span.end - field.span.begin
        if data:
            data = Numbers(data.number, data.first, data.pieces + 1, data.size + size)
        else:
            data = Numbers(field.number, field.span, 1, size)
    return data
