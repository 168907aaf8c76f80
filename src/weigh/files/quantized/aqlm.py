"""AQLM: `codes` (outputs / a, inputs / b, books), each the number of a vector of a × b weights in `codebooks`.

A weight is the sum of one vector from each of the `codebooks` (books, vectors, a, b), times a scale of its output.
"""

from collections.abc import Iterator
from fractions import Fraction

from weigh.dtypes import DTYPES
from weigh.files.quantized.stored import Stored
from weigh.groups import Group


def find(stored: Stored) -> Iterator[Group]:
    """The matrices that are sums of vectors from codebooks."""
    for base, codes in stored.ending("codes"):
        books = stored.tensors.get(f"{base}codebooks")
        if (
            books is None
            or len(codes.shape) != 3
            or len(books.shape) != 4
            or not books.numel
            or DTYPES[codes.dtype].kind != "int"
        ):
            continue
        outputs, inputs = books.shape[2:]
        shape = (codes.shape[0] * outputs, codes.shape[1] * inputs)
        bits = Fraction(DTYPES[codes.dtype].bits) * codes.shape[2] / max(1, outputs * inputs)
        side = stored.side(base, scales=("scales",), codebooks=("codebooks",))
        yield Group(f"{base}weight", "AQLM", shape, bits, (codes.name,), side)
