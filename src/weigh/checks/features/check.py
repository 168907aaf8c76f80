"""Checks of features: does a column encode the answer, alone, as an id, or by the order of the rows?"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weigh.checks.features.declarations import Known, declaration, known_columns
from weigh.checks.features.out_of_fold import Problem, Task
from weigh.checks.features.prediction_time import importance_of_unknown, late_counts, late_found
from weigh.checks.features.problems import problem
from weigh.checks.features.ranks import Column
from weigh.checks.results import CheckReport, CheckResult, Figure, first
from weigh.checks.tables import scan, select
from weigh.errors import InvalidDeclaration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_HALFWAY = {"AUC": 0.75, "R²": 0.5}
_A_FIFTH = {"AUC": 0.6, "R²": 0.2}


def check_features(
    table: Any,
    target: str,
    *,
    known: Known | Iterable[str] | str | Path | None = None,
    time: str | None = None,
    features: Iterable[str] | None = None,
    groups: str | None = None,
    task: Task | None = None,
    most_rows: int = 50_000,
    seed: int = 0,
) -> CheckReport:
    """All checks of features for the answer: alone, as ids, by the order of rows, and as known at prediction time.

    Args:
        table: A path or a frame: CSV, Parquet, Arrow, pandas, Polars, DuckDB, Dask.
        target: The column with the answer.
        known: What is known at prediction time: a mapping from column to true, false or the column that says when its
            value became known; a JSON or TOML file with one; or the names of the columns that are known.
        time: The column with the time of the prediction. It is no feature.
        features: The columns that a model takes; all others without it.
        groups: The column that says which rows belong together. It is no feature.
        task: `classes` or `number`. Without it, text, truth values and up to ten whole numbers are classes.
        most_rows: Of a longer table, so many rows are drawn for the models.
        seed: Of the draw, the folds, the models and the resamples.

    Raises:
        NotFound: If there is no such file.
        InvalidTable: If the table cannot be read, lacks a column, has a missing answer or too few rows or classes.
        InvalidDeclaration: If what is declared cannot be read, or is about another table.
    """
    declared = declaration(known)
    if time is not None:
        select(scan(table), table, [time])
    whens = {when for when in declared.values() if isinstance(when, str)}
    if whens and time is None:
        raise InvalidDeclaration(
            "the declaration", f"column {min(whens)!r} says when; name the column with the time of prediction, --time"
        )
    total, late = late_counts(table, declared, time) if whens and time is not None else (0, {})
    read = problem(
        table, target, features=features, exclude={*whens, *([time] if time else [])}, groups=groups, task=task,
        most_rows=most_rows, seed=seed,
    )  # fmt: skip
    # A column that came too late in one row is not known when a model serves.
    served = declared | {name: False for name, (late_rows, _) in late.items() if late_rows}
    known_names = known_columns(served, read.columns, read.where)
    results = [
        _telling(read, known_names, {name for name in served if served[name] is False}, None),
        _identifying(read, known_names, None),
        _ordering(read, None),
        importance_of_unknown(read, served),
        *([late_found(declared, total, late)] if late else []),
    ]
    return CheckReport("features", read.where, tuple(results))


def telling_features(
    table: Any,
    target: str,
    *,
    known: Known | Iterable[str] | str | Path | None = None,
    threshold: float | None = None,
    **settings: Any,
) -> CheckResult:
    """The column that tells most of the answer alone, against what the others tell together.

    A shallow tree is fitted on each column, and judged out of fold by AUC, or by R² where the answer is a number.
    Categories are target-encoded with cross-fitting. The interval is for all columns at once (Bonferroni).

    Args:
        table: A path or a frame, as `check_features` takes it.
        target: The column with the answer.
        known: What is known at prediction time. Such columns are not under suspicion, and only they are the others.
        threshold: The least score that is suspicious; halfway from chance to certainty without it.
        settings: `features`, `groups`, `task`, `most_rows` and `seed`, as `check_features` has them.

    Raises:
        InvalidTable: If the table cannot be read, lacks a column, has a missing answer or too few rows or classes.
        InvalidDeclaration: If what is declared cannot be read, or is about another table.
    """
    read, declared = problem(table, target, **settings), declaration(known)
    return _telling(
        read,
        known_columns(declared, read.columns, read.where),
        {name for name in declared if declared[name] is False},
        threshold,
    )


def telling_identifiers(
    table: Any,
    target: str,
    *,
    known: Known | Iterable[str] | str | Path | None = None,
    threshold: float | None = None,
    **settings: Any,
) -> CheckResult:
    """The column that names rows, and tells most of the answer: text or whole numbers of which 95 % occur once.

    Args:
        table: A path or a frame, as `check_features` takes it.
        target: The column with the answer.
        known: What is known at prediction time. Such columns are not under suspicion.
        threshold: The score that an id may have; a fifth of the way from chance to certainty without it.
        settings: `features`, `groups`, `task`, `most_rows` and `seed`, as `check_features` has them.

    Raises:
        InvalidTable: If the table cannot be read, lacks a column, has a missing answer or too few rows or classes.
        InvalidDeclaration: If what is declared cannot be read, or is about another table.
    """
    read = problem(table, target, **settings)
    return _identifying(read, known_columns(declaration(known), read.columns, read.where), threshold)


def row_order(table: Any, target: str, *, threshold: float | None = None, **settings: Any) -> CheckResult:
    """What the place of a row in the table tells of its answer.

    Args:
        table: A path or a frame, as `check_features` takes it.
        target: The column with the answer.
        threshold: The score that the row number may have; halfway from chance to certainty without it.
        settings: `features`, `groups`, `task`, `most_rows` and `seed`, as `check_features` has them.

    Raises:
        InvalidTable: If the table cannot be read, lacks a column, has a missing answer or too few rows or classes.
    """
    return _ordering(problem(table, target, **settings), threshold)


def _telling(read: Problem, known: set[str], unknown: set[str], threshold: float | None) -> CheckResult:
    floor = _HALFWAY[read.score_name] if threshold is None else threshold
    suspects = {name: column for name, column in read.columns.items() if name not in known}
    if not suspects:
        none = Figure.exact("columns that are not declared known", 0)
        return CheckResult("telling features", none, 0, "columns that are known may tell what they do")
    said = {name: read.alone(column) for name, column in suspects.items()}
    scores = _ranking(read, said)
    strongest = next(iter(scores))
    others = sorted(known) if known else [name for name in read.columns if name != strongest]
    draws, limit, models = read.resamples, floor, len(suspects)
    beyond = read.score(said[strongest], draws)
    if scores[strongest] > floor and others:
        # A small table may teach one of the others more than all of them together.
        rivals = [
            read.together(others),
            *(said[name] if name in said else read.alone(read.columns[name]) for name in others),
        ]
        models += 1 + len(set(others) - set(said))
        rival = max(rivals, key=lambda rival: float(read.score(rival)[0]))
        limit = max(floor, float(read.score(rival)[0]))
        if limit > floor:
            # Both are judged on the same rows, so what the rows have in common falls out of the difference.
            beyond = beyond - read.score(rival, draws)
    what = f"the {len(others)} known ones" if known else f"the other {len(others)}"
    return CheckResult(
        check="telling features",
        figure=read.figure(f"{read.score_name} of {strongest!r} alone", scores[strongest], beyond, len(suspects)),
        threshold=limit,
        reason=f"one column should not tell more than {what} together, or than halfway to certainty ({floor:g})"
        if threshold is None
        else f"what was asked for ({floor:g}), or what {what} tell together",
        evidence=_evidence(read, scores, unknown),
        cost={"rows": len(read.answer), "models fitted": models * read.fold_count, "resamples": len(draws)},
        notes=(*read.notes, *read.few),
    )


def _identifying(read: Problem, known: set[str], threshold: float | None) -> CheckResult:
    limit = _A_FIFTH[read.score_name] if threshold is None else threshold
    reason = "an id names a row and says nothing of it: what it tells is how ids were given out"
    ids = {name: column for name, column in read.columns.items() if column.identifier and name not in known}
    if not ids:
        none = Figure.exact("columns that name a row", 0)
        return CheckResult("telling identifiers", none, 0, reason, cost={"rows": len(read.answer)})
    said, draws = {name: read.alone(column) for name, column in ids.items()}, read.resamples
    scores = _ranking(read, said)
    most = next(iter(scores))
    return CheckResult(
        check="telling identifiers",
        figure=read.figure(
            f"{read.score_name} of {most!r} alone", scores[most], read.score(said[most], draws), len(ids)
        ),
        threshold=limit,
        reason=reason,
        evidence=_evidence(read, scores, set()),
        cost={"rows": len(read.answer), "models fitted": len(ids) * read.fold_count, "resamples": len(draws)},
        notes=read.few,
    )


def _ordering(read: Problem, threshold: float | None) -> CheckResult:
    said = read.alone(Column("row", read.places.astype(float), category=False, identifier=True))
    draws = read.resamples
    name = f"{read.score_name} of the row number alone"
    return CheckResult(
        check="row order",
        figure=read.figure(name, float(read.score(said)[0]), read.score(said, draws)),
        threshold=_HALFWAY[read.score_name] if threshold is None else threshold,
        reason="rows that stand in the order of the answer give it to every column that counts them",
        cost={"rows": len(read.answer), "models fitted": read.fold_count, "resamples": len(draws)},
        notes=read.few,
    )


def _ranking(read: Problem, said: "dict[str, Floats]") -> dict[str, float]:
    """The score of each column, the best first; of equals, the first in the table."""
    scores = {name: float(read.score(predicted)[0]) for name, predicted in said.items()}
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def _evidence(read: Problem, scores: dict[str, float], unknown: set[str]) -> tuple[Any, ...]:
    kinds = {
        name: "id" if c.identifier else "category" if c.category else "ordered" for name, c in read.columns.items()
    }
    return first(
        {"column": name, f"{read.score_name} alone": score, "kind": kinds[name], "known": _word(name, unknown)}
        for name, score in scores.items()
    )


def _word(name: str, unknown: set[str]) -> str:
    return "no" if name in unknown else "not declared"
