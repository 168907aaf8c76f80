"""What PyTorch's formats have in common: a pickle in which a tensor is a call, and its bytes lie somewhere else.

`torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …)` makes a tensor; where the storage is, each format
says in its own way. Both are read from the opcodes: nothing is imported or called, and torch need not be installed.
The calls are those of `torch/_tensor.py` and `torch/_utils.py`; what a safe loader imports is what
`torch/_weights_only_unpickler.py` lists.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from weigh import errors
from weigh.dtypes import DTYPES, STORAGES, bytes_of
from weigh.formats import pickles
from weigh.formats.opcodes import MAX_NAME, Call, Global, Persistent
from weigh.formats.torch.naming import by_name
from weigh.formats.torch.parts import Form, attribute_path, parts
from weigh.sources import MAX_HEADER, Source
from weigh.tensors import Tensor, is_shape

_STRIDED = {f"torch._utils.{name}" for name in (
    "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_qtensor",
)}  # fmt: skip
_QUANTIZED = ("quint4x2", "quint2x4")
_PARAMETERS = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
_FROM_TYPE = "torch._tensor._rebuild_from_type_v2"
WRAPPER = "torch._utils._rebuild_wrapper_subclass"
"""The function that makes a tensor of a class which is made of several, as those of quantizers and of DTensor are."""

_SPEC = "_spec"
LOCAL = "_local_tensor"
"""What a DTensor calls the part of it that one rank has; `_spec` says how it is cut."""

_MOST_WRAPPERS = 4

FORMATS = frozenset(name for name, dtype in DTYPES.items() if dtype.block == 1 and dtype.bits % 8 == 0)
"""The number formats of whole bytes. Torch keeps an int4 in a byte of its own, and computes with none."""

_PAIRS = {"float4_e2m1fn_x2": "float4_e2m1fn"}
"""Number formats of torch's of which an element is two numbers, and the format of each."""

TORCHSCRIPT_STORAGES = {
    "ComplexHalfStorage": "complex32", "UInt16Storage": "uint16", "UInt32Storage": "uint32", "UInt64Storage": "uint64",
    **{name.capitalize() + "Storage": name for name in DTYPES if name.startswith("float8_")},
}  # fmt: skip
"""The classes that only TorchScript knows, and the number formats that they stand for."""

_KINDS = {**STORAGES, **TORCHSCRIPT_STORAGES}

SAFE = {
    *(f"torch.{name}" for name in (*STORAGES, *FORMATS, *_PAIRS, *_QUANTIZED, "Size", "Tensor", "device")),
    *(f"torch.per_{name}" for name in (
        "tensor_affine", "tensor_symmetric", "channel_affine", "channel_symmetric", "channel_affine_float_qparams",
    )),
    *_STRIDED,
    *_PARAMETERS,
    _FROM_TYPE,
    "torch._utils._rebuild_meta_tensor_no_storage",
    "torch._utils._rebuild_nested_tensor",
    "torch._utils._rebuild_sparse_tensor",
    WRAPPER,
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    "torch.storage.TypedStorage",
    "torch.storage.UntypedStorage",
    "collections.Counter",
    "collections.OrderedDict",
    # Python 3 writes the modules' names of Python 2 up to the pickle protocol that torch.save uses.
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("bytearray", "complex", "set")),
    "_codecs.encode",
}  # fmt: skip
"""What `torch.load(weights_only=True)` lets a pickle import, as far as model files need it."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a tensor's storage is.

    Attributes:
        name: What `Contents.storages` calls it.
        kind: Its class, such as `FloatStorage`, which says the dtype of the tensors on it.
        source: Its bytes.
        begin: The byte of them that the tensors count from.
    """

    name: str
    kind: str
    source: Source
    begin: int = 0


Resolve = Callable[[Any, str], Storage | None]
"""Finds the storage that a value in a pickle stands for; the text is the place, for an error. `None`: it is none."""


def refused(imports: tuple[str, ...]) -> tuple[str, ...]:
    """The imports that a safe loader does not make."""
    return tuple(name for name in imports if name not in SAFE)


