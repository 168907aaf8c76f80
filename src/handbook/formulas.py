"""Formulas in prose: a code span that starts with `=`, which is replaced by its value.

As in a cell of a spreadsheet: `` `=format_bytes(size)` ``. `` `=~ratio` `` is a value that depends on the machine, and
is marked as measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.util import AtomicString, code_escape

from handbook.runs import Run, run_of
from handbook.site import site

SPAN = re.compile(r"(?<![\\`])(`+)(?!`)((?:(?!\n\s*\n).)+?)(?<!`)\1(?!`)", re.DOTALL)
FORMULA = re.compile(r"=(~?)(.+)", re.DOTALL)


def formulas(lines: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The formulas of a text, each once, with what stands before it: `~`, or nothing."""
    spans = SPAN.findall("\n".join(lines))
    found = [match for ticks, text in spans if ticks == "`" and (match := FORMULA.match(text))]
    return tuple(dict.fromkeys((match[1], match[2].strip()) for match in found))


class FormulaProcessor(InlineProcessor):  # type: ignore[misc]
    """Replaces a code span that starts with `=` by its value; leaves any other to the processor that it wraps."""

    def __init__(self, code_spans: InlineProcessor, md: Markdown) -> None:
        super().__init__(code_spans.pattern, md)
        self.code_spans = code_spans

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Element | str | None, int | None, int | None]:
        """The value of a formula, with where its code span starts and ends."""
        found, start, end = self.code_spans.handleMatch(m, data)
        if found is None or not data.startswith("`=", start):
            return found, start, end
        measured = data.startswith("`=~", start)
        formula = data[start + (3 if measured else 2) : end - 1].strip()
        if not formula:
            return found, start, end
        run = run_of(self.md)
        if run.task and not run.entry:
            element = Element("span", {"class": "pending", "title": "Known when this page has run"})
            element.text = AtomicString("…")
            return element, start, end
        value = self.value(run, formula)
        if measured:
            element = Element("span", {"class": "measured", "title": "Measured on the machine that built this page"})
            element.text = AtomicString(value)
            return element, start, end
        return code_escape(value), start, end

    def value(self, run: Run, formula: str) -> str:
        """The value of a formula, or why there is none.

        Raises:
            PageError: It has none, and a reader is not to see it so.
        """
        outcome = run.entry.outcome if run.entry else None
        if outcome and formula in outcome.formulas:
            return outcome.formulas[formula]
        if outcome and outcome.failed >= 0:
            return "(not run)"
        start = re.compile(rf"`=~?\s*{re.escape(formula.partition(chr(10))[0])}\s*(`|$)")
        at = next((n for n, line in enumerate(run.lines, start=1) if start.search(line)), 0)
        problem = outcome.wrong_formulas.get(formula) if outcome else None
        problem = problem or "a formula needs an executed fence on its page, and a place in its prose"
        hint = "a code span that is no formula has two backticks on each side"
        error = run.fail(f"the formula `={formula}` has no value ({hint}): {problem}", run.above + at)
        if not site.show_errors:
            raise error
        return str(error)
