"""A value that the stand-ins do not compute: harmless until a shape or a condition depends on it."""

from collections.abc import Iterator
from typing import Any, NoReturn

from weigh.errors import NotConstructed


class Unknown:
    """A value that nobody here computes, such as an angle or a random number.

    Whatever is computed from it is unknown too. What decides how many parameters there are, a condition, a length or a
    size, cannot be.
    """

    def __init__(self, what: Any = "a value", *rest: Any, **named: Any) -> None:
        self.__dict__["what"] = what

    def _refuse(self, *others: Any) -> NoReturn:
        raise NotConstructed("the model's constructor", f"asks for {self.what}, which weigh does not compute")

    def _unknown(self, *others: Any, **named: Any) -> "Unknown":
        return self

    def __getattr__(self, name: str) -> "Unknown":
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(f"{self.what}.{name}")

    def __setattr__(self, name: str, value: Any) -> None:
        """What is set on it is unknown as well."""

    def __iter__(self) -> Iterator[Any]:
        return self._refuse()

    __bool__ = __len__ = __int__ = __index__ = __float__ = __contains__ = __hash__ = _refuse
    __call__ = __getitem__ = __enter__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _unknown
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = __mod__ = __neg__ = _unknown
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __and__ = __or__ = __matmul__ = _unknown  # type: ignore[assignment]

    def __setitem__(self, key: Any, value: Any) -> None:
        """What is set in it is unknown as well."""

    def __exit__(self, *error: Any) -> None:
        """As a context it does nothing."""
