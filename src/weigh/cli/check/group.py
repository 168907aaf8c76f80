"""The group `weigh check`, and how the report of a check is printed."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from weigh.cli.group import weigh
from weigh.cli.terminal import grid, printable

if TYPE_CHECKING:
    from weigh.checks.results import CheckReport, CheckResult

_COLOURS = {"yes": "red", "no": "green", "undecided": "yellow"}

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object of plain numbers and strings.")
"""The option that every check has."""


@weigh.group("check", no_args_is_help=False)
def check() -> None:
    """Check data, logs, settings and models for the faults that model quality is usually lost by.

    Each check prints a finding (yes, no, undecided), the figure it rests on, and the rows to look at first.
    Exits with 1 if a check finds its fault.

    Example: weigh check splits rows.csv --split part
    """


def class_columns(columns: Iterable[str], prefix: str | None) -> dict[str, str] | str | None:
    """The column of each class's probability, from `CLASS=COLUMN` of each, or the prefix of all.

    Raises:
        UsageError: If both are given, or one has no class.
    """
    if columns and prefix:
        raise click.UsageError("give either --probability or --probabilities")
    split = {each: each.rpartition("=") for each in columns}
    without = next((each for each, (name, _, _) in split.items() if not name), None)
    if without is not None:
        raise click.UsageError(f"--probability is {without!r}; write CLASS=COLUMN")
    return {name: column for name, _, column in split.values()} or prefix


def report(found: "CheckReport", as_json: bool) -> int:
    """Print a report, and give the exit code: 1 if a check found its fault."""
    if as_json:
        text = json.dumps(found.as_dict(), indent=2, ensure_ascii=False)
        click.echo(text.encode(errors="backslashreplace").decode())  # a file's name need not be UTF-8
    else:
        for result in found.results:
            _show(result, found.subject)
    return 1 if found.finding == "yes" else 0


def _show(result: "CheckResult", subject: str) -> None:
    figure, cost = result.figure, ", ".join(f"{count:,} {what}" for what, count in result.cost.items())
    click.echo(click.style(f"{result.check}: {result.finding}", fg=_COLOURS[result.finding], bold=True))
    interval = "" if figure.interval == "exact" else f" [{figure.low:.4g}, {figure.high:.4g}] ({figure.interval})"
    click.echo(f"  {figure.name}: {figure.value:.4g}{interval}")
    click.echo(f"  a fault {result.fault} {result.threshold:.4g}: {result.reason}")
    if cost:
        click.echo(f"  cost: {cost}")
    for note in result.notes:
        click.echo(f"  note: {printable(note)}")
    if result.evidence:
        columns = dict.fromkeys(result.evidence[0], "")
        grid(subject, columns, [[_cell(row.get(name)) for name in columns] for row in result.evidence])
    click.echo()


def _cell(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else printable(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
