"""Parameters of given sizes."""

from typing import Any

from weigh.models.constructors.modules import Parameter
from weigh.models.constructors.shapes import sizes_of


def sized(*sizes: Any) -> Parameter:
    """A parameter of a shape."""
    made = Parameter()
    made.shape = sizes_of(sizes)
    return made


def many(value: Any, count: int) -> tuple[Any, ...]:
    """A size for each of so many dimensions."""
    return tuple(value) if isinstance(value, list | tuple) else (value,) * count
