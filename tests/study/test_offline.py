"""The service worker, in Chromium: the deck without a network, and never a stale page after a release."""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import chdir
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path

import pytest
from click.testing import CliRunner
from mkdocs.__main__ import cli
from playwright.sync_api import Browser, BrowserContext, Page, expect

from handbook.site import Site, site
from handbook.study import offline

ROOT = Path(__file__).parent.parent.parent
CONFIG = f"""
site_name: released
site_url: ADDRESS
theme: {{name: material, font: false, features: [navigation.instant]}}
plugins: [search]
hooks: [{ROOT / "src/handbook/hooks.py"}]
extra_css: [assets/css/tokens.css, assets/css/study.css]
extra_javascript: [{{path: assets/js/study/study.js, type: module}}]
markdown_extensions: [pymdownx.details, pymdownx.snippets, pymdownx.superfences, handbook.pages]
nav: [index.md, cards.md, Part: [part.md, other.md]]
"""
PAGES = {
    "index.md": "# Home\n\nHome of release 1.\n",
    "cards.md": '# Cards\n\nDeck of release 1.\n\n<div id="deck"></div>\n',
    "part.md": '# Part\n\nPart of release 1.\n\n??? question explain card-0000a1 "Why?"\n\n    Because.\n',
    "other.md": "# Other\n\nOther of release 1.\n",
}


def build(project: Path, release: int, address: str) -> Path:
    """A built release, in which every page and the deck's script say which it is."""
    docs = project / "docs"
    shutil.copytree(ROOT / "docs/assets", docs / "assets", dirs_exist_ok=True)
    shutil.copy(ROOT / "docs/sw.js", docs)
    (project / "mkdocs.yml").write_text(CONFIG.replace("ADDRESS", address))
    for name, text in PAGES.items():
        (docs / name).write_text(text.replace("release 1", f"release {release}"))
    script = docs / "assets/js/study/deck.js"
    script.write_text(script.read_text("utf-8") + f"\ndocument.documentElement.dataset.script = {release};\n")
    target = project / f"site-{release}"
    with chdir(project), pytest.MonkeyPatch.context() as patch:
        for name, value in vars(Site(root=project)).items():
            patch.setattr(site, name, value)
        done = CliRunner().invoke(cli, ["build", "--strict", "--site-dir", str(target)])
    logging.getLogger("mkdocs").handlers.clear()
    assert done.exit_code == 0, done.output
    return target


