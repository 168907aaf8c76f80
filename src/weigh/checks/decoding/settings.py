"""A generation config as an engine takes it: each setting's effective value, and whether it was written or filled in.

Two files may differ in every byte and decode alike, and one file decodes differently in two engines. So what is
compared is what is left once each name is the setting that its engine takes it for, defaults are filled in, and what
the decoding method does not read is out.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weigh.checks.decoding.engines import HARMLESS, KNOWN, NEUTRAL, Engine, engine
from weigh.errors import InvalidConfig, InvalidSetting, NotFound

FILTERS = ("temperature", "top_k", "top_p", "min_p", "typical_p")
PENALTIES = ("repetition_penalty", "frequency_penalty", "presence_penalty", "no_repeat_ngram_size")
TOKEN_IDS = ("eos_token_id", "bos_token_id", "pad_token_id")
"""Ids that engines which do not read them from a generation config have from another file of the model."""

_COMMUTE = ({"temperature", "top_k"}, {"min_p", "top_k"})
"""Filters that give the same whichever comes first: neither changes which tokens the other keeps."""

_LARGEST = 1 << 20
_NO_NUMBER = 2.0**63


@dataclass(frozen=True)
class EffectiveSettings:
    """The settings that an engine decodes with.

    Attributes:
        subject: What was read: a path, or `settings` for a mapping.
        engine: The engine.
        values: Each setting by its name, `off` where it changes nothing. What the method does not read is not there.
        sources: For each of them, `written` or `default`.
        unread: Names that were written and that this engine does not read, though another one does.
        unknown: Fields that `weigh` does not know, with their values.
        notes: What was assumed.
    """

    subject: str
    engine: Engine
    values: Mapping[str, Any]
    sources: Mapping[str, str]
    unread: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """How a token is chosen: `greedy`, `sampling`, `beam search` or `beam sampling`."""
        return str(self.values["method"])

    def active(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Those of some settings that change something."""
        return {name: self.values[name] for name in names if self.values.get(name, "off") != "off"}


def effective_settings(config: Any, engine_name: str = "transformers") -> EffectiveSettings:
    """The effective settings of a generation config: what is written, then what the engine fills in.

    Args:
        config: A `generation_config.json`, a directory that holds one, a mapping, or an object with `to_dict()`.
        engine_name: A key of `ENGINES`.

    Raises:
        NotFound: If there is no such file.
        InvalidConfig: If it is no JSON object.
        InvalidSetting: If the engine is unknown, or a value is outside its range or refused by the engine.
    """
    one = engine(engine_name)
    subject, written, notes = _read(config)
    given: dict[str, Any] = {}
    for name, setting in one.reads.items():
        if name in written and setting not in given:
            given[setting] = _valid(subject, name, setting, written[name])
    if "max_new_tokens" in given:
        given.pop("max_length", None)  # which counts the prompt, and gives way
    found = {
        setting: (given[setting], "written") if setting in given else (one.default(setting), "default")
        for setting in NEUTRAL
    }
    if not one.zero_is_greedy and found["do_sample"][0]:
        _sampled(subject, one, found)
    entries = _choosing(found, one) | _penalties(found, one) | _ending(found, one)
    others = [name for name in written if name not in one.reads and name not in HARMLESS]
    unknown = tuple(name for name in others if name not in KNOWN)
    entries |= {name: (json.dumps(written[name], sort_keys=True, default=str), "written") for name in unknown}
    values, sources = ({name: entry[part] for name, entry in entries.items()} for part in (0, 1))
    unread = tuple(name for name in others if name in KNOWN)
    return EffectiveSettings(subject, one, values, sources, unread, unknown, tuple(notes))


_Entries = dict[str, tuple[Any, str]]
"""Settings with their values and where these are from."""


def _sampled(subject: str, one: Engine, found: _Entries) -> None:
    """Refuse what transformers refuses to sample with."""
    if not found["temperature"][0]:
        where = f"{subject}, temperature"
        raise InvalidSetting(where, f"0 is refused by {one.name} where do_sample is true; write do_sample false")
    if found["top_k"][0] < 0:
        raise InvalidSetting(f"{subject}, top_k", f"{found['top_k'][0]} is refused by {one.name}; write 0 for no cut")


