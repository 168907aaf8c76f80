"""The manifest of an embedding space, stored with the index: what both sides have to agree on before they compare."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from weigh.artifacts.digests import digests
from weigh.checks.embeddings.indexes import index_facts
from weigh.checks.embeddings.search import known
from weigh.checks.embeddings.usable import is_normalised
from weigh.checks.embeddings.vectors import vectors
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import AlreadyThere, InvalidDeclaration
from weigh.sources import MAX_HEADER, File, opening

_MODULES = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "[0-9]_*/config.json",
            "[0-9]_*/*.safetensors", "[0-9]_*/*.bin")  # fmt: skip
_SPACE = ("model", "prompts", "dimensions", "normalised", "metric")


@dataclass(frozen=True)
class EmbeddingManifest:
    """What vectors and an index were made with: the boundary inside which two vectors may be compared.

    Attributes:
        model: The SHA-256 of each file of the encoder: weights, tokenizer, pooling, prompts. Empty if not given.
        prompts: The SHA-256 of each prompt or prefix that the service adds. Empty if there is none.
        dimensions: Numbers of a vector.
        normalised: Whether vectors have length 1.
        metric: The metric that answers are ranked by.
        dtype: The number format of the stored vectors.
        count: How many there are.
        index: Library and version, metric, dtype and count of the index, as its file says. Empty if not given.
    """

    model: Mapping[str, str]
    prompts: Mapping[str, str]
    dimensions: int
    normalised: bool
    metric: str
    dtype: str
    count: int
    index: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of a SHA-256 of the space: model, prompts, dimensions, normalised, metric.

        Vectors of one id may be compared, in whatever number format and index they are kept.
        """
        decisive = json.dumps({name: getattr(self, name) for name in _SPACE}, sort_keys=True, default=dict)
        return hashlib.sha256(decisive.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, to be written as JSON beside the index."""
        return {"id": self.id, **asdict(self)}

    def write(self, path: str | Path) -> None:
        """Write it as JSON to a new file.

        Raises:
            AlreadyThere: If there is a file of that name.
            NotFound: If it cannot be written.
        """
        text = json.dumps(self.as_dict(), indent=2) + "\n"
        with opening(Path(path)):
            try:
                with Path(path).open("x", encoding="utf-8") as file:
                    file.write(text)
            except FileExistsError:
                raise AlreadyThere(path, "is there already; name a new file, or remove it first") from None


def embedding_manifest(
    stored: Any,
    metric: str = "cosine",
    *,
    model: str | Path | None = None,
    prompts: Mapping[str, str] | None = None,
    index: Any = None,
    normalised: bool | None = None,
) -> EmbeddingManifest:
    """The manifest of stored vectors, with their encoder and their index. What can be measured is measured.

    Args:
        stored: The vectors, as `vectors` takes them.
        metric: The metric that answers are ranked by.
        model: The encoder's directory, whose files are read to the end.
        prompts: Prompts or prefixes by name, that the service adds to texts.
        index: The index file of usearch, of which the head is read.
        normalised: Whether vectors are declared to have length 1; without it, whether most of them do.

    Raises:
        NotFound: If there is no such directory or file.
        InvalidSetting: If the metric is none.
        InvalidTable: If the vectors or the index are none.
    """
    these = vectors(stored)
    facts = asdict(index_facts(index)) if index is not None else {}
    return EmbeddingManifest(
        model=digests(Path(model), _MODULES) if model is not None else {},
        prompts={name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted((prompts or {}).items())},
        dimensions=these.dimensions,
        normalised=is_normalised(these) if normalised is None else normalised,
        metric=known(metric),
        dtype=these.dtype,
        count=these.rows,
        index=facts,
    )


def read_manifest(source: Any) -> EmbeddingManifest:
    """A manifest from its file, or from a mapping.

    Args:
        source: The path of a JSON file, a mapping, or what `embedding_manifest` gave.

    Raises:
        NotFound: If there is no such file.
        InvalidDeclaration: If it is no such manifest, or its id is not that of its fields.
    """
    if isinstance(source, EmbeddingManifest):
        return source
    where, found = "manifest", source
    if not isinstance(source, Mapping):
        where = str(source)
        try:
            found = json.loads(File(Path(where)).first(MAX_HEADER))
        except (ValueError, RecursionError) as error:
            raise InvalidDeclaration(where, f"is no JSON: {str(error)[:80]}; write the manifest again") from None
    kinds = {"dimensions": int, "count": int, "normalised": bool, "metric": str, "dtype": str, "model": Mapping,
             "prompts": Mapping, "index": Mapping}  # fmt: skip
    if not isinstance(found, Mapping):
        raise InvalidDeclaration(where, "is no object of JSON; write the manifest again")
    for name, kind in kinds.items():
        if not isinstance(found.get(name), kind) or (kind is int and isinstance(found[name], bool)):
            raise InvalidDeclaration(
                where, f"{name} is missing or no {kind.__name__.lower()}; write the manifest again"
            )
    manifest = EmbeddingManifest(**{name: found[name] for name in kinds})
    if found.get("id", manifest.id) != manifest.id:
        raise InvalidDeclaration(
            where, f"its id is {str(found['id'])[:20]!r}, and its fields have {manifest.id}: edited"
        )
    return manifest


def manifest_difference(recorded: Any, now: EmbeddingManifest) -> CheckResult:
    """Manifest difference: the fields in which what was recorded with an index differs from what is there now.

    What one of the two does not say, the model or the index, is not compared.

    Args:
        recorded: The stored manifest, as `read_manifest` takes it.
        now: That of the vectors, the encoder, the metric and the index of today.

    Raises:
        InvalidDeclaration: If what was recorded is no manifest.
    """
    before = read_manifest(recorded)
    rows, notes, compared = [], [], 0
    for each in fields(EmbeddingManifest):
        old, new = getattr(before, each.name), getattr(now, each.name)
        if isinstance(old, Mapping) and not (old and new):
            if old or new:
                notes.append(f"{each.name} is not compared: only {'the manifest' if old else 'today'} says it")
            continue
        one, two = (old, new) if isinstance(old, Mapping) else ({"": old}, {"": new})
        names = sorted({*one, *two})
        compared += len(names)
        rows += [
            {"field": f"{each.name} {name}".strip(), "recorded": _short(one.get(name)), "now": _short(two.get(name))}
            for name in names
            if one.get(name) != two.get(name)
        ]
    spaces = f"space {before.id} recorded, {now.id} now" if before.id != now.id else f"space {now.id}"
    return CheckResult(
        check="manifest",
        figure=Figure.exact("fields that differ from the manifest", len(rows)),
        threshold=0,
        reason="vectors made or compared in another way than the index's are in another space",
        evidence=first(rows, 20),
        cost={"fields": compared},
        notes=(spaces, *notes),
    )


def _short(value: Any) -> Any:
    """A value as a table shows it: the beginning of a digest, and nothing for what is not there."""
    return value[:16] if isinstance(value, str) and len(value) == hashlib.sha256().digest_size * 2 else value
