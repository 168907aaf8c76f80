"""The mock interview: the same draw for the same number, and an interview from its start to what is printed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

from handbook.study.export import deck_json
from handbook.study.interview import CARDS, DRAW, PROBLEMS, draw, interview, pick
from handbook.study.questions import Card, Problem, Source

from .shared import dress, violations

KINDS = ["predict", "compare", "diagnose", "estimate", "explain"]
TOPICS = {"Models": 5, "Checkpoints & files": 4, "Inference": 4, "Decoding": 3, "Training": 1}
FIELD = """<div class="problem" data-answer="{}" data-unit="GB" data-within="1" hidden>
<p class="hint">Twice the place.</p></div>"""


def source(topic: str, page: int) -> Source:
    path = f"{topic.split()[0].lower()}/page-{page}"
    return Source(f"{path}.md", f"{path}/", f"{topic} <pad> {page}", topic)


def card(topic: str, page: int, place: int) -> Card:
    where = source(topic, page)
    name = f"card-{list(TOPICS).index(topic):x}{page:x}{place:x}abc"
    evidence = f'<p>Evidence: <a href="#shown-{place}">Section {place}</a>.</p>'
    kind = KINDS[(page + place) % 5]
    question = f"{topic.split()[0]} {page}.{place}: why <code>x</code>?"
    figure = '<svg width="9" height="9"><clipPath id="c"/><g clip-path="url(#c)"/></svg>'
    return Card(name, kind, question, f"<p>Because of {name}.</p>{figure}{evidence}", where)


def problem(topic: str, page: int, place: int) -> Problem:
    where = source(topic, page)
    name = f"{where.page.removesuffix('.md')}-{place}"
    question = f"<p><strong>{place}.</strong> How large is {name}?</p>"
    worked = f'<details class="success"><summary>Answer</summary><p><strong>{place}</strong> GB.</p></details>'
    return Problem(name, question, FIELD.format(place), worked, where, f"problem-{place}")


ALL_CARDS = [
    card(topic, page, place) for topic, pages in TOPICS.items() for page in range(pages) for place in (1, 2, 3)
]
ALL_PROBLEMS = [
    problem(topic, page, place) for topic, pages in TOPICS.items() for page in range(pages) for place in (1, 2)
]
DECK = deck_json(ALL_CARDS, ALL_PROBLEMS, "https://example.org/")


@settings(max_examples=30)
@given(number=st.integers(1, 9999), count=st.integers(1, 12), data=st.data())
def test_a_draw_spreads(number: int, count: int, data: st.DataObject) -> None:
    cards = data.draw(st.permutations(ALL_CARDS))
    picked = pick(cards, number, count)
    assert picked == pick(ALL_CARDS, number, count)  # whatever their order
    assert len({one.source.url for one in picked}) == count
    share = Counter(one.source.topic for one in ALL_CARDS)
    for topic, had in Counter(one.source.topic for one in picked).items():
        assert had <= -(-count * share[topic] // len(ALL_CARDS))


def test_a_draw_of_few_has_all_of_them() -> None:
    few = ALL_CARDS[:3]  # of one page
    assert {one.id for one in pick(few, 7, 10)} == {one.id for one in few}
    assert draw(few, [], 7) == pick(few, 7, 10)
    assert draw([], [], 7) == []


def test_a_card_more_changes_little() -> None:
    for number in range(1, 60):
        before, after = (pick(cards, number, 10) for cards in (ALL_CARDS[1:], ALL_CARDS))
        assert len({one.id for one in before} & {one.id for one in after}) >= 8


def test_an_interview_covers_and_asks_no_page_twice() -> None:
    for number in range(1, 60):
        asked = draw(ALL_CARDS, ALL_PROBLEMS, number)
        kinds = ["card" if isinstance(one, Card) else "problem" for one in asked]
        assert kinds == ["card", "card", "problem"] * PROBLEMS
        assert len({one.source.url for one in asked}) == CARDS + PROBLEMS  # of 17 pages
        assert len({one.source.topic for one in asked}) >= 4


def test_the_page_without_scripts() -> None:
    html = interview(ALL_CARDS, ALL_PROBLEMS)
    asked = draw(ALL_CARDS, ALL_PROBLEMS, DRAW)
    assert html.count("<li>") == len(asked) == CARDS + PROBLEMS
    assert "data-answer" not in html  # there is no field without a script
    assert "<strong>1.</strong>" not in html and "&amp;amp;" not in html
    for one in asked:
        assert (one.question if isinstance(one, Card) else one.id) in html
        section = one.id if isinstance(one, Card) else one.section
        assert f'href="../{one.source.url}#{section}"' in html
    for clip in re.findall(r"url\(#([^)]*)", html):
        assert html.count(f'id="{clip}"') == 1, "a figure has its own parts, whatever other pages call theirs"
    assert html.count("url(#") == CARDS


PAGE = """<!doctype html><html lang="en"><head><title>Mock interview</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="../material.css"><link rel="stylesheet" href="../assets/css/tokens.css">
<link rel="stylesheet" href="../assets/css/site.css"><link rel="stylesheet" href="../assets/css/study.css"></head>
<body data-md-color-scheme="SCHEME"><main class="md-content"><article class="md-content__inner md-typeset">
<h1>Mock interview</h1><p class="lead">All of it.</p><h2>Hold it</h2>DRAW<h2>By hand</h2></article></main>
<script type="module">
    import { mountInterview } from "../assets/js/study/interview.js"
    mountInterview(document)
    mountInterview(document)
