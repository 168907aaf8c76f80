"""Plots: what a page needs of them."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from bs4 import BeautifulSoup
from matplotlib.figure import Figure

from handbook import figures
from handbook.fences import parse_header
from handbook.figures import DASHES, SERIES, VARIABLES, figure


def plot() -> Figure:
    fig, ax = plt.subplots()
    for series in range(len(SERIES)):
        ax.plot([0, 1], [series, series + 1], label=f"series {series}")
    ax.set_title("a < b & c")
    ax.legend()
    return fig


def test_a_figure_says_what_it_shows() -> None:
    page = BeautifulSoup(figure(plot(), alt='Six "lines" <rise>', caption="a < b"), "html.parser")
    svg = page.select_one("figure.plot > svg")
    assert svg["role"] == "img"
    assert svg["aria-label"] == 'Six "lines" <rise>'
    assert svg["width"] == "100%"
    assert svg["viewbox"]
    assert page.figcaption.get_text() == "a < b"
    assert not BeautifulSoup(figure(plot(), alt="no caption"), "html.parser").select("figcaption")


def test_the_fences_that_the_docstring_names_exist() -> None:
    named = re.findall(r'`(\w+="[^`]*)`', str(figures.__doc__))
    assert named
    for header in named:
        parse_header("python", {"exec": "exec", **dict(re.findall(r'(\w+)="([^"]*)"', header))})


@pytest.mark.parametrize("alt", ["", " \n"])
def test_a_figure_without_alternative_is_refused(alt: str) -> None:
    with pytest.raises(ValueError, match="text alternative"):
        figure(plot(), alt=alt)


def test_colours_and_font_are_those_of_the_page() -> None:
    html = figure(plot(), alt="Six lines")
    for number in range(1, len(SERIES) + 1):
        assert f"var(--wm-{number}, " in html
    assert set(re.findall(r"#[0-9a-f]{6}\b", html)) <= set(VARIABLES)
    assert "font-family" not in html
    assert "a &lt; b &amp; c</text>" in html


def test_the_colours_are_those_of_the_light_scheme(root: Path) -> None:
    tokens = (root / "docs/assets/css/tokens.css").read_text()
    declared = re.findall(r"(--wm-[a-z0-9]+): (#[0-9a-f]{6});", tokens)
    light = dict(reversed(declared))  # the first of a name is the light scheme's
    assert {light[variable]: variable for variable in VARIABLES.values()} == VARIABLES


def test_series_differ_by_more_than_colour() -> None:
    assert len(set(DASHES)) == len(SERIES)


def test_the_same_plot_is_the_same_text_and_another_shares_no_id() -> None:
    first, again, other = (figure(plot(), alt=alt) for alt in ("one", "one", "two"))
    assert first == again
    ids = [set(re.findall(r'\bid="([^"]+)"', html)) for html in (first, other)]
    assert ids[0] and ids[1] and not ids[0] & ids[1]
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', first)) <= ids[0]


def test_only_the_figure_comes_with_it() -> None:
    html = figure(plot(), alt="Six lines")
    for unwanted in ("<?xml", "<!DOCTYPE", "<metadata", "<style", "\n\n"):
        assert unwanted not in html


def test_a_figure_is_closed() -> None:
    before = plt.get_fignums()
    figure(plot(), alt="Six lines")
    assert plt.get_fignums() == before
