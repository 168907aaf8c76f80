"""A Markdown extension that runs what a page says: its executed fences, and the formulas in its prose.

All fences of a page run in one session, in order, before any of it is rendered. A code span that starts with `=` is a
formula, as in a cell of a spreadsheet: `` `=format_bytes(size)` `` is replaced by its value once all fences have run.
`` `=~ratio` `` is a value that depends on the machine, and is marked as measured. What fails stops the build with its
page and line; under `mkdocs serve` it is shown in the page instead.
"""

from __future__ import annotations

import re
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor
from markdown.util import AtomicString, code_escape
from pymdownx.superfences import SuperFencesException

from handbook.engine import Engine, Entry
from handbook.fences import Fence, Misuse, parse_header
from handbook.worker import Job

OPENING = re.compile(r"^(?P<indent>[\s>]*)(?P<ticks>`{3,}|~{3,})(?P<info>[^`]*)$")
INCLUDE = re.compile(r'(?<!;)--8<--\s+"(?P<path>[^":;]+)(?::(?P<section>[\w-]+))?"')
FORMULA = re.compile(r"(?<![\\`])`=~?([^`]+)`(?!`)")


class PageError(SuperFencesException):  # type: ignore[misc]
    """Something on a page did not run. Superfences lets only its own exception stop a build."""


@dataclass
class Site:
    """What the pages of a build share.

    Attributes:
        root: The root of the repository.
        show_errors: Show what fails in the page instead of stopping.
        page: The page that is being rendered: its path below `docs/`, and the lines of front matter above its text.
        entries: The outcome of each page that has run.
        fences: The executed fences of each page.
    """

    root: Path = field(default_factory=Path.cwd)
    show_errors: bool = False
    page: tuple[str, int] = ("this page", 0)
    entries: dict[str, Entry] = field(default_factory=dict)
    fences: dict[str, list[Fence]] = field(default_factory=dict)
    _engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, started when a page first needs it."""
        if self._engine is None:
            self._engine = Engine(self.root, self.root / ".cache" / "pages")
        return self._engine


site = Site()


@dataclass
class Run:
    """The executed fences and formulas of one Markdown text, and what came of them."""

    lines: list[str] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)
    formulas: tuple[str, ...] = ()
    entry: Entry | None = None

    @property
    def job(self) -> Job:
        return Job(tuple(fence.block for fence in self.fences), self.formulas)

    def line(self, number: int) -> int:
        """The line of an executed fence in its page, fences counted from 0."""
        openings = [at for at, info in _openings(self.lines) if re.search(r"\bexec\b", info)]
        return site.page[1] + (openings[number] if number < len(openings) else 0)

    def fail(self, message: str, line: int) -> PageError:
        return PageError(f"{site.page[0]}:{line}: {message}")


_runs: WeakKeyDictionary[Markdown, Run] = WeakKeyDictionary()


def run_of(md: Markdown) -> Run:
    """The run that `md` belongs to; markdown-exec's converter for a block's output shares the page's."""
    return _runs.setdefault(getattr(md, "_original_md", md), Run())


def _openings(lines: list[str]) -> list[tuple[int, str]]:
    """The line, counted from 1, and the info string of each fence that is not inside another."""
    found, closing = [], ""
    for number, line in enumerate(lines, start=1):
        match = OPENING.match(line)
        if closing:
            closing = "" if line.strip(" >\t") == closing else closing
        elif match:
            found.append((number, match["info"]))
            closing = match["ticks"]
    return found


def validator(
    language: str, inputs: dict[str, str], options: dict[str, Any], attrs: dict[str, Any], md: Markdown
) -> bool:
    """Superfences' question whether a fence is ours: it is if it says `exec`.

    Raises:
        PageError: It has an option that does not exist.
    """
    run = run_of(md)
    try:
        options["fence"] = parse_header(language, inputs)
    except Misuse as error:
        raise run.fail(str(error), run.line(len(run.fences))) from None
    return options["fence"] is not None


def formatter(source: str, language: str, css_class: str, options: dict[str, Any], md: Markdown, **_: Any) -> str:
    """Take a fence, and leave a mark where its source and output are to be."""
    run = run_of(md)
    run.fences.append(replace(options["fence"], code=source))
    return _mark(len(run.fences) - 1)


def _mark(number: int) -> str:
    return f"<!-- executed fence {number} -->"


class Begin(Preprocessor):  # type: ignore[misc]
    """Keeps the text as its author wrote it, and refuses an inclusion of what is not there, before it is included."""

    def run(self, lines: list[str]) -> list[str]:
        if not hasattr(self.md, "_original_md"):
            _runs[self.md] = run = Run(lines)
            for number, line in enumerate(lines, start=site.page[1] + 1):
                for path, section in INCLUDE.findall(line):
                    file = site.root / path
                    if not file.is_file():
                        raise run.fail(f"there is no file {path}", number)
                    if section and f"[start:{section}]" not in file.read_text("utf-8"):
                        raise run.fail(f"{path} has no section {section}", number)
        return lines


