"""The foot of a page: what its figures assume, what made them and when, and how to make them again."""

from __future__ import annotations

from html import escape
from pathlib import Path, PurePosixPath

from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from handbook.programs import names, program_of
from handbook.store import Entry


def foot(page: Page, entry: Entry, root: Path) -> str:
    """Return the foot of a page that has run, as HTML.

    Args:
        page: The page. Its front matter says under `assumes` what the figures rest on: units, dtypes, data, seeds.
        entry: The outcome of its run.
        root: The root of the repository.
    """
    path = page.file.src_uri
    entries = {
        "Assumes": escape(str(page.meta.get("assumes", ""))),
        "Versions": escape(", ".join([f"Python {entry.python}", *entry.imports])),
        "Machine": escape(entry.machine),
        "Last run": f"{entry.made}" + (f", at commit <code>{entry.commit}</code>" if entry.commit else ""),
    }
    links = [
        f'<a href="{get_relative_url(name, page.url)}" download>{PurePosixPath(name).name}</a>'
        for name in names(root, path)
    ]
    if links:
        command = f"<code>python {program_of(path)}</code>"
        entries["Again"] = f"{command}, from a clone of the repository; or download {' or '.join(links)}"
    rows = "".join(f"<dt>{term}</dt><dd>{text}</dd>" for term, text in entries.items() if text)
    return f'<aside class="assay" data-search-exclude aria-label="How these figures were made"><dl>{rows}</dl></aside>'
