"""What the commands print with: tables of exact figures, trees, and progress on what takes more than a second."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from weigh.units import format_bytes


def printable(text: str) -> str:
    """Text without control characters: names come from files, and a terminal would obey them."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def formulas(steps: Iterable[Mapping[str, Any]]) -> None:
    """Print the formula of each step of an estimate, with its numbers, and what they give."""
    for one in steps:
        click.echo(f"{one['name']} = {one['formula']} = {one['substituted']} = {one['value']:,} bytes")


NAMED = 8
"""How many of the fields that a config leaves out are named; --json has all."""


def config_notes(counted_by: str, unread: Iterable[str], assumed: Iterable[str] = ()) -> None:
    """Print what an answer about a config rests on, a line each: who counted, what nobody read, what was filled in."""
    if counted_by != "weigh":
        click.echo(f"counted by: {counted_by}")
    if names := ", ".join(unread):
        click.echo(f"unread: {printable(names)}; no answer depends on them, and --strict refuses them")
    if filled := list(assumed):
        more = f" and {len(filled) - NAMED} more" if len(filled) > NAMED else ""
        click.echo(f"left out, and taken as transformers does: {printable(', '.join(filled[:NAMED]))}{more}")


def table(title: str, counts: dict[str, int], sizes: dict[str, int]) -> None:
    """Print figures under a title: each exactly, and bytes also in decimal and in binary units."""
    rows = [[name, f"{count:,}", "", ""] for name, count in counts.items()]
    rows += [[name, f"{size:,}", format_bytes(size), format_bytes(size, binary=True)] for name, size in sizes.items()]
    grid(title, {"": "", "exactly": "bold", "decimal": "cyan", "binary": "green"}, rows)


def grid(title: str, columns: dict[str, str], rows: list[list[str]], left: int = 1) -> None:
    """Print rows of text under a title. The columns have a style each; all but the first `left` are right-aligned."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    click.secho(printable(title), bold=True)
    shown = Table(box=SIMPLE, show_edge=False)
    for number, (heading, style) in enumerate(columns.items()):
        shown.add_column(heading, style=style, justify="left" if number < left else "right", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 100).print(shown)


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Gives a function to call with the bytes done and in all. After a second a bar appears, on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty(),
    )  # fmt: skip
    task, start = bar.add_task(what), time.monotonic()

    def show(done: int, total: int) -> None:
        if not bar.live.is_started and time.monotonic() - start > 1:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()
