"""Which rules of `weigh.models.derived_caches` hold for which model type, found by running tiny models of each.

`python -m handbook.families.caches` writes the table, which takes about a quarter of an hour on two cores; `… TYPE…`
prints what is found for these types.
"""

import inspect
import logging
import re
import sys
import warnings
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModel

import weigh.models.derived_caches as derived
from handbook.families.cache_runs import run, types, without_images
from handbook.families.cache_samples import sample
from handbook.families.cache_tensors import READINGS, Reading, Seen, expected, in_total, seen
from handbook.families.workers import each
from weigh.models.recurrent_states import STATES

TABLE = Path(derived.__file__).with_name("derived_caches.txt")
TRIES, SECONDS = 6, 120
HEADER = """\
# The rules of derived_caches.py, vector_caches.py and recurrent_states.py that hold for each model type of transformers
# {version}: of its attention, then of its states; `part` for those of a nested config, `nothing` for types that keep
# nothing. Verified with tiny models on a CPU, each with {changes} random changes of all its sizes and of some switches,
# in bfloat16 and float32, of several lengths and batches, against every tensor that is kept after a forward pass. Where
# the whole cannot be run without images or sounds, its part was. Written by `python -m handbook.families.caches`.
"""
CACHE = re.compile(r"past_key_value|cache_params|use_cache|Cache\b")
KEPT_LARGER = {"falcon", "gpt_neo"}
"""The types that keep more than they need, which `weigh.models.families` tells apart."""
UNCACHED = {"blt", "gemma4_assistant", "gemma4_unified_assistant"}
"""The types that keep nothing though their code knows a cache: BLT's config has no number of layers, which a cache asks
for, so it can be run without one only; an assistant of Gemma 4 looks at the keys of the model that it drafts for."""
CONDITIONED = {"musicgen_melody"}
"""The types that put what their encoder read before the tokens of each call, which `generate` lets them do once."""


def candidates() -> list[tuple[str, ...]]:
    """All combinations of rules: the simplest first, and last that nothing is kept."""
    attention = [rule for rule in derived.ATTENTION if rule != "if-decoder"]
    both = [(rule, *states) for states in [(), *((state,) for state in STATES)] for rule in attention]
    return [*both, *((state,) for state in STATES), ("nothing",)]


def verify(model_type: str) -> dict[str, str]:
    """The rule that holds for a type and, if that is `part`, for the type of its part; none if none does.

    Raises:
        ValueError: If no rule gives the caches that were seen.
    """
    exact, total, part = candidates(), candidates(), ""
    for change, wanted in enumerate(READINGS):
        config, found, reading = _changed(model_type, change, wanted)
        text = derived.text(config)
        whole, crossing = config, derived.encoder_decoder(config)
        config = whole if text is None else text
        part = str(config.model_type)
        said = [(rule, _said(rule, config, whole, reading)) for rule in total]
        exact = [rule for rule, caches in said if rule in exact and caches == found]
        total = [rule for rule, caches in said if caches is not None and in_total(caches) == in_total(found)]
        if not total:
            raise ValueError(f"no rule gives {found[:3]}")
    rule = "+".join((exact or total)[0])
    if sample(model_type, "0.0").get("is_decoder") is False and not crossing and not _always(model_type):
        rule = "if-decoder"
    return {model_type: rule} if text is None else {model_type: "part", part: rule}


def _changed(model_type: str, change: int, reading: Reading) -> tuple[Any, Seen, Reading]:
    """A config, what its model's cache holds, and after which reading.

    Some changes make no model, so several are tried; some models want the whole text again with each token.
    """
    alone = replace(reading, more=0)
    for read in dict.fromkeys((alone if model_type in CONDITIONED else reading, alone)):
        for attempt in range(TRIES):
            try:
                config, cache = run(model_type, sample(model_type, f"{change}.{attempt}"), read)
                return config, seen(cache, read), read
            except Exception as problem:
                last = problem
    raise ValueError(f"no model of it can be run: {type(last).__name__} {last}"[:300])


def _said(rule: tuple[str, ...], config: Any, whole: Any, reading: Reading) -> Seen | None:
    """What is kept by a rule; none where it lacks a field."""
    try:
        caches = derived.apply(rule, config, whole)
    except (AttributeError, LookupError, TypeError, ValueError, ZeroDivisionError):
        return None
    return expected(caches, reading, derived.encoder_decoder(whole)) if all(map(derived.sound, caches)) else None


def _always(model_type: str) -> bool:
    """Whether a model keeps a cache though its config says that it is no decoder."""
    _, cache = run(model_type, sample(model_type, "0.0"), decoder=False)
    return bool(seen(cache, READINGS[0]))


def part_of(model_type: str) -> str:
    """The type of the part that writes in a model whose other parts cannot be made tiny; empty without one."""
    try:
        part = derived.text(CONFIG_MAPPING[model_type]())
    except Exception:
        return ""
    name = str(getattr(part, "model_type", ""))
    return name if name != model_type and name in CONFIG_MAPPING else ""


def without_cache() -> list[str]:
    """The model types whose code does not know the word: they read, and write nothing."""
    found = []
    for model_type, config in CONFIG_MAPPING.items():
        folder = Path(inspect.getfile(config)).parent
        sources = [path.read_text("utf-8") for path in folder.glob("[mg][oe]*_*.py")]  # modeling, generation
        if sources and not any(CACHE.search(source) for source in sources):
            found.append(model_type)
    return found


def main(names: list[str]) -> None:
    """Verify types and print what is found; without names all, and write the table."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    setattr(AutoModel, "from_config", classmethod(without_images))  # noqa: B010 — mypy knows it for a method
    own: dict[str, set[str]] = {}
    parts: dict[str, set[str]] = {}
    waiting = names or [name for name in types() if name not in UNCACHED]
    while waiting:
        failed = []
        for model_type, rules in each(waiting, _verified, limit_s=SECONDS):  # some have sizes that no field makes small
            if "error" in rules:
                print(f"# {model_type}: {rules['error']}"[:200].replace("\n", " "), flush=True)  # noqa: T201
                failed.append(part_of(model_type))
                continue
            for name, rule in rules.items():
                (own if name == model_type else parts).setdefault(name, set()).add(rule)
                print(f"{name} {rule}", flush=True)  # noqa: T201
        waiting = sorted({part for part in failed if part and part not in own})
    if not names:
        TABLE.write_text(table(parts | own), "utf-8")  # a type alone goes before the same as part of others


def _verified(model_type: str) -> dict[str, str]:
    try:
        return verify(model_type)
    except Exception as problem:
        return {"error": f"{type(problem).__name__} {problem}"}


def table(known: dict[str, set[str]]) -> str:
    """The text of the table. A type with several rules has none, and one with an unknown whole that of its part."""
    wholes = {name: part_of(name) for name in types() if name not in known}
    known = known | {name: {"part"} for name, part in wholes.items() if part in known}
    known |= {name: {"nothing"} for name in without_cache() if name not in known}
    known |= {name: {"nothing"} for name in UNCACHED}
    rows = [f"{name} {min(rules)}" for name, rules in sorted(known.items()) if len(rules) == 1]
    return HEADER.format(version=version("transformers"), changes=len(READINGS)) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
