"""Cards and problems of the built site: on its page, in the deck and in the files, with links that lead somewhere."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup

from handbook.study.texts import all_cards

ROOT = Path(__file__).parent.parent.parent


@cache
def ids(page: Path) -> frozenset[str]:
    return frozenset(re.findall(r'\bid="([^"]+)"', page.read_text("utf-8")))


@pytest.fixture(scope="module")
def deck(site: Path) -> BeautifulSoup:
    """The page of the deck."""
    return BeautifulSoup((site / "cards" / "index.html").read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def file(site: Path) -> dict[str, list[dict[str, str]]]:
    """What programs read of it."""
    return json.loads((site / "cards" / "deck.json").read_text("utf-8"))


def test_each_card_is_once_in_the_deck_and_in_its_file(
    deck: BeautifulSoup, file: dict[str, list[dict[str, str]]]
) -> None:
    written = Counter(card.id for card in all_cards(ROOT))
    assert Counter(str(card["id"]) for card in deck.select("details.card")) == written
    assert Counter(card["id"] for card in file["cards"]) == written


def test_the_counts_of_the_deck_are_those_of_its_topics(deck: BeautifulSoup) -> None:
    for topic in deck.select("section.deck-topic"):
        assert int(topic.select_one("h2 span").get_text()) == len(topic.select("details.card"))  # type: ignore[union-attr]


def test_all_links_of_the_deck_lead_somewhere(site: Path, deck: BeautifulSoup) -> None:
    dead = []
    for link in deck.select("details.card a[href]"):
        url = urlsplit(urljoin("http://a.test/cards/", str(link["href"])))
        if url.netloc != "a.test":
            continue
        target = site / url.path.lstrip("/")
        page = target / "index.html" if target.is_dir() else target
        if not page.is_file() or (url.fragment and url.fragment not in ids(page)):
            dead.append(str(link["href"]))
    assert not dead


def test_at_least_a_hundred_problems_take_a_number(file: dict[str, list[dict[str, str]]]) -> None:
    assert len(file["problems"]) >= 100
    assert all(problem["worked"] and problem["question"] for problem in file["problems"])


def test_the_deck_is_light(site: Path, deck: BeautifulSoup) -> None:
    assert len(gzip.compress((site / "cards" / "index.html").read_bytes())) < 150_000
    scripts = [*(site / "assets" / "js" / "study").glob("*.js"), *(site / "assets" / "js" / "vendor").glob("*.mjs")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) < 60_000
    own = [script for script in deck.select("script[src]") if "/study/" in str(script["src"])]
    assert own and all(script["type"] == "module" for script in own), "which block nothing"
