"""The mock interview: a draw of cards and problems, which the page shows where no script runs.

`docs/assets/js/study/draw.js` draws the same questions for the same number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from html import escape
from itertools import zip_longest
from typing import TypeVar

from mkdocs.utils import get_relative_url

from handbook.study.elsewhere import relinked, renamed
from handbook.study.questions import Card, Problem

PAGE = "interview/"
"""The address of the interview's page below that of the site."""

DRAW = 1
"""The number of the draw that is made with the site."""

CARDS, PROBLEMS = 10, 5
"""How many questions an interview has."""

BITS = 0xFFFFFFFF
NUMBERED = re.compile(r"(<p>)<strong>\d+\.</strong>\s*")

Question = TypeVar("Question", Card, Problem)


def rank(number: int, name: str) -> int:
    """The rank of a question in a draw, 32 bits: FNV-1a of `number:name`, mixed as MurmurHash3 ends."""
    mixed = 0x811C9DC5
    for byte in f"{number}:{name}".encode():
        mixed = (mixed ^ byte) * 0x01000193 & BITS
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        mixed = (mixed ^ mixed >> shift) * factor & BITS
    return mixed


def pick(questions: Sequence[Question], number: int, count: int, avoid: Collection[str] = ()) -> list[Question]:
    """Some of the questions, the same for the same number whatever their order.

    Args:
        questions: What to draw from.
        number: The number of the draw.
        count: How many to draw; fewer if there are no more.
        avoid: Addresses of pages that are better left out.

    Returns:
        Questions of as many pages as there are, and of no topic more than its share, rounded up. Where that leaves too
        few, the topics may have more; then the pages.
    """
    order = sorted(questions, key=lambda one: (rank(number, one.id), one.id))
    share = Counter(one.source.topic for one in questions)
    picked: list[Question] = []

    def fresh(one: Question) -> bool:
        return all(one.source.url != other.source.url for other in picked)

    def room(one: Question) -> bool:
        had = sum(one.source.topic == other.source.topic for other in picked)
        return had < -(-count * share[one.source.topic] // len(questions))

    rules: list[Callable[[Question], bool]] = [
        lambda one: fresh(one) and room(one) and one.source.url not in avoid,
        lambda one: fresh(one) and room(one),
        fresh,
        lambda one: True,
    ]
    for fits in rules:
        for one in order:
            if len(picked) < count and one not in picked and fits(one):
                picked.append(one)
    return sorted(picked, key=order.index)


def draw(cards: Sequence[Card], problems: Sequence[Problem], number: int = DRAW) -> list[Card | Problem]:
    """The questions of an interview: two cards before each problem."""
    chosen = pick(cards, number, CARDS)
    sums = pick(problems, number, PROBLEMS, {card.source.url for card in chosen})
    each = -(-len(chosen) // max(len(sums), 1)) or 1
    turns = [chosen[at : at + each] for at in range(0, len(chosen), each)]
    return [one for turn, sum_ in zip_longest(turns, sums) for one in (*(turn or ()), *((sum_,) if sum_ else ()))]


def interview(cards: Sequence[Card], problems: Sequence[Problem]) -> str:
    """The HTML of the draw that is made with the site: a folded list of folded questions."""
    asked = draw(cards, problems)
    items = "".join(f"<li>{_folded(one)}</li>\n" for one in asked)
    return (
        '<div id="interview">\n'
        '<section data-search-exclude>\n<details class="abstract interview-by-hand">\n'
        f"<summary>Draw {DRAW}, made with this page: {len(asked)} questions</summary>\n<ol>\n{items}</ol>\n</details>\n"
        "</section>\n</div>"
    )


def _folded(one: Card | Problem) -> str:
    """A question with its answer folded, and where both come from."""
    source = one.source
    link = get_relative_url(source.url, PAGE) + f"#{one.id if isinstance(one, Card) else one.section}".rstrip("#")
    origin = f'<p>From <a href="{link}">{escape(source.title)}</a></p>'
    if isinstance(one, Card):
        question, answer = f"<p>{one.question}</p>", one.answer
    else:
        question, answer = NUMBERED.sub(r"\1", one.question, count=1), one.worked
    question, answer = (renamed(relinked(html, source, PAGE), f"{one.id}-") for html in (question, answer))
    if isinstance(one, Problem):
        return f"{question}\n{answer}\n{origin}\n"
    return f'{question}\n<details class="success">\n<summary>Answer</summary>\n{answer}\n</details>\n{origin}\n'
