"""What the constructors that `weigh` keeps make of a config, beside what transformers made of it."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

from handbook.families import reference
from handbook.families.cases import answer, case
from handbook.families.small import leaves
from handbook.families.starts import Fields
from weigh.errors import WeighError
from weigh.models import constructors

EXACT, REFUSED, WRONG, NEITHER = "exact", "refused", "wrong", "neither"
"""How a comparison ends: alike; we do not say; we say otherwise; transformers builds nothing."""


def constructed(fields: Fields, architecture: str) -> dict[str, Any]:
    """What the constructors of `weigh` say, or `refused` and why.

    Args:
        fields: The JSON object of a config.json.
        architecture: The class.
    """
    began = time.process_time()
    try:
        found = answer(constructors.construct(copy.deepcopy(fields), architecture).parameters)
    except WeighError as error:
        return {"refused": str(error)}
    except RecursionError:
        return {"crashed": "RecursionError"}
    except Exception as error:
        return {"crashed": reference.first_line(error)}
    return found | {"seconds": time.process_time() - began}


def compare(of: dict[str, Any]) -> tuple[str, str]:
    """How a case ends, and what differs or why it was refused.

    Args:
        of: Its fields, its class, and what transformers answered or why not.
    """
    ours = constructed(of["fields"], of["architecture"])
    if "crashed" in ours:
        return WRONG, f"crashed: {ours['crashed']}"
    if "error" in of:
        return NEITHER, "" if "refused" in ours else "answered"
    if "refused" in ours:
        return REFUSED, ours["refused"]
    compared = ("parameters", "tensors", "shapes", "names", "ties", "owners", "order")
    differ = [what for what in compared if ours[what] != of[what]]
    return (WRONG, " ".join(differ)) if differ else (EXACT, "")


def smallest(fields: Fields, architecture: str, *, outcome: str = WRONG, tries: int = 60) -> Fields:
    """The fewest fields that still end so.

    Args:
        fields: A config that ends so.
        architecture: The class.
        outcome: How.
        tries: How many configs may be built.
    """

    def holds(trial: Fields) -> bool:
        return compare(case(trial, architecture))[0] == outcome

    for _ in range(tries):
        for trial in _less(fields):
            tries -= 1
            if holds(trial):
                fields = trial
                break
            if tries < 0:
                return fields
        else:
            return fields
    return fields


def _less(fields: Fields) -> Iterator[Fields]:
    """The config without one of its nested configs, or without one of its fields."""
    paths = [(name,) for name, value in fields.items() if isinstance(value, dict)]
    for path in paths + [path for path, _ in leaves(fields)]:
        if path[-1] != "model_type":
            trial = copy.deepcopy(fields)
            inner: Any = trial
            for name in path[:-1]:
                inner = inner[name]
            inner.pop(path[-1], None)
            yield trial


def differences(fields: Fields, architecture: str, most: int = 6) -> list[str]:
    """What the two say of a config, name by name, where they differ.

    Args:
        fields: The JSON object of a config.json.
        architecture: The class.
        most: How many lines.
    """
    ours = {
        p.name: (tuple(p.shape), p.owner, p.tied_to)
        for p in constructors.construct(copy.deepcopy(fields), architecture).parameters
    }
    theirs = {p.name: (p.shape, p.owner, p.tied_to) for p in reference.build(copy.deepcopy(fields), architecture)}
    lines = [
        f"{name}: transformers {theirs.get(name)}, constructors {ours.get(name)}"
        for name in [*theirs, *(name for name in ours if name not in theirs)]
        if theirs.get(name) != ours.get(name)
    ]
    if not lines and list(ours) != list(theirs):
        lines = ["the order differs"]
    return lines[:most] + ([f"and {len(lines) - most} more"] if len(lines) > most else [])
