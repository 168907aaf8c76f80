"""What the tests of cards and problems share: the looks of the site, what axe finds, and what a judge is asked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import material
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
STUDY = DOCS / "assets" / "js" / "study"

Problem = dict[str, Any]
Judge = Callable[[list[tuple[Problem, str]]], list[dict[str, str]]]


def dress(folder: Path) -> Path:
    """Give a site the scripts and the style sheets of the real one, under `assets/` and as `material.css`."""
    (folder / "assets").symlink_to(DOCS / "assets")
    (styles,) = (Path(material.__file__).parent / "templates/assets/stylesheets").glob("main.*.min.css")
    shutil.copy(styles, folder / "material.css")
    (folder / "favicon.ico").touch()
    return folder


def violations(page: Page, **only: list[str]) -> list[str]:
    """What axe finds in a page that is no whole one of the site."""
    found = Axe().run(page, options={"resultTypes": ["violations"], **only}).response["violations"]
    whole = ("region", "landmark-unique")
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found if rule["id"] not in whole]


def problem(answer: float, unit: str, within: float = 1, mistakes: dict[float, str] | None = None) -> Problem:
    """A problem, as the judge takes it."""
    listed = [{"value": value, "text": text} for value, text in (mistakes or {}).items()]
    return {"answer": answer, "unit": unit, "within": within, "mistakes": listed}
