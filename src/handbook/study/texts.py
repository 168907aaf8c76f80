"""Study cards as their authors wrote them, in the Markdown of pages: there a formula is still a formula."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handbook.study.questions import ID, KINDS

HEADER = re.compile(r'(?P<start> *\?\?\?\+? question)(?P<words>[^"\n]*?)(?P<title> +"(?P<question>.*?)") *$')
FENCE = re.compile(r" *(`{3,}|~{3,})")


@dataclass(frozen=True)
class CardText:
    """A card as its author wrote it.

    Attributes:
        page: The path of its page below `docs/`.
        line: The line of its header.
        words: The words between `question` and the title.
        question: The title.
        answer: The Markdown of the answer, without its indent.
    """

    page: str
    line: int
    words: tuple[str, ...]
    question: str
    answer: str

    @property
    def id(self) -> str:
        """Its id, or nothing."""
        return next((word for word in self.words if ID.fullmatch(word)), "")

    @property
    def kinds(self) -> list[str]:
        """What it says that it asks for."""
        return [word for word in self.words if word in KINDS]


def cards_in(text: str, page: str) -> Iterator[CardText]:
    """The cards of a page, from its Markdown, in order."""
    lines = text.splitlines()
    inside = ""  # the ticks of the fence that the line is in
    for number, line in enumerate(lines):
        if ticks := FENCE.match(line):
            inside = inside or ticks[1] if ticks[1] != inside else ""
        found = HEADER.fullmatch(line)
        if inside or not found:
            continue
        indent = " " * (len(found["start"]) - len(found["start"].lstrip()) + 4)
        body = []
        for below in lines[number + 1 :]:
            if below.strip() and not below.startswith(indent):
                break
            body.append(below.removeprefix(indent))
        yield CardText(page, number + 1, tuple(found["words"].split()), found["question"], "\n".join(body).strip())


def all_cards(root: Path) -> list[CardText]:
    """The cards of all pages, in the order of their paths.

    Args:
        root: The root of the repository.
    """
    docs = root / "docs"
    pages = ((path.relative_to(docs).as_posix(), path.read_text("utf-8")) for path in sorted(docs.rglob("*.md")))
    return [card for page, text in pages for card in cards_in(text, page)]
