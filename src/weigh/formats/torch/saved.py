"""Read what `torch.save` writes: a zip archive of one pickle and, for each storage, one uncompressed record of bytes.

In the pickle a storage is a persistent id `("storage", class, record, device, elements)`; how a tensor is made of it is
in `rebuilding`. The layout is that of `torch/serialization.py` and of PyTorch's notes on serialization semantics.
"""

import re
from dataclasses import replace
from typing import Any

from weigh import errors
from weigh.formats import archives, pickles
from weigh.formats.archives import Record
from weigh.formats.opcodes import Global, Persistent
from weigh.formats.torch import allowed, rebuilding, subclasses
from weigh.formats.torch.rebuilding import Resolve, Storage
from weigh.sources import File, Source
from weigh.tensors import Contents


def read_inside(file: File, name: str, mark: str = "weights", state_dict: str = "") -> Contents:
    """Read a value that `torch.save` wrote into a stretch of another file, with its tensors' names below its own.

    That it holds no tensor is no reason to refuse it: what loading it would import is in the `imports`.

    Args:
        file: The stretch.
        name: What stands in front of the names in it.
        mark: Which of a checkpoint's components it belongs to, as `Parts.mark` says it.
        state_dict: The key of the state dict that it belongs to.
    """
    contents = read(file, records_of(file))

    def below(inner: str) -> str:
        return ".".join(filter(None, (name, inner)))

    return replace(
        contents,
        named=tuple(
            replace(
                tensor,
                name=below(tensor.name),
                storage=f"{tensor.storage}@{file.begin}",
                component=tensor.component if mark == "weights" else mark.replace("beside", "metadata"),
                state_dict=state_dict or below(tensor.state_dict),
            )
            for tensor in contents.named
        ),
        metadata={below(key): value for key, value in contents.metadata.items() if mark in ("weights", "beside")},
        storages={f"{key}@{file.begin}": storage for key, storage in contents.storages.items()},
    )


def read(file: File, records: dict[str, Record]) -> Contents:
    """Read the tensors of an archive by their paths in the value that was saved.

    Raises:
        MalformedArchive: If it has no pickle.
        WeighError: What the reader of the pickle raises: see `rebuilding.tensors`.
    """
    if "data.pkl" not in records:
        raise errors.MalformedArchive(file, "has no record data.pkl, which torch.save writes; write it again with it")
    pickle = pickles.read_file(records["data.pkl"].stored, f"{file}, data.pkl")
    prefix = f"{file.name}:"
    tensors, metadata = rebuilding.tensors(pickle.root, file, resolver(records, "data/", prefix), above_root(file))
    storages = storages_in(records, "data/", prefix)
    imports = allowed.split(file.name, rebuilding.refused(pickle.imports), pickle.calls)
    return Contents(
        path=str(file),
        format="pytorch",
        named=tensors,
        bytes_on_disk=file.size,
        bytes_in_storages=sum(record.size for record in storages.values()),
        metadata=metadata,
        imports=imports.refused,
        allowed=imports.allowed,
        notes=(
            *(() if tensors else (f"{file.name} holds no tensor",)),
            *((allowed.note(file.name, imports),) if imports.allowed else ()),
        ),
        storages=storages,
        groups=tuple(subclasses.groups(pickle.root, file, tensors)) if rebuilding.WRAPPER in pickle.imports else (),
    )


def records_of(file: File) -> dict[str, Record]:
    """The records by their names below the archive's own folder, which is the one of its first record.

    Raises:
        MalformedArchive: If the zip archive is damaged or is not what PyTorch writes.
        UnsupportedField: If it was written on a machine that puts the high byte first.
    """
    found = archives.records(file, "write it again with torch.save", compressed=True)
    if "serialized_exported_program.json" in found:
        raise errors.UnknownFormat(
            file, "is a program that torch before 2.8 exported; load it and save it again with torch.export.save"
        )
    root = next(iter(found), "").partition("/")[0] + "/"
    records = {name.removeprefix(root): record for name, record in found.items() if name.startswith(root)}
    data = {name: record for name, record in records.items() if not name.startswith("code/")}
    if any(record.packed is not None for record in data.values()):
        raise errors.MalformedArchive(file, "its records are compressed, which PyTorch never does; do not load it")
    if len({name.lower() for name in data}) < len(data):
        # PyTorch looks records up without regard to case, so it may find another one than is meant.
        raise errors.MalformedArchive(file, "two of its records differ by case alone; do not load it")
    if "byteorder" in records and records["byteorder"].first(8) != b"little":
        raise errors.UnsupportedField(
            file, "its byteorder is not little; load and save it with torch on a machine where it is"
        )
    return records


def resolver(records: dict[str, Record], folder: str, prefix: str) -> Resolve:
    """Finds storages among the records of a folder; `prefix` makes their names unique among all files."""
    names = {name: f"{prefix}{name.removeprefix(folder)}" for name in records if name.startswith(folder)}

    def resolve(value: Any, where: str) -> Storage | None:
        match value:
            case Persistent(id=("storage", Global() as kind, str(key), _, int())):
                name = f"{folder}{key}"
                if name not in names:
                    raise errors.InvalidOffsets(where, f"its storage {key[:40]!r} is missing; fetch the file again")
                return Storage(names[name], kind.name, records[name])
        return None

    return resolve


def storages_in(records: dict[str, Record], folder: str, prefix: str) -> dict[str, Source]:
    """The records of a folder under the names that `resolver` gives them."""
    return {
        f"{prefix}{name.removeprefix(folder)}": record for name, record in records.items() if name.startswith(folder)
    }


def above_root(file: File) -> tuple[str, ...]:
    """What stands above everything in a file: those of a Trainer's checkpoint directory say so by their names."""
    stem = file.path.stem
    return (stem,) if re.fullmatch(r"(optimizer|scheduler|rng_state|random_states?)([_.-]\d+)*", stem) else ()
