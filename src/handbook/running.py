"""Runs jobs, each in a process of its own: as many at a time as there are cores, and at once what a reader asks for."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Any

from handbook import worker
from handbook.blocks import Block
from handbook.store import Entry
from handbook.worker import Job, Outcome

log = logging.getLogger("mkdocs.handbook")


class Task:
    """A job on its way: it waits, it runs, it is done.

    Attributes:
        job: What is to be done.
        page: The page that it is of, for messages.
        outputs: What its blocks gave so far.
        asked_for: When a reader last asked for its page, in seconds of a monotonic clock; 0 if none did.
        started: When it began to run, on the same clock; 0 while it waits.
    """

    def __init__(self, job: Job, page: str = "") -> None:
        self.job, self.page = job, page
        self.outputs: list[str] = []
        self.asked_for = self.started = 0.0
        self._future: Future[Entry] = Future()
        self._process: Any = None
        self._cancelled = False

    def result(self, timeout: float | None = None) -> Entry:
        """Wait for the entry.

        Raises:
            TimeoutError: It is not there after so many seconds.
        """
        return self._future.result(timeout)

    def finish(self, entry: Entry) -> None:
        """End it, with what came of it."""
        self.outputs = entry.outcome.outputs
        self._future.set_result(entry)

    @property
    def done(self) -> bool:
        """Whether the entry is there."""
        return self._future.done()

    @property
    def known(self) -> int:
        """How much of it is known: the number of blocks that are done, and one more at the end."""
        return len(self.job.blocks) + 1 if self.done else len(self.outputs)

    def cancel(self) -> None:
        """Have nobody wait for it: what it would give is no longer asked for."""
        self._cancelled = True
        self._future.cancel()
        if self._process:
            _end(self._process)

    def fail(self, error: BaseException) -> None:
        """End it with an error of the machinery's own."""
        self._future.set_exception(error)

    def begin(self) -> bool:
        """Whether it is to run now, and was not cancelled."""
        self.started = time.monotonic()
        return self._future.set_running_or_notify_cancel()

    def run(self, root: Path, behind: bool) -> Outcome:
        """Do the job in a process of its own, and end that process and all that it started.

        Args:
            root: The directory in which it runs.
            behind: Leave the cores to others that want them.
        """
        context = _context()
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=worker.work, args=(sender, str(root), self.job, behind), daemon=True)
        process.start()
        self._process = process  # not before: it could not be ended
        sender.close()
        if self._cancelled:
            _end(process)
        said, patience = time.monotonic(), Block("").limit
        limits = [*(block.limit for block in self.job.blocks), patience]
        try:
            while receiver.poll(patience):
                message = receiver.recv()
                if isinstance(message, Outcome):
                    return message
                self.outputs, patience = message, limits[len(message)]
                if time.monotonic() - said > 5:
                    said = time.monotonic()
                    log.info(f"{self.page}: {self.where}")
            error = f"ran for longer than {patience:g} seconds; give the fence a larger limit if it must"
        except (EOFError, OSError):
            process.join()
            error = f"ended its process with exit code {process.exitcode}"
        finally:
            _end(process)
        if len(self.outputs) == len(self.job.blocks):
            error = f"when it was over, a formula {error}"
        return Outcome(self.outputs, failed=min(len(self.outputs), len(self.job.blocks) - 1), error=error)

    @property
    def where(self) -> str:
        """What is being run, in words."""
        number, count = len(self.outputs) + 1, len(self.job.blocks)
        return f"block {number} of {count}" if number <= count else "its formulas"


class Pool:
    """Threads that take tasks in the order in which they came, those that a reader asked for first.

    There is a thread for each core, and one that takes only what a reader asked for, so that it need not wait.

    Args:
        work: What to do with a task.
    """

    def __init__(self, work: Callable[[Task], None]) -> None:
        self._work = work
        self._waiting: list[Task] = []
        self._news = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._held = self._closed = False

    def hold(self) -> None:
        """Take tasks, and start none until `release`."""
        self._held = True

    def release(self) -> None:
        """Start what waits."""
        with self._news:
            self._held = False
            self._news.notify_all()

    def add(self, task: Task) -> None:
        """Have a task done."""
        with self._news:
            self._waiting.append(task)
            self._news.notify_all()
        if not self._threads:
            only_asked_for = [False] * (os.cpu_count() or 1) + [True]
            self._threads = [threading.Thread(target=self._take, args=(only,), daemon=True) for only in only_asked_for]
            for thread in self._threads:
                thread.start()

    def ask_for(self, task: Task) -> None:
        """A reader waits for this task."""
        with self._news:
            task.asked_for = time.monotonic()
            self._news.notify_all()

    def _take(self, only_asked_for: bool) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._closed or self._next(only_asked_for))
                if self._closed:
                    return
                task = self._next(only_asked_for)
                assert task
                self._waiting.remove(task)
            if task.begin():
                try:
                    self._work(task)
                except BaseException as error:
                    task.fail(error)

    def _next(self, only_asked_for: bool) -> Task | None:
        if self._held or not self._waiting:
            return None
        task = max(self._waiting, key=lambda task: task.asked_for)  # of those that nobody asked for, the first
        return task if task.asked_for or not only_asked_for else None

    def close(self) -> None:
        """End the threads, once what they do is cancelled or done."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        for thread in self._threads:
            thread.join()


def _end(process: Any) -> None:
    """Kill a process with all that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


@cache
def _context() -> Any:
    # What a page shows does not depend on the order of sets, and two pages at a time do not fight for the cores.
    # Whoever asks for something else, to see whether that holds, gets it.
    for name, value in {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}.items():
        os.environ.setdefault(name, value)
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["handbook.worker", *worker.PRELOADED])
    return context
