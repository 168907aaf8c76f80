"""`weigh check card`: whether a model card is complete, and that of the weights beside it."""

import click

from weigh.cli.check.group import as_json, check, report
from weigh.cli.options import POSITIVE


@check.command("card")
@click.argument("directory")
@click.option("--metrics", metavar="FILE", help="The record of the run, a JSON object: the card's metrics must be its.")
@click.option("--base", metavar="DIR", help="The base model, whose weights the card must name too.")
@click.option("--heading", "headings", multiple=True, metavar="FIELD=PATTERN", help="A regular expression for headings "
              "under which a field is documented too; repeat it for more.")  # fmt: skip
@click.option("--words", "least_words", type=POSITIVE, default=5, show_default=True, metavar="N",
              help="How many words document a field.")  # fmt: skip
@click.option("--placeholders", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="How many placeholders are let through.")  # fmt: skip
@as_json
def card_command(
    directory: str, metrics: str | None, base: str | None, headings: tuple[str, ...], least_words: int,
    placeholders: int, as_json: bool,
) -> int:  # fmt: skip
    """Hold the model card of DIRECTORY against the weights beside it, before they are promoted.

    DIRECTORY holds a checkpoint or an adapter, and its card as README.md. Required are intended use, training data,
    metrics, limitations, risks, operational constraints, a licence, and the SHA-256 of every file of weights; of an
    adapter the base model too.
    Exits with 1 if a field says nothing, or the card is that of other weights, another run or another base model.

    Example: weigh check card model --metrics model/metrics.json
    """
    from weigh.checks.cards.check import check_card

    split = [each.partition("=") for each in headings]
    without = next((each for each, (_, sign, _) in zip(headings, split, strict=True) if not sign), None)
    if without is not None:
        raise click.UsageError(f"--heading is {without!r}; write FIELD=PATTERN")
    patterns: dict[str, str] = {}
    for field, _, pattern in split:
        patterns[field] = f"(?:{patterns[field]})|(?:{pattern})" if field in patterns else pattern
    found = check_card(
        directory, metrics=metrics, base=base, headings=patterns, least_words=least_words, placeholders=placeholders
    )
    return report(found, as_json)
