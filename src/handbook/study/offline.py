"""What the deck's page needs, so that it works without a network: written into the service worker of a release."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from handbook.study.deck import PAGE

WORKER = "sw.js"
RELEASE, FILES = 'const RELEASE = "";', "const FILES = [];"

IN_STYLES = re.compile(r"""url\(\s*["']?(?P<path>[^"')\s]+)["']?\s*\)""")
IN_MODULES = re.compile(r"""\b(?:from|import)\s*\(?\s*["'](?P<path>\.{1,2}/[^"']+)["']""")
ROOT = "http://site.invalid/"
LINKED = {"stylesheet", "icon", "shortcut icon", "apple-touch-icon", "manifest", "modulepreload"}


def write(site: Path) -> None:
    """Complete the worker of a built site, if the site has one and the deck's page.

    Args:
        site: The folder of the built site.

    Raises:
        ValueError: The worker has no place for the name of a release, or none for what it keeps.
    """
    worker = site / WORKER
    if not worker.exists() or not (site / PAGE / "index.html").exists():
        return
    text = worker.read_text("utf-8")
    if RELEASE not in text or FILES not in text:
        raise ValueError(f"{WORKER} lacks the line {RELEASE!r} or {FILES!r}, which the build completes")
    files = needs(site)
    text = text.replace(RELEASE, f"const RELEASE = {json.dumps(release(site, files))};")
    worker.write_text(text.replace(FILES, f"const FILES = {json.dumps(files)};"), "utf-8")


def needs(site: Path) -> list[str]:
    """The addresses of the deck's page and of all that it loads from the site, below the site's, each once.

    Scripts and styles are followed to what they load in turn, at once or later. Search is left out: its index is larger
    than all else, and is kept once it was used.
    """
    found: dict[str, None] = {}
    waiting = [PAGE]
    while waiting:
        address = waiting.pop(0)
        path = _path(site, address)
        if address in found or not path.is_file():
            continue
        found[address] = None
        waiting += [here for to in _loaded(path) if (here := _within(address, to))]
    return list(found)


def release(site: Path, files: list[str]) -> str:
    """The name of a release: a digest of the addresses and contents of these files."""
    digest = sha256()
    for address in files:
        content = _path(site, address).read_bytes()
        digest.update(f"{address} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def _path(site: Path, address: str) -> Path:
    path = urlsplit(address).path
    return site / (path + "index.html" if path.endswith("/") else path)


def _within(address: str, to: str) -> str | None:
    """The address of a link below the site's, unless it leads out of it."""
    whole = urljoin(ROOT + address, to).partition("#")[0]
    return whole.removeprefix(ROOT) if whole.startswith(ROOT) else None


def _loaded(path: Path) -> list[str]:
    if path.suffix == ".css":
        return [found["path"] for found in IN_STYLES.finditer(path.read_text("utf-8"))]
    if path.suffix in (".js", ".mjs"):
        return [found["path"] for found in IN_MODULES.finditer(path.read_text("utf-8"))]
    if path.suffix == ".html":
        page = _Page()
        page.feed(path.read_text("utf-8"))
        return page.loaded
    return []


class _Page(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the address of what an element loads."""
        of = dict(attrs)
        if tag == "link" and of.get("rel") in LINKED and of.get("href"):
            self.loaded.append(str(of["href"]))
        elif tag in ("script", "img", "source") and of.get("src"):
            self.loaded.append(str(of["src"]))
