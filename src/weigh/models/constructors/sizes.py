"""Parameters of given sizes."""

from typing import Any

from weigh.models.constructors.modules import Parameter
from weigh.models.constructors.shapes import Tensor


def sized(*sizes: Any) -> Parameter:
    """A parameter of a shape."""
    return Parameter(Tensor(*sizes))


def many(value: Any, count: int) -> tuple[Any, ...]:
    """A size for each of so many dimensions."""
    return tuple(value) if isinstance(value, list | tuple) else (value,) * count
