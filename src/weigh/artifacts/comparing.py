"""What changed between two model directories beside the tensors: field by field, token by token, file by file."""

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weigh.artifacts.digests import digest, list_files
from weigh.artifacts.reading import KINDS, artifact_of, read_values
from weigh.artifacts.values import Values
from weigh.errors import NotFound, WeighError
from weigh.files.directories import ARTIFACTS, find_artifacts
from weigh.files.directories.components import homes
from weigh.files.directories.listing import list_tree
from weigh.files.inspecting import inspect
from weigh.formats.pointers import pointer
from weigh.sources import File

OUTSIDE = "prompts, retrieval, filters and settings that the serving program brings"
"""What decides the answers too and is in no file of a model."""

_LONGEST, _BEFORE = 160, 40  # characters of a value that are shown, and how many of them before the first difference


@dataclass(frozen=True)
class ArtifactChange:
    """A value beside the tensors that differs between two model directories.

    Attributes:
        artifact: One of the six artifacts, `adapter`, `model card` or `other files`.
        file: The file that it is in.
        place: Where in the file: `rope_scaling.factor`, `token 17`, `merge "t h"`. Empty if it is the file itself.
        before: The value as JSON writes it, a long one from shortly before the first difference. `None` if absent.
        after: The same of the other side.
    """

    artifact: str
    file: str
    place: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        where = f"{self.file}: {self.place}" if self.place else self.file
        return f"{where}: {self.before or 'absent'} → {self.after or 'absent'}"


