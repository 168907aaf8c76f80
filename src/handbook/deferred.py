"""Modules that are imported when they are first used: to import them takes longer than a tenth of a warm build.

mkdocs-jupyter imports nbconvert and jupytext when MkDocs asks what plugins it has. They are needed only where a
notebook has changed, or has run anew. Whoever imports this module before MkDocs does, as `mkdocs.yml` by naming
`handbook.pages`, has them wait.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def defer(name: str) -> None:
    """Have a module imported when it is first asked for something, unless it is there already.

    Python's own `LazyLoader` does not wait: the next `import` asks for `__spec__`, and that counts. So would it if
    somebody asked all modules for their `__file__`, as `inspect` does.
    """
    if name in sys.modules:
        return
    stand_in = ModuleType(name)

    def ask(attribute: str) -> Any:
        if attribute.startswith("__") and attribute != "__path__":
            raise AttributeError(attribute)
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), attribute)

    stand_in.__getattr__ = ask  # type: ignore[method-assign]
    sys.modules[name] = stand_in


for _name in ("jupytext", "mkdocs_jupyter.convert"):
    defer(_name)
