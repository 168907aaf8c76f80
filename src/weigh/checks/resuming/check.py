"""The examination of a training checkpoint, alone and against an earlier save: all that its files allow."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from weigh.checks.doctor.examination import Diagnosis, NotExamined
from weigh.checks.results import CheckResult
from weigh.checks.resuming import against as changes
from weigh.checks.resuming import counters, fitting, formats, parts, settings, sharing
from weigh.checks.resuming.checkpoint import TrainingCheckpoint
from weigh.checks.resuming.parts import Part, parts_of

Examination = Callable[[TrainingCheckpoint], CheckResult]

EXAMINATIONS: tuple[tuple[str, Examination], ...] = (
    ("missing parts", parts.missing_parts),
    ("state against weights", fitting.state_against_weights),
    ("state of each parameter", fitting.state_of_each),
    ("number formats", formats.number_formats),
    ("mode", settings.modes),
    ("steps", counters.steps_that_disagree),
    ("learning rates", settings.learning_rates),
    ("tied weights", sharing.untied_weights),
)
"""Every examination of one checkpoint, by its name, in the order in which one would ask."""

Comparison = Callable[[TrainingCheckpoint, TrainingCheckpoint], CheckResult]

COMPARISONS: tuple[tuple[str, Comparison], ...] = (
    ("parts since then", changes.parts_that_are_gone),
    ("groups since then", changes.groups_that_changed),
    ("mode since then", changes.modes_that_changed),
    ("formats since then", changes.formats_that_changed),
    ("steps since then", changes.steps_that_went_back),
    ("weights since then", changes.weights_that_stood_still),
    ("position since then", changes.position_that_stood_still),
)
"""Every comparison with an earlier save."""


@dataclass(frozen=True)
class Resumption(Diagnosis):
    """What the files of a checkpoint say about going on from it: its parts, its faults, and what they do not tell.

    Attributes:
        parts: The parts of a run, each with its places, or with none and what is lost without it.
    """

    parts: tuple[Part, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        return super().as_dict() | {"parts": [part.as_dict() for part in self.parts]}


def resume(path: str | os.PathLike[str], against: str | os.PathLike[str] | None = None) -> Resumption:
    """The parts of a training checkpoint and their faults: whether a run that loads it goes on as it was.

    Headers and pickles are read and nothing is unpickled. Of tensors only counts of steps are read, those of one shape
    where some may be copies, and against another save those that are compared, a stretch at a time.

    Args:
        path: A file of `torch.save` or of Lightning, or a directory as the Trainer, accelerate or
            `torch.distributed.checkpoint` leave it.
        against: An earlier save of the same run: then what changed that should not have is examined too.

    Raises:
        WeighError: What `weigh.inspect` raises of either.
    """
    run = TrainingCheckpoint(path)
    results: list[CheckResult] = []
    missed: dict[str, str] = dict(run.unread)

    def examine(name: str, examination: Callable[[], CheckResult]) -> None:
        try:
            results.append(replace(examination(), check=name))
        except NotExamined as reason:
            missed[name] = str(reason)

    for name, examination in EXAMINATIONS:
        examine(name, partial(examination, run))
    if against is not None:
        earlier = TrainingCheckpoint(against)
        for name, comparison in COMPARISONS:
            examine(name, partial(comparison, run, earlier))
    subject = str(path) if against is None else f"{against} → {path}"
    return Resumption("resume", subject, tuple(results), missed, parts_of(run))
