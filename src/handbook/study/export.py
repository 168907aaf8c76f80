"""The study cards and problems as files to take away: `cards/deck.json` for programs, and a package for Anki.

`deck.json` is UTF-8 and has these fields, of which later versions may add others, but take none away without another
number in `version`:

`format`, `version`
:   `"weights-and-measures deck"` and 1.

`source`, `license`, `authors`
:   The site's address, an SPDX expression, and whom to name.

`cards`
:   In the order of the site, each with its `id`, which it keeps when it is reworded; its `kind`; the `topic`; the
    `page`, a path below the repository's `docs/`; that page's `title`, and the `url` of the card in it; `question` and
    `answer`, as HTML.

`problems`
:   In that order: `id`, `topic`, `page`, `title`, `question` and `worked`, the worked answer, as of cards; the `url` is
    that of their section. Their `answer` has a `value`; its `unit`, which may be empty; `within` how many percent of it
    another is right too; `mistakes`, which are wrong values and why one may arrive there; and `hints`, the broadest
    first.

HTML is that of the page. Its links and the `url` fields are relative to the file's own address; code has the classes of
Pygments, and a figure is inline SVG whose colours are CSS variables with fallbacks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from mkdocs.utils import get_relative_url

from handbook.study import anki
from handbook.study.answers import read
from handbook.study.changes import Changes
from handbook.study.deck import PAGE
from handbook.study.elsewhere import relinked
from handbook.study.questions import Card, Problem, Source

JSON, PACKAGE = "deck.json", "weights-and-measures.apkg"


def write(site: Path, cards: list[Card], problems: list[Problem], address: str, changed: Changes) -> None:
    """Write both files into the built site.

    Args:
        site: The folder of the built site.
        cards: The cards, in the order of the navigation.
        problems: The problems, in that order.
        address: The site's address.
        changed: When what a card says last changed: see `handbook.study.changes`.
    """
    folder = site / PAGE
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON).write_text(deck_json(cards, problems, address), "utf-8")
    (folder / PACKAGE).write_bytes(anki.package(cards, site, address, changed))


def deck_json(cards: Iterable[Card], problems: Iterable[Problem], address: str) -> str:
    """The text of `deck.json`: see the head of this module."""

    def here(html: str, source: Source) -> str:
        return relinked(html, source, PAGE)

    deck = {
        "format": "weights-and-measures deck",
        "version": 1,
        "source": address,
        "license": "MIT",
        "authors": "The Weights & Measures authors",
        "cards": [
            {"id": card.id, "kind": card.kind}
            | _place(card.source, card.id)
            | {"question": here(card.question, card.source), "answer": here(card.answer, card.source)}
            for card in cards
        ],
        "problems": [
            {"id": problem.id}
            | _place(problem.source, problem.section)
            | {
                "question": here(problem.question, problem.source),
                "answer": read(problem.answer),
                "worked": here(problem.worked, problem.source),
            }
            for problem in problems
        ],
    }
    return json.dumps(deck, ensure_ascii=False, indent=1) + "\n"


def _place(source: Source, anchor: str = "") -> dict[str, str]:
    url = get_relative_url(source.url or ".", PAGE) + (f"#{anchor}" if anchor else "")
    return {"topic": source.topic, "page": source.page, "title": source.title, "url": url}
