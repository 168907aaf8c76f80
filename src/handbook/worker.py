"""Runs the blocks of one page in a process of its own, and notes everything that their outputs depend on.

The process is a fork of a server that has imported the heavy libraries and nothing of `src/`: it starts at once, has
every module of `src/` as it is on disk, and takes its memory, its threads and its patience with it when it ends.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from handbook.blocks import OWN, PAGE, WIDTH, Block, Failure, evaluate, run
from handbook.machine import memory_bytes
from handbook.watch import Watch, named


@dataclass(frozen=True)
class Job:
    """One page's work: its blocks in order, and the formulas to evaluate after them."""

    blocks: tuple[Block, ...]
    formulas: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What came of a job.

    Attributes:
        outputs: What each block printed and showed.
        seconds: How long each block took.
        formulas: The value of each formula, as text.
        failed: The block that failed, counted from 0, or -1 if none did.
        error: What it failed with: the traceback, or one line.
        wrong_formulas: The error of each formula that has no value.
        files: Paths that were read, from the root of the repository.
        modules: The top-level modules that were there from outside of it, whoever imported them.
    """

    outputs: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    formulas: dict[str, str] = field(default_factory=dict)
    failed: int = -1
    error: str = ""
    wrong_formulas: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)


def work(connection: Connection, root: str, job: Job, behind: bool = False) -> None:
    """Run a job and send an `Outcome`; before each block and the formulas, as a sign of life, the outputs so far.

    Args:
        connection: Where to send them.
        root: The root of the repository.
        job: What to run.
        behind: Leave the cores to other processes that want them.
    """
    _keep_to_itself(behind)
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        _work(connection, root, job)


def _work(connection: Connection, root: str, job: Job) -> None:
    os.chdir(root)
    os.environ["COLUMNS"] = WIDTH
    os.environ["MKDOCS_CONFIG_DIR"] = root  # as markdown-exec has it
    outcome = Outcome()
    source = os.path.join(root, "src", "")
    # Of two clones with one virtual environment, each runs its own src/, in the processes that its pages start too.
    sys.path.insert(0, source)
    os.environ["PYTHONPATH"] = source
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # theirs would be matched by whole seconds, and could hide an edit
    sys.path_hooks.insert(0, _fresh_below(source))
    sys.path_importer_cache.clear()
    # What the building process has imported of src/ is the page's to import again, as it is now.
    for name in [name for name in sys.modules if name != __name__ and _is_below(source, name)]:
        del sys.modules[name]
    sys.addaudithook(Watch(root, outcome.files))
    sessions = {PAGE: ModuleType("__main__")}
    page = vars(sessions[PAGE])
    sys.modules["__main__"] = sessions[PAGE]
    for number, block in enumerate(job.blocks):
        connection.send(outcome.outputs)
        start = time.perf_counter()
        try:
            outcome.files |= named(block, root)
            outcome.outputs.append(run(block, f"<block {number + 1}>", _namespace(block, number, sessions)))
        except Failure as failure:
            outcome.failed, outcome.error = number, str(failure)
            break
        outcome.seconds.append(time.perf_counter() - start)
    else:
        connection.send(outcome.outputs)
        for formula in job.formulas:
            try:
                outcome.formulas[formula] = evaluate(formula, page)
            except Failure as failure:
                outcome.wrong_formulas[formula] = str(failure)
    for name in list(sys.modules):
        if name != __name__ and _is_below(source, name):
            outcome.files.add(os.path.relpath(str(sys.modules[name].__file__), root))
        elif name.partition(".")[0] not in sys.stdlib_module_names:
            outcome.modules.add(name.partition(".")[0])
    connection.send(outcome)


def _namespace(block: Block, number: int, sessions: dict[str, ModuleType]) -> dict[str, Any]:
    """The names of a block's session, which is a module, as pickle and dataclasses want it."""
    session = sessions.get(block.session) or ModuleType(f"_{block.session or 'block'}_{number + 1}")
    sys.modules.setdefault(session.__name__, session)
    if block.session != OWN:
        sessions[block.session] = session
    return vars(session)


def _keep_to_itself(behind: bool) -> None:
    """Be the head of a group that ends together, and take at most half of the memory, as far as systems do."""
    if hasattr(os, "setsid"):
        os.setsid()
        os.nice(10 if behind else 0)
        threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        most = max(memory_bytes() // 2, 2**32)  # less than four GiB would not do for torch
        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _end_with_parent() -> None:
    """End the group when the process that asked for the job is gone, however it ended."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os.killpg(0, signal.SIGKILL)


class _Fresh(SourceFileLoader):
    """Compiles a module each time: bytecode is matched by whole seconds and size, and could hide an edit."""

    def path_stats(self, path: str) -> Any:
        raise OSError("not asked for, so that no bytecode is read or written")


def _fresh_below(directory: str) -> Any:
    def finder(path: str) -> FileFinder:
        if not os.path.join(path, "").startswith(directory):
            raise ImportError("left to the finders of other directories")
        return FileFinder(path, (_Fresh, SOURCE_SUFFIXES))

    return finder


def _is_below(directory: str, module: str) -> bool:
    return str(getattr(sys.modules[module], "__file__", None) or "").startswith(directory)


PRELOADED = ("torch", "numpy", "matplotlib.pyplot", "sklearn.datasets", "safetensors.torch")
"""What the server imports, so that a page need not."""
