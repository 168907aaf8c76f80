"""Tensor subclasses in a pickle: what a quantizer such as torchao's saves as one tensor that is made of several.

Such a tensor is a call that names its class, the shape and dtype that it pretends to have, and the tensors inside it.
"""

from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

from weigh.dtypes import DTYPES
from weigh.formats import pickles
from weigh.formats.opcodes import Call, Global
from weigh.formats.torch.rebuilding import WRAPPER, sizes
from weigh.groups import Group
from weigh.tensors import Tensor

_KINDS = {"scale": "scales", "zero": "zero points", "shift": "zero points", "map": "codebooks", "code": "codebooks"}


def groups(root: Any, where: object, tensors: Iterable[Tensor]) -> Iterator[Group]:
    """The subclasses that hold codes, each with the shape that it pretends to have.

    Args:
        root: What the pickle would build.
        where: The file, for an error.
        tensors: Those that were found in it.

    Raises:
        MalformedPickle: What `pickles.leaves` raises.
    """
    found = {
        ".".join(map(str, keys)): pretended
        for keys, leaf in pickles.leaves(root, lambda value: described(value) is not None, where)
        if (pretended := described(leaf)) is not None
    }
    inner: dict[str, list[Tensor]] = {name: [] for name in found}
    for tensor in tensors:
        whole = tensor.name.partition(".<args>.")[0]
        if whole in inner and tensor.component == "weights":
            inner[whole].append(tensor)
    for name, parts in inner.items():
        codes = [part for part in parts if _kind(part) == "data"]
        if codes:
            side: dict[str, tuple[str, ...]] = {}
            for part in parts:
                if part not in codes:
                    side[_kind(part)] = (*side.get(_kind(part), ()), part.name)
            kind, _, shape = found[name]
            if prod(shape) > 8 * sum(code.nbytes for code in codes):
                continue  # no class packs so much into so little
            yield Group(name, kind.partition(".")[0][:40], shape, None, tuple(part.name for part in codes), side)


def described(value: Any) -> tuple[str, str, tuple[int, ...]] | None:
    """The class of a subclass, and the number format and the shape that it pretends to have; nothing if it is none."""
    match value:
        case Call(args=(Global() as function, _, (Global() as kind, dtype, size, *_), *_)) if str(function) == WRAPPER:
            shape = sizes(size)
            return None if shape is None else (str(kind), dtype.name if isinstance(dtype, Global) else "", shape)
    return None


def _kind(part: Tensor) -> str:
    """What a tensor inside a subclass holds, by its own name and dtype."""
    own = part.name.rpartition(".")[2]
    for word, kind in _KINDS.items():
        if word in own and own != "codes":
            return kind
    dtype = DTYPES[part.dtype]
    return "data" if dtype.bits < 16 or dtype.kind == "int" else "settings"
