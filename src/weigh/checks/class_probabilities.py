"""Probabilities in tables: how sure a model was of its answer, and labels beside the probability of each class."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weigh.checks.tables import as_text, complete, names, numbers, read, scan, subject
from weigh.errors import InvalidTable

if TYPE_CHECKING:
    import narwhals as nw

_SUM_TOLERANCE = 0.01
_WHOLE = re.compile(r"(?<=\d)\.0+$")
_ROUNDING = 1e-4
"""So far above 1 a softmax in few bits may end."""


@dataclass(frozen=True)
class Labelled:
    """Rows with a label and the probability of each class.

    Attributes:
        classes: The classes, as text.
        given: The place of each row's label among them. Shape (N,).
        chances: The probabilities. Shape (N, classes).
        table: The rows as they were read.
    """

    classes: list[str]
    given: Any
    chances: Any
    table: "nw.DataFrame[Any]"


def labelled(table: Any, label: str, probabilities: Mapping[Any, str] | str, others: Iterable[str] = ()) -> Labelled:
    """The labels of a table, and what a model thought of each class.

    Args:
        table: A path or a frame with a row for each labelled item.
        label: The column of labels.
        probabilities: The column with the probability of each class, or the prefix of such columns.
        others: Further columns to read.

    Raises:
        InvalidTable: If a column is missing, a label has no class, or the probabilities of a row do not add up to 1.
    """
    import numpy as np

    where = subject(table)
    if isinstance(probabilities, str):
        prefix = probabilities
        there = [name for name in names(scan(table), table) if name.startswith(prefix) and name != label]
        probabilities = {name.removeprefix(prefix): name for name in there}
        if not there:
            raise InvalidTable(where, f"no column begins with the prefix of probabilities, which is {prefix!r}")
    columns = {_class(name): column for name, column in probabilities.items()}
    if len(columns) < 2:
        raise InvalidTable(where, "has the probability of one class; name the column of each class")
    found = read(table, [label, *columns.values(), *others])
    said = complete(found, table, label)
    named = {value: _class(value) for value in set(said)}
    labels = [named[value] for value in said]
    place = {name: code for code, name in enumerate(columns)}
    unknown = next((row for row, value in enumerate(labels) if value not in place), None)
    if unknown is not None:
        known = ", ".join(map(repr, list(place)[:3]))
        problem = f"row {unknown + 1} has the label {labels[unknown]!r}, which has no column of probabilities"
        raise InvalidTable(where, f"{problem}; there are those of {known}{' and others' if len(place) > 3 else ''}")
    given = np.array([place[value] for value in labels])
    chances = np.stack([numbers(found, table, column) for column in columns.values()], axis=1)
    off = np.flatnonzero((chances < 0).any(1) | (abs(chances.sum(1) - 1) > _SUM_TOLERANCE))
    if len(off):
        problem = f"the probabilities of row {off[0] + 1} are negative or add up to {chances[off[0]].sum():.4g}"
        raise InvalidTable(where, f"{problem}, and of {len(off):,} rows in all; give those of all classes, from 0 to 1")
    return Labelled(list(columns), given, chances, found)


def _class(value: Any) -> str:
    """A class by one name, where it is part of a column's name too: 3 for `p_3.0`, and true for `p_True`."""
    text = as_text(value)
    return text.lower() if text in ("True", "False") else _WHOLE.sub("", text)


def confidence(table: "nw.DataFrame[Any]", source: Any, column: str) -> Any:
    """A column of probabilities: shape (rows,).

    Raises:
        InvalidTable: If one is missing, is no number, or is not from 0 to 1.
    """
    return as_probabilities(numbers(table, source, column), subject(source), f"column {column!r}")


def as_probabilities(values: Any, where: str, what: str) -> Any:
    """Probabilities of any shape (rows, …), those a rounding error above 1 brought back to it.

    Raises:
        InvalidTable: If one is not from 0 to 1, or is no number.
    """
    import numpy as np

    wrong = ~((values >= 0) & (values <= 1 + _ROUNDING))  # not a number is neither
    refuse(wrong, values, where, what, "give probabilities from 0 to 1; of logits take the softmax, of percentages a "
           "hundredth")  # fmt: skip
    return np.minimum(values, 1.0)


def refuse(wrong: Any, values: Any, where: str, what: str, remedy: str) -> None:
    """Refuse numbers of which some are wrong, and name the first row where they are.

    Raises:
        InvalidTable: If one is.
    """
    import numpy as np

    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        place = f"row {row + 1} of {what} is {values[row]:.4g}, and {int(wrong.sum()):,} such rows in all"
        raise InvalidTable(where, f"{place}; {remedy}")
