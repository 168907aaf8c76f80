"""Files wherever they lie: on this machine, behind a URL, or as a stretch of another file.

A reader of a format asks a `File` for its size and for a `Reader`, and so reads a header over HTTP or S3 as it does on
disk: by ranges. What it finds there is a `Source`, whose bytes can be asked for later. URLs are opened with fsspec
(https://filesystem-spec.readthedocs.io), which is imported when one is.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from weigh import errors
from weigh.optional import needed

MAX_HEADER = 100_000_000
"""The most bytes that are read as a header in one piece: the limit of the safetensors format, kept for every format."""

_BLOCK = 2**18  # what one request to a remote file fetches: more than most headers, little beside any model


def locate(path: str | os.PathLike[str]) -> Path:
    """The path, local or remote, with the interface of `pathlib` either way.

    Args:
        path: A path, or a URL of any protocol that fsspec knows: `https://…`, `s3://…`, `hf://…`.

    Raises:
        MissingPackage: If the path is a URL and the packages that open it are not installed.
        NotFound: If it is a URL of an unknown protocol, or the URL of a directory over HTTP.
    """
    if "\0" in str(path):
        raise errors.NotFound(repr(str(path)), "no path has a null character")
    if not isinstance(path, str) or "://" not in path:
        return path if hasattr(path, "open") else Path(path)  # type: ignore[return-value]
    if path.startswith("http") and path.endswith("/"):
        raise errors.NotFound(path, "HTTP lists no directories; give the URL of a file")
    try:
        with needed(path):
            from upath import UPath

            return UPath(path)  # type: ignore[return-value]
    except ValueError as error:
        raise errors.NotFound(path, f"is no URL that can be opened ({error})") from None


def is_remote(path: Path) -> bool:
    """Whether the path is that of a URL."""
    return bool(_protocol(path))


def is_directory(path: Path) -> bool:
    """Whether the path is a directory. A URL of HTTP never is: asking would fetch the whole file."""
    with opening(path):
        return not _protocol(path).startswith("http") and path.is_dir()


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Say in one line why a file cannot be opened or read.

    Raises:
        NotFound: For what the operating system refuses.
        Unreachable: For what a remote file system does: each has exceptions of its own, so all of them are meant.
        MissingPackage: For a remote file system that wants a package of its own, such as s3fs.
    """
    try:
        with needed(path):
            yield
    except errors.WeighError:
        raise
    except OSError as error:
        if _protocol(path) and str(error) in ("", str(path)):  # as fsspec says it, of a server that is silent too
            raise errors.NotFound(path, "not found, or its server does not answer; check the address") from None
        raise errors.NotFound(path, f"{error.strerror or str(error) or 'not found'}; check the path".lower()) from None
    except Exception as error:
        if not _protocol(path):
            raise
        raise errors.Unreachable(
            path, f"{type(error).__name__}: {error}; check the address".replace("\n", " ")
        ) from error


def _protocol(path: Path) -> str:
    return str(getattr(path, "protocol", ""))


class Source(Protocol):
    """Bytes that are read by ranges: those of a file or a stretch of it, or unpacked, decoded or joined ones."""

    @property
    def size(self) -> int:
        """The number of bytes."""

    @property
    def packed(self) -> int | None:
        """The bytes that they take where they are stored, if that is another number; else `None`."""

    def read(self, begin: int, end: int) -> bytearray:
        """The bytes from `begin` to `end`. Raises `TruncatedFile` if there are fewer."""


