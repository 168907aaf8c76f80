"""Zip archives, as far as model files are: records of known size that lie side by side.

A zip archive is read from its end, where its directory is (APPNOTE.TXT of PKWARE, sections 4.3.7 and 4.3.12). Records
that overlap, claim more than the file has or unpack to a multiple of it are how archives attack, so none is let in.
"""

import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

from weigh import errors
from weigh.sources import File

_LOCAL_HEADER = 30
MAX_EXPANSION = 1032
"""The most that deflate can expand (zlib's technical notes): what claims more is not what was packed."""


@dataclass(frozen=True)
class Record:
    """A record of an archive. Where its bytes begin is read from the header in front of them when they are asked for.

    Attributes:
        archive: The archive.
        header: The byte at which its header begins.
        size: The bytes that it unpacks to.
        packed: The bytes that it takes in the archive, when it is compressed; else `None`.
    """

    archive: File
    header: int
    size: int
    packed: int | None = None

    @cached_property
    def stored(self) -> File:
        """The bytes as they lie in the archive."""
        with self.archive.stretch(self.header, _LOCAL_HEADER).open() as reader:
            header = reader.take(_LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise errors.MalformedArchive(
                f"{self.archive}, byte {self.archive.begin + self.header:,}",
                "is no record's header; fetch the file again",
            )
        name, extra = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
        size = self.size if self.packed is None else self.packed
        return self.archive.stretch(self.header + _LOCAL_HEADER + name + extra, size)

    def first(self, size: int) -> bytes:
        """The first bytes, unpacked: so many, or all if there are fewer."""
        if self.packed is None:
            return self.stored.first(size)
        # Deflate needs at most a byte for each that it gives, and 5 for each block of up to 65,535.
        return self._inflate(self.stored.first(min(self.packed, size + size // 1000 + 1000)), size)

    def read(self, begin: int, end: int) -> bytearray:
        """The bytes from `begin` to `end`, unpacked."""
        if self.packed is None:
            return self.stored.read(begin, end)
        unpacked = self._inflate(bytes(self.stored.read(0, self.packed)), end)
        if len(unpacked) < end:
            raise errors.MalformedArchive(self.archive, "unpacks to fewer bytes than it claims; fetch the file again")
        return bytearray(unpacked[begin:])

    def _inflate(self, packed: bytes, size: int) -> bytes:
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size)
        except zlib.error as error:
            raise errors.MalformedArchive(self.archive, f"does not unpack ({error}); fetch the file again") from None


def records(file: File, remedy: str, *, compressed: bool = False) -> dict[str, Record]:
    """The records of an archive by name, in the order of its directory.

    Args:
        file: The archive.
        remedy: What to do about a malformed one.
        compressed: Whether records may be compressed by deflate.

    Raises:
        MalformedArchive: If it is damaged, lists a name twice, is encrypted, is compressed where it may not be, or if
            its records overlap, reach past its end or claim to unpack to more than they can.
    """

    def malformed(problem: str) -> NoReturn:
        raise errors.MalformedArchive(file, f"{problem}; {remedy}")

    allowed = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} if compressed else {zipfile.ZIP_STORED}
    try:
        with file.open() as reader, zipfile.ZipFile(reader) as archive:
            infos = archive.infolist()
            end = archive.start_dir
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        malformed(f"is truncated or damaged ({str(error)[:80]})")
    if len({info.filename for info in infos}) != len(infos):
        malformed("its archive lists a record twice")
    if any(info.compress_type not in allowed or info.flag_bits & 1 for info in infos):
        malformed("its records are compressed or encrypted, which is never done for such a file")
    for info in sorted(infos, key=lambda info: info.header_offset, reverse=True):
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            malformed(f"its record {info.filename[:80]!r} has two sizes")
        if info.file_size > MAX_EXPANSION * info.compress_size:
            malformed(f"its record {info.filename[:80]!r} claims to unpack to {info.file_size:,} bytes")
        if info.header_offset < 0 or info.header_offset + _LOCAL_HEADER + info.compress_size > end:
            malformed(f"its record {info.filename[:80]!r} overlaps the next one")
        end = info.header_offset
    return {
        info.filename: Record(
            file, info.header_offset, info.file_size, info.compress_size if info.compress_type else None
        )
        for info in infos
    }
