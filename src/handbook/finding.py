"""What is to run of a file below `docs/`: the fences and formulas of a page, or the cells of a notebook."""

from __future__ import annotations

import contextlib

from markdown import Markdown
from mkdocs.structure.files import File
from mkdocs.utils.meta import get_data

from handbook import labs, pages
from handbook.runs import Run
from handbook.site import site


def find(md: Markdown, file: File) -> Run:
    """The run of a file, by a `pages.finder`. Nothing is run.

    Raises:
        PageError: A fence or a cell is malformed, or asks for what does not exist.
    """
    if labs.is_lab(file.src_uri):
        return labs.find(file.content_string, file.src_uri)
    body = get_data(file.content_string)[0]
    return pages.find(md, body, pages.place_of(file, body))


def prepare(md: Markdown, file: File) -> None:
    """Have a file run ahead of its rendering, so that the pages of a cold build do not wait for one another.

    What is wrong with its text is left for the rendering to say.
    """
    with contextlib.suppress(Exception):
        run = find(md, file)
        if run.fences:
            site.engine.submit(run.job, run.page)
