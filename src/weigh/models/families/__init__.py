"""Families of models, a module each.

To add one, write a module that is called like its `model_type`, with `_` for `-`, and that has a `FAMILY`.
"""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weigh.models.family import Family


def _modules() -> frozenset[str]:
    return frozenset(path.stem for folder in __path__ for path in Path(folder).glob("[!_]*.py"))


class _Families(Mapping[str, "Family[Any]"]):
    """Imports a family when it is asked for: together they would take longer than all else that `weigh` imports."""

    def __getitem__(self, model_type: str) -> "Family[Any]":
        module = model_type.replace("-", "_")
        known = f"{__name__}.{module}" in sys.modules or module in _modules()
        family = _import(module) if known else None
        if family is None or family.model_type != model_type:
            raise KeyError(model_type)
        return family

    def __iter__(self) -> Iterator[str]:
        return (_import(module).model_type for module in sorted(_modules()))

    def __len__(self) -> int:
        return len(_modules())


def _import(module: str) -> "Family[Any]":
    family: Family[Any] = import_module(f"{__name__}.{module}").FAMILY
    return family


FAMILIES = _Families()
"""Every family that `weigh` knows, by the `model_type` of its configs."""
