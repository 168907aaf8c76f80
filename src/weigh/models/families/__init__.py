"""Families of models, a module each.

To add one, write a module that is called like its `model_type`, with `_` for `-`, and that has a `FAMILY`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from weigh.models.family import Family


class _Families(Mapping[str, Family[Any]]):
    """Imports a family when it is asked for: together they would take longer than all else that `weigh` imports."""

    def __getitem__(self, model_type: str) -> Family[Any]:
        module = model_type.replace("-", "_")
        if module not in _modules():
            raise KeyError(model_type)
        family: Family[Any] = import_module(f"{__name__}.{module}").FAMILY
        if family.model_type != model_type:
            raise KeyError(model_type)
        return family

    def __iter__(self) -> Iterator[str]:
        return (import_module(f"{__name__}.{module}").FAMILY.model_type for module in _modules())

    def __len__(self) -> int:
        return len(_modules())


@cache
def _modules() -> tuple[str, ...]:
    return tuple(sorted(module.name for module in iter_modules(__path__)))


FAMILIES = _Families()
"""Every family that `weigh` knows, by the `model_type` of its configs."""
