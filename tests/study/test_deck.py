"""The deck: its HTML, how a build fills its page, and the page and the entry of the scripts in Chromium."""

from __future__ import annotations

import gzip
import logging
import random
import re
import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner
from material.plugins.search.plugin import Parser
from mkdocs.__main__ import cli
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.utils.yaml import yaml_load
from playwright.sync_api import Browser, Page, expect

from handbook.site import Site, site
from handbook.study import offline, questions, scripts
from handbook.study.deck import deck
from handbook.study.questions import Card, Source

from .shared import ROOT, STUDY, dress, violations

ANSWER = """<p id="here">Because of <a href="#evidence">this</a> and <a href="../other/#k">that</a>.</p>
<div class="highlight"><pre><code tabindex="0">
one_long_line_of_code({number}, "which a phone has to scroll sideways")</code></pre></div>
<svg viewBox="0 0 9 9" role="img" aria-label="A mark"><path id="m" d="M0 0h3v3z"/><use xlink:href="#m" href="#m"/>
<g clip-path="url(#m)"/></svg><p>After the code.</p>"""


def card(
    number: int, topic: str = "Decoding", page: str = "decoding/quality", kind: str = "explain", word: str = ""
) -> Card:
    source = Source(f"{page}.md", f"{page}/", f"Page {page}", topic)
    return Card(f"card-{number:06x}", kind, f"Question {number} {word}?", ANSWER.format(number=number), source)


CARDS = [
    card(1, "Models & more", "models/one", "predict", "alpha"),
    card(2, "Models & more", "models/one", "compare", "beta"),
    card(3, "Models & more", "models/two", "predict", "beta"),
    *(card(number, kind="estimate") for number in range(4, 8)),
    card(8, page="decoding/beams", kind="diagnose", word="alpha beta’s cross-check"),
]


def test_a_deck() -> None:
    """Topics and their cards in the order given, with counts; each card with its source; links and ids of its own."""
    page = BeautifulSoup(deck(CARDS, "../sw.js"), "html.parser")
    assert page.select_one(".deck-desk")["data-worker"] == "../sw.js"
    assert [section["id"] for section in page.select("section.deck-topic")] == ["topic-models-more", "topic-decoding"]
    assert [title.get_text() for title in page.select("h2")] == ["Models & more 3", "Decoding 5"]
    found = page.select("section#topic-models-more > details.question.card")
    assert [card["id"] for card in found] == ["card-000001", "card-000002", "card-000003"]
    first = found[0]
    assert (first["data-kind"], first["data-topic"], first["data-page"]) == ("predict", "Models & more", "models/one/")
    assert first.summary.get_text() == "Question 1 alpha?"
    assert first.select(".card-source a")[0]["href"] == "../models/one/#card-000001"
    assert [a["href"] for a in first.select("p:not(.card-source) a")] == [
        "../models/one/#evidence",
        "../models/other/#k",
    ]
    ids = [element["id"] for element in page.select("[id]")]
    assert len(ids) == len(set(ids)), "pages have ids in common, and answers bring theirs"
    assert first.use["href"] == first.use["xlink:href"] == "#card-000001-m"
    assert first.g["clip-path"] == "url(#card-000001-m)"


def test_a_search_finds_the_cards_on_their_pages_alone() -> None:
    """Material's search ends to skip an element where the first one of its kind in it ends: so a topic is a section."""
    parser = Parser()
    parser.feed(f"<h1 id='cards'>Cards</h1><p>Before.</p>{deck(CARDS)}<h2 id='end'>End</h2><p>After.</p>")
    parser.close()
    assert ["".join(section.text).strip() for section in parser.data] == ["<p>Before.</p>", "<p>After.</p>"]


def test_a_large_deck_is_small() -> None:
    """With 400 cards of 120 words, all of them different, a reader hardly notices it."""
    draw = random.Random(16)
    words = ["".join(draw.choices("abcdefghijklmnop", k=draw.randrange(2, 9))) for _ in range(3000)]
    answers = ["<p>" + " ".join(draw.choices(words, k=120)) + "</p>" for _ in range(400)]
    many = [Card(f"card-{number:06x}", "explain", "Why?", text, CARDS[0].source) for number, text in enumerate(answers)]
    assert len(gzip.compress(deck(many).encode())) < 150_000


