"""The declaration of a table's columns: which are known at prediction time, and which column says when they were."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from weigh.errors import InvalidDeclaration, NotFound

Known = Mapping[str, bool | str]
"""For each column: whether it is known at prediction time, or the column that says when its value became known."""

_MOST_BYTES = 1_000_000


def declaration(known: Known | Iterable[str] | str | Path | None) -> dict[str, bool | str]:
    """What is known at prediction time, column by column.

    Args:
        known: A mapping; the path of a JSON or TOML file with one; or the names of the columns that are known.

    Raises:
        NotFound: If there is no such file.
        InvalidDeclaration: If it cannot be read, or says something else than true, false or the name of a column.
    """
    if known is None:
        return {}
    if isinstance(known, Mapping):
        return _checked(known, "the declaration")
    names: dict[str, bool | str] = {}
    for entry in [known] if isinstance(known, str | Path) else known:
        if Path(entry).suffix.lower() in (".json", ".toml"):
            names |= _file(Path(entry))
        else:
            names[str(entry)] = True
    return names


def known_columns(declared: Known, columns: Iterable[str], where: str) -> set[str]:
    """The columns of a table that are declared known: true, or by a column that says when.

    Raises:
        InvalidDeclaration: If it names no column of the table.
    """
    there = list(columns)
    if declared and not set(declared) & set(there):
        some = ", ".join(there[:5])
        raise InvalidDeclaration("the declaration", f"names no feature of {where}, such as {some}; name its columns")
    return {name for name in there if declared.get(name, False) is not False}


def _file(path: Path) -> dict[str, bool | str]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise NotFound(path, f"cannot be opened: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise InvalidDeclaration(path, f"has more than {_MOST_BYTES:,} bytes; a declaration is a line for each column")
    try:
        text = data.decode("utf-8-sig")
        whole = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        said = str(error).partition("\n")[0]
        raise InvalidDeclaration(path, f"cannot be read: {said}") from None
    if not isinstance(whole, dict):
        raise InvalidDeclaration(path, 'is no table of columns; write {"column": true} or false')
    table = whole.get("known", whole) if isinstance(whole.get("known"), dict) else whole
    return _checked(table, path)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, in which no key stands twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} is declared twice")
        found[key] = value
    return found


def _checked(table: Mapping[str, Any], where: object) -> dict[str, bool | str]:
    for name, value in table.items():
        if not isinstance(value, bool | str):
            raise InvalidDeclaration(
                where, f"column {name!r} is declared as {value!r}; write true, false or the column that says when"
            )
    return dict(table)
