"""`weigh check splits`: what a test set shares with its training set."""

import click

from weigh.cli.check.group import as_json, check, report


@check.command("splits")
@click.argument("table")
@click.option("--split", required=True, metavar="COLUMN", help="The column that says to which part a row belongs.")
@click.option("--key", "keys", multiple=True, metavar="COLUMN", help="A column that makes two rows the same; repeat "
              "it for more.  [default: all but SPLIT]")  # fmt: skip
@click.option("--train", default="train", show_default=True, metavar="VALUE", help="How training rows are marked.")
@click.option("--test", default="test", show_default=True, metavar="VALUE", help="How test rows are marked.")
@as_json
def splits_command(table: str, split: str, keys: tuple[str, ...], train: str, test: str, as_json: bool) -> int:
    """Find rows of TABLE that test and training set share: exact duplicates.

    TABLE is a CSV, Parquet or Arrow file, or a directory of Parquet files.
    Exits with 1 if they share too many.

    Example: weigh check splits rows.csv --split part
    """
    from weigh.checks.splits import check_splits

    return report(check_splits(table, split, keys=keys or None, train=train, test=test), as_json)
