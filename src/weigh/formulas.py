"""Show the work: the formula of an estimate, the reader's numbers in it, and what it assumes.

Symbols, in every formula: V vocabulary, D model width, F feed-forward width, L layers, H query heads, K key-value
heads, E head size, T positions, W window, B sequences of a batch, N devices, P parameters; b bytes of a number.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

_SYMBOL = re.compile(r"[A-Za-z]\w*")


@dataclass(frozen=True, slots=True)
class Step:
    """One quantity of an estimate.

    Attributes:
        name: What it is, such as `KV cache`.
        formula: How it is computed, in the house's symbols: `2 · L · K · E · T · B · b`.
        substituted: The same with the reader's numbers: `2 · 32 · 8 · 128 · 8,192 · 1 · 2`.
        value: The result, in bytes.
    """

    name: str
    formula: str
    substituted: str
    value: int

    def __str__(self) -> str:
        return f"{self.name} = {self.formula} = {self.substituted} = {self.value:,} bytes"


def written(number: int | Fraction) -> str:
    """A number as formulas have it: `8,192`, `3/8`."""
    return f"{number.numerator:,}" + (f"/{number.denominator:,}" if number.denominator > 1 else "")


def step(name: str, formula: str, value: int, **numbers: int | Fraction) -> Step:
    """A step whose formula is written once: the numbers are put in place of the symbols of the same names.

    Args:
        name: What is computed.
        formula: The formula. Every word in it is a symbol, except `min` and `max`.
        value: The result, in bytes.
        **numbers: What each symbol stands for. Those that the formula does not mention are left out.

    Raises:
        KeyError: If the formula has a symbol without a number.

    Examples:
        >>> print(step("KV cache", "2 · L · K · E · T · B · b", 2**30, L=32, K=8, E=128, T=8192, B=1, b=2))
        KV cache = 2 · L · K · E · T · B · b = 2 · 32 · 8 · 128 · 8,192 · 1 · 2 = 1,073,741,824 bytes
    """

    def number(symbol: re.Match[str]) -> str:
        return symbol[0] if symbol[0] in ("min", "max") else written(numbers[symbol[0]])

    return Step(name, formula, _SYMBOL.sub(number, formula), value)


@dataclass(frozen=True, slots=True)
class Range:
    """Where a figure lies if an assumption is open.

    Attributes:
        low: Its least bytes.
        high: Its most bytes.
        why: What is open, with its source.
    """

    low: int
    high: int
    why: str
