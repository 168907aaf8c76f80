"""Checks of a loss: whether it prefers the model that its users would."""

from collections.abc import Sequence
from typing import Any

from weigh.checks.losses.names import LOSSES, OBJECTIVES
from weigh.checks.losses.tokens import ignored_labels, moderate, settled, shifted_labels, token_and_sequence_mean
from weigh.checks.results import CheckReport, CheckResult, Figure, first
from weigh.checks.tables import complete, numbers, read, subject
from weigh.errors import InvalidSetting, InvalidTable
from weigh.optional import needed

_SHOWN = {
    "numbers": ("squared", "absolute", "huber", "quantile", "median", "p95", "bias"),
    "binary": ("log", "brier", "accuracy", "auc", "average-precision", "recall", "precision", "f1", "bias"),
    "queries": ("squared", "softmax", "ndcg", "reciprocal-rank", "top-1"),
}
"""The scores that stand side by side as evidence, for each kind of target."""

_FEWEST = 20
_FEWEST_OF_A_CLASS = 10


def check_losses(
    table: Any,
    *,
    target: str | None = None,
    predictions: Sequence[str] = (),
    loss: str | None = None,
    objective: str | None = None,
    group: str | None = None,
    sequence: str | None = None,
    token_loss: str | None = None,
    label: str | None = None,
    **settings: Any,
) -> CheckReport:
    """All checks of a loss that the columns of a table allow: of predictions, or of the losses of tokens.

    Args:
        table: A path or a frame: CSV, Parquet, Arrow, pandas, Polars, DuckDB, Dask.
        target: The column of what happened. With `predictions`, `loss` and `objective` it is asked whether the loss
            prefers the model that its users would.
        predictions: The columns of two or more models' predictions.
        loss: What the models were trained on.
        objective: What their users see.
        group: The column of the query, or of whom rows belong to.
        sequence: The column that says to which sequence, or micro-batch, a token belongs. With `token_loss` it is
            asked what a mean over tokens is.
        token_loss: The column of a token's loss, in nats.
        label: The column of its label; with it, ignored and shifted labels are looked for.
        settings: What else `loss_against_objective` or `token_and_sequence_mean` takes.

    Raises:
        InvalidTable: If a column is missing or cannot be used.
        InvalidSetting: If it is not clear what to ask, or a loss is unknown.
    """
    if sequence and token_loss:
        foreign = next((name for name in ("cut", "quantile", "delta", "at") if name in settings), None)
        if foreign:
            raise InvalidSetting(
                foreign, "is a setting of predictions, and the losses of tokens have none; leave it out"
            )
        results = [token_and_sequence_mean(table, sequence, token_loss, label=label, **settings)]
        if label:
            results += [
                ignored_labels(table, token_loss, label),
                shifted_labels(table, sequence, token_loss, label),
            ]
    elif target and predictions and loss and objective:
        results = [loss_against_objective(table, target, predictions, loss, objective, group=group, **settings)]
    else:
        asked = "give target, two predictions, loss and objective, or sequence and token loss"
        raise InvalidSetting(subject(table), f"it is not clear what to ask of it; {asked}")
    return CheckReport("losses", subject(table), tuple(results))