CONFIG = f"""
site_name: small
site_url: http://localhost/
theme: {{name: mkdocs, highlightjs: false}}
plugins: []
hooks: [{ROOT / "src/handbook/hooks.py"}]
extra_css: [assets/css/study.css]
extra_javascript: [{{path: assets/js/study/study.js, type: module}}]
markdown_extensions: [toc, pymdownx.details, pymdownx.snippets, pymdownx.superfences, handbook.pages]
nav: [index.md, Last & least: [Z & so on: z.md, sub/b.md], First: [a.md], cards.md]
"""
FIELD = '<div class="problem" data-answer="2" data-unit="GB" data-within="1" hidden>\n</div>'
QUESTIONS = '??? question predict card-00000{0} "Page {0}?"\n\n    [Home]({1}index.md)\n\n'
PROBLEM = f'How many?\n\n{FIELD}\n\n??? success "Answer"\n\n    Two.\n'


@pytest.fixture
def mkdocs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Builds a small site, and returns what the build says."""
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    shutil.copytree(STUDY, docs / "assets/js/study")
    (docs / "assets/css").mkdir()
    shutil.copy(ROOT / "docs/assets/css/study.css", docs / "assets/css")
    (tmp_path / "mkdocs.yml").write_text(CONFIG)
    (docs / "index.md").write_text("# Home\n")
    (docs / "a.md").write_text("# A < B & `c`\n\n" + QUESTIONS.format(1, "") + PROBLEM)
    (docs / "sub/b.md").write_text("# B\n\n" + QUESTIONS.format(2, "../"))
    (docs / "z.md").write_text("# Z\n\n" + PROBLEM + "\n" + QUESTIONS.format(3, ""))
    (docs / "cards.md").write_text('# Cards\n\n## Before\n\n<div id="deck"></div>\n\n## Behind\n')
    for name, value in vars(Site(root=tmp_path)).items():
        monkeypatch.setattr(site, name, value)

    def run() -> str:
        with chdir(tmp_path):
            done = CliRunner().invoke(cli, ["build", "--strict"])
        logging.getLogger("mkdocs").handlers.clear()
        # MkDocs drops what it has said before in this process, as that it built a site in so many seconds.
        return f"{done.output}{done.exception or ''}\nexit code {done.exit_code}"

    return run


def test_a_build_fills_the_page(tmp_path: Path, mkdocs: Callable[..., str]) -> None:
    """Cards and problems are those of all pages, in the order of the navigation, which is not that of the files."""
    assert "exit code 0" in mkdocs()
    assert [card.id for card in site.cards] == ["card-000003", "card-000002", "card-000001"]
    assert [card.source.topic for card in site.cards] == ["Last & least", "Last & least", "First"]
    assert [card.source.title for card in site.cards] == ["Z & so on", "B", "A < B & c"], "as text"
    assert [problem.id for problem in site.problems] == ["z-1", "a-1"]
    page = BeautifulSoup((tmp_path / "site/cards/index.html").read_text("utf-8"), "html.parser")
    assert [title.get_text() for title in page.select("section h2")] == ["Last & least 2", "First 1"]
    assert [link.get_text() for link in page.select(".card-source a")] == ["Z & so on", "B", "A < B & c"]
    assert page.select_one("#card-000002 p a")["href"] == ".."
    contents = [link["href"] for link in page.select("#toc-collapse a, .bs-sidenav a")]
    assert contents[-4:] == ["#before", "#topic-last-least", "#topic-first", "#behind"]
    study = page.select_one('script[src*="study.js"]')
    version = scripts.version(tmp_path / "docs")
    assert (study["type"], study["src"]) == ("module", f"../assets/js/study/study.js?v={version}")
    assert page.select_one(f'link[href="../assets/css/study.css?v={version}"]')
    for module in (tmp_path / "site/assets/js/study").glob("*.js"):
        for to in offline.IN_MODULES.findall(module.read_text("utf-8")):
            assert to.startswith("../vendor/") or to.endswith(f"?v={version}"), f"{module.name} imports {to}"


def test_a_book_without_study_scripts_is_built(tmp_path: Path, mkdocs: Callable[..., str]) -> None:
    shutil.rmtree(tmp_path / "docs/assets")
    config = (tmp_path / "mkdocs.yml").read_text("utf-8")
    (tmp_path / "mkdocs.yml").write_text(re.sub(r"^extra_.*\n", "", config, flags=re.MULTILINE))
    assert "exit code 0" in mkdocs()


def test_a_page_without_a_mark_stops_the_build(tmp_path: Path, mkdocs: Callable[..., str]) -> None:
    (tmp_path / "docs/cards.md").write_text("# Cards\n")
    assert "cards.md has no" in mkdocs()


def test_under_serve_nothing_is_kept(tmp_path: Path, mkdocs: Callable[..., str]) -> None:
    """Neither a worker nor versions, which would be of an earlier state of the sources."""
    shutil.copy(ROOT / "docs/sw.js", tmp_path / "docs")
    mkdocs()
    assert 'data-worker="../sw.js"' in (tmp_path / "site/cards/index.html").read_text("utf-8")
    assert (tmp_path / "site/sw.js").read_bytes() != (ROOT / "docs/sw.js").read_bytes()
    site.released = False
    with chdir(tmp_path):
        build(load_config())
    html = (tmp_path / "site/cards/index.html").read_text("utf-8")
    assert "study.js?" not in html
    assert "data-worker" not in html
    assert (tmp_path / "site/sw.js").read_bytes() == (ROOT / "docs/sw.js").read_bytes()


def test_an_image_that_cannot_be_packed_stops_a_build_and_no_server(
    tmp_path: Path, mkdocs: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    page = tmp_path / "docs/a.md"
    page.write_text(page.read_text("utf-8").replace("[Home]", "![A](https://a.test/a.png) [Home]"))
    assert re.search(r"^ERROR .*a\.md shows https://a\.test/a\.png in a card", mkdocs(), re.MULTILINE)
    site.released = False
    with chdir(tmp_path):
        build(load_config())
    assert "a.md shows https://a.test/a.png in a card" in caplog.text
    assert (tmp_path / "site/cards/deck.json").is_file()


def loaded(entry: Path) -> dict[Path, int]:
    """The modules that a module loads at once or later, with their compressed sizes."""
    found: dict[Path, int] = {}
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module not in found:
            text = module.read_text("utf-8")
            found[module] = len(gzip.compress(text.encode()))
            waiting += [(module.parent / to).resolve() for to in offline.IN_MODULES.findall(text)]
    return found


def test_the_scripts_are_small_and_block_nothing() -> None:
    """An ordinary page loads the entry alone at once, and the deck's less than 60 kB; modules wait for the page."""
    entry = STUDY / "study.js"
    assert len(gzip.compress(entry.read_bytes())) < 3000
    assert not re.search(r"^import ", entry.read_text("utf-8"), re.MULTILINE), "the entry imports when it needs"
    sizes = loaded(STUDY / "deck.js") | {entry: len(gzip.compress(entry.read_bytes()))}
    assert sum(sizes.values()) < 60_000, {path.name: size for path, size in sizes.items()}
    assert STUDY / "review.js" in sizes
    config = yaml_load((ROOT / "mkdocs.yml").read_text("utf-8").replace("!ENV", "").replace("!!python/name:", ""))
    assert {"path": "assets/js/study/study.js", "type": "module"} in config["extra_javascript"]


