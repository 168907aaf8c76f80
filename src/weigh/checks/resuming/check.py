"""The examination of a training checkpoint: every one that its files allow, and why the others could not be made."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from weigh.checks.doctor.examination import Diagnosis, NotExamined
from weigh.checks.results import CheckResult
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


def resume(path: str | os.PathLike[str]) -> Resumption:
    """The parts of a training checkpoint and their faults: whether a run that loads it goes on as it was.

    Headers and pickles are read and nothing is unpickled. Of tensors only counts of steps are read, and those of one
    shape where some may be copies.

    Args:
        path: A file of `torch.save` or of Lightning, or a directory as the Trainer, accelerate or
            `torch.distributed.checkpoint` leave it.

    Raises:
        WeighError: What `weigh.inspect` raises.
    """
    run = TrainingCheckpoint(path)
    results: list[CheckResult] = []
    missed: dict[str, str] = {name: f"cannot be read: {problem}" for name, problem in run.unread.items()}
    for name, examination in EXAMINATIONS:
        try:
            results.append(replace(examination(run), check=name))
        except NotExamined as reason:
            missed[name] = str(reason)
    return Resumption("resume", str(path), tuple(results), missed, parts_of(run))
