"""The built site in a browser: no error, no request to another host, nothing too wide, no reader shut out."""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
READERS = {
    "light": {"color_scheme": "light", "viewport": DESKTOP},
    "dark": {"color_scheme": "dark", "viewport": DESKTOP},
    "phone": {"color_scheme": "light", "viewport": PHONE},
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium: the system's, or else Playwright's own."""
    system = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=system, args=["--no-sandbox"])
        except Error as error:
            pytest.fail(f"no browser: run `.venv/bin/python -m playwright install chromium`\n{error}", pytrace=False)
        yield chromium
        chromium.close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def home(site: Path) -> Iterator[str]:
    """The address of the home page, served on this machine."""
    handler = functools.partial(QuietHandler, directory=str(site))
    address = os.environ["SITE_URL"]  # of conftest.py
    with ThreadingHTTPServer(("127.0.0.1", urlsplit(address).port or 80), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield address
        server.shutdown()


@contextmanager
def reader(browser: Browser, home: str, **settings: object) -> Iterator[tuple[Page, list[str]]]:
    """A page of a new reader, and the list in which what goes wrong there is written."""
    context = browser.new_context(**settings, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(10_000)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on(
        "request",
        lambda request: (
            wrong.append(f"off the host: {request.url}")
            if not request.url.startswith((home, "data:", "blob:"))
            else None
        ),
    )
    page.on(
        "response",
        lambda response: wrong.append(f"{response.status}: {response.url}") if response.status >= 400 else None,
    )
    yield page, wrong
    context.close()


def overflow(page: Page) -> str:
    """Describe what makes a page wider than its window; "" if nothing does."""
    return page.evaluate(
        """() => {
            const width = document.documentElement.clientWidth
            if (document.documentElement.scrollWidth <= width) return ""
            const wide = e => e.getBoundingClientRect().right > width + 1
            const found = [...document.querySelectorAll("body *")].filter(wide)
            return found.slice(0, 3).map(e => e.outerHTML.slice(0, 80)).join(" | ") || "unknown"
        }"""
    )


def violations(page: Page) -> list[str]:
    """The rules of accessibility that a page breaks in a way that keeps readers out."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {rule['nodes'][0]['html'][:200]}"
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("settings", READERS.values(), ids=READERS)
def test_pages_are_well(browser: Browser, home: str, nav: list[str], settings: dict[str, object]) -> None:
    problems = []
    with reader(browser, home, **settings) as (page, wrong):
        for url in [*nav, "404.html"]:
            wrong.clear()
            page.goto(home + url, wait_until="networkidle")
            if wide := overflow(page):
                wrong.append(f"wider than the window: {wide}")
            problems += [f"{url}: {problem}" for problem in wrong + violations(page)]
    assert not problems, "\n".join(problems)


def test_search_finds(browser: Browser, home: str) -> None:
    with reader(browser, home, viewport=DESKTOP) as (page, wrong):
        page.goto(home)
        page.locator("[data-md-component=search-query]").click()
        page.keyboard.type("checkpoint")
        expect(page.locator(".md-search-result__item").first).to_contain_text("heckpoint")
        assert wrong == []


def test_a_link_replaces_the_page_without_loading_it_anew(browser: Browser, home: str, nav: list[str]) -> None:
    with reader(browser, home, viewport=DESKTOP) as (page, wrong):
        page.goto(home, wait_until="networkidle")
        title = page.title()
        page.evaluate("window.sameDocument = true")
        page.locator(f'a[href$="{nav[1]}"]:visible').first.click()
        page.wait_for_url(home + nav[1])
        expect(page).not_to_have_title(title)
        assert page.evaluate("window.sameDocument")
        assert page.locator("h1").count() == 1
        assert wrong == []


def test_the_reader_can_choose_the_colours(browser: Browser, home: str) -> None:
    with reader(browser, home, viewport=DESKTOP, color_scheme="light") as (page, wrong):
        page.goto(home, wait_until="networkidle")
        seen = {page.evaluate("getComputedStyle(document.body).backgroundColor")}
        for _ in range(2):
            page.locator("[data-md-component=palette] label:visible").click()
            seen.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(seen) == 2
        assert wrong == []
