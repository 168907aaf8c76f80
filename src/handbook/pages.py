"""A Markdown extension that runs what a page says: its executed fences, and the formulas in its prose.

All fences of a page run in one session, in order, before any of it is rendered. A code span that starts with `=` is a
formula, as in a cell of a spreadsheet: `` `=format_bytes(size)` `` is replaced by its value once all fences have run.
`` `=~ratio` `` is a value that depends on the machine, and is marked as measured. What fails stops the build with its
page and line; under `mkdocs serve` it is shown in the page instead, and so is what has yet to run.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
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

from handbook import labs
from handbook.fences import Fence, Misuse, parse_header
from handbook.running import Task
from handbook.site import site
from handbook.store import Entry
from handbook.worker import Job, Outcome

OPENING = re.compile(r"^(?P<indent>[\s>]*)(?P<ticks>`{3,}|~{3,})(?P<info>[^`]*)$")
INCLUDE = re.compile(r'(?<!;)--8<--\s+"(?P<path>[^":;]+)(?::(?P<section>[\w-]+))?"')
SPAN = re.compile(r"(?<![\\`])(`+)(?!`)((?:(?!\n\s*\n).)+?)(?<!`)\1(?!`)", re.DOTALL)
FORMULA = re.compile(r"=(~?)(.+)", re.DOTALL)

FINDERS = ("pymdownx.snippets", "pymdownx.superfences", "handbook.pages")
"""Of all extensions, those that find the fences of a page."""


class PageError(SuperFencesException):  # type: ignore[misc]
    """Something on a page did not run. Superfences lets only its own exception stop a build."""


@dataclass
class Run:
    """The executed fences and formulas of one Markdown text, and what came of them.

    A fence comes with its line in the page; a formula with what stands before it: `~` if its value depends on the
    machine, or nothing. `above` counts the lines of front matter. As long as there is no `entry`,
    `task` is what runs, and `outputs` is what it gave so far.
    """

    lines: list[str] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    formulas: tuple[tuple[str, str], ...] = ()
    entry: Entry | None = None
    task: Task | None = None
    outputs: list[str] = field(default_factory=list)
    asked: int = 0
    above: int = 0

    @property
    def job(self) -> Job:
        formulas = {formula for _, formula in self.formulas}
        return Job(tuple(fence.block for fence in self.fences), tuple(sorted(formulas)))  # sentences may change places

    def line(self, number: int) -> int:
        """The line of an executed fence in its page, fences counted from 0."""
        return self.places[number]

    def next_line(self) -> int:
        """The line of the fence that superfences asks about. It asks once about each Python fence, in order."""
        self.asked += 1
        return site.page[1] + (self.openings[self.asked - 1] if self.asked <= len(self.openings) else 0)

    @cached_property
    def openings(self) -> list[int]:
        """The line of each Python fence. Asked for when the lines are complete, once for all fences."""
        return [at for at, info in _openings(self.lines) if re.match(r"\s*[{.\s]*python\b", info)]

    def fail(self, message: str, line: int) -> PageError:
        cell = labs.place(self.lines[: max(0, line - site.page[1])])
        return PageError(f"{cell or f'{site.page[0]}:{line}'}: {message}")


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
    options["line"] = run.next_line()
    try:
        options["fence"] = parse_header(language, inputs)
    except Misuse as error:
        options["fence"] = error_box(run.fail(str(error), options["line"]))
    return options["fence"] is not None


def formatter(source: str, language: str, css_class: str, options: dict[str, Any], md: Markdown, **_: Any) -> str:
    """Take a fence, and leave a mark where its source and output are to be."""
    if isinstance(options["fence"], str):
        return options["fence"]
    run = run_of(md)
    run.fences.append(replace(options["fence"], code=source))
    run.places.append(options["line"])
    return _mark(len(run.fences) - 1)


def _mark(number: int) -> str:
    return f"<!-- executed fence {number} -->"


class Begin(Preprocessor):  # type: ignore[misc]
    """Keeps the text as its author wrote it, and refuses an inclusion of what is not there, before it is included.

    Notebooks are included here, as the Markdown of their cells.
    """

    def run(self, lines: list[str]) -> list[str]:
        if hasattr(self.md, "_original_md"):
            return lines
        if "rendering_context" in self.md.preprocessors:  # Zensical calls no hooks: the page is asked for here
            context = self.md.preprocessors["rendering_context"]
            text = Path(context.config["docs_dir"], context.page.path).read_text("utf-8")
            site.page = context.page.path, text.count("\n") + 1 - len(lines)
        _runs[self.md] = run = Run(lines, above=site.page[1])
        expanded: list[str] = []
        for number, line in enumerate(lines, start=site.page[1] + 1):
            for path, section in INCLUDE.findall(line):
                file = site.root / path
                if not file.is_file():
                    return [error_box(run.fail(f"there is no file {path}", number))]
                if section and f"[start:{section}]" not in file.read_text("utf-8"):
                    return [error_box(run.fail(f"{path} has no section {section}", number))]
            try:
                expanded += labs.expand(line, site.root)
            except Misuse as error:
                return [error_box(run.fail(str(error), number))]
        run.lines = expanded
        return expanded


class RunPage(Preprocessor):  # type: ignore[misc]
    """Runs the page once superfences has taken all of its fences, and puts sources and outputs in their places."""

    LEFT_OVER = re.compile(r"(?:[\s>*+:-]|\d+[.)])*(`{3,}|~{3,})[^`]*$")

    def run(self, lines: list[str]) -> list[str]:
        if hasattr(self.md, "_original_md"):
            return lines
        try:
            run = self.collect(lines)
        except PageError as error:
            return error_box(error).split("\n")
        if run.fences:
            page, run.task = site.page[0], site.ask(run.job)
            run.outputs = run.task.outputs[: site.tasks[page][1]]
            run.entry, site.fences[page] = site.entries.get(page), run.fences
            blocks = self.md.htmlStash.rawHtmlBlocks
            for number, fence in enumerate(run.fences):
                blocks[blocks.index(_mark(number))] = self.show(run, number, fence)
        return lines

    def collect(self, lines: list[str]) -> Run:
        run = run_of(self.md)
        for line in lines:
            if self.LEFT_OVER.match(line):
                # Of several like it, the one that is not closed is the last.
                at = max((n for n, text in enumerate(run.lines, start=1) if text.strip() == line.strip()), default=0)
                message = f"a fence is not closed, or its options are malformed: {line.strip()}"
                raise run.fail(message, site.page[1] + at)
        spans = SPAN.findall("\n".join(lines))
        found = [match for ticks, text in spans if ticks == "`" and (match := FORMULA.match(text))]
        run.formulas = tuple(dict.fromkeys((match[1], match[2].strip()) for match in found))
        return run

    def show(self, run: Run, number: int, fence: Fence) -> str:
        outcome = run.entry.outcome if run.entry else Outcome(run.outputs)
        message = ""
        if not run.entry and number >= len(outcome.outputs):
            return fence.render("", self.md) + self.pending(run, number, fence)
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

    def pending(self, run: Run, number: int, fence: Fence) -> str:
        """What stands where an output will be. serve/live.js keeps its words up to date."""
        assert run.task
        state = "running" if run.task.started and number == len(run.outputs) else "waiting"
        words = f"{state}, {number + 1} of {len(run.fences)}"
        return f'<p class="pending" data-block="{number}">{words}</p>' if fence.shows_output else ""


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


def finder(configs: dict[str, Any]) -> Markdown:
    """What finds the fences of pages, and renders none of them.

    Args:
        configs: The configuration of the site's Markdown extensions.
    """
    plain = {"pymdownx.highlight": {"use_pygments": False}}
    return Markdown(extensions=[*FINDERS, *plain], extension_configs=configs | plain)


def find(md: Markdown, text: str, page: tuple[str, int]) -> Run:
    """The executed fences and the formulas of a page, by a `finder`. Nothing is run.

    Raises:
        PageError: A fence is malformed, or asks for what does not exist.
    """
    site.page = page
    md.reset()
    lines = text.split("\n")
    for processor in md.preprocessors:
        if isinstance(processor, RunPage):
            return processor.collect(lines)
        lines = processor.run(lines)
    raise LookupError("the finder has no handbook.pages")


def prepare(md: Markdown, text: str, page: tuple[str, int]) -> None:
    """Have a page run ahead of its rendering, so that the pages of a cold build do not wait for one another.

    What is wrong with its text is left for the rendering to say.
    """
    with contextlib.suppress(Exception):
        run = find(md, text, page)
        if run.fences:
            site.engine.submit(run.job, page[0])
