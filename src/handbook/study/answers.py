"""An answer that a reader's number is compared with: what the last line of a fence with `output="answer"` gives.

```python
14.0, {7.0: "One byte each: that is int8."}, "Bytes first: parameters × bytes each."
```

The right number comes first, then what wrong numbers mean, then hints. The field and the comparison are of
`docs/assets/js/study/problems.js`; without JavaScript nothing of this is shown.
"""

from __future__ import annotations

import re
from html import escape, unescape
from math import isfinite
from numbers import Integral, Real
from typing import Any

DIGITS = 6
"""Significant digits of an answer that is not an integer: more than any tolerance needs, and as many as hold on each
processor."""

ANSWER = re.compile(r'data-answer="(?P<value>[^"]*)" data-unit="(?P<unit>[^"]*)" data-within="(?P<within>[^"]*)"')
MISTAKE = re.compile(r'<p class="mistake" data-value="(?P<value>[^"]*)">(?P<why>.*?)</p>', re.DOTALL)
HINT = re.compile(r'<p class="hint">(.*?)</p>', re.DOTALL)


def answer(value: Any, unit: str = "", within: float = 1) -> str:
    """The HTML of an answer, hidden until a script shows a field for it.

    Args:
        value: A number; or a tuple of it, of a dictionary from wrong numbers to the mistakes they come from, and of
            hints, the broadest first. All numbers are in the unit.
        unit: What is asked for: `GB`, `%`, `tokens` or any other word.
        within: Percent by which a right number may differ.

    Returns:
        A `<div class="problem">` with one line for each mistake and hint.

    Raises:
        TypeError: The value has another form.
        ValueError: A number is not finite, or it is 0 and nothing could be near it; or a wrong number is so near to
            the right one that a reader's number may be either.
    """
    right, mistakes, hints = _parts(value)
    for number in (right, *mistakes):
        if not isfinite(number) or number == 0:
            raise ValueError(f"an answer is a finite number other than 0, not {number}")
    for wrong in mistakes:  # of two mistakes the nearer is meant; what is right is never a mistake
        if abs(wrong - right) <= within / 100 * (abs(wrong) + abs(right)):
            both = f"{_text(right)}, right within {within:g} %, and {_text(wrong)}"
            raise ValueError(f"a number between {both} may be both")
    said = f'data-answer="{_text(right)}" data-unit="{escape(unit)}" data-within="{within:g}"'
    lines = [
        f'<div class="problem" {said} hidden>',
        *(f'<p class="mistake" data-value="{_text(wrong)}">{escape(why)}</p>' for wrong, why in mistakes.items()),
        *(f'<p class="hint">{escape(hint)}</p>' for hint in hints),
        "</div>",
    ]
    return "\n".join(lines) + "\n"


def read(html: str) -> dict[str, Any]:
    """What a reader's number is compared with, from the HTML of an answer: the fields that `deck.json` has of it."""
    right = ANSWER.search(html)
    assert right, "a problem has an answer"
    return {
        "value": float(right["value"]),
        "unit": unescape(right["unit"]),
        "within": float(right["within"]),
        "mistakes": [{"value": float(m["value"]), "why": unescape(m["why"])} for m in MISTAKE.finditer(html)],
        "hints": [unescape(hint) for hint in HINT.findall(html)],
    }


def _parts(value: Any) -> tuple[float, dict[float, str], list[str]]:
    right, *rest = value if isinstance(value, tuple) else (value,)
    mistakes = rest.pop(0) if rest and isinstance(rest[0], dict) else {}
    numbers, words = (right, *mistakes), (*mistakes.values(), *rest)
    if any(isinstance(n, bool) or not isinstance(n, Real) for n in numbers) or any(type(w) is not str for w in words):
        raise TypeError(f"an answer is a number, {{wrong number: mistake}}, hint, …, not {value!r}")
    return right, mistakes, rest


def _text(number: float) -> str:
    return str(int(number)) if isinstance(number, Integral) else f"{float(number):.{DIGITS}g}"
