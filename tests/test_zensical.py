"""The site under Zensical, Material's successor, with the same configuration: what ran shows the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

pytest.importorskip("zensical", reason="it is in requirements-dev.txt")
pytestmark = pytest.mark.slow

READ = ("LICENSE", "requirements.in", "requirements.txt")  # by pages
DOCS = Path(__file__).parent.parent / "docs"
PARTS = ("docs", "models", "overrides", "snippets", "src")
SHOWN = {
    "outputs": ".output code",
    "prose, with its formulas": "p, li, h1, h2, h3",
    "tables": "table:not(.highlighttable) tr",
    "plots": "figure.plot",
}
FILLED = ".deck-topic, .sheets, #interview"
"""What a hook of the build puts into a page of what other pages ask."""


@pytest.fixture(scope="module")
def zensical(root: Path, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as Zensical builds it, in a copy of the repository: it always writes to `site/` and `.cache/`."""
    copy = tmp_path_factory.mktemp("zensical")
    for file in ("mkdocs.yml", *READ):
        shutil.copy(root / file, copy)
    for part in PARTS:
        shutil.copytree(root / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    # What the build of `site` has run is replayed here too.
    cache = os.environ.get("HANDBOOK_CACHE", str(root / ".cache"))
    environment = os.environ | {"HANDBOOK_CACHE": cache, "PYTHONPATH": str(copy / "src")}
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    built = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    if built.returncode:
        pytest.fail(f"Zensical does not build the site:\n{built.stdout}{built.stderr}", pytrace=False)
    return copy / "site"


NOTEBOOKS = [path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.ipynb"))]


def address(notebook: str) -> str:
    """The address of a notebook's page."""
    return notebook.removesuffix("ipynb").rstrip(".") + "/"


def article(site: Path, url: str) -> Tag:
    """What a page says, without what the theme and the build's hooks put around it."""
    found = BeautifulSoup((site / url / "index.html").read_text("utf-8"), "html.parser").article
    assert found, url
    for other in found.select(f".headerlink, .md-content__button, .assay, .md-source-file, script, {FILLED}"):
        other.decompose()
    return found


def shown(page: Tag, selector: str) -> list[str]:
    return [" ".join(element.get_text().split()) for element in page.select(selector)]


def test_it_shows_what_the_pages_computed(site: Path, zensical: Path, nav: list[str]) -> None:
    found = Counter[str]()
    for url in set(nav) - set(map(address, NOTEBOOKS)):
        here, there = article(site, url), article(zensical, url)
        for what, selector in SHOWN.items():
            expected = shown(here, selector)
            assert shown(there, selector) == expected, f"{url}: {what}"
            found[what] += len(expected)
    assert {what for what in SHOWN if found[what] > len(nav) / 2} == SHOWN.keys(), "there is little to compare"


def test_it_offers_notebooks_as_they_are_in_git(site: Path, zensical: Path, nav: list[str]) -> None:
    """It has no mkdocs-jupyter: its navigation and its pages lead to the file, which shows no output."""
    assert NOTEBOOKS and set(map(address, NOTEBOOKS)) <= set(nav)
    home = BeautifulSoup((zensical / "index.html").read_text("utf-8"), "html.parser")
    for notebook in NOTEBOOKS:
        assert home.find("a", class_="md-nav__link", href=lambda href, name=notebook: href and href.endswith(name))
        assert (zensical / notebook).read_bytes() == (DOCS / notebook).read_bytes()
        assert not (zensical / address(notebook) / "index.html").exists()
