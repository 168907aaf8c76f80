"""The study cards as a package that Anki imports: `weights-and-measures.apkg`.

What a second import does follows from what is constant here. Anki knows a note by its guid, which is the card's id: a
reworded card replaces its text and keeps its reviews. It does so where the note type is still the same, which it tells
from the names of the fields and of the template, and where the note's time of change is later than that of the reader's
note. The time is that of a commit (see `handbook.study.changes`), so that a note that says what it said is left alone,
with the tags that its reader gave it.

There is one deck, and topics are tags. Anki leaves a card in the deck where it is, so that one whose page moves to
another topic would stay in the old topic's deck; its tags do change.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import re
import sqlite3
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import genanki

from handbook.study.changes import Changes
from handbook.study.elsewhere import bare, relinked
from handbook.study.questions import KINDS, Card, Source

NAME = "Weights & Measures"
"""The name of the deck and of the note type. Anki finds the deck by it, and not by an id: of a reader who has renamed
the deck, new cards go to a second one."""
DECK, NOTE_TYPE = 1_607_392_319, 1_795_824_001
"""The ids of both in the package. Anki keeps that of the note type, by which it finds it again."""
FIRST_NOTE = 1_795_824_000_000
"""The first id of a note, in milliseconds since 1970: Anki shows the day that it stands for as that of creation."""
FIELDS = ("Question", "Answer", "Kind", "Source", "ID")
"""The names of the fields. With one more, or another, Anki leaves the notes that a reader has as they are, and
imports new ones under a second note type, unless the reader has it merge note types."""
FRONT = '<p class="kind">{{Kind}}</p>\n<div class="question">{{Question}}</div>'
BACK = '{{FrontSide}}\n<hr id="answer">\n{{Answer}}\n<p class="source">From {{Source}}</p>'
STYLE = Path(__file__).parent.parent / "templates" / "anki.css"
ZIPPED = (1980, 1, 1, 0, 0, 0)
"""The time of each file of a package, so that one commit gives one package: the earliest that a ZIP file knows."""

COMMAND = re.compile(r"\[(?=/?(?:sound:|anki:|latex\]|\$))")
"""What Anki takes for a sound or for LaTeX wherever it stands, in code too."""
IMAGE = re.compile(r'(?P<before><img\b[^>]*?\ssrc=")(?P<address>[^"]*)(?=")')
COLOURS = re.compile(r"--wm-[\w-]+: #[0-9a-f]{3,8};")


class Note(genanki.Note):  # type: ignore[misc]
    """A note with an id and a time of change of its own, in place of the package's."""

    def __init__(self, card: Card, second: int, **fields: Any) -> None:
        super().__init__(guid=card.id, **fields)
        self.first = FIRST_NOTE + 2 * int(card.id.removeprefix("card-"), 16)  # and the next is the card's
        self.second = second

    def write_to_db(self, cursor: sqlite3.Cursor, timestamp: float, deck_id: int, id_gen: Iterator[int]) -> None:
        """Write the note and its card into a collection."""
        super().write_to_db(cursor, self.second, deck_id, itertools.count(self.first))


def package(cards: Iterable[Card], site: Path, address: str, changed: Changes) -> bytes:
    """Pack cards for Anki.

    Args:
        cards: The cards, in the order in which Anki shows new ones.
        site: The folder of the built site, with the images that cards show and the colours that they have.
        address: The site's address, to which links lead.
        changed: When what a card says last changed: a time that only grows from release to release.

    Returns:
        The package, which is the same for the same arguments.

    Raises:
        ValueError: A card shows an image that is not of the site.
    """
    media: dict[str, bytes] = {}
    tokens = site / "assets/css/tokens.css"
    model = genanki.Model(
        NOTE_TYPE,
        NAME,
        fields=[{"name": name} for name in FIELDS],
        templates=[{"name": "Card", "qfmt": FRONT, "afmt": BACK}],
        css=style(tokens.read_text("utf-8") if tokens.is_file() else ""),
    )
    deck = genanki.Deck(DECK, NAME, f'Questions of <a href="{address}">{address}</a>, and what answers them.')
    for place, card in enumerate(cards):
        source = card.source
        link = f'<a href="{address}{source.url}#{card.id}">{escape(source.title)}</a>'
        sides = (_html(html, source, site, address, media) for html in (card.question, card.answer))
        deck.add_note(
            Note(
                card,
                changed(source),
                model=model,
                fields=[*sides, KINDS[card.kind], link, card.id],
                tags=tags(card),
                due=place,
            )
        )
    collection = sqlite3.connect(":memory:")
    with warnings.catch_warnings():  # it takes a tag with a line break in it for a text with a < in it
        warnings.simplefilter("ignore")
        genanki.Package(deck).write_to_db(collection.cursor(), changed(None), itertools.count())
    collection.commit()
    names = {str(number): name for number, name in enumerate(sorted(media))}
    files = {"collection.anki2": collection.serialize(), "media": json.dumps(names).encode()}
    return _zip(files | {number: media[name] for number, name in names.items()})


def tags(card: Card) -> list[str]:
    """The tags of a note: its topic, its page and its kind, each below one tag that is the handbook's."""
    page = card.source.page.rpartition(".")[0].replace("/", "::")
    words = f"topic::{card.source.topic}", f"page::{page}", f"kind::{card.kind}"
    return [f"weights-and-measures::{word.replace(' ', '_')}" for word in words]


def style(tokens: str) -> str:
    """The style of a note: the site's colours in both schemes, from its tokens.css, and the rules that use them."""
    light, _, dark = tokens.partition("@media print")[0].partition('[data-md-color-scheme="slate"]')
    night = ".card.nightMode, .nightMode .card, .card.night_mode, .night_mode .card"
    colours = (f"{{ {' '.join(COLOURS.findall(part))} }}" for part in (light, dark))
    return "\n".join([f".card {next(colours)}", f"{night} {next(colours)}", STYLE.read_text("utf-8")])


def _html(html: str, source: Source, site: Path, address: str, media: dict[str, bytes]) -> str:
    """HTML of a page as a field: links lead to the site, images become media, what only a page needs is left out."""

    def packed(found: re.Match[str]) -> str:
        to = found["address"]
        if to.startswith("data:"):
            return found[0]
        path = site / unquote(to.removeprefix(address))
        if not to.startswith(address) or not path.is_file():
            raise ValueError(f"{source.page} shows {to} in a card: an image of the site can be packed, this cannot")
        content = path.read_bytes()
        # Of two media of one name Anki renames the second, so a name says its content.
        name = f"{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}{path.suffix}"
        media[name] = content
        return f"{found['before']}{name}"

    return IMAGE.sub(packed, relinked(COMMAND.sub("&#91;", bare(html)), source, address))


def _zip(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, ZIPPED), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()
