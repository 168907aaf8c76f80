"""When cards come again: schedule.js gives what py-fsrs, the reference of FSRS in Python, gives for the same grades."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime
from math import isclose
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page

from .reference import Reference

VENDORED = Path(__file__).parent.parent.parent / "docs" / "assets" / "js" / "vendor"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000  # milliseconds, as all times here
BEGIN = 20_500 * DAY  # a day of February 2026
HUNDRED_YEARS = 36_500


def history(draw: random.Random) -> tuple[list[tuple[int, int]], Reference]:
    """A card's grades at random times: at once, on time, too early, too late, around a day and around midnight."""
    card, grades = Reference(), []
    at = BEGIN + draw.randrange(DAY)
    weights = draw.choice([(1, 1, 6, 2), (4, 2, 3, 1), (1, 1, 1, 1), (8, 1, 1, 0)])
    for _ in range(draw.randint(1, 16)):
        before = card.card
        grade = draw.choices([1, 2, 3, 4], weights)[0]
        card.review(at, grade)
        if card.memory[0] > HUNDRED_YEARS:  # the largest stability of ts-fsrs, to which nobody's card comes
            card.card = before
            break
        grades.append((at, grade))
        wait = card.due - at
        at += round(
            draw.choice(
                [
                    wait,
                    wait * draw.uniform(0.2, 3),
                    draw.randrange(1, 20 * MINUTE),
                    draw.randrange(HOUR, 3 * DAY),
                    DAY + draw.choice([-1, 0, 1, -HOUR, HOUR]),
                    0.5 * DAY,
                ]
            )
        )
    return grades, card


