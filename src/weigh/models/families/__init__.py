"""Families of models, a module each.

To add one, write a module that is called like its `model_type`, with `_` for `-`, and that has a `FAMILY`.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from weigh.models.family import Family

_MODULES = frozenset(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


class _Families(Mapping[str, Family[Any]]):
    """Imports a family when it is asked for: together they would take longer than all else that `weigh` imports."""

    def __getitem__(self, model_type: str) -> Family[Any]:
        module = model_type.replace("-", "_")
        family = _import(module) if module in _MODULES else None
        if family is None or family.model_type != model_type:
            raise KeyError(model_type)
        return family

    def __iter__(self) -> Iterator[str]:
        return (_import(module).model_type for module in sorted(_MODULES))

    def __len__(self) -> int:
        return len(_MODULES)


def _import(module: str) -> Family[Any]:
    family: Family[Any] = import_module(f"{__name__}.{module}").FAMILY
    return family


FAMILIES = _Families()
"""Every family that `weigh` knows, by the `model_type` of its configs."""
