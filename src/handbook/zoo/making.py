"""Every recipe, measured again, in both number formats: each library in a process of its own.

What `torch.load` takes depends on what was imported before, and some libraries change torch when they are.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context

from handbook.zoo import rows
from handbook.zoo.measuring import measure
from handbook.zoo.recipes import recipes

PACKAGES = {"trainer": "transformers", "optimi": "torch-optimi"}
"""Packages that are not called as the library is."""


def make(libraries: Iterable[str], say: Callable[[str], None]) -> None:
    """Measure the recipes of modules, and put their rows in the place of those that are kept."""
    kept = rows.read()
    for library in libraries:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            found = process.submit(measured, library).result()
        names = {name.partition(":")[0] for name, _ in found}
        kept.rows = {key: row for key, row in kept.rows.items() if key[0].partition(":")[0] not in names} | found
        say(f"{library}: {len(found)} rows")
    named = {name.partition(":")[0] for name, _ in kept.rows} | {"torch"}
    packages = {PACKAGES.get(name, name) for name in named}
    kept.versions = {package: version(package).partition("+")[0] for package in packages}
    rows.write(kept)


def measured(library: str) -> rows.Rows:
    """The rows of one module of recipes."""
    import torch

    torch.compiler.set_stance("force_eager")  # torchao would compile its step for a minute
    return {
        (name, dtype): measure(recipe, getattr(torch, dtype))
        for name, recipe in recipes(library).items()
        for dtype in rows.DTYPES
    }
