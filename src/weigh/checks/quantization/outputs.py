"""What quantization did to the answers: those that flipped, and what became of accuracy, confidence and probes."""

import math
from typing import Any

from weigh.checks.class_probabilities import confidence
from weigh.checks.confidence_buckets import borders, buckets
from weigh.checks.paired_answers import answers
from weigh.checks.paired_intervals import loss_interval, mean_interval
from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tables import is_missing, read, subject
from weigh.errors import InvalidTable

_FEWEST = 20
_BINS = 15
_LONGEST = 40  # characters of an answer that a table shows


def flipped_answers(
    table: Any, before: str = "before", after: str = "after", *, threshold: float = 0.01
) -> CheckResult:
    """Flipped answers: the share of rows that the model answers differently after quantization, right or wrong.

    Args:
        table: A path or a frame with a row for each question that both were asked.
        before: The column of answers before: classes, tokens or texts.
        after: The column of answers after.
        threshold: The largest share that passes.

    Raises:
        InvalidTable: If a column is missing, holds no answers, or a value is missing.
    """
    given = answers(read(table, [before, after]), table, [before, after], mixed=True)
    old, new = given.columns
    flipped = _where(old != new)
    return CheckResult(
        check="flipped answers",
        figure=Figure.share("share of answers that flipped", len(flipped), len(old)),
        threshold=threshold,
        reason="at one in a hundred, whoever asks 69 questions has an even chance to meet one",
        evidence=first({"row": row + 1, "before": _cell(old[row]), "after": _cell(new[row])} for row in flipped[:10]),
        cost={"rows": len(old)},
        notes=given.notes,
    )


def lost_accuracy(
    table: Any, label: str, before: str = "before", after: str = "after", *, threshold: float = 0.01
) -> CheckResult:
    """Lost accuracy: how much smaller the share of right answers is after quantization, of the same rows.

    The interval is that of Tango's score test for matched pairs (1998, Statistics in Medicine 17, 891).

    Args:
        table: A path or a frame, as `flipped_answers` takes it.
        label: The column of right answers.
        before: The column of answers before.
        after: The column of answers after.
        threshold: The largest loss that passes.

    Raises:
        InvalidTable: If a column is missing or holds no answers, or a value is missing.
    """
    names = [label, before, after]
    given = answers(read(table, names), table, names, mixed=True)
    right, old, new = given.columns
    rows = len(right)
    spoiled, mended = _where((old == right) & (new != right)), _where((old != right) & (new == right))
    lost = (len(spoiled) - len(mended)) / rows
    low, high = (float(end) for end in loss_interval(len(spoiled), len(mended), rows))
    was, other = int((old == right).sum()), len(_where((old != right) & (new != right) & (old != new)))
    return CheckResult(
        check="lost accuracy",
        figure=Figure("accuracy lost", lost, low, high, "95 %, paired score"),
        threshold=threshold,
        reason="a point of accuracy is what a smaller model would be given for",
        evidence=first(
            {"row": row + 1, "label": _cell(right[row]), "before": _cell(old[row]), "after": _cell(new[row])}
            for row in spoiled[:10]
        ),
        cost={"rows": rows},
        notes=(
            f"right before {was / rows:.1%}, after {was / rows - lost:.1%}: {len(spoiled):,} right answers became "
            f"wrong, {len(mended):,} wrong ones right, {other:,} wrong ones otherwise wrong",
            *given.notes,
        ),
    )


