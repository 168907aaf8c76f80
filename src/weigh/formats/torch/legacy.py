"""Read what `torch.save` wrote before PyTorch 1.6, and a bare pickle.

The old format is a row of pickles (a magic number, a version, facts about the machine, the object, the keys of its
storages) and then each storage: eight bytes for the number of its elements, and the elements. Their low byte comes
first whatever the machine, so what the facts say about byte order is of no use. The layout is `_legacy_save` in
`torch/serialization.py`.

A bare pickle, of `pickle.dump`, holds a storage as a call of `torch.storage._load_from_bytes` with a whole file of the
old format in it.
"""

import io
import tarfile
from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

from weigh import errors
from weigh.dtypes import DTYPES, STORAGES
from weigh.formats import pickles
from weigh.formats.opcodes import Call, Global, Persistent
from weigh.formats.pickles import Pickle
from weigh.formats.torch import rebuilding
from weigh.formats.torch.rebuilding import Resolve, Storage
from weigh.formats.torch.saved import above_root
from weigh.sources import MAX_HEADER, File
from weigh.tensors import Contents

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
_FIRST_PIECE = 2**18
_EMBEDDED = "torch.storage._load_from_bytes"


class _Saved(NamedTuple):
    """A file of the old format, or a bare pickle.

    Attributes:
        pickle: That of the object.
        imports: What its pickles would import, all of them.
        storages: The storages by key; `None` for a bare pickle, which has none of its own.
        end: Where the last byte that belongs to it ends.
    """

    pickle: Pickle
    imports: tuple[str, ...]
    storages: dict[str, Storage] | None
    end: int


def read(file: File) -> Contents:
    """Read the structure of a file in PyTorch's old format, or of a bare pickle with tensors.

    The cost is that of the pickles and of eight bytes for each storage; a bare pickle is read whole.

    Raises:
        UnknownFormat: If it is of the format before the old one, a tar archive.
        MalformedPickle: If a pickle is malformed, is not what torch writes, or is a bare one without a tensor.
        InvalidOffsets: If a tensor reaches out of its storage, or if a storage is not of the size that the object says.
        TruncatedFile: If the file ends before its last storage does.
        HeaderTooLarge: If the pickles are longer than any header.
    """
    with file.open() as reader:
        if _is_tar(reader.read(tarfile.BLOCKSIZE)):
            raise errors.UnknownFormat(
                file, "is a tar archive of torch before 0.1.10, which weigh does not read; save it with a newer torch"
            )
    saved = _open(file)
    storages, resolve, imports = _storages(file, saved)
    refused = tuple(dict.fromkeys(rebuilding.refused(imports)))
    tensors, metadata = rebuilding.tensors(saved.pickle.root, file, resolve, above_root(file))
    if not tensors and (refused or saved.storages is None):
        warning = f", and loading it would call {rebuilding.naming(refused)}" if refused else ""
        raise errors.MalformedPickle(file, f"holds no tensor of torch{warning}; do not load it", refused)
    notes = [] if tensors else [f"{file.name} holds no tensor"]
    if saved.end < file.size:
        notes.append(f"{file.size - saved.end:,} bytes at the end of {file.name} are nothing that torch would load")
    return Contents(
        path=str(file),
        format="pytorch legacy" if saved.storages is not None else "pickle",
        named=tensors,
        bytes_on_disk=file.size,
        bytes_in_storages=sum(storage.source.size for storage in storages),
        metadata=metadata,
        imports=refused,
        notes=tuple(notes),
        storages={storage.name: storage.source for storage in storages},
    )


def _storages(file: File, saved: _Saved) -> tuple[list[Storage], Resolve, tuple[str, ...]]:
    """The storages of a file, what finds them, and what loading all of it would import."""
    if saved.storages is not None:
        return list(saved.storages.values()), _resolver(saved.storages), saved.imports
    embedded, imports = _embedded(file, saved.pickle)
    return list(embedded.values()), _resolver_of_bare(embedded), saved.imports + imports


def opened(file: File) -> tuple[Any, Resolve, list[Storage]]:
    """What the pickle of a file would build, what finds its storages, and the storages. Raises what `read` does."""
    saved = _open(file)
    storages, resolve, _ = _storages(file, saved)
    return saved.pickle.root, resolve, storages


