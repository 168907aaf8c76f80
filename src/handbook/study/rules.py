"""The rules of study cards: one idea each, in few words, with its evidence, and no number that was typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

from handbook.outputs import path_of
from handbook.study.questions import KINDS
from handbook.study.texts import CardText

LONGEST_ANSWER = 120
"""Words."""

ALIKE = 0.6
"""The share of content words in common from which two questions are near duplicates (Jaccard's index)."""

CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
FENCE = re.compile(r"^( *)(```+|~~~+).*?^\1\2 *$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?P<to>[^)]*)\)")
NUMBER = re.compile(r"(?<![\w.,-])\d(?:[\d,.]*\d)?(?![\d,.]*\d|-?[^\W\d_])")  # in 8-bit or 7B it is part of a name
COMMON = frozenset(
    re.findall(
        r"\w+",
        """a an and are as at be but by can do does for from has have how if in into is it its many much of on one or
        so some than that the their them then there they this to two was what when where which who why will with you
        your""",
    )
)


def faults(card: CardText, printed: str) -> Iterator[str]:
    """What is wrong with a card by itself.

    Args:
        card: The card.
        printed: What the programs of its page print.
    """
    if len(card.kinds) != 1:
        yield f"says what it asks for, by one of {', '.join(KINDS)}"
    if not card.id:
        yield "has no id: `make cards` gives it one"
    if others := [word for word in card.words if word not in KINDS and word != card.id]:
        yield f"has words that mean nothing: {' '.join(others)}"
    words = len(_prose(card.answer).split())
    if not card.answer:
        yield "has no answer"
    if words > LONGEST_ANSWER:
        yield f"answers in {words} words, and {LONGEST_ANSWER} is the most: make it two cards"
    if not any("#" in to or "://" in to for to in LINK.findall(card.answer)):
        yield "links no evidence: a section, as [Title](#section), or a source"
    printed_there = (number for number in _numbers(printed) if len(number.strip("0.,")) > 1)  # a 2 stands on any page
    given = {"0", "1", *_numbers(card.question), *printed_there}
    if typed := [number for number in _numbers(_prose(card.answer)) if number not in given]:
        yield f"answers with {', '.join(typed)}, which no program of the page computed: make it a formula"


def twins(cards: Iterable[CardText]) -> Iterator[tuple[CardText, CardText]]:
    """The pairs of cards that ask the same, in nearly the same words."""
    known = [(card, _content(card.question)) for card in cards]
    for (a, words_a), (b, words_b) in combinations(known, 2):
        if len(words_a & words_b) >= ALIKE * len(words_a | words_b):
            yield a, b


def broken_rules(root: Path, cards: list[CardText]) -> list[str]:
    """What is wrong with cards, each with its place.

    Args:
        root: The root of the repository.
        cards: The cards of all pages.
    """
    printed = {page: _printed(root, page) for page in {card.page for card in cards}}
    wrong = [
        f"{card.page}:{card.line}: the card “{card.question}” {fault}"
        for card in cards
        for fault in faults(card, printed[card.page])
    ]
    return wrong + [
        f"{b.page}:{b.line}: the card “{b.question}” asks what “{a.question}” asks ({a.page}:{a.line})"
        for a, b in twins(cards)
    ]


def _prose(answer: str) -> str:
    """The words of an answer, with `¤` for what is code or a formula."""
    return re.sub(r"<[^>]*>", "", LINK.sub("]", CODE.sub("¤", FENCE.sub("", answer))))


def _numbers(text: str) -> list[str]:
    return [number.rstrip(".,") for number in NUMBER.findall(text)]


def _content(question: str) -> frozenset[str]:
    """The words that tell a question from others, without their endings."""
    words = re.findall(r"[^\W_]+", question.lower())
    return frozenset(re.sub(r"(?<=\w{3})(?:ies|es|s|ing|ed)$", "", word) for word in words if word not in COMMON)


def _printed(root: Path, page: str) -> str:
    path = root / path_of(page)
    return path.read_text("utf-8") if path.is_file() else ""
