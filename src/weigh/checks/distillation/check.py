"""Checks of a distilled student: how much it lost overall, in its worst slice, item by item, and in how sure it is."""

from collections.abc import Iterable
from typing import Any

from weigh.checks.distillation.judging import FEWEST_ROWS, of_all_rows, of_churn, of_confidence, of_worst_slice
from weigh.checks.distillation.pairs import paired
from weigh.checks.results import CheckReport, CheckResult
from weigh.checks.tables import subject
from weigh.errors import InvalidSetting, InvalidTable


def check_distillation(
    table: Any,
    label: str,
    teacher: str,
    student: str,
    slices: Iterable[str],
    *,
    teacher_confidence: str | None = None,
    student_confidence: str | None = None,
    group: str | None = None,
    allowed: float = 0.02,
    allowed_in_slice: float = 0.05,
    allowed_churn: float = 0.05,
) -> CheckReport:
    """All checks of a student that the named columns allow: overall, by slice, item by item, and by confidence.

    Args:
        table: A path or a frame with a row for each example: CSV, Parquet, Arrow, pandas, Polars, DuckDB. Neither
            model may have been trained on them.
        label: The column of right answers.
        teacher: The column of the teacher's answers.
        student: The column of the student's answers.
        slices: Columns whose values are slices; the label is one that every table has.
        teacher_confidence: The column of the probability that the teacher gives its answer.
        student_confidence: The same of the student. With both it is asked whether the student is surer than right.
        group: The column that says which rows belong together, such as to one person.
        allowed: The accuracy that the student may lose overall: 0.02 is two points.
        allowed_in_slice: The accuracy that it may lose in a slice.
        allowed_churn: The share of rows that the teacher has right and the student may have wrong.

    Raises:
        InvalidTable: If a column is missing or cannot be used, or no slice is named.
        InvalidSetting: If what is allowed is no share.
    """
    where, slices = subject(table), list(dict.fromkeys(slices))
    if not slices:
        raise InvalidTable(where, f"no slice is named; name a column for it, at least that of the label, {label!r}")
    if (teacher_confidence is None) != (student_confidence is None):
        raise InvalidTable(where, "one confidence says nothing of the other model's; name the column of both")
    for name, value in (("allowed", allowed), ("allowed in slice", allowed_in_slice), ("allowed churn", allowed_churn)):
        _share(name, value)
    sure = [one for one in (teacher_confidence, student_confidence) if one is not None]
    pairs = paired(table, label, teacher, student, slices, group, sure)
    results = [
        of_all_rows(pairs, allowed),
        of_worst_slice(pairs, slices, allowed_in_slice),
        of_churn(pairs, allowed_churn),
    ]
    if sure:
        results.append(of_confidence(pairs, 0.05))
    return CheckReport("distillation", where, tuple(results))


def aggregate_drop(
    table: Any, label: str, teacher: str, student: str, *, group: str | None = None, threshold: float = 0.02
) -> CheckResult:
    """The accuracy that the student lost over all rows, from those on which one of the two models is right alone.

    Args:
        table: As `check_distillation` takes it, and so are all columns.
        label: The column of right answers.
        teacher: The column of the teacher's answers.
        student: The column of the student's answers.
        group: The column that says which rows belong together.
        threshold: The accuracy that may be lost.

    Raises:
        InvalidTable: If a column is missing or cannot be used.
        InvalidSetting: If the threshold is no share.
    """
    return of_all_rows(paired(table, label, teacher, student, (), group), _share("threshold", threshold))


def worst_slice_drop(
    table: Any,
    label: str,
    teacher: str,
    student: str,
    slices: Iterable[str],
    *,
    group: str | None = None,
    threshold: float = 0.05,
    fewest: int = FEWEST_ROWS,
) -> CheckResult:
    """The largest accuracy that the student lost in a slice, with an interval that holds for all slices together.

    Of many slices one always looks bad. So a slice is only found guilty at 2.5 % divided by their number, and further
    ones by Holm's rule (1979, Scandinavian Journal of Statistics 6, 65), which holds for slices that overlap too. To
    acquit, each slice has to lie below the threshold at 2.5 %, and nothing need be divided (Berger 1982, Technometrics
    24, 295). A slice too small to be acquitted leaves the finding undecided.

    Args:
        table: As `check_distillation` takes it, and so are all columns.
        label: The column of right answers.
        teacher: The column of the teacher's answers.
        student: The column of the student's answers.
        slices: Columns whose values are slices.
        group: The column that says which rows belong together.
        threshold: The accuracy that may be lost in a slice.
        fewest: Slices of fewer rows are not searched for a fault, and so do not count as searched.

    Raises:
        InvalidTable: If a column is missing or cannot be used, no slice is named, or one column has over 1,000.
        InvalidSetting: If the threshold is no share.
    """
    slices = list(dict.fromkeys(slices))
    if not slices:
        raise InvalidTable(subject(table), f"no slice is named; name a column for it, at least the label's, {label!r}")
    pairs = paired(table, label, teacher, student, slices, group)
    return of_worst_slice(pairs, slices, _share("threshold", threshold), fewest)


def churn(
    table: Any, label: str, teacher: str, student: str, *, group: str | None = None, threshold: float = 0.05
) -> CheckResult:
    """Churn: the share of rows that the teacher has right and the student wrong, whatever it gains elsewhere.

    The evidence divides the rows by who is right, and says where both give the same answer: agreement with the teacher
    is another thing than agreement with the labels, since a student may learn the teacher's errors.

    Args:
        table: As `check_distillation` takes it, and so are all columns.
        label: The column of right answers.
        teacher: The column of the teacher's answers.
        student: The column of the student's answers.
        group: The column that says which rows belong together.
        threshold: The share that may be lost.

    Raises:
        InvalidTable: If a column is missing or cannot be used.
        InvalidSetting: If the threshold is no share.
    """
    return of_churn(paired(table, label, teacher, student, (), group), _share("threshold", threshold))


def added_overconfidence(
    table: Any,
    label: str,
    teacher: str,
    student: str,
    teacher_confidence: str,
    student_confidence: str,
    *,
    group: str | None = None,
    threshold: float = 0.05,
) -> CheckResult:
    """How much more the student's mean confidence exceeds its accuracy than the teacher's exceeds the teacher's.

    A model may be too sure on some rows and too little on others, which a mean does not see.

    Args:
        table: As `check_distillation` takes it, and so are all columns.
        label: The column of right answers.
        teacher: The column of the teacher's answers.
        student: The column of the student's answers.
        teacher_confidence: The column of the probability that the teacher gives its answer.
        student_confidence: The same of the student.
        group: The column that says which rows belong together.
        threshold: How much surer it may be.

    Raises:
        InvalidTable: If a column is missing or cannot be used.
        InvalidSetting: If the threshold is no share.
    """
    pairs = paired(table, label, teacher, student, (), group, [teacher_confidence, student_confidence])
    return of_confidence(pairs, _share("threshold", threshold))


def _share(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise InvalidSetting(name, f"is a share from 0 to below 1, not {value}; two points are 0.02")
    return value
