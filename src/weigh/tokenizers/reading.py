"""Tokenizers of every common kind behind one interface, with the bytes of the text that each token covers.

Each file is run by the library that it was made for: `tokenizer.json` by `tokenizers`, a SentencePiece model by
`sentencepiece`, a `tekken.json` by `mistral-common`. Each is imported when one of its files is loaded.
"""

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from weigh.errors import InvalidTokenizer, MissingPackage, NotFound
from weigh.optional import needed
from weigh.sources import File, is_directory, locate

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
        keeps_spaces: Whether white space is for the vocabulary to spell, or only tells words apart.
        cut: How many tokens of a text the file keeps when its library runs it as it is, and at which end it cuts.
        padded: How many tokens it makes of a shorter one.
    """

    kind: str
    vocabulary: int
    special: Mapping[str, int]
    unknown: int | None = None
    notes: Sequence[str] = ()
    keeps_spaces: bool = True
    cut: tuple[int, str] | None = None
    padded: int | None = None

    @abstractmethod
    def tokens(self, text: str) -> list[Token]:
        """Encode a text, without the special tokens that a model wants around it."""

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, without the special tokens that a model wants around them."""
        return [[token.id for token in self.tokens(text)] for text in texts]

    def pieces(self) -> dict[int, str]:
        """How each id is spelled, added tokens included. They need not be as many as the largest id says."""
        return dict.fromkeys(range(self.vocabulary), "") | {number: name for name, number in self.special.items()}

    def normalised(self, text: str) -> str:
        """What the file's own normalizer makes of a text before it is cut: what it promises to keep."""
        return text

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
    if _is_tiktoken(raw):
        raise InvalidTokenizer(
            where, "is a list of tiktoken, without the pattern and the special tokens; give a tokenizer.json"
        )
    from weigh.tokenizers.libraries import HuggingFace, SentencePiece, Tekken

    with refusals(where):
        if not raw.lstrip().startswith(b"{"):
            return SentencePiece(where, raw)
        fields = json.loads(raw)
        if isinstance(fields.get("model"), dict):
            return HuggingFace(where, raw, fields)
        if {"vocab", "config"} <= fields.keys():
            return Tekken(where, raw)
    raise InvalidTokenizer(where, "has neither `model` nor `vocab` and `config`; give a tokenizer.json or tekken.json")


def _is_tiktoken(raw: bytes) -> bool:
    """Whether each line is a token in base64 and its rank: the first one tells."""
    word, _, rank = raw[:200].partition(b"\n")[0].rstrip().rpartition(b" ")
    return bool(re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", word)) and rank.isdigit()


@contextmanager
def refusals(where: object) -> Iterator[None]:
    """One line for whatever a tokenizer's library raises: each has its own exceptions, and Rust's panics are none."""
    try:
        with needed(where):
            yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit, InvalidTokenizer, MissingPackage):
        raise
    except BaseException as error:
        said = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise InvalidTokenizer(where, f"is no tokenizer that can be loaded and run ({said}); fetch it again") from None
