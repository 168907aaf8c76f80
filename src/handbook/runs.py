"""The run of one page: the executed fences and formulas of its text, where each of them stands, and what came of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import NamedTuple
from weakref import WeakKeyDictionary

from markdown import Markdown
from pymdownx.superfences import SuperFencesException

from handbook.fences import Fence
from handbook.options import LANGUAGES
from handbook.running import Task
from handbook.site import site
from handbook.store import Entry
from handbook.worker import Job, Outcome

OPENING = re.compile(r"^(?P<indent>[\s>]*)(?P<ticks>`{3,}|~{3,})(?P<info>[^`]*)$")
LANGUAGE = re.compile(rf"[{{.\s]*({'|'.join(LANGUAGES)})(?![\w#.+-])")


class PageError(SuperFencesException):  # type: ignore[misc]
    """Something on a page did not run. Superfences lets only its own exception stop a build."""


@dataclass
class Run:
    """The executed fences and formulas of one Markdown text, and what came of them.

    A fence comes with its line in the page; a formula with what stands before it: `~` if its value depends on the
    machine, or nothing. `page` is the path of the text below `docs/`, and `above` counts its lines of front matter. As
    long as there is no `entry`, `task` is what runs, and `outputs` is what it gave so far. `executed` counts all fences
    that say `exec`, also those of text, of which nothing runs. `at` is the line of the one that is being read or shown.
    """

    lines: list[str] = field(default_factory=list)
    fences: list[Fence] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    formulas: tuple[tuple[str, str], ...] = ()
    entry: Entry | None = None
    task: Task | None = None
    outputs: list[str] = field(default_factory=list)
    asked: int = 0
    executed: int = 0
    at: int = 0
    page: str = "this page"
    above: int = 0

    @property
    def job(self) -> Job:
        """What the engine is asked to run."""
        formulas = {formula for _, formula in self.formulas}
        return Job(tuple(fence.block for fence in self.fences), tuple(sorted(formulas)))  # sentences may change places

    def line(self, number: int) -> int:
        """The line of an executed fence in its page, fences counted from 0."""
        return self.places[number]

    def next_line(self) -> int:
        """The line of the fence that superfences asks about. It asks once about each that could run, in order."""
        self.asked += 1
        return self.above + (self.openings[self.asked - 1] if self.asked <= len(self.openings) else 0)

    @cached_property
    def openings(self) -> list[int]:
        """The line of each fence that could run. Asked for when the lines are complete, once for all fences."""
        return [each.number for each in scan(self.lines)[0] if LANGUAGE.match(each.info)]

    def fail(self, message: str, line: int) -> PageError:
        """The error to raise for what is wrong on a line."""
        return PageError(f"{self.page}:{line}: {message}")

    def ask(self) -> None:
        """Have the fences run, and know what came of them so far."""
        self.task = site.ask(self.page, self.job)
        self.outputs = self.task.outputs[: site.tasks[self.page][1]]
        self.entry, site.fences[self.page] = site.entries.get(self.page), self.fences

    @property
    def outcome(self) -> Outcome:
        """What came of the fences so far."""
        return self.entry.outcome if self.entry else Outcome(self.outputs)

    def is_pending(self, number: int) -> bool:
        """Whether the output of a fence is yet to come."""
        return not self.entry and number >= len(self.outputs)

    def pending(self, number: int) -> str:
        """The HTML that stands where an output will be. serve/live.js keeps its words up to date."""
        state = "running" if self.task and self.task.started and number == len(self.outputs) else "waiting"
        words = f"{state}, {number + 1} of {len(self.fences)}"
        shown = self.fences[number].shows_output
        return f'<p class="pending" data-block="{number}">{words}</p>' if shown else ""

    def problem(self, number: int) -> str:
        """What is wrong with a fence that has run or was to run; nothing if it is as it should be."""
        fence, outcome = self.fences[number], self.outcome
        if number == outcome.failed:
            return outcome.error
        if number >= len(outcome.outputs):
            return "was not run, since one above it failed"
        if fence.needs_output and not outcome.outputs[number].strip():
            return f"shows nothing, where its option asks for {fence.output}"
        return ""


_runs: WeakKeyDictionary[Markdown, Run] = WeakKeyDictionary()


def begin(md: Markdown, run: Run) -> Run:
    """Have this be the run that `md` belongs to."""
    _runs[md] = run
    return run


def run_of(md: Markdown) -> Run:
    """The run that `md` belongs to; markdown-exec's converter for a block's output shares the page's."""
    return _runs.setdefault(getattr(md, "_original_md", md), Run())


class Opening(NamedTuple):
    """The opening line of a fence: its number, counted from 1, itself, and what it says behind its ticks."""

    number: int
    line: str
    info: str


def scan(lines: list[str]) -> tuple[list[Opening], list[str], bool]:
    """The fences of a text that are not inside another, the lines outside them, and whether the last is left open."""
    found, prose, closing = [], [], ""
    for number, line in enumerate(lines, start=1):
        match = OPENING.match(line)
        if closing:
            closing = "" if line.strip(" >\t") == closing else closing
        elif match:
            found.append(Opening(number, line.strip(), match["info"]))
            closing = match["ticks"]
        else:
            prose.append(line)
    return found, prose, bool(closing)


def error_box(error: PageError) -> str:
    """The error in place of an output, if the reader is its author; otherwise it is raised."""
    if not site.show_errors:
        raise error from None
    return (
        '<div class="admonition failure"><p class="admonition-title">This did not run</p>'
        f"<pre><code>{escape(str(error))}</code></pre></div>"
    )
