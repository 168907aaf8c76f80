"""`weigh check embeddings`: whether stored vectors, today's encoder, the metric and the index go together."""

import click

from weigh.cli.check.group import as_json, check, report
from weigh.cli.options import POSITIVE


@check.command("embeddings")
@click.argument("stored")
@click.option("--new", metavar="FILE", help="Vectors of some or all of the items, made by the encoder of today.")
@click.option("--rows", metavar="FILE", help="A .npy file: the row of STORED of each row of --new, counted from 0.  "
              "[default: the same order]")  # fmt: skip
@click.option("--metric", type=click.Choice(["cosine", "dot", "l2"]), default="cosine", show_default=True,
              help="The metric of the service.")  # fmt: skip
@click.option("--normalised/--not-normalised", default=None, help="Whether vectors are declared to have length 1.  "
              "[default: as the manifest says]")  # fmt: skip
@click.option("--manifest", metavar="FILE", help="The manifest that was stored with the index.")
@click.option("--write-manifest", metavar="FILE", help="Write the manifest of what is here to a new file.")
@click.option("--model", metavar="DIR", help="The directory of today's encoder, whose files belong to the manifest.")
@click.option("--prompt", "prompts", multiple=True, metavar="FILE", help="A prompt or prefix that belongs to it too; "
              "repeat it for more.")  # fmt: skip
@click.option("--index", metavar="FILE", help="The index of usearch, whose keys are rows of STORED.")
@click.option("--tensor", metavar="NAME", help="The array's name, in files that hold several.")
@click.option("--sample", type=POSITIVE, default=1000, show_default=True, metavar="N", help="Items that are compared.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Of the sample.")
@click.option("-k", type=POSITIVE, default=10, show_default=True, metavar="N", help="Neighbours of a query.")
@as_json
def embeddings_command(
    stored: str, new: str | None, rows: str | None, metric: str, normalised: bool | None, manifest: str | None,
    write_manifest: str | None, model: str | None, prompts: tuple[str, ...], index: str | None, tensor: str | None,
    sample: int, seed: int, k: int, as_json: bool,
) -> int:  # fmt: skip
    """Compare the vectors of STORED with those of today's encoder, with an index and with a manifest.

    STORED is a .npy, .npz or .safetensors file with a vector to a row. What is checked follows from what is named.
    Exits with 1 if vectors are of two spaces, moved, unusable, repeated or of other lengths than declared, if the index
    finds too few neighbours, or if the manifest says something else.

    Example: weigh check embeddings stored.npy --new today.npy --metric cosine --index stored.usearch
    """
    from weigh.checks.decoding.language_models import read_text
    from weigh.checks.embeddings.check import check_embeddings
    from weigh.checks.embeddings.manifests import embedding_manifest
    from weigh.checks.embeddings.vectors import vectors

    if (model or prompts) and not (manifest or write_manifest):
        raise click.UsageError("--model and --prompt belong to a manifest; give --manifest or --write-manifest too")
    old, texts = vectors(stored, tensor), {path: read_text(path) for path in prompts}
    found = check_embeddings(
        old, new, rows=rows, metric=metric, normalised=normalised, model=model, prompts=texts, manifest=manifest,
        index=index, tensor=tensor, sample=sample, seed=seed, k=k,
    )  # fmt: skip
    if write_manifest is not None:
        embedding_manifest(old, metric, model=model, prompts=texts, index=index, normalised=normalised).write(
            write_manifest
        )
    return report(found, as_json)
