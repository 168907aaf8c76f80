"""The answers of a teacher and of its student to the same rows, and their counts in each slice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weigh.checks.class_probabilities import confidence
from weigh.checks.paired_answers import answers, as_words, refuse_missing
from weigh.checks.paired_intervals import design_effect
from weigh.checks.partitions import grouped_sums
from weigh.checks.tables import as_text, is_missing, read, rows, subject
from weigh.errors import InvalidTable
from weigh.optional import needed

if TYPE_CHECKING:
    import narwhals as nw

_MOST_SLICES = 1_000
_COUNTS = ("rows", "teacher", "student", "lost", "gained", "agreed", "same_error")
_PREFIX = "__weigh "
_ALL = f"{_PREFIX}all"


@dataclass(frozen=True)
class Slice:
    """A part of the rows, and how often each model is right there.

    Attributes:
        name: The column with its value, such as `digit=8`.
        groups: Of how many groups its rows are; as many as there are rows where no group is named.
        rows: How many rows it has.
        teacher: Rows that the teacher has right.
        student: Rows that the student has right.
        lost: Rows that the teacher has right and the student wrong.
        gained: Rows that the student has right and the teacher wrong.
        agreed: Rows to which both give one answer, right or wrong.
        same_error: Rows to which both give one wrong answer.
        difference_effect: By how much groups make the difference of the two vary more than rows would.
        loss_effect: The same of the share of lost rows.
    """

    name: str
    groups: int
    rows: int
    teacher: int
    student: int
    lost: int
    gained: int
    agreed: int
    same_error: int
    difference_effect: float = 1.0
    loss_effect: float = 1.0

    @property
    def drop(self) -> float:
        """The accuracy that the student lost."""
        return (self.lost - self.gained) / self.rows


@dataclass(frozen=True)
class Pairs:
    """The answers of both models to the rows of a table.

    Attributes:
        source: The table, as it was given.
        frame: Its slices and groups, with a column of ones and zeros for each count.
        teacher: Whether the teacher is right. Shape (rows,).
        student: Whether the student is right. Shape (rows,).
        group: The column of groups, if there is one.
        notes: What was seen of the answers.
    """

    source: Any
    frame: "nw.DataFrame[Any]"
    teacher: Any
    student: Any
    group: str | None
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """What the interval is over."""
        return f"groups of {self.group}" if self.group else "rows"

    def whole(self) -> Slice:
        """All rows as one slice."""
        return self.slices(_ALL)[0]

    def slices(self, column: str) -> list[Slice]:
        """The slices of a column, in the order of their names; a missing value is a slice of its own.

        Raises:
            InvalidTable: If it has too many values.
        """
        import numpy as np

        sums, keys = self.sums(column, [f"{_PREFIX}{count}" for count in _COUNTS])
        places: dict[Any, int] = {}
        codes = np.array(
            [places.setdefault("(missing)" if is_missing(value) else as_text(value), len(places)) for value in keys]
        )
        if len(places) > _MOST_SLICES:
            problem = f"column {column!r} has {len(places):,} values; a slice for each is too fine: bin it first"
            raise InvalidTable(subject(self.source), problem)
        order = np.argsort(codes, kind="stable")
        parts = np.split(sums[order], np.flatnonzero(np.diff(codes[order])) + 1)
        names = {code: value for value, code in places.items()}
        found = [self._slice(f"{column}={names[code]}", part) for code, part in enumerate(parts)]
        return sorted(found, key=lambda one: (len(one.name), one.name))

    def sums(self, column: str, summed: list[str]) -> tuple[Any, list[Any]]:
        """Sums by the values of a column, and within them by group: shape (parts, columns), and each part's value."""
        import numpy as np

        keys = list(dict.fromkeys([column, *([self.group] if self.group else [])]))
        found = rows(grouped_sums(self.frame.lazy(), keys, summed, self.source), self.source)
        return np.stack([found[name].to_numpy() for name in summed], axis=1), found[column].to_list()

    def _slice(self, name: str, counts: Any) -> Slice:
        """A slice from the counts of its groups: shape (groups, counts)."""
        import numpy as np

        total = dict(zip(_COUNTS, map(int, counts.sum(0)), strict=True))
        if not self.group:
            return Slice(name, total["rows"], **total)
        size, lost, gained = counts[:, 0], counts[:, _COUNTS.index("lost")], counts[:, _COUNTS.index("gained")]
        difference = design_effect(np.stack([lost - gained, lost + gained], axis=1), size)
        loss = design_effect(np.stack([lost, lost], axis=1), size)
        return Slice(name, len(counts), **total, difference_effect=difference, loss_effect=loss)


def paired(
    table: Any, label: str, teacher: str, student: str, slices: Iterable[str] = (), group: str | None = None,
    confidences: Sequence[str] = (),
) -> Pairs:  # fmt: skip
    """Read the answers of both models.

    Args:
        table: A path or a frame with a row for each example.
        label: The column of right answers.
        teacher: The column of the teacher's answers.
        student: The column of the student's.
        slices: Columns whose values are slices.
        group: The column that says which rows belong together.
        confidences: Columns of confidence that are read too, the teacher's and the student's.

    Raises:
        InvalidTable: If a column is missing, an answer or a group is, or answers and labels are of different kinds.
    """
    with needed(subject(table)):
        import narwhals as nw
        import numpy as np
    asked = [label, teacher, student, *slices, *([group] if group else []), *confidences]
    if own := next((name for name in asked if name.startswith(_PREFIX)), None):
        raise InvalidTable(subject(table), f"column {own!r} has a name that is needed here; rename it")
    found = read(table, asked)
    if group:
        refuse_missing(found, table, group)
    given = answers(found, table, [label, teacher, student])
    labels, *both = given.columns
    right, agreed = [np.asarray(one == labels, dtype=bool) for one in both], np.asarray(both[0] == both[1], dtype=bool)
    plain = {name: as_words(found[name]) for name in dict.fromkeys(asked)}
    counts = dict(zip(_COUNTS, _indicators(right[0], right[1], agreed), strict=True))
    columns = [one.alias(name) for name, one in plain.items()]
    numbered = {_ALL: np.zeros(len(agreed), dtype=int), **{f"{_PREFIX}{name}": one for name, one in counts.items()}}
    if confidences:
        teacher_sure, student_sure = (confidence(found, table, name) for name in confidences)
        excess = (student_sure - right[1]) - (teacher_sure - right[0])
        numbered |= {f"{_PREFIX}teacher is sure": teacher_sure, f"{_PREFIX}student is sure": student_sure}
        numbered |= {f"{_PREFIX}excess": excess}
    columns += [nw.new_series(name, one, backend=found.implementation) for name, one in numbered.items()]
    return Pairs(table, found.select(columns), right[0], right[1], group, given.notes)


def _indicators(teacher: Any, student: Any, agreed: Any) -> list[Any]:
    """Ones and zeros for each of `_COUNTS`."""
    import numpy as np

    found = (np.ones_like(teacher), teacher, student, teacher & ~student, student & ~teacher, agreed, agreed & ~teacher)
    return [one.astype(np.int64) for one in found]
