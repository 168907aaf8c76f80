"""Study cards: those of the pages keep the rules, each rule refuses what it is for, and no id is lost."""

from __future__ import annotations

import re
from pathlib import Path

import markdown
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handbook.study import register
from handbook.study.elsewhere import relinked, renamed
from handbook.study.questions import KINDS, Source, cards, mark, problems
from handbook.study.rules import broken_rules, faults, twins
from handbook.study.texts import CardText, all_cards, cards_in

ROOT = Path(__file__).parent.parent.parent
GOOD = '??? question estimate card-3f9a1c "How large are 7 tensors?"\n\n    `=size` GB. Evidence: [Sizes](#sizes).\n'


@pytest.fixture(scope="module")
def written() -> list[CardText]:
    """The cards of all pages."""
    return all_cards(ROOT)


def one(text: str) -> CardText:
    (card,) = cards_in(text, "a.md")
    return card


def test_the_cards_of_the_pages_keep_the_rules(written: list[CardText]) -> None:
    wrong = broken_rules(ROOT, written)
    assert not wrong, "\n".join(wrong)


def test_no_id_of_a_card_is_lost(written: list[CardText]) -> None:
    wrong = register.lost(written, register.read(ROOT))
    assert not wrong, "\n".join(wrong)


def test_the_deck_asks_for_more_than_reasons(written: list[CardText]) -> None:
    counts = {kind: sum(card.kinds == [kind] for card in written) for kind in KINDS}
    assert len(written) >= 155 and min(counts.values()) >= 10 and counts["explain"] <= len(written) / 2, counts


@pytest.mark.parametrize(
    "words",
    [
        ("architecture", "weights", "difference"),
        ("tokenizer", "boundary"),
        ("embedding model", "produce"),
        ("same weights", "production"),
        ("checkpoint", "model"),
    ],
)
def test_the_cards_of_the_source_are_there(words: tuple[str, ...], written: list[CardText]) -> None:
    assert [card for card in written if all(word in card.question for word in words)]


@pytest.mark.parametrize("script", ["desk.js", "asked.js"])
def test_the_scripts_know_all_kinds(script: str) -> None:
    text = (ROOT / "docs/assets/js/study" / script).read_text("utf-8")
    named = re.search(r"^(?:export )?const KINDS = ([{\[].*?[\]}]);", text, re.MULTILINE | re.DOTALL)
    assert named and not [kind for kind in KINDS if not re.search(rf"\b{kind}\b", named[1])]


def test_a_card_is_read_as_it_stands() -> None:
    card = one(GOOD)
    assert (card.page, card.line, card.id, card.kinds) == ("a.md", 1, "card-3f9a1c", ["estimate"])
    assert card.question == "How large are 7 tensors?" and card.answer == "`=size` GB. Evidence: [Sizes](#sizes)."
    assert not list(faults(card, ""))


def test_a_card_in_a_list_and_one_in_a_fence() -> None:
    text = '- a\n\n    ??? question explain card-000001 "Why?"\n        Since [so](#b).\n\n    After.\n\n'
    text += '````md\n```\n??? question "No"\n```\n````\n\n??? question "Last"\n\n    x\n'
    first, last = cards_in(text, "a.md")
    assert first.answer == "Since [so](#b)." and last.question == "Last" and last.line == 14


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("estimate ", "", "says what it asks for"),
        ("estimate", "estimate predict", "says what it asks for"),
        (" card-3f9a1c", "", "has no id"),
        ("card-3f9a1c", "card-3F9A1C", "has no id"),
        ("card-3f9a1c", "card-3f9a1c important", "words that mean nothing: important"),
        ("`=size` GB. Evidence: [Sizes](#sizes).", "", "has no answer"),
        ("[Sizes](#sizes)", "[Sizes](../sizes.md)", "links no evidence"),
        ("GB.", "GB." + " word" * 120, "answers in 124 words"),
        ("`=size`", "14.2", "answers with 14.2"),
        ("`=size`", "2 ×", "answers with 2"),
        ("`=size`", "7 and 1,024", "answers with 1,024"),
    ],
)
def test_a_rule_refuses(old: str, new: str, fault: str) -> None:
    assert old in GOOD
    assert any(fault in found for found in faults(one(GOOD.replace(old, new)), ""))


