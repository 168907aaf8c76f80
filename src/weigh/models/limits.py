"""What no config has: a guard before anything is constructed, so that bad ones are refused at once."""

import re
from typing import Any

from weigh.errors import InvalidConfig
from weigh.models.config import MAX_LAYERS, Config

MAX_DEPTH = 32
"""The most objects and lists of a config that lie in one another, several times as many as in any."""

_COUNTS = re.compile(
    r"^(num|n)_\w*(layer|block|stage|expert)s?(_|$)|(^|_)(layers|depths?|blocks|stages|repeats|layer_types|block_types?)$"
)
"""The names of fields that say how many modules there are, or list so many for each stage."""

_OTHER_KINDS = {int: str | dict, bool: str | dict, str: dict, list: str | dict, tuple: str | dict, dict: str | int}
"""The kinds of values that no field has whose default is of another kind. A size may be a list, and a list one size."""

_UNCHECKED = {"output_hidden_states", "return_dict", "chunk_size_feed_forward"}
"""Fields of every config that no size depends on, and that transformers takes whatever they are."""


def refuse_endless(source: Config) -> None:
    """Refuse a config that is nested without end, or that has more layers than any, or fewer than none.

    Raises:
        InvalidConfig: Naming the field.
    """
    left: list[tuple[str, Any, int]] = [("", source.raw, 1)]
    while left:
        path, value, depth = left.pop()
        if depth > MAX_DEPTH:
            raise InvalidConfig(f"{source.where}, field {path[:60]}", f"is nested more than {MAX_DEPTH} deep; mend it")
        if isinstance(value, dict):
            left += [(f"{path}.{name}" if path else name, inner, depth + 1) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [(path, inner, depth + 1) for inner in value if isinstance(inner, dict | list)]
        name = path.rpartition(".")[2]
        if _COUNTS.search(name) and not isinstance(value, dict):
            _refuse_count(f"{source.where}, field {path[:60]}", name, value if isinstance(value, list) else [value])


def _refuse_count(where: str, name: str, values: list[Any]) -> None:
    numbers = [one for one in values if type(one) is int]
    count = sum(numbers) if name.endswith("depths") else max(numbers, default=0)
    if max(count, len(values)) > MAX_LAYERS:
        what = "experts" if "expert" in name else "layers"
        raise InvalidConfig(where, f"{max(count, len(values)):,} {what}, and weigh counts {MAX_LAYERS:,}")
    if name.startswith(("num_", "n_")) and min(numbers, default=0) < 0:
        raise InvalidConfig(where, f"must not be below 0, and is {min(numbers)}")


def refuse_other_kinds(source: Config, fields: dict[str, Any], kind: Any, path: str = "") -> None:
    """Refuse a config with text for a number, or the like: what a constructor would stumble over.

    Args:
        source: The config, for the error.
        fields: Its fields, or those of an object in it.
        kind: The class of a config, whose attributes are the defaults.
        path: The dotted name of the object, with a dot behind it.

    Raises:
        InvalidConfig: Naming the field.
    """
    for name, value in fields.items():
        if name in _UNCHECKED:
            continue
        inner = kind.sub_configs_defaults.get(name)
        inner = getattr(inner, "config_class", inner)
        if isinstance(value, dict) and isinstance(inner, type):
            refuse_other_kinds(source, value, inner, f"{path}{name}.")
            continue
        default = {} if isinstance(inner, type) else getattr(kind, name, None)
        other = _OTHER_KINDS.get(type(default))
        if other and isinstance(value, other) and not isinstance(value, bool) and value != "auto":
            raise InvalidConfig(
                f"{source.where}, field {path}{name}", f"must be like its default, {default!r:.40}, not {value!r:.40}"
            )
