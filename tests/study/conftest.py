"""What the tests of cards and problems are given: Chromium, a server of small sites, and the judge of problems."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from .shared import STUDY, Judge, Problem


class Handler(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".js": "text/javascript"}

    def log_message(self, *_: object) -> None:
        """Say nothing."""


# Of a module, not of the session: one process cannot have two at a time, and tests/test_browser.py has its own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium: the system's, or else Playwright's own."""
    system = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=system, args=["--no-sandbox"])
        except Error as error:
            pytest.fail(f"no browser: run `.venv/bin/python -m playwright install chromium`\n{error}", pytrace=False)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serves a folder at a port of its own, as `http://localhost:…/`, which browsers trust as they do https."""
    with ExitStack() as servers:

        def start(folder: Path) -> str:
            handler = functools.partial(Handler, directory=str(folder))
            server = servers.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            servers.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            return f"http://localhost:{server.server_port}/"

        yield start


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