@dataclass(frozen=True)
class Comparison:
    """All that two model directories differ in beside their tensors.

    Attributes:
        changes: What differs, by artifact, file and place.
        compared: How each file was compared: `same bytes`, `field by field`, `token by token`, `as text`, `by SHA-256`,
            `on one side only`.
        not_compared: Files, artifacts and more that were not, or not in full, each with the reason.
        tensors: The files that are left to `weigh.diff`, which compares their tensors.
    """

    changes: tuple[ArtifactChange, ...]
    compared: Mapping[str, str]
    not_compared: Mapping[str, str]
    tensors: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs in what was compared."""
        return not self.changes

    def as_dict(self) -> dict[str, Any]:
        """Plain values, under the names that `weigh diff --json` promises."""
        return {
            "artifacts": [asdict(change) for change in self.changes],
            "compared": dict(self.compared),
            "not_compared": dict(self.not_compared),
        }


def compare(
    before: str | os.PathLike[str], after: str | os.PathLike[str], *, tensors_by_digest: bool = False
) -> Comparison:
    """Differences of two model directories in all artifacts but the tensors, which `weigh.diff` compares.

    Configs are compared field by field, tokenizers by what each id stands for, templates and cards as text, other files
    by SHA-256. The order of keys and white space in JSON are no difference. Nothing is run or unpickled.

    Args:
        before: The directory of one model.
        after: That of the other.
        tensors_by_digest: Compare files of tensors too, by SHA-256. So are those that cannot be read.

    Raises:
        NotFound: If one is no directory, or holds no file of a model.
    """
    sides = [Path(side) for side in (before, after)]
    listed = [list_files(side) for side in sides]
    for side in sides:
        if not any(find_artifacts(side).values()) and not homes(list_tree(side)):
            raise NotFound(side, "holds no file of a model; give the directory of its config.json or weights")
    compared: dict[str, str] = {}
    not_compared = {name: why for _, left_out in listed for name, why in left_out.items()}
    for side, (found, _) in zip(sides, listed, strict=True):
        for name in [name for name in found if not (side / name).exists()]:
            found.remove(name)
            not_compared[name] = f"a link to nothing in {side}"
    tensors, unread = (set[str](), None) if tensors_by_digest else _files_of_tensors(sides)
    if unread:
        not_compared["tensors"] = f"{unread.where}: {unread.problem}; files by SHA-256"
    changes: list[ArtifactChange] = []
    names = sorted({name for found, _ in listed for name in found} - tensors)
    for name in names:
        here, there = (side / name if name in found else None for side, (found, _) in zip(sides, listed, strict=True))
        changes += _compare(name, here, there, compared, not_compared)
    found_artifacts = {artifact_of(name) for name in (*names, *tensors)}
    not_compared |= {artifact: "in neither directory" for artifact in ARTIFACTS if artifact not in found_artifacts}
    not_compared["outside the directories"] = OUTSIDE
    changes.sort(key=lambda change: KINDS.index(change.artifact))
    return Comparison(tuple(changes), compared, not_compared, tuple(sorted(tensors)))


def _files_of_tensors(sides: Sequence[Path]) -> tuple[set[str], WeighError | None]:
    """The files whose tensors `diff` reads, or why it cannot.

    It knows tensors by name, so of two files that have one of the same name, such as the random states of two
    processes, neither is left to it.
    """
    found: set[str] = set()
    shared: set[str] = set()
    for side in sides:
        try:
            contents = inspect(side)
        except WeighError as error:
            return set(), error
        owners: dict[str, str] = {}
        for tensor in contents.named:
            file = tensor.storage.partition(":")[0]
            if (owner := owners.setdefault(tensor.name, file)) != file:
                shared |= {owner, file}
        found |= set(owners.values())
    return found - shared, None


def _compare(
    name: str, here: Path | None, there: Path | None, compared: dict[str, str], not_compared: dict[str, str]
) -> Iterator[ArtifactChange]:
    """The changes of one file. How it was compared is written down."""
    artifact = artifact_of(name)
    if here is None or there is None:
        compared[name] = "on one side only"
        sides = (None if side is None else _described(side, digest(side)) for side in (here, there))
        yield ArtifactChange(artifact, name, "", *sides)
        return
    one, other = digest(here), digest(there)
    if one == other:
        compared[name] = "same bytes"
        if pointer(here):
            not_compared[name] = "a Git LFS pointer on both sides; the file that it stands for is not here"
        return
    try:
        values = None if pointer(here) or pointer(there) else (read_values(here), read_values(there))
    except WeighError as error:
        not_compared[name] = f"{error.problem}; by SHA-256 only"
        values = None
    if not values or values[0] is None or values[1] is None:
        compared[name] = "by SHA-256"
        yield ArtifactChange(artifact, name, "", _described(here, one), _described(there, other))
        return
    compared[name] = values[0].how
    for place, before, after in _different(values[0], values[1]):
        yield ArtifactChange(artifact, name, place, *_shortened(before, after))


def _described(path: Path, sha256: str) -> str:
    if found := pointer(path):
        return f"a Git LFS pointer to {found.size:,} bytes, SHA-256 {found.sha256[:16]}…"
    return f"{File(path).size:,} bytes, SHA-256 {sha256[:16]}…"


def _different(one: Values, other: Values) -> Iterator[tuple[str, str | None, str | None]]:
    for place in {**one.fields, **other.fields}:
        before, after = one.fields.get(place), other.fields.get(place)
        if before != after:
            yield place, before, after
    for called in {**one.lists, **other.lists}:
        for item, before, after in _moved(one.lists.get(called, ()), other.lists.get(called, ())):
            yield f"{called} {item}", before, after


def _moved(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[str, str | None, str | None]]:
    """Items that are in one list only, and the fewest that must move to turn the order of the rest into the other's."""
    ranks, others = _ranks(one), _ranks(other)
    for item, rank in ranks.items():
        if item not in others:
            yield _numbered(item), f"rank {rank}", None
    common = [item for item in ranks if item in others]
    kept = set(_longest_rising([others[item] for item in common]))
    for item in common:
        if others[item] not in kept:
            yield _numbered(item), f"rank {ranks[item]}", f"rank {others[item]}"
    for item, rank in others.items():
        if item not in ranks:
            yield _numbered(item), None, f"rank {rank}"


def _ranks(items: Sequence[str]) -> dict[tuple[str, int], int]:
    """The rank of each item. One that is there again counts as another."""
    seen: Counter[str] = Counter()
    ranks = {}
    for rank, item in enumerate(items):
        seen[item] += 1
        ranks[item, seen[item]] = rank
    return ranks


def _numbered(item: tuple[str, int]) -> str:
    text, times = item
    shown = _cut(text, 0)
    return f'"{shown}"' if times == 1 else f'"{shown}" again, {times}'


def _longest_rising(numbers: Sequence[int]) -> list[int]:
    """A longest subsequence that rises, by patience sorting."""
    tops: list[int] = []
    places: list[int] = []
    below: list[int] = []
    for place, number in enumerate(numbers):
        pile = bisect_left(tops, number)
        below.append(places[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [number]
        places[pile : pile + 1] = [place]
    rising = []
    at = places[-1] if places else -1
    while at >= 0:
        rising.append(numbers[at])
        at = below[at]
    return rising


def _shortened(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    """Two values with an end, cut so that they still show where they first differ."""
    start = 0
    if before is not None and after is not None and max(len(before), len(after)) > _LONGEST:
        start = max(0, _first_difference(before, after) - _BEFORE)
    return tuple(None if text is None else _cut(text, start) for text in (before, after))  # type: ignore[return-value]


def _first_difference(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _cut(text: str, start: int) -> str:
    end = start + _LONGEST
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
