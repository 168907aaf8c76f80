"""What becomes of a card's front matter when huggingface_hub, the Hub's own library, loads and saves it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from weigh.checks.cards.reading import Card, front_matter
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import InvalidCard
from weigh.optional import needed

_INDEX = "model-index"
_Fact = tuple[str, tuple[str, ...]]  # a key, and what it says in parts


def changed_on_save(card: Card) -> CheckResult:
    """Changed on save: facts of the front matter that huggingface_hub loses or turns into others when it saves a card.

    `metadata_update`, `push_to_hub` and most libraries' callbacks do that. Comments, order, nulls and zeros at the end
    of a number count for nothing here.

    Args:
        card: As `read_card` gives it.

    Raises:
        MissingPackage: If huggingface_hub is not installed.
    """
    with needed(card.path):
        from huggingface_hub import ModelCard
    before = Counter(_facts(card.data))
    rows: list[dict[str, Any]] = []
    if card.data:
        try:
            saved = ModelCard(card.text.removeprefix("\ufeff")).data.to_yaml()
            after = Counter(_facts(front_matter(saved, "what is saved")))
        except InvalidCard as error:
            rows = [{"key": "all of it", "written": "", "saved": error.problem}]
        except Exception as error:  # those of YAML's constructors, which know fewer tags and dates than its grammar
            said = " ".join(str(error).split())[:120]
            rows = [{"key": "all of it", "written": "", "saved": f"is not loaded: {type(error).__name__}: {said}"}]
        else:
            new = list((after - before).elements())
            for key, parts in (before - after).elements():
                alike = [each for each in new if each[0] == key]
                nearest = max(alike, key=lambda each: len({*each[1]} & {*parts}), default=(key, ()))
                if alike:
                    new.remove(nearest)
                rows.append(
                    {"key": key[:60], "written": _without(parts, nearest[1]), "saved": _without(nearest[1], parts)}
                )
    return CheckResult(
        check="survives saving",
        figure=Figure.exact("facts that huggingface_hub changes when it saves the card", len(rows)),
        threshold=0,
        reason="the next tool that updates the card changes them unseen",
        evidence=first(rows),
        cost={"facts compared": before.total()},
    )


def _without(parts: tuple[str, ...], others: tuple[str, ...]) -> str:
    return ", ".join(part for part in parts if part not in others)[:160] or "nothing"


def _facts(data: Mapping[str, Any]) -> Iterator[_Fact]:
    """Each value with its key; a metric's together with whose it is, wherever it stands."""
    for key, value in data.items():
        if key != _INDEX or not isinstance(value, list):
            yield from ((name, (each,)) for name, each in _flat(value, key))
            continue
        for model, results in _parts(value, "results"):
            for result, metrics in _parts(results, "metrics"):
                for metric, _ in _parts(metrics, ""):
                    whole = sorted(_flat({**model, **result, "metric": metric}, ""))
                    yield f"{_INDEX}: {metric.get('type', '')}", tuple(f"{name} {each}" for name, each in whole)


def _parts(items: Any, below: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each mapping of a list without one key, and what is under that key."""
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict):
            yield {name: each for name, each in item.items() if name != below}, item.get(below)


def _flat(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _flat(each, f"{key}.{name}" if key else name)
    elif isinstance(value, list):
        for each in value:
            yield from _flat(each, key)
    elif value is not None:
        yield key, _number(value)


def _number(text: str) -> str:
    """A text; of one that is a number in plain digits, the number."""
    try:
        return str(float(text)) if text.isascii() and not text.isalpha() and "_" not in text else text
    except ValueError:
        return text
