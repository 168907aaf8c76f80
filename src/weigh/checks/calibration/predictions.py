"""Predictions with a confidence: what a model answered, how sure it was, and whether it was right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weigh.checks.class_probabilities import as_probabilities, labelled, refuse
from weigh.checks.tables import as_text, complete, numbers, read, subject
from weigh.errors import InvalidTable

PREDICTED = "predicted class"
"""The name of the slices by what a model answered."""


@dataclass(frozen=True)
class Predictions:
    """What a model answered: its confidence, and whether the answer was right.

    Attributes:
        confidence: The probability that the answer is right, from 0 to 1. Shape (N,).
        correct: Whether it was, 0 or 1. Shape (N,).
        slices: What each row belongs to, by the name of the column. Shape (N,) each.
        labels: The place of each row's label among the classes, where they are known. Shape (N,).
        chances: The probability of each class, where they are known. Shape (N, classes).
        where: What they are called in messages.

    Raises:
        InvalidTable: If there are no rows, the lengths differ, or a value is out of range.
    """

    confidence: Any
    correct: Any
    slices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    labels: Any = None
    chances: Any = None
    where: str = "predictions"

    def __post_init__(self) -> None:
        import numpy as np

        for name in ("confidence", "correct"):
            try:
                values = np.asarray(getattr(self, name), dtype=float)
            except (TypeError, ValueError):
                raise InvalidTable(self.where, f"{name} holds what is no number") from None
            object.__setattr__(self, name, _checked(self.where, name, values))
        lengths = {len(self.confidence), len(self.correct), *map(len, self.slices.values())}
        if len(lengths) > 1:
            raise InvalidTable(self.where, f"confidence, correct and slices have lengths of {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.confidence)


def predictions(
    table: Any,
    *,
    label: str | None = None,
    probabilities: Mapping[Any, str] | str | None = None,
    correct: str | None = None,
    confidence: str | None = None,
    slices: Iterable[str] = (),
) -> Predictions:
    """Predictions from a table: of a classifier, or of any model that says how sure it is.

    A classifier answers the likeliest class, the first where two are, and its confidence is the probability of it.

    Args:
        table: A path or a frame with a row for each prediction that the model was not fitted on.
        label: The column of labels, with `probabilities`.
        probabilities: The column with the probability of each class: `{"cat": "p_cat", "dog": "p_dog"}`; or the prefix
            of such columns, `p_`.
        correct: The column that says whether an answer was right, with `confidence`: 0 or 1. Of two classes, it may
            be whether the event came, and the confidence its probability.
        confidence: The column of probabilities that the answer is right.
        slices: Columns that say what a row belongs to, such as a language or a customer.

    Raises:
        InvalidTable: If a column is missing or cannot be used, or neither pair of columns is named.
    """
    where, slices = subject(table), list(dict.fromkeys(slices))
    if sorted(map(bool, (label, probabilities))) + sorted(map(bool, (correct, confidence))) not in (
        [True, True, False, False],
        [False, False, True, True],
    ):
        asked = "name a label and its probabilities, or correct and confidence"
        raise InvalidTable(where, f"it is not clear what was predicted; {asked}")
    for name in (label, correct):
        if name in slices:
            problem = (
                f"column {name!r} cannot be a slice: of the rows that turned out one way no model is right as often"
            )
            raise InvalidTable(
                where, f"{problem} as it is sure, a calibrated one neither; slice by what is known before"
            )
    if label and probabilities:
        found = labelled(table, label, probabilities, slices)
        answers, sure = found.chances.argmax(1), found.chances.max(1)
        told = {name: [as_text(value) for value in complete(found.table, table, name)] for name in slices}
        told |= {PREDICTED: [found.classes[answer] for answer in answers.tolist()]}
        right = (answers == found.given).astype(float)
        return Predictions(sure, right, told, found.given, found.chances, where)
    assert correct and confidence
    rows = read(table, [correct, confidence, *slices])
    right, sure = (
        _checked(where, what, numbers(rows, table, name), name)
        for what, name in (("correct", correct), ("confidence", confidence))
    )
    told = {name: [as_text(value) for value in complete(rows, table, name)] for name in slices}
    return Predictions(sure, right, told, where=where)


def _checked(where: str, what: str, values: Any, column: str | None = None) -> Any:
    """Probabilities, or zeros and ones. Shape (N,)."""
    if values.ndim != 1 or not len(values):
        raise InvalidTable(where, f"{what} has no rows, or more than one column")
    place = f"column {column!r}" if column else what
    if what != "correct":
        return as_probabilities(values, where, place)
    refuse((values != 0) & (values != 1), values, where, place, "give 1 for a right answer and 0 for a wrong one")
    return values
