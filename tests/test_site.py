"""The built site, read as files: nothing is missing, no link leads nowhere and nothing is loaded from another host."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag

HOST = os.environ["SITE_URL"]  # of conftest.py
LOADED = {"script": ["src"], "img": ["src", "srcset"], "source": ["src", "srcset"], "iframe": ["src"], "use": ["href"]}
CSS_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?([^"')\s]+)""")

Pages = dict[str, BeautifulSoup]


@pytest.fixture(scope="module")
def pages(site: Path) -> Pages:
    """Each HTML file, by its path in the site."""
    return {
        str(path.relative_to(site)): BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in sorted(site.rglob("*.html"))
    }


@pytest.fixture(scope="module")
def ids(pages: Pages) -> dict[str, set[str]]:
    """The anchors of each page."""
    return {
        path: {tag[name] for name in ("id", "name") for tag in page.find_all(attrs={name: True})}
        for path, page in pages.items()
    }


def address(path: str) -> str:
    return urljoin(HOST, path.removesuffix("index.html"))


def links(page: BeautifulSoup) -> Iterator[str]:
    """What a page leads to and what it loads."""
    for tag in page.find_all(href=True):
        yield tag["href"]
    for tag in page.find_all(src=True):
        yield tag["src"]


def loaded(page: BeautifulSoup) -> Iterator[str]:
    """What a browser fetches with a page, without a click."""
    for tag_name, attributes in LOADED.items():
        for tag in page.find_all(tag_name):
            for attribute in attributes:
                if attribute in tag.attrs:
                    yield from (part.split()[0] for part in tag[attribute].split(",") if part.strip())
    for tag in page.find_all("link", href=True):
        if not {"canonical", "next", "prev", "alternate"} & set(tag.get("rel", [])):
            yield tag["href"]
    for tag in page.find_all("style"):
        yield from CSS_URL.findall(tag.get_text())
    for tag in page.find_all(style=True):
        yield from CSS_URL.findall(tag["style"])


def test_every_page_of_the_navigation_is_built(site: Path, nav: list[str]) -> None:
    assert nav
    assert [url for url in nav if not (site / url / "index.html").is_file()] == []


def test_there_is_a_page_for_what_is_not_found(pages: Pages) -> None:
    assert pages["404.html"].find("h1")


def test_every_internal_link_leads_somewhere(site: Path, pages: Pages, ids: dict[str, set[str]]) -> None:
    broken = []
    for path, page in pages.items():
        for link in links(page):
            url = urlsplit(urljoin(address(path), link))
            if url.scheme not in {"http", "https"} or not url.geturl().startswith(HOST):
                continue
            target = unquote(url.path).lstrip("/")
            target += "index.html" if target.endswith("/") or not target else ""
            if not (site / target).is_file() or (url.fragment and unquote(url.fragment) not in ids.get(target, set())):
                broken.append(f"{path}: {link}")
    assert broken == []


def test_nothing_is_loaded_from_another_host(site: Path, pages: Pages) -> None:
    elsewhere = []
    for path, page in pages.items():
        elsewhere += [f"{path}: {url}" for url in loaded(page) if leaves(urljoin(address(path), url))]
    for sheet in site.rglob("*.css"):
        base = address(str(sheet.relative_to(site)))
        urls = CSS_URL.findall(sheet.read_text("utf-8"))
        elsewhere += [f"{sheet.name}: {url}" for url in urls if leaves(urljoin(base, url))]
    assert elsewhere == []


def leaves(url: str) -> bool:
    return not url.startswith((HOST, "data:", "blob:"))


def test_the_check_of_hosts_sees_what_leaves() -> None:
    html = '<link rel="stylesheet" href="//a.test/x"><img srcset="x 1x, https://b.test/y 2x">'
    html += "<p style=\"background: url('//c.test')\">"
    found = [url for url in loaded(BeautifulSoup(html, "html.parser")) if leaves(urljoin(HOST, url))]
    assert found == ["https://b.test/y", "//a.test/x", "//c.test"]


def test_no_page_shows_a_failure_or_a_fence_that_did_not_run(pages: Pages) -> None:
    for path, page in pages.items():
        text = page.get_text()
        assert "Traceback (most recent call last)" not in text, path
        assert not [p for p in page.find_all("p") if "```" in p.get_text() and not p.find("code")], path


def test_pages_with_executed_fences_show_their_output(root: Path, pages: Pages) -> None:
    for source in (root / "docs").rglob("*.md"):
        text = source.read_text("utf-8")
        path = source.relative_to(root / "docs").with_suffix("")
        path = path.parent / "index.html" if path.name == "index" else path / "index.html"
        if "snippets/" in text and 'exec="1"' in text:
            assert pages[str(path)].select("aside.assay"), f"{path} has no foot"
        if re.search(r'exec="1".*result="text"', text):
            outputs = pages[str(path)].select(".language-text code")
            assert outputs, f"{path} shows no output"
            assert all(output.get_text(strip=True) for output in outputs), f"{path} shows an empty output"


def test_every_picture_has_a_text_alternative(pages: Pages) -> None:
    for path, page in pages.items():
        for image in page.find_all("img"):
            assert image.has_attr("alt"), f"{path}: {image}"
        for plot in page.select("figure.plot"):
            assert isinstance(plot.svg, Tag), path
            assert plot.svg["role"] == "img", path
            assert plot.svg["aria-label"].strip(), path


def test_an_id_is_given_once(pages: Pages) -> None:
    for path, page in pages.items():
        given = Counter(tag["id"] for tag in page.find_all(id=True))
        assert [name for name, times in given.items() if times > 1] == [], path