def naming(names: tuple[str, ...]) -> str:
    """Imports in an error, which is one line however many there are."""
    shown = ", ".join(name[:80] for name in names[:5])
    return f"{shown} and {len(names) - 5:,} more" if len(names) > 5 else shown


def is_tensor(value: Any) -> bool:
    """Whether a value is a call that makes a tensor of a storage."""
    return _strided(value) is not None


def _strided(value: Any) -> Call | None:
    """The call that makes a tensor, taken out of those that make it a parameter or give it a class or attributes."""
    for _ in range(_MOST_WRAPPERS):
        match value:
            case Call(function=Global() as function) if str(function) in _STRIDED:
                return value
            case Call(function=Global() as function, args=(inner, *_)) if str(function) in _PARAMETERS:
                value = inner
            case Call(function=Global() as function, args=(made_by, _, tuple() as args, *_)) if (
                str(function) == _FROM_TYPE
            ):
                value = Call(made_by, args)
            case _:
                break
    return None


def tensors(
    root: Any, where: object, resolve: Resolve, above: tuple[str, ...] = ()
) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
    """The tensors of a checkpoint by their dotted paths, and the small values beside them.

    Args:
        root: What the pickle would build.
        where: The file, for an error.
        resolve: Finds storages.
        above: What stands above the root, such as `optimizer` for the file of that name.

    Raises:
        MalformedPickle: If a tensor is not described as torch does.
        UnknownDtype: If its numbers are of a format that weigh does not know.
        InvalidOffsets: If it reaches out of its storage.
        HeaderTooLarge: If the names together are longer than any header.
    """
    found: list[Tensor] = []
    metadata: dict[str, Any] = {}
    letters = 0
    structure = parts(root, form_of)
    of_all = next((of for of in (by_name(key, is_tensor=False) for key in above) if of), "")
    for keys, leaf in pickles.leaves(root, is_tensor, where):
        is_value = _is_small(leaf) and _is_named(keys)
        if not is_value and not is_tensor(leaf):
            continue
        found_in = "metadata" if _is_of_mesh(keys) else of_all or structure.component(keys)
        is_value = is_value and found_in in ("weights", "ema", "metadata")
        if is_value and (of_all or structure.mark(keys) == "metadata"):
            continue
        if not is_value and not is_tensor(leaf):
            continue
        name = ".".join(attribute_path(keys))
        letters += len(name)
        if letters > MAX_HEADER:
            raise errors.HeaderTooLarge(where, f"its names take more than {MAX_HEADER:,} bytes; do not load this file")
        if is_value:
            metadata[name] = leaf
        else:
            one = tensor(f"{where}, tensor {name[:80]!r}", name, leaf, resolve, found_in)
            found.append(replace(one, state_dict=structure.state_dict(keys), buffer=keys in structure.buffers))
            for part, value in quantizer(leaf).items():
                if is_tensor(value):
                    beside = tensor(f"{where}, {part} of {name[:80]!r}", f"{name}.{part}", value, resolve, found_in)
                    found.append(replace(beside, state_dict=structure.state_dict(keys)))
                elif _is_small(value) and found_in == "weights":
                    metadata[f"{name}.{part}"] = value
    return tuple(found), metadata


def quantizer(value: Any) -> dict[str, Any]:
    """What stands beside the codes of a quantized tensor of torch's, under the names that torch's methods have for it.

    A scale and a zero point for all of it, or a tensor of each with one for every channel; nothing for other tensors.
    """
    call = _strided(value)
    match call.args if call and str(call.function) == "torch._utils._rebuild_qtensor" else None:
        case (_, _, _, _, (Global(), scale, zero_point), *_):
            return {"q_scale": scale, "q_zero_point": zero_point}
        case (_, _, _, _, (Global(), scales, zero_points, int()), *_):
            return {"q_per_channel_scales": scales, "q_per_channel_zero_points": zero_points}
    return {}


def form_of(value: Any) -> Form | None:
    """The form of a value if it is a call that makes a tensor, or one of a class that is made of several."""
    match value:
        case Call(args=(Global() as function, _, (Global(), dtype, size, *_), *_)) if str(function) == WRAPPER:
            return Form(sizes(size) or (), dtype.name if isinstance(dtype, Global) else "")
    call = _strided(value)
    match call.args if call else None:
        case None:
            return None
        case (reference, _, size, *rest):
            return Form(sizes(size) or (), _dtype(reference, rest))
    return Form(())


