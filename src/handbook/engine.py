"""Gets the entry of a page's job: from the store if nothing that it depends on has changed, else by running it.

A job is found by its code, and an outcome of it is good as long as every file it read, every module of `src/` it
reached, `models/`, and the versions of the packages it imported are what they were.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import logging
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from handbook import versions
from handbook.digests import Digests
from handbook.machine import commit, machine
from handbook.running import Pool, Task
from handbook.store import Entry, Store
from handbook.worker import Job, Outcome

log = logging.getLogger("mkdocs.handbook")


@dataclass
class Counts:
    """What a build did."""

    ran: int = 0
    replayed: int = 0
    seconds: list[tuple[float, str]] = field(default_factory=list)


@dataclass
class Progress:
    """How far the pages are.

    Attributes:
        pages: How many have run, and how many there are.
        blocks: The same of their blocks.
    """

    pages: tuple[int, int]
    blocks: tuple[int, int]


class Engine:
    """The tasks of a build, and what it knows of their outcomes.

    Args:
        root: The root of the repository. Blocks run there; dependencies are paths from there.
        store: The directory of the store.
    """

    def __init__(self, root: Path, store: Path) -> None:
        self.root = root.resolve()
        self.counts = Counts()
        self.digests, self.store = Digests(self.root), Store(store)
        self.pool = Pool(self._work)
        self.behind = False
        """Whether pages that no reader asked for leave the cores to others."""
        self.when_done: Callable[[Task], None] = lambda task: None
        """What is told of each task that has run."""
        self._tasks: dict[Job, Task] = {}
        self._asked: set[Job] = set()
        self._world = ""
        self._texts: list[str] = []
        self._settled: set[str] | None = None

    def begin(self, edited: bool = True) -> None:
        """Start a build: forget what the last one found out about the files.

        Args:
            edited: Whether any file may have changed. If not, what is known stays known, a failure too.
        """
        self.counts = Counts()
        self.digests.begin()
        versions.forget()
        commit.cache_clear()
        self._asked.clear()
        self._texts.clear()
        self._settled = None
        before, self._world = self._world, self.digests.world()
        if edited or before != self._world:
            for job, task in list(self._tasks.items()):
                if task.done or before != self._world:  # else it runs what it would run if it began now
                    self._drop(job)

    def submit(self, job: Job, page: str = "") -> Task:
        """Have a job done. The task is done at once if nothing that it depends on has changed."""
        self._asked.add(job)
        if job not in self._tasks:
            self._tasks[job] = task = Task(job, page)
            entry = self._find(job)
            if entry:
                self.counts.replayed += len(job.blocks)
                task.finish(entry)
            else:
                self.pool.add(task)
        return self._tasks[job]

    def _drop(self, job: Job) -> None:
        task = self._tasks.pop(job)
        if not task.done:
            task.cancel()

    def _work(self, task: Task) -> None:
        before, started = self.digests.sources(), time.time_ns()
        outcome = task.run(self.root, self.behind and not task.asked_for)
        self.counts.ran += len(outcome.outputs)
        self.counts.seconds += [(s, f"{task.page}, block {n}") for n, s in enumerate(outcome.seconds, start=1)]
        entry = self._entry(task.job, outcome)
        changed = any(before.get(path, digest) != digest for path, digest in entry.files.items())
        changed = changed or any(self.digests.changed_at(path) > started for path in entry.files)
        if outcome.failed < 0 and not outcome.wrong_formulas and not changed:
            self.store.keep(task.job, entry)
        task.finish(entry)
        if self._tasks.get(task.job) is task:
            done, count = self.progress().pages
            log.info(f"{done} of {count} pages have run, {task.page} in {time.monotonic() - task.started:.1f} s")
            self.when_done(task)

    def _entry(self, job: Job, outcome: Outcome) -> Entry:
        files = {path: self.digests.now(path) for path in sorted(outcome.files | {"models"})}
        owners = versions.owners()
        found = {name: versions.version(name) for module in outcome.modules for name in owners.get(module, ())}
        named = {name for module in _imports(job) for name in owners.get(module, ())}
        imports = [f"{name} {versions.version(name)}" for name in sorted(named, key=str.lower)]
        python, today = platform.python_version(), datetime.now(UTC).strftime("%Y-%m-%d")
        return Entry(outcome, files, found, imports, python, machine(), today, commit(self.root))

    def _find(self, job: Job) -> Entry | None:
        for entry in self.store.entries(job):
            fresh = all(self.digests.in_build(path) == digest for path, digest in entry.files.items())
            if fresh and all(versions.version(name) == found for name, found in entry.versions.items()):
                return entry
        return None

    def progress(self) -> Progress:
        """How far the pages of this build are."""
        tasks = list(self._tasks.values())
        done, blocks = sum(task.done for task in tasks), sum(len(task.outputs) for task in tasks)
        return Progress((done, len(tasks)), (blocks, sum(len(task.job.blocks) for task in tasks)))

    def needs_preparing(self, text: str) -> bool:
        """Whether a page may have to run: not if the last build replayed this text, and no source has changed since.

        To be wrong costs time only: the page is then run when it is rendered, and not ahead of it.
        """
        self._texts.append(hashlib.sha256(text.encode()).hexdigest())
        if self._settled is None:
            self._settled = self.store.settled(self.digests.world())
        return self._texts[-1] not in self._settled

    def finish(self) -> None:
        """End a build: stop what none of its pages asked for, and remember which texts have nothing left to run."""
        for job in self._tasks.keys() - self._asked:
            self._drop(job)
        if self._settled != set(self._texts) and all(task.done for task in self._tasks.values()):
            self.store.settle(self.digests.world(), self._texts)

    def close(self) -> None:
        """Stop everything that runs, and close the store."""
        for job in list(self._tasks):
            self._drop(job)
        self.pool.close()
        self.store.close()


_PARSING = threading.Lock()  # Python 3.11 counts the depth of what all threads parse together, and finds it wrong


def _imports(job: Job) -> set[str]:
    """The top-level modules that the blocks of a job import."""
    found: set[str] = set()
    for block in job.blocks:
        if block.language != "python":
            continue
        with contextlib.suppress(SyntaxError), _PARSING:
            for node in ast.walk(ast.parse(block.code)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found.update(name.partition(".")[0] for name in names)
    return found
