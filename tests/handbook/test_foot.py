"""The foot of a page, and the machine that it describes."""

from __future__ import annotations

import platform
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag

from handbook.foot import foot
from handbook.machine import machine
from handbook.store import Entry
from handbook.worker import Outcome

MADE = Entry(
    outcome=Outcome(["1\n"]),
    files={},
    versions={"torch": "2.0", "sympy": "1.0"},
    imports=["numpy 1.2", "torch 2.0"],
    python="3.11.7",
    machine="A <processor>, 2 cores",
    made="2026-01-02",
    commit="0123456789",
)


def page(path: str = "a/b-c.md", **meta: str) -> Any:
    return SimpleNamespace(file=SimpleNamespace(src_uri=path), url="a/b-c/", meta=meta)


def said(html: str) -> dict[str, Tag]:
    """What the foot says, by its terms."""
    aside = BeautifulSoup(html, "html.parser").aside
    assert aside["class"] == ["assay"]
    assert aside["aria-label"] == "How these figures were made"
    return dict(zip((term.get_text() for term in aside("dt")), aside("dd"), strict=True))


def test_a_foot_says_how_the_figures_were_made(tmp_path: Path) -> None:
    terms = said(foot(page(assumes="Bytes < 10 & seeds"), MADE, tmp_path))
    assert {term: found.get_text() for term, found in terms.items()} == {
        "Assumes": "Bytes < 10 & seeds",
        "Versions": "Python 3.11.7, numpy 1.2, torch 2.0",
        "Machine": "A <processor>, 2 cores",
        "Last run": "2026-01-02, at commit 0123456789",
    }


def test_a_foot_says_nothing_that_is_not_known(tmp_path: Path) -> None:
    entry = Entry(**vars(MADE) | {"commit": "", "imports": []})
    terms = said(foot(page(), entry, tmp_path))
    assert "Assumes" not in terms and "Again" not in terms
    assert terms["Versions"].get_text() == "Python 3.11.7"
    assert terms["Last run"].get_text() == "2026-01-02"


def test_a_foot_gives_the_command_and_the_downloads_of_its_program(tmp_path: Path) -> None:
    (tmp_path / "snippets/a").mkdir(parents=True)
    (tmp_path / "snippets/a/b_c.py").write_text("x = 1\n")
    again = said(foot(page(), MADE, tmp_path))["Again"]
    assert again.code.get_text() == "python snippets/a/b_c.py"
    assert [(link["href"], link.has_attr("download"), link.get_text()) for link in again("a")] == [
        ("../../programs/a/b_c.py", True, "b_c.py"),
        ("../../programs/a/b_c.ipynb", True, "b_c.ipynb"),
    ]


def test_the_machine_has_cores_and_memory_and_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cores" in machine()
    assert "GiB of memory" in machine()
    assert platform.node() not in machine()
