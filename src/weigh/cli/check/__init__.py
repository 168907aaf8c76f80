"""The commands `weigh check …`, a module for each gap, which adds its command to the group."""

from importlib import import_module
from pkgutil import iter_modules

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
