"""Whether the constructors that `weigh` keeps are those of the installed transformers, type by type."""

from __future__ import annotations

import gc
import json
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from handbook.families import reference
from handbook.families.cases import case, record
from handbook.families.comparing import EXACT, NEITHER, REFUSED, WRONG, compare, differences, smallest
from handbook.families.register import DIFFER, PART, UNBUILT, Entry
from handbook.families.register import EXACT as ALIKE
from handbook.families.register import REFUSED as NOT_SAID
from handbook.families.starts import start
from handbook.families.workers import each

RECORDS = Path(".cache", "families")
"""Where what transformers answered is kept, so that a second comparison builds nothing twice."""

LIMIT_S = 240
"""The seconds that one type may take."""

TOGETHER = 20
"""How many types one process goes through: to fork one for each takes longer than to compare it."""

_PACKAGE = re.compile(r".*requires the (\w+) library.*", re.DOTALL)
"""What transformers says at length where a package is missing."""

_WARM = ("llama", "mixtral", "clip", "bert", "whisper")
"""Types that are built before the processes are forked, so that what most types import is there."""


def prepare() -> None:
    """Import what most types need, and silence what transformers says of configs that are meant to be odd."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for model_type in _WARM:
        reference.build(start(model_type), reference.architectures(model_type)[0])
    gc.freeze()


def recorded(model_type: str) -> dict[str, Any]:
    """What transformers answers for a type, from the last time if that was this version of it.

    Args:
        model_type: The type.
    """
    path = RECORDS / reference.VERSION / f"{model_type}.json"
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found
    found = record(model_type)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), "utf-8")
    return found


def verify(model_type: str) -> dict[str, Any]:
    """How each case of a type ends, and the smallest config of those that end wrong.

    Args:
        model_type: The type.

    Returns:
        `classes`, `default` and `error` as recorded; `outcomes`, how many ended how; `refusals`, why;
        `wrong`: the smallest config, its class, what differs.
    """
    found = recorded(model_type)
    report: dict[str, Any] = {name: found[name] for name in ("classes", "default", "error") if name in found}
    cases = list(found["cases"])
    if "default" in found:
        cases.insert(0, {"fields": start(model_type), "architecture": found["classes"][0], **found["default"]})
    outcomes: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    wrong: list[tuple[dict[str, Any], str]] = []
    for at, of in enumerate(cases):
        outcome, why = compare(of)
        outcomes[outcome] += 1
        if outcome == REFUSED:
            refusals[why] += 1
            if at == 0 and "default" in found:
                report["refused"] = why
        if outcome == WRONG:
            wrong.append((of, why))
    report |= {"outcomes": dict(outcomes), "refusals": refusals.most_common(3), "wrong": []}
    for of, why in sorted(wrong, key=lambda one: len(json.dumps(one[0]["fields"])))[:2]:
        report["wrong"].append(explained(of, why))
    return report


def explained(of: dict[str, Any], why: str) -> dict[str, Any]:
    """A wrong case, made small, with what differs in it."""
    fields = smallest(of["fields"], of["architecture"])
    try:
        lines = differences(fields, of["architecture"])
    except Exception as error:
        lines = [reference.first_line(error)]
    return {"fields": fields, "architecture": of["architecture"], "differ": why, "lines": lines}


def entry(model_type: str, report: dict[str, Any]) -> Entry:
    """The line of a type in the register.

    Args:
        model_type: The type.
        report: What `verify` says of it.
    """
    classes, default = report.get("classes", ()), report.get("default", {})
    outcomes = report.get("outcomes", {})
    said = outcomes.get(EXACT, 0) + outcomes.get(REFUSED, 0) + outcomes.get(WRONG, 0)
    if "default" not in report:
        why = _PACKAGE.sub(r"needs a package: \1", report.get("error", ""))
        status = PART if why == PART else UNBUILT + why
    elif outcomes.get(WRONG):
        status = f"{NOT_SAID}{outcomes[WRONG]} of {said} {DIFFER}"
    elif "refused" in report:
        status = NOT_SAID + report["refused"]
    elif refused := outcomes.get(REFUSED, 0):
        status = f"{ALIKE} in {said - refused} of {said} configs, else refused"
    else:
        status = f"{ALIKE} in {said} configs"
    architecture = classes[0] if classes else "-"
    return Entry(model_type, architecture, default.get("parameters", 0), default.get("tensors", 0), status)


def every(types: Iterable[str], processes: int = 2) -> Iterator[tuple[str, dict[str, Any]]]:
    """What `verify` says of each type, as they are done.

    Args:
        types: The types.
        processes: How many work at once.
    """
    prepare()
    waiting, alone = list(types), []
    groups = [" ".join(waiting[at : at + TOGETHER]) for at in range(0, len(waiting), TOGETHER)]
    for group, reports in each(groups, _together, processes=processes, limit_s=TOGETHER * LIMIT_S / 4):
        if isinstance(reports, list):
            yield from ((model_type, report) for model_type, report in reports)
        else:  # one of them ended the process, or took too long
            alone += group.split()
    yield from each(alone, verify, processes=processes, limit_s=LIMIT_S)


def _together(group: str) -> list[tuple[str, dict[str, Any]]]:
    """What `verify` says of each of some types, whose names are divided by spaces."""
    return [(model_type, verify(model_type)) for model_type in group.split()]


def published(root: Path) -> dict[str, tuple[str, str]]:
    """How each config of `models/` ends, and what differs or why it was refused.

    Args:
        root: The root of the repository.
    """
    ends = {}
    for path in sorted(root.glob("models/*/config.json")):
        fields = json.loads(path.read_text("utf-8"))
        of = case(fields, fields["architectures"][0])
        ends[path.parent.name] = (NEITHER, of["error"]) if "error" in of else compare(of)
    return ends
