"""What the pages of a build share: where they are, what runs them, and what came of them so far."""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import handbook.deferred  # noqa: F401  (mkdocs.yml has this imported before the plugins)
from handbook.engine import Engine
from handbook.fences import Fence
from handbook.running import Task
from handbook.store import Entry
from handbook.study.questions import Card, Problem
from handbook.worker import Job


@dataclass
class Site:
    """What the pages of a build share.

    Attributes:
        root: The root of the repository.
        show_errors: Show what fails in the page instead of stopping.
        released: The build is for readers, whose browsers may keep it.
        deadline: When the build stops to wait for what runs, on the clock of `time.monotonic`; never, unless it serves.
        tasks: The task of each page that runs, and how much of it was known when the page was rendered.
        entries: The outcome of each page that has run.
        fences: The executed fences of each page.
        questions: The cards and the problems of each page that has been rendered.
        order: The pages in the order of the navigation.
        inner: The Markdown extensions, with their configuration, that render output which is Markdown; those of the
            page if nobody says.
    """

    root: Path = field(default_factory=Path.cwd)
    show_errors: bool = False
    released: bool = True
    deadline: float = math.inf
    tasks: dict[str, tuple[Task, int]] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    fences: dict[str, list[Fence]] = field(default_factory=dict)
    questions: dict[str, tuple[list[Card], list[Problem]]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    inner: tuple[list[str], dict[str, Any]] | None = None
    _engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, started when a page first needs it."""
        if self._engine is None:
            cache = Path(os.environ.get("HANDBOOK_CACHE", self.root / ".cache"))
            self._engine = Engine(self.root, cache / "pages")
        return self._engine

    @property
    def cards(self) -> list[Card]:
        """The cards of all pages, in the order of the navigation; of those rendered so far, until all are."""
        return [card for page in self._asking() for card in self.questions[page][0]]

    @property
    def problems(self) -> list[Problem]:
        """The problems of all pages, as their cards."""
        return [problem for page in self._asking() for problem in self.questions[page][1]]

    def _asking(self) -> list[str]:
        listed = [page for page in self.order if page in self.questions]
        return listed + [page for page in self.questions if page not in self.order]

    def ask(self, page: str, job: Job) -> Task:
        """The task of a page that is being rendered, done unless the build does not wait for it.

        Args:
            page: Its path below `docs/`.
            job: What is to be run for it.
        """
        task = self.engine.submit(job, page)
        self.entries.pop(page, None)
        timeout = None if math.isinf(self.deadline) else max(0, self.deadline - time.monotonic())
        with contextlib.suppress(TimeoutError):
            task.result(timeout)
        if task.done:
            self.entries[page] = task.result()  # or its error, which may be a TimeoutError too
        self.tasks[page] = task, task.known if page in self.entries else len(task.outputs)
        return task


site = Site()
