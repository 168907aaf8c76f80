"""ggml's blocks, in GGUF: a tensor of a block format holds the scales of its blocks itself."""

from collections.abc import Iterator

from weigh.dtypes import DTYPES
from weigh.files.quantized.stored import Stored
from weigh.groups import Group


def find(stored: Stored) -> Iterator[Group]:
    """The tensors in blocks."""
    for name, tensor in stored.tensors.items():
        if DTYPES[tensor.dtype].block > 1:
            yield Group(name, "ggml blocks", tensor.shape, None, (name,))
