"""Configs of a type with what transformers makes of them, short enough to keep for a second comparison."""

from __future__ import annotations

import copy
import hashlib
import math
import random
import re
import signal
import time
from collections.abc import Iterable
from typing import Any, Protocol

from handbook.families import reference
from handbook.families.changes import change
from handbook.families.small import small, written
from handbook.families.starts import Fields, start

HEADS = 0.25
"""The share of changes that are built by another class of the type than its first."""

BUILD_S = 15
"""The seconds that one build may take: some constructors go through every pair of places in an image."""


_WRAPPED = re.compile("^Parametrized|Sdpa")
"""What is said in a class of a module that is another one with its weights computed, or with another kernel."""


class Parameter(Protocol):
    """A parameter, whoever says that it is there."""

    @property
    def name(self) -> str:
        """Its name in the state dict."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""

    @property
    def owner(self) -> str:
        """The class of the module that holds it."""

    @property
    def tied_to(self) -> str:
        """The first name of the same tensor, or empty."""


def answer(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """What is compared: counts as they are, and digests of shapes, names, ties, owners and the order.

    Args:
        parameters: In the order of the state dict, under every name.
    """
    every = [(p.name, list(p.shape), _WRAPPED.sub("", p.owner), p.tied_to) for p in parameters]
    alone = [entry for entry in every if not entry[3]]
    return {
        "parameters": sum(math.prod(shape) for _, shape, _, _ in alone),
        "tensors": len(alone),
        "shapes": _digest(sorted(shape for _, shape, _, _ in alone)),
        "names": _digest(sorted((name, shape) for name, shape, _, _ in every)),
        "ties": _digest(sorted((name, tied) for name, _, _, tied in every if tied)),
        "owners": _digest(sorted((name, owner) for name, _, owner, _ in every)),
        "order": _digest([name for name, *_ in every]),
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def case(fields: Fields, architecture: str) -> dict[str, Any]:
    """A config and a class, with what transformers answers or why it does not.

    Args:
        fields: The JSON object of a config.json.
        architecture: The class.
    """
    found: dict[str, Any] = {"fields": fields, "architecture": architecture}
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(BUILD_S)
    try:
        return found | answer(reference.build(copy.deepcopy(fields), architecture))
    except reference.NotBuildable as error:
        return found | {"error": str(error)}
    finally:
        signal.alarm(0)


def _too_long(number: int, frame: Any) -> None:
    raise TimeoutError(f"not built in {BUILD_S} s")


def record(model_type: str, *, wanted: int = 36, seconds: float = 5, seed: int = 0) -> dict[str, Any]:
    """The default of a type, and changes of it, each as transformers answers.

    Args:
        model_type: The type.
        wanted: How many changes that can be built.
        seconds: The CPU time after which no more are tried.
        seed: Chooses the changes.

    Returns:
        `classes`, or `error` and why there are none; `default`, its answer; `cases`: fields, class, answer or why not.
    """
    began = time.process_time()
    try:
        classes = reference.architectures(model_type)
    except reference.NotBuildable as error:
        return {"error": str(error), "cases": []}
    if not classes:
        return {"error": "part of another config", "cases": []}
    found: dict[str, Any] = {"classes": classes, "cases": []}
    try:
        found["default"] = answer(reference.build(start(model_type), classes[0]))
        least = small(model_type, classes[0])
    except reference.NotBuildable as error:
        return found | {"error": str(error)}
    chosen, full = random.Random(f"{model_type} {seed}"), written(least)
    for architecture in classes:
        found["cases"].append(case(least, architecture))
    built = 0
    for _ in range(4 * wanted):
        if built >= wanted or time.process_time() - began > seconds:
            break
        fields = change(chosen, model_type, least, full)
        architecture = chosen.choice(classes) if chosen.random() < HEADS else classes[0]
        found["cases"].append(case(fields, architecture))
        built += "error" not in found["cases"][-1]
    return found | {"seconds": round(time.process_time() - began, 2)}
