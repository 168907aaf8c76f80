"""Tables that sort, in a browser: by pointer and keyboard, and whole where no script runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser

SCRIPT = Path(__file__).parent.parent.parent / "docs" / "assets" / "js" / "tables.js"
ROWS = [("Shampoo", "2,052"), ("adamw", "8.5"), ("Muon", "–"), ("SGD", "−1"), ("Lion", "10")]
HTML = """<!doctype html><meta charset="utf-8"><title>A page</title><script>
  window.document$ = {{ subscribe: (mount) => {{ mount(document); mount(document); }} }};
</script>
<div class="wm-sortable"><table><thead><tr><th>Optimizer</th><th>Bytes</th></tr></thead><tbody>
{rows}</tbody></table></div>
<table><thead><tr><th>Other</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>
<script type="module" src="js/tables.js"></script>"""


@pytest.fixture
def address(tmp_path: Path, serve: Callable[[Path], str]) -> str:
    (tmp_path / "js").symlink_to(SCRIPT.parent)
    rows = "".join(f"<tr><td>{name}</td><td>{size}</td></tr>" for name, size in ROWS)
    (tmp_path / "index.html").write_text(HTML.format(rows=rows), encoding="utf-8")
    return serve(tmp_path)


def test_a_column_sorts_by_pointer_and_keyboard(chromium: Browser, address: str) -> None:
    """Numbers by size, with what is no number at the end either way; words as a dictionary has them."""
    page = chromium.new_page()
    page.goto(address)

    def names() -> list[str]:
        return page.locator(".wm-sortable tbody tr td:first-child").all_text_contents()

    assert names() == [name for name, _ in ROWS]
    size = page.get_by_role("columnheader", name="Bytes")
    size.get_by_role("button").click()
    assert names() == ["SGD", "adamw", "Lion", "Shampoo", "Muon"]
    assert size.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert names() == ["Shampoo", "Lion", "adamw", "SGD", "Muon"]
    assert size.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert names() == ["adamw", "Lion", "Muon", "SGD", "Shampoo"]
    assert size.get_attribute("aria-sort") is None
    assert page.get_by_role("button").count() == 2, "the other table is as it was"
    page.close()


def test_without_javascript_the_table_is_whole(chromium: Browser, address: str) -> None:
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto(address)
    assert page.locator(".wm-sortable tbody tr").count() == len(ROWS)
    assert page.get_by_role("button").count() == 0
    page.context.close()
