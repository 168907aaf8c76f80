"""Whether the metrics of a card are those that the run recorded, to the digits that the card prints."""

import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from weigh.checks.cards.reading import Card
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import InvalidCard
from weigh.models.config import load

_NUMBER = re.compile(r"\s*([-+]?(?:\d[\d_]{0,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][-+]?\d{1,3})?)\s*(%?)")
_PREFIX = re.compile(r"^(eval|test|val|validation|predict|heldout)[_/\-. ]+")


@dataclass(frozen=True)
class ReportedMetric:
    """A metric of a card's `model-index`.

    Attributes:
        name: Its type and, where that differs, its name: `perplexity`.
        dataset: The dataset that it was measured on.
        written: The value as it stands there: `39.10`.
        words: All that it may be called in a record: type and name.
        about: What tells it from others of that name: dataset, config, split, task.
    """

    name: str
    dataset: str
    written: str
    words: tuple[str, ...]
    about: tuple[str, ...]


def reported_metrics(card: Card) -> tuple[ReportedMetric, ...]:
    """The metrics of a card's `model-index`, in order, with their values as they are written.

    Raises:
        InvalidCard: If the model-index has another form than the Hub's.
    """
    found = []
    try:
        for result in (each for model in card.data.get("model-index") or [] for each in model["results"]):
            dataset, task = result.get("dataset") or {}, result.get("task") or {}
            about = tuple(each for part in (dataset, task) for each in part.values() if isinstance(each, str))
            name = str(dataset.get("name") or dataset.get("type") or "")
            for metric in result["metrics"]:
                words = tuple(each for each in (metric["type"], metric.get("name")) if isinstance(each, str))
                written = metric["value"] if isinstance(metric["value"], str) else ""
                found.append(ReportedMetric(str(metric["type"]), name, written, words, about))
    except (KeyError, TypeError, AttributeError) as error:
        flaw = f"without {error}" if isinstance(error, KeyError) else "of no known form"
        remedy = "write what huggingface_hub's EvalResult asks for"
        raise InvalidCard(card.path, f"has a model-index {flaw}; {remedy}") from None
    return tuple(found)


def drifted_metrics(card: Card, record: str | Path | Mapping[str, Any]) -> CheckResult:
    """Drifted metrics: values of the `model-index` that are not the record's, rounded to the digits that are printed.

    A metric is found in the record by its type or its name, below any keys: `perplexity` is also `eval_perplexity` and
    `metrics: perplexity`. Of several, the one counts whose keys name the dataset, its config or its split.

    Args:
        card: As `read_card` gives it.
        record: What the run measured: a JSON object, or its file.

    Raises:
        NotFound: If there is no such file.
        InvalidConfig: If the record is no JSON object.
        InvalidCard: If the model-index has another form than the Hub's.
    """
    fields = record if isinstance(record, Mapping) else load(record).fields
    numbers = dict(_numbers(fields))
    metrics = reported_metrics(card)
    by_name: dict[str, list[tuple[str, ...]]] = {}
    for path in numbers:
        by_name.setdefault(_plain(path[-1]), []).append(path)
    rows = [_compared(metric, numbers, by_name) for metric in metrics]
    if not rows:
        rows = [{"metric": "", "dataset": "", "card": "no model-index", "record": None, "said": "no metric to compare"}]
    wrong = [row for row in rows if row["said"] != "agrees"]
    return CheckResult(
        check="metrics of the record",
        figure=Figure.exact("metrics that are not the record's", len(wrong)),
        threshold=0,
        reason="a rounded value is at most half a unit of its last digit away",
        evidence=first([*wrong, *(row for row in rows if row["said"] == "agrees")]),
        cost={"metrics": len(metrics), "numbers in the record": len(numbers)},
    )


def _compared(
    metric: ReportedMetric,
    numbers: Mapping[tuple[str, ...], float],
    by_name: Mapping[str, list[tuple[str, ...]]],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "metric": metric.name,
        "dataset": metric.dataset[:40],
        "card": metric.written,
        "record": None,
    }
    words = dict.fromkeys(map(_plain, metric.words))
    paths = [path for word in words for path in by_name.get(word, [])]
    if len({numbers[path] for path in paths}) > 1:
        about = {_plain(each) for each in metric.about}
        closer = [path for path in paths if any(_plain(key) in about for key in path[:-1])]
        paths = closer or paths
    if not paths:
        return row | {"said": "not in the record"}
    if len({numbers[path] for path in paths}) > 1:
        names = " and ".join(".".join(path) for path in paths[:2])
        return row | {"said": f"{len(paths)} in the record, such as {names}"}
    row["record"] = measured = numbers[paths[0]]
    printed = _NUMBER.match(metric.written)
    if not printed or not math.isfinite(measured):
        return row | {"said": "no number"}
    value = Decimal(printed[1].replace("_", ""))
    unit = Decimal(1).scaleb(int(value.as_tuple().exponent))
    if printed[2]:
        value, unit = value / 100, unit / 100
    off = abs(value - Decimal(repr(measured))) / unit
    if off <= Decimal("0.5"):
        return row | {"said": "agrees"}
    percent = abs(value / 100 - Decimal(repr(measured))) / (unit / 100) <= Decimal("0.5")
    return row | {"said": "100 times the record's" if percent else f"{float(off):.3g} units of the last digit off"}


def _numbers(record: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every number of a record, with the keys that lead to it."""
    left: list[tuple[tuple[str, ...], Any]] = [(path, record)]
    while left:
        keys, value = left.pop()
        if hasattr(value, "item") and not isinstance(value, Mapping):
            value = value.item()
        if isinstance(value, Mapping):
            left += [((*keys, str(key)), each) for key, each in value.items()]
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            left += [((*keys, str(number)), each) for number, each in enumerate(value)]
        elif isinstance(value, int | float) and not isinstance(value, bool) and keys:
            most = sys.float_info.max  # a whole number of JSON may be greater
            yield keys, math.inf if value > most else -math.inf if value < -most else float(value)


def _plain(word: str) -> str:
    """A name without what differs between tools: case, signs, `eval_` before it, a filter of lm-eval behind it."""
    short = _PREFIX.sub("", word.strip().casefold()).partition(",")[0]
    return re.sub(r"[\W_]+", "", short)
