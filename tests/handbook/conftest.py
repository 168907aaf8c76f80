"""What the tests of the machinery share: a small repository of their own, and how its pages are rendered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from markdown import Markdown
from markdown_exec import markdown_config

from handbook import versions
from handbook.site import Site, site

EXTENSIONS = [
    "admonition",
    "attr_list",
    "md_in_html",
    "tables",
    "toc",
    "pymdownx.details",
    "pymdownx.highlight",
    "pymdownx.inlinehilite",
    "pymdownx.snippets",
    "pymdownx.superfences",
    "pymdownx.tabbed",
    "handbook.pages",
]
OWNERS = packages_distributions()


@pytest.fixture(autouse=True)
def _owners(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build looks once which distribution each module is of; these tests are hundreds of builds."""
    monkeypatch.setattr(versions, "owners", functools.cache(lambda: OWNERS))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The root of an empty repository, to which the pages belong that are rendered in this test."""
    for name in ("docs", "models", "snippets", "src"):
        (tmp_path / name).mkdir()
    monkeypatch.delenv("HANDBOOK_CACHE", raising=False)
    for name, value in vars(Site(root=tmp_path)).items():
        monkeypatch.setattr(site, name, value)
    yield tmp_path
    if site._engine:
        site.engine.close()


@pytest.fixture
def write(project: Path) -> Callable[[str, str], Path]:
    """Write a file of the repository."""

    def written(path: str, text: str) -> Path:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text, "utf-8")
        return project / path

    return written


@pytest.fixture
def extensions() -> list[str]:
    """The Markdown extensions of these tests."""
    return EXTENSIONS


@pytest.fixture
def configs(project: Path) -> dict[str, Any]:
    """Their configuration."""
    return {
        "pymdownx.highlight": {"pygments_lang_class": True},
        "pymdownx.snippets": {"base_path": [str(project)], "check_paths": True, "dedent_subsections": True},
        "pymdownx.tabbed": {"alternate_style": True},
    }


@pytest.fixture
def convert(configs: dict[str, Any]) -> Iterator[Callable[..., BeautifulSoup]]:
    """Render a page, as a build does that starts now."""
    markdown_config.save(EXTENSIONS, configs)

    def converted(text: str, page: str = "page.md", lines_above: int = 0) -> BeautifulSoup:
        site.engine.begin()
        md = Markdown(extensions=EXTENSIONS, extension_configs=configs)
        md.preprocessors["begin_run"].place = page, lines_above
        return BeautifulSoup(md.convert(text), "html.parser")

    yield converted
    markdown_config.reset()