</script></body></html>"""

COME_BACK = """async () => {
    const text = await (await fetch(location.href)).text()
    const page = new DOMParser().parseFromString(text, "text/html")
    document.querySelector("article").replaceWith(page.querySelector("article"))
    const { mountInterview } = await import(location.origin + "/assets/js/study/interview.js")
    mountInterview(document)
}"""  # as Material swaps pages: without a reload


@pytest.fixture
def dressed(tmp_path: Path) -> Path:
    """A site of the interview in both schemes, styled as the real one, with the deck's file."""
    dress(tmp_path)
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "deck.json").write_text(DECK, "utf-8")
    for scheme in ("default", "slate"):
        folder = tmp_path / ("interview" if scheme == "default" else scheme)
        folder.mkdir()
        html = PAGE.replace("SCHEME", scheme).replace("DRAW", interview(ALL_CARDS, ALL_PROBLEMS))
        (folder / "index.html").write_text(html, "utf-8")
    return tmp_path


def test_the_browser_draws_the_same(scripts: Page) -> None:
    numbers = [1, 2, 3, 47, 9999]
    drawn = scripts.evaluate(
        """async ([deck, numbers]) => {
            const { draw } = await import(location.origin + "/draw.js")
            return numbers.map(number => draw(deck, number).map(({ id }) => id))
        }""",
        [json.loads(DECK), numbers],
    )
    assert drawn == [[one.id for one in draw(ALL_CARDS, ALL_PROBLEMS, number)] for number in numbers]
    assert drawn[0] != drawn[1]


