"""Whether a card is that of the weights beside it, and of the base model that an adapter changes: by SHA-256."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from weigh.artifacts.digests import digest
from weigh.checks.cards.reading import Card
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import NotFound
from weigh.files.directories import find_artifacts
from weigh.formats.pointers import pointer
from weigh.models.config import load
from weigh.sources import File, opening

ADAPTER = "adapter_config.json"
"""The file that makes a directory an adapter's."""

_MORE_WEIGHTS = ("*.bin", "*.h5", "*.msgpack", "*.distcp")  # of which weigh reads no header, or not by their name
_NO_WEIGHTS = ("*.index.json", "training_args.bin", "trainer_state.json")
_SKIPPED = ("checkpoint-*", "runs", ".*")
_DIGEST = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
_CACHED = re.compile(r"models--([^/]+)--([^/]+)")


@dataclass(frozen=True)
class _Digest:
    sha256: str
    size: int
    is_pointer: bool


def weight_digests(directory: str | Path) -> dict[str, str]:
    """The SHA-256 of each file of weights of a model directory, in hexadecimal, by its name below the directory.

    Files are hashed and not opened as what they are, so a pickle is safe. Folders below count, such as `onnx`, but not
    training checkpoints in `checkpoint-*`. A Git LFS pointer stands for the file that it names.

    Raises:
        NotFound: If there is no such directory, or no weights in it.
    """
    return {name: found.sha256 for name, found in _digests(Path(directory)).items()}


def unnamed_weights(card: Card, directory: str | Path) -> CheckResult:
    """Unnamed weights: files of weights whose SHA-256 the card does not give, in the front matter or the text.

    A digest on a line that names another file of weights is that file's. Of several files the card may give the one
    digest of their list instead, which `sha256sum FILE… | sha256sum` prints. Files that the front matter names below
    `weights` and that are not there count as well.

    Args:
        card: As `read_card` gives it.
        directory: The model's directory.

    Raises:
        NotFound: If there is no such directory, or no weights in it.
    """
    digests = _digests(Path(directory))
    named = _named(card, digests)
    rows = [
        {"file": name, "bytes": found.size, "SHA-256": f"{found.sha256[:16]}…", "in the card": named[name]}
        for name, found in digests.items()
    ]
    declared = card.data.get("weights")
    gone = [name for name in declared if name not in digests] if isinstance(declared, Mapping) else []
    rows += [{"file": name, "bytes": None, "SHA-256": None, "in the card": "yes, and not there"} for name in gone]
    wrong = [row for row in rows if row["in the card"] != "yes"]
    pointers = [name for name, found in digests.items() if found.is_pointer]
    notes = [f"{name} is a Git LFS pointer, which has the digest; the weights are elsewhere" for name in pointers[:3]]
    unnamed = [name for name, said in named.items() if said != "yes"]
    notes += [f"to name it, write {name}: {digests[name].sha256}" for name in unnamed[:3]]
    return CheckResult(
        check="weights named by SHA-256",
        figure=Figure.exact("weight files that the card does not name, or that are gone", len(wrong)),
        threshold=0,
        reason="a card without the digest describes whatever was saved last under that name",
        evidence=first([*wrong, *(row for row in rows if row["in the card"] == "yes")]),
        cost={
            "files": len(digests),
            "bytes hashed": sum(0 if each.is_pointer else each.size for each in digests.values()),
        },
        notes=tuple(notes),
    )