@pytest.mark.parametrize("number", ["7", "0", "1", "float32", "8-bit", "top-5", "`14`", "1,234", "[a](b.md#step-3)"])
def test_a_number_may_be_given_or_printed_or_part_of_a_name(number: str) -> None:
    assert not list(faults(one(GOOD.replace("GB", number)), "it has 1,234 of them"))


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("Why does a tokenizer belong to the model?", "Why do tokenizers belong to a model?", True),
        ("What does a tokenizer do?", "What does a weights file do?", False),
        ("Estimate the bytes of a 7B model in bfloat16.", "Estimate the bytes of a 7B model's optimizer.", False),
    ],
)
def test_near_duplicates_are_found(a: str, b: str, same: bool) -> None:
    both = [CardText("a.md", line, (), question, "") for line, question in enumerate((a, b))]
    assert bool(list(twins(both))) == same


# Identity


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A repository with two pages of cards, of which one has no id."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "docs" / "a.md").write_text(GOOD + '\n??? question explain "Why?"\n\n    So.\n', "utf-8")
    (tmp_path / "docs" / "b.md").write_text(GOOD.replace("3f9a1c", "000000"), "utf-8")
    return tmp_path


def found(book: Path) -> str:
    return "\n".join(register.lost(all_cards(book), register.read(book)))


def test_an_id_is_given_once(book: Path) -> None:
    assert register.renew(book) == 1
    text = (book / "docs" / "a.md").read_text("utf-8")
    (_, given, _) = all_cards(book)
    assert given.id and given.question == "Why?" and not found(book)
    assert register.renew(book) == 0 and (book / "docs" / "a.md").read_text("utf-8") == text


def test_a_header_that_a_fence_shows_gets_no_id(book: Path) -> None:
    page = book / "docs" / "a.md"
    example = '\n```md\n??? question explain "Why not?"\n```\n'
    page.write_text(example + page.read_text("utf-8") + example, "utf-8")
    assert register.renew(book) == 1
    assert page.read_text("utf-8").count(example) == 2 and not found(book)


def test_a_reworded_card_keeps_its_id_or_is_missed(book: Path) -> None:
    register.renew(book)
    page = book / "docs" / "b.md"
    page.write_text(page.read_text("utf-8").replace("How large are", "What do they weigh,"), "utf-8")
    assert not found(book)
    page.write_text(page.read_text("utf-8").replace(" card-000000", ""), "utf-8")
    register.renew(book)
    assert "b.md: card-000000 has gone, and readers' reviews with it" in found(book)


def test_a_card_that_is_retired_is_not_missed_and_its_id_not_used_again(book: Path) -> None:
    register.renew(book)
    path = book / register.REGISTER
    path.write_text(path.read_text("utf-8").replace("card-000000 b.md", "card-000000 retired: too easy"), "utf-8")
    assert "card-000000 was retired" in found(book)
    (book / "docs" / "b.md").unlink()
    register.renew(book)
    assert not found(book) and "card-000000 retired: too easy" in path.read_text("utf-8")


def test_a_card_may_move_and_two_may_not_share_an_id(book: Path) -> None:
    register.renew(book)
    (book / "docs" / "b.md").rename(book / "docs" / "c.md")
    assert "c.md:1: card-000000 is not in" in found(book)
    register.renew(book)
    assert not found(book)
    (book / "docs" / "d.md").write_text(GOOD, "utf-8")
    assert "d.md:1: card-3f9a1c is on another card too (a.md:1)" in found(book)


# From HTML

PAGE = """<h2 id="problems">Problems<a href="#problems">¶</a></h2>
<p><strong>1.</strong> How many?</p>
<div class="problem" data-answer="3" data-unit="tokens" data-within="0" hidden>
<p class="mistake" data-value="4">One too many.</p>
</div>
<details class="success"><summary>Answer</summary><p>3: <a href="../b/#c">c</a></p>
<details class="abstract"><summary>Why</summary></details></details>
<p><strong>2.</strong> Folded only?</p>
<details class="success"><summary>Answer</summary><p>Yes</p></details>
<h2 id="problem">Problem</h2>
<p><strong>3.</strong> How large?</p><table></table>
<div class="problem" data-answer="5" data-unit="GB" data-within="1" hidden>
</div>
<details class="success"><summary>Answer</summary><p>5 GB</p></details>
<details class="question explain card-3f9a1c">
<summary>Why <code>x</code>?</summary>
<p>So: <img src="i.png"></p><details class="note"><summary>a</summary></details></details>
<details class="question"><summary>No card</summary></details>
"""
SOURCE = Source("a/b.md", "a/b/", "B", "A")


