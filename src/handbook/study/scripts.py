"""The study scripts of one release, under addresses of their own.

A browser keeps each file for as long as the host of the site says, and each module for as long as its page is open. So
after a release a page may get one module of now and another of before. With the version in every address, what loads a
module gets it from the release that it is of itself; or, once the host has no other, from a newer one as a whole.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files

FOLDER, SHEET, ENTRY = "assets/js/study/", "assets/css/study.css", "assets/js/study/study.js"
OTHER = re.compile(r"""(?P<before>\b(?:from|import)\s*\(?\s*)"(?P<path>\./[\w.-]+\.js)\"""")


def version(docs: Path) -> str:
    """The version of the scripts and of their style sheet: a digest of those that there are."""
    digest = sha256()
    for path in sorted([*(docs / FOLDER).glob("*.js"), *docs.glob(SHEET)]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def put_into_pages(config: MkDocsConfig) -> None:
    """Have all pages ask for the style sheet and the entry of this version, if they ask for them."""
    docs = Path(config.docs_dir)
    if SHEET not in config.extra_css:
        return
    mark = f"?v={version(docs)}"
    config.extra_css = [path + mark if path == SHEET else path for path in config.extra_css]
    for script in config.extra_javascript:
        if not isinstance(script, str) and script.path == ENTRY:
            script.path += mark


def put_into_modules(config: MkDocsConfig, files: Files) -> None:
    """Have the modules ask for one another in this version."""
    mark = f"?v={version(Path(config.docs_dir))}"
    for file in files:
        if file.src_uri.startswith(FOLDER) and file.src_uri.endswith(".js"):
            file.content_string = OTHER.sub(rf'\g<before>"\g<path>{mark}"', file.content_string)
