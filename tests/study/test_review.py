"""The review as readers meet it: over a fortnight, by keys and by touch, in both schemes, and when its cards change."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .reference import Reference
from .shared import dress

HOME = ZoneInfo("America/New_York")  # where midnight of UTC is in the evening
MINUTE, HOUR = 60_000, 3_600_000

ANSWER = """
<p>Answer {number}, with <code>code</code> and <a href="#evidence">evidence</a>.</p>
<svg viewBox="0 0 9 9" role="img" aria-labelledby="name-{number}"><title id="name-{number}">A mark</title>
<path id="mark-{number}" d="M0 0h3v3z"/><clipPath id="clip-{number}"><rect width="9" height="9"/></clipPath>
<g clip-path="url(#clip-{number})"><use href="#mark-{number}" /></g></svg>
<input type="radio" name="tabs-{number}" id="tab-{number}" checked><label for="tab-{number}">A tab</label>
<table><thead><tr><th>dtype</th><th>bytes</th></tr></thead><tbody><tr><td>float32</td><td>4</td></tr></tbody></table>
<pre><code tabindex="0">one_long_line_of_code({number}, "which a phone has to scroll, as it is wide")</code></pre>
"""
CARD = """<details class="question card" id="card-{number:06x}" data-kind="estimate" data-topic="Decoding"
data-page="decoding/"><summary>Question {number}{words}?</summary>{answer}
<p class="card-source">From <a href="decoding/#card-{number:06x}">Decoding</a></p></details>"""
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="material.css"><link rel="stylesheet" href="assets/css/tokens.css">
<link rel="stylesheet" href="assets/css/site.css"><link rel="stylesheet" href="assets/css/study.css">
<script type="module">
import {{ cards }} from "./assets/js/study/cards.js"
import {{ statePanel }} from "./assets/js/study/panel.js"
import {{ review }} from "./assets/js/study/review.js"
import {{ store }} from "./assets/js/study/store.js"
import * as schedule from "./assets/js/study/schedule.js"
Object.assign(window, {{ cards, review, statePanel, store, schedule }})
</script></head><body data-md-color-scheme="default"><main class="md-typeset">
<h1>Deck</h1><div id="host"></div><div id="panel"></div><h2 id="evidence">Evidence</h2>
<label>A field <input id="field"></label>
{cards}</main></body></html>"""