def _choosing(found: _Entries, one: Engine) -> _Entries:
    """The method, and what it reads: filters if it samples, beams if it searches."""
    decides = "temperature" if one.zero_is_greedy else "do_sample"
    samples, beams = bool(found[decides][0]), found["num_beams"][0] > 1
    method = ("beam sampling" if samples else "beam search") if beams else "sampling" if samples else "greedy"
    entries: _Entries = {"method": (method, found["num_beams" if beams else decides][1])}
    if beams:
        entries |= {name: found[name] for name in ("num_beams", "length_penalty", "early_stopping")}
    if samples:
        entries |= {name: _or_off(name, found) for name in FILTERS} | {"temperature": found["temperature"]}
        active = [name for name in one.order or FILTERS if name in FILTERS and _changes(name, found[name][0])]
        if any(not _commute(first, second) for first in active for second in active if first != second):
            entries["order"] = " → ".join(_canonical(active)), "default"
    return entries


def _penalties(found: _Entries, one: Engine) -> _Entries:
    """The penalties, and how much of the text they fall on."""
    last, source = found["repeat_last_n"]
    if last == 0:
        found = found | {name: (NEUTRAL[name], source) for name in PENALTIES[:3]}
    entries = {name: _or_off(name, found) for name in PENALTIES}
    repetition, *of_output = (_changes(name, found[name][0]) for name in PENALTIES[:3])
    if repetition or any(of_output):
        generated = any(of_output) and not one.counts_prompt
        whole = "all; of frequency and presence, what was generated" if generated else "all"
        entries["penalised text"] = f"the last {last} tokens, with the prompt" if last > 0 else whole, source
    return entries


def _ending(found: _Entries, one: Engine) -> _Entries:
    """Where a text ends: the limit, stop strings, end tokens."""
    limit, source = found["max_new_tokens"]
    if found["max_length"][0]:
        entries: _Entries = {"max_length": found["max_length"]}
    else:
        entries = {"max_new_tokens": (limit if limit > 0 else "no limit", source)}
    entries["stop"] = (found["stop"][0] or "none", found["stop"][1])
    ends, more = found["eos_token_id"], found["stop_token_ids"]
    found = found | {"eos_token_id": (tuple(sorted({*ends[0], *more[0]})), max(ends[1], more[1]))}
    entries |= {name: found[name] for name in TOKEN_IDS if found[name][0] not in ((), None)}
    return entries | ({"seed": found["seed"]} if found["seed"][0] is not None else {})


def _changes(name: str, value: Any) -> bool:
    return bool(value > 0) if name == "top_k" else bool(value != NEUTRAL[name])


def _or_off(name: str, found: _Entries) -> tuple[Any, str]:
    value, source = found[name]
    return (value if _changes(name, value) else "off"), source


def _commute(first: str, second: str) -> bool:
    return {first, second} in _COMMUTE


def _canonical(order: list[str]) -> list[str]:
    """Of all orders that filter alike, the one that is first in the order of `FILTERS`."""
    left, found = list(order), []
    while left:
        free = [name for place, name in enumerate(left) if all(_commute(name, before) for before in left[:place])]
        found.append(min(free, key=FILTERS.index))
        left.remove(found[-1])
    return found


def _read(config: Any) -> tuple[str, dict[str, Any], list[str]]:
    """What it is called, the fields that are not null, and what is to be said of the file."""
    if hasattr(config, "to_dict"):
        config = config.to_dict()
    if isinstance(config, Mapping):
        return "settings", {str(name): value for name, value in config.items() if value is not None}, []
    if not isinstance(config, str | Path):
        raise InvalidConfig("settings", f"a {type(config).__name__} is no generation config; give a path or a mapping")
    path, notes = Path(config), []
    if path.is_dir():
        file = path / "generation_config.json"
        if not file.exists():
            file, notes = path / "config.json", [f"{path} has no generation_config.json: what config.json says counts"]
            if not file.exists():
                raise NotFound(path, "holds neither generation_config.json nor config.json; give the file")
        path, only = file, KNOWN if file.name == "config.json" else None
    else:
        only = None
    fields = _json(path)
    said = {name: value for name, value in fields.items() if value is not None and (only is None or name in only)}
    return str(path), said, notes


