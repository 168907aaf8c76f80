"""Tokenizers of every common kind behind one interface, with the bytes of the text that each token covers.

Each file is run by the library that it was made for: `tokenizer.json` by `tokenizers`, a SentencePiece model by
`sentencepiece`, a `tekken.json` by `mistral-common`. Each is imported when one of its files is loaded.
"""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from weigh.errors import InvalidTokenizer, MissingPackage, NotFound
from weigh.optional import needed
from weigh.sources import File, is_directory, is_remote, locate
from weigh.tokenizers.bpe import unspell

FILES = ("tokenizer.json", "tokenizer.model", "tekken.json", "spiece.model")
"""What is looked for in a directory, in this order."""


@dataclass(frozen=True)
class Token:
    """A token: its id, its piece, and where in the text it is.

    Attributes:
        id: Its number, which is all that a model sees.
        piece: How the vocabulary spells it, such as `##ing`, `▁the` or `Ġthe`.
        start: The first byte of the text, in UTF-8, that it covers.
        end: The byte after the last. A token that was added to the text covers none, and those of a character that
            the tokenizer took apart first, as é into e and an accent, cover the whole of it.
    """

    id: int
    piece: str
    start: int
    end: int


class Tokenizer(ABC):
    """A tokenizer: text to token ids, and ids to text.

    Attributes:
        kind: The algorithm, such as `WordPiece` or `byte-level BPE`.
        vocabulary: The number of ids.
        special: The ids that stand for no text but for a mark such as the begin of a document, by name.
        unknown: The id of what the vocabulary cannot spell; `None` if it can spell everything.
        notes: What else the file makes of a text.
    """

    kind: str
    vocabulary: int
    special: Mapping[str, int]
    unknown: int | None = None
    notes: Sequence[str] = ()

    @abstractmethod
    def tokens(self, text: str) -> list[Token]:
        """Encode a text, without the special tokens that a model wants around it."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids. What special tokens stand for is not shown."""

    def round_trip(self, text: str) -> str:
        """What is left of a text that is encoded and decoded."""
        return self.decode([token.id for token in self.tokens(text)])

    def as_dict(self, text: str | None = None) -> dict[str, Any]:
        """The facts as plain integers and strings, and those of a text."""
        facts = {name: getattr(self, name) for name in ("kind", "vocabulary", "unknown")}
        facts |= {"special": dict(self.special), "notes": list(self.notes)}
        if text is not None:
            found = self.tokens(text)
            size, back = len(text.encode()), self.decode([token.id for token in found])
            facts |= {
                "characters": len(text),
                "bytes": size,
                "tokens": [asdict(token) for token in found],
                "bytes_per_token": size / len(found) if found else None,
                "unknown_tokens": sum(token.id == self.unknown for token in found),
                "decoded": back,
                "round_trip": back == text,
            }
        return facts


def tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """A tokenizer from a `tokenizer.json`, a SentencePiece model, a `tekken.json`, or a directory that holds one.

    Args:
        path: A path, or a URL.

    Raises:
        NotFound: If there is no such file, or the directory holds none.
        InvalidTokenizer: If the file is no tokenizer, or its library refuses it.
        MissingPackage: If that library is not installed.
    """
    where = locate(path)
    if is_directory(where):
        found = [where / name for name in FILES if (where / name).is_file()]
        if not found:
            raise NotFound(where, f"holds no tokenizer: none of {', '.join(FILES)}; give the file")
        where = found[0]
    with File(where).open() as reader:
        raw = bytes(reader.read())
    with _refusals(where):
        if not raw.lstrip().startswith(b"{"):
            return SentencePiece(where, raw)
        fields = json.loads(raw)
        if isinstance(fields.get("model"), dict):
            return HuggingFace(where, raw, fields)
        if {"vocab", "config"} <= fields.keys():
            return Tekken(where, raw)
    raise InvalidTokenizer(where, "has neither `model` nor `vocab` and `config`; give a tokenizer.json or tekken.json")


@contextmanager
def _refusals(where: object) -> Iterator[None]:
    """One line for whatever a tokenizer's library raises: each has its own exceptions, and Rust's panics are none."""
    try:
        with needed(where):
            yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit, InvalidTokenizer, MissingPackage):
        raise
    except BaseException as error:
        said = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise InvalidTokenizer(where, f"is no tokenizer that can be loaded and run ({said}); fetch it again") from None


