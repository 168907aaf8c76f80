"""Checks of an embedding space: are stored vectors, today's encoder, the metric and the index of one kind?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weigh.checks.embeddings.indexes import index_facts, index_recall, metric_overlap
from weigh.checks.embeddings.manifests import embedding_manifest, manifest_difference, read_manifest
from weigh.checks.embeddings.search import METRICS, known
from weigh.checks.embeddings.spaces import SAMPLE, SameItems, moved_vectors, same_items, same_space
from weigh.checks.embeddings.usable import repeated_vectors, unusable_vectors, vector_lengths
from weigh.checks.embeddings.vectors import Vectors, drawn, vectors
from weigh.checks.results import CheckReport, CheckResult, Figure, first
from weigh.errors import InvalidSetting


def check_embeddings(
    stored: Any,
    new: Any = None,
    *,
    rows: Any = None,
    metric: str = "cosine",
    normalised: bool | None = None,
    model: str | Path | None = None,
    prompts: Mapping[str, str] | None = None,
    manifest: Any = None,
    index: Any = None,
    tensor: str | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    k: int = 10,
) -> CheckReport:
    """All checks of an embedding space that its files allow.

    Args:
        stored: The stored vectors, as `vectors` takes them.
        new: Vectors of some or all of the items, made by the encoder of today.
        rows: The row of `stored` of each row of `new`, counted from 0; without it both have the same order.
        metric: The metric of the service: `cosine`, `dot` or `l2`.
        normalised: Whether vectors are declared to have length 1; without it, what the manifest says.
        model: The directory of today's encoder, to be held against the manifest.
        prompts: Prompts or prefixes by name, that the service adds.
        manifest: The manifest that was stored with the index: a path, or what `embedding_manifest` gave.
        index: The index file of usearch. Its keys are rows of `stored`.
        tensor: The array's name in files that hold several.
        sample: How many items are compared, and how many queries searched.
        seed: The seed of the sample.
        k: How many neighbours the index is asked for.

    Raises:
        InvalidSetting: If a setting is outside its range.
        InvalidTable: If vectors or an index are none, or do not fit together.
        InvalidDeclaration: If the manifest is none.
        MissingPackage: If SciPy, or usearch where there is an index, is not installed.
    """
    if rows is not None and new is None:
        raise InvalidSetting("rows", "says which rows the new vectors are, and there are none; give them too")
    if k < 1:
        raise InvalidSetting("k", f"{k} must be at least 1")
    old, service = vectors(stored, tensor), known(metric)
    now = None if new is None else vectors(new, tensor)
    recorded = None if manifest is None else read_manifest(manifest)
    told = recorded.normalised if recorded is not None and normalised is None else normalised
    results = [] if recorded is None else [
        manifest_difference(
            recorded, embedding_manifest(old, service, model=model, prompts=prompts, index=index, normalised=normalised)
        )
    ]  # fmt: skip
    facts = None if index is None else index_facts(index)
    sides = {name: each.dimensions for name, each in (("stored", old), ("new", now), ("index", facts)) if each}
    results += [_dimensions(sides), unusable_vectors(old, now), repeated_vectors(old)]
    items = None
    if now is not None and now.dimensions == old.dimensions:
        items = same_items(old, now, rows, sample=sample, seed=seed)
        results += [same_space(items), moved_vectors(items)]
    if told or service != "cosine":
        results.append(vector_lengths(old, items, normalised=told))
    if old.survey.usable.any():
        queries = _queries(old, items, sample, seed)
        built = {each for each in (facts and facts.metric, recorded and recorded.metric) if each in METRICS}
        results += [metric_overlap(old, queries, service, other, k=k) for other in sorted(built - {service})]
        if facts is not None and facts.dimensions == old.dimensions:
            results.append(index_recall(index, old, queries, service, k=k))
    subject = old.subject if now is None else f"{old.subject}, {now.subject}"
    return CheckReport("embeddings", subject, tuple(results))


def _dimensions(sides: Mapping[str, int]) -> CheckResult:
    least, most = min(sides.values()), max(sides.values())
    return CheckResult(
        check="dimensions",
        figure=Figure.exact("numbers by which vectors differ", most - least),
        threshold=0,
        reason="vectors of two lengths have no dot product, and cut ones are in another space than whole ones",
        evidence=first({"side": side, "dimensions": each} for side, each in sides.items() if most > least),
        notes=("what differs in dimensions is not compared further",) if most > least else (),
    )


def _queries(stored: Vectors, items: SameItems | None, sample: int, seed: int) -> Any:
    """What is searched for: the sampled items as the encoder of today has them, or else stored vectors."""
    import numpy as np

    if items is not None:
        return items.new.at(items.rows)
    return stored.at(np.flatnonzero(stored.survey.usable)[drawn(int(stored.survey.usable.sum()), sample, seed)])
