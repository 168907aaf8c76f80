"""Read what `torch.save` writes: a zip archive of one pickle and, for each storage, one uncompressed record of bytes.

The pickle holds the structure; tensors are calls such as `torch._utils._rebuild_tensor_v2(storage, offset, size,
stride, …)`, and a storage is a persistent id `("storage", class, record, device, elements)`. Both are read from the
opcodes: nothing is imported and nothing is called, and torch need not be installed. The layout is the one of
`torch/serialization.py` and of the notes on serialization semantics in PyTorch's documentation.
"""

import re
from typing import Any, TypeGuard

from weigh import errors
from weigh.dtypes import DTYPES, STORAGES
from weigh.files import File
from weigh.formats import archives, pickles
from weigh.formats.archives import Record
from weigh.formats.pickles import Call, Global, Persistent
from weigh.tensors import Contents, Tensor, is_shape

_STRIDED = {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor"}
_PARAMETERS = {"_rebuild_parameter", "_rebuild_parameter_with_state"}

# What `torch.load(weights_only=True)` lets a pickle import, as far as model files need it.
_SAFE = {
    *(f"torch.{name}" for name in (*STORAGES, *DTYPES, "Size", "Tensor", "device")),
    *(f"torch._utils.{name}" for name in (*_STRIDED, *_PARAMETERS)),
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_wrapper_subclass",
    "torch._tensor._rebuild_from_type_v2",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    "torch.storage.TypedStorage",
    "torch.storage.UntypedStorage",
    "collections.Counter",
    "collections.OrderedDict",
    "builtins.bytearray",
    "builtins.complex",
    "builtins.set",
    "_codecs.encode",
}


def read(file: File) -> Contents:
    """Read the structure of a PyTorch archive. The cost is that of its pickle, whatever the size of the storages.

    Raises:
        MalformedArchive: If the zip archive is damaged or is not what `torch.save` writes.
        MalformedPickle: If its pickle is.
        InvalidOffsets: If a tensor reaches out of its storage.
    """
    records, pickle = _open(file)
    root, imports = pickles.read(pickle, f"{file}, data.pkl")
    refused = tuple(dict.fromkeys(name for name in map(str, imports) if name not in _SAFE))
    tensors: list[Tensor] = []
    metadata: dict[str, Any] = {}
    # The files of a Trainer's checkpoint directory say by their names what they hold.
    above = (stem,) if re.fullmatch(r"(optimizer|scheduler|rng_state)([_.-]\d+)*", stem := file.path.stem) else ()
    for keys, leaf in pickles.leaves(root, _is_tensor, file):
        name, component = ".".join(map(str, keys)), _component((*above, *keys))
        if _is_tensor(leaf):
            tensors.append(_tensor(f"{file}, tensor {name[:80]!r}", name, leaf, records, file.name, component))
        elif isinstance(leaf, bool | int | float | str) and component == "weights" and _is_named(keys):
            metadata[name] = leaf
    if not tensors:
        warning = f", and loading it would call {', '.join(refused)}" if refused else ""
        raise errors.MalformedArchive(file, f"holds no tensor{warning}; do not load it")
    return Contents(
        path=str(file),
        format="pytorch",
        named=tuple(tensors),
        bytes_on_disk=file.size,
        bytes_in_storages=sum(record.size for record in records.values()),
        metadata=metadata,
        imports=refused,
        storages={f"{file.name}:{name}": record for name, record in records.items()},
    )


def _open(file: File) -> tuple[dict[str, Record], bytes]:
    """The storage records by name, and the pickle."""
    records = archives.records(file, "write it again with torch.save")
    roots = [name.removesuffix("data.pkl") for name in records if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise errors.MalformedArchive(
            file,
            f"has {len(roots)} records named data.pkl, where torch.save writes one; write it again with torch.save",
        )
    folder = f"{roots[0]}data/"
    storages = {name.removeprefix(folder): record for name, record in records.items() if name.startswith(folder)}
    with records[f"{roots[0]}data.pkl"].open() as reader:
        return storages, reader.read()


def _is_tensor(value: Any) -> TypeGuard[Call]:
    return (
        isinstance(value, Call)
        and isinstance(value.function, Global)
        and value.function.module == "torch._utils"
        and value.function.name in _STRIDED | _PARAMETERS
    )


def _tensor(where: str, name: str, call: Call, records: dict[str, Record], file: str, component: str) -> Tensor:
    bad = errors.MalformedPickle(where, "is not described as torch.save does; do not load this file")
    while _is_tensor(call) and call.function.name in _PARAMETERS:
        if not isinstance(call.args, tuple) or not call.args or not isinstance(call.args[0], Call):
            raise bad
        call = call.args[0]
    match call.args:
        case (Persistent(id=("storage", Global() as kind, str(record), _, int())), int(offset), size, stride, *rest):
            pass
        case _:
            raise bad
    dtype = STORAGES.get(kind.name)
    if dtype is None and len(rest) > 2 and isinstance(rest[2], Global):  # _v3: an untyped storage and a dtype
        dtype = rest[2].name if rest[2].name in DTYPES else None
    if dtype is None:
        raise errors.UnknownDtype(where, f"its storage is a {kind}, which weigh does not know; update weigh")
    shape, strides = _sizes(size), _sizes(stride)
    if shape is None or strides is None or len(shape) != len(strides) or offset < 0:
        raise bad
    width = DTYPES[dtype].bits // 8
    extent = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if 0 not in shape else 0
    begin, end = offset * width, (offset + extent) * width
    size = records[record].size if record in records else 0
    if record not in records or end > size:
        raise errors.InvalidOffsets(
            where, f"needs {end:,} bytes of record {record!r:.40} of {size:,}; fetch the file again"
        )
    return Tensor(name, shape, dtype, f"{file}:{record}", begin, end, component, strides)


def _sizes(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, Call) and str(value.function) == "torch.Size" and isinstance(value.args, tuple) and value.args:
        value = value.args[0]
    return tuple(value) if is_shape(value) else None


def _is_named(keys: tuple[str | int, ...]) -> bool:
    return all(isinstance(key, str) and not key.startswith("<") for key in keys)


def _component(keys: tuple[str | int, ...]) -> str:
    """Which of a checkpoint's four components a key belongs to, by the names that training loops use.

    `optimizer`, `optimizer_state_dict` and `optimizer_states` hold more below them; `rng_state` and the like may be a
    tensor themselves. A plain state dict, in which a key names a tensor directly, is all weights.
    """
    top = str(keys[0]).lower() if keys else ""
    if "optim" in top and len(keys) > 1:
        return "optimizer"
    if re.search(r"(^|_)rngs?(_|$)|random_state", top):
        return "rng"
    if "scheduler" in top and len(keys) > 1:
        return "metadata"
    return "weights"
