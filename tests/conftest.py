"""What the tests share: their processes' environment, the built site, its navigation, what runs, a server, a browser.

Several processes may share the work (pytest-xdist, `-n`). The site is built once for all of them.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from mkdocs.config import load_config
from mkdocs.structure.files import get_files
from mkdocs.structure.nav import get_navigation

from handbook import outputs, pages
from handbook.outputs import run_pages
from handbook.runs import Run
from handbook.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent

# Two processes with a thread for each core are slower than two with one.
os.environ["OMP_NUM_THREADS"] = "1"

# Material's instant navigation compares absolute addresses. Each process serves the one site at a port of its own,
# where its browser finds this host. What is below `localhost` is trusted as https is.
os.environ["SITE_URL"] = "http://handbook.localhost/"


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of this test run, the same in all of its processes."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def site(shared: Path) -> Path:
    """The site, built once and strictly. Never with -q, which switches strictness off."""
    target, built = shared / "site", shared / "site.built"
    with FileLock(shared / "pages.lock"):
        if not built.exists():
            command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                pytest.fail(f"the site does not build:\n{done.stdout}{done.stderr}", pytrace=False)
            built.touch()
    return target


@pytest.fixture(scope="session")
def nav() -> list[str]:
    """The addresses of the pages in the navigation, relative to the site's: "" for the home page first."""
    config = load_config(str(ROOT / "mkdocs.yml"))
    files = config.plugins["mkdocs-jupyter"].on_files(get_files(config), config)  # which makes pages of notebooks
    return [page.url for page in get_navigation(files, config).pages]


@pytest.fixture(scope="session")
def runs(shared: Path) -> dict[str, Run]:
    """What runs and what came of it, for each page that says `exec`, by its path below `docs/`."""
    # While one process runs the pages, here or in a build, the others wait: then they have them from the cache.
    with FileLock(shared / "pages.lock"), pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        own = Site()
        for module in (pages, outputs):
            patch.setattr(module, "site", own)
        ran = run_pages(load_config("mkdocs.yml"))
        own.engine.close()
    return ran


class Handler(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".js": "text/javascript"}

    def log_message(self, *_: object) -> None:
        """Say nothing."""


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


@pytest.fixture(scope="session")
def launch() -> Callable[..., AbstractContextManager[Browser]]:
    """Starts Chromium: the system's, or else Playwright's own. Its arguments are those of the browser's command."""
    from playwright.sync_api import Error, sync_playwright  # which few tests need

    @contextmanager
    def start(*arguments: str) -> Iterator[Browser]:
        system = shutil.which("chromium") or shutil.which("google-chrome")
        with sync_playwright() as playwright:
            try:
                browser = playwright.chromium.launch(executable_path=system, args=["--no-sandbox", *arguments])
            except Error as error:
                hint = "no browser: run `.venv/bin/python -m playwright install chromium`"
                pytest.fail(f"{hint}\n{error}", pytrace=False)
            yield browser
            browser.close()

    return start
