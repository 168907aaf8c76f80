"""Pages that show what all pages ask: what a build puts in the place of a mark in each, once every page is rendered."""

from __future__ import annotations

from collections.abc import Callable

from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

from handbook.site import site
from handbook.study.deck import deck
from handbook.study.questions import Card, Problem

Part = Callable[[list[Card], list[Problem]], str]

PARTS: dict[str, tuple[str, Part]] = {
    "cards.md": ('<div id="deck"></div>', lambda cards, _: deck(cards, "../sw.js" if site.released else "")),
}
"""The mark in each page, by the page's path below `docs/`, and what makes the HTML in its place."""


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
    page.content = page.content.replace(mark, part(cards, problems))