def loss_against_objective(
    table: Any,
    target: str,
    predictions: Sequence[str],
    loss: str,
    objective: str,
    *,
    group: str | None = None,
    threshold: float = 0.0,
    cut: float | None = None,
    quantile: float = 0.5,
    delta: float = 1.0,
    at: int | None = None,
    resamples: int = 400,
    seed: int = 0,
) -> CheckResult:
    """Loss against objective: what users would gain by another model than the one that the loss prefers.

    The figure is the largest gain, in units of the objective, so that it is above 0 where another model is better.
    Its interval comes from the standard error of paired bootstrap differences, at 95 % for all other models together
    (Bonferroni). Losses and metrics are those of scikit-learn, and so are their names, nearly: `quantile` is the
    pinball loss; `median` and `p95` are quantiles of the absolute error; `bias` is the absolute mean error, which
    totals see. `softmax` is the cross-entropy over the rows of a group: InfoNCE, the pairwise preference loss, or
    the log loss of many classes with a row for each class. `hinge` takes scores, and 0 parts yes from no.

    Args:
        table: A path or a frame, as `check_losses` takes it.
        target: The column of what happened: a number, 0 or 1, or how relevant an item is.
        predictions: The columns of two or more models' predictions, for rows that none was trained on.
        loss: What the models were trained on.
        objective: What their users see: a loss, or another score.
        group: The column of the query, which ranking needs; else of whom rows belong to. It is what is resampled.
        threshold: The least gain that matters, in units of the objective.
        cut: The answer is yes above it; 0.5 without it, and 0 with `hinge`.
        quantile: The quantile that the loss `quantile` is after.
        delta: Where the loss `huber` turns from squared to absolute, in units of the target.
        at: How many items of a query `ndcg` counts; all without it.
        resamples: How many bootstrap resamples.
        seed: Of the resamples.

    Raises:
        InvalidTable: If a column is missing, or its values are not what a score needs.
        InvalidSetting: If a loss, an objective or another setting is unknown, or fewer than two models are given.
    """
    models = list(dict.fromkeys(predictions))
    _known(models, loss, objective, quantile, delta, at)
    settled(threshold, resamples, cut)
    with needed(subject(table)):
        from scipy.stats import norm

        from weigh.checks.losses.paired import gain, value
        from weigh.checks.losses.scores import SCORES, Predictions
    needs = SCORES[loss].needs | SCORES[objective].needs
    happened, predicted, unit, notes = _read(table, target, models, group, needs)
    query, cut = unit if "query" in needs else None, cut if cut is not None else 0.0 if loss == "hinge" else 0.5
    cases = {name: Predictions(happened, one, query, cut, quantile, delta, at) for name, one in predicted.items()}

    def ranked(score: str) -> tuple[list[str], dict[str, float]]:
        """The models from best to worst, and what each is worth."""
        worth = {name: value(SCORES[score], one) for name, one in cases.items()}
        return sorted(models, key=lambda name: worth[name], reverse=SCORES[score].better == "higher"), worth

    favourite, *others = ranked(loss)[0]
    few = _too_few(happened, unit, SCORES[objective].needs)
    # At 95 % for all others together, the largest gain is no less than any lower end, and no more than any upper one.
    spread = float(norm.ppf(1 - 0.025 / len(others)))

    def gained(score: str, other: str) -> tuple[float, float, float]:
        """What a score gains from the favourite to another model, with its interval."""
        found, error = gain(SCORES[score], cases[other], cases[favourite], unit, 0 if few else resamples, seed)
        return found, found - spread * error, found + spread * error

    gains = {other: gained(objective, other) for other in others}
    rival = max(others, key=lambda other: gains[other][0])
    found, low, high = (max(one[end] for one in gains.values()) for end in range(3))
    lead, most, least = (-end for end in gained(loss, rival))
    told = f"prefers {favourite} to {rival} by" if least > 0 else f"cannot tell {favourite} from {rival}:"
    notes.insert(0, few or f"{loss} {told} {lead:.3g} [{least:.3g}, {most:.3g}]")
    rows = []
    for score in dict.fromkeys((loss, objective, *_shown(needs, happened, predicted))):
        order, worth = ranked(score)
        rows.append({"score": score, "better": SCORES[score].better, "prefers": order[0], **worth})
    return CheckResult(
        check="loss against objective",
        figure=Figure(
            f"gain in {objective} from {favourite}, the favourite of {loss}, to {rival}",
            *(found, low, high),
            f"95 %, bootstrap over {group or 'rows'}",
        ),
        threshold=threshold,
        reason="a gain above it that is not chance is one that users would see and the loss does not",
        evidence=first(rows, len(rows)),
        cost={"rows": len(happened), "models": len(models), "resamples": resamples * (len(others) + 1)},
        notes=tuple(notes),
    )


def _known(models: list[str], loss: str, objective: str, quantile: float, delta: float, at: int | None) -> None:
    """Refuse what no table could mend."""
    for name, given, known in (("loss", loss, LOSSES), ("objective", objective, OBJECTIVES)):
        if given not in known:
            raise InvalidSetting(name, f"there is no {given!r}; there are {', '.join(known)}")
    rules = {
        "prediction": (len(models) >= 2, "name the columns of two models or more"),
        "quantile": (0 < quantile < 1, "is between 0 and 1"),
        "delta": (delta > 0, "is above 0"),
        "at": (at is None or at >= 1, "is 1 or more"),
    }
    for name, (is_kept, rule) in rules.items():
        if not is_kept:
            raise InvalidSetting(name, rule)


