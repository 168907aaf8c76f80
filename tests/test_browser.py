"""The built site in a browser: no error, no request to another host, nothing too wide, no reader shut out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect

HOME = os.environ["SITE_URL"]  # of conftest.py
DOCS = Path(__file__).parent.parent / "docs"
NAMES = sorted(
    str(page.relative_to(DOCS).with_suffix("")) for kind in ("md", "ipynb") for page in DOCS.rglob(f"*.{kind}")
)
PAGES = [*(name for name in NAMES if not name.startswith("assets/")), "404.html"]
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
READERS = {
    "light": {"color_scheme": "light", "viewport": DESKTOP},
    "dark": {"color_scheme": "dark", "viewport": DESKTOP},
    "phone": {"color_scheme": "light", "viewport": PHONE},
}
# In the dark a page has the elements that it has in the light, in other colours; in a narrow window it has its colours
# too, and others of its elements scroll, are hidden, or are the only way to the menu.
RULES: dict[str, dict[str, object]] = {
    "light": {},
    "dark": {"runOnly": ["color-contrast"]},
    "phone": {"runOnly": ["aria-hidden-focus", "button-name", "label", "link-name", "scrollable-region-focusable"]},
}

PATIENCE = 120_000  # milliseconds, for a slow machine
expect.set_options(PATIENCE)


@pytest.fixture(scope="module")
def browser(
    site: Path, serve: Callable[[Path], str], launch: Callable[..., AbstractContextManager[Browser]]
) -> Iterator[Browser]:
    """Chromium, which finds the host of the site where this process serves it."""
    address = f"127.0.0.1:{urlsplit(serve(site)).port}"
    with launch(f"--host-resolver-rules=MAP {urlsplit(HOME).hostname}:80 {address}") as chromium:
        yield chromium


class Reader:
    """A window of a new reader, and what goes wrong there."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        self._pending: set[Request] = set()
        page.set_default_timeout(PATIENCE)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        self._pending.add(request)
        if not request.url.startswith((HOME, "data:", "blob:")):
            self.wrong.append(f"off the host: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status}: {response.url}")

    def _ended(self, request: Request) -> None:
        self._pending.discard(request)

    def open(self, url: str) -> None:
        """Load a page, and wait for its fonts, for what its scripts ask for, and until it is painted."""
        self.page.goto(HOME + url)
        self.page.evaluate("document.fonts.ready.then(() => true)")
        while self._pending:
            self.page.wait_for_event("requestfinished")
        painted(self.page)


@contextmanager
def reader(browser: Browser, **settings: object) -> Iterator[Reader]:
    """A new reader, who has a window of this size and these colours."""
    context = browser.new_context(**settings, reduced_motion="reduce")
    yield Reader(context.new_page())
    context.close()


def painted(page: Page) -> None:
    """Wait until a frame is painted."""
    page.evaluate("new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))")


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


# Contrast takes axe most of its time, and code has a thousand words of ten looks. A text is good if one was that has
# the same colours in the same boxes; what could not be told of one, or is bad, is asked of the next one too.
ONCE_FOR_EACH_LOOK = """() => {
    const {evaluate} = axe._audit.checks["color-contrast"]
    const looks = new Map(), good = new Set()
    const look = element => {
        if (!element) return ""
        if (!looks.has(element)) {
            const style = getComputedStyle(element)
            const own = [
                "color", "background-color", "background-image", "opacity", "filter", "mix-blend-mode", "text-shadow",
                "font-size", "font-weight", "position", "z-index", "float", "clip-path", "visibility",
            ].map(name => style.getPropertyValue(name))
            const name = [element.localName, element.getAttribute("class"), ...own].join()
            looks.set(element, `${look(element.parentElement)}/${name}`)
        }
        return looks.get(element)
    }
    const contrast = function (node, ...others) {
        const key = look(node)
        if (good.has(key)) return true
        // Of a text that nobody sees, axe says that it is good, and gives no ratio.
        let ratio
        const noting = {...this, data: found => { ratio = found?.contrastRatio; this.data(found) }}
        const result = evaluate.call(noting, node, ...others)
        if (result && ratio) good.add(key)
        return result
    }
    axe.configure({checks: [{id: "color-contrast", evaluate: contrast}]})
}"""


class QuickAxe(Axe):
    """Axe, which looks at the contrast of each look once."""

    def __init__(self) -> None:
        super().__init__()
        self.axe_script += f";({ONCE_FOR_EACH_LOOK})()"


def violations(page: Page, rules: dict[str, object]) -> list[str]:
    """The rules of accessibility that a page breaks in a way that keeps readers out.

    A plot is one picture with a text alternative, so its thousand shapes are not looked at one by one.
    """
    options = {"resultTypes": ["violations"], "selectors": False, **rules}
    found = QuickAxe().run(page, {"exclude": [["figure.plot svg > *"]]}, options).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {rule['nodes'][0]['html'][:200]}"
        for rule in found
        if rule["impact"] in {"serious", "critical"}
    ]


@pytest.fixture(scope="module")
def one_reader(browser: Browser) -> Iterator[Reader]:
    with reader(browser) as one:
        yield one


