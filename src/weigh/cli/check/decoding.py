"""`weigh check decoding`: whether two generation configs decode alike, each in its engine."""

import click

from weigh.cli.check.group import as_json, check, report
from weigh.cli.options import POSITIVE, Known


def _engines() -> list[str]:
    from weigh.checks.decoding.engines import ENGINES

    return list(ENGINES)


@check.command("decoding")
@click.argument("a")
@click.argument("b")
@click.option("--engine-a", cls=Known, known=_engines, default="transformers", show_default=True, metavar="ENGINE")
@click.option("--engine-b", cls=Known, known=_engines, metavar="ENGINE", help="The engine of B.  [default: that of A]")
@click.option("--model", metavar="DIR", help="Measure how far outputs drift on this model, and version its files too.")
@click.option("--text", metavar="FILE", help="The text to measure on, which the model has not read.")
@click.option("--prompt", "prompts", multiple=True, metavar="FILE", help="A prompt or template that belongs to the "
              "version; repeat it for more.")  # fmt: skip
@click.option("--contexts", type=POSITIVE, default=64, show_default=True, metavar="N", help="Places of the text.")
@click.option("--context-tokens", type=POSITIVE, default=32, show_default=True, metavar="N",
              help="Tokens of each context.")  # fmt: skip
@click.option("--tokens", type=POSITIVE, default=32, show_default=True, metavar="N",
              help="The most tokens to continue it with.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Of the first context.")
@as_json
def decoding_command(
    a: str,
    b: str,
    engine_a: str,
    engine_b: str | None,
    model: str | None,
    text: str | None,
    prompts: tuple[str, ...],
    contexts: int,
    context_tokens: int,
    tokens: int,
    seed: int,
    as_json: bool,
) -> int:
    """Compare the generation configs A and B by what their engines make of them, defaults included.

    A and B are generation_config.json files, or directories that hold one. The two may be the same file.
    Exits with 1 if a setting differs, or if outputs drift.

    Example: weigh check decoding old.json new.json --engine-a transformers --engine-b vllm
    """
    from weigh.checks.decoding.check import check_decoding
    from weigh.checks.decoding.language_models import read_text

    found = check_decoding(
        a,
        b,
        engine_a=engine_a,
        engine_b=engine_b,
        model=model,
        text=text,
        prompts={path: read_text(path) for path in prompts},
        contexts=contexts,
        context_tokens=context_tokens,
        tokens=tokens,
        seed=seed,
    )
    return report(found, as_json)
