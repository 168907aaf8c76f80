"""How each optimizer is made, by the name that `weigh` has for it; a module for each library.

A module is imported only when its library is measured, so that the packages of the others need not be there.
"""

from importlib import import_module
from pkgutil import iter_modules

from handbook.zoo.measuring import Recipe

LIBRARIES = [module.name for module in iter_modules(__path__)]
"""The modules."""


def recipes(module: str) -> dict[str, Recipe]:
    """The recipes of a module, by `LIBRARY:NAME` with its options."""
    found: dict[str, Recipe] = import_module(f"{__name__}.{module}").RECIPES
    return found
