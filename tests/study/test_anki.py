"""The package for Anki, as Anki itself imports it: once, and again after a release."""

import io
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from time import time

import markdown
import pytest
from anki.collection import Collection, ImportAnkiPackageRequest
from anki.import_export_pb2 import IMPORT_ANKI_PACKAGE_UPDATE_CONDITION_ALWAYS as ALWAYS
from anki.notes import Note

from handbook.study import anki
from handbook.study.changes import NOTES, STYLE, changes
from handbook.study.questions import Card, Source, cards, mark

ROOT = Path(__file__).parent.parent.parent
ADDRESS = "https://example.org/book/"
RELEASED = 1_790_000_000

DECODING = Source("decoding/beams.md", "decoding/beams/", "Beams & greed", "Decoding")
PAGE = """
??? question predict card-000001 "What does `max` of an empty list do?"

    It raises, `[sound:a.mp3]` and `[$]x[/$]` stay, and so does `{{Answer}}`.
    Evidence: [the program](#beams), and [sizes](../../models/sizes/).

    ```python
    max([])  # ValueError
    ```

??? question compare card-000002 "Which is larger, 2¹⁰ or 10³?"

    | | Bytes |
    | --- | ---: |
    | KiB | 1,024 |

    2<sup>10</sup>. ![A ruler](../../assets/ruler.png)

??? question explain card-000003 "Why does the KV line rise?"

    <figure class="plot"><svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9"><defs><path id="plot-1-m"
    d="M 0 0
    L 1 1" style="stroke: var(--wm-1, #17756a)"/></defs><use xlink:href="#plot-1-m" x="1"/></svg></figure>

??? question estimate card-0000ff "How many bytes are 3 GB?"

    3 × 10⁹.

*[KV]: Keys and values
"""
EXTENSIONS = [
    "abbr",
    "tables",
    "pymdownx.details",
    "pymdownx.superfences",
    "pymdownx.highlight",
    "pymdownx.inlinehilite",
]


@pytest.fixture(scope="module")
def questions() -> list[Card]:
    html = markdown.markdown(PAGE, extensions=EXTENSIONS)
    return list(cards(mark(html), DECODING))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site/assets/css").mkdir(parents=True)
    (tmp_path / "site/assets/css/tokens.css").write_bytes((ROOT / "docs/assets/css/tokens.css").read_bytes())
    (tmp_path / "site/assets/ruler.png").write_bytes(b"\x89PNG, or so")
    return tmp_path / "site"


