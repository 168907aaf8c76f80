"""`weigh check optimizer`: what the log of a training run says of its optimizer."""

import click

from weigh.cli.check.group import as_json, check, report

_SERIES = ("step", "train loss", "validation loss", "gradient norm", "update ratio", "unmoved", "learning rate")


def _columns(command: click.decorators.FC) -> click.decorators.FC:
    """An option for the column of each series."""
    for name in reversed(_SERIES):
        option = click.option(f"--{name.replace(' ', '-')}", metavar="COLUMN", help=f"The column of the {name}.")
        command = option(command)
    return command


@check.command("optimizer")
@click.argument("log")
@_columns
@click.option("--window", default=20, show_default=True, metavar="ROWS", help="How many rows make a level.")
@click.option("--dtype", metavar="DTYPE", help="What the weights are kept in: bfloat16, float16, float32, float64.  "
              "[default: float32]")  # fmt: skip
@as_json
def optimizer_command(log: str, window: int, dtype: str | None, as_json: bool, **named: str | None) -> int:
    """Find in LOG a run that comes apart before its loss shows it, stands still, or learns by heart.

    LOG is a CSV, Parquet or Arrow file, a trainer_state.json of the Hugging Face Trainer, or a directory with one.
    Columns are known by the names that the Trainer and most loops give them; options name others.
    Exits with 1 if a fault is found.

    Example: weigh check optimizer log.csv --gradient-norm g --dtype bfloat16
    """
    from weigh.checks.optimizers.check import check_optimizer

    columns = {name.replace("_", " "): column for name, column in named.items() if column is not None}
    return report(check_optimizer(log, columns=columns, window=window, dtype=dtype), as_json)
