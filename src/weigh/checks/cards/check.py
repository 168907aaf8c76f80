"""Checks of a model card before its weights are promoted: what it leaves out, and whether it is still true of them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from weigh.checks.cards.fields import placeholder_texts, undocumented_fields
from weigh.checks.cards.metrics import drifted_metrics
from weigh.checks.cards.reading import read_card
from weigh.checks.cards.saving import changed_on_save
from weigh.checks.cards.weights import ADAPTER, base_model_mismatch, unnamed_weights
from weigh.checks.results import CheckReport
from weigh.errors import NotFound
from weigh.sources import opening


def check_card(
    directory: str | Path,
    *,
    metrics: str | Path | Mapping[str, Any] | None = None,
    base: str | Path | None = None,
    headings: Mapping[str, str] | None = None,
    least_words: int = 5,
    placeholders: int = 0,
) -> CheckReport:
    """All checks of the model card of a directory, as a gate that a checkpoint or an adapter passes or does not.

    Required fields, placeholders, the weights' SHA-256, what saving changes; of an adapter its base model; with a
    record of the run its metrics.

    Args:
        directory: The directory of the weights, with its `README.md`; or the card itself, in that directory.
        metrics: What the run measured: a JSON object, or its file.
        base: The base model's directory, whose weights the card must name too.
        headings: Expressions for headings of your own, by field.
        least_words: How many words document a field.
        placeholders: How many placeholders are let through.

    Raises:
        NotFound: If there is no such directory, no weights in it, or no such record.
        InvalidCard: If the card cannot be read.
        InvalidConfig: If the record or the adapter's config is no JSON object.
        InvalidSetting: If a field of `headings` is unknown.
    """
    where = Path(directory)
    with opening(where):
        home = where.parent if where.is_file() else where
    if not home.is_dir():
        raise NotFound(where, "is no directory; give that of a checkpoint or an adapter")
    card = read_card(where)
    is_adapter = (home / ADAPTER).exists()
    fields = undocumented_fields(card, is_adapter=is_adapter, headings=headings, least_words=least_words)
    if metrics is None:
        fields = replace(fields, notes=(*fields.notes, "metrics are not compared; give the record of the run"))
    results = [fields, placeholder_texts(card, most=placeholders), unnamed_weights(card, home)]
    if is_adapter or base is not None:
        results.append(base_model_mismatch(card, home, base))
    if metrics is not None:
        results.append(drifted_metrics(card, metrics))
    return CheckReport("card", str(where), (*results, changed_on_save(card)))
