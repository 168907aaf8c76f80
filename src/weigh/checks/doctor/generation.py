"""Whether the generation config is that of this model: its ids, its limits, and settings that nobody reads."""

from collections.abc import Mapping
from typing import Any

from weigh.checks.decoding.engines import ENGINES, KNOWN
from weigh.checks.decoding.settings import FILTERS, effective_settings
from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.errors import WeighError

FILE = "generation_config.json"
_ROLES = ("bos", "eos", "pad", "decoder_start")
_NEUTRAL = {"temperature": (1,), "top_k": (50, 0), "top_p": (1,), "min_p": (0,), "typical_p": (1,)}


def end_tokens(home: ModelDirectory) -> CheckResult:
    """End tokens: a model that writes text, and no file that says where it ends, or an end that is a word of the text.

    Without a generation config, the ids of `config.json` count. With one, they count no longer.
    """
    if not home.generates:
        raise NotExamined("the config is that of no model that writes text")
    if not home.artifacts["weights"]:
        raise NotExamined("there are no weights to write text with")
    said = {name: ids(home.fields(name)) for name in ("config.json", FILE)}
    end = said[FILE if home.holds(FILE) else "config.json"].get("eos")  # transformers asks one of them alone
    faults = [] if end else [Fault(FILE, "eos_token_id", "missing", "the id of the end token")]
    for role in ("bos", "eos"):
        one, other = (said[name].get(role) for name in ("config.json", FILE))
        if one and other and not set(one) & set(other):
            faults.append(Fault(FILE, f"{role}_token_id", list(other), f"{list(one)}, as in config.json"))
    try:
        pieces, marks = home.tokenizer.pieces(), set(home.tokenizer.special.values())
    except NotExamined:
        pieces, marks = {}, set()
    if marks:
        faults += [
            Fault(name, f"{role}_token_id", f"{number}, {pieces[number]!r}, which is text", "a special token")
            for name, roles in said.items()
            for role in ("bos", "eos", "decoder_start")
            for number in roles.get(role, ())
            if number in pieces and number not in marks
        ]
    return counted(
        "end and begin tokens that are missing, or another model's",
        faults,
        "text goes on to the limit, or stops at a word; take the generation config that was published with the model",
        cost={"ids": sum(len(numbers) for roles in said.values() for numbers in roles.values())},
        notes=[] if home.holds(FILE) else [f"there is no {FILE}: greedy, for 20 tokens, is what transformers does"],
    )


def generation_config(home: ModelDirectory) -> CheckResult:
    """Generation config: values out of range, names that transformers does not read, settings without an effect."""
    fields = home.object(FILE)
    faults = []
    try:
        settings = effective_settings(home.path / FILE)
    except WeighError as error:
        place = error.where.rpartition(", ")[2]
        faults.append(Fault(FILE, place, error.problem, "in range"))
    else:
        faults += [
            Fault(FILE, name, fields[name], f"{_name(name)}, the name that transformers reads")
            for name in settings.unread
            if name in fields and _name(name) != name
        ]
        if not settings.method.endswith("sampling"):
            faults += [
                Fault(FILE, name, f"{fields[name]}, and do_sample is not true", "do_sample true, or left out")
                for name in FILTERS
                if name in fields and fields[name] not in _NEUTRAL[name]
            ]
    faults += _beyond(home, fields)
    return counted(
        "settings that are out of range, unread, or without an effect",
        faults,
        "the model is decoded otherwise than the file seems to say; mend it, or take the published one",
        cost={"fields": len(fields)},
    )


def ids(fields: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The ids that a config names, by their role."""
    found = {}
    for role in _ROLES:
        said = fields.get(f"{role}_token_id")
        several = said if isinstance(said, list) else [said]
        numbers = tuple(one for one in several if type(one) is int and one >= 0)
        if numbers:
            found[role] = numbers
    return found


def _beyond(home: ModelDirectory, fields: Mapping[str, Any]) -> list[Fault]:
    """Ids beyond the embedding, and limits beyond the positions."""
    try:
        facts = home.facts
    except NotExamined:
        return []
    rows, positions = facts.rows, facts.positions
    faults = [
        Fault(FILE, f"{role}_token_id", number, f"below {rows:,}, by {facts.rows_from}")
        for role, numbers in ids(fields).items()
        for number in numbers
        if rows is not None and number >= rows
    ]
    for name in ("max_length", "max_new_tokens"):
        if positions and type(fields.get(name)) is int and fields[name] > positions:
            faults.append(Fault(FILE, name, f"{fields[name]:,}", f"at most {positions:,}, the model's positions"))
    return faults


def _name(name: str) -> str:
    """What transformers calls a setting of another engine; the same name if it has none."""
    known = {setting: one for one, setting in ENGINES["transformers"].reads.items()}
    settings = (engine.reads[name] for engine in ENGINES.values() if name in engine.reads)
    return next((known[setting] for setting in settings if setting in known), name) if name in KNOWN else name
