"""Label errors: rows whose label a model that has not seen it contradicts, by confident learning."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from warnings import catch_warnings, simplefilter

from weigh.checks.class_probabilities import labelled
from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tables import subject
from weigh.errors import InvalidTable
from weigh.optional import needed

_CONTRADICTED = 0.1
_FEWEST_PER_CLASS = 5


def label_errors(
    table: Any,
    label: str,
    probabilities: Mapping[Any, str] | str,
    *,
    threshold: float = 0.03,
    trusted: bool = False,
) -> CheckResult:
    """Label errors by confident learning: the share of rows that cleanlab would have reviewed, the likeliest first.

    Northcutt, Jiang, Chuang 2021, Journal of Artificial Intelligence Research 70, 1373. The probabilities have to be
    out-of-fold: each row's by a model that was fitted without it, as `cross_val_predict` gives them. Two signs that
    they are not fit for this widen the interval, so that the finding is undecided: no label has a probability below
    0.1, as if the model had seen them all; or the labels differ from the likeliest class far more often than the
    probabilities say they would, so that what is flagged may be the model's mistakes.

    Args:
        table: A path or a frame with a row for each labelled item.
        label: The column of labels.
        probabilities: The column with the probability of each class: `{"cat": "p_cat", "dog": "p_dog"}`; or the prefix
            of such columns, `p_`.
        threshold: The largest share of rows that may be flagged.
        trusted: Whether the probabilities are known to be out-of-fold and calibrated. No sign is then looked for.

    Raises:
        InvalidTable: If a column is missing, a label has no class, or the probabilities of a row do not add up to 1.
    """
    where = subject(table)
    with needed(where):
        import numpy as np
        from cleanlab.filter import find_label_issues

    found = labelled(table, label, probabilities)
    classes, given, chances = found.classes, found.given, found.chances
    if len(set(given.tolist())) < 2:
        raise InvalidTable(where, f"all rows have the label {classes[given[0]]!r}; label errors need two classes")
    with catch_warnings():
        simplefilter("ignore")  # of classes with few rows, which are named below
        # Not cleanlab's default rule: it cuts between rows of equal margin, in an order that depends on the processor.
        flagged = np.asarray(find_label_issues(given, chances, filter_by="confident_learning", n_jobs=1))
    own, likeliest = chances[np.arange(len(given)), given], chances.argmax(1)
    worst = np.flatnonzero(flagged)[np.lexsort((-chances.max(1)[flagged], own[flagged]))]
    figure = Figure.share("share of rows with a doubtful label", len(worst), len(flagged))
    notes = _small(classes, given)
    if not trusted:
        expected = 1 - chances.max(1)
        wrong, spread = int((likeliest != given).sum()), float(np.sqrt((expected * (1 - expected)).sum()))
        if own.min() >= _CONTRADICTED:
            figure = replace(figure, high=1.0, interval="open above: see the note")
            notes.append(
                f"no label has a probability below {_CONTRADICTED}, as if the model had seen them all: in-sample "
                "probabilities hide every error. Give out-of-fold ones, or say that these are, if they are"
            )
        elif wrong > 1.5 * expected.sum() and wrong - expected.sum() > 3 * spread:
            figure = replace(figure, low=0.0, interval="open below: see the note")
            notes.append(
                f"the likeliest class is not the label in {wrong:,} rows, and the probabilities expect "
                f"{expected.sum():,.0f}: flags may be the model's mistakes. Calibrate it, or take a better one"
            )
    return CheckResult(
        check="label errors",
        figure=figure,
        threshold=threshold,
        reason="test sets in common use have 3.3 % of wrong labels on average (Northcutt and others 2021)",
        evidence=first(
            {"row": int(row) + 1, "label": classes[given[row]], "its probability": float(own[row]),
             "likeliest": classes[likeliest[row]], "probability": float(chances[row, likeliest[row]])}
            for row in worst
        ),
        cost={"rows": len(given), "classes": len(classes), "rows to review": len(worst)},
        notes=tuple(notes),
    )  # fmt: skip


def _small(classes: list[str], given: Any) -> list[str]:
    import numpy as np

    counts = np.bincount(given, minlength=len(classes))
    small = [f"{name!r} ({count})" for name, count in zip(classes, counts, strict=True) if count < _FEWEST_PER_CLASS]
    return [f"too few rows to judge the labels of {', '.join(small[:3])}"] if small else []
