"""Byte-pair encoding, step by step: what each merge of the training does, and which merges make a word's tokens.

The algorithm is Gage's (1994), used for words by Sennrich, Haddow and Birch (https://arxiv.org/abs/1508.07909) and for
bytes by GPT-2. Merges, their order and the tokens are those of the `tokenizers` library with its `ByteLevel`
pre-tokenizer; it is the speed that differs. A word has the space before it, and no merge crosses words.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from weigh.optional import needed

Word = tuple[bytes, ...]
"""A word, as the tokens that it consists of so far."""
Pair = tuple[bytes, bytes]
"""Two tokens that stand beside each other."""

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's: an English ending, letters, digits or signs with the space before them, or white space."""

PRINTED = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
"""The bytes that GPT-2 writes as the Latin-1 character of the same number. It moves the others up: a space is `Ġ`."""
ALPHABET = [bytes([value]) for value in (*PRINTED, *(value for value in range(256) if value not in PRINTED))]
"""The 256 bytes, in the order of their ids. So of two pairs that are equally frequent, the same one wins."""
SPELLING = dict(zip(ALPHABET, [*map(chr, PRINTED), *map(chr, range(256, 512 - len(PRINTED)))], strict=True))
"""How GPT-2 and `tokenizer.json` write each byte."""
_BYTES = {spelling: byte for byte, spelling in SPELLING.items()}


@dataclass(frozen=True)
class Merge:
    """A merge that byte-pair encoding learned, with what it did to the corpus.

    Attributes:
        pair: The two tokens that became one.
        count: How often they stood beside each other in the corpus.
        id: The id of the token that they make.
        corpus: Each word after the merge, in its tokens, with the number of times that it occurs.
    """

    pair: Pair
    count: int
    id: int
    corpus: Mapping[Word, int]

    @property
    def token(self) -> bytes:
        """The token that the merge makes, as bytes."""
        return b"".join(self.pair)

    @property
    def tokens(self) -> int:
        """The length of the whole corpus after the merge, in tokens."""
        return sum(len(word) * count for word, count in self.corpus.items())


@dataclass(frozen=True)
class Applied:
    """One step of the encoding of a word: the rank of the merge, its pair, and the word after it."""

    rank: int
    pair: Pair
    word: Word


def words(text: str) -> list[bytes]:
    """Cut a text where GPT-2 does. Joined, the words are the text in UTF-8.

    Raises:
        MissingPackage: If `regex` is not installed: Python's own expressions know no Unicode categories.
    """
    with needed("byte-pair encoding"):
        import regex  # type: ignore[import-untyped]
    return [word.encode() for word in regex.findall(_WORDS, text)]


def split(word: bytes) -> Word:
    """A word as tokens of one byte each."""
    return tuple(bytes([value]) for value in word)


def train_bpe(texts: Iterable[str], vocabulary: int) -> Iterator[Merge]:
    """Byte-pair encoding, learned one merge at a time: each joins the pair that is most frequent at that moment.

    Args:
        texts: What to learn from.
        vocabulary: Stop at so many tokens, the 256 bytes among them.

    Yields:
        The merges, in order, each with the corpus after it. They stop early once every word is one token.
    """
    ids = {token: number for number, token in enumerate(ALPHABET)}
    corpus = Counter(split(word) for text in texts for word in words(text))
    pairs: Counter[Pair] = Counter()
    for word, count in corpus.items():
        for pair in pairwise(word):
            pairs[pair] += count

    while len(ids) < vocabulary and pairs:
        # The most frequent; of several, the one whose ids are the smallest.
        pair = min(pairs, key=lambda pair: (-pairs[pair], ids[pair[0]], ids[pair[1]]))
        frequency = pairs[pair]
        token = ids.setdefault(b"".join(pair), len(ids))
        merged: Counter[Word] = Counter()
        for word, count in corpus.items():
            after = join(word, pair)
            merged[after] += count
            if after is not word:
                for old in pairwise(word):
                    pairs[old] -= count
                for new in pairwise(after):
                    pairs[new] += count
        corpus, pairs = merged, +pairs  # which drops the pairs that are gone
        yield Merge(pair, frequency, token, corpus)


def join(word: Word, pair: Pair) -> Word:
    """The word with each occurrence of the pair made one token, from the left; the word itself if there is none."""
    if pair not in pairwise(word):
        return word
    after: list[bytes] = []
    at = 0
    while at < len(word):
        here = word[at : at + 2] if word[at : at + 2] == pair else word[at : at + 1]
        after.append(b"".join(here))
        at += len(here)
    return tuple(after)


def encode(text: str, merges: Sequence[Pair]) -> list[list[Applied]]:
    """Encode a text: in each word, apply the earliest merge that fits, until none does.

    Args:
        text: Any text. No byte is unknown.
        merges: The pairs, in the order in which they were learned.

    Returns:
        For each word its steps: first none, of rank -1, with the word in bytes, then each merge that was applied. The
        tokens are those of the last step.
    """
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    return [list(_steps(word, ranks)) for word in words(text)]


def _steps(word: bytes, ranks: Mapping[Pair, int]) -> Iterator[Applied]:
    tokens = split(word)
    yield Applied(-1, (b"", b""), tokens)
    while applicable := [(ranks[pair], at) for at, pair in enumerate(pairwise(tokens)) if pair in ranks]:
        rank, at = min(applicable)
        pair = tokens[at], tokens[at + 1]
        tokens = (*tokens[:at], b"".join(pair), *tokens[at + 2 :])
        yield Applied(rank, pair, tokens)


def spell(token: bytes) -> str:
    """The token as `tokenizer.json` writes it: `Ġ` for a space, two signs for a letter of two bytes."""
    return "".join(SPELLING[bytes([value])] for value in token)


def unspell(piece: str) -> bytes:
    """The bytes of a token that is written as in `tokenizer.json`.

    Raises:
        KeyError: If a character stands for no byte.
    """
    return b"".join(_BYTES[character] for character in piece)
