"""Compares lines of output as a reader would: words as they stand, numbers as far as they are printed.

The last digits of a measured number depend on the order in which a processor adds, and so on its instruction set. A
count does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from difflib import SequenceMatcher

NUMBER = re.compile(
    r"""
    (?<![\w.])                                 # the digits of float32, layers.0 and 1.2.3 belong to words
    ((?:(?<!\d[-−])[-+−])?                     # of 1-2 the hyphen does too
    (?>\d+(?:,\d{3}(?!\d))*(?:\.\d+)?(?:[eE][-+]\d+)?))
    (?!\.?\d)
    """,
    re.VERBOSE,
)


def agree(recorded: str, now: str, tolerance: float = 0) -> bool:
    """Whether two lines have the same words, white space aside, and the same numbers, as far as they are known.

    Args:
        recorded: One line.
        now: The other.
        tolerance: Percent by which their numbers may differ. Without it, or beyond it, integers are equal, and others
            differ by at most one in the last digit that both print.
    """
    return _words(recorded) == _words(now) and all(
        abs(a - b) <= max(unit_a, unit_b, Decimal(tolerance) / 100 * max(abs(a), abs(b)))
        for (a, unit_a), (b, unit_b) in zip(_numbers(recorded), _numbers(now), strict=True)
    )


def _words(line: str) -> tuple[str, ...]:
    return tuple(" ".join(words.split()) for words in NUMBER.split(line)[::2])


def _numbers(line: str) -> Iterator[tuple[Decimal, Decimal]]:
    """The value of each number, and what one in its last digit stands for: nothing in an integer."""
    for text in NUMBER.findall(line):
        value = Decimal(text.replace(",", "").replace("−", "-"))
        exponent = value.as_tuple().exponent
        assert isinstance(exponent, int), "of an infinity, which is a word here"
        yield value, Decimal() if re.search("[.e]", text, re.I) is None else Decimal((0, (1,), exponent))


def settle(recorded: list[str], now: list[str], tolerances: list[float]) -> list[str]:
    """The lines of now, each as it was recorded where the two agree.

    Args:
        recorded: The lines of the record.
        now: Those of another run.
        tolerances: The tolerance of each of these, in percent.
    """
    settled = list(now)
    pairs = SequenceMatcher(None, [_words(line) for line in recorded], [_words(line) for line in now], autojunk=False)
    for start, other, length in pairs.get_matching_blocks():
        for a, b in zip(range(start, start + length), range(other, other + length), strict=True):
            if agree(recorded[a], now[b], tolerances[b]):
                settled[b] = recorded[a]
    return settled
