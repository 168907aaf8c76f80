"""Tensors cut into boxes, each stored by itself: whether the boxes fit, and the bytes they come to."""

from collections import Counter
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Protocol

from weigh import errors
from weigh.dtypes import DTYPES
from weigh.formats.torch import saved
from weigh.sources import File, Source
from weigh.tensors import Tensor

_MOST_CUTS = 4

Box = tuple[tuple[int, ...], tuple[int, ...]]
"""Where a chunk begins in its tensor, and its sizes."""


class Chunk(Protocol):
    """What is stored for a box."""

    def found(self) -> tuple[Tensor, Source]:
        """The chunk as a tensor, and the storage that it lives in."""


@dataclass(frozen=True)
class Assembled:
    """A tensor's bytes row after row, put together from its chunks when they are asked for.

    Attributes:
        shape: Its sizes.
        dtype: Its number format.
        chunks: Its boxes, and the chunk of each.
    """

    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[tuple[Box, Chunk], ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return prod(self.shape) * DTYPES[self.dtype].bits // 8

    @property
    def packed(self) -> None:
        """Nothing: chunks are not compressed."""

    def read(self, begin: int, end: int) -> bytearray:
        """The bytes from `begin` to `end`. Of the chunks only those are read that hold some of them.

        Raises what its chunks do.
        """
        if begin >= end:
            return bytearray()
        if len(self.chunks) == 1:
            tensor, storage = self.chunks[0][1].found()
            if tensor.strides in (None, _row_major(self.shape)):
                return storage.read(tensor.begin + begin, tensor.begin + end)
        width = DTYPES[self.dtype].bits // 8
        row = prod(self.shape[1:]) * width
        first, last = begin // row, -(-end // row)
        data = bytearray((last - first) * row)
        for (offsets, sizes), chunk in self.chunks:
            low, high = max(first, offsets[0]), min(last, offsets[0] + sizes[0])
            if low < high:
                tensor, storage = chunk.found()
                into, out_of = _row_major(self.shape), tensor.strides or _row_major(sizes)
                at = sum(offset * step for offset, step in zip((low - first, *offsets[1:]), into, strict=True))
                source = storage.read(tensor.begin, tensor.end)
                layout = list(zip((high - low, *sizes[1:]), into, out_of, strict=True))
                _paste(data, at, source, (low - offsets[0]) * out_of[0], layout, width)
        del data[end - first * row :], data[: begin - first * row]
        return data


@dataclass(frozen=True)
class Archived:
    """A chunk that is an archive of its own.

    Attributes:
        file: The archive.
        name: The name of the whole tensor, for an error.
        dtype: Its number format.
        sizes: Those of the chunk.
    """

    file: File
    name: str
    dtype: str
    sizes: tuple[int, ...]

    def found(self) -> tuple[Tensor, Source]:
        """The tensor in the archive, and its storage.

        Raises:
            InvalidOffsets: If the archive does not hold the chunk that the checkpoint says.
        """
        contents = saved.read_inside(self.file, "")
        described = [(tensor.name, tensor.dtype, tensor.shape) for tensor in contents.named]
        if described != [("", self.dtype, self.sizes)]:
            raise errors.InvalidOffsets(
                f"{self.file}, byte {self.file.begin:,}",
                f"is not the chunk of {self.name[:80]!r} that the checkpoint says; fetch the file again",
            )
        return contents.named[0], contents.storages[contents.named[0].storage]


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[n + 1 :]) for n in range(len(shape)))


def _paste(
    data: bytearray, at: int, source: bytearray, begin: int, layout: list[tuple[int, int, int]], width: int
) -> None:
    """Copy a box of elements from one layout into another, a run along its last dimension at a time.

    Args:
        data: Where to.
        at: The box's first element there.
        source: Where from.
        begin: The box's first element there.
        layout: Its size and its two strides, in `data` and in `source`, along each dimension.
        width: Bytes of an element.
    """
    words = max(1, width // 8)
    if words > 1:  # no view has numbers of more than 8 bytes
        layout = [(size, into * words, out_of * words) for size, into, out_of in layout] + [(words, 1, 1)]
    layout = [dimension for dimension in layout if dimension[0] > 1]
    if not layout or layout[-1][1] != 1 or not layout[-1][2]:
        layout.append((1, 1, 1))
    merged = [layout[-1]]
    for size, into, out_of in layout[-2::-1]:
        inner, inner_into, inner_out_of = merged[-1]
        if (into, out_of) == (inner * inner_into, inner * inner_out_of):
            merged[-1] = (size * inner, inner_into, inner_out_of)
        else:
            merged.append((size, into, out_of))
    (run, _, step), *outer = merged
    target, elements = _numbers(data, width), _numbers(source, width)
    for index in product(*(range(size) for size, _, _ in outer)):
        to = at * words + sum(i * into for i, (_, into, _) in zip(index, outer, strict=True))
        of = begin * words + sum(i * out_of for i, (_, _, out_of) in zip(index, outer, strict=True))
        target[to : to + run] = elements[of : of + run * step : step]


def _numbers(data: bytearray, width: int) -> "memoryview[int]":
    if width == 1:
        return memoryview(data)
    return memoryview(data).cast("H" if width == 2 else "I" if width == 4 else "Q")


def check_cover(where: str, shape: tuple[int, ...], boxes: list[Box]) -> None:
    """Refuse chunks that do not hold every element of their tensor once.

    Count a box as +1 or -1 at each of its 2^n corners, in turns. The counts of many boxes add up to those of the whole
    if and only if the boxes do, since the number of boxes over a point is the sum of the counts below it.

    Raises:
        InvalidOffsets: If they overlap, leave a gap or reach out of the tensor.
    """
    whole = (0,) * len(shape), shape
    cuts = [n for n in range(len(shape)) if any((offsets[n], sizes[n]) != (0, shape[n]) for offsets, sizes in boxes)]
    if len(cuts) > _MOST_CUTS or len({offsets for offsets, _ in boxes}) < len(boxes):
        raise errors.InvalidOffsets(where, "its chunks overlap, or cut it in more ways than torch does; do not load it")
    counts: Counter[tuple[int, ...]] = Counter()
    for (offsets, sizes), sign in [*((box, 1) for box in boxes), *([(whole, -1)] if 0 not in shape else [])]:
        for corner in product((0, 1), repeat=len(cuts)):
            at = tuple(offsets[n] + sizes[n] * side for n, side in zip(cuts, corner, strict=True))
            counts[at] += sign * (-1) ** sum(corner)
    if any(counts.values()):
        elements = sum(prod(sizes) for _, sizes in boxes)
        raise errors.InvalidOffsets(
            where,
            f"its {len(boxes):,} chunks overlap or leave a gap: they hold {elements:,} elements of {prod(shape):,}; "
            "fetch the checkpoint again",
        )
