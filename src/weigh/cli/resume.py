"""`weigh resume`: whether a run goes on from a checkpoint as it was, as far as the files say."""

from dataclasses import replace

import click

from weigh.cli.check.group import as_json as json_option
from weigh.cli.check.group import report
from weigh.cli.group import weigh
from weigh.cli.terminal import printable


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
    there = [f"{part.name} ({', '.join(part.places)})" for part in found.parts if part.places]
    click.echo(printable(f"there: {', '.join(there) or 'nothing'}"))
    for part in found.parts:
        if not part.places:
            click.echo(f"not there: {part.name}: {part.lost}")
    sound = [result for result in found.results if result.finding == "no"]
    click.echo(f"sound: {', '.join(result.check for result in sound) or 'nothing'}")
    for note in (note for result in sound for note in result.notes):
        click.echo(f"note: {printable(note)}")
    for name, why in found.not_examined.items():
        click.echo(printable(f"not examined: {name}: {why}"))
    return 1 if found.finding == "yes" else 0
