"""Checks of a training run by its log: does it come apart, stand still, or learn its training set by heart?"""

from collections.abc import Mapping
from typing import Any

from weigh.checks.optimizers.learning_curves import WINDOW, no_progress, overfitting, undecayed_rate
from weigh.checks.optimizers.logs import training_log
from weigh.checks.optimizers.stability import dead_gradients, instability, not_a_number
from weigh.checks.optimizers.updates import standstill, vanishing_updates
from weigh.checks.results import CheckReport


def check_optimizer(
    log: Any, *, columns: Mapping[str, str] | None = None, window: int = WINDOW, dtype: str | None = None
) -> CheckReport:
    """All checks of an optimizer that the columns of a training log allow.

    Args:
        log: A table, a `trainer_state.json` or a directory that holds one, as `training_log` takes them.
        columns: The column of a series, by the name of the series, where it is called otherwise.
        window: How many rows make a level.
        dtype: The format that the weights are kept in between steps.

    Raises:
        NotFound: If there is no such file.
        InvalidTable: If it is no log, or a column holds what cannot be.
        InvalidSetting: If the window or the dtype is not one.
    """
    read = training_log(log, columns)
    results = [not_a_number(read)]
    if "gradient norm" in read.series:
        results.append(dead_gradients(read))
    if {"gradient norm", "update ratio"} & set(read.series):
        results.append(instability(read, window=window))
    if "train loss" in read.series:
        results.append(no_progress(read, window=window))
    if "update ratio" in read.series:
        results.append(standstill(read))
    if {"update ratio", "unmoved"} & set(read.series):
        results.append(vanishing_updates(read, dtype=dtype))
    if "validation loss" in read.series:
        results.append(overfitting(read))
    if "learning rate" in read.series:
        results.append(undecayed_rate(read))
    return CheckReport("optimizer", read.subject, tuple(results))
