"""`weigh check tokenizer`: whether text survives a tokenizer, and whether it is that of its model."""

import click

from weigh.cli.check.group import as_json, check, report


@check.command("tokenizer")
@click.argument("path")
@click.option("--against", metavar="PATH", help="A second tokenizer, or a directory that holds one.")
@click.option("--text", metavar="FILE", help="Texts as users write them, one on each line. On a small language model "
              "its loss is measured too.")  # fmt: skip
@click.option("--most", type=float, default=0.01, show_default=True, metavar="SHARE",
              help="The share of these texts that may lose something.")  # fmt: skip
@as_json
def tokenizer_command(path: str, against: str | None, text: str | None, most: float, as_json: bool) -> int:
    """Put edge texts, and your own, through the tokenizer PATH, and hold it against the model beside it.

    PATH is a model directory, or a tokenizer.json, a SentencePiece model, a tekken.json or a GGUF file.
    Exits with 1 if text is unknown, lost, cut or read as a mark, if ids, special tokens or the chat template do not fit
    the model, or if the second tokenizer reads a text otherwise.

    Example: weigh check tokenizer path/to/model --against path/to/other --text lines.txt
    """
    from weigh.checks.tokenizer.check import check_tokenizer

    return report(check_tokenizer(path, against=against, text=text, most=most), as_json)
