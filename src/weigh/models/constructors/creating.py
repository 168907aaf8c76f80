"""How constructors make tensors: the functions of torch that give one of a shape, and rows of known numbers."""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from weigh.models.constructors.shapes import META, Tensor, sizes_of
from weigh.models.constructors.unknown import Unknown

MOST_KNOWN = 1_000
"""The most numbers of a row that are kept: more than the layers of any model."""


def filled(*given: Any, size: Any = None, **named: Any) -> Any:
    """A tensor of a shape, whatever it is filled with."""
    return Tensor(*sizes_of(given if size is None else (size,)))


def full(size: Any, *rest: Any, **named: Any) -> Tensor:
    """A tensor of a shape, filled with one number."""
    return Tensor(*size) if isinstance(size, list | tuple) else Tensor(size)


def tensor(values: Any = (), *rest: Any, **named: Any) -> Any:
    """A tensor of given numbers."""
    if isinstance(values, list | tuple) and 0 < len(values) < MOST_KNOWN and {int, float}.issuperset(map(type, values)):
        return Row(list(values))
    sizes: list[int] = []
    inner = values
    while isinstance(inner, list | tuple | Tensor):
        if isinstance(inner, Tensor):
            return Tensor(*sizes, *inner.shape)
        sizes.append(len(inner))
        inner = inner[0] if len(inner) else 0
    return Tensor(*sizes)


def arange(*given: Any, start: Any = None, end: Any = None, **named: Any) -> Any:
    """A row of evenly spaced numbers."""
    bounds = [each for each in (start, *given, end) if each is not None]
    if any(isinstance(each, Unknown) for each in bounds):
        return Unknown("a range")
    low, high, step = {1: (0, *bounds, 1), 2: (*bounds, 1)}.get(len(bounds), tuple(bounds))
    return Tensor(max(0, -int(-(high - low) // step)))


class Number(float):
    """A number of a row, which is asked for as if it were a tensor."""

    def item(self) -> float:
        """Itself."""
        return float(self)


class TensorClass(type):
    """What `torch.Tensor` is to constructors: the class of all tensors, which makes one of sizes or of numbers."""

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor)

    def __call__(cls, *given: Any, **named: Any) -> Any:
        """A tensor of given sizes, or of a list of numbers."""
        if given and isinstance(given[0], Tensor | Unknown):
            return given[0]
        return tensor(given[0]) if given and isinstance(given[0], list | tuple) else Tensor(*given)


class TorchTensor(metaclass=TensorClass):
    """`torch.Tensor`."""


class Row(Tensor):
    """A row of numbers that are known, such as the rates at which layers are dropped."""

    def __init__(self, values: list[float]) -> None:
        super().__init__(len(values))
        self.values = values

    def __iter__(self) -> Iterator[Any]:
        return map(Number, self.values)

    def __getitem__(self, key: Any) -> Any:
        return Row(self.values[key]) if isinstance(key, slice) else Number(self.values[key])

    def tolist(self) -> list[float]:
        """The numbers."""
        return list(self.values)

    def cumsum(self, dim: int = 0, **named: Any) -> "Row":
        """The sums of the numbers up to each."""
        return Row(list(accumulate(self.values)))

    def split(self, sizes: Any, dim: int = 0) -> list["Row"]:
        """The row in pieces of given lengths."""
        rest, pieces = list(self.values), []
        lengths = [sizes] * -(-len(rest) // sizes) if isinstance(sizes, int) else sizes
        for size in lengths:
            pieces.append(Row(rest[:size]))
            rest = rest[size:]
        return pieces


def linspace(start: Any, end: Any, steps: Any = 100, *rest: Any, **named: Any) -> Any:
    """A row of so many evenly spaced numbers."""
    if not all(isinstance(each, int | float) for each in (start, end)) or not isinstance(steps, int) or steps > 10**5:
        return Tensor(steps)
    return Row([start + (end - start) * i / max(steps - 1, 1) for i in range(steps)])


def meshgrid(*rows: Any, **named: Any) -> list[Tensor]:
    """Grids of the coordinates that rows give."""
    given = rows[0] if len(rows) == 1 and isinstance(rows[0], list | tuple) else rows
    return [Tensor(*[len(row) for row in given]) for _ in given]


def normal(*given: Any, size: Any = None, **named: Any) -> Any:
    """A tensor of random numbers."""
    return filled(size) if size is not None else Unknown("torch.normal")


def joined(tensors: Any, dim: int = 0, **named: Any) -> Any:
    """Tensors one after the other along a dimension."""
    if not isinstance(tensors, list | tuple) or not all(isinstance(each, Tensor) for each in tensors):
        return Unknown("tensors together")
    sizes = list(tensors[0].shape)
    sizes[dim] = sum(each.shape[dim] for each in tensors)
    return Tensor(*sizes)


def stacked(tensors: Any, dim: int = 0, **named: Any) -> Any:
    """Tensors beside each other along a new dimension."""
    if not isinstance(tensors, list | tuple) or not all(isinstance(each, Tensor) for each in tensors):
        return Unknown("tensors together")
    sizes = list(tensors[0].shape)
    sizes.insert(dim if dim >= 0 else len(sizes) + 1 + dim, len(tensors))
    return Tensor(*sizes)


def like(tensor: Any, *rest: Any, **named: Any) -> Any:
    """A tensor of another's shape."""
    return Tensor(*tensor.shape) if isinstance(tensor, Tensor) else Unknown("a tensor like an unknown one")


CREATED: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("empty", "zeros", "ones", "rand", "randn"), filled),
    **dict.fromkeys(("Tensor", "FloatTensor", "LongTensor"), TorchTensor), "device": lambda *given, **named: META,
    **dict.fromkeys(("tensor", "as_tensor", "from_numpy"), tensor),
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like", "rand_like", "randn_like", "full_like"), like),
    **dict.fromkeys(("log", "exp", "sqrt", "sin", "cos", "abs", "tanh", "sigmoid", "clamp", "pow", "flip"), like),
    "full": full, "arange": arange, "linspace": linspace, "cat": joined, "concat": joined, "stack": stacked,
}  # fmt: skip
"""How `torch.NAME(…)` makes a tensor; whatever else torch has is unknown."""


def eye(n: int, m: int | None = None, **named: Any) -> Tensor:
    """An identity matrix."""
    return Tensor(n, n if m is None else m)


CREATED |= {"eye": eye, "meshgrid": meshgrid, "normal": normal}
