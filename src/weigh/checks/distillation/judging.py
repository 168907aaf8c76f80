"""What a student lost, judged: a result for all rows, the worst slice, the rows that changed, and the confidence."""

from typing import Any

from weigh.checks.distillation.pairs import Pairs, Slice
from weigh.checks.multiple_tests import holm
from weigh.checks.paired_intervals import loss_interval, loss_p_value, mean_interval
from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tables import subject
from weigh.optional import needed

FEWEST_ROWS = 30
"""Slices of fewer rows are not searched."""

_LEVEL = 0.025
_FEWEST_GROUPS = 10
_FAR_BELOW = 0.1
_MOST_NAMED = 3
_SWAPPED = "the student is right more often than its teacher: were the two swapped?"


def of_all_rows(pairs: Pairs, threshold: float) -> CheckResult:
    """The accuracy that was lost over all rows."""
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
        notes=(*pairs.notes, *_few_groups(pairs, [whole]), *((_SWAPPED,) if high < 0 else ())),
    )


def of_worst_slice(pairs: Pairs, columns: list[str], threshold: float, fewest: int = FEWEST_ROWS) -> CheckResult:
    """The accuracy that was lost in the slice that is guilty, or would be first, of all slices of some columns."""
    whole, every = pairs.whole(), [one for column in columns for one in pairs.slices(column)]
    searched = [one for one in every if one.rows >= fewest and _has_groups(pairs, one)]
    highs = dict(zip((one.name for one in every), _ends(pairs, every, _LEVEL)[1].tolist(), strict=True))
    lows, p = {}, {}
    if searched:
        names = [one.name for one in searched]
        lows = dict(zip(names, _ends(pairs, searched, _LEVEL / len(searched))[0].tolist(), strict=True))
        p = dict(zip(names, holm(_p_values(pairs, searched, threshold)), strict=True))
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


def of_churn(pairs: Pairs, threshold: float) -> CheckResult:
    """The rows that were right and are wrong."""
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


def of_confidence(pairs: Pairs, threshold: float) -> CheckResult:
    """The confidence that was added beyond accuracy."""
    import numpy as np

    names = [f"__weigh {name}" for name in ("rows", "excess", "teacher is sure", "student is sure")]
    if pairs.group:
        sums, _ = pairs.sums(pairs.group, names)
    else:
        sums = np.stack([pairs.frame[name].to_numpy() for name in names], axis=1)
    units, rows = len(sums), float(sums[:, 0].sum())
    excess, *sure = (float(total) / rows for total in sums[:, 1:].sum(0))
    right = [float(np.mean(one)) for one in (pairs.teacher, pairs.student)]
    unit, fewest = ("groups", _FEWEST_GROUPS) if pairs.group else ("rows", FEWEST_ROWS)
    low = high = float("nan")
    if units >= fewest:
        low, high = mean_interval(sums[:, 1], sums[:, 0], _LEVEL)
    return CheckResult(
        check="added overconfidence",
        figure=Figure(
            "overconfidence of the student beyond its teacher's", excess, low, high,
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
