"""What the tests of cards and problems are given: Chromium, the scripts of the site, and the judge of problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from .shared import STUDY, Judge, Problem

Launch = Callable[[], AbstractContextManager[Browser]]


# Of a module, not of the session: one process cannot have two at a time, and tests/test_browser.py has its own.
@pytest.fixture(scope="module")
def chromium(launch: Launch) -> Iterator[Browser]:
    """Chromium."""
    with launch() as browser:
        yield browser


@pytest.fixture(scope="module")
def scripts(chromium: Browser, serve: Callable[[Path], str]) -> Iterator[Page]:
    """A page that can import the scripts of the site by their names."""
    page = chromium.new_page()
    page.goto(serve(STUDY))
    yield page
    page.close()


@pytest.fixture(scope="module")
def judge(scripts: Page) -> Judge:
    """What the judge says, of many at once."""

    def judge(cases: list[tuple[Problem, str]]) -> list[dict[str, str]]:
        return scripts.evaluate(
            """async cases => {
                const { judge } = await import(location.origin + "/judge.js")
                return cases.map(([problem, text]) => judge(problem, text))
            }""",
            cases,
        )

    return judge
