"""`weigh check quantization`: what quantization did to a model's weights, and to its answers."""

import click

from weigh.cli.check.group import as_json, check, report


@check.command("quantization")
@click.argument("models", nargs=-1, metavar="[BEFORE AFTER]")
@click.option("--outputs", metavar="TABLE", help="A table with a row for each question that both models were asked.")
@click.option("--before", metavar="COLUMN", default="before", show_default=True, help="Its answers before.")
@click.option("--after", metavar="COLUMN", default="after", show_default=True, help="Its answers after.")
@click.option("--label", metavar="COLUMN", help="Its right answers, to compare accuracy.")
@click.option("--before-confidence", metavar="COLUMN", help="The probability that was given to the answer before, to "
              "compare calibration.")  # fmt: skip
@click.option("--after-confidence", metavar="COLUMN", help="The same after.")
@click.option("--probe", metavar="COLUMN", help="The answers that are required, empty in rows that are no probes.")
@click.option("--flips", type=float, default=0.01, show_default=True, metavar="SHARE", help="The largest share of "
              "flipped answers that passes.")  # fmt: skip
@as_json
def quantization_command(
    models: tuple[str, ...], outputs: str | None, before: str, after: str, label: str | None,
    before_confidence: str | None, after_confidence: str | None, probe: str | None, flips: float,
    as_json: bool,
) -> int:  # fmt: skip
    """Compare a model BEFORE quantization and AFTER: by its weights, by its outputs on a TABLE, or by both.

    BEFORE and AFTER are files or directories as `weigh inspect` takes them, of tensors that have the same names before
    a quantizer adds to them: safetensors, PyTorch, ONNX or GGUF. TABLE is a CSV, Parquet or Arrow file.
    Exits with 1 if the file is too large, weights are lost, or answers changed.

    Example: weigh check quantization model.safetensors int8.safetensors --outputs answers.csv --label truth
    """
    from weigh.checks.quantization.check import check_quantization

    if len(models) not in (0, 2):
        raise click.UsageError("give two models, BEFORE and AFTER, or none and --outputs")
    found = check_quantization(
        (models[0], models[1]) if models else None, outputs, before=before, after=after, label=label,
        before_confidence=before_confidence, after_confidence=after_confidence, probe=probe, flips=flips,
    )  # fmt: skip
    return report(found, as_json)