def _dtype(reference: Any, rest: list[Any]) -> str:
    match reference:
        case Persistent(id=("storage", Global() as kind, *_)) if kind.name in _KINDS:
            return _KINDS[kind.name]
    return rest[3].name if len(rest) > 3 and isinstance(rest[3], Global) else ""  # of _v3, as in `tensor`


def tensor(where: str, name: str, value: Any, resolve: Resolve, component: str) -> Tensor:
    """Read one tensor: the arguments of the call that would make it. Raises what `tensors` does."""
    bad = errors.MalformedPickle(where, "is not described as torch does; do not load this file")
    call = _strided(value)
    match call.args if call else None:
        case (reference, int(offset), size, stride, *rest) if 0 <= offset < 2**63:
            storage = resolve(reference, where)
        case _:
            raise bad
    shape, strides = sizes(size), sizes(stride)
    if storage is None or shape is None or strides is None or len(shape) != len(strides):
        raise bad
    dtype = _KINDS.get(storage.kind)
    if dtype is None and len(rest) > 2 and isinstance(rest[2], Global):  # _v3: an untyped storage and a dtype
        dtype = rest[2].name if rest[2].name in FORMATS | _PAIRS.keys() else None
    if dtype is None:
        raise errors.UnknownDtype(where, f"its storage is a {storage.kind[:80]}, unknown to weigh; update it")
    return strided(where, name, (shape, strides, offset), dtype, storage, component)


def strided(
    where: str,
    name: str,
    layout: tuple[tuple[int, ...], tuple[int, ...], int],
    dtype: str,
    storage: Storage,
    component: str,
) -> Tensor:
    """The tensor of a shape, strides and an offset in elements of its storage.

    Raises:
        InvalidOffsets: If it reaches out of its storage.
    """
    shape, strides, offset = layout
    extent = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if 0 not in shape else 0
    if dtype in _PAIRS:
        dtype, extent, offset = _PAIRS[dtype], 2 * extent, 2 * offset
        shape, strides = _of_pairs(shape, strides)
    begin = storage.begin + bytes_of(offset, DTYPES[dtype])
    end = begin + bytes_of(extent, DTYPES[dtype])
    if max(begin, end) > storage.source.size:
        raise errors.InvalidOffsets(
            where, f"needs {end:,} bytes of its storage of {storage.source.size:,}; fetch the file again"
        )
    narrow = DTYPES[dtype].bits < 8
    return Tensor(
        name, shape, dtype, storage.name, begin, end, component, None if narrow and extent == prod(shape) else strides
    )


def _of_pairs(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape and strides of the numbers, where an element is two of them: a row is twice as long, as in safetensors.

    Where the elements of a row are not neighbours, as in a view, the pair is a dimension of its own.
    """
    outer = tuple(2 * step for step in strides)
    if shape and strides[-1] == 1:
        return (*shape[:-1], 2 * shape[-1]), (*outer[:-1], 1)
    return (*shape, 2), (*outer, 1)


def sizes(value: Any) -> tuple[int, ...] | None:
    """A shape or strides: a tuple, or a call of `torch.Size` with one."""
    if isinstance(value, Call) and str(value.function) == "torch.Size" and isinstance(value.args, tuple) and value.args:
        value = value.args[0]
    return tuple(value) if is_shape(value) else None


def _is_of_mesh(keys: pickles.Keys) -> bool:
    """Whether a path leads into what a DTensor says of its devices."""
    return _SPEC in keys and "<args>" in keys[: keys.index(_SPEC)]


def _is_named(keys: pickles.Keys) -> bool:
    return all(isinstance(key, str) and not key.startswith("<") for key in keys)


def _is_small(leaf: Any) -> bool:
    if isinstance(leaf, int):
        return abs(leaf) < 2**63
    return isinstance(leaf, float) or (isinstance(leaf, str) and len(leaf) <= MAX_NAME)
