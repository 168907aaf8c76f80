"""Notebooks in pages: the line `--8<-- "docs/labs/name.ipynb"` of a page stands for the cells of that notebook.

The cells become Markdown and executed fences, so that a notebook runs as every page does, and no kernel is started. It
is kept without outputs. The metadata of a code cell may have an entry `handbook`: the options of its fence, such as
`{"output": "figure", "alt": "…"}`, and `fold`, a title under which the cell is folded together with its output.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from textwrap import indent
from typing import Any

from handbook.options import Misuse

NOTEBOOK = re.compile(r'--8<-- "(?P<path>[^":;]+\.ipynb)"$')
CELL = re.compile(r"<!-- (?P<place>.+, cell \d+) -->$")


def expand(line: str, root: Path) -> list[str]:
    """The lines that a line of a page stands for: itself, unless it names a notebook that exists.

    Raises:
        Misuse: The file is not a notebook.
    """
    found = NOTEBOOK.match(line)
    if not found or not (root / found["path"]).is_file():
        return [line]
    return markdown((root / found["path"]).read_text("utf-8"), found["path"]).split("\n")


def markdown(text: str, path: str) -> str:
    """A notebook of format 4 as Markdown, each cell after a comment that says which it is, counted from 1.

    Raises:
        Misuse: It is not one.
    """
    try:
        cells = json.loads(text)["cells"]
        sources = ["".join(cell["source"]) for cell in cells]
        # Longer than what any cell has, so that a fence left open in one of them does not swallow the next.
        ticks = "`" * (1 + max(map(len, re.findall("`{2,}", "".join(sources))), default=2))
        parts = []
        for number, (cell, source) in enumerate(zip(cells, sources, strict=True), start=1):
            is_code = cell["cell_type"] == "code"
            shown = _fence(source, cell["metadata"].get("handbook", {}), ticks) if is_code else source
            parts += [f"<!-- {path}, cell {number} -->", shown]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Misuse(f"{path} is not a notebook of format 4: {error!r}") from None
    name = PurePosixPath(path).name
    parts.insert(2, f"[Download this page as a notebook]({name}){{ download }}, or open `{path}` in a clone.")
    return "\n\n".join(parts)


def place(lines: list[str]) -> str:
    """The cell that the last of these lines is in, or nothing."""
    found = (CELL.match(line) for line in reversed(lines))
    return next((cell["place"] for cell in found if cell), "")


def _fence(code: str, metadata: dict[str, Any], ticks: str) -> str:
    options = dict(metadata)
    title = options.pop("fold", "")
    header = " ".join([f"{ticks}python exec", *(_option(name, value) for name, value in options.items())])
    fence = f"{header}\n{code}\n{ticks}"
    return f'??? success "{title}"\n\n{indent(fence, "    ")}' if title else fence


def _option(name: str, value: object) -> str:
    quote = "'" if '"' in str(value) else '"'
    return name if value is True else f"{name}={quote}{value}{quote}"
