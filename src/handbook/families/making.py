"""`make families`: the constructors sliced anew, compared with transformers, and the register of that."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from handbook.families import archive, reference, register, verifying
from handbook.families.comparing import EXACT, WRONG
from handbook.families.workers import each

SLICING_S = 1800
"""The seconds that it may take to slice everything."""


def make(root: Path, types: Iterable[str], *, keep: bool, processes: int, say: Callable[[str], Any]) -> int:
    """Slice, compare, and renew the register.

    Args:
        root: The root of the repository.
        types: The model types to compare; all if none.
        keep: Compare the constructors that are there instead of slicing them.
        processes: How many work at once.
        say: Prints a line.

    Returns:
        How many types have wrong answers.
    """
    chosen = sorted(types) or reference.types()
    if keep:
        archive.mark(root, {name: why for name, why in archive.marked(root).items() if name not in chosen})
    else:  # in a process of its own, since it imports all of transformers
        for _, files in each(["constructors"], lambda _: archive.write(root), limit_s=SLICING_S):
            say(f"constructors: {files}")
    known = register.read(root)[1] if (root / register.REGISTER).is_file() else {}
    entries = {name: entry for name, entry in known.items() if name in set(reference.types())}
    outcomes: Counter[str] = Counter()
    wrong = 0
    for model_type, report in verifying.every(chosen, processes):
        entries[model_type] = verifying.entry(model_type, report)
        outcomes.update(report.get("outcomes", {}))
        before = known.get(model_type)
        if before != entries[model_type]:
            say(f"{model_type}: {entries[model_type].status}" + (f" (was: {before.status})" if before else ""))
        wrong += bool(report.get("wrong"))
        for case in report.get("wrong", ()):
            say(f"    {case['architecture']} differs in {case['differ']}: {json.dumps(case['fields'])}")
            for line in case["lines"]:
                say(f"        {line}")
    for name, (outcome, why) in verifying.published(root).items():
        if outcome != EXACT:
            say(f"models/{name}: {outcome}: {why}")
            wrong += outcome == WRONG
    register.write(root, reference.VERSION, entries.values())
    archive.mark(root, register.wrong(entries.values()))
    kinds = Counter(entry.status.partition(":")[0].partition(",")[0] for entry in entries.values())
    say("types: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    say("configs: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    return wrong