class Reader:
    """Somebody with Anki and a collection of their own."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.collection = Collection(str(folder / "reader.anki2"))
        self.site, self.path = site, folder / "weights-and-measures.apkg"

    def imports(self, cards: list[Card], second: int = RELEASED, *recent: str, **options: int) -> dict[str, int]:
        """Import a package by the options that Anki offers, or others; pages of cards named are a minute younger."""
        pages = {card.source.page for card in cards if card.id in recent}
        content = anki.package(cards, self.site, ADDRESS, lambda of: second + 60 if of and of.page in pages else second)
        self.path.write_bytes(content)
        chosen = self.collection._backend.get_import_anki_package_presets()
        for name, choice in options.items():
            setattr(chosen, name, choice)
        request = ImportAnkiPackageRequest(package_path=str(self.path), options=chosen)
        log = self.collection.import_anki_package(request).log
        kinds = ("new", "updated", "duplicate", "conflicting", "first_field_match", "missing_notetype", "missing_deck")
        return {kind: len(getattr(log, kind)) for kind in kinds if getattr(log, kind)}

    def note(self, card: str) -> Note:
        (found,) = self.collection.find_notes(f"ID:{card}")
        return self.collection.get_note(found)

    def schedules(self) -> dict[str, tuple[int, ...]]:
        """What Anki knows of each card: type, queue, due, interval, ease, repetitions, lapses, deck, flag, time."""
        columns = "guid, type, queue, due, ivl, factor, reps, lapses, did, c.flags, c.mod"
        rows = self.collection.db.all(f"SELECT {columns} FROM cards c JOIN notes n ON n.id = nid")
        return {guid: tuple(row) for guid, *row in rows}


@pytest.fixture
def reader(tmp_path: Path, site: Path) -> Iterator[Reader]:
    reader = Reader(tmp_path, site)
    yield reader
    reader.collection.close()


def test_anki_imports_the_cards(reader: Reader, questions: list[Card]):
    assert reader.imports(questions) == {"new": 4}
    note = reader.note("card-000001")
    assert note.keys() == list(anki.FIELDS)
    assert note["Question"] == "What does <code>max</code> of an empty list do?"
    assert note["Kind"] == "Say what will happen before you run it"
    assert note["Source"] == f'<a href="{ADDRESS}decoding/beams/#card-000001">Beams &amp; greed</a>'
    assert note.tags == [
        f"weights-and-measures::{word}" for word in ("kind::predict", "page::decoding::beams", "topic::Decoding")
    ]
    (card,) = note.cards()
    assert reader.collection.decks.name(card.did) == "Weights & Measures"
    assert reader.collection.decks.name(card.did).count("::") == 0
    order = [reader.schedules()[card.id][2] for card in questions]
    assert order == sorted(order), "new cards come in the order of the site"
    assert {row[0] for row in reader.schedules().values()} == {0}, "all are new"


def test_anki_shows_code_tables_figures_and_images(reader: Reader, questions: list[Card]):
    reader.imports(questions)
    shown = {card.id: reader.note(card.id).cards()[0].render_output() for card in questions}
    code = unescape(shown["card-000001"].answer_text)
    assert "<code>[sound:a.mp3]</code> and <code>[$]x[/$]</code> stay, and so does <code>{{Answer}}</code>" in code
    assert not shown["card-000001"].answer_av_tags
    assert '<span class="nb">max</span>' in code and "codelineno" not in code
    assert f'href="{ADDRESS}decoding/beams/#beams"' in code and f'href="{ADDRESS}models/sizes/"' in code
    assert "2¹⁰" in shown["card-000002"].question_text and "2<sup>10</sup>" in shown["card-000002"].answer_text
    assert '<td style="text-align: right;">1,024</td>' in shown["card-000002"].answer_text
    figure = shown["card-000003"].answer_text
    assert 'xlink:href="#plot-1-m"' in figure and 'id="plot-1-m"' in figure, "a figure refers to its own parts"
    assert '<abbr title="Keys and values">KV</abbr>' in shown["card-000003"].question_text
    (image,) = re.findall(r'<img[^>]* src="([^"]*)"', shown["card-000002"].answer_text)
    assert re.fullmatch(r"ruler-[0-9a-f]{8}\.png", image)
    assert (Path(reader.collection.media.dir()) / image).read_bytes() == b"\x89PNG, or so"
    media = reader.collection.media.check()
    assert not media.missing and not media.unused
    style = shown["card-000001"].css
    used = set(re.findall(r"var\((--wm-[\w-]+)", style + figure))
    light, night = (re.search(rf"^{name} {{(.*)}}$", style, re.M)[1] for name in (r"\.card", r"\.card\.nightMode,.*"))
    assert all(f"{name}: #" in light and f"{name}: #" in night for name in used)
    assert not re.search(
        r"<script|url\(|@import|src=.http", style + "".join(side.answer_text for side in shown.values())
    )


def test_a_second_import_updates_and_keeps_schedules(reader: Reader, questions: list[Card]):
    first, second, third, last = questions
    reader.imports(questions)
    collection = reader.collection
    collection.decks.select(collection.decks.id(anki.NAME))
    for grade in (4, 1):  # easy, again
        card = collection.sched.getCard()
        card.start_timer()
        collection.sched.answerCard(card, grade)
    collection.set_user_flag_for_cards(3, reader.note(first.id).card_ids())
    before = reader.schedules()
    assert before[first.id][8] == 3
    assert [before[card.id][5] for card in (first, second)] == [1, 1], "two are answered"
    assert reader.imports(questions) == {"duplicate": 4}, "the same again changes nothing"

    training = Source("training/beams.md", "training/beams/", "Beams", "Training")
    reworded = replace(first, question="What does <code>max</code> do with nothing?")
    moved = replace(second, source=training)
    new = Card("card-0000aa", "diagnose", "Why nothing?", "Why not?", training)
    release = [reworded, moved, last, new]  # and the third is gone
    assert reader.imports(release, RELEASED, reworded.id, moved.id) == {"new": 1, "updated": 3}
    assert collection.note_count() == collection.card_count() == 5, "no duplicates; what the site dropped stays"
    assert reader.note(first.id)["Question"] == reworded.question
    assert "weights-and-measures::topic::Training" in reader.note(second.id).tags
    assert "weights-and-measures::topic::Decoding" not in reader.note(second.id).tags
    assert f"{ADDRESS}training/beams/#{second.id}" in reader.note(second.id)["Source"]
    assert reader.note(third.id)["Question"] == third.question
    after = reader.schedules()
    assert {guid: after[guid] for guid in before} == before, "the schedules of all are as they were"
    assert len({row[7] for row in after.values()}) == 1, "in one deck"
    assert [model["name"] for model in collection.models.all() if model["name"].startswith(anki.NAME)] == [anki.NAME]
    assert reader.imports(questions) == {"duplicate": 4}, "an older package takes nothing back"
    assert reader.note(first.id)["Question"] == reworded.question


def test_a_note_that_says_what_it_said_keeps_what_its_reader_added(reader: Reader, questions: list[Card]):
    other = replace(questions[3], source=Source("models/sizes.md", "models/sizes/", "Sizes", "Models"))
    reader.imports([questions[0], other])
    note = reader.note(other.id)
    note.tags.append("mine")
    reader.collection.update_note(note)
    reader.collection.db.execute("UPDATE notes SET mod = ?", RELEASED)  # as if tagged on that day
    assert reader.imports([questions[0], other], RELEASED, questions[0].id) == {"updated": 1, "duplicate": 1}
    assert "mine" in reader.note(other.id).tags
    assert reader.imports([questions[0], other], RELEASED, other.id) == {"updated": 1, "duplicate": 1}
    assert "mine" not in reader.note(other.id).tags, "Anki replaces the tags of a note that it updates"
    note = reader.note(other.id)
    note.tags.append("mine")
    reader.collection.update_note(note)  # which is later than any of these releases
    mended = [questions[0], replace(other, question="How many?")]
    passed_over = reader.imports(mended, RELEASED + 90)
    assert passed_over == {"updated": 1, "duplicate": 1}, "what its reader has touched since is passed over"
    assert reader.imports(mended, RELEASED + 90, update_notes=ALWAYS) == {"updated": 1, "duplicate": 1}
    assert reader.note(other.id)["Question"] == "How many?"


def test_a_deleted_note_comes_back_and_a_field_of_the_readers_needs_merging(reader: Reader, questions: list[Card]):
    reader.imports(questions)
    collection = reader.collection
    collection.remove_notes([reader.note("card-000001").id])
    assert reader.imports(questions) == {"new": 1, "duplicate": 3}
    model = collection.models.by_name(anki.NAME)
    collection.models.add_field(model, collection.models.new_field("Mine"))
    collection.models.update_dict(model)
    later = int(time()) + 60  # since a note with another field is a changed one
    assert reader.imports(questions, later) == {"conflicting": 4}
    assert reader.imports(questions, later, merge_notetypes=True) == {"updated": 4}
    assert reader.note("card-000001").keys() == [*anki.FIELDS, "Mine"]


def test_a_release_with_another_style_brings_it(reader: Reader, questions: list[Card]):
    reader.imports(questions)
    tokens = reader.site / "assets/css/tokens.css"
    tokens.write_text(tokens.read_text("utf-8").replace("#f6f0e3", "#fffff0"), "utf-8")
    assert reader.imports(questions, RELEASED + 1) == {"updated": 4}
    assert "--wm-paper: #fffff0" in reader.note("card-000001").cards()[0].render_output().css


def test_what_anki_knows_notes_and_cards_by_never_changes(reader: Reader, questions: list[Card]):
    """Another field, name or id would have Anki leave the notes of every reader as they are, for good."""
    reader.imports(questions)
    (model,) = (model for model in reader.collection.models.all() if model["id"] == 1_795_824_001)
    assert [field["name"] for field in model["flds"]] == ["Question", "Answer", "Kind", "Source", "ID"]
    assert [template["name"] for template in model["tmpls"]] == ["Card"]
    decks = reader.collection.decks
    decks.rename(decks.id("Weights & Measures"), "Exam")
    reader.imports([*questions, replace(questions[0], id="card-0000ee")])
    found = {card.id: decks.name(reader.note(card.id).cards()[0].did) for card in questions}
    assert set(found.values()) == {"Exam"}
    assert decks.name(reader.note("card-0000ee").cards()[0].did) == "Weights & Measures", "it is found by its name"
    note = reader.note("card-0000ff")
    assert (note.guid, note.id) == ("card-0000ff", 1_795_824_000_510)


def test_one_commit_gives_one_package(site: Path, questions: list[Card]):
    def packed() -> bytes:
        return anki.package(questions, site, ADDRESS, lambda _: RELEASED)

    assert packed() == packed()
    times = {file.date_time for file in zipfile.ZipFile(io.BytesIO(packed())).infolist()}
    assert times == {(1980, 1, 1, 0, 0, 0)}, "nothing in it is of the day of the build"


@pytest.mark.parametrize("image", ["https://example.com/a.png", f"{ADDRESS}assets/none.png"])
def test_an_image_that_cannot_be_packed_is_refused(site: Path, questions: list[Card], image: str):
    card = replace(questions[0], answer=f'<img alt="" src="{image}">')
    with pytest.raises(ValueError, match=rf"decoding/beams\.md shows {re.escape(image)}"):
        anki.package([card], site, ADDRESS, lambda _: RELEASED)


def test_what_makes_a_note_makes_it_younger():
    imported = re.findall(r"^from handbook\.study\.(\w+) import", Path(anki.__file__).read_text("utf-8"), re.MULTILINE)
    assert {f"src/handbook/study/{name}.py" for name in {"anki", *imported} - {"changes"}} == set(NOTES)
    assert all((ROOT / path).is_file() for path in NOTES + STYLE)


def test_a_card_is_as_old_as_the_commit_that_changed_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def commit(second: int, **files: str) -> None:
        for name, text in files.items():
            path = tmp_path / {"nav": "mkdocs.yml", "record": "tests/expected/a.txt"}.get(name, f"docs/{name}.md")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        date = {"GIT_COMMITTER_DATE": f"{second} +0000", "GIT_AUTHOR_DATE": "1000000000 +0000"}
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
        subprocess.run(["git", *who, "commit", "-qm", "x"], cwd=tmp_path, check=True, env=os.environ | date)

    def ages(topic: str = "Models", **options: bool) -> list[int]:
        of = changes(tmp_path, **options)
        return [of(Source(f"{page}.md", f"{page}/", page, topic)) for page in "ab"]

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1234567890")
    assert ages() == [1234567890] * 2, "where there is no git"
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    nav = "nav:\n  - Models:\n      - a.md\n      - b.md\n"
    commit(1_700_000_000, nav=nav, a="a", b="b")
    assert ages() == [1_700_000_000] * 2
    commit(1_700_000_001, a="A")
    assert ages() == [1_700_000_001, 1_700_000_000]
    commit(1_700_000_002, record="A")
    assert ages() == [1_700_000_002, 1_700_000_000], "a number that a program prints has changed"
    commit(1_700_000_003, nav=nav + "  - Training:\n      - c.md\n")
    assert ages() == [1_700_000_002, 1_700_000_000]
    commit(1_700_000_004, nav="nav:\n  - Models:\n      - a.md\n  - Training:\n      - c.md\n      - b.md\n")
    assert ages() == [1_700_000_002, 1_700_000_004], "the page has moved to another topic"
    assert ages(committed=False) == [1234567890] * 2
