"""The sheet to print: what is behind what, that all of it can be read, and the PDF file."""

import re
from collections.abc import Iterator
from pathlib import Path

import material
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page

from handbook.__main__ import main
from handbook.study.questions import Card, Source
from handbook.study.sheet import ANSWER, LINK, PDF, fitting, print_to, sheet

ROOT = Path(__file__).parent.parent.parent
SOURCE = Source("decoding/beams.md", "decoding/beams/", "Beams & greed, and a title that is long", "Decoding")

WORDS = "A quantized checkpoint rounds the second moments that an optimizer's state keeps in float32. "
ROW = "<tr><td>second moments</td><td>float32</td><td>1,048,576</td><td>2²⁰ × 4 bytes, and no more</td></tr>"
LINE = '<span class="k">assert</span> weigh.inspect("model.safetensors").bytes_on_disk &lt; 4 * parameters  # held\n'
SVG = '<svg viewBox="0 0 640 340" width="100%" xmlns="x"><defs><path id="m"/></defs><use xlink:href="#m"/></svg>'
ANSWERS = [
    "<p>Yes.</p>",
    f"<p>{WORDS * 8}</p>",
    f"<p>{WORDS * 3}</p>" * 3,
    f"<ul>{f'<li>{WORDS}</li>' * 8}</ul>",
    f"<p>{WORDS}</p><table><thead>{ROW}</thead><tbody>{ROW * 6}</tbody></table><p>{WORDS * 2}</p>",
    f'<div class="highlight"><pre><span></span><code>{LINE * 14}</code></pre></div><p>{WORDS * 3}</p>',
    f'<figure class="plot">{SVG}<figcaption>{WORDS}</figcaption></figure><p>{WORDS * 5}</p>',
    f"<p>{'in_one_long_word_without_a_break_' * 5}</p><p><code>{'x' * 200}</code></p>",
    '<p>See <a href="../sizes/#kib">the sizes</a>. <img alt="" src="../../assets/ruler.png"></p>',
]
CARDS = [
    Card(f"card-{number:06x}", "estimate", (WORDS if number % 2 else "Why?") + "?", answer, SOURCE)
    for number, answer in enumerate(ANSWERS)
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that is a page of sheets, as Material lays it out, in its dark scheme."""
    site = tmp_path_factory.mktemp("site")
    theirs = Path(material.__file__).parent / "templates/assets/stylesheets"
    styles = [*theirs.glob("main.*.css"), *theirs.glob("palette.*.css")]
    styles += [ROOT / f"docs/assets/css/{name}.css" for name in ("tokens", "site", "study")]
    (site / "style.css").write_text("\n".join(path.read_text("utf-8") for path in styles), "utf-8")
    (site / "cards-to-print").mkdir()
    (site / "cards-to-print/index.html").write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Cards</title>'
        '<link rel="stylesheet" href="../style.css"></head><body dir="ltr" data-md-color-scheme="slate">'
        '<header class="md-header">Head</header><div class="md-container"><main class="md-main">'
        '<div class="md-main__inner md-grid"><div class="md-content"><article class="md-content__inner md-typeset">'
        f"<h1>Cards</h1><p>How to print.</p>{sheet(CARDS)}</article></div></div></main>"
        '<footer class="md-footer">Foot</footer></div></body></html>',
        "utf-8",
    )
    return site


@pytest.fixture
def page(built: Path, chromium: Browser) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": 1300, "height": 900})
    page.goto((built / "cards-to-print/index.html").as_uri())
    yield page
    page.close()


MEASURE = """() => [...document.querySelectorAll('.sheet__text')].map(text => {
  const inner = text.firstElementChild
  return {card: text.parentElement.dataset.card, size: parseFloat(text.style.getPropertyValue('--size')),
          fits: inner.offsetHeight <= text.clientHeight && text.scrollHeight <= text.clientHeight &&
                text.scrollWidth <= text.clientWidth && inner.scrollWidth <= text.clientWidth,
          full: inner.offsetHeight / text.clientHeight}})"""


def overflowing(page: Page) -> list[str]:
    return [text["card"] for text in page.evaluate(MEASURE) if not text["fits"]]


def test_each_answer_is_behind_its_question(page: Page):
    page.emulate_media(media="print")
    places = page.evaluate(
        """() => [...document.querySelectorAll('.sheet')].map(sheet => {
          const all = sheet.getBoundingClientRect(), places = {}
          for (const card of sheet.querySelectorAll('[data-card]')) {
            const box = card.getBoundingClientRect()
            places[card.dataset.card] = [box.left - all.left, all.right - box.right, box.top - all.top].map(Math.round)
          }
          return places
        })"""
    )
    assert [len(each) for each in places] == [8, 8, 1, 1]
    for fronts, backs in zip(places[::2], places[1::2], strict=True):
        assert {card: (right, left, top) for card, (left, right, top) in fronts.items()} == {
            card: tuple(place) for card, place in backs.items()
        }, "turned over on the long edge, left is right"
    assert places[0]["card-000000"][0] == 0 and places[1]["card-000000"][1] == 0


def test_every_text_fits_its_card_and_is_no_smaller_than_it_must_be(page: Page):
    for media in ("screen", "print"):
        page.emulate_media(media=media)
        page.add_style_tag(content=".sheet { display: grid !important }")  # those that a screen does not show
        assert not overflowing(page)
    texts = page.evaluate(MEASURE)
    assert max(text["full"] for text in texts) > 0.7
    assert min(text["size"] for text in texts) >= 1.7
    page.evaluate("document.querySelectorAll('.sheet__text').forEach(e => e.style.setProperty('--size', 5.2))")
    assert {"card-000001", "card-000005", "card-000006"} <= set(overflowing(page)), "what does not fit is found"


def test_only_the_sheets_are_printed_and_on_white(page: Page):
    page.emulate_media(media="print", color_scheme="dark")
    seen = page.evaluate("document.body.innerText")
    assert "How to print" not in seen and "Head" not in seen and "Foot" not in seen and "sheets of paper" not in seen
    assert page.evaluate("getComputedStyle(document.querySelector('.sheet__text')).color") == "rgb(34, 38, 44)"
    assert page.locator(".sheet:visible").count() == 4
    page.emulate_media(media="screen")
    assert page.locator(".sheet:visible").count() == 2, "a screen shows the first"
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not page.locator(".sheet a").count() and "the sizes" in (page.locator(".sheet").last.text_content() or "")
    assert page.locator(".sheet img").get_attribute("src") == "../assets/ruler.png"
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids)) and page.locator(f'use[*|href="#{ids[0]}"]').count() == 1


def sides(pdf: bytes) -> tuple[int, set[tuple[int, ...]]]:
    """How many pages a PDF file has, and of which sizes."""
    boxes = re.findall(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)\s*\]", pdf)
    return len(re.findall(rb"/Type\s*/Page\b", pdf)), {tuple(int(float(side)) for side in box) for box in boxes}


def test_a_pdf_is_linked_where_it_is_the_sites_own(built: Path, tmp_path: Path, chromium: Browser):
    page = built / "cards-to-print/index.html"
    before = page.read_text("utf-8")
    print_to(tmp_path / "new/letter.pdf", built, chromium, "Letter")
    assert sides((tmp_path / "new/letter.pdf").read_bytes()) == (4, {(612, 792)}), "two sheets of paper, on both sides"
    assert page.read_text("utf-8") == before and LINK in before
    print_to(built / PDF, built, chromium)
    assert sides((built / PDF).read_bytes()) == (4, {(595, 842)})
    assert f'<a href="../{PDF}" download>' in page.read_text("utf-8")
    missing = CliRunner().invoke(main, ["sheet", "--site", str(tmp_path)])
    assert missing.exit_code == 1 and "make build" in missing.output


def test_a_longer_text_has_smaller_letters():
    sizes = [fitting(f"<p>{WORDS * count}</p>", ANSWER) for count in range(1, 30)]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == ANSWER[0] and sizes[-1] == ANSWER[-1]


def test_no_cards_are_no_sheets():
    assert "0 cards on 0 sheets" in sheet([])


def test_every_card_of_the_site_fits_and_can_be_read(site: Path, chromium: Browser):
    page = chromium.new_page()
    page.goto((site / "cards-to-print/index.html").as_uri())
    page.emulate_media(media="print")
    texts = page.evaluate(MEASURE)
    page.close()
    assert len(texts) > 100
    assert not [text["card"] for text in texts if not text["fits"]]
    assert not [text["card"] for text in texts if text["size"] < 1.9], "letters of 1.9 mm are 5 points: shorten these"
