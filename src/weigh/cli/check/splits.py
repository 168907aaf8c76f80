"""`weigh check splits`: what a test set shares with its training set."""

from typing import Any

import click

from weigh.cli.check.group import as_json, check, report


@check.command("splits")
@click.argument("table")
@click.option("--split", required=True, metavar="COLUMN", help="The column that says to which part a row belongs.")
@click.option("--key", "keys", multiple=True, metavar="COLUMN", help="A column that makes two rows the same; repeat "
              "it for more.  [default: all but SPLIT]")  # fmt: skip
@click.option("--group", metavar="COLUMN", help="Whose a row is: a user, a patient, a source.")
@click.option("--time", metavar="COLUMN", help="When a row was made.")
@click.option("--text", metavar="COLUMN", help="Texts that may be near duplicates.")
@click.option("--number", "numbers", multiple=True, metavar="COLUMN", help="A column of numbers that make rows near to "
              "each other; repeat it for more.")  # fmt: skip
@click.option("--train", default="train", show_default=True, metavar="VALUE", help="How training rows are marked.")
@click.option("--test", default="test", show_default=True, metavar="VALUE", help="How test rows are marked.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler, such as tcp://10.0.0.1:8786, whose workers are "
              "to read TABLE and count.")  # fmt: skip
@as_json
def splits_command(table: str, as_json: bool, **asked: Any) -> int:
    """Find what training and test rows of TABLE share: exact duplicates, and what else the options name.

    TABLE is a CSV, Parquet or Arrow file, or a directory of Parquet files.
    Exits with 1 if they share too much.

    Example: weigh check splits rows.csv --split part --group patient --time seen
    """
    from weigh.checks.splits.check import check_splits

    return report(check_splits(table, **asked), as_json)
