"""HTML of a page, as it is to stand elsewhere: where its links lead, and how its ids stay its own."""

from __future__ import annotations

import re
from urllib.parse import urljoin

from mkdocs.utils import get_relative_url

from handbook.study.questions import Source

LINK = re.compile(r'(?P<name>\b(?:href|src))="(?P<to>[^"]*)"')
ID = re.compile(r'\sid="([^"]+)"')
NAMED = re.compile(
    r'(?P<before>\s(?:id|for|headers|aria-(?:labelledby|describedby|controls|owns))="|href="#|url\(#)(?P<ids>[^")]*)'
)
"""Where an id stands: its element's, that of a field or of a description, that of a part of a figure."""
GROUP = re.compile(r'(<input\b[^>]*\sname=")')
"""The name that radio buttons share, as those of tabs do: of two groups of one name, one would switch off the other."""
NEEDLESS = re.compile(r'<a (?:id|name)="__(?:code|span)[^>]*></a>|<a class="headerlink".*?</a>', re.DOTALL)


def relinked(html: str, source: Source, target: str) -> str:
    """HTML of a page, with its links as they are to be elsewhere. Those within it, as to a figure's marks, stay.

    Args:
        html: A part of the page.
        source: Where it stands.
        target: The address of another page below that of the site; or, with its host, of the site itself, from which
            all links then start.
    """
    inside = {f"#{name}" for name in ID.findall(html)}

    def moved(found: re.Match[str]) -> str:
        to = found["to"]
        if to in inside or re.match(r"[a-z]+:|//", to):
            return found[0]
        if "://" in target:
            return f'{found["name"]}="{urljoin(urljoin(target, source.url), to)}"'
        path, mark, anchor = urljoin(f"/{source.url}", to).partition("#")
        return f'{found["name"]}="{get_relative_url(path.removeprefix("/") or ".", target)}{mark}{anchor}"'

    return LINK.sub(moved, html)


def renamed(html: str, prefix: str) -> str:
    """HTML whose ids begin with a prefix, and what names them too, so that parts of many pages can stand on one."""
    own = set(ID.findall(html))

    def named(found: re.Match[str]) -> str:
        return found["before"] + " ".join(prefix + id if id in own else id for id in found["ids"].split(" "))

    return GROUP.sub(rf"\g<1>{prefix}", NAMED.sub(named, html))


def bare(html: str) -> str:
    """HTML without what only its page needs: the anchors of its lines of code and of its headings."""
    return NEEDLESS.sub("", html)
