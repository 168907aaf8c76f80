"""A tokenizer's files, token by token: which piece each id stands for, and the merges in their order."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weigh.artifacts.values import Values, fields_of, parse_json, written
from weigh.errors import InvalidArtifact
from weigh.optional import needed

_HOW = "token by token"
_TIKTOKEN = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+")


def tokenizer_json(where: Path, raw: bytes) -> Values:
    """A `tokenizer.json`: tokens by id, merges in order, and every other part field by field.

    Whether merges are written as pairs or as text, which depends on the version of `tokenizers`, is no difference.
    """
    document = parse_json(where, raw)
    model = document.get("model")
    if not isinstance(model, dict):
        return Values("field by field", fields_of(where, document))
    model, tokens, lists = dict(model), {}, {}
    vocabulary = model.get("vocab")
    if _is_vocabulary(vocabulary):
        tokens = _by_id(model.pop("vocab"))
    elif isinstance(vocabulary, list) and all(_is_scored(each) for each in vocabulary):
        scored = enumerate(model.pop("vocab"))
        tokens = {f"token {number}": f"{written(piece)} {float(score)!r}" for number, (piece, score) in scored}
    if isinstance(model.get("merges"), list):
        lists["merge"] = [_merge(each) for each in model.pop("merges")]
    document = {**document, "model": model}
    added = document.get("added_tokens")
    if isinstance(added, list):
        numbers = [each.get("id") for each in added if isinstance(each, dict)]
        if len(set(map(str, numbers))) == len(added) and all(type(number) is int for number in numbers):
            marks = {f"added token {each['id']}": _without(each, "id") for each in document.pop("added_tokens")}
            tokens |= fields_of(where, marks)
    return Values(_HOW, {**fields_of(where, document), **tokens}, lists)


def vocab_json(where: Path, raw: bytes) -> Values:
    """A `vocab.json`: tokens by id."""
    document = parse_json(where, raw)
    if not _is_vocabulary(document):
        return Values("field by field", fields_of(where, document))
    return Values(_HOW, _by_id(document))


def vocab_txt(where: Path, raw: bytes) -> Values:
    """A `vocab.txt`: the token of each line."""
    return Values(_HOW, {f"token {number}": written(line) for number, line in enumerate(_lines(raw))})


def merges_txt(where: Path, raw: bytes) -> Values:
    """A `merges.txt`: the merges in order."""
    lines = _lines(raw)
    if lines and lines[0].startswith("#version"):
        return Values(_HOW, {"version": written(lines[0])}, {"merge": lines[1:]})
    return Values(_HOW, {}, {"merge": lines})


def tekken(where: Path, raw: bytes) -> Values:
    """A `tekken.json`: tokens by rank, special ones apart, and its config field by field."""
    document = dict(parse_json(where, raw))
    tokens: dict[str, str] = {}
    for name, called in (("vocab", "token"), ("special_tokens", "special token")):
        entries = document.pop(name, None) or []
        tokens |= {f"{called} {entry['rank']}": written(_without(entry, "rank")) for entry in entries}
    return Values(_HOW, {**fields_of(where, document), **tokens})


def pieces(where: Path, raw: bytes) -> Values:
    """A `tokenizer.model`: of SentencePiece, with its scores and settings, or a list of tiktoken's."""
    lines = raw.splitlines()
    if lines and all(_TIKTOKEN.fullmatch(line.rstrip()) for line in lines):
        pairs = [line.split() for line in lines]
        return Values(_HOW, {f"token {int(rank)}": _bytes(base64.b64decode(word)) for word, rank in pairs})
    with needed(where):
        from google.protobuf import json_format, message  # type: ignore[import-untyped]
        from sentencepiece import sentencepiece_model_pb2

    schema: Any = sentencepiece_model_pb2
    try:
        model = schema.ModelProto.FromString(raw)
    except message.DecodeError:
        raise InvalidArtifact(where, "is no model of SentencePiece and no list of tiktoken; fetch it again") from None
    kinds = schema.ModelProto.SentencePiece.Type
    tokens = {
        f"token {number}": " ".join([written(piece.piece), repr(piece.score), kinds.Name(piece.type)])
        for number, piece in enumerate(model.pieces)
    }
    del model.pieces[:]
    return Values(_HOW, {**fields_of(where, json_format.MessageToDict(model)), **tokens})


def _lines(raw: bytes) -> list[str]:
    """Lines as tokenizers count them: other characters that end a line may be tokens."""
    return raw.decode("utf-8").removesuffix("\n").replace("\r\n", "\n").split("\n") if raw else []


def _is_vocabulary(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(type(number) is int for number in value.values())


def _is_scored(value: Any) -> bool:
    return isinstance(value, list) and [type(each) for each in value] in ([str, float], [str, int])


def _by_id(vocabulary: Mapping[str, int]) -> dict[str, str]:
    """The piece of each id. Of several with one id, a tokenizer encodes all and decodes one, so all are said."""
    found: dict[int, list[str]] = {}
    for piece, number in vocabulary.items():
        found.setdefault(number, []).append(written(piece))
    return {f"token {number}": " and ".join(sorted(found[number])) for number in sorted(found)}


def _merge(pair: Any) -> str:
    if isinstance(pair, str):
        return pair
    plain = isinstance(pair, list) and all(isinstance(each, str) and " " not in each for each in pair)
    return " ".join(pair) if plain else written(pair)


def _without(entry: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


def _bytes(token: bytes) -> str:
    try:
        return written(token.decode("utf-8"))
    except UnicodeDecodeError:
        return f"bytes {token.hex(' ')}"
