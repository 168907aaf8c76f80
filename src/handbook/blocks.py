"""One block of a page: what is to be run, and how it is run in the page's process.

Python is executed in a namespace of the process; a shell is a process that it starts.
"""

from __future__ import annotations

import ast
import contextlib
import io
import linecache
import os
import subprocess
import traceback
from dataclasses import dataclass
from typing import Any

PAGE, OWN = "page", ""
"""The session that fences share unless they name another, with the formulas in prose; and none, but one of its own."""

WIDTH = "80"
"""The columns of the terminal of a page."""


@dataclass(frozen=True)
class Block:
    """What to run, and how to take its output.

    Attributes:
        code: Its source.
        language: `python`, `bash` or `sh`.
        output: `text`, `markdown`, `html`, `figure` or `answer`: how the value of a last line is written; `printed`
            writes none.
        alt: The text alternative of a figure; after `=`, a formula for it.
        caption: A line below a figure.
        unit: The unit of an answer.
        within: Percent by which a reader's number may differ from it.
        raises: The name of the exception that the block is to end with, or nothing.
        returncode: The exit code that a shell is to end with.
        session: The namespace in which it runs, by name.
        workdir: The directory in which it runs, from the root of the repository.
        width: The columns of its terminal; 0 for those that the page has.
        limit: Seconds that it may take.
    """

    code: str
    language: str = "python"
    output: str = "text"
    alt: str = ""
    caption: str = ""
    unit: str = ""
    within: float = 1
    raises: str = ""
    returncode: int = 0
    session: str = PAGE
    workdir: str = ""
    width: int = 0
    limit: float = 600


class Failure(Exception):
    """A block did not end as it should."""


_PRINTED = io.StringIO()  # one for all blocks of a page: a logger keeps the stream that it was given in the first


def run(block: Block, name: str, namespace: dict[str, Any]) -> str:
    """Execute a block and return what it, and all that it calls, print, and the value of its last line.

    Args:
        block: What to run.
        name: What a traceback calls it.
        namespace: Where its names are kept, if it is Python.

    Raises:
        Failure: It raised, or asked to exit, or did not end as it was to.
    """
    with contextlib.ExitStack() as afterwards:  # what a block asks for is for it alone; what it sets itself stays
        if block.workdir:
            if not os.path.isdir(block.workdir):
                raise Failure(f"there is no directory {block.workdir} to run in")
            afterwards.enter_context(contextlib.chdir(block.workdir))
        if block.width:
            afterwards.callback(os.environ.__setitem__, "COLUMNS", os.environ.get("COLUMNS", WIDTH))
            os.environ["COLUMNS"] = str(block.width)
        return _python(block, name, namespace) if block.language == "python" else _shell(block)


NOWHERE = "http://127.0.0.1:9"
OFFLINE = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), NOWHERE)
"""An audit hook sees only its own process. In others, what asks for a proxy is sent to where none is."""


def _shell(block: Block) -> str:
    """What a shell and all that it starts print, errors among it."""
    environment = os.environ | OFFLINE | {"no_proxy": "localhost,127.0.0.1,::1"}
    try:
        done = subprocess.run(
            [block.language, "-c", block.code],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as error:
        raise Failure(f"{block.language} does not start: {error}") from None
    if done.returncode != block.returncode:
        told = f"ended with exit code {done.returncode}, and was to end with {block.returncode}"
        raise Failure(f"{told}; it printed:\n{done.stdout}" if done.stdout else told)
    return done.stdout


def _python(block: Block, name: str, namespace: dict[str, Any]) -> str:
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
            shows_value = block.output != "printed" and tree.body and isinstance(tree.body[-1], ast.Expr)
            last = tree.body.pop() if shows_value else None
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
    if block.output == "answer":
        from handbook.study.answers import answer

        return answer(value, block.unit, block.within)
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
