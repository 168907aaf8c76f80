"""Read a `.pt2` archive: what `torch.export.save` writes.

For each model in it, `data/weights/MODEL_weights_config.json` gives the name, dtype, sizes and strides of each tensor
of the state dict and the record beside it that holds its storage, and `data/constants/MODEL_constants_config.json` does
so for the tensors of the graph. A tensor of a class of its own, or another object, is saved by `torch.save`.
The layout is the one of `torch/export/pt2_archive/_package.py`, the codes those of `torch/_export/serde/schema.py`.
"""

import json
from dataclasses import replace
from typing import Any

from weigh import errors
from weigh.formats.archives import Record
from weigh.formats.opcodes import MAX_NAME
from weigh.formats.torch import rebuilding, saved
from weigh.formats.torch.rebuilding import Storage
from weigh.sources import File, Source
from weigh.tensors import Contents, Tensor

_DTYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu",
    34: "uint32", 35: "uint64",
}  # fmt: skip
_LISTS = {"data/weights/": "_weights_config.json", "data/constants/": "_constants_config.json"}


def read(file: File, records: dict[str, Record]) -> Contents:
    """Read the tensors of the exported programs, those of the state dict first.

    Args:
        file: The archive.
        records: Its records.

    Raises:
        MalformedHeader: If a list of tensors is not the JSON that torch writes.
        WeighError: What the reader of a tensor raises: see `rebuilding.tensors`.
    """
    found = _Found(file, records)
    lists = {
        name: folder
        for folder, end in _LISTS.items()
        for name in records
        if name.startswith(folder) and name.endswith(end)
    }
    several = sum(folder == "data/weights/" for folder in lists.values()) > 1
    for name, folder in lists.items():
        model = name.removeprefix(folder).removesuffix(_LISTS[folder])
        if len(model) > MAX_NAME:
            raise errors.MalformedHeader(file, f"names a model with {len(model):,} characters; do not load it")
        for key, entry in _entries(file, name, records[name]).items():
            found.add(folder, name, f"{model}.{key}" if several else key, entry)
    return found.contents()


class _Found:
    """What the entries of an archive's lists come to, one after the other."""

    def __init__(self, file: File, records: dict[str, Record]) -> None:
        self.file, self.records = file, records
        self.tensors: list[Tensor] = []
        self.imports: list[str] = []
        self.storages: dict[str, Source] = {}

    def add(self, folder: str, list_name: str, name: str, entry: Any) -> None:
        """Read an entry: a tensor on a storage of its own, or a value that torch.save wrote."""
        where = f"{self.file}, {list_name}, {name[:80]!r}"
        path = entry.get("path_name") if isinstance(entry, dict) else None
        record = self.records.get(f"{folder}{path}") if isinstance(path, str) else None
        if record is None:
            raise errors.MalformedHeader(where, "names no record of the archive; export the program again")
        buffer = entry.get("is_param") is False  # a constant of the graph is none either
        if entry.get("use_pickle"):
            inner = saved.read_inside(record.stored, name)
            self.tensors += [replace(tensor, buffer=buffer) for tensor in inner.named]
            self.imports += inner.imports
            self.storages |= inner.storages
        else:
            storage = Storage(f"{self.file.name}:{folder}{path}", "", record)
            self.storages[storage.name] = record
            self.tensors.append(replace(_tensor(where, name, entry.get("tensor_meta"), storage), buffer=buffer))

    def contents(self) -> Contents:
        """The tensors so far, as contents of the file."""
        graphs = tuple(name for name in self.records if name.startswith("models/"))
        notes = [f"{self.file.name} is a program: torch.export.load rebuilds it from {rebuilding.naming(graphs)}"]
        if any(name.startswith("data/aotinductor/") for name in self.records):
            notes.append(f"{self.file.name} holds machine code, which torch runs when it loads it")
        return Contents(
            path=str(self.file),
            format="torch.export",
            named=tuple(self.tensors),
            bytes_on_disk=self.file.size,
            bytes_in_storages=sum(storage.size for storage in self.storages.values()),
            imports=tuple(dict.fromkeys(self.imports)),
            notes=tuple(notes),
            storages=self.storages,
        )


def _entries(file: File, name: str, record: Record) -> dict[str, Any]:
    with record.stored.open() as reader:
        raw = reader.read()
    try:
        entries = json.loads(raw.decode("utf-8"))["config"]
    except (ValueError, KeyError, TypeError, RecursionError):
        entries = None
    if not isinstance(entries, dict):
        raise errors.MalformedHeader(f"{file}, {name}", "is no list of tensors in JSON; export the program again")
    return entries


def _tensor(where: str, name: str, meta: Any, storage: Storage) -> Tensor:
    bad = errors.MalformedHeader(where, "is not described as torch.export does; export the program again")
    try:
        dtype = _DTYPES.get(meta["dtype"])
        shape, strides = (rebuilding.sizes([size["as_int"] for size in meta[key]]) for key in ("sizes", "strides"))
        (offset,) = rebuilding.sizes([meta["storage_offset"]["as_int"]]) or ()
    except (KeyError, TypeError, ValueError):
        raise bad from None
    if dtype is None:
        raise errors.UnknownDtype(where, f"its dtype is code {meta['dtype']!r:.20} of torch; update weigh")
    if shape is None or strides is None or len(shape) != len(strides):
        raise bad
    return rebuilding.strided(where, name, (shape, strides, offset), dtype, storage, "weights")
