"""Read what `torch.distributed.checkpoint.save` writes: a directory of one pickle, `.metadata`, and files of chunks.

The pickle says for each name its dtype, its global size and the boxes that it was cut into, and for each box the file,
the offset and the length at which a small archive of `torch.save` holds it. What is no tensor is such an archive too.
The classes are those of `torch/distributed/checkpoint/metadata.py` and `filesystem.py`. They are not imported: torch's
own reader unpickles `.metadata` and every archive of what is no tensor with no restriction.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

from weigh import errors
from weigh.dtypes import DTYPES
from weigh.formats import pickles
from weigh.formats.opcodes import MAX_NAME, Call, Global, Mapping
from weigh.formats.pickles import MAX_DEPTH, Keys
from weigh.formats.torch import rebuilding, saved
from weigh.formats.torch.chunks import Archived, Assembled, Box, check_cover
from weigh.formats.torch.naming import by_name
from weigh.formats.torch.parts import Form, Parts, parts
from weigh.sources import File, Source
from weigh.tensors import Contents, Tensor

METADATA = ".metadata"
_BYTES = "BytesStorageMetadata"

_SAFE = {
    *(f"torch.distributed.checkpoint.metadata.{name}" for name in (
        "Metadata", "MetadataIndex", "TensorStorageMetadata", "BytesStorageMetadata", "ChunkStorageMetadata",
        "TensorProperties", "StorageMeta", "_MEM_FORMAT_ENCODING",
    )),
    "torch.distributed.checkpoint.filesystem._StorageInfo",
    *(f"torch.distributed._shard.sharded_tensor.metadata.{name}" for name in (
        "TensorProperties", "MEM_FORMAT_ENCODING",
    )),
    *(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")),
}  # fmt: skip


def read(file: File) -> Contents:
    """Read what a checkpoint directory holds, and check that its files have every chunk of every tensor.

    The cost is that of `.metadata` and of the archives of what is no tensor, whatever the size of the chunks.

    Args:
        file: The `.metadata` of the directory.

    Raises:
        MalformedPickle: If `.metadata` or an archive is malformed, or is not what torch writes.
        HeaderTooLarge: If `.metadata` is longer than any header.
        NotFound: If it names a file that is not there.
        OutsideDirectory: If it names one outside the directory.
        TruncatedFile: If a chunk reaches past the end of its file.
        InvalidOffsets: If two chunks overlap in their file or in their tensor, if they leave a gap in it, or if one has
            fewer bytes than its sizes say.
        UnknownDtype: If the numbers of a tensor are of a format that weigh does not know.
        UnsupportedField: If the chunks were compressed or otherwise transformed.
    """
    directory = file.path.parent
    pickle = pickles.read_file(file, file)
    root = _fields(file, pickle.root, "Metadata")
    places = _places(file, root.get("storage_data"))
    imports = [name for name in rebuilding.refused(pickle.imports) if name not in _SAFE]
    found: list[Tensor] = []
    metadata: dict[str, Any] = {}
    storages: dict[str, Source] = {}
    used: set[str] = set()
    layouts = _layouts(file, _unique(file, root.get("state_dict_metadata")))
    paths, structure = _structure(layouts, root.get("planner_data"))
    for name, layout in layouts.items():
        where = f"{file}, {name[:80]!r}"
        mark, state_dict = structure.mark(paths[name]), structure.state_dict(paths[name])
        if layout is None:
            stretch = _place(where, places, (name, None))
            inner = saved.read_inside(stretch, name, mark, state_dict)
            found += inner.named
            imports += inner.imports
            metadata |= inner.metadata
            storages |= inner.storages
            used.add(stretch.name)
            continue
        stretches = [(box, _place(where, places, (name, box[0]))) for box in layout.boxes]
        width = DTYPES[layout.dtype].bits // 8
        for (offsets, sizes), stretch in stretches:
            if prod(sizes) * width > stretch.size:
                raise errors.InvalidOffsets(
                    where,
                    f"its chunk at {list(offsets)} does not fit into {stretch.size:,} bytes; fetch {stretch} again",
                )
        nbytes = prod(layout.shape) * width
        storage = f"{METADATA}:{name}"
        component = structure.component(paths[name])
        found.append(Tensor(name, layout.shape, layout.dtype, storage, 0, nbytes, component, state_dict=state_dict))
        chunks = tuple((box, Archived(stretch, name, layout.dtype, box[1])) for box, stretch in stretches)
        storages[found[-1].storage] = Assembled(layout.shape, layout.dtype, chunks)
        used.update(stretch.name for _, stretch in stretches)
    return Contents(
        path=str(directory),
        format="torch.distributed.checkpoint",
        named=tuple(found),
        bytes_on_disk=file.size + sum(File(directory / name).size for name in used),
        bytes_in_storages=sum(storage.size for storage in storages.values()),
        metadata=metadata,
        imports=tuple(dict.fromkeys(imports)),
        notes=_notes(used),
        storages=storages,
        files=(file.name, *sorted(used)),
    )


def entries(file: File) -> Iterator[tuple[Keys, Tensor | File]]:
    """What was saved, by the path to it: a tensor, or the archive of what is none.

    Args:
        file: The `.metadata` of the directory, which `read` has read.

    Raises:
        WeighError: What `read` raises.
    """
    pickle = pickles.read_file(file, file)
    root = _fields(file, pickle.root, "Metadata")
    places = _places(file, root.get("storage_data"))
    layouts = _layouts(file, _unique(file, root.get("state_dict_metadata")))
    paths, _ = _structure(layouts, root.get("planner_data"))
    for name, layout in layouts.items():
        if layout is None:
            yield paths[name], _place(f"{file}, {name[:80]!r}", places, (name, None))
        else:
            size = prod(layout.shape) * DTYPES[layout.dtype].bits // 8
            yield paths[name], Tensor(name, layout.shape, layout.dtype, f"{METADATA}:{name}", 0, int(size))


@dataclass(frozen=True, slots=True)
class _Layout:
    """A tensor as `.metadata` describes it: `boxes` are those of its chunks that have elements."""

    dtype: str
    shape: tuple[int, ...]
    boxes: tuple[Box, ...]


def _bad(where: object) -> errors.MalformedPickle:
    return errors.MalformedPickle(where, "is not what torch.distributed.checkpoint writes; do not load it")


def _fields(where: object, value: Any, name: str) -> dict[str, Any]:
    """The fields of an instance of a class."""
    match value:
        case Call(function=Global(name=found), state=Mapping() as state) if found == name:
            return _unique(where, state)
    raise _bad(where)


def _unique(where: object, value: Any) -> dict[str, Any]:
    """A dictionary whose keys are texts."""
    if not isinstance(value, Mapping | Call):
        raise _bad(where)
    entries = {key: child for key, child in value.pairs if isinstance(key, str) and len(key) <= MAX_NAME}
    if len(entries) < len(value.pairs):
        raise errors.MalformedPickle(where, "has a key twice, or one that is no name; do not load it")
    return entries


Places = dict[tuple[str, tuple[int, ...] | None], File]


def _places(file: File, value: Any) -> Places:
    """The stretch of a file for each name and, where it names a chunk of a tensor, its offsets.

    Raises what `read` does of files.
    """
    if not isinstance(value, Mapping):
        raise _bad(file)
    files: dict[str, File] = {}
    places: Places = {}
    for key, info in value.pairs:
        index, entry = _fields(file, key, "MetadataIndex"), _fields(file, info, "_StorageInfo")
        name, offset = index.get("fqn"), index.get("offset")
        offsets = None if offset is None else rebuilding.sizes(offset)
        path, extent = entry.get("relative_path"), rebuilding.sizes([entry.get("offset"), entry.get("length")])
        if not isinstance(name, str) or not isinstance(path, str) or extent is None or (name, offsets) in places:
            raise _bad(file)
        where = f"{file}, {name[:80]!r}"
        if offset is not None and offsets is None:
            raise _bad(where)
        if entry.get("transform_descriptors"):
            raise errors.UnsupportedField(where, "its chunks are transformed, as by compression; save them as they are")
        begin, length = extent
        if path not in files:
            files[path] = file.beside(path)
        if begin + length > files[path].size:
            raise errors.TruncatedFile(
                where, f"needs {begin + length:,} bytes of {path[:80]!r}, which has {files[path].size:,}; fetch it"
            )
        places[name, offsets] = files[path].stretch(begin, length)
    extents = defaultdict(list)
    for stretch in places.values():
        extents[stretch.name].append((stretch.begin, stretch.begin + stretch.size))
    for path, pairs in extents.items():
        if any(end > begin for (_, end), (begin, _) in pairwise(sorted(pairs))):
            raise errors.InvalidOffsets(file, f"names two chunks of {path[:80]!r} that overlap; do not load it")
    return places


def _place(where: str, places: Places, key: tuple[str, tuple[int, ...] | None]) -> File:
    if key not in places:
        chunk = "" if key[1] is None else f" of the chunk at {list(key[1])}"
        raise errors.InvalidOffsets(where, f"has no entry in storage_data{chunk}; fetch {METADATA} again")
    return places[key]


def _layouts(file: File, entries: dict[str, Any]) -> dict[str, _Layout | None]:
    """The layout of each tensor; `None` for what is no tensor."""
    read: dict[int, _Layout] = {}
    found: dict[str, _Layout | None] = {}
    for name, value in entries.items():
        if isinstance(value, Call) and isinstance(value.function, Global) and value.function.name == _BYTES:
            found[name] = None
            continue
        if id(value) not in read:
            read[id(value)] = _layout(f"{file}, {name[:80]!r}", value)
        found[name] = read[id(value)]
    return found


def _structure(layouts: dict[str, _Layout | None], planned: Any) -> tuple[dict[str, Keys], Parts]:
    """The path of each name in the value that was saved, which the planner noted, and what the parts of that are.

    Where it noted none, the value was one dictionary of these names.
    """
    pairs = planned.pairs if isinstance(planned, Mapping) else []
    noted = {name: path for name, path in pairs if isinstance(name, str) and isinstance(path, tuple)}
    paths: dict[str, Keys] = {}
    tree: dict[Any, Any] = {}
    for name, layout in layouts.items():
        path = noted.get(name, ())
        if (
            len(path) > MAX_DEPTH
            or not all(type(key) in (str, int) for key in path)
            or name != ".".join(map(str, path))
        ):
            path = (name,)
        paths[name], at = path, tree
        for key in path[:-1]:
            at = at.setdefault(key, {}) if isinstance(at, dict) else {}
        if isinstance(at, dict):
            at.setdefault(path[-1], layout)
    structure = parts(_as_mapping(tree), _form)
    for name, path in paths.items():
        if len(path) == 1 and (said := by_name(name.partition(".")[0], is_tensor="." not in name)):
            structure.marks.setdefault(path, said)
    return paths, structure


def _form(value: Any) -> Form | None:
    return Form(value.shape, value.dtype) if isinstance(value, _Layout) else None


def _as_mapping(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    return Mapping([(key, _as_mapping(child)) for key, child in tree.items()])


def _layout(where: str, value: Any) -> _Layout:
    fields = _fields(where, value, "TensorStorageMetadata")
    shape, chunks = rebuilding.sizes(fields.get("size")), fields.get("chunks")
    match fields.get("properties"):
        case Call(state=(Global(module="torch", name=dtype), *_)) if dtype in rebuilding.FORMATS:
            pass
        case Call(state=(Global() as unknown, *_)):
            raise errors.UnknownDtype(where, f"its dtype is {unknown}, which weigh does not know; update weigh")
        case _:
            raise _bad(where)
    if shape is None or not isinstance(chunks, list):
        raise _bad(where)
    boxes = []
    for chunk in chunks:
        box = _fields(where, chunk, "ChunkStorageMetadata")
        offsets, sizes = rebuilding.sizes(box.get("offsets")), rebuilding.sizes(box.get("sizes"))
        if offsets is None or sizes is None or not len(shape) == len(offsets) == len(sizes):
            raise _bad(where)
        if 0 not in sizes:
            boxes.append((offsets, sizes))
    check_cover(where, shape, boxes)
    return _Layout(dtype, shape, tuple(boxes))


def _notes(files: set[str]) -> tuple[str, ...]:
    ranks = {match[1] for name in files if (match := re.fullmatch(r"__(\d+)_\d+\.distcp", name))}
    written = f"{len(files):,} file{'s' * (len(files) > 1)}"
    return (f"{len(ranks):,} rank{'s' * (len(ranks) > 1)} wrote {written}",) if ranks else ()