def address(page: str) -> str:
    """Of a page, from the home page's."""
    return page if page == "404.html" else f"{page}/".removesuffix("index/")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_well(page: str, one_reader: Reader) -> None:
    """It is loaded once, in the light, and then gets the colours and the window of the other readers."""
    one_reader.wrong.clear()
    problems: list[str] = []
    for name, settings in READERS.items():
        one_reader.page.emulate_media(color_scheme=settings["color_scheme"], reduced_motion="reduce")
        resize(one_reader.page, settings["viewport"])
        if name == "light":
            one_reader.open(address(page))
        painted(one_reader.page)
        scheme = "slate" if name == "dark" else "default"
        expect(one_reader.page.locator("body")).to_have_attribute("data-md-color-scheme", scheme)
        wide = overflow(one_reader.page)
        found = [f"wider than the window: {wide}"] if wide else []
        found += violations(one_reader.page, RULES[name])
        problems += [f"{name}: {problem}" for problem in found]
    problems += one_reader.wrong
    assert not problems, "\n".join(problems)


def test_every_page_is_among_them(nav: list[str]) -> None:
    assert {*nav, "404.html"} == set(map(address, PAGES))


def boxes(page: Page) -> list[tuple[bool, bool]]:
    """Whether a box scrolls and whether the keyboard reaches it, for each box of the page as it is painted now."""
    painted(page)
    found = page.evaluate(
        """[...document.querySelectorAll(".md-typeset__scrollwrap, figure.plot, .md-typeset pre > code")]
            .map(box => [box.scrollWidth > box.clientWidth, box.tabIndex == 0])"""
    )
    return [(scrolls, reached) for scrolls, reached in found]


def resize(page: Page, size: dict[str, int]) -> None:
    page.set_viewport_size(size)
    page.wait_for_function("width => innerWidth == width", arg=size["width"])


WIDE = "tools/units-and-notation/"  # wide are some of its tables and code blocks, and only for a phone


@pytest.mark.parametrize("settings", READERS.values(), ids=READERS)
def test_the_keyboard_reaches_a_box_while_it_scrolls(browser: Browser, settings: dict[str, object]) -> None:
    with reader(browser, **settings) as here:
        here.page.goto(HOME + WIDE)
        loaded = boxes(here.page)
        resize(here.page, DESKTOP)
        wide = boxes(here.page)
        resize(here.page, PHONE)
        narrow = boxes(here.page)
        assert (True, True) in narrow
        assert set(narrow) == {(True, True), (False, False)}
        assert set(wide) == {(False, False)}
        assert loaded == (narrow if settings["viewport"] is PHONE else wide)


def test_the_keyboard_reaches_a_box_of_a_page_that_replaced_another(browser: Browser) -> None:
    with reader(browser, viewport=PHONE) as here:
        here.open("")
        title = here.page.title()
        here.page.evaluate("window.sameDocument = true")
        here.page.locator(f'a[href$="{WIDE}"]').first.evaluate("link => link.click()")
        expect(here.page).not_to_have_title(title)
        assert set(boxes(here.page)) == {(True, True), (False, False)}
        assert here.page.evaluate("window.sameDocument")


def test_search_finds(browser: Browser) -> None:
    with reader(browser, viewport=DESKTOP) as here:
        here.page.goto(HOME)
        here.page.locator("[data-md-component=search-query]").click()
        here.page.keyboard.type("checkpoint")
        expect(here.page.locator(".md-search-result__item").first).to_contain_text("heckpoint")
        assert here.wrong == []


@pytest.mark.parametrize(
    ("words", "question"),
    [
        ("difference between architecture and weights", "What is the difference between architecture and weights"),
        ("tokenizer boundary", "Why is the tokenizer part of a language model"),
        ("what does an embedding model produce", "What does an embedding model produce"),
        ("same weights behave differently in production", "Why can the same weights behave differently in production"),
        (
            "model and checkpoint difference",
            "What is the difference between an inference-ready model and a training checkpoint",
        ),
    ],
)
def test_search_finds_a_study_card_in_one_try(browser: Browser, words: str, question: str) -> None:
    with reader(browser, viewport=DESKTOP) as here:
        here.page.goto(HOME)
        here.page.locator("[data-md-component=search-query]").click()
        here.page.keyboard.insert_text(words)
        first = here.page.locator(".md-search-result__item").first  # a page, with the sections that fit
        card = first.locator('a[href*="#q-card-"]').first
        expect(card).to_contain_text(question)
        if not card.is_visible():
            first.get_by_text("more on this page").click()
        card.click()
        expect(here.page.locator("details.card[open]").first).to_contain_text("Evidence")


def test_a_link_replaces_the_page_without_loading_it_anew(browser: Browser, nav: list[str]) -> None:
    with reader(browser, viewport=DESKTOP) as here:
        here.open("")
        title = here.page.title()
        here.page.evaluate("window.sameDocument = true")
        here.page.locator(f'a[href$="{nav[1]}"]:visible').first.click()
        here.page.wait_for_url(HOME + nav[1])
        expect(here.page).not_to_have_title(title)
        assert here.page.evaluate("window.sameDocument")
        assert here.page.locator("h1").count() == 1
        assert here.wrong == []


def test_the_reader_can_choose_the_colours(browser: Browser) -> None:
    with reader(browser, viewport=DESKTOP, color_scheme="light") as here:
        here.open("")
        seen = {here.page.evaluate("getComputedStyle(document.body).backgroundColor")}
        for _ in range(2):
            here.page.locator("[data-md-component=palette] label:visible").click()
            seen.add(here.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(seen) == 2
        assert here.wrong == []