def _is_tar(block: bytes) -> bool:
    """Whether `torch.load` would open the file as a tar archive, which it tries first, whatever else the file is."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _open(file: File, name: str = "") -> _Saved:
    """Read the pickles, and find the storages behind them; `name` tells them from those of another file in the same."""
    row, begin = _row(file)
    imports = tuple(chain.from_iterable(pickle.imports for pickle in row))
    if len(row) == 1:
        return _Saved(row[0], imports, None, begin)
    _, version, _, saved, keys = row
    if version.root != PROTOCOL_VERSION or not isinstance(keys.root, list):
        raise errors.MalformedPickle(file, "its version or list of storages is not what torch writes; do not load it")
    described: dict[str, tuple[str, int]] = {}
    for reference in saved.references:
        match reference.id:
            case ("storage", Global() as kind, str(key), _, int(count), *_):
                described.setdefault(key, (kind.name, count))
    storages: dict[str, Storage] = {}
    with file.open() as reader:
        reader.seek(begin)
        for key in keys.root:
            if not isinstance(key, str) or key not in described or key in storages:
                raise errors.MalformedPickle(
                    file, f"lists a storage that its object does not have, or one twice: {key!r:.40}; do not load it"
                )
            kind_name, elements = described[key]
            where = f"{file}, byte {reader.tell():,}, storage {key[:40]!r}"
            count = int.from_bytes(reader.take(8), "little")
            if count != elements:
                raise errors.InvalidOffsets(
                    where, f"has {count:,} elements where the object says otherwise; fetch the file again"
                )
            size = count * _width(kind_name, where)
            storages[key] = Storage(f"{file.name}:{name}{key}", kind_name, file.stretch(reader.tell(), size))
            reader.skip(size)
        end = reader.tell()
    return _Saved(saved, imports, storages, end)


def _row(file: File) -> tuple[list[Pickle], int]:
    """The pickles that torch wrote, or the one that it did not, and where they end.

    They say nowhere how long they are. So a piece of the file is read, and a larger one where they do not end in it.
    """
    limit = min(file.size, MAX_HEADER)
    size = min(limit, _FIRST_PIECE)
    while True:
        with file.open() as reader:
            piece = io.BytesIO(reader.read(size))
        try:
            row = [pickles.read(piece, file)]
            if row[0].root == MAGIC_NUMBER:
                row += [pickles.read(piece, f"{file}, {part}") for part in ("version", "facts", "object", "keys")]
            return row, piece.tell()
        except errors.MalformedPickle:
            if piece.tell() < size or size == file.size:
                raise
        if size == limit:
            raise errors.HeaderTooLarge(
                file, f"its pickle has more than {MAX_HEADER:,} bytes; save it with torch.save, which keeps tensors out"
            )
        size = min(limit, 8 * size)


def _width(kind: str, where: str) -> int:
    """Bytes of an element of a storage."""
    if kind == "UntypedStorage":
        return 1
    if kind not in STORAGES:
        raise errors.UnknownDtype(where, f"is a {kind[:80]}, which weigh does not know; update weigh")
    return DTYPES[STORAGES[kind]].bits // 8


def _resolver(storages: dict[str, Storage]) -> Resolve:
    """Finds storages, and those that are views of a part of one, which torch wrote until 0.4."""

    def resolve(value: Any, where: str) -> Storage | None:
        match value:
            case Persistent(id=("storage", Global() as kind, str(key), _, int(), *view)):
                storage = storages.get(key)
                if storage is None:
                    raise errors.InvalidOffsets(where, f"its storage {key[:40]!r} is missing; fetch the file again")
                if kind.name != storage.kind:
                    raise errors.MalformedPickle(where, "its storage is of two classes; do not load this file")
                match view:
                    case [] | [None]:
                        return storage
                    case [(_, int(offset), int(count))] if 0 <= offset < 2**63 and 0 <= count < 2**63:
                        width = _width(kind.name, where)
                        if (offset + count) * width > storage.source.size:
                            raise errors.InvalidOffsets(where, "its view reaches out of its storage; fetch it again")
                        return replace(storage, begin=offset * width)
        return None

    return resolve


def _embedded(file: File, pickle: Pickle) -> tuple[dict[int, Storage], tuple[str, ...]]:
    """The storages in a bare pickle, by the identity of the bytes that hold each, and what loading those imports."""
    found: dict[int, Storage] = {}
    imports: list[str] = []
    for call in pickle.calls:
        data = _argument(call)
        if data is None or id(data) in found:
            continue
        name = str(len(found))
        where = f"{file}, embedded storage {name}"
        try:
            raw = data.encode("latin-1") if isinstance(data, str) else data
        except UnicodeEncodeError:
            raise errors.MalformedPickle(where, "is not bytes; do not load this file") from None
        inner = _open(File(file.path, data=raw), f"{name}/")
        storage = _resolver(inner.storages)(inner.pickle.root, where) if inner.storages is not None else None
        if storage is None:
            raise errors.MalformedPickle(where, "is not a storage as torch pickles it; do not load this file")
        found[id(data)] = storage
        imports += inner.imports
    return found, tuple(imports)


def _resolver_of_bare(embedded: dict[int, Storage]) -> Resolve:
    return lambda value, _: embedded.get(id(_argument(value)))


def _argument(value: Any) -> bytes | str | None:
    """The file in a call of `_load_from_bytes`: bytes, or the text that protocols before 3 write for them."""
    match value:
        case Call(function=Global() as function, args=(data,)) if str(function) == _EMBEDDED:
            match data:
                case Call(function=Global(module="_codecs", name="encode"), args=(str(text), *_)):
                    return text
                case bytes():
                    return data
    return None
