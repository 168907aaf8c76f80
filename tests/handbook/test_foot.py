"""The foot of a page."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from markdown import Markdown

from handbook.foot import foot, machine, versions


def test_versions_are_of_what_the_program_imports() -> None:
    source = "import os, bs4.element\nfrom markdown.util import STX\ndef f():\n    import mkdocs\nfrom . import x\n"
    expected = [f"{name} {version(name)}" for name in ("beautifulsoup4", "Markdown", "mkdocs")]
    assert versions(source) == expected


def test_the_machine_has_no_name() -> None:
    assert "cores" in machine()
    assert platform.node() not in machine()


def test_a_foot_is_a_labelled_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "snippets").mkdir()
    (tmp_path / "snippets/page.py").write_text("import markdown\n")
    text = foot("snippets/page.py", assumes="Bytes of `float32`.")
    assert str(tmp_path) not in text
    aside = BeautifulSoup(Markdown(extensions=["md_in_html"]).convert(text), "html.parser").aside
    assert aside["class"] == ["assay"]
    assert aside["aria-label"] == "How these figures were made"
    said = dict(zip((dt.get_text() for dt in aside("dt")), aside("dd"), strict=True))
    assert said["Assumes"].code.get_text() == "float32"
    assert platform.python_version() in said["Versions"].get_text()
    assert version("markdown") in said["Versions"].get_text()
    assert "python snippets/page.py" in said["Again"].code.get_text()
    assert not aside("a")
