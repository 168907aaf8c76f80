"""Near duplicates of texts across a split: MinHash finds the pairs, and the texts themselves confirm them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import compress
from typing import TYPE_CHECKING, Any
from zlib import crc32

from weigh.checks.partitions import over_batches
from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.splits.check import marked_parts, some
from weigh.checks.tables import complete, rows, scan, subject
from weigh.optional import needed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PERMUTATIONS = 128
"""Numbers in a signature."""

_RECALL = 0.99
_MOST_TRIED = 50
_AT_ONCE = 10_000


def near_duplicates(
    table: Any,
    split: str,
    text: str,
    *,
    similarity: float = 0.8,
    width: int = 5,
    train: str = "train",
    test: str = "test",
    threshold: float = 0.01,
) -> CheckResult:
    """Near duplicates across a split: the share of test texts that are nearly the same as a training text.

    Two texts are, if their sets of shingles (runs of `width` characters) have a Jaccard similarity of `similarity`: the
    shingles in both by those in either. MinHash (Broder 1997) brings the candidates, each is confirmed on the texts, so
    what is found is there; of the pairs at the limit at least 99 in 100 are found, of nearer ones more.

    Args:
        table: A path or a frame, as `check_splits` takes it.
        split: The column that says to which part a row belongs.
        text: The column of texts.
        similarity: The Jaccard similarity from which on two texts are near duplicates, above 0 and at most 1.
        width: Characters of a shingle. A longer one makes short texts less alike.
        train: The value of `split` for training rows.
        test: Its value for test rows.
        threshold: The largest share of test texts that may have a near duplicate.

    Raises:
        InvalidTable: If a column or a text is missing, or if one of the two parts has no row.
    """
    with needed(subject(table)):
        import numpy as np
    table_rows = rows(marked_parts(scan(table), table, [text], split, train, test), table)
    said, counts = complete(table_rows, table, text), {}
    for part, mark in ((train, "__train"), (test, "__test")):
        counts[part] = Counter(map(str, compress(said, table_rows[mark].to_list())))
        some(counts[part].total(), part, table)
    learnt, seen = list(counts[train]), list(counts[test])
    signed = (np.concatenate(over_batches(partial(signatures, width=width), part, table)) for part in (learnt, seen))
    found, tried, given_up = matches(learnt, next(signed), seen, next(signed), similarity, width)
    twins = sorted(found.items(), key=lambda item: (-item[1][1], seen[item[0]]))
    total, of_them = counts[test].total(), sum(counts[test][seen[place]] for place in found)
    b, r = bands(similarity)
    name = f"share of test texts with a near duplicate in train (Jaccard ≥ {similarity:g})"
    return CheckResult(
        check="near duplicates",
        figure=Figure.exact(name, of_them / total),
        threshold=threshold,
        reason="a model that has read nearly this text may recall the answer instead of finding it",
        evidence=first(
            {"Jaccard": alike, "test": seen[place][:60], "train": learnt[other][:60]} for place, (other, alike) in twins
        ),
        cost={"texts": len(said), "distinct texts": len(learnt) + len(seen), "pairs compared": tried},
        notes=(
            f"{b} bands of {r} find a pair at the limit with probability {recall(similarity, b, r):.3f}",
            *((f"{given_up:,} test texts had over {_MOST_TRIED} candidates that were none",) if given_up else ()),
        ),
    )


def shingles(text: str, width: int = 5) -> frozenset[str]:
    """The shingles of a text: its runs of `width` characters, in lower case, with single spaces. A text that is shorter
    is one shingle."""
    plain = " ".join(text.casefold().split())
    return frozenset(plain[start : start + width] for start in range(max(1, len(plain) - width + 1)))


def signatures(texts: Iterable[str], *, width: int = 5) -> "NDArray[np.uint32]":
    """MinHash signatures: for each text, the least value that each of 128 permutations gives to its shingles.

    They depend on nothing but the text, so batches of texts can be signed anywhere: in partitions, in processes.

    Args:
        texts: Any number of texts.
        width: Characters of a shingle.

    Returns:
        Shape (texts, 128), 512 bytes a text.
    """
    with needed("MinHash"):
        import numpy as np
        from datasketch import MinHash
    # CRC-32 runs in C, unlike datasketch's default, and is the same in every process, unlike hash(). That near inputs
    # have near values is mended by the mixing of the scheme.
    blank = MinHash(num_perm=PERMUTATIONS, hashfunc=_hashed, scheme="affine32")
    signed = [np.empty((0, PERMUTATIONS), np.uint32)]
    for text in texts:
        one, of_text = blank.copy(), list(shingles(text, width))
        for start in range(0, len(of_text), _AT_ONCE):  # a book would need a gigabyte
            one.update_batch(of_text[start : start + _AT_ONCE])
        signed.append(one.hashvalues[None])
    return np.concatenate(signed)


def bands(similarity: float, least: float = _RECALL) -> tuple[int, int]:
    """How many bands of how many rows a signature is cut into: the longest rows, so the fewest candidates, with which a
    pair of this similarity shares a band with a probability of `least`."""
    for r in range(PERMUTATIONS, 1, -1):
        if recall(similarity, PERMUTATIONS // r, r) >= least:
            return PERMUTATIONS // r, r
    return PERMUTATIONS, 1


def recall(similarity: float, b: int, r: int) -> float:
    """The probability that two texts of a Jaccard similarity share one of b bands of r rows: 1 − (1 − sʳ)ᵇ."""
    return float(1 - (1 - similarity**r) ** b)


def matches(
    train: Sequence[str],
    train_signatures: "NDArray[np.uint32]",
    test: Sequence[str],
    test_signatures: "NDArray[np.uint32]",
    similarity: float = 0.8,
    width: int = 5,
) -> tuple[dict[int, tuple[int, float]], int, int]:
    """For each test text that is nearly a training text: which one, and their true Jaccard similarity.

    The test texts are indexed, and the training texts pass by. A test text leaves the index once it is matched, or
    has been held in vain against 50 candidates: so the work grows with the number of texts, also where thousands
    are made from one template.

    Args:
        train: Distinct training texts.
        train_signatures: Their signatures: shape (texts, 128).
        test: Distinct test texts.
        test_signatures: Theirs.
        similarity: The Jaccard similarity from which on two texts match.
        width: Characters of a shingle.

    Returns:
        The matches, by the place of the test text; how many pairs were compared; how many test texts were given up.
    """
    if not 0 < similarity <= 1:
        raise ValueError(f"a Jaccard similarity is above 0 and at most 1, not {similarity:g}")
    with needed("MinHash"):
        from datasketch import MinHashLSH
    of_text = lru_cache(maxsize=10_000)(lambda text: shingles(text, width))
    index = MinHashLSH(num_perm=PERMUTATIONS, params=bands(similarity))
    for place, signature in enumerate(_lean(test_signatures)):
        index.insert(place, signature, check_duplication=False)
    found: dict[int, tuple[int, float]] = {}
    tried: Counter[int] = Counter()
    given_up = 0
    for other, signature in enumerate(_lean(train_signatures)):
        for place in sorted(index.query(signature)):
            ours, theirs = of_text(test[place]), of_text(train[other])
            alike = len(ours & theirs) / len(ours | theirs)
            tried[place] += 1
            if alike >= similarity:
                found[place] = other, alike
            elif tried[place] >= _MOST_TRIED:
                given_up += 1
            else:
                continue
            index.remove(place)
    return found, tried.total(), given_up


def _hashed(shingle: str) -> int:
    return crc32(shingle.encode("utf-8", "surrogatepass"))


def _lean(signed: "NDArray[np.uint32]") -> Iterator[Any]:
    """Signatures in the form that an index takes."""
    from datasketch import LeanMinHash

    for values in signed:
        yield LeanMinHash(seed=1, hashvalues=values, scheme="affine32")
