"""Runs the blocks of one page in a process of its own, and notes everything that their outputs depend on.

The process is a fork of a server that has imported the heavy libraries and nothing of `src/`: it starts at once, has
every module of `src/` as it is on disk, and takes its memory, its threads and its patience with it when it ends.
"""

from __future__ import annotations

import ast
import contextlib
import io
import ipaddress
import linecache
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from handbook.machine import memory_bytes

WIDTH = "80"


@dataclass(frozen=True)
class Block:
    """What to run, and how to take its output.

    Attributes:
        code: Python source.
        output: `text`, `markdown`, `html` or `figure`: how the value of a last line is written.
        alt: The text alternative of a figure; after `=`, a formula for it.
        caption: A line below a figure.
        raises: The name of the exception that the block is to end with, or nothing.
        limit: Seconds that it may take.
    """

    code: str
    output: str = "text"
    alt: str = ""
    caption: str = ""
    raises: str = ""
    limit: float = 600


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


class Failure(Exception):
    """A block did not end as it should."""


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
    sys.addaudithook(_Watch(root, outcome.files))
    page = ModuleType("__main__")
    sys.modules["__main__"] = page
    for number, block in enumerate(job.blocks):
        connection.send(outcome.outputs)
        start = time.perf_counter()
        try:
            outcome.outputs.append(run(block, f"<block {number + 1}>", vars(page)))
        except Failure as failure:
            outcome.failed, outcome.error = number, str(failure)
            break
        outcome.seconds.append(time.perf_counter() - start)
    else:
        connection.send(outcome.outputs)
        for formula in job.formulas:
            try:
                outcome.formulas[formula] = evaluate(formula, vars(page))
            except Failure as failure:
                outcome.wrong_formulas[formula] = str(failure)
    for name in list(sys.modules):
        if name != __name__ and _is_below(source, name):
            outcome.files.add(os.path.relpath(str(sys.modules[name].__file__), root))
        elif name.partition(".")[0] not in sys.stdlib_module_names:
            outcome.modules.add(name.partition(".")[0])
    connection.send(outcome)


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


_PRINTED = io.StringIO()  # one for all blocks of a page: a logger keeps the stream that it was given in the first


def run(block: Block, name: str, namespace: dict[str, Any]) -> str:
    """Execute a block and return what it, and the libraries it calls, print, and the value of its last line.

    Raises:
        Failure: The block raised, or asked to exit, or did not raise what it was to.
    """
    # The mark None for "modified" keeps these lines in the cache: there is no file to compare them with.
    linecache.cache[name] = (len(block.code), None, block.code.splitlines(keepends=True), name)
    printed = _PRINTED
    printed.seek(0)
    printed.truncate()
    try:
        with contextlib.redirect_stdout(printed):
            if block.output == "figure" or "matplotlib" in block.code:
                import handbook.figures  # noqa: F401  (the house style)
            tree = ast.parse(block.code, name)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, name, "exec", dont_inherit=True), namespace)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), name, "eval", dont_inherit=True), namespace)
                printed.write(_shown(value, block, namespace))
    except Failure:
        raise
    except BaseException as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if block.raises not in kinds:
            raise Failure(_traceback(error)) from None
        return f"{printed.getvalue()}{type(error).__name__}: {error}\n"
    if block.raises:
        raise Failure(f"was to raise {block.raises}, and raised nothing")
    return printed.getvalue()


def _shown(value: Any, block: Block, namespace: dict[str, Any]) -> str:
    if value is None:
        return ""
    if block.output == "text":
        return f"{value!r}\n"
    if block.output != "figure":
        return f"{value}\n"
    from matplotlib.figure import Figure

    from handbook.figures import figure

    if not isinstance(value, Figure):
        raise TypeError(f"the last line of a figure is to be a matplotlib figure, not {type(value).__name__}")
    alt = evaluate(block.alt[1:], namespace) if block.alt.startswith("=") else block.alt
    return figure(value, alt, block.caption)


def evaluate(formula: str, namespace: dict[str, Any]) -> str:
    """The value of an expression as text. In parentheses it may go on in the next line, as prose does.

    Raises:
        Failure: The expression raised, or is not one.
    """
    try:
        return str(eval(compile(f"({formula})", "<formula>", "eval", dont_inherit=True), namespace))
    except (Exception, SystemExit) as error:
        raise Failure(_traceback(error)) from None


def _traceback(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace)).rstrip()
    if isinstance(error, AssertionError) and error.args:
        return f"The page claims what does not hold: {error.args[0]}\n\n{text}"
    return text


class _Watch:
    """An audit hook: notes what is read below the root, and lets nothing out to the network."""

    LOCAL = ("localhost", "", None)

    def __init__(self, root: str, files: set[str]) -> None:
        self.root, self.files = root + os.sep, files
        self.skipped = tuple(os.path.join(root, name, "") for name in (".venv", ".git", ".cache", "site"))
        self.source = os.path.join(root, "src", "")

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event in ("open", "os.listdir", "os.scandir"):
            self.note(args[0], args[1:], listed=event != "open")
        elif event in ("subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", "os.fork"):
            self.files.add("src")  # nobody sees which modules a process of its own reaches
        elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            self.guard(args[0])
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(args[1], tuple):
            self.guard(args[1][0])

    def note(self, path: Any, mode: tuple[Any, ...], listed: bool) -> None:
        if isinstance(path, int) or (mode and isinstance(mode[0], str) and set(mode[0]) & set("wax")):
            return
        path = os.path.abspath(os.fsdecode(path)) if path is not None else os.getcwd()
        full = os.path.join(path, "")
        if listed and full.startswith(self.source):
            return  # an import lists directories, and depends on one file there
        if path.startswith(self.root) and not full.startswith(self.skipped) and "__pycache__" not in path:
            self.files.add(path.removeprefix(self.root))

    def guard(self, host: Any) -> None:
        host = os.fsdecode(host) if isinstance(host, bytes) else host
        with contextlib.suppress(ValueError):
            if host in self.LOCAL or ipaddress.ip_address(host).is_loopback:
                return
        raise PermissionError(f"examples run without a network, and this one asked for {host}")
