"""Runs what a page says: its executed fences, and the formulas in its prose.

A fence ` ```python exec="1" ` runs in the page's session: one module namespace that behaves as `__main__`, so that a
program prints on the page what it prints in a terminal. A code span that starts with `=` is a formula, as in a cell of
a spreadsheet: it is replaced by the `str()` of its value once all fences of the page have run. Anything that fails
stops the build, with the lines that failed.

The options of a fence and the rendering of its output are markdown-exec's; the session and the strictness are ours.
"""

from __future__ import annotations

import io
import linecache
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import wraps
from types import ModuleType
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary
from xml.etree.ElementTree import Element

import markdown_exec
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.postprocessors import Postprocessor
from markdown.preprocessors import Preprocessor
from markdown.util import code_escape
from pymdownx.superfences import SuperFencesException

HIGHLIGHT_OPTIONS = {"title", "linenums", "hl_lines"}
EXEC_OPTIONS = {"exec", "source", "result", "html", "id", "idprefix", "updatetoc", "tabs", "width"}

P = ParamSpec("P")
R = TypeVar("R")


class PageError(SuperFencesException):  # type: ignore[misc]
    """Something on a page did not run. Superfences lets only its own exception stop a build."""


class Session:
    """What the fences and formulas of one page share."""

    def __init__(self) -> None:
        self.module = ModuleType("__main__")
        self.blocks = 0

    def run(self, code: str, width: int = 0) -> str:
        """Execute a block of code and return what it and the libraries it calls print.

        Args:
            code: Python source.
            width: Columns of the terminal that libraries are to believe in, 80 if 0.

        Raises:
            PageError: The code raised, or asked to exit.
        """
        self.blocks += 1
        name = f"<block {self.blocks}>"
        # The mark None for "modified" keeps these lines in the cache: there is no file to compare them with.
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        first_line = next((line for line in code.splitlines() if line.strip()), "")
        output = io.StringIO()
        what = f"block {self.blocks} of this page, which starts with {first_line!r},"
        with self._failing_as(what), markdown_exec.console_width(width or 80), redirect_stdout(output):
            exec(compile(code, name, "exec", dont_inherit=True), vars(self.module))
        return output.getvalue()

    def evaluate(self, expression: str) -> str:
        """Return the value of an expression as text.

        Raises:
            PageError: The expression raised, or is not one.
        """
        what = f"the formula `={expression}` (a span that is no formula has two backticks on each side)"
        with self._failing_as(what):
            # In parentheses an expression may go on in the next line, as prose does.
            return str(eval(compile(f"({expression})", "<formula>", "eval", dont_inherit=True), vars(self.module)))

    @contextmanager
    def _failing_as(self, what: str) -> Iterator[None]:
        """Let this session be `__main__`, as dataclasses and pickle expect, and say what failed if anything does."""
        main = sys.modules["__main__"]
        sys.modules["__main__"] = self.module
        try:
            yield
        except (Exception, SystemExit) as error:
            trace = error.__traceback__
            while trace and trace.tb_frame.f_code.co_filename == __file__:
                trace = trace.tb_next
            text = "".join(traceback.format_exception(type(error), error, trace))
            raise PageError(f"{what} failed:\n{text}") from None
        finally:
            sys.modules["__main__"] = main


_sessions: WeakKeyDictionary[Markdown, Session] = WeakKeyDictionary()


def session_of(md: Markdown) -> Session:
    """The session of the page that `md` converts; markdown-exec's converter for a block's output shares the page's."""
    return _sessions.setdefault(getattr(md, "_original_md", md), Session())


def _stops_the_build(function: Callable[P, R]) -> Callable[P, R]:
    """Turn every exception into the one that superfences does not swallow."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SuperFencesException:
            raise
        except Exception as error:
            raise PageError(f"an executed fence failed: {error}") from error

    return wrapper


@_stops_the_build
def validator(
    language: str, inputs: dict[str, str], options: dict[str, Any], attrs: dict[str, Any], md: Markdown
) -> bool:
    """Accept a fence that is to be executed; leave any other to the highlighter.

    Raises:
        PageError: An option is unknown, which would otherwise show the fence as a paragraph and run nothing.
    """
    known = HIGHLIGHT_OPTIONS | (EXEC_OPTIONS if "exec" in inputs else set())
    unknown = sorted(name for name in inputs if name not in known and not name.startswith("data-"))
    if unknown:
        raise PageError(f"a {language} fence has options {unknown}; known here: {sorted(known)}")
    if "exec" not in inputs:
        return False
    if inputs["exec"] != "1":
        raise PageError(f'a {language} fence says exec="{inputs["exec"]}": say exec="1", or leave it out')
    return markdown_exec.validator(language, inputs, options, attrs, md)


@_stops_the_build
def formatter(source: str, language: str, css_class: str, options: dict[str, Any], md: Markdown, **_: Any) -> str:
    """Execute a fence in its page's session and return the HTML of its source and output, as its options say."""
    output = session_of(md).run(source, options["width"])
    if not output:
        options["result"] = ""  # an empty box tells nothing
    return markdown_exec.base_format(language=language, run=lambda *_, **__: output, code=source, md=md, **options)


class FormulaProcessor(InlineProcessor):  # type: ignore[misc]
    """Replaces a code span that starts with `=` by its value; leaves any other to the processor that it wraps."""

    def __init__(self, code_spans: InlineProcessor, md: Markdown) -> None:
        super().__init__(code_spans.pattern, md)
        self.code_spans = code_spans

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Element | str | None, int | None, int | None]:
        found, start, end = self.code_spans.handleMatch(m, data)
        if found is None or not data.startswith("`=", start):
            return found, start, end
        return code_escape(session_of(self.md).evaluate(data[start + 2 : end - 1].strip())), start, end


class LeftoverFences(Preprocessor):  # type: ignore[misc]
    """Refuses what still looks like a fence after superfences: it would be shown as text, and not run."""

    FENCE = re.compile(r"[\s>*+-]*(`{3,}|~{3,})[^`]*$")

    def run(self, lines: list[str]) -> list[str]:
        for line in lines:
            if self.FENCE.match(line):
                raise PageError(f"a fence is not closed, or its options are malformed: {line.strip()}")
        return lines


class EndSession(Postprocessor):  # type: ignore[misc]
    """Forgets the session when its page is done, so that `mkdocs serve` does not keep the tensors of every build."""

    def run(self, text: str) -> str:
        _sessions.pop(self.md, None)
        return text


class RunExtension(Extension):  # type: ignore[misc]
    """Formulas, and the sessions that they share with the executed fences."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.register(LeftoverFences(md), "leftover_fences", 24)  # right after superfences, at 25
        code_spans = md.inlinePatterns["backtick"]
        md.inlinePatterns.register(FormulaProcessor(code_spans, md), "backtick", 190)  # in the place of the wrapped one
        md.postprocessors.register(EndSession(md), "end_session", -10)  # the last


def makeExtension(**options: Any) -> RunExtension:
    """Python-Markdown's entry point."""
    return RunExtension(**options)
