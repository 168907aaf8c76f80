"""The options of an opening line: which there are, and what each of them may be.

There are two forms. Bare `exec` is this site's own, short one; `exec="1"` is markdown-exec's, whose options mean what
its documentation says. How a fence runs is said alike in both; they differ in what is shown of it. markdown-exec lets
through what it does not know. Here a misspelt option is an error, and so is a value that cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches
from enum import Enum
from math import inf
from typing import Any

from pygments.lexers import find_lexer_class_by_name, get_all_lexers
from pygments.util import ClassNotFound
from pymdownx.superfences import RE_HL_LINES, RE_LINENUMS

PYTHON, SHELL, TEXT = ("python", "py", "pycon"), ("bash", "sh", "console"), ("md", "markdown", "tree")
LANGUAGES = (*PYTHON, *SHELL, *TEXT)
"""What markdown-exec knows, but for `pyodide`, which would have each reader load a runtime from another host."""

ON, OFF = ("1", "on", "yes", "true"), ("0", "off", "no", "false")

Kind = Callable[[str, str], Any]
"""What reads a value: from the name of its option and its text. It raises `Misuse` if the value cannot be."""


class Misuse(ValueError):
    """An option that does not exist or cannot mean anything here."""


class Form(Enum):
    """How a fence says what is shown of it."""

    PLAIN = "without exec"
    SHORT = "with a bare exec"
    FULL = 'with exec="1"'


def form_of(language: str, options: dict[str, str]) -> Form:
    """The form that an opening line is in.

    Raises:
        Misuse: Its `exec` says neither that it runs nor that it does not.
    """
    if "exec" not in options:
        return Form.FULL if language == "tree" else Form.PLAIN
    if options["exec"] == "exec":
        return Form.FULL if language in TEXT else Form.SHORT
    return Form.FULL if _switch("exec", options["exec"]) else Form.PLAIN


def read(language: str, form: Form, options: dict[str, str]) -> dict[str, Any]:
    """The values of all options of an opening line, but for `exec`.

    Raises:
        Misuse: One of them is unknown, or has a value that it cannot have.
    """
    kinds, values = kinds_of(language, form), {}
    for name, text in options.items():
        if name == "exec":
            continue
        if name not in kinds:
            others = [other for other in Form if name in kinds_of(language, other)]
            hint = f"; a {language} fence {others[0].value} has it" if others else ""
            hint = hint or _nearest(name, [*kinds, "exec"], otherwise=f"; there are {', '.join(sorted(kinds))}")
            raise Misuse(f"there is no option {name!r} of a {language} fence {form.value}{hint}")
        values[name] = kinds[name](name, text)
    return values


def _nearest(text: str, words: Collection[str], otherwise: str = "") -> str:
    near = get_close_matches(text, words, n=1)
    return f"; did you mean {near[0]}?" if near else otherwise


def _choice(*choices: str) -> Kind:
    def kind(name: str, text: str) -> str:
        if text not in choices:
            raise Misuse(f"{name} is one of {', '.join(choices)}, not {text!r}{_nearest(text, choices)}")
        return text

    return kind


def _switch(name: str, text: str) -> bool:
    return text == name or _choice(*ON, *OFF)(name, text.lower()) in ON


def _flag(name: str, text: str) -> bool:
    if text != name:
        raise Misuse(f"{name} stands alone, without a value")
    return True


def _text(name: str, text: str) -> str:
    return text


def _number(least: float, most: float, unit: str, kind: type[float], suffix: str = "") -> Kind:
    """A number of at least `least`, and of less than `most`; `unit` says what it is."""

    def read(name: str, text: str) -> float:
        try:
            number = kind(text.removesuffix(suffix) if text.endswith(suffix) else "")
        except ValueError:
            number = inf
        if not least <= number < most:
            raise Misuse(f"{name} is {unit}, not {text!r}")
        return number

    return read


def _like(matches: Callable[[str], object], form: str) -> Kind:
    def kind(name: str, text: str) -> str:
        if not matches(text):
            raise Misuse(f"{name} is {form}, not {text!r}")
        return text

    return kind


def _language(name: str, text: str) -> str:
    try:
        find_lexer_class_by_name(text)
    except ClassNotFound:
        known = [alias for _, aliases, *_ in get_all_lexers() for alias in aliases]
        raise Misuse(f"{name} is a language that Pygments knows, not {text!r}{_nearest(text, known)}") from None
    return text


LEAST = 1e-9
HIGHLIGHT: dict[str, Kind] = {
    "title": _text,
    "linenums": _like(RE_LINENUMS.match, 'the number of the first line, such as "1"'),
    "hl_lines": _like(RE_HL_LINES.match, 'the numbers of lines, such as "2 4-6"'),
}
RUN: dict[str, Kind] = {
    "id": _text,
    "limit": _number(LEAST, inf, "a number of seconds", float),
    "setup": _flag,
    "tolerance": _number(LEAST, 100, 'a share such as "2%"', float, suffix="%"),
    "varies": _flag,
    "width": _number(1, inf, "a number of columns", int),
    "workdir": _text,
}
RUN_PYTHON: dict[str, Kind] = {"session": _text, "raises": _text, "alt": _text, "caption": _text}
ANSWER: dict[str, Kind] = {"unit": _text, "within": _number(0, 100, 'a share such as "2%"', float, suffix="%")}
RUN_SHELL: dict[str, Kind] = {"returncode": _number(0, 256, "an exit code, from 0 to 255", int)}
FULL: dict[str, Kind] = {
    "id": _text,
    "idprefix": _text,
    "html": _switch,
    "source": _choice("above", "below", "block", "material-block", "tabbed-left", "tabbed-right", "console"),
    "result": _language,
    "tabs": _like(lambda text: text.replace(r"\|", "").count("|") == 1, 'two titles, such as "Source|Result"'),
    "updatetoc": _switch,
}


def kinds_of(language: str, form: Form) -> dict[str, Kind]:
    """The options that a fence may have, beside `exec`, and what each of them may be."""
    if form is Form.PLAIN:
        return HIGHLIGHT
    if language == "tree":
        return HIGHLIGHT | {"result": _language, "icons": _choice("auto", "basic", "none")}
    if language in TEXT:
        return HIGHLIGHT | FULL
    common = HIGHLIGHT | RUN | (RUN_PYTHON if language in PYTHON else RUN_SHELL)
    if form is Form.FULL:
        return common | FULL | ({"output": _choice("figure")} if language in PYTHON else {})
    own = ("figure", "answer") if language in PYTHON else ()
    output = _choice("auto", "text", "markdown", "html", *own, "hide")
    return common | (ANSWER if own else {}) | {"source": _choice("above", "hide", "fold"), "output": output}
