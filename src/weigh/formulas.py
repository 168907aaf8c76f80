"""Formulas that both print and compute: an estimate, the reader's numbers in it, and what it assumes.

Symbols, in every formula: V vocabulary, D model width, F feed-forward width, L layers, H query heads, K key-value
heads, E head size, T positions, W window, B sequences of a batch, N devices, P parameters; b bytes of a number.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

Number: TypeAlias = int | Fraction

_SYMBOL = re.compile(r"[A-Za-z]\w*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3})")
_FUNCTIONS: dict[str, Callable[..., Any]] = {"min": min, "max": max}
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: Fraction,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One quantity of an estimate, in bytes.

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


def written(number: Number) -> str:
    """A number as formulas have it: `8,192`, `3/8`."""
    return f"{number.numerator:,}" + (f"/{number.denominator:,}" if number.denominator > 1 else "")


def evaluate(formula: str, numbers: Mapping[str, Number]) -> Number:
    """The exact value of a formula of `+`, `-`, `·`, `/`, parentheses, `min` and `max`, as `written` writes numbers.

    Args:
        formula: The formula.
        numbers: What each symbol stands for.

    Raises:
        KeyError: If the formula has a symbol without a number.
        ValueError: If it has anything else in it.

    Examples:
        >>> evaluate("2 · K · min(T, W)", {"K": 8, "T": 8192, "W": 1024})
        16384
    """
    value: Number = _value(_parsed(formula), numbers)
    return value


@lru_cache(maxsize=1024)
def _parsed(formula: str) -> ast.expr:
    return ast.parse(_THOUSANDS.sub("", formula).replace("·", "*"), mode="eval").body


def _value(node: ast.expr, numbers: Mapping[str, Number]) -> Any:
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Name(id=symbol):
            return numbers[symbol]
        case ast.BinOp(left, operation, right) if type(operation) in _OPERATORS:
            return _OPERATORS[type(operation)](_value(left, numbers), _value(right, numbers))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_value(each, numbers) for each in args))
    raise ValueError(f"a formula cannot have {ast.unparse(node)!r} in it")


def step(name: str, formula: str, **numbers: Number) -> Step:
    """A step whose formula is written once: it gives the value, and the numbers in place of its symbols.

    Args:
        name: What is computed.
        formula: The formula. Every word in it is a symbol, except `min` and `max`.
        **numbers: What each symbol stands for. Those that the formula does not mention are left out.

    Raises:
        KeyError: If the formula has a symbol without a number.
        ValueError: If its value is no whole number of bytes.

    Examples:
        >>> print(step("KV cache", "2 · L · K · E · T · B · b", L=32, K=8, E=128, T=8192, B=1, b=2))
        KV cache = 2 · L · K · E · T · B · b = 2 · 32 · 8 · 128 · 8,192 · 1 · 2 = 1,073,741,824 bytes
    """

    def number(symbol: re.Match[str]) -> str:
        return symbol[0] if symbol[0] in _FUNCTIONS else written(numbers[symbol[0]])

    value = evaluate(formula, numbers)
    if value.denominator != 1:
        raise ValueError(f"{name}: {formula} is {value}, no whole number of bytes")
    return Step(name, formula, _SYMBOL.sub(number, formula), int(value))


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
