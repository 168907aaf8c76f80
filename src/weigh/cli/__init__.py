"""The `weigh` command: the library's questions, answered on a terminal or as JSON.

Each module of this package adds its commands to the group. To add one, write a function below `@weigh.command`.
"""

from importlib import import_module
from pkgutil import iter_modules

from weigh.cli.group import main, weigh

__all__ = ["main", "weigh"]

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
