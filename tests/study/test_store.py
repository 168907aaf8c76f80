"""What readers have reviewed is kept: by two tabs, from file to file, and whatever the browser's storage does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

SCRIPTS = Path(__file__).parent.parent.parent / "docs" / "assets" / "js"
NOW = 1_772_000_000_000
ONE, OTHER = "card-000001", "card-000002"


@pytest.fixture(scope="module")
def site(serve: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page that can import the scripts."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "js").symlink_to(SCRIPTS)
    (folder / "index.html").write_text("<!doctype html><title>A page</title>", encoding="utf-8")
    return serve(folder)


@pytest.fixture
def reader(chromium: Browser) -> Iterator[BrowserContext]:
    """A reader who comes for the first time."""
    with chromium.new_context() as context:
        yield context


def tab(reader: BrowserContext, site: str) -> Page:
    """A tab with the store, as `window.kept`."""
    page = reader.new_page()
    page.goto(site)
    page.evaluate("async () => { const {store} = await import('/js/study/store.js'); window.kept = store() }")
    return page


def reviews(page: Page) -> set[tuple[str, int, int]]:
    """The reviews of the reader, as a tab sees them."""
    return {(each["card"], each["at"], each["grade"]) for each in page.evaluate("kept.reviews()")}


def add(page: Page, card: str, grade: int, at: int = NOW) -> dict[str, Any]:
    """The review that is added."""
    return page.evaluate("([card, grade, at]) => kept.add(card, grade, at)", [card, grade, at])


def trouble(page: Page) -> str | None:
    """The kind of trouble that a tab tells."""
    return page.evaluate("kept.trouble?.kind ?? null")


def test_two_tabs_at_once_lose_nothing(reader: BrowserContext, site: str) -> None:
    tabs = [tab(reader, site) for _ in range(2)]
    for grade, page in enumerate(tabs, start=1):
        # Each grades the same card, in the same milliseconds.
        page.evaluate(
            """([card, grade, now]) => {
                window.heard = 0
                kept.addEventListener("change", () => heard++)
                window.done = new Promise(resolve => setTimeout(async () => {
                    for (let i = 0; i < 40; i++) await kept.add(card, grade, now + i)
                    resolve()
                }, 100))
            }""",
            [ONE, grade, NOW],
        )
    for page in tabs:
        page.evaluate("window.done")
    for page in tabs:
        kept = reviews(page)
        assert len(kept) == 80 and sum(grade == 1 for _, _, grade in kept) == 40
        page.wait_for_function("heard === 80")  # its own, and the other's
        assert trouble(page) is None


def test_grades_at_once_are_kept_once(reader: BrowserContext, site: str) -> None:
    page = tab(reader, site)
    page.evaluate("([card, at]) => Promise.all([1, 2, 3, 4].map(grade => kept.add(card, grade, at)))", [ONE, NOW])
    assert reviews(page) == {(ONE, NOW + grade - 1, grade) for grade in (1, 2, 3, 4)}


def test_undo_takes_back_what_this_tab_did(reader: BrowserContext, site: str) -> None:
    one, other = tab(reader, site), tab(reader, site)
    mine, theirs = add(one, ONE, 3), add(other, ONE, 1)
    assert theirs["at"] == mine["at"] + 1  # no two reviews of a card are at the same time
    assert one.evaluate("(review) => kept.remove(review)", mine)
    assert one.evaluate("(review) => kept.remove(review)", mine)  # which is then gone
    assert reviews(one) == reviews(other) == {(ONE, NOW + 1, 1)}


def test_a_file_adds_what_is_missing(reader: BrowserContext, chromium: Browser, site: str) -> None:
    page = tab(reader, site)
    add(page, ONE, 3)
    add(page, "card-ffffff", 2)  # of a card that the site no longer has
    text = page.evaluate("kept.export()")
    assert json.loads(text)["format"] == "weights-and-measures reviews" and json.loads(text)["version"] == 1
    with chromium.new_context() as elsewhere:
        page = tab(elsewhere, site)
        add(page, OTHER, 4)
        add(page, ONE, 3)
        bring = "(text) => kept.import(text)"
        assert page.evaluate(bring, text) == {"added": 1, "known": 1}
        assert page.evaluate(bring, text) == {"added": 0, "known": 2}
        assert reviews(page) == {(ONE, NOW, 3), (OTHER, NOW, 4), ("card-ffffff", NOW, 2)}
        page.reload()
        assert page.evaluate("kept = undefined") is None
        page.evaluate("async () => { window.kept = (await import('/js/study/store.js')).store() }")
        assert len(reviews(page)) == 3
        assert page.evaluate("kept.forget()")
        assert reviews(page) == set()


def test_a_file_counts_for_what_could_be_read(reader: BrowserContext, site: str) -> None:
    page, other = tab(reader, site), tab(reader, site)
    add(page, ONE, 3)
    other.evaluate("() => { IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError') } }")
    other.evaluate("kept.save()")
    assert page.evaluate("kept.unsaved()") == 1, "the file of a tab that reads nothing lacks it"
    page.evaluate("kept.save()")
    assert page.evaluate("kept.unsaved()") == 0


def file(*damaged: object, **others: object) -> str:
    """A file with a good review, and others."""
    good = {"card": ONE, "at": NOW, "grade": 3}
    return json.dumps({"format": "weights-and-measures reviews", "version": 1, "reviews": [good, *damaged]} | others)


def test_a_damaged_or_foreign_file_adds_nothing(reader: BrowserContext, site: str) -> None:
    page = tab(reader, site)
    files = {
        "": "no JSON",
        file()[:-9]: "no JSON",
        "[]": "no reviews of this site",
        "null": "no reviews of this site",
        json.dumps({"cards": []}): "no reviews of this site",
        file(version=2): "newer version",
        file(reviews=None): "Review 1 ",
        file(reviews={"0": 1}): "Review 1 ",
    }
    for wrong in (
        None, 5, [], {}, {"card": "card-1", "at": NOW, "grade": 3}, {"card": ONE, "at": NOW, "grade": 0},
        {"card": ONE, "at": NOW, "grade": 5}, {"card": ONE, "at": NOW, "grade": "3"},
        {"card": ONE, "at": -1, "grade": 3},
        {"card": ONE, "at": NOW + 0.5, "grade": 3}, {"card": ONE, "at": 9e15, "grade": 3}, {"card": ONE, "grade": 3},
    ):  # fmt: skip
        files[file(wrong)] = "Review 2 "
    told = page.evaluate(
        """async (files) => {
            const {ImportError} = await import('/js/study/store.js')
            const tell = error => error instanceof ImportError ? error.message : `other: ${error}`
            const told = []
            for (const text of files) told.push(await kept.import(text).then(() => "imported", tell))
            return told
        }""",
        list(files),
    )
    wrong = {text: got for (text, want), got in zip(files.items(), told, strict=True) if want not in got}
    assert not wrong
    assert reviews(page) == set()


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("UnknownError", "The user denied permission to access the database.", "blocked"),  # Chromium 156, no cookies
        ("UnknownError", "Internal error opening backing store for indexedDB.open.", "failed"),
        ("InvalidStateError", "A mutation operation was attempted on a database", "blocked"),  # Firefox, no history
        ("QuotaExceededError", "", "full"),
        ("", "", "old"),  # no error: another tab blocks it
    ],
)
def test_what_a_refusal_means(reader: BrowserContext, site: str, name: str, message: str, kind: str) -> None:
    page = tab(reader, site)
    page.evaluate(
        """([message, name]) => {
            IDBFactory.prototype.open = () => {
                const request = {error: new DOMException(message, name)}
                setTimeout(() => name ? request.onerror() : request.onblocked())
                return request
            }
        }""",
        [message, name],
    )
    add(page, ONE, 3)
    assert trouble(page) == kind and reviews(page) == {(ONE, NOW, 3)}


def test_a_browser_that_keeps_nothing(reader: BrowserContext, site: str) -> None:
    reader.add_init_script(
        """for (const name of ["indexedDB", "localStorage", "BroadcastChannel"]) Object.defineProperty(window, name, {
            get() { throw new DOMException("no", "SecurityError") },
        })"""
    )
    page = tab(reader, site)
    add(page, ONE, 3)
    add(page, ONE, 4)
    assert trouble(page) == "blocked"
    assert reviews(page) == {(ONE, NOW, 3), (ONE, NOW + 1, 4)}
    assert len(json.loads(page.evaluate("kept.export()"))["reviews"]) == page.evaluate("kept.waiting") == 2
    assert page.evaluate("([review]) => kept.remove({card: review[0], at: review[1]})", [[ONE, NOW]])
    assert reviews(page) == {(ONE, NOW + 1, 4)}


# What Chromium does when there is no room: the transaction ends, after the call.
FULL = """window.full = false
const add = IDBObjectStore.prototype.add
IDBObjectStore.prototype.add = function (row) {
    const { transaction } = this
    if (full) queueMicrotask(() => {
        Object.defineProperty(transaction, "error", {value: new DOMException("no room", "QuotaExceededError")})
        try { transaction.abort() } catch {}
    })
    return add.call(this, row)
}"""


def test_a_storage_that_is_full(reader: BrowserContext, site: str) -> None:
    reader.add_init_script(FULL)
    page = tab(reader, site)
    add(page, ONE, 3)
    page.evaluate("full = true")
    add(page, ONE, 4)
    add(page, OTHER, 1)
    assert trouble(page) == "full"
    assert page.evaluate("kept.waiting") == 2
    assert len(reviews(page)) == 3
    assert len(json.loads(page.evaluate("kept.export()"))["reviews"]) == 3
    page.evaluate("full = false")  # there is room again
    add(page, OTHER, 2)
    assert trouble(page) is None and page.evaluate("kept.waiting") == 0
    assert reviews(tab(reader, site)) == {(ONE, NOW, 3), (ONE, NOW + 1, 4), (OTHER, NOW, 1), (OTHER, NOW + 1, 2)}


NEWER = """() => new Promise((resolve, reject) => {
    const request = indexedDB.open("weights-and-measures", 2)
    request.onsuccess = () => resolve()
    request.onblocked = () => reject(new Error("an older tab blocks it"))
})"""


def test_a_newer_version_of_the_site_in_another_tab(reader: BrowserContext, site: str) -> None:
    page = tab(reader, site)
    add(page, ONE, 3)
    newer = reader.new_page()
    newer.goto(site)
    newer.evaluate(NEWER)  # which the older tab lets through
    add(page, ONE, 4)
    assert trouble(page) == "newer"
    assert reviews(page) == {(ONE, NOW, 3), (ONE, NOW + 1, 4)}  # the first from memory
    count = """() => new Promise(resolve => {
        const request = indexedDB.open("weights-and-measures")
        request.onsuccess = () => {
            const all = request.result.transaction("reviews").objectStore("reviews").getAll()
            all.onsuccess = () => resolve(all.result.length)
        }
    })"""
    assert newer.evaluate(count) == 1


def test_a_storage_that_is_emptied_or_does_not_answer(reader: BrowserContext, site: str) -> None:
    page = tab(reader, site)
    add(page, ONE, 3)
    data = {"origin": site.rstrip("/"), "storageTypes": "indexeddb"}
    reader.new_cdp_session(page).send("Storage.clearDataForOrigin", data)  # as by its reader
    add(page, OTHER, 3)
    assert trouble(page) is None
    assert reviews(page) == {(OTHER, NOW, 3)}

    page = reader.new_page()
    page.clock.install()
    page.add_init_script("IDBFactory.prototype.open = () => ({})")
    page.goto(site)
    page.evaluate("async () => { window.kept = (await import('/js/study/store.js')).store() }")
    page.evaluate("([card, at]) => { window.done = kept.add(card, 3, at) }", [ONE, NOW])
    page.clock.fast_forward(10_000)
    page.evaluate("done")
    assert trouble(page) == "slow" and page.evaluate("kept.waiting") == 1


def test_that_it_asks_to_persist_with_the_first_grade(reader: BrowserContext, site: str) -> None:
    reader.add_init_script(
        "window.asked = 0; navigator.storage.persist = async () => { asked++; throw new Error('no') }"
    )
    page = tab(reader, site)
    page.evaluate("kept.reviews()")
    assert page.evaluate("asked") == 0
    add(page, ONE, 3)
    add(page, ONE, 3)
    assert page.evaluate("asked") == 1
