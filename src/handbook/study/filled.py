"""Pages that show what all pages ask: what a build puts in the place of a mark in each, once every page is rendered."""

from __future__ import annotations

import re
from collections.abc import Callable

from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page
from mkdocs.structure.toc import AnchorLink, TableOfContents

from handbook.site import site
from handbook.study.deck import deck
from handbook.study.interview import interview
from handbook.study.questions import Card, Problem
from handbook.study.sheet import sheet

Part = Callable[[list[Card], list[Problem]], str]

PARTS: dict[str, tuple[str, Part]] = {
    "cards.md": ('<div id="deck"></div>', lambda cards, _: deck(cards, "../sw.js" if site.released else "")),
    "cards-to-print.md": ('<div id="sheet"></div>', lambda cards, _: sheet(cards)),
    "interview.md": ('<div id="interview"></div>', interview),
}
"""The mark in each page, by the page's path below `docs/`, and what makes the HTML in its place."""


SECTION = re.compile(r'<section[^>]* id="(?P<id>[^"]+)"[^>]*>\s*<h2>(?P<title>.*?)(?: <span>.*?</span>)?</h2>')
"""A part of the filled page that its table of contents is to have."""


def fill(page: Page, cards: list[Card], problems: list[Problem]) -> None:
    """Put the questions in the place of the page's mark.

    Args:
        page: One of `PARTS`, rendered.
        cards: The cards of all pages, in the order of the navigation.
        problems: The problems of all pages, in the same order.

    Raises:
        PluginError: The page has no mark.
    """
    mark, part = PARTS[page.file.src_uri]
    if page.content is None or mark not in page.content:
        raise PluginError(f"{page.file.src_uri} has no {mark}, in place of which the build puts what all pages ask")
    html = part(cards, problems)
    sections = [AnchorLink(found["title"], found["id"], 2) for found in SECTION.finditer(html)]
    page.toc = _with(page.toc, sections, page.content.partition(mark)[0])
    page.content = page.content.replace(mark, html)


def _with(toc: TableOfContents, sections: list[AnchorLink], before: str) -> TableOfContents:
    """A table of contents with these sections too, behind those of the HTML before. The one given stays as it is."""
    whole = []
    for item in toc:
        title = AnchorLink(item.title, item.id, item.level)
        first = [child for child in item.children if f'id="{child.id}"' in before]
        title.children = [*first, *sections, *item.children[len(first) :]]
        title.active = True  # type: ignore[attr-defined]  # as MkDocs marks the first, and a page has one
        whole.append(title)
    return TableOfContents(whole)
