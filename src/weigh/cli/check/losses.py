"""`weigh check losses`: whether a loss prefers what users would, and whether a token mean is what one thinks."""

from functools import partial

import click

from weigh.checks.losses.names import LOSSES, OBJECTIVES
from weigh.cli.check.group import as_json, check, report

_column = partial(click.option, metavar="COLUMN")


@check.command("losses")
@click.argument("table")
@_column("--target", help="The column of what happened: a number, 0 or 1, or how relevant an item is.")
@_column("--prediction", "predictions", multiple=True, help="The column of a model's predictions; repeat it.")
@click.option("--loss", type=click.Choice(LOSSES), help="What the models were trained on.")
@click.option("--objective", type=click.Choice(OBJECTIVES), help="What their users see.")
@_column("--group", help="The column of the query, which ranking needs; else of whom rows belong to.")
@click.option("--cut", type=float, help="The answer is yes above it.  [default: 0.5; 0 with hinge]")
@click.option("--quantile", type=float, help="The quantile that the loss of that name is after.  [default: 0.5]")
@click.option("--delta", type=float, help="Where huber turns from squared to absolute.  [default: 1]")
@click.option("--at", type=int, help="How many items of a query ndcg counts.  [default: all]")
@_column("--sequence", help="The column that says to which sequence, or micro-batch, a token belongs.")
@_column("--token-loss", help="The column of the losses of tokens, in nats.")
@_column("--label", help="The column of their labels; -100 is left out.")
@click.option("--threshold", type=float, help="The least gain that matters, in units of the objective; or the distance "
              "of the two means, in nats.  [default: 0; 0.05]")  # fmt: skip
@click.option("--resamples", type=int, help="How many bootstrap resamples.  [default: 400]")
@as_json
def losses_command(table: str, predictions: tuple[str, ...], as_json: bool, **given: object) -> int:
    """Ask of TABLE whether a loss prefers the model that its users would, or whether a mean over tokens is fair.

    TABLE is a CSV, Parquet or Arrow file, or a directory of Parquet files: the first question takes a row for each
    prediction, with --target, --prediction, --loss and --objective; the second one for each token, with --sequence
    and --token-loss.
    Exits with 1 if users would gain by another model, if the two means are apart, or if labels are out of place.

    Example: weigh check losses rows.csv --target y --prediction a --prediction b --loss squared --objective absolute
    """
    from weigh.checks.losses.check import check_losses

    asked = {name: value for name, value in given.items() if value is not None}
    return report(check_losses(table, predictions=predictions, **asked), as_json)  # type: ignore[arg-type]
