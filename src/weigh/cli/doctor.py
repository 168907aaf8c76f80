"""`weigh doctor`: what is wrong with a model directory."""

from dataclasses import replace

import click

from weigh.cli.check.group import as_json as json_option
from weigh.cli.check.group import report
from weigh.cli.group import weigh
from weigh.cli.terminal import printable


@weigh.command("doctor")
@click.argument("directory")
@click.option("--against", metavar="DIR", help="An earlier state, to which changes are attributed; or the base model "
              "of an adapter.")  # fmt: skip
@click.option("--manifest", metavar="FILE", help="What weigh manifest wrote of the directory.")
@json_option
def doctor_command(directory: str, against: str | None, manifest: str | None, as_json: bool) -> int:
    """Examine the model or adapter in DIRECTORY: files, tensors, tokenizer, generation config, chat template.

    Shows each fault with its evidence, and ends with what is sound and what could not be examined. Nothing is run,
    rendered or unpickled; what is damaged is a finding. Exits with 1 if a fault is found.

    Example: weigh doctor path/to/model --against path/to/earlier
    """
    from weigh.checks.doctor.check import diagnose

    found = diagnose(directory, against, manifest)
    if as_json:
        return report(found, as_json)
    report(replace(found, results=tuple(result for result in found.results if result.finding != "no")), as_json)
    click.echo(printable(found.summary))
    return 1 if found.finding == "yes" else 0