def _read(
    table: Any, target: str, models: list[str], group: str | None, needs: frozenset[str]
) -> tuple[Any, dict[str, Any], Any, list[str]]:
    """The targets, the predictions by model, the unit of each row, and notes. Rows of one unit stand together.

    Raises:
        InvalidTable: If a column is missing, or its values are not what a score needs.
        InvalidSetting: If queries are needed, and no group is given.
    """
    import numpy as np

    from weigh.checks.losses.paired import numbered

    where = subject(table)
    notes: list[str] = []
    if "query" in needs and not group:
        raise InvalidSetting("group", "a list has an order within its query; name the column of queries")
    frame = read(table, [target, *models, *([group] if group else [])])
    happened = numbers(frame, table, target)
    predicted = {name: numbers(frame, table, name) for name in models}
    for name, values in ({target: happened} | predicted).items():
        moderate(where, name, values)
    _fit(where, needs, {target: happened}, predicted)
    if not group:
        return happened, predicted, np.arange(len(happened)), notes
    unit = numbered(where, group, complete(frame, table, group))[1]
    order = np.argsort(unit, kind="stable")
    if "query" in needs:
        is_relevant = np.bincount(unit, happened) > 0
        order = order[is_relevant[unit[order]]]
        if not len(order):
            raise InvalidTable(
                where, f"no row of column {target!r} is above 0; without relevant items no order is right"
            )
        if left_out := int((~is_relevant).sum()):
            notes.append(f"{left_out:,} of {len(is_relevant):,} queries have no relevant item and are left out")
    happened, predicted = happened[order], {name: values[order] for name, values in predicted.items()}
    unit = np.unique(unit[order], return_inverse=True)[1]
    return happened, predicted, unit, notes


def _shown(needs: frozenset[str], happened: Any, predicted: dict[str, Any]) -> tuple[str, ...]:
    """The scores that are defined for these values."""
    if "query" in needs:
        return _SHOWN["queries"]
    if not bool(((happened == 0) | (happened == 1)).all()):
        return _SHOWN["numbers"]
    if happened.min() == happened.max():
        return _SHOWN["numbers"]
    are_chances = all(values.min() >= 0 and values.max() <= 1 for values in predicted.values())
    return _SHOWN["binary"][0 if are_chances else 2 :]


def _fit(where: str, needs: frozenset[str], target: dict[str, Any], predicted: dict[str, Any]) -> None:
    """Refuse values that a score is not defined for, naming the first of them."""
    import numpy as np

    rules: list[tuple[str, dict[str, Any], Any, str]] = [
        ("binary", target, lambda values: (values != 0) & (values != 1), "0 and 1 are needed"),
        ("query", target, lambda values: values < 0, "relevance is 0 or more"),
        ("chance", predicted, lambda values: (values < 0) | (values > 1), "probabilities are needed"),
    ]
    for need, columns, is_wrong, wanted in rules:
        for name, values in columns.items() if need in needs else ():
            wrong = np.flatnonzero(is_wrong(values))
            if len(wrong):
                found = f"row {wrong[0] + 1} of column {name!r} is {values[wrong[0]]:g}"
                raise InvalidTable(where, f"{found}, and {len(wrong):,} such rows in all; {wanted}")
    (name, happened), *_ = target.items()
    if "binary" in needs and len(np.unique(happened)) < 2:
        raise InvalidTable(where, f"column {name!r} holds one class; rows of both are needed")


def _too_few(happened: Any, unit: Any, needs: frozenset[str]) -> str:
    """Why no interval is honest, if none is."""
    import numpy as np

    units = int(unit.max()) + 1
    if units < _FEWEST:
        return f"{units} rows or groups are too few for an interval; {_FEWEST} are needed"
    rarest = int(np.bincount(happened.astype(int)).min()) if "binary" in needs else _FEWEST_OF_A_CLASS
    if rarest < _FEWEST_OF_A_CLASS:
        return f"{rarest} rows of a class are too few for an interval; {_FEWEST_OF_A_CLASS} are needed"
    return ""