def test_all_that_the_entry_loads_is_there() -> None:
    assert {path for path in loaded(STUDY / "study.js") if path.parent == STUDY} == set(STUDY.glob("*.js"))


HTML = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/material.css"><link rel="stylesheet" href="/assets/css/tokens.css">
<link rel="stylesheet" href="/assets/css/site.css"><link rel="stylesheet" href="/assets/css/study.css">
<script>
  const mounts = [];  // as Material's: it tells of the page, and of each that it swaps in
  window.document$ = {{ subscribe: (mount) => {{ mounts.push(mount); mount(document); }} }};
  window.again = () => mounts.forEach((mount) => mount(document));
</script>
<script type="module" src="/assets/js/study/study.js"></script></head>
<body data-md-color-scheme="default"><main class="md-typeset"><article>
<h1>A <em>page</em><a class="headerlink" href="#a">¶</a></h1>
{content}
</article></main></body></html>"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, serve: Callable[[Path], str]) -> str:
    """A site of the deck and of one page with cards, styled as the real one."""
    folder = dress(tmp_path_factory.mktemp("deck"))
    own = (
        "".join(
            f'<details class="question"><summary>{c.question}</summary>{c.answer}</details>'.replace(
                'class="question"', f'class="question {c.kind} {c.id}"'
            )
            for c in CARDS[:3]
        )
        .replace('id="here"', "")
        .replace('id="m"', "")
    )
    pages = {
        "cards": deck(CARDS),
        "page": f"<h2>Study cards</h2>{questions.mark(own)}<h2>Sources</h2>",
        "plain": "<p>No cards.</p>",
    }
    for name, content in pages.items():
        (folder / name).mkdir()
        (folder / name / "index.html").write_text(HTML.format(content=content), encoding="utf-8")
    return serve(folder)


