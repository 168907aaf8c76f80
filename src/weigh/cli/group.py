"""The group of all commands of `weigh`, and how it is run."""

import sys
from typing import Any

import click

from weigh.errors import WeighError


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(package_name="weights-and-measures", prog_name="weigh")
def weigh() -> None:
    """Weigh model files: sizes from headers and configs. Nothing that a file asks for is ever executed."""


def main(args: list[str] | None = None) -> Any:
    """Run the command, with one line on standard error and exit code 2 for any input that it refuses."""
    try:
        sys.exit(weigh.main(args, prog_name="weigh", standalone_mode=False))
    except WeighError as error:
        click.echo(f"weigh: {error}", err=True)
    except click.ClickException as error:
        click.echo(f"weigh: {error.format_message().rstrip('.')}; see weigh --help", err=True)
    except click.Abort:
        click.echo("weigh: interrupted", err=True)
    sys.exit(2)