def test_an_interview(chromium: Browser, serve: Callable[[Path], str], dressed: Path) -> None:
    home = serve(dressed)
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{home}interview/")
    expect(page.get_by_label("The number of the draw")).to_have_value(re.compile(r"[1-9]\d{0,3}"))
    page.goto(f"{home}interview/?draw=47")
    number = page.get_by_label("The number of the draw")
    expect(number).to_have_value("47")
    expect(page.locator(".interview")).to_have_count(1)
    expect(page.get_by_text("Draw 1, made with this page")).to_be_visible()
    number.fill("none")
    number.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("a whole one")
    page.context.route("**/deck.json", lambda route: route.abort())
    number.fill("47")
    number.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("could not be loaded")
    assert violations(page) == []
    page.context.unroute("**/deck.json")
    number.press("Enter")

    asked = draw(ALL_CARDS, ALL_PROBLEMS, 47)
    went = [("knew", "not", "knew", "partly", "not", "partly"), ("knew",) * 9]
    grades = [grade for part in went for grade in part]
    for place, (one, grade) in enumerate(zip(asked, grades, strict=True)):
        if place == 4:
            page.evaluate(COME_BACK)
        title = page.get_by_role("heading", level=3)
        expect(title).to_have_text(f"Question {place + 1} of 15: {one.source.topic}")
        expect(title).to_be_focused()
        if isinstance(one, Card):
            expect(page.locator(".interview__question")).to_have_text(re.sub("<.*?>", "", one.question))
            expect(page.get_by_text("Because of")).to_have_count(0)
            page.keyboard.press("3")  # which grades nothing before the answer is seen
            if place:
                page.keyboard.press("Space")
            else:
                page.get_by_role("button", name="Show the answer").click()
            expect(page.get_by_text(f"Because of {one.id}.")).to_be_visible()
            follow = page.get_by_role("complementary", name="What they ask next")
            expect(follow.get_by_role("link")).to_have_attribute("href", re.compile(rf"^{home}{one.source.url}#shown-"))
            if place == 0:
                assert violations(page) == []
                page.get_by_role("button", name="1 Knew it").click()
            else:
                page.keyboard.press(str(["knew", "partly", "not"].index(grade) + 1))
        else:
            right = one.id.rpartition("-")[2]
            field = page.get_by_label("Your answer, in GB")
            if grade == "partly":
                field.fill("500")
                field.press("Enter")
            field.fill(right)
            field.press("Enter")
            expect(page.get_by_text(f"{right} GB.", exact=True)).to_be_visible()
            if place == 2:
                assert violations(page) == []
            page.get_by_role("button", name=re.compile("Next question|See what to read")).click()

    for _ in ("at the end", "back from a page that is to be read"):
        expect(page.get_by_role("heading", name="What to read")).to_be_focused()
        expect(page.locator(".interview__went > li")).to_have_count(15)
        page.evaluate(COME_BACK)
    expect(page.locator(".interview")).to_contain_text("Draw 47, 15 questions: knew it 11, partly 2, did not 2.")
    order = [asked[at].source for at in (1, 4, 3, 5)]  # the worst first, then as they were asked
    read = page.locator(".interview__read > li > a")
    expect(read).to_have_text([one.title for one in order])
    assert [link.get_attribute("href") for link in read.all()] == [home + one.url for one in order]
    links = page.locator(".interview__read > li").first.locator("li a")
    assert links.first.get_attribute("href") == f"{home}{asked[1].source.url}#{asked[1].id}"
    expect(page.locator(".interview__went > li").nth(1)).to_contain_text("✗ Did not.")
    problem_link = page.locator(".interview__went > li").nth(2).locator("a")
    assert problem_link.get_attribute("href") == f"{home}{asked[2].source.url}#{asked[2].section}"
    assert page.url == f"{home}interview/?draw=47"
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.emulate_media(media="print")
    expect(page.get_by_text("All of it.")).to_be_hidden()
    expect(page.get_by_role("button", name="Print this")).to_be_hidden()
    expect(read.first).to_be_visible()
    page.emulate_media(media="screen")
    kept = "async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length]"
    assert page.evaluate(kept) == [0, 0, 0]
    page.get_by_role("button", name="Draw another").click()
    expect(page.get_by_label("The number of the draw")).to_be_focused()
    assert page.url == f"{home}interview/"
    page.evaluate("history.replaceState(null, '', '?draw=47')")
    page.evaluate(COME_BACK)  # by the link for somebody else: there is nothing to go on with
    expect(page.get_by_label("The number of the draw")).to_have_value("47")
    assert wrong == []

    page.goto(f"{home}slate/?draw=47")
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("button", name="Show the answer").click()
    assert violations(page, runOnly=["color-contrast"]) == []
    page.keyboard.press("3")
    page.keyboard.press("Space")
    page.keyboard.press("2")
    page.get_by_role("button", name="Hint 1 of 1").click()
    page.get_by_role("button", name="Show the worked answer").click()
    page.get_by_role("button", name="Next question").click()
    for _ in range(12):
        skip = page.get_by_role("button", name="Skip this one")
        if skip.count():
            skip.click()
        else:
            page.keyboard.press("Space")
            page.keyboard.press("1")
    expect(page.locator(".interview")).to_contain_text("knew it 8, partly 1, did not 6.")
    assert violations(page, runOnly=["color-contrast"]) == []
    assert wrong == []
    context.close()
