"""The built site, read as files: nothing is missing, no link leads nowhere, nothing is loaded from another host, and
another build makes the same files.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag

from handbook.programs import downloads
from handbook.runs import Run

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


def html_of(page: str) -> str:
    """The path in the site of a page of `docs/`."""
    path = Path(page).with_suffix("")
    return str(path.parent / "index.html" if path.name == "index" else path / "index.html")


def test_pages_that_run_show_their_outputs(pages: Pages, runs: dict[str, Run]) -> None:
    for page, run in runs.items():
        assert run.entry
        html = pages[html_of(page)]
        pairs = zip(run.fences, run.entry.outcome.outputs, strict=True)
        shown = [fence for fence, output in pairs if fence.shows_output and output.strip()]
        outputs = html.select(".output code")
        assert len(outputs) == sum(fence.output in ("auto", "text") for fence in shown), page
        assert all(output.get_text(strip=True) for output in outputs), f"{page} shows an empty output"
        assert len(html.select(".varies")) == sum(fence.varies for fence in shown), page
        assert bool(html.select("span.measured")) == any(mark for mark, _ in run.formulas), page


def test_pages_that_run_and_no_others_say_how_their_figures_were_made(pages: Pages, runs: dict[str, Run]) -> None:
    ran = {html_of(page) for page in runs}
    feet = {path: len(page.select("aside.assay")) for path, page in pages.items()}
    assert feet == {path: int(path in ran) for path in pages}


def test_the_program_of_a_page_can_be_downloaded(root: Path, site: Path, pages: Pages, runs: dict[str, Run]) -> None:
    offered = set()
    for page in runs:
        path = html_of(page)
        links = {urljoin(address(path), link["href"]) for link in pages[path].select("aside.assay a[download]")}
        names = [name for name, _ in downloads(root, page)]
        assert links == {HOST + name for name in names}, page
        offered.update(site / name for name in names)
    assert offered == {path for path in (site / "programs").rglob("*") if path.is_file()}
    assert len(offered) == 2 * len(list((root / "snippets").rglob("*.py")))
    for path in offered:
        text = path.read_text("utf-8")
        assert "--8<--" not in text
        if path.suffix == ".ipynb":
            cells = json.loads(text)["cells"]
            text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        compile(text, path, "exec")


BUILD = r"""
import sys
from mkdocs.commands.build import build
from mkdocs.config import load_config

only = "*.md\n" + "".join(f"!/{page}\n" for page in sys.argv[2:])
build(load_config("mkdocs.yml", site_dir=sys.argv[1], exclude_docs=only, nav=sys.argv[2:]))
"""


@pytest.mark.slow
def test_two_cold_builds_are_the_same_but_for_what_is_marked(root: Path, tmp_path: Path) -> None:
    """Of two pages; the others take a minute, and tests/expected/ has their outputs."""
    sites = []
    for number in ("1", "2"):
        environment = os.environ | {"HANDBOOK_CACHE": str(tmp_path / f"cache{number}"), "SOURCE_DATE_EPOCH": "0"}
        command = [sys.executable, "-c", BUILD, str(tmp_path / number), "index.md", "models/first-commands.md"]
        built = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        assert (tmp_path / f"cache{number}" / "pages").is_dir()
        files = (path for path in (tmp_path / number).rglob("*") if path.is_file())
        sites.append({str(path.relative_to(tmp_path / number)): path.read_bytes() for path in files})
    first, second = sites
    assert "models/first-commands/index.html" in first
    assert first.keys() == second.keys()
    assert [name for name in first if unmarked(name, first[name]) != unmarked(name, second[name])] == []


def unmarked(name: str, content: bytes) -> bytes | str:
    """A file of the site, without the values that depend on the machine and without the foot."""
    if not name.endswith(".html"):
        return content
    page = BeautifulSoup(content, "html.parser")
    for tag in page.select(".measured, .varies, aside.assay"):
        tag.decompose()
    return str(page)


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
