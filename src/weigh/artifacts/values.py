"""Values with their places: what a JSON document, a text or a vocabulary can be compared by, one by one."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from weigh.errors import InvalidArtifact

_MOST_VALUES, _DEEPEST, _LONGEST_KEY = 2_000_000, 100, 200
_PLAIN = re.compile(r"[^.\[\]\"\s]+")


@dataclass(frozen=True)
class Values:
    """The values of one file.

    Attributes:
        how: What it was read as: `field by field`, `token by token` or `as text`.
        fields: Each value by its place, as JSON writes it: `rope_scaling.factor`, `eos_token_id[0]`, `token 17`.
        lists: Values of which the order counts, by what one of them is called: the merges of a tokenizer.
    """

    how: str
    fields: Mapping[str, str]
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)


def parse_json(where: object, raw: bytes) -> Any:
    """JSON in UTF-8 in which no object has a key twice: of two values, readers would choose one each.

    Raises:
        InvalidArtifact: If it is not.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise InvalidArtifact(where, f"has the key {twice[:80]!r} twice in one object; keep one of them")
        return found

    try:
        return json.loads(raw.decode("utf-8-sig"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InvalidArtifact(f"{where}, line {error.lineno}", f"is not JSON ({error.msg}); fetch it again") from None
    except (ValueError, RecursionError):
        raise InvalidArtifact(where, "is not JSON in UTF-8, or nested too deep; fetch it again") from None


def written(value: Any) -> str:
    """A value as JSON writes it, letters of every script as they are."""
    text = json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is no text


def fields_of(where: object, value: Any) -> dict[str, str]:
    """Each value of a JSON document by its place. An empty object or list is a value too.

    Raises:
        InvalidArtifact: If there are more than two million, or they are nested deeper than a hundred objects.
    """
    found: dict[str, str] = {}
    todo: list[tuple[str, int, Any]] = [("", 0, value)]
    while todo:
        place, depth, value = todo.pop()
        if len(found) + len(todo) > _MOST_VALUES or depth > _DEEPEST:
            raise InvalidArtifact(where, f"has over {_MOST_VALUES:,} values, or some below {_DEEPEST} others")
        if isinstance(value, dict) and value:
            inner = [(f"{place}.{_key(key)}" if place else _key(key), depth + 1, each) for key, each in value.items()]
        elif isinstance(value, list) and value:
            inner = [(f"{place}[{number}]", depth + 1, each) for number, each in enumerate(value)]
        else:
            found[place or "value"] = written(value)
            continue
        todo += reversed(inner)
    return found


def _key(key: str) -> str:
    """A key as part of a place: in quotation marks where it could be taken for more, and with an end."""
    if len(key) > _LONGEST_KEY:
        key = f"{key[:40]}…{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    return key if _PLAIN.fullmatch(key) else written(key)
