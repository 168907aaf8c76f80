"""`weigh check labels`: whether raters agree, which labels a model contradicts, and which are stale."""

import click

from weigh.cli.check.group import as_json, check, class_columns, report


@check.command("labels")
@click.argument("table")
@click.option("--rater", "raters", multiple=True, metavar="COLUMN", help="A column of ratings, one for each rater; "
              "repeat it for more.")  # fmt: skip
@click.option("--level", type=click.Choice(["nominal", "ordinal", "interval"]), default="nominal", show_default=True,
              help="What a difference of ratings means: that they differ, by how many ranks, how far.")  # fmt: skip
@click.option("--order", multiple=True, metavar="VALUE", help="A value of ordinal ratings that are words; repeat it, "
              "lowest first.")  # fmt: skip
@click.option("--label", metavar="COLUMN", help="The column of labels that a model is to learn.")
@click.option("--probability", "columns", multiple=True, metavar="CLASS=COLUMN", help="The column with a class's "
              "out-of-fold probability; repeat it for each class.")  # fmt: skip
@click.option("--probabilities", "prefix", metavar="PREFIX", help="Or what the names of these columns begin with, "
              "before the class.")  # fmt: skip
@click.option("--trusted", is_flag=True, help="The probabilities are known to be out-of-fold and calibrated.")
@click.option("--labelled-at", metavar="COLUMN", help="The column of when a row was labelled.")
@click.option("--changed-at", metavar="COLUMN", help="The column of when the row's source last changed.")
@as_json
def labels_command(
    table: str, raters: tuple[str, ...], level: str, order: tuple[str, ...], label: str | None,
    columns: tuple[str, ...], prefix: str | None, trusted: bool, labelled_at: str | None, changed_at: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Find faults of the labels of TABLE: raters that disagree, labels that a model contradicts, stale labels.

    TABLE is a CSV, Parquet or Arrow file, or a directory of Parquet files, with a row for each labelled item. What is
    checked follows from the columns that are named.
    Exits with 1 if raters agree too little, or too many labels are doubtful or stale.

    Example: weigh check labels rows.csv --rater ann --rater bob --label kind --probabilities p_
    """
    from weigh.checks.labels.check import check_labels

    found = check_labels(
        table, raters=raters, level=level, order=order or None, label=label,  # type: ignore[arg-type]
        probabilities=class_columns(columns, prefix), trusted=trusted,
        labelled_at=labelled_at, changed_at=changed_at,
    )  # fmt: skip
    return report(found, as_json)
