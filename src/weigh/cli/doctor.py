"""`weigh doctor`: what is wrong with a model directory."""

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

    Each check says yes, which is a fault, or no, or undecided. Nothing is run, rendered or unpickled. What is damaged
    is a finding, and what is absent is listed as not examined. Exits with 1 if a fault is found.

    Example: weigh doctor path/to/model --against path/to/earlier
    """
    from weigh.checks.doctor.check import diagnose

    found = diagnose(directory, against, manifest)
    code = report(found, as_json)
    if not as_json:
        click.echo(printable(found.summary))
    return code
