"""What the search of the site leads to, on a phone."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser

from .shared import dress

HELD = """async (chosen) => {
    const { body } = document;
    body.setAttribute("data-md-scrolllock", "");
    body.style.position = "fixed";
    await new Promise(requestAnimationFrame);
    if (chosen) history.pushState(null, "", "#card-00000a");
    await new Promise(requestAnimationFrame);
    body.style.position = "";
    body.removeAttribute("data-md-scrolllock");
    scrollTo(0, 40);
    await new Promise(requestAnimationFrame);
    return scrollY;
}"""  # as Material's search holds a page on a phone
TOP = "Math.round(document.getElementById('card-00000a').getBoundingClientRect().top + scrollY)"


def test_a_phone_shows_what_the_search_led_to(chromium: Browser, serve: Callable[[Path], str], tmp_path: Path) -> None:
    """Though the page cannot scroll while the search goes; and a search that led nowhere moves nothing."""
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    body = '<p style="height: 3000px">Long</p><p id="card-00000a">Card</p><p style="height: 3000px">Long</p>'
    script = '<script src="assets/js/access.js"></script>'
    (dress(tmp_path) / "index.html").write_text(f"<!doctype html><body>{body}{script}", "utf-8")
    page.goto(serve(tmp_path))
    assert [page.evaluate(HELD, chosen) for chosen in (False, True, False)] == [40, page.evaluate(TOP), 40]
    page.close()
