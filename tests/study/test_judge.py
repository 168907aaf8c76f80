"""The judge of problems: what a reader's text is read as, and what is said of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from .shared import DOCS, Judge, Problem, problem

# What is read, in base units: bytes, seconds, things, shares of 1.
READ = {
    ("14.2", "GB"): 14.2e9,
    ("1,234,567", "B"): 1234567,
    ("1,234", "GB"): 1234e9,
    ("1.234", "GB"): 1.234e9,
    ("1.234.567", "B"): 1234567,
    ("1.234,5", "B"): 1234.5,
    ("1,234.5", "B"): 1234.5,
    ("12,34,567", "tokens"): 1234567,
    ("1 234", "tokens"): 1234,
    ("1\u202f234\u00a0567", "tokens"): 1234567,
    ("1\u2009234,5", "B"): 1234.5,
    ("1'234", "B"): 1234,
    ("1’234’567.5", "B"): 1234567.5,
    ("1_234", "B"): 1234,
    ("1,5", "GB"): 1.5e9,
    ("14,25 GB", "GB"): 14.25e9,
    ("0,125", "GB"): 0.125e9,
    ("1234,567", "B"): 1234.567,
    (".5", "GB"): 0.5e9,
    ("5. GB", "GB"): 5e9,
    ("1e9", "B"): 1e9,
    ("1.4E+9 bytes", "B"): 1.4e9,
    ("1.4×10^9", "B"): 1.4e9,
    ("1.4·10⁹", "B"): 1.4e9,
    ("1.4 x 10^9 bytes", "B"): 1.4e9,
    ("1.4*10**9", "B"): 1.4e9,
    ("10⁻³", "s"): 1e-3,
    ("2^30", "B"): 2**30,
    ("2 · 32 · 8 · 128 · 2", "B"): 131072,
    ("3/4", "GB"): 0.75e9,
    ("3/4", "%"): 0.75,
    ("3/4 %", "%"): 0.0075,
    ("½", "%"): 0.5,
    ("1½", "×"): 1.5,
    ("≈14.2", "GB"): 14.2e9,
    ("~ 14 GB.", "GB"): 14e9,
    ("about 14 GB (decimal)", "GB"): 14e9,
    ("−3", "GB"): -3e9,
    ("-3", "GB"): -3e9,
    ("14.2 gb", "GB"): 14.2e9,
    ("14 Gb", "GB"): 1.75e9,
    ("14 Gbit", "GB"): 1.75e9,
    ("8 bits", "B"): 1,
    ("8 b", "B"): 8,
    ("13GiB", "GB"): 13 * 2**30,
    ("3 gibibytes", "GB"): 3 * 2**30,
    ("3 KB", "kB"): 3000,
    ("3 kb", "kB"): 3000,
    ("3 Kb", "kB"): 375,
    ("3 TiB", "GB"): 3 * 2**40,
    ("7B", "B"): 7,
    ("7B", "parameters"): 7e9,
    ("7 billion parameters", "B"): None,
    ("7B parameters", "parameters"): 7e9,
    ("7 billion params", "parameters"): 7e9,
    ("0.007 trillion", "parameters"): 7e9,
    ("7", "billion parameters"): 7e9,
    ("7 million", "billion parameters"): 7e6,
    ("128K tokens", "tokens"): 128_000,
    ("1 token", "tokens"): 1,
    ("4 queries", "query"): 4,
    ("14 billion", "GB"): 14e9,
    ("14 billion bytes", "GB"): 14e9,
    ("131072 bytes per token", "B"): 131072,
    ("120 tokens/min", "tokens/s"): 2,
    ("2 tokens per second", "tokens/s"): 2,
    ("2 tokens per request", "tokens/s"): None,
    ("50 µs", "ms"): 50e-6,
    ("50 μs", "ms"): 50e-6,
    ("50us", "ms"): 50e-6,
    ("1.5 min", "s"): 90,
    ("1 h 30 min", "min"): 5400,
    ("1h30", "s"): 5400,
    ("2 days", "h"): 172800,
    ("76 %", "%"): 0.76,
    ("76 percent", "%"): 0.76,
    ("76.5", "%"): 0.765,
    ("5‰", "%"): 0.005,
    ("×3", "×"): 3,
    ("3x", "×"): 3,
    ("3 times", "×"): 3,
    ("300 %", "×"): 3,
    ("75 %", ""): 0.75,
    ("3 tokens", ""): 3,
    ("1.5 TFLOPs", "FLOP"): 1.5e12,
    ("1.5 TFLOPS", "FLOP/s"): 1.5e12,
    ("$5", "$"): 5,
    # What cannot be read.
    ("", "GB"): None,
    ("many", "GB"): None,
    ("14-15", "GB"): None,
    ("1 2", "GB"): None,
    ("1,2,3", "GB"): None,
    ("1,234.567,8", "GB"): None,
    ("14G", "GB"): None,
    ("5 s", "GB"): None,
    ("14 GB", "s"): None,
    ("14 GB", "tokens"): None,
    ("50 %", "tokens"): None,
    ("14 GB", ""): None,
    ("12 cats", "tokens"): None,
    ("1e999", "GB"): None,
    ("3/0", "GB"): None,
}


def test_what_is_read(scripts: Page) -> None:
    found = scripts.evaluate(
        """async cases => {
            const { askedUnit, read } = await import(location.origin + "/quantity.js")
            return cases.map(([text, unit]) => read(text, askedUnit(unit)).value ?? null)
        }""",
        list(READ),
    )
    wrong = [
        f"{text!r} in {unit!r}: {value}, not {right}"
        for ((text, unit), right), value in zip(READ.items(), found, strict=True)
        if (value is None) != (right is None) or (right is not None and not math.isclose(value, right, rel_tol=1e-12))
    ]
    assert not wrong, "\n".join(wrong)


def test_what_the_page_promises_is_read(judge: Judge) -> None:
    page = (DOCS / "interview.md").read_text("utf-8").partition("## What a field reads")[2]
    rows = [re.findall("`(.+?)`", row.split("|")[1]) for row in re.findall(r"^\|.*`.*$", page, re.MULTILINE)]
    typed = [text for row in rows for text in row]
    units = ["GB", "tokens", "s", "×"]
    verdicts = [said["verdict"] for said in judge([(problem(9, unit), text) for text in typed for unit in units])]
    for place, text in enumerate(typed):
        assert set(verdicts[len(units) * place : len(units) * (place + 1)]) != {"unreadable"}, text
    assert len(typed) > 20
    assert "`14G` is refused" in page and judge([(problem(14, "GB"), "14G")])[0]["verdict"] == "unreadable"


GB = problem(14, "GB", 1, {7.1: "Half of the heads.", 15.03: "Binary.", 30: "Two."})
SAID: list[tuple[Problem, str, str, str, str]] = [
    # the problem, what is typed, the verdict, the factor's name, and words of the sentence
    (problem(14.1928, "GB"), "14.2", "right", "", "14.1928\u00a0GB, and yours is within 1\u00a0%"),
    (problem(14, "GB"), "14e9 bytes", "right", "", "exactly 14\u00a0GB"),
    (problem(131072, "B", 0), "128 KiB", "right", "", "exactly 131,072\u00a0B"),
    (problem(131072, "B", 0), "131", "factor", "÷1000^1", "kB"),
    (GB, "7", "factor", "÷2", "Half"),
    (GB, "7.1", "mistake", "", "Half of the heads."),
    (GB, "7.15", "mistake", "", "Half of the heads."),
    (GB, "15", "mistake", "", "Binary."),
    (GB, "28", "factor", "×2", "float32"),
    (GB, "30.2", "mistake", "", "Two."),
    (GB, "3.5", "factor", "÷4", "1 byte"),
    (GB, "56", "factor", "×4", "gradients"),
    (GB, "112", "factor", "×8", "bits"),
    (GB, "1.75", "factor", "÷8", "in bytes already"),
    (GB, "14 Gbit", "factor", "÷8", "Gbit is bits"),
    (problem(14, "bit"), "1.75", "factor", "÷8", "number of bytes"),
    (GB, "224", "factor", "×16", "16 bytes"),
    (GB, "0.875", "factor", "÷16", "16"),
    (GB, "13.04", "factor", "÷1.0737", "number of GiB, but it says GB"),
    (GB, "14 GiB", "mistake", "", "Binary."),
    (problem(14, "GB"), "14 GiB", "factor", "×1.0737", "number of GB, but it says GiB"),
    (problem(14, "GB"), "15.03", "factor", "×1.0737", "as if something in GB were in GiB"),
    (problem(14, "GiB"), "14 GB", "factor", "÷1.0737", "number of GiB, but it says GB"),
    (problem(14, "GiB"), "13.04", "factor", "÷1.0737", "as if something in GiB were in GB"),
    (problem(14, "GB"), "14.336", "factor", "×1.024", "KiB for kB"),
    (problem(14, "GB", 2.3), "14.336", "factor", "×1.024", "KiB for kB"),
    (problem(14, "GB", 3), "14.336", "right", "", "within 3\u00a0%"),
    (problem(14, "MB"), "14.68", "factor", "×1.0486", "as if something in MB were in MiB"),
    (problem(2, "TB"), "1.819", "factor", "÷1.0995", "number of TiB"),
    (problem(14, "GB"), "14000", "factor", "×1000^1", "number of MB, but it says GB"),
    (problem(14, "GB"), "14 MB", "factor", "÷1000^1", "number of GB, but it says MB"),
    (problem(14, "GiB"), "14 MiB", "factor", "÷1024^1", "number of GiB, but it says MiB"),
    (problem(14, "GB"), "14", "right", "", "exactly"),
    (problem(14, "GB"), "14 bytes", "factor", "÷1000^3", "number of GB, but it says B"),
    (problem(7e9, "parameters"), "7 million", "factor", "÷1000^1", "1,000"),
    (problem(128000, "tokens", 0), "131,072", "factor", "×1.024", "2¹⁰ was taken for a thousand"),
    (problem(131072, "tokens", 0), "128000", "factor", "÷1.024", "K is 1,024"),
    (problem(76.4706, "%"), "0.765", "factor", "÷100", "share"),
    (problem(76.4706, "%"), "13/17", "right", "", "76.4706\u00a0%"),
    (problem(0.7, ""), "70", "factor", "×100", "in %"),
    (problem(76.4706, "%"), "23.5", "factor", "complement", "the other part"),
    (problem(76.4706, "%"), "130.8", "factor", "inverse", "turned round"),
    (problem(3, "×"), "1/3", "factor", "inverse", "turned round"),
    (problem(3, "×"), "2", "factor", "more", "by how much it is more"),
    (problem(30, "%"), "130 %", "factor", "whole", "100 % less"),
    (problem(90, "s"), "90 min", "factor", "×60", "Sixty"),
    (problem(90, "ms"), "90 s", "factor", "×1000^1", "ms for s"),
    (problem(14, "GB"), "-14", "factor", "−", "sign"),
    (problem(14, "GB"), "14.5", "near", "", "outside 1\u00a0%: it should be less"),
    (problem(2058, "rows", 0), "2050", "near", "", "not the number itself: it should be more"),
    (problem(2058, "rows", 0, {2060: "Padded."}), "2059", "near", "", "less"),
    (problem(14, "GB"), "99", "wrong", "", "less"),
    (problem(14, "GB"), "0", "wrong", "", "more"),
    (problem(14, "GB"), "14G", "unreadable", "", "GB or GiB"),
    (problem(14, "GB"), "14 s", "unreadable", "", "such as 1.5, 1,500 MB"),
    (problem(14, "tokens"), "14 GB", "unreadable", "", "1.5 thousand"),
    (problem(14, "GB"), " ", "unreadable", "", "no number yet"),
]


def test_what_is_said(judge: Judge) -> None:
    found = judge([(asked, text) for asked, text, *_ in SAID])
    wrong = [
        f"{text!r} for {asked['answer']} {asked['unit']}: {said}"
        for (asked, text, verdict, name, words), said in zip(SAID, found, strict=True)
        if (said["verdict"], said["name"]) != (verdict, name) or words not in said["text"]
    ]
    assert not wrong, "\n".join(wrong)


# Units by dimension, written down once more: how many base units each has.
SI = {"k": 1, "M": 2, "G": 3, "T": 4}
UNITS: dict[str, dict[str, Fraction]] = {
    "data": {"B": Fraction(1), "bytes": Fraction(1), "bit": Fraction(1, 8), "bits": Fraction(1, 8)}
    | {f"{si}B": Fraction(1000**power) for si, power in SI.items()}
    | {f"{si.upper()}iB": Fraction(1024**power) for si, power in SI.items()}
    | {f"{si}bit": Fraction(1000**power, 8) for si, power in SI.items()},
    "time": {"s": Fraction(1), "ms": Fraction(1, 1000), "µs": Fraction(1, 10**6), "us": Fraction(1, 10**6)}
    | {"min": Fraction(60), "h": Fraction(3600), "hours": Fraction(3600)},
    "ratio": {
        "%": Fraction(1, 100),
        "×": Fraction(1),
        "x": Fraction(1),
        "times": Fraction(1),
        "percent": Fraction(1, 100),
    },
    "count": {"tokens": Fraction(1), "thousand tokens": Fraction(1000), "K tokens": Fraction(1000)}
    | {
        "million tokens": Fraction(10**6),
        "M": Fraction(10**6),
        "B tokens": Fraction(10**9),
        "billion": Fraction(10**9),
    },
}
ASKED = {
    "data": ["B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "bit"],
    "time": ["s", "ms", "min", "h"],
    "ratio": ["%", "×"],
    "count": ["tokens"],
}
HIGH = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def grouped(text: str, mark: str, point: str) -> str:
    whole, _, part = text.partition(".")
    return re.sub(r"(?<=\d)(?=(\d{3})+$)", mark, whole) + (point + part if part else "")


def comma(text: str) -> str:
    """With a decimal comma, if that cannot be taken for thousands."""
    return text if re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", text) else text.replace(".", ",")


def power_of_ten(text: str, sign: str, exponent: Callable[[int], str]) -> str:
    digits, power = f"{float(text):.11e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}{sign}{exponent(int(power))}"


WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "commas": lambda text: grouped(text, ",", "."),
    "dots": lambda text: grouped(text, ".", ",") if float(text) >= 1e6 else comma(text),
    "spaces": lambda text: grouped(text, " ", "."),
    "thin": lambda text: grouped(text, "\u2009", ","[: float(text) >= 1000] or "."),
    "no-break": lambda text: grouped(text, "\u202f", "."),
    "apostrophes": lambda text: grouped(text, "'", "."),
    "underscores": lambda text: grouped(text, "_", "."),
    "comma": comma,
    "e": lambda text: power_of_ten(text, "e", str),
    "times": lambda text: power_of_ten(text, "×10^", str),
    "dot": lambda text: power_of_ten(text, " · 10", lambda power: str(power).translate(HIGH)),
    "about": lambda text: f"≈{text}",
    "tilde": lambda text: f"~ {text}",
}


def digits(number: Fraction) -> str:
    """Twelve significant digits, without an exponent."""
    places = max(0, 12 - math.floor(math.log10(number)) - 1)
    text = f"{float(number):.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@st.composite
def formatted(draw: st.DrawFn) -> tuple[Problem, str]:
    """A problem, and its right answer in some other unit of its kind and in some way of writing it."""
    dimension = draw(st.sampled_from(sorted(UNITS)))
    asked = draw(st.sampled_from(ASKED[dimension]))
    number = Fraction(draw(st.integers(1, 999_999))) * Fraction(10) ** draw(st.integers(-4, 6))
    unit = draw(st.sampled_from(["", *sorted(UNITS[dimension])]))
    value = number * UNITS[dimension][asked] / UNITS[dimension][unit or asked]
    text = WRITTEN[draw(st.sampled_from(sorted(WRITTEN)))](digits(value))
    if draw(st.booleans()) and unit != "percent" and not (unit == "" and asked == "%"):
        text = f"{value.numerator}/{value.denominator}"
    sign = draw(st.sampled_from(["", "-", "−"]))
    text = re.sub(r"^([≈~] ?)?", lambda mark: mark[0] + sign, text, count=1)
    gap = draw(st.sampled_from(["", " ", "\u00a0"])) if not unit[:1].isalpha() or len(unit) < 6 else " "
    right = float(f"{float(-number if sign else number):.15g}")
    return problem(right, asked, 1e-4), f"{text}{gap if unit else ''}{unit}"


@settings(max_examples=20, deadline=None)
@given(st.lists(formatted(), min_size=50, max_size=50))
def test_a_right_number_is_right_however_it_is_written(judge: Judge, cases: list[tuple[Problem, str]]) -> None:
    for (asked, text), said in zip(cases, judge(cases), strict=True):
        assert said["verdict"] == "right", (asked, text, said)


def times(name: str, right: float) -> float:
    """How many times too large a number is that is said to be off by a factor; `right` as a share of 1."""
    special = {"complement": (1 - right) / right, "inverse": 1 / right**2, "more": (right - 1) / right}
    special |= {"whole": (right + 1) / right, "−": -1.0}
    if name in special:
        return special[name]
    base, _, power = name[1:].partition("^")
    factor = {"1.024": 1.024, "1.0486": 1.024**2, "1.0737": 1.024**3, "1.0995": 1.024**4}.get(base, float(base))
    return (factor ** int(power or 1)) ** (1 if name[0] == "×" else -1)


GENERAL = ["2", "4", "8", "16", "1000^1", "1000^2", "1000^3"]
OWN = {"data": ["1.024", "1.0486", "1.0737", "1.0995", "1024^1"], "ratio": ["100"], "count": ["1.024"], "time": ["60"]}


@settings(max_examples=40, deadline=None)
@given(
    dimension=st.sampled_from(sorted(ASKED)),
    number=st.floats(0.0101, 9.9).map(lambda x: float(f"{x:.6g}")),
    within=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    data=st.data(),
)
def test_a_factor_is_named(judge: Judge, dimension: str, number: float, within: float, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(ASKED[dimension]))
    names = [sign + name for name in GENERAL + OWN[dimension] for sign in "×÷"]
    asked = problem(number, unit, within)
    share = number / 100 if unit == "%" else number
    for name, said in zip(names, judge([(asked, repr(number * times(name, 1))) for name in names]), strict=True):
        if said["verdict"] == "right":  # a complement or an inverse may be the number itself; a factor never is
            raise AssertionError((asked, name, said))
        assert said["verdict"] == "factor", (asked, name, said)
        assert times(said["name"], share) == pytest.approx(times(name, 1), rel=0.0101), (asked, name, said)


@settings(max_examples=20, deadline=None)
@given(
    answer=st.floats(0.5, 1e4).map(lambda x: float(f"{x:.6g}")),
    factors=st.lists(st.floats(0.05, 20).filter(lambda f: abs(f - 1) > 0.05), min_size=1, max_size=5, unique=True),
    unit=st.sampled_from(["GB", "%", "tokens", "s", "×"]),
)
def test_a_listed_mistake_comes_before_a_factor(judge: Judge, answer: float, factors: list[float], unit: str) -> None:
    values = {float(f"{answer * factor:.6g}"): f"Mistake {place}." for place, factor in enumerate([*factors, 2, 0.5])}
    found = judge([(problem(answer, unit, 1, values), repr(value)) for value in values])
    assert [said["text"] for said in found] == list(values.values())
