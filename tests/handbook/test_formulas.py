"""Formulas in prose: computed values wherever a sentence can stand, and no mistake in one unseen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bs4 import BeautifulSoup

from handbook import pages
from handbook.runs import PageError

Convert = Callable[..., BeautifulSoup]

SETUP = "```python exec setup\n{}\n```\n\n"
SEVEN = SETUP.format("n = 7")


def test_formulas_are_evaluated_after_all_blocks(convert: Convert) -> None:
    page = convert("There are `=n + 1` & `=s`.\n\n" + SETUP.format("n = 1") + SETUP.format("n = 2; s = '<b>`x`'"))
    assert page.p.get_text() == "There are 3 & <b>`x`."
    assert not page.select("code")


PLACES = {
    "heading": ("# About `=n` bytes", "h1"),
    "table": ("| a |\n|---|\n| `=n` bytes |", "td"),
    "list item": ("- about `=n` bytes", "li"),
    "quote": ("> about `=n` bytes", "blockquote"),
    "admonition": ('!!! note "N"\n    About `=n` bytes.', ".admonition p + p"),
    "its title": ('!!! note "On `=n` bytes"\n    Text.', ".admonition-title"),
    "folded": ('??? question "Q"\n    About `=n` bytes.', "details p"),
    "link": ("[`=n` bytes](#x)", "a"),
    "emphasis": ("**`=n` bytes**", "strong"),
    "html": ("<div markdown>\n`=n` bytes\n</div>", "div"),
    "two lines": ("`=(n\n+ 0)` bytes", "p"),
    "spaces": ("`= n ` bytes", "p"),
    "beside a literal": ("``=x`` `y` `=n` bytes", "p"),
}


@pytest.mark.parametrize(("text", "place"), PLACES.values(), ids=PLACES)
def test_formulas_work_wherever_prose_does(convert: Convert, text: str, place: str) -> None:
    assert "7 bytes" in convert(text + "\n\n" + SEVEN).select_one(place).get_text()


def test_a_heading_takes_its_anchor_from_the_value(convert: Convert) -> None:
    assert convert("# About `=n` bytes\n\n" + SEVEN).h1["id"] == "about-7-bytes"


def test_a_measured_value_is_marked(convert: Convert) -> None:
    page = convert("It took `=~f'{n} s'`, as `=n` says.\n\n" + SEVEN)
    assert page.p.get_text() == "It took 7 s, as 7 says."
    (measured,) = page.select(".measured")
    assert measured.get_text() == "7 s"
    assert "Measured on the machine" in measured["title"]


def test_other_spans_stay_as_they_are(convert: Convert) -> None:
    page = convert("`x = 1` ``=x`` `` `=x` `` `#!python x` `=` `a`=b and `c` \\`=x\n\n" + SEVEN)
    assert [code.get_text() for code in page.select("code")] == ["x = 1", "=x", "`=x`", "x", "=", "a", "c"]
    assert page.p.get_text().endswith(" `=x")


def test_a_literal_costs_no_run(convert: Convert) -> None:
    """A page that explains formulas is replayed like any other."""
    text = "``=missing`` and `` `=missing` `` and `a`=b `c`\n\n" + SEVEN
    convert(text)
    convert(text)
    assert (pages.site.engine.counts.ran, pages.site.engine.counts.replayed) == (0, 1)


def test_prose_and_the_order_of_formulas_do_not_reach_the_blocks(convert: Convert) -> None:
    assert convert("There are `=n`. Half are `=n / 2`.\n\n" + SEVEN).p.get_text() == "There are 7. Half are 3.5."
    assert convert("Of `=n / 2`, twice: `=n`. So `=n`.\n\n" + SEVEN).p.get_text() == "Of 3.5, twice: 7. So 7."
    assert pages.site.engine.counts.replayed == 1


MISTAKES = {
    "name": ("nowhere", "NameError: name 'nowhere' is not defined"),
    "exception": ("1 / 0", "ZeroDivisionError: division by zero"),
    "syntax": ("1 +", "SyntaxError"),
    "equation": ("= 3", "SyntaxError"),
    "exit": ("exit(0)", "SystemExit"),
    "one letter": ("e", "NameError"),
    "measured": ("~nowhere", "NameError"),
}


@pytest.mark.parametrize(("formula", "error"), MISTAKES.values(), ids=MISTAKES)
def test_a_formula_that_fails_stops_the_build(convert: Convert, formula: str, error: str) -> None:
    text = f"# Some e, nowhere, 1 / 0 and 1 +\n\n{SEVEN}There are `={formula}` bytes.\n"
    with pytest.raises(PageError, match=rf"(?s)^a/b\.md:11: the formula .*{error}") as raised:
        convert(text, "a/b.md", lines_above=4)
    assert f"`={formula.removeprefix('~').strip()}`" in str(raised.value)


def test_a_formula_needs_a_session(convert: Convert) -> None:
    with pytest.raises(PageError, match=r"^page\.md:3: the formula .*needs an executed fence on its page"):
        convert("# n\n\nThere are `=n`.\n")


def test_a_formula_that_a_block_prints_has_no_value(convert: Convert) -> None:
    with pytest.raises(PageError, match="the formula `=n` has no value"):
        convert('```python exec output="markdown"\nn = 7\nprint("`=" + "n`")\n```\n')


def test_a_formula_that_kills_its_process_is_told_from_a_block(convert: Convert) -> None:
    with pytest.raises(PageError, match=r"block 1.*when it was over, a formula ended its process with exit code 3"):
        convert("`=__import__('os')._exit(3)`\n\n```python exec\nx = 1\n```\n")


def test_a_mistake_is_shown_in_the_page_that_is_served(convert: Convert) -> None:
    pages.site.show_errors = True
    assert "page.md:1: the formula `=m` has no value" in convert("There are `=m`.\n\n" + SEVEN).p.get_text()
    assert convert("There are `=n`.\n\n" + SEVEN).p.get_text() == "There are 7."
