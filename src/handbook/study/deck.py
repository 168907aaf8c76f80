"""The deck: the cards of all pages, by topic, as the HTML of the page that reviews them.

The HTML is all that the review's scripts know of the cards, and without scripts it is the deck.
"""

from __future__ import annotations

import re
from html import escape

from mkdocs.utils import get_relative_url

from handbook.study.elsewhere import relinked, renamed
from handbook.study.questions import Card

PAGE = "cards/"
"""The address of the deck's page below that of the site."""


def deck(cards: list[Card], worker: str = "") -> str:
    """The HTML of the deck.

    Args:
        cards: The cards of all pages, in the order of the navigation, which is that of the topics and their pages.
        worker: The address, from the deck's page, of the service worker that keeps it for offline use, if one is to.
    """
    attribute = f' data-worker="{worker}"' if worker else ""
    return f'<div class="deck-desk"{attribute}></div>\n' + "".join(
        # A section, since Material's search ends to exclude an element where the first one of the same name in it ends.
        f'<section class="deck-topic" id="{anchor(topic)}" data-search-exclude>\n'
        f"<h2>{escape(topic)} <span>{len(of_it)}</span></h2>\n{''.join(folded(card) for card in of_it)}</section>\n"
        for topic, of_it in topics(cards).items()
    )


def topics(cards: list[Card]) -> dict[str, list[Card]]:
    """The cards of each topic, in the order in which they come."""
    found: dict[str, list[Card]] = {}
    for card in cards:
        found.setdefault(card.source.topic, []).append(card)
    return found


def anchor(topic: str) -> str:
    """The id of a topic in the deck."""
    return "topic-" + re.sub(r"[^a-z0-9]+", "-", topic.lower()).strip("-")


def folded(card: Card) -> str:
    """A card as the deck shows it, with its source; links and ids are those of the deck's page."""
    source = card.source
    about = f'data-kind="{card.kind}" data-topic="{escape(source.topic)}" data-page="{escape(source.url)}"'
    question, answer = (renamed(relinked(html, source, PAGE), f"{card.id}-") for html in (card.question, card.answer))
    link = f'<a href="{get_relative_url(source.url, PAGE)}#{card.id}">{escape(source.title)}</a>'
    return (
        f'<details class="question card" id="{card.id}" {about}>\n'
        f"<summary>{question}</summary>\n{answer}\n"
        f'<p class="card-source">From {link}</p>\n</details>\n'
    )