def _json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise NotFound(path, f"cannot be opened: {error.strerror}") from None
    if len(raw) > _LARGEST:
        raise InvalidConfig(path, "is larger than 1 MiB, which no generation config is; give the file itself")
    try:
        fields = json.loads(raw.decode("utf-8"))
        json.dumps(fields, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except json.JSONDecodeError as error:
        raise InvalidConfig(f"{path}, line {error.lineno}", f"is not JSON ({error.msg}); mend it") from None
    except (ValueError, RecursionError):
        raise InvalidConfig(path, "is not JSON in UTF-8; mend it") from None
    if not isinstance(fields, dict):
        raise InvalidConfig(path, "is not a JSON object; give one generation config")
    return fields


_Rule = tuple[type | tuple[type, ...], Callable[[Any], bool], str]
_NUMBER = (int, float)
_RULES: Mapping[str, _Rule] = {
    "temperature": (_NUMBER, lambda value: value >= 0, "a number from 0"),
    "top_k": (int, lambda value: value >= -1, "a whole number; 0 switches it off"),
    "top_p": (_NUMBER, lambda value: 0 < value <= 1, "a number above 0, at most 1"),
    "min_p": (_NUMBER, lambda value: 0 <= value <= 1, "a number from 0 to 1"),
    "typical_p": (_NUMBER, lambda value: 0 < value <= 1, "a number above 0, at most 1"),
    "repetition_penalty": (_NUMBER, lambda value: value > 0, "a number above 0"),
    "frequency_penalty": (_NUMBER, math.isfinite, "a number"),
    "presence_penalty": (_NUMBER, math.isfinite, "a number"),
    "length_penalty": (_NUMBER, math.isfinite, "a number"),
    "no_repeat_ngram_size": (int, lambda value: value >= 0, "a whole number from 0"),
    "repeat_last_n": (int, lambda value: value >= -1, "a whole number from -1"),
    "num_beams": (int, lambda value: value >= 1, "a whole number from 1"),
    "max_new_tokens": (int, lambda value: value >= -2 and value != 0, "a whole number from 1, or -1 for no limit"),
    "max_length": (int, lambda value: value >= 1, "a whole number from 1"),
    "bos_token_id": (int, lambda value: value >= 0, "a token id"),
    "pad_token_id": (int, lambda value: value >= 0, "a token id"),
    "seed": (int, lambda value: True, "a whole number"),
}


def _valid(subject: str, name: str, setting: str, value: Any) -> Any:
    """The value of a setting, if it is one: a text where a number belongs is read differently by each engine."""
    where = f"{subject}, {name}"
    if setting == "do_sample":
        _require(where, value, isinstance(value, bool), "true or false, without quotes")
    elif setting == "early_stopping":
        _require(where, value, isinstance(value, bool) or value == "never", 'true, false or "never"')
    elif setting == "stop":
        texts = [value] if isinstance(value, str) else value
        holds = isinstance(texts, list | tuple) and all(isinstance(text, str) and text for text in texts)
        _require(where, value, holds, "a text that is not empty, or a list of such")
        return tuple(sorted(set(texts)))
    elif setting in ("eos_token_id", "stop_token_ids"):
        ids = value if isinstance(value, list | tuple) else [value]
        _require(where, value, all(type(one) is int and one >= 0 for one in ids), "a token id, or a list of such")
        return tuple(sorted(set(ids)))
    else:
        kind, rule, what = _RULES[setting]
        right = isinstance(value, kind) and not isinstance(value, bool)
        # Python's whole numbers have no end, and those of engines do; NaN is no number either.
        _require(where, value, right and abs(value) < _NO_NUMBER and rule(value), what)
    return value


def _require(where: str, value: Any, holds: bool, what: str) -> None:
    if not holds:
        raise InvalidSetting(where, f"{str(json.dumps(value, default=str))[:60]} is not {what}; mend it")
