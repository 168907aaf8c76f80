"""Answers of problems: what a fence gives, and what it refuses to compare a reader's number with."""

from __future__ import annotations

import re
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from handbook.blocks import Failure, run
from handbook.fences import Fence, parse_header
from handbook.options import Misuse
from handbook.study.answers import answer

NUMBERS = st.floats(1e-6, 1e15) | st.integers(1, 10**15)


def fence(code: str, **options: str) -> Fence:
    found = parse_header("python", {"exec": "exec", "output": "answer", **options})
    assert found
    return Fence(**{**found.__dict__, "code": code})


def test_an_answer_has_its_mistakes_and_hints() -> None:
    html = run(fence('x = 14.0\nx, {x / 2: "<int8>"}, "Bytes first."', unit="GB", within="2%").block, "here", {})
    assert html.splitlines() == [
        '<div class="problem" data-answer="14" data-unit="GB" data-within="2" hidden>',
        '<p class="mistake" data-value="7">&lt;int8&gt;</p>',
        '<p class="hint">Bytes first.</p>',
        "</div>",
    ]


def test_a_number_alone_is_an_answer_and_its_source_is_not_shown() -> None:
    said = fence("np.int64(22713216)", unit="parameters", within="0%")
    assert 'data-answer="22713216"' in run(said.block, "here", {"np": np})
    assert said.source == "hide" and said.shows_output and said.needs_output


@pytest.mark.parametrize(
    "value", ["14", None, True, (1, {2: 3}), (1, {"2": "x"}), (1, "hint", {2: "x"}), ({2: "x"}, 1), 1j, [1]]
)
def test_what_is_no_answer_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="an answer is a number"):
        answer(value)


@pytest.mark.parametrize("value", [0, nan, inf, (1, {0: "nothing"}), (1, {nan: "x"})])
def test_a_number_that_nothing_can_be_near_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="finite number other than 0"):
        answer(value)


@given(NUMBERS, NUMBERS, st.floats(0, 20))
def test_no_number_is_both_right_and_a_mistake(right: float, wrong: float, within: float) -> None:
    try:
        html = answer((right, {wrong: "w"}), within=within)
    except ValueError:
        return
    shown = [float(number) for number in re.findall(r'data-(?:answer|value)="([^"]*)"', html)]
    (low, high), (other_low, other_high) = sorted((n * (1 - within / 100), n * (1 + within / 100)) for n in shown)
    assume(high != other_low)
    assert low <= high < other_low <= other_high


def test_a_mistake_that_may_be_right_stops_the_page() -> None:
    with pytest.raises(Failure, match="a number between 14, right within 5 %, and 15 may be both"):
        run(fence('14.0, {15.0: "near"}', within="5%").block, "here", {})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": "GB"}, "nothing else has unit or within"),
        ({"output": "text", "within": "1%"}, "nothing else has unit or within"),
        ({"output": "answer", "source": "above"}, 'output="answer" shows no source'),
        ({"output": "answer", "within": "1"}, "within is a share"),
        ({"output": "answer", "within": "-1%"}, "within is a share"),
        ({"output": "answer", "setup": "setup"}, "setup shows neither"),
    ],
)
def test_options_that_make_no_answer_are_refused(options: dict[str, str], said: str) -> None:
    with pytest.raises(Misuse, match=said):
        parse_header("python", {"exec": "exec", **options})


def test_the_full_form_has_no_answer() -> None:
    with pytest.raises(Misuse):
        parse_header("python", {"exec": "1", "output": "answer"})
