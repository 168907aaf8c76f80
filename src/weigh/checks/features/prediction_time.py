"""Checks of what a model uses against what is known when it predicts."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weigh.checks.features.declarations import Known, declaration, known_columns
from weigh.checks.features.out_of_fold import Problem
from weigh.checks.features.problems import problem
from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tables import rows, scan, select, subject
from weigh.errors import InvalidTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_REPEATS = 5
_MOST_HELD_OUT = 5_000


def unknown_at_prediction(
    table: Any,
    target: str,
    *,
    known: Known | Iterable[str] | str | Path | None,
    threshold: float = 0.01,
    **settings: Any,
) -> CheckResult:
    """What a model loses on held-out rows when all columns that are not declared known are shuffled.

    They are shuffled together, so that two copies of one column cannot stand in for each other. The evidence is the
    permutation importance of each column (Breiman 2001), by scikit-learn, on the rows of one fold.

    Args:
        table: A path or a frame, as `check_features` takes it.
        target: The column with the answer.
        known: What is known at prediction time.
        threshold: The loss of score that does not matter.
        settings: `features`, `exclude`, `groups`, `task`, `most_rows` and `seed`, as `problem` has them.

    Raises:
        InvalidTable: If the table cannot be read, lacks a column, has a missing answer or too few rows or classes.
        InvalidDeclaration: If what is declared cannot be read, or is about another table.
    """
    return importance_of_unknown(problem(table, target, **settings), declaration(known), threshold)


def importance_of_unknown(read: Problem, declared: Known, threshold: float = 0.01) -> CheckResult:
    """As `unknown_at_prediction`, of a table that is read."""
    columns = list(read.columns)
    known = known_columns(declared, columns, read.where)
    unknown = [place for place, name in enumerate(columns) if name not in known]
    values = read.matrix(columns)
    models = [read.boosted(columns, values, fold) for fold in range(read.fold_count)]
    name = f"{read.score_name} lost when they are shuffled"
    if not declared:
        figure = Figure(name, math.nan, math.nan, math.nan, "nothing is declared")
    elif not unknown:
        figure = Figure.exact(name, 0.0)
    else:
        shuffled = _shuffled(read, values, unknown)
        said = read.out_of_fold(lambda fold: (models[fold], values))
        without = read.out_of_fold(lambda fold: (models[fold], shuffled))
        lost, draws = float((read.score(said) - read.score(without))[0]), read.resamples
        figure = read.figure(name, lost, read.score(said, draws) - read.score(without, draws))
    strange = sorted(set(declared) - set(columns))
    return CheckResult(
        check="columns not known at prediction time",
        figure=figure,
        threshold=threshold,
        reason="what a model draws from a column that is empty when it serves is lost there",
        evidence=_importances(read, declared, values, models[0]),
        cost={
            "rows": len(read.answer),
            "models fitted": read.fold_count,
            "columns shuffled": len(unknown) * bool(declared),
        },
        notes=(
            *([] if declared else ["say which of these columns are known when the model predicts, and check again"]),
            *([f"declared, but no feature of the table: {', '.join(strange[:5])}"] if strange else []),
            *(read.few if declared else ()),
        ),
    )


def late_values(
    table: Any, *, known: Known | Iterable[str] | str | Path, time: str, threshold: float = 0.0
) -> CheckResult:
    """Values from the future: the share of rows in which a value became known after the prediction, of all rows.

    Args:
        table: A path or a frame, as `check_features` takes it.
        known: What is known at prediction time; for some columns, the column that says when their value became known.
        time: The column with the time of the prediction.
        threshold: The share of rows that may have such a value.

    Raises:
        InvalidTable: If a column is missing, there are no rows, or times cannot be compared.
        InvalidDeclaration: If what is declared cannot be read.
    """
    declared = declaration(known)
    return late_found(declared, *late_counts(table, declared, time), threshold)


def late_found(
    declared: Known, total: int, counted: Mapping[str, tuple[int, int]], threshold: float = 0.0
) -> CheckResult:
    """As `late_values`, of rows that are counted."""
    worst = next(iter(counted), None)
    share = counted[worst][0] / total if worst is not None else 0.0
    return CheckResult(
        check="values from the future",
        figure=Figure.exact(f"share of rows in which {worst!r} became known after the prediction", share),
        threshold=threshold,
        reason="one such row shows that the column may be filled once the answer is there",
        evidence=first(
            {"column": name, "late rows": late, "values without a time": undated, "time in": str(declared[name])}
            for name, (late, undated) in counted.items()
        ),
        cost={"rows": total},
    )


def late_counts(table: Any, declared: Known, time: str) -> tuple[int, Mapping[str, tuple[int, int]]]:
    """The rows of a table; then for each column with a time, the most late first, how many are late or have none."""
    import narwhals as nw

    whens = {name: when for name, when in declared.items() if isinstance(when, str)}
    frame = select(scan(table), table, [*whens, *whens.values(), time])
    schema = frame.collect_schema()
    texts = [name for name in dict.fromkeys([time, *whens.values()]) if schema[name] == nw.String]
    frame = frame.with_columns(nw.col(name).str.to_datetime() for name in texts)
    late = [(nw.col(when) > nw.col(time)).cast(nw.Int64).sum().alias(f"{name} late") for name, when in whens.items()]
    undated = [
        (~nw.col(name).is_null() & nw.col(when).is_null()).cast(nw.Int64).sum().alias(f"{name} undated")
        for name, when in whens.items()
    ]
    found = rows(frame.select(nw.len().alias("rows"), *late, *undated), table).row(0)
    total, numbers = int(found[0]), [int(number or 0) for number in found[1:]]
    if not total:
        raise InvalidTable(subject(table), "has no rows")
    counts = zip(whens, numbers[: len(whens)], numbers[len(whens) :], strict=True)
    return total, {name: (late, undated) for name, late, undated in sorted(counts, key=lambda row: -row[1])}


def _shuffled(read: Problem, values: "Floats", columns: list[int]) -> "Floats":
    """Values of which some columns are dealt out anew, row by row together, within each fold."""
    import numpy as np

    shuffled, rng = values.copy(), np.random.default_rng(read.seed)
    for fold in range(read.fold_count):
        held_out = np.flatnonzero(read.folds == fold)
        shuffled[held_out[:, None], columns] = values[rng.permutation(held_out)[:, None], columns]
    return shuffled


def _importances(read: Problem, declared: Known, values: "Floats", model: Any) -> tuple[Mapping[str, Any], ...]:
    """The columns by what a model loses on held-out rows when each is shuffled, the most important first."""
    import numpy as np
    from sklearn.inspection import permutation_importance

    scoring = "r2" if not read.classes else "roc_auc" if len(read.classes) == 2 else "roc_auc_ovr"
    held_out = np.flatnonzero(read.folds == 0)[:_MOST_HELD_OUT]
    found = permutation_importance(
        model, values[held_out], read.answer[held_out], scoring=scoring, n_repeats=_REPEATS, random_state=read.seed
    )
    means = dict(zip(read.columns, found.importances_mean.tolist(), strict=True))
    return first(
        {"column": name, f"{read.score_name} lost": mean, "known": _word(declared.get(name))}
        for name, mean in sorted(means.items(), key=lambda item: -item[1])
    )


def _word(declared: bool | str | None) -> str:
    return "not declared" if declared is None else "no" if declared is False else "yes"