class RunPage(Preprocessor):  # type: ignore[misc]
    """Runs the page once superfences has taken all of its fences, and puts sources and outputs in their places."""

    LEFT_OVER = re.compile(r"[\s>*+-]*(`{3,}|~{3,})[^`]*$")

    def run(self, lines: list[str]) -> list[str]:
        if hasattr(self.md, "_original_md"):
            return lines
        run = self.collect(lines)
        if run.fences:
            run.entry = site.engine.submit(run.job, site.page[0]).result()
            site.entries[site.page[0]], site.fences[site.page[0]] = run.entry, run.fences
            blocks = self.md.htmlStash.rawHtmlBlocks
            for number, fence in enumerate(run.fences):
                blocks[blocks.index(_mark(number))] = self.show(run, number, fence)
        return lines

    def submit(self, lines: list[str]) -> Future[Entry] | None:
        """Have the page run without waiting for it."""
        run = self.collect(lines)
        return site.engine.submit(run.job, site.page[0]) if run.fences else None

    def collect(self, lines: list[str]) -> Run:
        run = run_of(self.md)
        for line in lines:
            if self.LEFT_OVER.match(line):
                raise run.fail(f"a fence is not closed, or its options are malformed: {line.strip()}", 0)
        run.formulas = tuple(dict.fromkeys(found.strip() for found in FORMULA.findall("\n".join(lines))))
        return run

    def show(self, run: Run, number: int, fence: Fence) -> str:
        assert run.entry
        outcome = run.entry.outcome
        message = ""
        if number == outcome.failed:
            message = outcome.error
        elif number >= len(outcome.outputs):
            message = "was not run, since one above it failed"
        elif fence.needs_output and not outcome.outputs[number].strip():
            message = f"shows nothing, where its option asks for {fence.output}"
        if not message:
            return fence.render(outcome.outputs[number], self.md)
        first = next((line for line in fence.code.splitlines() if line.strip()), "")
        error = run.fail(f"block {number + 1}, which starts with {first!r}: {message}", run.line(number))
        return error_box(error)


def error_box(error: PageError) -> str:
    """The error in place of an output, if the reader is its author; otherwise it is raised."""
    if not site.show_errors:
        raise error
    return (
        '<div class="admonition failure"><p class="admonition-title">This did not run</p>'
        f"<pre><code>{escape(str(error))}</code></pre></div>"
    )


class FormulaProcessor(InlineProcessor):  # type: ignore[misc]
    """Replaces a code span that starts with `=` by its value; leaves any other to the processor that it wraps."""

    def __init__(self, code_spans: InlineProcessor, md: Markdown) -> None:
        super().__init__(code_spans.pattern, md)
        self.code_spans = code_spans

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Element | str | None, int | None, int | None]:
        found, start, end = self.code_spans.handleMatch(m, data)
        if found is None or not data.startswith("`=", start):
            return found, start, end
        measured = data.startswith("`=~", start)
        formula = data[start + (3 if measured else 2) : end - 1].strip()
        if not formula:
            return found, start, end
        value = self.value(formula)
        if measured:
            element = Element("span", {"class": "measured", "title": "Measured on the machine that built this page"})
            element.text = AtomicString(value)
            return element, start, end
        return code_escape(value), start, end

    def value(self, formula: str) -> str:
        run = run_of(self.md)
        outcome = run.entry.outcome if run.entry else None
        if outcome and formula in outcome.formulas:
            return outcome.formulas[formula]
        if outcome and outcome.failed >= 0:
            return "(not run)"
        first = formula.splitlines()[0]
        at = next((n for n, line in enumerate(run.lines, start=1) if first in line), 0)
        problem = outcome.wrong_formulas.get(formula) if outcome else None
        problem = problem or "a formula needs an executed fence on its page, and a place in its prose"
        hint = "a code span that is no formula has two backticks on each side"
        error = run.fail(f"the formula `={formula}` has no value ({hint}): {problem}", site.page[1] + at)
        if not site.show_errors:
            raise error
        return str(error)


class RunExtension(Extension):  # type: ignore[misc]
    """The parts above, each at its place among those of snippets (32) and superfences (25)."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.register(Begin(md), "begin_run", 40)
        md.preprocessors.register(RunPage(md), "run_page", 24)
        code_spans = md.inlinePatterns["backtick"]
        md.inlinePatterns.register(FormulaProcessor(code_spans, md), "backtick", 190)  # in the place of the wrapped one


def makeExtension(**options: Any) -> RunExtension:
    """Python-Markdown's entry point."""
    return RunExtension(**options)


def prepare(md: Markdown, text: str, page: tuple[str, int]) -> None:
    """Have a page run ahead of its rendering, so that the pages of a cold build do not wait for one another.

    What is wrong with its text is left for the rendering to say.
    """
    site.page = page
    md.reset()
    lines = text.split("\n")
    try:
        for processor in md.preprocessors:
            if isinstance(processor, RunPage):
                processor.submit(lines)
                return
            lines = processor.run(lines)
    except Exception:
        return