def confidence_shift(
    table: Any,
    label: str,
    before_confidence: str,
    after_confidence: str,
    before: str = "before",
    after: str = "after",
    *,
    threshold: float = 0.02,
) -> CheckResult:
    """Confidence shift: by how much mean confidence minus accuracy changed, of the same rows.

    The notes have the expected calibration error before and after, in 15 bins of equally many rows.

    Args:
        table: A path or a frame, as `flipped_answers` takes it.
        label: The column of right answers.
        before_confidence: The column of the probability that was given to the answer before.
        after_confidence: The same after.
        before: The column of answers before.
        after: The column of answers after.
        threshold: The largest shift that passes, up or down.

    Raises:
        InvalidTable: If a column is missing or cannot be used.
    """
    import numpy as np

    frame = read(table, [label, before, after, before_confidence, after_confidence])
    given = answers(frame, table, [label, before, after], mixed=True)
    right = [(one == given.columns[0]).astype(float) for one in given.columns[1:]]
    chances = [confidence(frame, table, name) for name in (before_confidence, after_confidence)]
    shifts = (chances[1] - right[1]) - (chances[0] - right[0])
    found, low, high, notes = float(shifts.mean()), math.nan, math.nan, list(given.notes)
    if len(shifts) >= _FEWEST:
        low, high = (float(end) for end in mean_interval(shifts))
        if low < 0 < high:
            low, high = 0.0, max(-low, high)
        low, high = sorted((abs(low), abs(high)))
    else:
        notes.append(f"{len(shifts)} rows are too few for an interval; {_FEWEST} are needed")
    errors = [buckets(one, other, borders(one, _BINS, "quantile")).error
              for one, other in zip(chances, right, strict=True)]  # fmt: skip
    gaps = [float((one - other).mean()) for one, other in zip(chances, right, strict=True)]
    most = np.argsort(-np.abs(chances[1] - chances[0]), kind="stable")[:10]
    return CheckResult(
        check="confidence shift",
        figure=Figure("change of mean confidence minus accuracy", abs(found), low, high, "95 %, Student's t, paired"),
        threshold=threshold,
        reason="a limit that was set on the old confidence then lets other answers through",
        evidence=first(
            {"row": int(row) + 1, "confidence before": float(chances[0][row]), "after": float(chances[1][row])}
            for row in most
        ),
        cost={"rows": len(shifts)},
        notes=(
            f"mean confidence minus accuracy {gaps[0]:+.3f} before, {gaps[1]:+.3f} after; expected calibration error "
            f"{errors[0]:.3f} and {errors[1]:.3f}",
            *notes,
        ),
    )


def failed_probes(table: Any, probe: str, before: str = "before", after: str = "after") -> CheckResult:
    """Failed probes: rows with a required answer that the model gave before quantization and no longer gives.

    Probes are questions to be refused, words to be blocked, rules to be kept. Each is counted, for there are few, and
    none may fail.

    Args:
        table: A path or a frame, as `flipped_answers` takes it.
        probe: The column of required answers, empty in rows that are no probes.
        before: The column of answers before.
        after: The column of answers after.

    Raises:
        InvalidTable: If a column is missing, or no row has a required answer.
    """
    import numpy as np

    frame = read(table, [probe, before, after])
    has_answer = [not is_missing(value) for value in frame[probe].to_list()]
    rows = np.flatnonzero(has_answer).tolist()
    if not rows:
        raise InvalidTable(subject(table), f"column {probe!r} is empty; give probe rows the answer that is required")
    answers(frame, table, [before, after], mixed=True)  # no answer may be missing, in whatever row
    given = answers(frame.filter(has_answer), table, [probe, before, after], mixed=True)
    wanted, old, new = given.columns
    held = old == wanted
    failed = np.flatnonzero(held & (new != wanted))
    return CheckResult(
        check="failed probes",
        figure=Figure.exact("probes that passed before and fail after", len(failed)),
        threshold=0,
        reason="a probe stands for an answer that must not change",
        evidence=first(
            {"row": rows[place] + 1, "required": _cell(wanted[place]), "before": _cell(old[place]),
             "after": _cell(new[place])}
            for place in failed[:10]
        ),
        cost={"probes": len(rows)},
        notes=(
            f"of {len(rows):,} probes {int(held.sum()):,} passed before and {int((new == wanted).sum()):,} after; "
            f"{int((~held & (new == wanted)).sum()):,} were mended",
            *given.notes,
        ),
    )  # fmt: skip


def _where(mask: Any) -> Any:
    import numpy as np

    return np.flatnonzero(mask)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value[:_LONGEST].split())
    return int(value) if float(value).is_integer() else float(value)
