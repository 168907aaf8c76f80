"""What a program needs beside Python: the modules that it imports, and the files of the repository that it names."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

CHECK = """\
# Added to the download: if something is missing, say what and how to get it.
import sys
from importlib.util import find_spec
from pathlib import Path

missing = [module for module in "{modules}".split() if not find_spec(module)]
missing += [path for path in "{files}".split() if not Path(path).exists()]
if missing:
    print(f"missing: {{', '.join(missing)}}.", '{remedy}', file=sys.stderr)
    sys.exit(2)
"""


@dataclass(frozen=True)
class Needs:
    """What is to be there before a program starts.

    Attributes:
        modules: The top-level modules that it imports beside Python's own, but for those that it asks for first, with
            `find_spec`: it can do without.
        files: Paths from the root of the repository, files or directories, none below another.
    """

    modules: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@cache
def needs(source: str, root: Path) -> Needs:
    """Find in the text of a program what it needs.

    Args:
        source: The program.
        root: The repository, which says whether a string is a path. Of one that is put together, as in
            `f"models/{name}"` or `f"{root}/models"`, a part is known.
    """
    imported, asked, named = set(), set(), set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                imported |= {alias.name.partition(".")[0] for alias in aliases}
            case ast.ImportFrom(module=str(module), level=0):
                imported.add(module.partition(".")[0])
            case ast.Call(func=ast.Name(id="find_spec"), args=[ast.Constant(value=str(module))]):
                asked.add(module)
            case ast.Constant(value=str(text)) if path := _path(text, root):
                named.add(path)
    files = {path for path in named if not named & {*map(str, PurePosixPath(path).parents)}}
    return Needs(tuple(sorted(imported - asked - sys.stdlib_module_names)), tuple(sorted(files)))


def _path(text: str, root: Path) -> str:
    """As much of a text as is a path of the repository; the built site is none."""
    if len(text) > 200 or set(text) & set(" \n\\*'"):
        return ""
    path = PurePosixPath(text.lstrip("/."))
    while path.name and not (root / path).exists():
        path = path.parent
    return str(path) if path.name and path.parts[0] != "site" else ""


def check(source: str, root: Path, program: str, repository: str) -> str:
    """The lines that a download begins with: they end it with one line and exit code 2 if something is missing.

    Args:
        source: The program.
        root: The repository.
        program: The program's path there.
        repository: The address that it is cloned from.

    Returns:
        Python source, or nothing if there is nothing that can be missing.
    """
    found = needs(source, root)
    if found == Needs():
        return ""
    if found.files:
        remedy = f"A clone has all of it: git clone {repository}; there, make setup and .venv/bin/python {program}"
    else:
        remedy = f'To install it: pip install "weights-and-measures[pages] @ git+{repository}"'
    return CHECK.format(modules=" ".join(found.modules), files=" ".join(found.files), remedy=remedy)