def base_model_mismatch(card: Card, directory: str | Path, base: str | Path | None = None) -> CheckResult:
    """Base model mismatch: a base model that the card does not name, or other than in `adapter_config.json`.

    A path in the adapter's config agrees with a card that has its last part, for a path is true on one machine only.
    With the base model's directory, the card must give the digests of its weights too.

    Args:
        card: As `read_card` gives it.
        directory: The adapter's directory.
        base: The base model's directory.

    Raises:
        NotFound: If there is no such directory.
        InvalidConfig: If the adapter's config is no JSON object.
    """
    said = card.data.get("base_model")
    names = [each for each in (said if isinstance(said, list) else [said]) if isinstance(each, str)]
    config = Path(directory, ADAPTER)
    wanted = load(config).get("base_model_name_or_path") if config.exists() else None
    rows: list[dict[str, Any]] = []
    notes = []
    if config.exists() and not isinstance(wanted, str):
        rows.append({"what": ADAPTER, "in the card": ", ".join(names), "in fact": "names no base model"})
    elif not names or (isinstance(wanted, str) and not any(_agree(name, wanted) for name in names)):
        rows.append({"what": "base_model", "in the card": ", ".join(names), "in fact": wanted})
    elif isinstance(wanted, str) and wanted not in names:
        notes.append(f"the adapter's config says {wanted!r}, a path, of which the name is compared")
    if base is not None:
        digests = _digests(Path(base))
        named = _named(card, digests)
        rows += [
            {"what": f"base: {name}", "in the card": named[name], "in fact": found.sha256}
            for name, found in digests.items()
            if named[name] != "yes"
        ]
    elif config.exists():
        notes.append("the base model's weights are not compared; give its directory")
    return CheckResult(
        check="base model",
        figure=Figure.exact("facts of the base model that are missing or another's", len(rows)),
        threshold=0,
        reason="an adapter is a difference: on other weights than its own it is another model",
        evidence=first(rows),
        cost={"base models named": len(names)},
        notes=tuple(notes),
    )


def _digests(directory: Path) -> dict[str, _Digest]:
    if not directory.is_dir():
        raise NotFound(directory, "is no directory; give that of a model")
    with opening(directory):
        below = [each for each in sorted(directory.iterdir()) if each.is_dir()]
        folders = [each for each in below if not any(fnmatch(each.name, pattern) for pattern in _SKIPPED)]
        files = [folder / name for folder in (directory, *folders) for name in _weights(folder)]
    if not files:
        raise NotFound(directory, "holds no weights; give the directory of a checkpoint or an adapter")
    return {file.relative_to(directory).as_posix(): _digest(file) for file in files}


def _weights(folder: Path) -> list[str]:
    """The names of the files of weights, or where there are none those of checkpoints."""
    artifacts = find_artifacts(folder)
    taken = {name for kind, names in artifacts.items() if kind not in ("weights", "checkpoint") for name in names}
    more = [path.name for path in folder.iterdir() if any(fnmatch(path.name, each) for each in _MORE_WEIGHTS)]
    weights = {*artifacts["weights"], *(name for name in more if (folder / name).is_file())} - taken
    for names in (weights, artifacts["checkpoint"]):
        kept = sorted(name for name in names if not any(fnmatch(name, each) for each in _NO_WEIGHTS))
        if kept:
            return kept
    return []


def _digest(path: Path) -> _Digest:
    if found := pointer(path):
        return _Digest(found.sha256, found.size, True)
    return _Digest(digest(path), File(path).size, False)


def _named(card: Card, digests: Mapping[str, _Digest]) -> dict[str, str]:
    """For each file `yes`, `no`, or the digest that the card gives it instead."""
    listed = "".join(f"{found.sha256}  {name}\n" for name, found in sorted(digests.items()))
    whole = hashlib.sha256(os.fsencode(listed)).hexdigest()
    mentions = {name: re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-]|\.\w)") for name in digests}
    given: dict[str, set[str]] = {}  # digests, by the file that their line names
    anywhere: set[str] = set()
    for line in card.text.splitlines():
        if written := {match[0].lower() for match in _DIGEST.finditer(line)}:
            of = [name for name, mention in mentions.items() if mention.search(line)]
            for name in of:
                given.setdefault(name, set()).update(written)
            if not of:
                anywhere |= written
    if len(digests) > 1 and whole in anywhere.union(*given.values()):
        return dict.fromkeys(digests, "yes")
    named = {}
    for name, found in digests.items():
        others = given.get(name, set())
        right = found.sha256 in (others or anywhere)
        named[name] = "yes" if right else f"another, {min(others)[:16]}…" if others else "no"
    return named


def _agree(name: str, wanted: str) -> bool:
    """Whether two names are of one base model, of which the second may be a path."""
    one, other = (re.sub(r"^(\./)+|/+$", "", each.strip().replace("\\", "/")).casefold() for each in (name, wanted))
    if cached := _CACHED.search(wanted.replace("\\", "/")):
        other = f"{cached[1]}/{cached[2]}".casefold()
    is_path = wanted.startswith((".", "/", "~", "\\")) or other.count("/") > 1 or ":" in other or os.path.exists(wanted)
    return one == other or (is_path and not cached and one.rsplit("/")[-1] == other.rsplit("/")[-1])