@dataclass(frozen=True)
class File:
    """A file, or a stretch of one.

    Attributes:
        path: Where the file is.
        begin: The first byte of the stretch.
        length: Its bytes; `None` is to the end of the file.
        data: All bytes of the file, if they are in memory already.
        whole: The file that it is a stretch of, through which it is read.
    """

    path: Path
    begin: int = 0
    length: int | None = None
    data: bytes | None = field(default=None, repr=False)
    whole: "File | None" = field(default=None, repr=False)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    @property
    def suffix(self) -> str:
        """The end of the name, such as `.safetensors`."""
        return self.path.suffix

    @property
    def packed(self) -> None:
        """Nothing: the bytes are stored as they are."""

    @cached_property
    def _remote(self) -> Any:
        """One open file for all that is read from a URL, so that its size is asked once and its blocks are kept."""
        if self.whole:
            return self.whole._remote
        if self.data is not None or not _protocol(self.path):
            return None
        path: Any = self.path
        with opening(self.path):
            file = path.fs.open(path.path, "rb", block_size=_BLOCK, cache_type="blockcache")
        if file.size is None:
            raise errors.Unreachable(self.path, "the server reads no ranges; download the file and inspect that")
        return file

    @cached_property
    def size(self) -> int:
        """The number of bytes."""
        if self.length is not None:
            return self.length
        if self.data is not None:
            return len(self.data) - self.begin
        with opening(self.path):
            whole = self._remote.size if self._remote else self.path.stat().st_size
        return int(whole) - self.begin

    def open(self) -> "Reader":
        """A reader that stands at the first byte."""
        if self.data is not None:
            return Reader(self, io.BytesIO(self.data))
        with opening(self.path):
            return Reader(self, self._remote or self.path.open("rb", buffering=0))

    def first(self, size: int) -> bytes:
        """The first bytes: so many, or all if there are fewer."""
        with self.open() as reader:
            return reader.read(size)

    def read(self, begin: int, end: int) -> bytearray:
        """The bytes from `begin` to `end`. What calls this wants the payload: headers are read by `open`.

        Raises:
            TruncatedFile: If the file ends before.
        """
        end_here = min(end, self.size)
        if self._remote:  # in one request, where reading would make one for each block
            path: Any = self.path
            with opening(self.path):
                data = bytearray(path.fs.cat_file(path.path, start=self.begin + begin, end=self.begin + end_here))
        else:
            data = bytearray(max(0, end_here - begin))
            with self.open() as reader:
                reader.seek(begin)
                del data[reader.readinto(data) :]
        if len(data) != end - begin:
            raise errors.TruncatedFile(self, f"ends before byte {self.begin + end:,}; fetch it again")
        return data

    def stretch(self, begin: int, length: int) -> "File":
        """A stretch of it, to be read as a file of its own. The caller has checked that it lies inside."""
        return replace(self, begin=self.begin + begin, length=length, whole=self.whole or self)

    def beside(self, name: str) -> "File":
        """Another file of the same directory.

        Raises:
            OutsideDirectory: If the name leads anywhere else.
            NotFound: If there is none of that name.
        """
        if not name or name in (".", "..") or any(character in name for character in "/\\:\0"):
            raise errors.OutsideDirectory(
                self, f"names the file {name[:80]!r} outside its own directory; do not use it"
            )
        path = self.path.parent / name
        with opening(path):
            if not path.is_file():
                raise errors.NotFound(self, f"names the file {name[:80]!r}, which is not there; fetch it")
        return File(path)


class _Raw(io.RawIOBase):
    def __init__(self, file: File, inner: Any) -> None:
        self._file, self._inner, self._at = file, inner, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        if at < 0:
            raise OSError("negative position")
        self._at = at
        return at

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self._file.size - self._at))
        with opening(self._file.path):
            self._inner.seek(self._file.begin + self._at)
            read = int(self._inner.readinto(memoryview(buffer)[:wanted]))
        self._at += read
        return read

    def close(self) -> None:
        if not self.closed and self._inner is not self._file._remote:
            self._inner.close()
        super().close()


class Reader(io.BufferedReader):
    """Reads a `File` from its first byte, and never allocates more than is left of it, whatever is asked for."""

    def __init__(self, file: File, inner: Any) -> None:
        super().__init__(_Raw(file, inner))
        self.file = file

    @property
    def left(self) -> int:
        """The bytes from here to the end."""
        return max(0, self.file.size - self.tell())

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes: fewer at the end of the file.

        Raises:
            HeaderTooLarge: If more than `MAX_HEADER` are asked for and are there.
        """
        if size is None or not 0 <= size < io.DEFAULT_BUFFER_SIZE:
            size = self.left if size is None or size < 0 else min(size, self.left)
        if size > MAX_HEADER:
            raise errors.HeaderTooLarge(
                f"{self.file}, byte {self.tell():,}", f"the header claims {size:,} bytes; weigh reads {MAX_HEADER:,}"
            )
        return super().read(size)

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes.

        Raises:
            TruncatedFile: If the file ends before.
            HeaderTooLarge: If they are more than `MAX_HEADER`.
        """
        self._expect(size)
        return self.read(size)

    def skip(self, size: int) -> None:
        """Go on behind the next `size` bytes without reading them.

        Raises:
            TruncatedFile: If the file ends before.
        """
        self._expect(size)
        self.seek(size, io.SEEK_CUR)

    def _expect(self, size: int) -> None:
        if size > self.left:
            problem = f"promises {size:,} bytes more and has {self.left:,}; fetch the file again"
            raise errors.TruncatedFile(f"{self.file}, byte {self.tell():,}", problem)
