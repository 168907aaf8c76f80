"""A tensor that has a shape and no elements, with the few operations by which constructors make parameters."""

from collections.abc import Iterator
from math import prod
from types import SimpleNamespace
from typing import Any

from weigh.errors import InvalidConfig
from weigh.models.constructors.unknown import Unknown

Shape = tuple[int, ...]

MOST = 2**63
"""More elements than torch can number."""


def sizes_of(given: Any) -> Shape:
    """A shape, from sizes one by one or from a sequence of them.

    Raises:
        InvalidConfig: If they are not whole numbers from 0.
    """
    found = tuple(given[0]) if len(given) == 1 and isinstance(given[0], list | tuple) else tuple(given)
    for size in found:
        if type(size) is int and 0 <= size < MOST:
            continue
        if isinstance(size, Unknown):
            size._refuse()
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < MOST:
            raise InvalidConfig("the model's constructor", f"asks for a size of {size!r:.40}")
    return found


META = SimpleNamespace(type="meta", index=None)
"""The device of all tensors: the one that has no memory."""


class Tensor:
    """A shape in place of a tensor. What it does not do is unknown."""

    def __init__(self, *given: Any) -> None:
        self.shape = sizes_of(given)

    def numel(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    def size(self, dim: int | None = None) -> Any:
        """The sizes, or one of them."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def data(self) -> "Tensor":
        """Itself: there is no gradient to leave out."""
        return self

    @data.setter
    def data(self, value: "Tensor") -> None:
        if isinstance(value, Tensor):
            self.shape = value.shape

    def _same(self, *others: Any, **named: Any) -> "Tensor":
        for other in others:
            if isinstance(other, Tensor) and other.numel() != 1 and other.shape != self.shape:
                return broadcast(self, other)
        return Tensor(*self.shape)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "device":
            return META
        return self._same if name in SAME else Unknown(f"a tensor's {name}")

    __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = __truediv__ = __rtruediv__ = _same
    __pow__ = __rpow__ = __neg__ = __floordiv__ = __mod__ = _same

    def view(self, *given: Any) -> Any:
        """The same elements in another shape; one size may be -1."""
        sizes = list(given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given)
        if not all(isinstance(size, int) for size in sizes):
            return Unknown("a view's shape")
        if -1 in sizes:
            rest = prod(size for size in sizes if size != -1)
            sizes[sizes.index(-1)] = self.numel() // rest if rest else 0
        return Tensor(*sizes)

    reshape = view

    def expand(self, *given: Any) -> "Tensor":
        """Repeated along dimensions of 1, and new ones before."""
        sizes = list(given[0] if len(given) == 1 and isinstance(given[0], list | tuple) else given)
        own = [1] * (len(sizes) - len(self.shape)) + list(self.shape)
        return Tensor(*[old if new == -1 else new for new, old in zip(sizes, own, strict=True)])

    def repeat(self, *given: Any) -> "Tensor":
        """Repeated along each dimension."""
        times = list(sizes_of(given))
        own = [1] * (len(times) - len(self.shape)) + list(self.shape)
        return Tensor(*[count * size for count, size in zip(times, own, strict=True)])

    def unsqueeze(self, dim: int) -> "Tensor":
        """With one dimension of 1 more."""
        sizes = list(self.shape)
        sizes.insert(dim if dim >= 0 else len(sizes) + 1 + dim, 1)
        return Tensor(*sizes)

    def squeeze(self, dim: int | None = None) -> "Tensor":
        """Without dimensions of 1."""
        return Tensor(*[s for i, s in enumerate(self.shape)
                        if s != 1 or (dim is not None and i != dim % len(self.shape))])  # fmt: skip

    def transpose(self, one: int, other: int) -> "Tensor":
        """With two dimensions exchanged."""
        sizes = list(self.shape)
        sizes[one], sizes[other] = sizes[other], sizes[one]
        return Tensor(*sizes)

    def permute(self, *order: Any) -> "Tensor":
        """With its dimensions in another order."""
        return Tensor(*[self.shape[i] for i in sizes_of(order)])

    def t(self) -> "Tensor":
        """Transposed."""
        return Tensor(*self.shape[::-1])

    T = property(t)

    def flatten(self, *dims: int) -> Any:
        """In one dimension."""
        return Unknown("a flattened shape") if dims else Tensor(self.numel())

    def tolist(self) -> Any:
        """As many unknown numbers."""
        return [Unknown("an element") for _ in range(self.shape[0])] if len(self.shape) == 1 else Unknown("elements")

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator["Tensor"]:
        return (Tensor(*self.shape[1:]) for _ in range(self.shape[0]))

    def __getitem__(self, key: Any) -> Any:
        keys = key if isinstance(key, tuple) else (key,)
        sizes, left = [], list(self.shape)
        given = sum(each is not None and each is not Ellipsis for each in keys)
        for each in keys:
            if each is None:
                sizes.append(1)
            elif each is Ellipsis:
                sizes += [left.pop(0) for _ in range(len(left) - given)]
            elif isinstance(each, slice):
                bounds = (each.start, each.stop, each.step)
                if any(isinstance(bound, Unknown) for bound in bounds):
                    return Unknown("a part of a tensor")
                sizes.append(len(range(*each.indices(left.pop(0)))))
                given -= 1
            elif isinstance(each, int):
                left.pop(0)
                given -= 1
            else:
                return Unknown("a part of a tensor")
        return Tensor(*sizes, *left)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Elements are not kept."""

    def __bool__(self) -> bool:
        return Unknown("an element of a tensor")._refuse()

    __float__ = __int__ = __index__ = __bool__
    __lt__ = __le__ = __gt__ = __ge__ = _same
    __hash__ = object.__hash__


SAME = {
    "float", "half", "to", "clone", "detach", "contiguous", "exp", "log", "sqrt", "abs", "double", "long", "int",
    "type", "cuda", "cpu", "normal_", "zero_", "fill_", "uniform_", "copy_", "mul_", "div_", "clamp", "requires_grad_",
    "type_as", "sin", "cos", "tanh", "sigmoid", "log_", "exp_", "mul", "add", "sub", "div", "pow", "cumsum", "flip",
    "bfloat16", "bool", "masked_fill", "triu", "tril", "neg", "reciprocal", "trunc_normal_", "round", "floor",
}  # fmt: skip
"""What leaves a shape as it is."""


def broadcast(one: Tensor, other: Tensor) -> Tensor:
    """The shape of two tensors together."""
    longest = max(len(one.shape), len(other.shape))
    padded = [(1,) * (longest - len(each.shape)) + each.shape for each in (one, other)]
    return Tensor(*[b if a == 1 else a for a, b in zip(*padded, strict=True)])


def bounded(count: int, most: int, what: str) -> int:
    """A number of things that are made one by one.

    Raises:
        InvalidConfig: If there are more than anybody would wait for.
    """
    if count > most:
        raise InvalidConfig("the model's constructor", f"makes {count:,} {what}, and weigh follows {most:,}")
    return count
