"""The group of all commands of `weigh`, and how it is run."""

import atexit
import gc
import sys
from importlib import import_module
from typing import Any

import click

from weigh.errors import WeighError

atexit.register(gc.freeze)  # what is left goes with the process: to search it for garbage takes as long as to count

MODULES = {
    "budget": "budget",
    "check": "check",
    "doctor": "doctor",
    "files": "export inspect",
    "models": "inference params",
    "optimizers": "optimizers",
    "releases": "diff manifest",
    "resume": "resume",
    "tokenizer": "tokenizer",
    "training": "plan training",
}
"""The commands of each module, which is imported when one of them is used: to import all takes longer than to count."""


class Commands(click.Group):
    """A group of commands whose modules are imported when they are needed: one for a command, all for the help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        for module in MODULES:
            import_module(f"weigh.cli.{module}")
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, if there is one."""
        for module, names in MODULES.items():
            if cmd_name in names.split():
                import_module(f"weigh.cli.{module}")
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(package_name="weights-and-measures", prog_name="weigh")
def weigh() -> None:
    """Weigh model files: sizes from headers and configs. Nothing that a file asks for is ever executed."""


def main(args: list[str] | None = None) -> Any:
    """Run the command, with one line on standard error and exit code 2 for any input that it refuses."""
    gc.set_threshold(100_000)  # a command leaves little garbage, and objects by the thousand that are none
    try:
        sys.exit(weigh.main(args, prog_name="weigh", standalone_mode=False))
    except WeighError as error:
        click.echo(f"weigh: {error}", err=True)
    except click.ClickException as error:
        click.echo(f"weigh: {error.format_message().rstrip('.')}; see weigh --help", err=True)
    except click.Abort:
        click.echo("weigh: interrupted", err=True)
    sys.exit(2)