class Host:
    """A host of static sites, which has browsers keep every file for ten minutes and answer for it by its ETag."""

    def __init__(self) -> None:
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                host.asked.append((self.command, path))
                file = host.site / path.removeprefix("/")
                if file.is_dir() and not path.endswith("/"):
                    self.answer(301, b"", Location=f"{path}/" + (f"?{query}" if query else ""))
                    return
                file = file / "index.html" if file.is_dir() else file
                if not file.is_file():
                    self.answer(404, b"nothing here")
                    return
                content = file.read_bytes()
                tag = f'"{hashlib.sha256(content).hexdigest()}"'
                kept = {"ETag": tag, "Cache-Control": "max-age=600"}
                if self.headers["If-None-Match"] == tag:
                    self.answer(304, b"", **kept)
                else:
                    self.answer(200, content, **kept, **{"Content-Type": type_of(file)})

            def answer(self, status: int, content: bytes, **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.site, self.asked = Path(), list[tuple[str, str]]()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://localhost:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def type_of(file: Path) -> str:
    return "text/javascript" if file.suffix == ".mjs" else guess_type(file.name)[0] or "application/octet-stream"


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.server.shutdown()


@pytest.fixture(scope="module")
def releases(host: Host, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two releases. Their address is the host's, since Material navigates by itself only where its map says."""
    project = tmp_path_factory.mktemp("releases")
    return build(project, 1, host.address), build(project, 2, host.address)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    context.set_default_timeout(10_000)
    yield context
    context.close()


REGISTERED = "() => navigator.serviceWorker.getRegistrations().then((all) => all.length)"
# What Chromium does by itself, one second after it has loaded a page.
UPDATE = "() => navigator.serviceWorker.ready.then((registration) => registration.update()).catch(() => {})"
CACHES = "() => caches.keys()"


def opened(page: Page, address: str, release: int) -> None:
    """Open a page, which must be of this release, with all it shows and runs."""
    page.goto(address)
    expect(page.locator("article")).to_contain_text(f"of release {release}", timeout=10_000)
    if "cards" in address:
        expect(page.locator("html")).to_have_attribute("data-script", str(release), timeout=10_000)
        expect(page.get_by_role("button", name="Learn new cards (1)")).to_be_enabled(timeout=10_000)


def until(page: Page, question: str, answer: object) -> None:
    """Ask again until this is the answer. Playwright's `wait_for_function` takes any promise that is kept for a yes."""
    end = time.monotonic() + 10
    while (last := page.evaluate(question)) != answer:
        assert time.monotonic() < end, f"{question} stays {last}"
        page.wait_for_timeout(50)


def taken_over(page: Page, built: Path) -> None:
    """Wait until the worker of a release answers, and has all that it is to keep."""
    page.evaluate(UPDATE)
    scope = page.evaluate("navigator.serviceWorker.ready.then(({scope}) => scope)")
    until(page, CACHES, [f"weights-and-measures {scope} {offline.release(built, offline.needs(built))}"])
    until(page, "navigator.serviceWorker.ready.then(({active}) => active.state)", "activated")


def test_the_deck_without_a_network_and_after_a_release(
    releases: tuple[Path, Path], host: Host, context: BrowserContext
) -> None:
    """The deck and what was read come without a network; with one, only what is new, from the first load on."""
    old, new = releases
    host.site, at = old, host.address
    page = context.new_page()
    opened(page, at + "part/", 1)
    assert page.evaluate(REGISTERED) == 0, "only the deck's page registers the worker"
    opened(page, at + "cards/", 1)
    taken_over(page, old)
    opened(page, at + "part/", 1)

    context.set_offline(True)
    host.asked.clear()
    opened(page, at + "cards/", 1)
    opened(page, at + "cards?card=card-0000a1", 1)
    assert page.url.startswith(at + "cards/?card=card-0000a1")
    expect(page.locator("#card-0000a1")).to_have_attribute("open", "")
    opened(page, at + "part/", 1)
    page.goto(at + "other/")
    expect(page.get_by_role("heading")).to_have_text("No network")
    page.get_by_role("link", name="study cards").click()
    page.wait_for_url(at + "cards/")
    asked = {path for _, path in host.asked}
    assert asked <= {"/sw.js"}, "nothing came from a network; the browser itself looks for a newer worker"

    context.set_offline(False)
    host.site = new
    opened(page, at + "cards/", 2)
    opened(page, at + "part/", 2)
    opened(page, at + "cards/", 2)
    taken_over(page, new)
    context.set_offline(True)
    opened(page, at + "cards/", 2)


def test_a_tab_that_stays_open_over_a_release(releases: tuple[Path, Path], host: Host, context: BrowserContext) -> None:
    """It navigates without a reload, to a page of the new release: with that page's scripts, not with those it has."""
    old, new = releases
    host.site, at = old, host.address
    page = context.new_page()
    opened(page, at + "cards/", 1)
    taken_over(page, old)
    page.evaluate("window.tab = 'old'")
    page.get_by_role("link", name="Home").first.click()
    expect(page.locator("article")).to_contain_text("Home of release 1")
    assert page.evaluate("window.tab") == "old", "Material navigates by itself"
    host.site = new
    page.get_by_role("link", name="Cards").first.click()
    expect(page.locator("article")).to_contain_text("Deck of release 2")
    expect(page.locator("html")).to_have_attribute("data-script", "2")
    expect(page.get_by_role("button", name="Learn new cards (1)")).to_be_enabled()


def test_what_passes_the_worker(releases: tuple[Path, Path], host: Host, context: BrowserContext) -> None:
    """What is no reading of a file of the site goes to the network as if there were no worker."""
    host.site, at = releases[0], host.address
    page = context.new_page()
    opened(page, at + "cards/", 1)
    taken_over(page, host.site)
    seen = {}
    page.on("response", lambda response: seen.update({response.url.removeprefix(at): response.from_service_worker}))
    page.evaluate(
        """async () => {
            await fetch("../sitemap.xml");
            await fetch("../posted", {method: "POST", body: "x"});
            await fetch("../ranged", {headers: {Range: "bytes=0-1"}});
            await fetch("../livereload/1/2");
            await fetch("../handbook/progress.json?page=/");
            await fetch("../handbook/live.js");
        }"""
    )
    passed = ["posted", "ranged", "livereload/1/2", "handbook/progress.json?page=/", "handbook/live.js"]
    assert seen == {"sitemap.xml": True} | dict.fromkeys(passed, False)


WAYS = ["no worker in the release", "a worker that the build did not complete", "no worker named by the deck"]


@pytest.mark.parametrize("way", WAYS)
def test_a_release_takes_the_worker_back(
    way: str, releases: tuple[Path, Path], host: Host, context: BrowserContext, tmp_path: Path
) -> None:
    """Browsers keep a worker whose file is gone. This one deletes itself, and all that it kept."""
    host.site, at = releases[0], host.address
    page = context.new_page()
    opened(page, at + "cards/", 1)
    taken_over(page, host.site)
    last = tmp_path / "last"
    shutil.copytree(releases[1], last)
    if way == WAYS[0]:
        (last / "sw.js").unlink()
    elif way == WAYS[1]:
        shutil.copy(ROOT / "docs/sw.js", last)
    else:  # as under `mkdocs serve`, at an address where a built site was
        deck = last / "cards/index.html"
        deck.write_text(deck.read_text("utf-8").replace(' data-worker="../sw.js"', ""), "utf-8")
    host.site = last
    opened(page, at + ("cards/" if way == WAYS[2] else "part/"), 2)
    if way == WAYS[1]:
        page.evaluate(UPDATE)
    until(page, REGISTERED, 0)
    until(page, CACHES, [])
    opened(page, at + "part/", 2)
    assert page.evaluate("navigator.serviceWorker.controller") is None


def test_what_the_deck_needs(releases: tuple[Path, Path]) -> None:
    """The page, its styles with their fonts, its scripts with all that they load, its icon; nothing else, no search."""
    built = releases[0]
    files = offline.needs(built)
    names = {file.partition("?")[0] for file in files}
    study = {f"assets/js/study/{path.name}" for path in (built / "assets/js/study").glob("*.js")}
    assert files[0] == "cards/"
    assert len(files) == len(set(files))
    assert study | {"assets/fonts/besley-latin-wght-normal.woff2", "assets/images/favicon.png"} < names
    assert {"assets/css/study.css", "assets/css/tokens.css"} < names
    assert any(name.startswith("assets/js/vendor/") for name in names)
    assert not [name for name in names if name.startswith("search") or (name.endswith("/") and name != "cards/")]
    mark = (built / "sw.js").read_text("utf-8")
    assert offline.release(built, files) in mark
    assert (releases[1] / "sw.js").read_text("utf-8") != mark, "another release is another worker"


def test_a_worker_that_cannot_be_completed(tmp_path: Path, releases: tuple[Path, Path]) -> None:
    shutil.copytree(releases[0], tmp_path, dirs_exist_ok=True)
    with pytest.raises(ValueError, match="lacks the line"):
        offline.write(tmp_path)