class HuggingFace(Tokenizer):
    """A `tokenizer.json`, run by `tokenizers` (https://huggingface.co/docs/tokenizers)."""

    def __init__(self, where: Path, raw: bytes, fields: Mapping[str, Any]) -> None:
        from tokenizers import Tokenizer as Library

        self._where = where
        self._library = Library.from_buffer(raw)
        cut = self._library.truncation
        if cut:
            self.notes = (f"the file cuts every text to {cut['max_length']:,} tokens; not done here",)
        self._library.no_truncation()
        self._library.no_padding()

        model = fields["model"]
        algorithm = model.get("type") or type(self._library.model).__name__
        steps = fields.get("pre_tokenizer") or {}
        byte_level = any(step.get("type") == "ByteLevel" for step in steps.get("pretokenizers", [steps]))
        fallback = " with byte fallback" if model.get("byte_fallback") else ""
        self.kind = f"{'byte-level ' if byte_level else ''}{algorithm}{fallback}"
        self.vocabulary = self._library.get_vocab_size()
        added = self._library.get_added_tokens_decoder()
        self.special = {token.content: number for number, token in sorted(added.items()) if token.special}
        self._added = {number: token.content for number, token in added.items()}
        unknown = model.get("unk_token")
        self.unknown = model.get("unk_id") if unknown is None else self._library.token_to_id(unknown)

    def tokens(self, text: str) -> list[Token]:
        """Tokens of a text, without the special tokens that a model wants around it."""
        with _refusals(self._where):
            found = self._library.encode(text, add_special_tokens=False)
        spelled = [self._spelled(number, piece) for number, piece in zip(found.ids, found.tokens, strict=True)]
        if b"".join(spelled) == text.encode():  # byte-level: a token may be a part of a character
            ends = list(accumulate(map(len, spelled)))
            spans = list(zip([0, *ends], ends, strict=False))
        else:  # the library counts in characters
            at = [0, *accumulate(len(character.encode()) for character in text)]
            spans = [(at[start], at[end]) for start, end in found.offsets]
        return [Token(number, piece, *span) for number, piece, span in zip(found.ids, found.tokens, spans, strict=True)]

    def _spelled(self, number: int, piece: str) -> bytes:
        if number in self._added:
            return self._added[number].encode()
        try:
            return unspell(piece)
        except KeyError:  # not byte-level
            return b""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, without special tokens."""
        with _refusals(self._where):
            return str(self._library.decode(list(ids)))


class SentencePiece(Tokenizer):
    """A model of SentencePiece, run by `sentencepiece` (https://github.com/google/sentencepiece)."""

    def __init__(self, where: Path, raw: bytes) -> None:
        import sentencepiece
        from sentencepiece import sentencepiece_model_pb2

        schema: Any = sentencepiece_model_pb2
        try:
            model = schema.ModelProto.FromString(raw)
            algorithm = schema.TrainerSpec.ModelType.Name(model.trainer_spec.model_type)
            self._library = library = sentencepiece.SentencePieceProcessor(model_proto=raw if model.pieces else b"?")
        except Exception:
            raise InvalidTokenizer(where, "is neither JSON nor a model of SentencePiece; fetch it again") from None
        self._where = where
        self.vocabulary = library.vocab_size()
        numbers = range(self.vocabulary)
        self.special = {library.id_to_piece(n): n for n in numbers if library.is_control(n) or library.is_unknown(n)}
        fallback = any(library.is_byte(number) for number in numbers)
        name = algorithm if algorithm == "BPE" else algorithm.capitalize()
        self.kind = f"SentencePiece {name}{' with byte fallback' if fallback else ''}"
        self.unknown = None if fallback else library.unk_id()

    def tokens(self, text: str) -> list[Token]:
        """Tokens of a text, without the special tokens that a model wants around it."""
        with _refusals(self._where):
            pieces = self._library.encode(text, return_type="proto").pieces
        found: list[Token] = []
        for piece in pieces:
            start, end = piece.begin, piece.end
            if self._library.is_byte(piece.id):  # the library gives the whole character to the last of its bytes
                start = found[-1].end if found else 0
                end = start + 1
            found.append(Token(piece.id, piece.piece, start, end))
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, without special tokens."""
        with _refusals(self._where):
            return str(self._library.decode(list(ids)))


class Tekken(Tokenizer):
    """Mistral's `tekken.json`, run by `mistral-common` (https://docs.mistral.ai)."""

    kind = "byte-level BPE (Tekken)"

    def __init__(self, where: Path, raw: bytes) -> None:
        from mistral_common.tokens.tokenizers.tekken import Tekkenizer

        self._where = where
        if is_remote(where):  # the library reads a path
            with TemporaryDirectory() as folder:
                copy = Path(folder, "tekken.json")
                copy.write_bytes(raw)
                self._library = Tekkenizer.from_file(copy)
        else:
            self._library = Tekkenizer.from_file(where)
        self.vocabulary = self._library.n_words
        named = [(self._library.id_to_piece(number), number) for number in range(self._library.num_special_tokens)]
        self.special = {name: number for name, number in named if not name.startswith("<SPECIAL_")}
        self.notes = (f"{len(named) - len(self.special):,} more ids are kept free for special tokens",)

    def tokens(self, text: str) -> list[Token]:
        """Tokens of a text, without the special tokens that a model wants around it."""
        with _refusals(self._where):
            ids = self._library.encode(text, bos=False, eos=False)
            spelled = [self._library.id_to_byte_piece(number) for number in ids]
        ends = list(accumulate(map(len, spelled)))
        return [
            Token(number, piece.decode(errors="replace"), end - len(piece), end)
            for number, piece, end in zip(ids, spelled, ends, strict=True)
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, without special tokens."""
        with _refusals(self._where):
            return str(self._library.decode(list(ids)))
