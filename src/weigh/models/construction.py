"""Models that no family here describes: their parameters as their own classes construct them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from weigh.errors import InvalidConfig, UnknownArchitecture
from weigh.models import fallback
from weigh.models.config import HARMLESS, MAX_DEPTH, MAX_LAYERS, Config
from weigh.models.fallback import Constructed, NotBuilt

_COUNTS = re.compile(r"(^|_)(layers?|depths?|blocks|stages|repeats)$|^(num|n)_\w*(layer|block|stage|expert)s?(_|$)")
"""The names of fields that say how many modules there are."""


@dataclass(frozen=True, slots=True)
class Construction:
    """A model as its class constructs it, and who did.

    Attributes:
        constructed: The model.
        counted_by: Who constructed it.
        unread: The fields of the config, dotted, that nothing read.
        assumed: What was taken for absent fields.
    """

    constructed: Constructed
    counted_by: str
    unread: tuple[str, ...]
    assumed: dict[str, Any]


def construct(source: Config, model_type: str, architecture: str | None, *, by_transformers: bool) -> Construction:
    """The model of a config, by the constructors that come with weigh, or else by an installed transformers.

    Args:
        source: The config.
        model_type: Its type.
        architecture: The class that it names, if it names one.
        by_transformers: Whether an installed transformers may be asked.

    Raises:
        UnknownArchitecture: If neither can, with what is left to do.
    """
    try:
        if not by_transformers:
            raise NotBuilt(source.where, "is not asked")
        found = fallback.build(source.raw, architecture, source.where)
        counted_by = f"transformers {fallback.installed()['transformers']}"
    except NotBuilt as error:
        raise _refusal(source, model_type, architecture, error) from None
    return Construction(found, counted_by, tuple(_unread(source.raw, found)), dict(_assumed(source.raw, found)))


def _refusal(source: Config, model_type: str, architecture: str | None, error: NotBuilt) -> UnknownArchitecture:
    """Why a config is not counted, and what to do."""
    where, what = f"{source.where}, field model_type", f"{model_type!r:.40} is not known to weigh"
    if architecture is not None:
        where, what = f"{source.where}, field architectures", f"{architecture!r:.60} of {what}"
    own = "; its code comes with the model (auto_map), and weigh runs none" if source.fields.get("auto_map") else ""
    if fallback.installed():
        return UnknownArchitecture(where, f"{what}, and {error.problem}{own}; weigh inspect counts what its files hold")
    return UnknownArchitecture(
        where,
        f"{what}{own}; where transformers and torch are installed, weigh counts all that they build: "
        'pip install "weights-and-measures[torch]", or count what its files hold with weigh inspect',
    )


def refuse_endless(source: Config) -> None:
    """Refuse a config that nobody could construct in time: nested without end, or with more layers than any has.

    Raises:
        InvalidConfig: Naming the field.
    """
    left: list[tuple[str, Any, int]] = [("", source.raw, 1)]
    while left:
        path, value, depth = left.pop()
        if depth > MAX_DEPTH:
            raise InvalidConfig(f"{source.where}, field {path:.60}", f"is nested more than {MAX_DEPTH} deep; mend it")
        if isinstance(value, dict):
            left += [(f"{path}.{name}" if path else str(name), inner, depth + 1) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [(path, inner, depth + 1) for inner in value if isinstance(inner, dict | list)]
        if _COUNTS.search(path.rpartition(".")[2]) and not isinstance(value, dict):
            numbers = [one for one in (value if isinstance(value, list) else [value]) if type(one) is int]
            if sum(numbers) > MAX_LAYERS:
                raise InvalidConfig(
                    f"{source.where}, field {path}", f"{sum(numbers):,} layers, and weigh counts {MAX_LAYERS:,}"
                )


def _unread(fields: dict[str, Any], found: Constructed, path: str = "") -> Iterator[str]:
    """The fields that nothing read, and that might say something."""
    for name, value in fields.items():
        if isinstance(value, dict) and any(each.startswith(f"{path}{name}.") for each in found.read):
            yield from _unread(value, found, f"{path}{name}.")
        elif value and not name.startswith("_") and name not in HARMLESS and f"{path}{name}" not in found.read:
            yield f"{path}{name}"


def _assumed(fields: dict[str, Any], found: Constructed) -> Iterator[tuple[str, Any]]:
    """What the class filled in for absent fields that were read."""
    if not fields.get("architectures"):
        yield "architectures", [found.architecture]
    for path in sorted(found.read):
        *outer, name = path.split(".")
        config, given = found.config, fields
        for part in outer:
            config, inner = getattr(config, part, None), given.get(part)
            given = inner if isinstance(inner, dict) else {}
        value = getattr(config, name, None)
        known = isinstance(value, bool | int | str) or (isinstance(value, list) and value)
        if known and given.get(name) is None and name not in HARMLESS | {"model_type", "is_encoder_decoder"}:
            yield path, value
