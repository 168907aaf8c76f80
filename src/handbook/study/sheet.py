"""The study cards as a sheet to print on both sides and cut: the HTML of docs/cards-to-print.md.

A page of eight questions is followed by one of their answers, in mirrored columns: where the paper is turned over on
its long edge, each answer is behind its question. All lengths are shares of the sheet's width (see the end of
docs/assets/css/study.css), so that a sheet is on screen what it is on paper.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape, unescape
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from handbook.study.elsewhere import bare, relinked, renamed
from handbook.study.questions import Card

if TYPE_CHECKING:
    from playwright.sync_api import Browser  # which builds do not need

PAGE, PDF = "cards-to-print/", "cards/weights-and-measures-cards.pdf"
"""The page, and the file that is printed from it, below the site's address."""
LINK = "<!-- a link to the file, where there is one -->"
COLUMNS, ROWS = 2, 4
WIDTH, HEIGHT = 87.0, 47.0
"""What a card has room for, in millimetres: 95 × 65 without its edges, its head and its foot."""
QUESTION = (5.0, 4.6, 4.1, 3.7, 3.3, 2.9, 2.6, 2.3, 2.0)
ANSWER = (4.1, 3.7, 3.4, 3.1, 2.8, 2.5, 2.2, 1.9, 1.7, 1.5, 1.3)
"""Sizes of letters, in millimetres, of which the first is taken that lets all be seen."""
LINE, GAP = 1.4, 0.5
"""The heights of a line and of the gap below a block, by the size of the letters."""
LETTER, BOLD, IN_CODE = 0.53, 0.6, 0.58
"""The width of a letter by the size of the letters: as wide as in any usual font, with room for the ends of lines."""
PICTURE = 30.0
"""The height of a figure or image, in millimetres."""

ICON = re.compile(r'<span class="twemoji">.*?</span>', re.DOTALL)
DRAWING = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
CODE = re.compile(r"<pre\b.*?</pre>", re.DOTALL)
INLINE = re.compile(r"<code\b.*?</code>", re.DOTALL)
LINKED = re.compile(r"</?a\b[^>]*>")
BLOCK = re.compile(r"<(?:p|li|tr|figcaption|summary|dt|dd|h[1-6])\b[^>]*>")


def sheet(cards: Iterable[Card]) -> str:
    """The HTML of all sheets: for each eight cards a page of fronts, then one of backs.

    Args:
        cards: The cards, in the order in which they are laid out: along each row.
    """
    every = list(cards)
    each = COLUMNS * ROWS
    papers = [every[start : start + each] for start in range(0, len(every), each)]
    pages = "".join(_paper(paper, number) for number, paper in enumerate(papers, start=1))
    sheets = f"{len(papers)} sheet{'s' * (len(papers) != 1)} of paper"
    count = f"{len(every)} cards on {sheets}. This is the first, front and back."
    # The rule for pages is here, since in a style sheet of the site it would hold for every page that is printed.
    rule = "<style>@page { margin: 9mm 10mm; }</style>"
    return f'<section class="sheets" data-search-exclude>\n{rule}\n<p>{count}{LINK}</p>\n{pages}</section>\n'


def print_to(target: Path, site: Path, browser: Browser, paper: str = "A4") -> None:
    """Print the sheets of a built site to a PDF file, and link it from their page if it is the site's own.

    Args:
        target: The file.
        site: The folder of the built site.
        browser: Chromium.
        paper: `A4` or `Letter`.

    Raises:
        FileNotFoundError: The site has no page of sheets.
    """
    page = (site / PAGE / "index.html").resolve(strict=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    view = browser.new_page(java_script_enabled=False)  # it prints what the build made
    view.goto(page.as_uri())
    view.pdf(path=target, format=paper)
    view.close()
    if target.resolve() == (site / PDF).resolve():
        link = f' <a href="../{PDF}" download>All as a PDF, on {paper}</a>.'
        page.write_text(page.read_text("utf-8").replace(LINK, link), "utf-8")


def _paper(cards: list[Card], number: int) -> str:
    """The two sides of a sheet of paper."""
    places: list[Card | None] = [*cards, *[None] * (COLUMNS * ROWS - len(cards))]
    rows = [places[start : start + COLUMNS] for start in range(0, len(places), COLUMNS)]
    fronts = "".join(_side(card, answer=False) for row in rows for card in row)
    backs = "".join(_side(card, answer=True) for row in rows for card in reversed(row))
    return (
        f'<div class="sheet sheet--fronts" role="group" aria-label="Fronts of sheet {number}">\n{fronts}</div>\n'
        f'<div class="sheet sheet--backs" role="group" aria-label="Backs of sheet {number}">\n{backs}</div>\n'
    )


def _side(card: Card | None, answer: bool) -> str:
    if not card:
        return '<div class="sheet__card"></div>\n'
    html = relinked(bare(card.answer if answer else card.question), card.source, PAGE)
    html = LINKED.sub("", html).replace("<details", "<details open")  # on paper nothing is followed or unfolded
    html = renamed(html, f"{card.id}-{'back' if answer else 'front'}-")
    size = fitting(html, ANSWER) if answer else fitting(html, QUESTION, letter=BOLD)
    label = "Answer" if answer else card.kind.capitalize()
    return (
        f'<div class="sheet__card" data-card="{card.id}">'
        f'<p class="sheet__head"><span>{label}</span><span>{card.id}</span></p>'
        f'<div class="sheet__text" style="--size: {size:g}"><div>{html}</div></div>'
        f'<p class="sheet__foot">{escape(card.source.title)}</p></div>\n'
    )


def fitting(html: str, sizes: Sequence[float], letter: float = LETTER) -> float:
    """The first size of letters at which HTML fits on a card, in millimetres; the last if none does."""
    return next((size for size in sizes if _height(html, size, letter) <= HEIGHT), sizes[-1])


def _height(html: str, size: float, letter: float) -> float:
    """How high HTML is on a card, in millimetres: about, and rather more."""
    html = DRAWING.sub("<img>", ICON.sub("□", html))
    code = [line for block in CODE.findall(html) for line in _words(block).rstrip("\n").split("\n")]
    rest = re.sub(r"<t[dh]\b[^>]*>", " | ", CODE.sub("", html))
    wider = "x"  # for every four letters of code, in a line of prose
    rest = INLINE.sub(lambda found: found[0] + wider * (len(_words(found[0])) // 4), rest)
    blocks = [" ".join(words) for block in BLOCK.split(rest) if (words := _words(block).split())]
    lines = sum(max(1, ceil(len(line) * IN_CODE * size / WIDTH)) for line in code)
    lines += sum(ceil(len(block) * letter * size / WIDTH) for block in blocks)
    gaps = len(blocks) + html.count("<pre")
    return (lines * LINE + gaps * GAP) * size + html.count("<img") * PICTURE


def _words(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))
