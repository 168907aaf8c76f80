"""`weigh check features`: columns that encode the answer, or are not known when a model predicts."""

import click

from weigh.cli.check.group import as_json, check, report


@check.command("features")
@click.argument("table")
@click.option("--target", required=True, metavar="COLUMN", help="The column with the answer.")
@click.option("--known", multiple=True, metavar="FILE|COLUMN", help="What is known at prediction time: a JSON or TOML "
              "file that says true, false or the column that says when, for each column; or a column that is known. "
              "Repeat it for more.")  # fmt: skip
@click.option("--time", metavar="COLUMN", help="The time of the prediction; no feature.")
@click.option("--feature", "features", multiple=True, metavar="COLUMN", help="A column that the model takes; repeat it "
              "for more.  [default: all but TARGET]")  # fmt: skip
@click.option("--groups", metavar="COLUMN", help="Which rows belong together, such as a person; no feature.")
@click.option("--task", type=click.Choice(["classes", "number"]), help="What the answer is.  [default: by its values]")
@click.option("--rows", "most_rows", type=click.IntRange(min=100), default=50_000, show_default=True, metavar="COUNT",
              help="How many rows are drawn from a longer table.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="NUMBER",
              help="Of the draw, the folds and the models.")  # fmt: skip
@as_json
def features_command(
    table: str, target: str, known: tuple[str, ...], time: str | None, features: tuple[str, ...], groups: str | None,
    task: str | None, most_rows: int, seed: int, as_json: bool,
) -> int:  # fmt: skip
    """Find columns of TABLE that encode the answer: fields filled in after it, ids, the order of the rows.

    TABLE is a CSV, Parquet or Arrow file, or a directory of Parquet files. Models judge each column alone and all
    together, always on rows that they were not fitted on; what is important is held against what is declared known.
    Exits with 1 if a column tells too much, or the model rests on one that is not declared known.

    Example: weigh check features rows.csv --target churned --known known.toml
    """
    from weigh.checks.features.check import check_features

    found = check_features(
        table, target, known=known or None, time=time, features=features or None, groups=groups,
        task=task, most_rows=most_rows, seed=seed,  # type: ignore[arg-type]
    )  # fmt: skip
    return report(found, as_json)
