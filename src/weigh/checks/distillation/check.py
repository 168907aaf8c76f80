"""Checks of a distilled student: how much it lost overall, in its worst slice, item by item, and in how sure it is."""

from collections.abc import Iterable
from typing import Any

from weigh.checks.distillation.pairs import Pairs, Slice, paired
from weigh.checks.paired_intervals import loss_interval, loss_p_value
from weigh.checks.results import CheckReport, CheckResult, Figure, first
from weigh.checks.tables import subject
from weigh.errors import InvalidSetting, InvalidTable
from weigh.optional import needed

_LEVEL = 0.025
_FEWEST_ROWS = 30
_FEWEST_GROUPS = 10
_FAR_BELOW = 0.1
_MOST_NAMED = 3


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
    results = [_aggregate(pairs, allowed), _worst_slice(pairs, slices, allowed_in_slice), _churn(pairs, allowed_churn)]
    if sure:
        results.append(_added_overconfidence(pairs, 0.05))
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
    return _aggregate(paired(table, label, teacher, student, (), group), _share("threshold", threshold))


def worst_slice_drop(
    table: Any,
    label: str,
    teacher: str,
    student: str,
    slices: Iterable[str],
    *,
    group: str | None = None,
    threshold: float = 0.05,
    fewest: int = _FEWEST_ROWS,
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
    return _worst_slice(pairs, slices, _share("threshold", threshold), fewest)


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
    return _churn(paired(table, label, teacher, student, (), group), _share("threshold", threshold))


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
    return _added_overconfidence(pairs, _share("threshold", threshold))


def _aggregate(pairs: Pairs, threshold: float) -> CheckResult:
    whole = pairs.whole()
    ((low,), (high,)) = _ends(pairs, [whole], _LEVEL).tolist()
    return CheckResult(
        check="aggregate drop",
        figure=Figure("accuracy that the student lost", whole.drop, low, high, f"95 %, paired score over {pairs.unit}"),
        threshold=threshold,
        reason="what one gives up for the smaller model, as was allowed",
        evidence=(
            {"model": "teacher", "right": whole.teacher, "accuracy": whole.teacher / whole.rows},
            {"model": "student", "right": whole.student, "accuracy": whole.student / whole.rows},
        ),
        cost={"rows": whole.rows},
        notes=_few_groups(pairs, [whole]),
    )


def _worst_slice(pairs: Pairs, columns: list[str], threshold: float, fewest: int = _FEWEST_ROWS) -> CheckResult:
    with needed(subject(pairs.source)):
        from statsmodels.stats.multitest import multipletests

    whole, every = pairs.whole(), [one for column in columns for one in pairs.slices(column)]
    searched = [one for one in every if one.rows >= fewest and _has_groups(pairs, one)]
    highs = dict(zip((one.name for one in every), _ends(pairs, every, _LEVEL)[1].tolist(), strict=True))
    lows, p = {}, {}
    if searched:
        names = [one.name for one in searched]
        lows = dict(zip(names, _ends(pairs, searched, _LEVEL / len(searched))[0].tolist(), strict=True))
        chances = _p_values(pairs, searched, threshold)
        p = dict(zip(names, multipletests(chances, method="holm")[1].tolist(), strict=True))
    # The slice that is guilty, or would be first: not the one that lost most, which is a small one by chance.
    every.sort(key=lambda one: (-lows.get(one.name, -1.0), -one.drop))
    worst, high = every[0], max(highs.values())
    small = [one.name for one in every if one.name not in lows]
    notes = [f"overall the student lost {whole.drop:.1%}"]
    if small:
        notes.append(f"too small to search, with fewer than {fewest} rows or {_FEWEST_GROUPS} groups: {_names(small)}")
    unclear = [one.name for one in every if highs[one.name] > threshold >= lows.get(one.name, -1.0)]
    if unclear and lows.get(worst.name, -1.0) <= threshold:
        notes.append(f"not acquitted, for want of rows: {_names(unclear)}")
    notes += [*_few_groups(pairs, [whole]), *_weak_teacher(whole, searched)]
    return CheckResult(
        check="worst slice drop",
        figure=Figure(
            f"accuracy lost in {worst.name}", worst.drop, lows.get(worst.name, -1.0), high,
            f"95 % for the largest loss in {len(every):,} slices",
        ),
        threshold=threshold,
        reason="a loss that only some users meet may be larger than one for all, but not without limit",
        evidence=first(
            {"slice": one.name, "rows": one.rows, "teacher": one.teacher / one.rows, "student": one.student / one.rows,
             "lost": one.drop, "low": lows.get(one.name, -1.0), "high": highs[one.name],
             "p, Holm": p.get(one.name, 1.0)}
            for one in every
        ),
        cost={"rows": whole.rows, "slices": len(every), "searched": len(searched)},
        notes=tuple(notes),
    )  # fmt: skip


def _churn(pairs: Pairs, threshold: float) -> CheckResult:
    with needed(subject(pairs.source)):
        from statsmodels.stats.proportion import proportion_confint

    whole = pairs.whole()
    effect = whole.loss_effect
    low, high = proportion_confint(whole.lost / effect, whole.rows / effect, 2 * _LEVEL, method="wilson")
    both_wrong = whole.rows - whole.teacher - whole.gained
    parts = {
        ("right", "right"): whole.teacher - whole.lost,
        ("right", "wrong"): whole.lost,
        ("wrong", "right"): whole.gained,
        ("wrong", "the same error"): whole.same_error,
        ("wrong", "another error"): both_wrong - whole.same_error,
    }
    copied = f"; of the teacher's {whole.rows - whole.teacher:,} errors it repeats {whole.same_error:,}"
    agreed = f"the student agrees with the teacher on {whole.agreed / whole.rows:.1%} of the rows"
    return CheckResult(
        check="churn",
        figure=Figure(
            "share of rows right by the teacher and wrong by the student", whole.lost / whole.rows, float(low),
            float(high), f"95 %, Wilson over {pairs.unit}",
        ),
        threshold=threshold,
        reason="an answer that was right and is wrong now is a regression to whoever needs it, whatever is gained",
        evidence=tuple(
            {"teacher": teacher, "student": student, "rows": count, "share": count / whole.rows}
            for (teacher, student), count in parts.items()
        ),
        cost={"rows": whole.rows},
        notes=(
            f"{agreed}, and with the labels on {whole.student / whole.rows:.1%}{copied}",
            *_few_groups(pairs, [whole]),
        ),
    )  # fmt: skip


def _added_overconfidence(pairs: Pairs, threshold: float) -> CheckResult:
    import numpy as np
    from scipy.stats import t

    names = [f"__weigh {name}" for name in ("rows", "excess", "teacher is sure", "student is sure")]
    if pairs.group:
        sums, _ = pairs.sums(pairs.group, names)
    else:
        sums = np.stack([pairs.frame[name].to_numpy() for name in names], axis=1)
    units, rows = len(sums), float(sums[:, 0].sum())
    excess, *sure = (float(total) / rows for total in sums[:, 1:].sum(0))
    right = [float(np.mean(one)) for one in (pairs.teacher, pairs.student)]
    spread, (unit, fewest) = float("nan"), ("groups", _FEWEST_GROUPS) if pairs.group else ("rows", _FEWEST_ROWS)
    if units >= fewest:
        of_units = ((sums[:, 1] - excess * sums[:, 0]) ** 2).sum() * units / (units - 1)
        spread = float(t.isf(_LEVEL, units - 1) * np.sqrt(of_units) / rows)
    return CheckResult(
        check="added overconfidence",
        figure=Figure(
            "overconfidence of the student beyond its teacher's", excess, excess - spread, excess + spread,
            f"95 %, Student's t over {pairs.unit}",
        ),
        threshold=threshold,
        reason="a limit on confidence that was set for the teacher lets so many more wrong answers pass",
        evidence=tuple(
            {"model": model, "accuracy": accuracy, "mean confidence": mean, "overconfidence": mean - accuracy}
            for model, accuracy, mean in zip(("teacher", "student"), right, sure, strict=True)
        ),
        cost={"rows": int(rows)},
        notes=() if units >= fewest else (f"{unit} are too few for an interval: {units}, and {fewest} are needed",),
    )  # fmt: skip


def _ends(pairs: Pairs, parts: list[Slice], level: float) -> Any:
    """The interval of what the student lost in each slice, from −1 to 1 where groups are too few: shape (2, slices)."""
    import numpy as np

    lost, gained, rows = _independent(parts)
    known = [_has_groups(pairs, one) for one in parts]
    return np.where(known, loss_interval(lost, gained, rows, level, _degrees(pairs, parts)), [[-1], [1]])


def _p_values(pairs: Pairs, parts: list[Slice], allowed: float) -> Any:
    lost, gained, rows = _independent(parts)
    return loss_p_value(lost, gained, rows, allowed, _degrees(pairs, parts))


def _independent(parts: list[Slice]) -> Any:
    """Lost, gained and all rows of each slice, as of independent rows: shape (3, slices)."""
    import numpy as np

    return np.array([[one.lost, one.gained, one.rows] for one in parts]).T / [one.difference_effect for one in parts]


def _degrees(pairs: Pairs, parts: list[Slice]) -> Any:
    import numpy as np

    return np.array([max(1, one.groups - 1) if pairs.group else np.inf for one in parts], dtype=float)


def _has_groups(pairs: Pairs, one: Slice) -> bool:
    return not pairs.group or one.groups >= _FEWEST_GROUPS


def _few_groups(pairs: Pairs, parts: list[Slice]) -> tuple[str, ...]:
    few = next((one for one in parts if not _has_groups(pairs, one)), None)
    return (f"groups are too few for an interval: {few.groups}, and {_FEWEST_GROUPS} are needed",) if few else ()


def _weak_teacher(whole: Slice, slices: list[Slice]) -> list[str]:
    """A slice in which there is little to lose."""
    weakest = min(slices, key=lambda one: one.teacher / one.rows, default=whole)
    there, overall = weakest.teacher / weakest.rows, whole.teacher / whole.rows
    if there > overall - _FAR_BELOW:
        return []
    return [f"the teacher itself is right on {there:.1%} of {weakest.name}, so that a student can lose little there"]


def _names(slices: list[str]) -> str:
    return ", ".join(slices[:_MOST_NAMED]) + (
        f" and {len(slices) - _MOST_NAMED:,} more" if len(slices) > _MOST_NAMED else ""
    )


def _share(name: str, value: float) -> float:
    if not 0 <= value < 1:
        raise InvalidSetting(name, f"is a share from 0 to below 1, not {value}; two points are 0.02")
    return value
