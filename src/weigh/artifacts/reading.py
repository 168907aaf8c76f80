"""A file of a model directory as values, each with its place: what two releases can be compared by, one by one.

JSON becomes its fields, a tokenizer its tokens and merges, a template or a card its text. Nothing is run, and all other
files are left to their SHA-256.
"""

import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from weigh.artifacts import vocabularies
from weigh.artifacts.values import Values, fields_of, parse_json, written
from weigh.errors import InvalidArtifact, WeighError
from weigh.files.directories import ARTIFACTS
from weigh.sources import File

OTHERS: dict[str, tuple[str, ...]] = {
    "adapter": ("adapter_config.json", "adapter_model.*"),
    "model card": ("README.md",),
}
"""What else a model directory holds, by the names of its files. All that is left is "other files"."""

KINDS = (*ARTIFACTS, *OTHERS, "other files")
"""What a file may belong to, in the order in which changes are told."""

LARGEST = 2**26
"""The most bytes of a file that is read as values; the largest tokenizers have half of them."""

_FRONT_MATTER = re.compile(r"\A\s*---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def artifact_of(name: str) -> str:
    """The artifact that a file belongs to: one of the six, `adapter`, `model card` or `other files`."""
    path = PurePosixPath(name)
    if path.parts[0] == "additional_chat_templates":
        return "tokenizer / preprocessor"
    if len(path.parts) > 1:
        return "other files"
    kinds = {**ARTIFACTS, **OTHERS}
    return next(
        (kind for kind in reversed(kinds) if any(fnmatch(name, pattern) for pattern in kinds[kind])), "other files"
    )


def read_values(path: Path) -> Values | None:
    """The values of a file, read by its name; `None` if it is of no kind that has any.

    Raises:
        NotFound: If there is no such file.
        InvalidArtifact: If it is not what its name says, or too large.
        MissingPackage: If it is a model of SentencePiece and the packages that read those are not installed.
    """
    name = path.name
    readers: dict[str, Callable[[Path, bytes], Values]] = {
        "tokenizer.json": vocabularies.tokenizer_json,
        "tekken.json": vocabularies.tekken,
        "vocab.json": vocabularies.vocab_json,
        "vocab.txt": vocabularies.vocab_txt,
        "vocab.bpe": vocabularies.merges_txt,
        "merges.txt": vocabularies.merges_txt,
        "*.model": vocabularies.pieces,
        "*.index.json": _index,
        "*.json": _json,
        "*.jinja": _text,
        "README.md": _card,
    }
    reader = next((reader for pattern, reader in readers.items() if fnmatch(name, pattern)), None)
    if reader is None:
        return None
    if File(path).size > LARGEST:
        raise InvalidArtifact(path, f"has {File(path).size:,} bytes, and weigh reads {LARGEST:,} as values")
    raw = File(path).first(LARGEST)
    try:
        return reader(path, raw)
    except WeighError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidArtifact(path, f"is no {name} of the usual form; fetch it again") from None


def _json(where: Path, raw: bytes) -> Values:
    return Values("field by field", fields_of(where, parse_json(where, raw)))


def _index(where: Path, raw: bytes) -> Values:
    """The metadata of an index. Which shard a tensor is in changes no tensor."""
    document = parse_json(where, raw)
    return Values("field by field", fields_of(where, {k: v for k, v in document.items() if k != "weight_map"}))


def _text(where: Path, raw: bytes) -> Values:
    return Values("as text", {"text": written(raw.decode("utf-8"))})


def _card(where: Path, raw: bytes) -> Values:
    text = raw.decode("utf-8-sig")
    found = _FRONT_MATTER.match(text)
    front, rest = (found[1], text[found.end() :]) if found else ("", text)
    return Values("as text", {"front matter": written(front), "text": written(rest)})
