"""`weigh resume`: whether a run goes on from a checkpoint as it was, as far as the files say."""

from dataclasses import replace

import click

from weigh.cli.check.group import as_json as json_option
from weigh.cli.check.group import report
from weigh.cli.group import weigh
from weigh.cli.terminal import grid, printable


@weigh.command("resume")
@click.argument("checkpoint")
@click.option("--against", metavar="CHECKPOINT", help="An earlier save of the same run: what changed that should not?")
@json_option
def resume_command(checkpoint: str, against: str | None, as_json: bool) -> int:
    """Say whether a run can go on from CHECKPOINT, a file or a directory of training state, as it was.

    Shows the parts of the run and each fault with its evidence: state that does not fit the weights, formats that
    loading narrows, counts that disagree. Ends with what is sound and what could not be examined. Reads headers,
    pickles and counts of steps; runs nothing. Exits with 1 if a fault is found.

    Example: weigh resume checkpoint-2000 --against checkpoint-1000
    """
    from weigh.checks.resuming.check import resume

    found = resume(checkpoint, against)
    if as_json:
        return report(found, as_json)
    faults = tuple(result for result in found.results if result.finding != "no")
    report(replace(found, results=faults), as_json)
    rows = [[part.name, ", ".join(part.places) or f"not there: {part.lost}"] for part in found.parts]
    grid(found.subject, {"part": "bold", "where": ""}, [[printable(cell) for cell in row] for row in rows], left=2)
    for result in found.results:
        if result.finding == "no":
            click.echo(printable(f"{result.check}: sound"))
            for note in result.notes:
                click.echo(f"  note: {printable(note)}")
    for name, why in found.not_examined.items():
        click.echo(printable(f"{name}: not examined: {why}"))
    return 1 if found.finding == "yes" else 0
