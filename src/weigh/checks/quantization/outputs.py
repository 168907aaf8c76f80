"""What quantization did to the answers: those that flipped, and what became of accuracy, confidence and probes."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tables import complete, numbers, read, subject
from weigh.errors import InvalidTable
from weigh.optional import needed

if TYPE_CHECKING:
    import narwhals as nw

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
    answers = _answers(table, [before, after])
    old, new = answers.columns
    flipped = _where(old != new)
    return CheckResult(
        check="flipped answers",
        figure=Figure.share("share of answers that flipped", len(flipped), len(old)),
        threshold=threshold,
        reason="at one in a hundred, whoever asks 69 questions has an even chance to meet one",
        evidence=first({"row": row + 1, "before": _cell(old[row]), "after": _cell(new[row])} for row in flipped[:10]),
        cost={"rows": len(old)},
        notes=answers.notes,
    )


def lost_accuracy(
    table: Any, label: str, before: str = "before", after: str = "after", *, threshold: float = 0.01
) -> CheckResult:
    """Lost accuracy: how much smaller the share of right answers is after quantization, of the same rows.

    The interval is the adjusted Wald interval for matched pairs (Agresti and Min 2005, Statistics in Medicine 24).

    Args:
        table: A path or a frame, as `flipped_answers` takes it.
        label: The column of right answers.
        before: The column of answers before.
        after: The column of answers after.
        threshold: The largest loss that passes.

    Raises:
        InvalidTable: If a column is missing or holds no answers, or a value is missing.
    """
    answers = _answers(table, [label, before, after])
    right, old, new = answers.columns
    rows = len(right)
    spoiled, mended = _where((old == right) & (new != right)), _where((old != right) & (new == right))
    lost = (len(spoiled) - len(mended)) / rows
    middle = (len(spoiled) - len(mended)) / (rows + 2)
    spread = 1.96 * math.sqrt((len(spoiled) + len(mended) + 1) / (rows + 2) - middle**2) / math.sqrt(rows + 2)
    was, other = int((old == right).sum()), len(_where((old != right) & (new != right) & (old != new)))
    return CheckResult(
        check="lost accuracy",
        figure=Figure(
            "accuracy lost", lost, min(lost, middle - spread), max(lost, middle + spread), "95 %, Agresti–Min, paired"
        ),
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
            *answers.notes,
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
    answers = _answers(frame, [label, before, after], table)
    right = [(one == answers.columns[0]).astype(float) for one in answers.columns[1:]]
    chances = [_chances(frame, table, name) for name in (before_confidence, after_confidence)]
    shifts = (chances[1] - right[1]) - (chances[0] - right[0])
    found, low, high, notes = float(shifts.mean()), math.nan, math.nan, list(answers.notes)
    if len(shifts) >= _FEWEST:
        spread = 1.96 * float(shifts.std(ddof=1)) / math.sqrt(len(shifts))
        low, high = found - spread, found + spread
        if low < 0 < high:
            low, high = 0.0, max(-low, high)
        low, high = sorted((abs(low), abs(high)))
    else:
        notes.append(f"{len(shifts)} rows are too few for an interval; {_FEWEST} are needed")
    errors = [calibration_error(one, other) for one, other in zip(chances, right, strict=True)]
    gaps = [float((one - other).mean()) for one, other in zip(chances, right, strict=True)]
    most = np.argsort(-np.abs(chances[1] - chances[0]), kind="stable")[:10]
    return CheckResult(
        check="confidence shift",
        figure=Figure("change of mean confidence minus accuracy", abs(found), low, high, "95 %, normal, paired"),
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
    required = [None if value is None or value != value or value == "" else value for value in frame[probe].to_list()]
    rows = [row for row, value in enumerate(required) if value is not None]
    if not rows:
        raise InvalidTable(subject(table), f"column {probe!r} is empty; give probe rows the answer that is required")
    answers = _answers(frame, [before, after], table, extra=[required[row] for row in rows])
    old, new = (one[rows] for one in answers.columns)
    wanted = answers.extra
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
            *answers.notes,
        ),
    )  # fmt: skip


def calibration_error(confidence: Any, right: Any, bins: int = _BINS) -> float:
    """Expected calibration error, in bins of equally many rows: arrays of shape (rows,)."""
    import numpy as np

    order = np.argsort(confidence, kind="stable")
    gaps = np.add.reduceat((confidence - right)[order], np.unique(np.arange(bins) * len(order) // bins))
    return float(np.abs(gaps).sum() / len(order))


@dataclass(frozen=True)
class _Answers:
    """Columns of answers in one type, so that they can be compared. Shapes (rows,).

    Attributes:
        columns: An array for each.
        extra: Further values in the same type.
        notes: What was done to them.
    """

    columns: list[Any]
    extra: Any
    notes: tuple[str, ...]


def _answers(table: Any, names: list[str], source: Any = None, extra: list[Any] | None = None) -> _Answers:
    """Columns as answers.

    Raises:
        InvalidTable: If one is missing, or is no class, token or text.
    """
    source = table if source is None else source
    with needed(subject(source)):
        import numpy as np
    frame = read(table, names)
    are_numbers = [_is_number(frame, name) for name in names]
    more = [] if extra is None else extra
    if all(are_numbers) and all(isinstance(value, int | float) for value in more):
        columns = [numbers(frame, source, name) for name in names]
        for name, values in zip(names, columns, strict=True):
            _refuse_fractions(source, name, values)
        return _Answers(columns, np.asarray(more, float), ())
    columns = [_texts(frame, source, name) for name in names]
    mixed = any(are_numbers)
    notes = ("some of the columns are numbers and others text: all are compared as text",) if mixed else ()
    return _Answers(columns, np.asarray([_text(value) for value in more], object), notes)


def _is_number(frame: "nw.DataFrame[Any]", name: str) -> bool:
    kind = frame[name].dtype
    return kind.is_numeric() or str(kind) == "Boolean"


def _refuse_fractions(source: Any, name: str, values: Any) -> None:
    import numpy as np

    wrong = np.flatnonzero(values != np.floor(values))
    if len(wrong):
        raise InvalidTable(
            subject(source),
            f"row {wrong[0] + 1} of column {name!r} is {values[wrong[0]]:g}, which is no class, token or text; "
            "compare numbers by how far they are apart, or round them",
        )


def _texts(frame: "nw.DataFrame[Any]", source: Any, name: str) -> Any:
    import numpy as np

    if _is_number(frame, name):
        values = numbers(frame, source, name)
        _refuse_fractions(source, name, values)
        return np.asarray([_text(value) for value in values.tolist()], object)
    values = complete(frame, source, name)
    wrong = next((row for row, value in enumerate(values) if not isinstance(value, str | int | float)), None)
    if wrong is not None:
        kind = type(values[wrong]).__name__
        raise InvalidTable(
            subject(source), f"row {wrong + 1} of column {name!r} is of type {kind}; give classes, tokens or texts"
        )
    return np.asarray([_text(value) for value in values], object)


def _text(value: Any) -> str:
    """An answer as text: whole numbers without their decimals, as CSV has them."""
    return str(int(value)) if isinstance(value, int | float) and value % 1 == 0 else str(value)


def _chances(frame: "nw.DataFrame[Any]", source: Any, name: str) -> Any:
    import numpy as np

    values = numbers(frame, source, name)
    wrong = np.flatnonzero((values < 0) | (values > 1))
    if len(wrong):
        raise InvalidTable(
            subject(source),
            f"row {wrong[0] + 1} of column {name!r} is {values[wrong[0]]:g}, and {len(wrong):,} in all; give "
            "probabilities from 0 to 1",
        )
    return values


def _where(mask: Any) -> Any:
    import numpy as np

    return np.flatnonzero(mask)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value[:_LONGEST].split())
    return int(value) if float(value).is_integer() else float(value)
