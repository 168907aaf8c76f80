"""Lines of output are the same if their words are, and their numbers as far as they are printed."""

from __future__ import annotations

import pytest

from handbook.numbers import agree, settle

SAME = {
    "one in the last digit": ("loss 0.4321, 12.5x", "loss 0.4322, 12.4x"),
    "fewer digits": ("0.1234", "0.12"),
    "an exponent": ("1.2e-05", "1.3e-05"),
    "a thousand": ("999.9 MB", "1,000.0 MB"),
    "an integer that a float is close to": ("[1, 2]", "[1.001, 2]"),
    "a sign of nothing": ("-0.00", "0.00"),
    "white space": ("| a |  9.99 |", "| a | 10.00 |"),
}
OTHER = {
    "two in the last digit": ("0.4321", "0.4323"),
    "a larger exponent": ("1.2e-05", "1.2e-04"),
    "an integer": ("1,024 bytes", "1,025 bytes"),
    "an integer that a float is not": ("5", "4.2"),
    "a sign": ("-0.5", "0.5"),
    "a word": ("GB 1.5", "MB 1.5"),
    "a word with digits": ("float16", "float17"),
    "a version": ("1.2.3", "1.2.4"),
    "a digest": ("3e5ab", "3e6ab"),
    "one number more": ("1.0", "1.0 1.0"),
}


@pytest.mark.parametrize(("recorded", "now"), SAME.values(), ids=SAME)
def test_what_is_as_good_is_the_same(recorded: str, now: str) -> None:
    assert agree(recorded, now) and agree(now, recorded)


@pytest.mark.parametrize(("recorded", "now"), OTHER.values(), ids=OTHER)
def test_what_says_something_else_is_not(recorded: str, now: str) -> None:
    assert not agree(recorded, now) and not agree(now, recorded)


def test_a_tolerance_is_of_every_number_and_of_no_word() -> None:
    assert agree("1000 steps, 0.500", "1019 steps, 0.491", tolerance=2)
    assert not agree("1000 steps", "1021 steps", tolerance=2)
    assert not agree("float16", "float17", tolerance=50)


def test_what_agrees_stays_as_it_was_where_lines_come_and_go() -> None:
    recorded = ["head", "a 0.10", "b 0.20", "c 0.30", "d 0.40"]
    now = ["head", "a 0.11", "new 0.20", "c 0.31", "d 0.60"]
    assert settle(recorded, now, [0] * 5) == ["head", "a 0.10", "new 0.20", "c 0.30", "d 0.60"]
