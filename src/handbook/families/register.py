"""The register of model types, a line each: its class, what that has at the type's default, and whether it is exact.

Its difference says what a release of transformers added or changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

REGISTER = Path("tests", "weigh", "model_types.txt")
"""Where it is, from the root of the repository."""

EXACT = "exact"
"""Before in how many configs: the default of the type, its classes and changes of its fields."""
REFUSED = "refused: "
"""Before the reason why the constructors do not answer for a type, though transformers builds it."""
DIFFER = "configs differ"
"""The end of the reason if the constructors would answer, and in some configs answer wrong."""
UNBUILT = "not built: "
"""Before the reason why nothing of that type can be built from its default here."""
PART = "part of another config"


@dataclass(frozen=True)
class Entry:
    """A line of the register.

    Attributes:
        model_type: The type.
        architecture: The class that stands for it; a dash if there is none.
        parameters: How many it has at the type's default, tied ones once.
        tensors: In how many tensors.
        status: Begins with one of the words above.
    """

    model_type: str
    architecture: str
    parameters: int
    tensors: int
    status: str

    @property
    def compared(self) -> int:
        """In how many configs it was exact."""
        words = self.status.split()
        return int(words[2]) if words[0] == EXACT and len(words) > 2 else 0


def read(root: Path) -> tuple[str, dict[str, Entry]]:
    """The version of transformers that the register is of, and its entries by model type.

    Args:
        root: The root of the repository.
    """
    lines = (root / REGISTER).read_text("utf-8").splitlines()
    entries = {}
    for line in lines[1:]:
        model_type, architecture, parameters, tensors, status = line.split(None, 4)
        count, alone = (0 if number == "-" else int(number.replace(",", "")) for number in (parameters, tensors))
        entries[model_type] = Entry(model_type, architecture, count, alone, status)
    return lines[0].split()[-1], entries


def write(root: Path, version: str, entries: Iterable[Entry]) -> None:
    """Write the register.

    Args:
        root: The root of the repository.
        version: Of transformers.
        entries: One for each type.
    """
    lines = [f"# model type, class, parameters and tensors at its default, whether exact; of transformers {version}"]
    for entry in sorted(entries, key=lambda entry: entry.model_type):
        count, alone = (f"{number:,}" if number else "-" for number in (entry.parameters, entry.tensors))
        lines.append(f"{entry.model_type:34} {entry.architecture:46} {count:>17} {alone:>6}  {entry.status}")
    (root / REGISTER).write_text("\n".join(lines) + "\n", "utf-8")


def wrong(entries: Iterable[Entry]) -> dict[str, str]:
    """The types for which the constructors must not answer since some answer was wrong, and how many were.

    Args:
        entries: Those of the register.
    """
    found = ((entry.model_type, entry.status.removeprefix(REFUSED)) for entry in entries)
    return {model_type: why for model_type, why in found if why.endswith(DIFFER)}
