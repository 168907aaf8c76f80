"""Walk a message of Protocol Buffers by its encoding alone, and pass over what is not asked for without reading it.

A message is a sequence of fields: a varint of the field's number and its wire type, then the value, whose size the wire
type or a varint of its own gives (https://protobuf.dev/programming-guides/encoding/). A submessage is a value of known
size, so it is its span in the file until it is walked in turn.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from weigh import errors
from weigh.sources import Reader

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELDS = 10_000_000
"""The most fields that are walked in one file: some minutes, and more than any graph has."""
MAX_NUMBERS = 1_000
"""The most numbers that one repeated field of a header has: no tensor has as many dimensions."""

_WINDOW = 2**13  # what is read at once: many fields, little beside a payload that is passed over


class Span(NamedTuple):
    """Where in the file a value lies."""

    begin: int
    end: int


class Field(NamedTuple):
    """A field as it is encoded.

    Attributes:
        number: Which of the message's fields it is.
        wire: How its value is encoded.
        span: The bytes of its value.
        value: Its number if it is a varint, else 0.
    """

    number: int
    wire: int
    span: Span
    value: int


class Key(NamedTuple):
    """What a schema says of a field: its name, whether it is a number, text or a submessage, and whether it repeats."""

    name: str
    type: type[int] | type[str] | type[Span]
    repeated: bool = False


class Walker:
    """Walks the messages of one file."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.whole = Span(0, reader.file.size)
        self._at, self._window = 0, b""
        self._fields = 0

    def fields(self, message: Span) -> Iterator[Field]:
        """The fields of a message in the order of the file.

        Raises:
            TruncatedFile: If the file ends within a field.
            MalformedMessage: If the message is not encoded as the specification says, or uses groups, which are gone.
            HeaderTooLarge: If this and the messages before it have more than `MAX_FIELDS` fields.
        """
        at, end = message
        while at < end:
            start = at
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise errors.HeaderTooLarge(self.reader.file, f"has more than {MAX_FIELDS:,} fields, weigh's limit")
            tag, at = self._varint(at, end)
            number, wire, value = tag >> 3, tag & 7, 0
            if wire == VARINT:
                value, stop = self._varint(at, end)
            elif wire == BYTES:
                length, at = self._varint(at, end)
                stop = at + length
            elif wire in (FIXED32, FIXED64):
                stop = at + (4 if wire == FIXED32 else 8)
            else:
                raise self.malformed(start, f"a field of wire type {wire}, which is none or a group")
            if not 0 < number < 2**29:
                raise self.malformed(start, f"a field of the number {number:,}, which none can have")
            if stop > end:
                raise self._cut(start, end, stop)
            yield Field(number, wire, Span(at, stop), value)
            at = stop

    def read(self, message: Span, schema: Mapping[int, Key]) -> dict[str, Any]:
        """The fields of a message that a schema names, by name; 0, nothing, `None` or an empty list where one is not.

        Raises:
            DuplicateKey: If a field that does not repeat is there twice. Libraries take the last, or join the two.
            MalformedMessage: If a field is of another type than the schema's.
            WeighError: What `fields` raises.
        """
        defaults: dict[type, Any] = {int: 0, str: "", Span: None}
        found: dict[str, Any] = {key.name: [] if key.repeated else defaults[key.type] for key in schema.values()}
        seen = set()
        for field in self.fields(message):
            key = schema.get(field.number)
            if key is None:
                continue
            if field.wire != (VARINT if key.type is int else BYTES) and not (key.repeated and field.wire == BYTES):
                raise self.malformed(field.span.begin, f"the field {key.name} in another type than its own")
            value: Any = field.span
            if key.type is str:
                value = self.text(field.span)
            elif key.type is int:
                value = _signed(field.value)
            if key.repeated and key.type is int:
                values = [field.value] if field.wire == VARINT else islice(self.varints(field.span), MAX_NUMBERS + 1)
                found[key.name] += map(_signed, values)
                if len(found[key.name]) > MAX_NUMBERS:
                    raise self.malformed(field.span.begin, f"more than {MAX_NUMBERS:,} numbers in {key.name}")
            elif key.repeated:
                found[key.name].append(value)
            elif key.name in seen:
                raise errors.DuplicateKey(
                    f"{self.reader.file}, byte {field.span.begin:,}", f"{key.name} is there twice; save the file again"
                )
            else:
                found[key.name] = value
            seen.add(key.name)
        return found

    def varints(self, packed: Span) -> Iterator[int]:
        """The numbers of a packed field, as they are encoded: not below 0."""
        at, end = packed
        while at < end:
            value, at = self._varint(at, end)
            yield value

    def text(self, span: Span) -> str:
        """A value as text.

        Raises:
            MalformedMessage: If it is not UTF-8.
        """
        begin, end = span.begin - self._at, span.end - self._at
        if begin >= 0 and end <= len(self._window):
            raw = self._window[begin:end]
        else:
            self.reader.seek(span.begin)
            raw = self.reader.take(span.end - span.begin)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self.malformed(span.begin, "text that is not UTF-8") from None

    def malformed(self, at: int, problem: str) -> errors.MalformedMessage:
        """The error to raise for what is at a byte."""
        return errors.MalformedMessage(
            f"{self.reader.file}, byte {self.reader.file.begin + at:,}", f"has {problem}; fetch or save it again"
        )

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        start, value = at, 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise self._cut(start, end, at + 1)
            if not 0 <= at - self._at < len(self._window):
                self.reader.seek(at)
                self._at, self._window = at, self.reader.read(_WINDOW)
                if not self._window:
                    raise self._cut(start, end, at + 1)
            byte = self._window[at - self._at]
            value |= (byte & 127) << shift
            at += 1
            if byte < 128:
                if value >= 2**64:
                    break
                return value, at
        raise self.malformed(start, "a number of more than 64 bits")

    def _cut(self, at: int, end: int, stop: int) -> errors.WeighError:
        if end < self.whole.end:
            return self.malformed(at, "a field that is longer than the message around it")
        return errors.TruncatedFile(
            f"{self.reader.file}, byte {at:,}",
            f"promises {stop - at:,} bytes and has {end - at:,}; it is cut short or no such file: fetch it again",
        )


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