def test_cards_and_problems_are_read_from_html() -> None:
    html = mark(PAGE)
    (card,) = cards(html, SOURCE)
    assert (card.id, card.kind, card.question) == ("card-3f9a1c", "explain", "Why <code>x</code>?")
    assert card.answer.startswith("<p>So") and card.answer.endswith("</details>")
    first, third = problems(html, SOURCE)
    assert first.id == "a/b-1" and first.question == "<p><strong>1.</strong> How many?</p>"
    assert (first.section, third.section) == ("problems", "problem")
    assert 'data-value="4"' in first.answer and first.worked.endswith("</details></details>")
    assert third.question == "<p><strong>3.</strong> How large?</p><table></table>" and "5 GB" in third.worked


def test_a_card_may_be_unfolded_on_its_page() -> None:
    text = GOOD.replace("???", "???+")
    html = mark(markdown.markdown(text, extensions=["pymdownx.details"]))
    assert [card.id for card in cards_in(text, "a.md")] == [card.id for card in cards(html, SOURCE)] == ["card-3f9a1c"]
    assert ' open="open">' in html


def test_links_lead_where_they_led() -> None:
    html = '<a href="../c/#d"> <a href="#e"> <img src="i.png"> <a href="https://a.test/"> <a href="..">'
    assert relinked(html, SOURCE, "cards/") == (
        '<a href="../a/c/#d"> <a href="../a/b/#e"> <img src="../a/b/i.png"> <a href="https://a.test/"> <a href="../a/">'
    )
    assert relinked(html, SOURCE, "https://b.test/site/").startswith(
        '<a href="https://b.test/site/a/c/#d"> <a href="https://b.test/site/a/b/#e">'
    )


FIGURE = """<figure><svg aria-label="A mark" aria-labelledby="t m"><title id="t">T</title><path id="m"/>
<clipPath id="c"/><use xlink:href="#m"/><g clip-path="url(#c)"/></svg></figure><a href="#m">m</a> <a href="#e">e</a>
<input type="radio" name="tabs" id="tab"><label for="tab">Tab</label>"""


def test_a_figure_that_stands_elsewhere_refers_to_its_own_parts() -> None:
    moved = relinked(FIGURE, SOURCE, "cards/")
    assert moved == FIGURE.replace('"#e"', '"../a/b/#e"')
    own = renamed(moved, "card-3f9a1c-")
    for changed in (
        'aria-label="A mark" aria-labelledby="card-3f9a1c-t card-3f9a1c-m"',
        '<path id="card-3f9a1c-m"/>',
        '<use xlink:href="#card-3f9a1c-m"/>',
        'clip-path="url(#card-3f9a1c-c)"',
        '<a href="#card-3f9a1c-m">m</a> <a href="../a/b/#e">e</a>',
        'name="card-3f9a1c-tabs" id="card-3f9a1c-tab"><label for="card-3f9a1c-tab">',
    ):
        assert changed in own


PIECES = ['<details class="question', " card-3f9a1c", " explain", " predict", '"', ' open="open"', ">"]
PIECES += [
    "<summary>Why?</summary>",
    "<summary>",
    "a",
    *[f"{PIECES[0]} explain card-3f9a1c{end}" for end in ('">', '"')],
]
WELL_FORMED = r'"question(?: card-3f9a1c (?:explain|predict)| (?:explain|predict) card-3f9a1c)"(?: open="open")?>'


def unmarked(html: str) -> str:
    """What was marked, with the kind before the id."""
    html = re.sub(r'"question card" id="([^"]*)" data-kind="([^"]*)"', r'"question \2 \1"', html)
    html = re.sub(r'<h3 id="q-card-3f9a1c">(.*?)</h3>', r"\1", html)
    return re.sub(r'"question (card-3f9a1c) (explain|predict)"', r'"question \2 \1"', html)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example('<details class="question explain card-3f9a1c"><details class="question card-3f9a1c explain predict">')
@example('<details class="question card-3f9a1c explain" open="open"><summary>Why?</summary>')
def test_marking_changes_cards_alone_and_loses_nothing(text: str) -> None:
    marked = mark(text)
    assert mark(marked) == marked
    assert unmarked(marked) == unmarked(text)
    cards = re.findall(rf"<details class={WELL_FORMED}<summary>.*?</summary>", text)
    assert marked.count('id="card-3f9a1c"') == marked.count("<h3 ") == len(cards)
