"""What was measured of each optimizer, as it is kept: a line for each optimizer and number format, in a file of JSON.

The first line has the versions of the libraries. The weights of the model are in its order, and so are their bytes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from handbook.zoo.measuring import Row
from handbook.zoo.mixed import SHAPES

PATH = Path("snippets/training/optimizer_zoo.jsonl")
"""Where the rows are kept, for the page that shows them."""

DTYPES = ("float32", "bfloat16")
"""The number formats of the weights."""

Rows = dict[tuple[str, str], Row]
"""Rows by the optimizer, as `weigh` calls it with its options, and the number format."""


@dataclass
class Kept:
    """All that was measured.

    Attributes:
        versions: The libraries with their versions.
        rows: The measurements.
    """

    versions: dict[str, str]
    rows: Rows


def read(path: Path = PATH) -> Kept:
    """The kept rows; none if there is no such file yet."""
    if not path.is_file():
        return Kept({}, {})
    first, *lines = map(json.loads, path.read_text().splitlines())
    return Kept(first["versions"], {(line["optimizer"], line["dtype"]): _row(line) for line in lines})


def write(kept: Kept, path: Path = PATH) -> None:
    """Write rows, sorted, so that a difference is that of numbers."""
    lines: list[dict[str, Any]] = [{"versions": dict(sorted(kept.versions.items())), "weights": list(SHAPES.values())}]
    for (optimizer, dtype), row in sorted(kept.rows.items()):
        figures = row.as_dict() | {"of": [row.of[name] for name in SHAPES]}
        lines.append({"optimizer": optimizer, "dtype": dtype, **figures})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _row(line: dict[str, Any]) -> Row:
    named = ("shared", "at_construction", "while_stepping", "file", "loads", "groups")
    figures = {name: line[name] for name in named if name in line}
    return Row(of=dict(zip(SHAPES, line["of"], strict=True)), **figures)