def html(numbers: range, words: str = "") -> str:
    """A page with cards of these numbers."""
    cards = (CARD.format(number=number, words=words, answer=ANSWER.format(number=number)) for number in numbers)
    return PAGE.format(cards="\n".join(cards))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of one page with twelve cards, styled as the real one."""
    folder = dress(tmp_path_factory.mktemp("review"))
    (folder / "index.html").write_text(html(range(12)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def site(folder: Path, serve: Callable[[Path], str]) -> str:
    """Its address."""
    return serve(folder)


@pytest.fixture
def reader(chromium: Browser) -> Iterator[BrowserContext]:
    """A reader who comes for the first time."""
    phone = {"width": 390, "height": 844}
    # Motion is reduced, so that colours are looked at once they have changed.
    with chromium.new_context(timezone_id=str(HOME), viewport=phone, reduced_motion="reduce") as context:
        yield context


@pytest.fixture
def page(reader: BrowserContext, site: str) -> Page:
    """The page, as that reader opens it."""
    page = reader.new_page()
    open_page(page, site)
    return page


def open_page(page: Page, site: str) -> None:
    """Open it, or open it again."""
    page.goto(site)
    page.wait_for_function("window.schedule")


def start(page: Page, choose: str = "all", title: str = "A review") -> None:
    """Begin to review the cards that an expression chooses, which sees `all` cards and the `survey` of them."""
    page.evaluate(
        f"""async (title) => {{
            const all = cards(), folded = schedule.fold(await store().reviews())
            const survey = schedule.survey(all, folded, Date.now(), 3)
            window.ended = undefined
            await review(document.querySelector("#host"), {choose}, {{title, onEnd: done => window.ended = done}})
        }}""",
        title,
    )


ASKED = "document.querySelector('.wm-review__question')?.innerText ?? null"


def grade(page: Page, key: int) -> str | None:
    """Show the answer and grade it, by keys. Returns the next question, or none at the end."""
    page.keyboard.press("Space")
    page.keyboard.press(str(key))
    return page.evaluate(
        f"""async () => {{
            while (document.querySelector(".wm-review__grades")) await new Promise(resolve => setTimeout(resolve, 3))
            return {ASKED}
        }}"""
    )


def schedules(page: Page) -> dict[str, dict[str, Any]]:
    """The schedules of all cards that were reviewed, by the number of the card."""
    return page.evaluate("store().reviews().then(reviews => Object.fromEntries(schedule.fold(reviews)))")


def test_a_fortnight(reader: BrowserContext, site: str) -> None:
    """Three new cards a day, at the hours of a life, over the change to summer time and over midnights of UTC."""
    draw = random.Random(14)
    page = reader.new_page()
    known: dict[str, Reference] = {}
    grades = 0
    for day in range(14):
        for hour in draw.choice([[19.9], [8, 19.95], [23.8]]):
            clock = datetime(2026, 3, 1 + day, int(hour), round(hour % 1 * 60), draw.randrange(60), tzinfo=HOME)
            now = round(clock.timestamp() * 1000)
            page.clock.set_fixed_time(now / 1000)
            if day % 3 == 0:
                open_page(page, site)  # on other days the tab was left open
            start(page, "[...survey.due, ...survey.fresh]")
            question = page.evaluate(ASKED)
            while question:
                card = f"card-{int(question.split()[1].rstrip('?')):06x}"
                now += draw.randrange(5_000, 2 * MINUTE)
                page.clock.set_fixed_time(now / 1000)
                key = draw.choices([1, 2, 3, 4], [2, 1, 6, 1])[0]
                question = grade(page, key)
                known.setdefault(card, Reference()).review(now, key)
                grades += 1
            kept = schedules(page)
            assert kept.keys() == known.keys()
            for card, want in known.items():
                got = kept[card]
                assert (got["due"], got["state"], got["step"]) == want.course
                assert (got["stability"], got["difficulty"]) == pytest.approx(want.memory, rel=1e-6)
    assert len(known) == 12 and grades > 60, grades


def test_a_session(page: Page) -> None:
    """Keys, focus, undo, progress and the end."""
    expect.set_options(10_000)
    page.evaluate("document.body.tabIndex = -1; document.querySelector('#field').focus()")
    start(page, "all.slice(0, 2)", "2 cards from this page")
    review, status = page.get_by_role("region", name="2 cards from this page"), page.get_by_role("status")
    question, answer = page.get_by_role("group", name="Question"), page.get_by_role("group", name="Answer")
    count = page.locator(".wm-review__count")
    expect(question).to_be_focused()
    expect(review).to_contain_text("0 of 2 done")
    expect(answer).to_have_count(0)
    page.keyboard.press("3")  # no answer was seen: no grade
    page.locator("#field").focus()
    page.keyboard.type(" 3u")  # typed, not meant
    expect(page.locator("#field")).to_have_value(" 3u")
    expect(answer).to_have_count(0)
    page.locator("#field").blur()

    page.keyboard.press("Space")
    expect(answer).to_be_focused()
    expect(answer).not_to_contain_text("From Decoding")
    expect(review.get_by_role("link", name="Decoding")).to_have_attribute("href", "decoding/#card-000000")
    assert page.evaluate("scrollY") == 0
    # The copy has ids of its own, and the page keeps its own.
    assert page.evaluate(
        """() => {
            const ids = [...document.querySelectorAll("[id]")].map(({id}) => id)
            const used = document.querySelector(".wm-review use").getAttribute("href").slice(1)
            const tab = document.querySelector(".wm-review label").control
            return [
                new Set(ids).size === ids.length,
                document.getElementById(used).closest(".wm-review") !== null,
                document.querySelector(".wm-review g").getAttribute("clip-path") !== "url(#clip-0)",
                tab.checked && tab.closest(".wm-review") !== null,
                document.querySelector("#tab-0").checked,
                document.querySelector(".wm-review__answer a").getAttribute("href") === "#evidence",
            ]
        }"""
    ) == [True] * 6  # fmt: skip
    for name, wait in {"Again": "1 minute", "Hard": "6 minutes", "Good": "10 minutes", "Easy": "8 days"}.items():
        expect(page.get_by_role("button", name=name)).to_contain_text(f"in {wait}")
    page.get_by_role("button", name="Good").click()
    expect(status).to_have_text("Good: it comes again in 10 minutes.")
    expect(count).to_have_text("0 of 2 done, 1 to repeat")
    expect(question).to_be_focused()

    page.keyboard.press("u")
    expect(status).to_have_text("The last grade is taken back.")
    expect(question).to_have_text("Question 0?")
    expect(count).to_have_text("0 of 2 done")
    assert page.evaluate("store().reviews()") == []
    page.keyboard.press("u")  # there is no more

    question.click()  # a touch shows the answer too
    page.evaluate(
        """() => document.activeElement.dispatchEvent(
            new KeyboardEvent("keydown", {key: "4", code: "Digit4", shiftKey: true, bubbles: true}))"""
    )  # as on a French keyboard
    expect(count).to_have_text("1 of 2 done")
    page.get_by_role("button", name="Show answer").press("Space")  # which clicks it, once
    expect(answer).to_be_focused()
    page.keyboard.press("1")
    expect(review).to_contain_text("2 cards: 1 again, 1 easy.")  # it is not asked twice in a row
    expect(review).to_contain_text("The next of these cards comes in 1 minute.")
    page.keyboard.press("3")  # nothing is asked
    page.get_by_role("button", name="Go on").click()
    expect(question).to_have_text("Question 1?")
    page.keyboard.press("Control+z")
    expect(status).to_have_text("The last grade is taken back.")
    page.keyboard.press("Escape")
    expect(review).to_contain_text("1 card: 1 easy.")
    page.keyboard.press("Escape")
    expect(page.locator("#host")).to_be_empty()
    assert page.evaluate("ended") == {"answers": 1, "cards": 1}

    # A storage may be slow: the end waits for what it is writing, and counts it.
    page.evaluate(
        """() => {
            const { add } = store()
            store().add = async function (...all) {
                await new Promise(resolve => setTimeout(resolve, 200))
                delete this.add
                return add.apply(this, all)
            }
        }"""
    )
    start(page, "all.slice(2, 4)")
    for key in ("Space", "4", "Escape"):
        page.keyboard.press(key)
    expect(page.locator("#host")).to_contain_text("1 card: 1 easy.")
    page.keyboard.press("Escape")
    assert page.evaluate("ended") == {"answers": 1, "cards": 1}

    # Another page takes the place of this one, as with Material's instant navigation: keys are no longer the review's.
    start(page)
    page.evaluate("document.querySelector('#host').firstChild.remove()")
    page.keyboard.press("Space")
    page.keyboard.press("3")
    assert len(page.evaluate("store().reviews()")) == 2


def test_two_tabs_a_reworded_and_a_deleted_card(page: Page, site: str, folder: Path) -> None:
    start(page, "all.slice(0, 3)")
    other = page.context.new_page()
    open_page(other, site)
    start(other, "all.slice(0, 2)")
    grade(other, 3)
    grade(other, 4)
    assert grade(page, 4) == "Question 2?"  # the other tab has graded 1 meanwhile
    before = schedules(page)
    assert before.keys() == {"card-000000", "card-000001"} and before["card-000000"]["reps"] == 2

    (folder / "released.html").write_text(html(range(1, 12), words=", in other words"), encoding="utf-8")
    open_page(page, site + "released.html")
    assert schedules(page) == before
    start(page, "all.filter(({id}) => id === 'card-000001')")
    expect(page.get_by_role("group", name="Question")).to_have_text("Question 1, in other words?")
    assert grade(page, 3) is None
    assert schedules(page)["card-000001"]["reps"] == 2
    assert page.evaluate("store().export()").count("card-000000") == 2


LAPSES = """async () => {
    let at = 1_760_000_000_000
    for (let i = 0; i < 8; i++) for (const grade of [4, 1]) await store().add("card-000003", grade, at += 2e9)
    const reviews = Array.from({length: 200}, (_, i) => ({card: "card-ffffff", at: at + i, grade: 3}))
    await store().import(JSON.stringify({format: "weights-and-measures reviews", version: 1, reviews}))
}"""
FULL = """() => {
    Object.defineProperty(IDBTransaction.prototype, "error", {get: () => new DOMException("", "QuotaExceededError")})
    IDBObjectStore.prototype.add = function () { queueMicrotask(() => this.transaction.abort()); return {} }
}"""


def test_each_state_in_both_schemes(page: Page, tmp_path: Path) -> None:
    """Axe finds nothing, nothing is wider than a phone, and what is wrong with the storage is told."""
    found: dict[str, list[str]] = {}

    def look(state: str) -> None:
        for scheme, rules in {"default": {}, "slate": {"runOnly": ["color-contrast"]}}.items():
            page.evaluate("(scheme) => { document.body.dataset.mdColorScheme = scheme }", scheme)
            violations = page.evaluate(
                "(options) => axe.run({include: ['#host', '#panel']}, options).then(({violations}) => violations)",
                {"resultTypes": ["violations"], **rules},
            )
            wrong = [f"{rule['id']}: {rule['nodes'][0]['html']}" for rule in violations]
            wide = page.evaluate("document.documentElement.scrollWidth")
            small = page.evaluate(
                "[...document.querySelectorAll('#host button, #panel button, #panel input:not([hidden])')]"
                ".filter(each => each.checkVisibility() && each.getBoundingClientRect().height < 44).length"
            )
            found[f"{state}, {scheme}"] = [*wrong, *[f"{wide} px wide"] * (wide > 390), *["a small target"] * small]

    page.evaluate(Axe().axe_script)
    page.evaluate(LAPSES)
    page.evaluate("statePanel(document.querySelector('#panel'))")
    panel = page.locator("#panel")
    expect(panel).to_contain_text("216 reviews of 2 cards.")
    start(page, "all.slice(3, 5)")
    look("a question")
    expect(page.locator(".wm-review__leech")).to_contain_text("forgotten 8 times")
    expect(page.locator(".wm-review__leech a")).to_have_attribute("href", "#evidence")
    page.keyboard.press("Space")
    expect(page.get_by_role("group", name="Answer")).to_be_focused()
    look("an answer")
    grade(page, 4)

    page.evaluate(FULL)
    assert grade(page, 3) is None
    expect(page.locator("#host")).to_contain_text("218 reviews are in this browser and in no file.")
    alert = page.locator("#host").get_by_role("alert")
    expect(alert).to_contain_text("full")
    expect(alert).to_contain_text("1 review is in the memory of this tab alone")
    expect(page.locator(".wm-review__done")).to_be_focused()
    page.get_by_role("button", name="Forget everything").click()
    look("the end, without room")
    page.get_by_role("button", name="Keep them").click()
    with page.expect_download() as download:
        alert.get_by_role("button", name="Save as a file").click()
    saved = tmp_path / "reviews.json"
    download.value.save_as(saved)
    assert saved.read_text().count('"grade"') == 218
    assert not {state: wrong for state, wrong in found.items() if wrong}

    page.on("dialog", lambda dialog: dialog.accept())  # it asks before the review in memory is lost
    page.goto(page.url)
    page.wait_for_function("window.schedule")
    page.evaluate("statePanel(document.querySelector('#panel'))")
    expect(panel).to_contain_text("217 reviews of 2 cards.")
    status = panel.get_by_role("status")
    page.locator("#panel input[type=file]").set_input_files(saved)
    expect(status).to_have_text("1 review added; 217 were here already.")
    (tmp_path / "other.json").write_text("{}")
    page.locator("#panel input[type=file]").set_input_files(tmp_path / "other.json")
    expect(status).to_contain_text("no reviews of this site")
    page.get_by_label("New cards a day").fill("4")
    page.get_by_label("New cards a day").press("Enter")
    assert page.evaluate("schedule.newPerDay()") == 4
    page.get_by_role("button", name="Forget everything").click()
    page.get_by_role("button", name="Delete them").click()
    expect(status).to_have_text("All reviews are deleted.")
    expect(panel).to_contain_text("0 reviews of 0 cards.")
