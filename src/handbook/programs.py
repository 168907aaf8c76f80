"""The program of a page, as a script and as a notebook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from handbook.needs import check

DOCSTRING = re.compile(r'\s*"""(.*?)"""', re.DOTALL)
REPOSITORY = "https://github.com/weights-and-measures/handbook"
MARKER = re.compile(r"# --8<-- \[(?P<what>start|end):(?P<name>[\w-]+)\]$")


def program_of(page: str) -> str:
    """The path of a page's program, which need not exist: `docs/a/b-c.md` runs `snippets/a/b_c.py`."""
    return "snippets/" + str(PurePosixPath(page).with_suffix(".py")).replace("-", "_")


def names(root: Path, page: str) -> tuple[str, ...]:
    """The paths below the site of the files that a page offers: its program as a script and as a notebook, or none."""
    program = PurePosixPath(program_of(page))
    if not (root / program).is_file():
        return ()
    stem = PurePosixPath("programs") / program.relative_to("snippets").with_suffix("")
    return f"{stem}.py", f"{stem}.ipynb"


def downloads(root: Path, page: str, edit_uri_template: str | None = None) -> Iterator[tuple[str, str]]:
    """The files that a page offers, with their `names`.

    Args:
        root: The repository.
        page: The page's path below `docs/`.
        edit_uri_template: Where its pages are edited, which tells where the repository is cloned from.
    """
    offered = names(root, page)
    if offered:
        source = (root / program_of(page)).read_text("utf-8")
        checked = check(source, root, program_of(page), clone_address(edit_uri_template))
        yield from zip(offered, (script(source, checked), notebook(source, checked)), strict=True)


def clone_address(edit_uri_template: str | None) -> str:
    """The address of a repository whose files are edited below `/edit/`, as on GitHub; of any other, this one's."""
    return str(edit_uri_template).partition("/edit/")[0] if "/edit/" in str(edit_uri_template) else REPOSITORY


def script(source: str, checked: str = "") -> str:
    """A program as a script, without the marks of its sections.

    Args:
        source: The program.
        checked: The lines that it begins with, after its docstring.
    """
    title = DOCSTRING.match(source)
    body = "\n".join(line for line in source[title.end() if title else 0 :].splitlines() if not MARKER.match(line))
    parts = [title.group().strip() if title else "", checked.strip(), body.strip()]
    return re.sub(r"\n{4,}", "\n\n\n", "\n\n".join(part for part in parts if part)) + "\n"


def notebook(source: str, checked: str = "") -> str:
    """A program as a Jupyter notebook of format 4.5: a cell for its docstring, and one for each section.

    What stands between two sections belongs to the first.

    Args:
        source: The program.
        checked: The lines that it begins with, in a cell of their own.
    """
    title = DOCSTRING.match(source)
    cells: list[tuple[str, str, list[str]]] = [("markdown", "title", [title[1]] if title else [])]
    cells += [("code", "needs", checked.splitlines()), ("code", "head", [])]
    for line in source[title.end() if title else 0 :].splitlines():
        marker = MARKER.match(line)
        if marker and marker["what"] == "start":
            cells.append(("code", marker["name"], []))
        elif not marker:
            cells[-1][2].append(line)
    return json.dumps(
        {
            "cells": [_cell(kind, name, text) for kind, name, lines in cells if (text := "\n".join(lines).strip())],
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        },
        indent=1,
    )


def _cell(kind: str, name: str, text: str) -> dict[str, object]:
    cell: dict[str, object] = {"cell_type": kind, "id": name.replace("_", "-"), "metadata": {}}
    cell["source"] = [line + "\n" for line in text.split("\n")]
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
