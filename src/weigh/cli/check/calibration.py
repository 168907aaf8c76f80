"""`weigh check calibration`: whether confidence matches how often a model is right."""

import click

from weigh.cli.check.group import as_json, check, class_columns, report
from weigh.cli.options import POSITIVE


@check.command("calibration")
@click.argument("table")
@click.option("--label", metavar="COLUMN", help="The column of labels of a classifier.")
@click.option("--probability", "columns", multiple=True, metavar="CLASS=COLUMN", help="The column with a class's "
              "probability; repeat it for each class.")  # fmt: skip
@click.option("--probabilities", "prefix", metavar="PREFIX", help="Or what the names of these columns begin with, "
              "before the class.")  # fmt: skip
@click.option("--correct", metavar="COLUMN", help="Of any other model: the column of whether an answer was right, "
              "0 or 1.")  # fmt: skip
@click.option("--confidence", metavar="COLUMN", help="And that of the probability that it is.")
@click.option("--slice", "slices", multiple=True, metavar="COLUMN", help="A column that says what a row belongs to; "
              "repeat it for more.")  # fmt: skip
@click.option("--bins", type=POSITIVE, default=15, show_default=True, metavar="N", help="Buckets of confidence.")
@click.option("--strategy", type=click.Choice(["uniform", "quantile"]), default="uniform", show_default=True,
              help="Whether buckets have one width, or as many rows each.")  # fmt: skip
@click.option("--threshold", type=float, default=0.02, show_default=True, help="The largest calibration error that "
              "does not matter, above its noise.")  # fmt: skip
@click.option("--risk", type=float, help="Ask for abstention too: the largest share of wrong answers that is wanted.")
@click.option("--coverage", type=float, default=0.8, show_default=True, help="The least share of rows that is then "
              "to be answered.")  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Of the draws of the noise floor.",
)
@as_json
def calibration_command(
    table: str, columns: tuple[str, ...], prefix: str | None, as_json: bool, **asked: object
) -> int:
    """Find out whether the confidences in TABLE match how often the answers are right.

    TABLE is a CSV, Parquet or Arrow file, or a directory of Parquet files, with a row for each prediction that the
    model was not fitted on: the label and the probability of each class, or whether the answer was right and how sure
    the model was.
    Exits with 1 if the calibration error of all rows, of a class or of a slice is above its noise floor by more than
    the threshold, or if too few rows can be answered.

    Example: weigh check calibration rows.csv --label digit --probabilities p_ --slice camera
    """
    from weigh.checks.calibration.check import check_calibration

    probabilities = class_columns(columns, prefix)
    return report(check_calibration(table, probabilities=probabilities, **asked), as_json)  # type: ignore[arg-type]