@pytest.fixture
def page(chromium: Browser) -> Page:
    with chromium.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce") as context:
        context.set_default_timeout(5000)
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        assert errors == []


def shown(page: Page) -> list[int]:
    """The numbers of the cards that the page shows."""
    return page.evaluate(
        "[...document.querySelectorAll('.card')].filter(c => c.checkVisibility()).map(c => +c.id.slice(5))"
    )


def counts(page: Page) -> dict[str, int]:
    pairs = page.eval_on_selector_all(
        ".deck-counts > div",
        "all => all.map(d => [d.querySelector('dt').textContent, +d.querySelector('dd').textContent])",
    )
    return {name: number for name, number in pairs if number}


def accessible(page: Page) -> None:
    """Axe finds nothing in either scheme, and a phone has nothing to scroll sideways."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for scheme, only in {"slate": {"runOnly": ["color-contrast"]}, "default": {}}.items():
        page.evaluate("scheme => document.body.dataset.mdColorScheme = scheme", scheme)
        assert violations(page, **only) == []


def test_filters_and_counts(page: Page, address: str) -> None:
    """Each filter narrows what is shown, counted and asked, and the fields say how many cards each choice has."""
    page.goto(address + "cards/")
    topic, of_page = (page.get_by_role("combobox", name=name) for name in ("Topic", "Page"))
    words = page.get_by_role("searchbox", name="Words")
    status, clear = page.locator(".deck-row [role=status]"), page.get_by_role("button", name="Clear the filters")
    expect(status).to_have_text("8 cards")
    assert topic.locator("option").all_text_contents() == ["All topics", "Models & more (3)", "Decoding (5)"]
    assert counts(page) == {"new today": 8, "not yet seen": 8}
    expect(clear).to_be_disabled()
    accessible(page)

    topic.select_option("Models & more")
    expect(status).to_have_text("3 of 8 cards")
    assert shown(page) == [1, 2, 3]
    assert of_page.locator("option").all_text_contents() == ["All pages", "Page models/one (2)", "Page models/two (1)"]
    of_page.select_option("models/one/")
    assert shown(page) == [1, 2]
    assert page.locator("section:visible > h2").all_text_contents() == ["Models & more 2 of 3"]
    expect(page.get_by_role("button", name="Quiz these (2)")).to_be_enabled()
    page.get_by_label("Compare (1)").check()
    assert shown(page) == [2]
    expect(page.get_by_label("Predict (1)")).not_to_be_checked()
    clear.click()
    expect(words).to_be_focused()
    page.keyboard.type("beta  ALPHA")
    assert shown(page) == [8]
    words.fill('beta\'s "cross check"')
    assert shown(page) == [8]
    words.fill("nowhere")
    expect(status).to_have_text("0 of 8 cards")
    expect(page.locator(".deck-tools > p")).to_have_text("No card fits these filters.")
    expect(page.get_by_role("button", name="Quiz these (0)")).to_be_disabled()
    page.evaluate("location.hash = 'card-000005'")
    expect(page.locator("#card-000005")).to_have_attribute("open", "")
    assert len(shown(page)) == 8, "a link to a card shows it"
    topic.select_option("Decoding")
    page.get_by_text("Progress by topic").click()
    page.get_by_role("link", name="Models & more").click()
    expect(page.get_by_role("heading", name="Models & more")).to_be_in_viewport()
    page.get_by_text("Your reviews", exact=True).click()
    page.get_by_label("New cards a day").fill("0")
    page.get_by_label("New cards a day").press("Enter")
    expect(page.locator(".deck-tools > p")).to_have_text(re.compile("yet. Begin with a quiz. Today brings no more"))


def test_a_quiz_counts(page: Page, address: str) -> None:
    """By keys alone: its grades are reviews, and counts, progress and leeches follow."""
    page.goto(address + "cards/?card=card-000008")
    expect(page).to_have_url(re.compile("#card-000008$"))
    expect(page.locator("#card-000008")).to_have_attribute("open", "")
    page.get_by_role("searchbox", name="Words").fill("alpha")
    page.get_by_label("Ask in random order").check()
    page.get_by_role("button", name="Quiz these (2)").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".wm-review__question")).to_be_visible()
    assert shown(page) == [], "the cards below would tell"
    expect(page.locator(".deck-tools")).to_be_hidden()
    for _ in range(2):
        page.keyboard.press("Space")
        expect(page.locator(".wm-review__grades")).to_be_visible()
        page.keyboard.press("4")
        expect(page.locator(".wm-review__grades")).to_be_hidden()
    page.get_by_role("button", name="Close").press("Enter")
    expect(page.get_by_role("button", name="Quiz these (2)")).to_be_focused()
    expect(page.locator(".deck-counts > div").nth(3)).to_contain_text("2")
    assert counts(page) == {"learned": 2}
    assert shown(page) == [1, 8]
    expect(page.locator(".deck-tools > p")).to_have_text(
        re.compile(r"^None of these cards is due. The next one is in \d+ days.$")
    )

    # Eight lapses, a fortnight apart, of a card that had been learned.
    page.evaluate(
        """async () => {
            const {store} = await import("/assets/js/study/store.js");
            const start = Date.now() - 200 * 86400000;
            for (const [i, grade] of [4, 1, 4, 1, 4, 1, 4, 1, 4, 1, 4, 1, 4, 1, 4, 1, 4].entries())
                await store().add("card-000003", grade, start + i * 11 * 86400000);
        }"""
    )
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator(".deck-counts > div").last).to_contain_text("1")
    leech = page.get_by_role("region", name="Leeches").get_by_role("link")
    assert [link.get_attribute("href") for link in leech.all()] == ["#card-000003", "../models/two/#card-000003"]
    expect(page.get_by_role("button", name="Review due cards (1)")).to_have_class(re.compile("primary"))
    page.get_by_text("Progress by topic").click()
    rows = page.locator(".deck-progress tbody tr").all_inner_texts()
    assert [" ".join(row.split()) for row in rows] == ["Models & more 2 of 3 1", "Decoding 1 of 5 0"]
    page.get_by_text("Your reviews", exact=True).click()
    accessible(page)


def test_a_browser_that_keeps_nothing(page: Page, address: str) -> None:
    """The deck says so before a grade is given, and above the filters."""
    page.add_init_script("indexedDB.open = () => { throw new DOMException('', 'SecurityError') }")
    page.goto(address + "cards/")
    expect(page.locator(".deck-tools > [role=alert]")).to_contain_text("Not kept: This browser does not let the site")
    expect(page.get_by_role("button", name="Learn new cards (8)")).to_be_enabled()
    accessible(page)


def test_cards_of_a_page_are_reviewed_in_place(page: Page, address: str) -> None:
    """Below the last card, once, also after a navigation without a reload; and nothing more is loaded before."""
    loads: list[str] = []
    page.on("request", lambda request: loads.append(request.url.rpartition("/")[2]))
    page.goto(address + "plain/")
    assert page.locator(".card-box").count() == 0
    page.goto(address + "page/")
    box = page.get_by_role("region", name="Review this page's cards")
    expect(box).to_contain_text("3 cards from this page.")
    assert page.evaluate("document.querySelector('.card-box').previousElementSibling.id") == "card-000003"
    assert {name for name in loads if name.endswith("js")} == {"study.js"}
    assert box.get_by_role("link").get_attribute("href") == address + "cards/"
    accessible(page)
    page.evaluate("again()")
    assert box.count() == 1
    page.evaluate("() => { document.querySelector('.card-box').remove(); again(); }")
    box.get_by_role("button", name="Review them").press("Enter")
    expect(page.locator(".wm-review__question")).to_have_text("Question 1 alpha?")
    page.keyboard.press("Space")
    expect(page.locator(".wm-review__source")).to_have_text("From A page")
    expect(box.get_by_role("link", name="The whole deck")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(box.get_by_role("button", name="Review them")).to_be_focused()


def test_a_review_that_cannot_be_loaded(page: Page, address: str) -> None:
    page.goto(address + "page/")
    page.route("**/review.js", lambda route: route.abort())
    page.get_by_role("button", name="Review them").click()
    expect(page.get_by_role("status")).to_contain_text("could not be loaded")
    expect(page.get_by_role("button", name="Review them")).to_be_visible()
