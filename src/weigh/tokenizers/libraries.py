"""The libraries that run tokenizers, each behind the interface of `reading`."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from weigh.errors import InvalidTokenizer
from weigh.sources import is_remote
from weigh.tokenizers.bpe import unspell
from weigh.tokenizers.reading import Token, Tokenizer, refusals


def _plain(normalize: Callable[[str], str], text: str) -> str:
    """A normalised text with spaces for ▁, less the one that would stand before any text."""
    prefix = "▁" if normalize("x").startswith("▁") else ""
    return normalize(text).removeprefix(prefix).replace("▁", " ")


_WORDS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
"""Pre-tokenizers that throw white space away."""


class HuggingFace(Tokenizer):
    """A `tokenizer.json`, run by `tokenizers` (https://huggingface.co/docs/tokenizers)."""

    def __init__(self, where: Path, raw: bytes, fields: Mapping[str, Any]) -> None:
        from tokenizers import Tokenizer as Library

        self._where = where
        self._library = Library.from_buffer(raw)
        cut, padding = self._library.truncation, self._library.padding
        if cut:
            self.notes = (f"the file cuts every text to {cut['max_length']:,} tokens; not done here",)
            self.cut = cut["max_length"], cut["direction"]
        if padding:
            self.padded = padding["length"]
        self._library.no_truncation()
        self._library.no_padding()

        model = fields["model"]
        algorithm = model.get("type") or type(self._library.model).__name__
        first = fields.get("pre_tokenizer") or {}
        steps = {step.get("type") for step in first.get("pretokenizers", [first])}
        byte_level = "ByteLevel" in steps
        self.keeps_spaces = not steps & _WORDS
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
        with refusals(self._where):
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

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, without the special tokens that a model wants around them."""
        with refusals(self._where):
            return [found.ids for found in self._library.encode_batch_fast(list(texts), add_special_tokens=False)]

    def pieces(self) -> dict[int, str]:
        """How each id is spelled."""
        return {number: piece for piece, number in self._library.get_vocab().items()}

    def normalised(self, text: str) -> str:
        """What the file's own normalizer makes of a text, without the space that it may put before the first word."""
        rules = self._library.normalizer
        with refusals(self._where):
            return text if rules is None else _plain(rules.normalize_str, text)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, without special tokens."""
        with refusals(self._where):
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
        with refusals(self._where):
            pieces = self._library.encode(text, return_type="proto").pieces
        found: list[Token] = []
        for piece in pieces:
            start, end = piece.begin, piece.end
            if self._library.is_byte(piece.id):  # the library gives the whole character to the last of its bytes
                start = found[-1].end if found else 0
                end = start + 1
            found.append(Token(piece.id, piece.piece, start, end))
        return found

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, without the special tokens that a model wants around them."""
        with refusals(self._where):
            return [list(map(int, found)) for found in self._library.encode(list(texts))]

    def pieces(self) -> dict[int, str]:
        """How each id is spelled."""
        return {number: self._library.id_to_piece(number) for number in range(self.vocabulary)}

    def normalised(self, text: str) -> str:
        """What the file's own normalizer makes of a text, without the space that it may put before the first word."""
        with refusals(self._where):
            return _plain(self._library.normalize, text)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, without special tokens."""
        with refusals(self._where):
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
        with refusals(self._where):
            ids = self._library.encode(text, bos=False, eos=False)
            spelled = [self._library.id_to_byte_piece(number) for number in ids]
        ends = list(accumulate(map(len, spelled)))
        return [
            Token(number, piece.decode(errors="replace"), end - len(piece), end)
            for number, piece, end in zip(ids, spelled, ends, strict=True)
        ]

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, without the special tokens that a model wants around them."""
        with refusals(self._where):
            return [self._library.encode(text, bos=False, eos=False) for text in texts]

    def pieces(self) -> dict[int, str]:
        """How each id is spelled."""
        return {number: self._library.id_to_piece(number) for number in range(self.vocabulary)}

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, without special tokens."""
        with refusals(self._where):
            return str(self._library.decode(list(ids)))
