"""What pages ask, read from their HTML: study cards, and problems whose answer a reader's number is compared with.

```markdown
??? question estimate card-3f9a1c "How long …?"

    The answer, which links its evidence.
```

A card is a folded question. Its kind says what it asks for, and its id, given once, what a reader's reviews belong to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

from mkdocs.structure.pages import Page

KINDS = {
    "predict": "Say what will happen before you run it",
    "compare": "Say what differs, and when that matters",
    "diagnose": "Find the cause from what is seen",
    "estimate": "Work out a size",
    "explain": "Say why",
}
"""The kinds of cards, which are tags of the deck."""

CARD = re.compile(
    r'<details class="question(?P<words>[^"]*)"(?P<open>(?: open="open")?)>\s*<summary>(?P<question>.*?)</summary>',
    re.DOTALL,
)
ID = re.compile(r"card-[0-9a-f]{6}")
PROBLEM = re.compile(r'<div class="problem" data-answer=.*?</div>\n?', re.DOTALL)
ANSWER = re.compile(r'\s*<details class="success">')
BEFORE = re.compile(r"</(?:h[1-6]|details)>")
SECTION = re.compile(r'<h[2-6] id="([^"]*)"')


@dataclass(frozen=True)
class Source:
    """Where a question stands.

    Attributes:
        page: The path of its page below `docs/`.
        url: The page's address below that of the site.
        title: The page's title, as text.
        topic: The title of the part of the navigation that the page is in, as text.
    """

    page: str
    url: str
    title: str
    topic: str


@dataclass(frozen=True)
class Card:
    """A study card.

    Attributes:
        id: `card-` and six hexadecimal digits, which it keeps when it is reworded.
        kind: One of `KINDS`.
        question: The question, as HTML.
        answer: The answer, as HTML, with links as on its page.
        source: Where it stands.
    """

    id: str
    kind: str
    question: str
    answer: str
    source: Source


@dataclass(frozen=True)
class Problem:
    """A problem that answers back.

    Attributes:
        id: The path of its page without suffix, and its number there, counted from 1.
        question: What is asked, as HTML, with links as on its page.
        answer: The `<div class="problem">` that a number is compared with.
        worked: The worked answer, as HTML.
        source: Where it stands.
        section: The id of the heading above it; empty if there is none.
    """

    id: str
    question: str
    answer: str
    worked: str
    source: Source
    section: str = ""


def source_of(page: Page) -> Source:
    """Where the questions of a page stand."""
    parts = list(page.ancestors)
    topic = parts[-1].title if parts else page.title
    # MkDocs has escaped the title that a page gives itself, and not the one that the navigation gives.
    return Source(page.file.src_uri, page.url, unescape(str(page.title)), unescape(str(topic)))


def mark(html: str) -> str:
    """The HTML of a page, in which the id and the kind of each card are attributes that scripts and links find.

    Its question is a heading with an id of its own: the search of the site then finds each card by itself.
    """

    def marked(found: re.Match[str]) -> str:
        words = found["words"].split()
        ids, kinds = [w for w in words if ID.fullmatch(w)], [w for w in words if w in KINDS]
        if len(words) != 2 or not ids or not kinds:
            return found[0]  # which the lint refuses
        said = f'id="{ids[0]}" data-kind="{kinds[0]}"{found["open"]}'
        heading = f'<h3 id="q-{ids[0]}">{found["question"]}</h3>'
        return f'<details class="question card" {said}><summary>{heading}</summary>'

    return CARD.sub(marked, html)


MARKED = re.compile(r'<details class="question card" id="(?P<id>[^"]*)" data-kind="(?P<kind>[^"]*)"(?: open="open")?>')
SUMMARY = re.compile(r"<summary><h3[^>]*>(?P<question>.*?)</h3></summary>(?P<answer>.*)</details>\Z", re.DOTALL)


def cards(html: str, source: Source) -> Iterator[Card]:
    """The cards of a page, once it is marked, in order."""
    for found in MARKED.finditer(html):
        parts = SUMMARY.match(html[found.end() : _end(html, found.end())])
        assert parts, "which is how a card is marked"
        yield Card(found["id"], found["kind"], parts["question"].strip(), parts["answer"].strip(), source)


def problems(html: str, source: Source) -> Iterator[Problem]:
    """The problems of a page that have an answer to compare with, in order.

    A problem begins where the one before, or a heading, ends. Its worked answer is folded and follows the field.
    """
    for number, found in enumerate(PROBLEM.finditer(html), start=1):
        begin = max((end.end() for end in BEFORE.finditer(html, 0, found.start())), default=0)
        worked = ANSWER.match(html, found.end())
        end = _end(html, worked.end()) if worked else found.end()
        name = f"{source.page.rpartition('.')[0]}-{number}"
        question, section = html[begin : found.start()].strip(), SECTION.findall(html, 0, found.start())[-1:]
        yield Problem(name, question, found[0], html[found.end() : end].strip(), source, *section)


def _end(html: str, start: int) -> int:
    """Where the folded block ends of which the inside starts here."""
    depth = 1
    for found in re.compile(r"<(/?)details\b[^>]*>").finditer(html, start):
        depth += -1 if found[1] else 1
        if not depth:
            return found.end()
    return len(html)