@pytest.fixture(scope="module")
def page(chromium: Browser, serve: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page that can import the scripts, in a time zone whose clocks change."""
    folder = tmp_path_factory.mktemp("schedule")
    (folder / "js").symlink_to(VENDORED.parent)
    (folder / "index.html").write_text("<!doctype html><title>A page</title>", encoding="utf-8")
    with chromium.new_context(timezone_id="America/New_York") as context:
        page = context.new_page()
        page.goto(serve(folder))
        yield page


def call(page: Page, expression: str, given: Any = None) -> Any:
    """What an expression gives that sees the names of schedule.js, and `given`."""
    seeing = f"with (await import('/js/study/schedule.js')) return {expression}"
    return page.evaluate(f"async (given) => {{ {seeing} }}", given)


def test_that_ts_fsrs_is_as_it_was_published() -> None:
    digest = hashlib.sha256((VENDORED / "ts-fsrs-5.4.2.mjs").read_bytes()).hexdigest()
    assert digest == "ad4a4b3b7e259fcbf02764454c8f9db4ea3bf5aae2f473198129ecb7728f1a19"  # dist/index.mjs of npm's 5.4.2
    assert "MIT License" in (VENDORED / "ts-fsrs-5.4.2.LICENSE.txt").read_text()


def test_thousands_of_random_histories(page: Page) -> None:
    draw = random.Random(16)
    histories = [history(draw) for _ in range(2000)]
    reviews = [
        {"card": str(number), "at": at, "grade": grade}
        for number, (grades, _) in enumerate(histories)
        for at, grade in grades
    ]
    draw.shuffle(reviews)  # the fold sorts them
    # As text, since Playwright takes ten times as long for so many objects.
    text = call(page, "JSON.stringify(Object.fromEntries(fold(JSON.parse(given))))", json.dumps(reviews))
    folded = json.loads(text)
    assert len(folded) == len(histories) and len(reviews) > 15_000
    for number, (grades, want) in enumerate(histories):
        got = folded[str(number)]
        assert (got["due"], got["state"], got["step"]) == want.course, grades
        for one, other in zip((got["stability"], got["difficulty"]), want.memory, strict=True):
            # ts-fsrs keeps eight decimals, which are not enough for a millionth where a stability was below a tenth.
            assert isclose(one, other, rel_tol=max(1e-6, 1e-7 / want.least)), (one, other, grades)


def time(*local: int) -> int:
    """A time in New York, in milliseconds since 1970."""
    return round(datetime(*local, tzinfo=ZoneInfo("America/New_York")).timestamp() * 1000)  # type: ignore[misc]


def test_the_day_on_which_a_card_comes(page: Page) -> None:
    """In the morning of its day, in local time, and over a change of clocks; but 24 hours after its last review."""
    last = time(2026, 3, 6, 20, 0)
    due = last + 2 * DAY  # 21:00 on the day on which clocks are set forward
    card = {"state": "review", "due": due, "last": last}
    assert call(page, "opens(given)", card) == time(2026, 3, 8, 4, 0)
    assert call(page, "opens(given)", card | {"due": last + DAY}) == last + DAY
    assert call(page, "opens(given)", card | {"state": "relearning"}) == due
    late = {"state": "review", "due": time(2026, 3, 10, 2, 30), "last": last}  # still the evening of the 9th
    assert call(page, "opens(given)", late) == time(2026, 3, 9, 4, 0)
    assert call(page, "startOfDay(given)", time(2026, 3, 8, 3, 59)) == time(2026, 3, 7, 4, 0)


def test_what_there_is_to_review(page: Page) -> None:
    now = time(2026, 3, 8, 1, 0)  # a late evening of the 7th
    reviews = [
        *[{"card": "old", "at": now - 9 * DAY + minute * MINUTE, "grade": 3} for minute in (0, 10)],
        *[{"card": "new", "at": at, "grade": 3} for at in (now - 4 * HOUR, now - 3 * HOUR)],
        {"card": "begun", "at": now - MINUTE, "grade": 1},
        {"card": "waits", "at": now - MINUTE, "grade": 3},
        {"card": "deleted", "at": now - MINUTE, "grade": 3},
    ]
    survey = call(
        page,
        """(() => {
            const cards = ["a", "waits", "b", "begun", "c", "old", "new"].map(id => ({id}))
            return survey(cards, fold(given.reviews), given.now, 6)
        })()""",
        {"reviews": reviews, "now": now},
    )
    names = {name: [card["id"] for card in found] for name, found in survey.items() if name != "next"}
    assert names == {
        "due": ["old", "begun"],
        "fresh": ["a", "b"],  # four of the day's six are begun: "new", "begun", "waits" and "deleted"
        "unseen": ["a", "b", "c"],
        "learned": ["old", "new"],
        "leeches": [],
    }
    assert survey["next"] == now + 9 * MINUTE


def test_leeches_are_told_at_eight_lapses_and_every_four_more(page: Page) -> None:
    told = call(
        page,
        """(() => {
            let schedule, at = 0
            const told = []
            for (let lapse = 1; lapse <= 17; lapse++) {
                for (const grade of [4, 1]) schedule = after(schedule, {card: "a", at: at += 9e8, grade})
                told.push([schedule.lapses, schedule.leech, isNewLeech(schedule)])
                schedule = after(schedule, {card: "a", at: at += 6e5, grade: 1}) // again while relearning: no lapse
            }
            return told
        })()""",
    )
    assert told == [[lapse, lapse >= 8, lapse in (8, 12, 16)] for lapse in range(1, 18)]


def test_a_clock_that_was_set_back(page: Page) -> None:
    at, back = 20_000 * DAY, 19_990 * DAY
    grades = "[{card: 'a', at: given[0], grade: 4}, {card: 'a', at: given[1], grade: 3}]"
    assert call(page, f"preview(fold({grades}).get('a'), given[1])", [at, back])[0] == 10 * MINUTE
    folded = call(page, f"fold({grades}).get('a')", [at, back])
    assert folded["first"] == back and folded["last"] == at


def test_the_limit_of_new_cards_a_day(page: Page) -> None:
    assert call(page, "newPerDay()") == 10
    call(page, "setNewPerDay(0)")
    assert call(page, "newPerDay()") == 0
    page.evaluate("localStorage.clear()")


def test_waits_in_words(page: Page) -> None:
    words = {5.5 * MINUTE: "6 minutes", MINUTE: "1 minute", 5 * HOUR: "5 hours", DAY: "1 day", 30 * DAY: "30 days"}
    words |= {31 * DAY: "1 month", 76 * DAY: "2.5 months", 365 * DAY: "1 year", 1000 * DAY: "2.7 years"}
    assert call(page, "given.map(inWords)", list(words)) == list(words.values())
