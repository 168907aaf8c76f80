"""HQQ's own `qmodel.pt`: a dictionary for each layer, of its codes `W_q`, `scale`, `zero` and its settings.

A matrix is cut into groups first, one to a row (`axis` 1) or to a column (`axis` 0), and the codes are packed along the
first side, which is filled up for 3 bits: ten of them in a word.
"""

from collections.abc import Iterator

from weigh.files.quantized.stored import Stored
from weigh.groups import Group


def find(stored: Stored) -> Iterator[Group]:
    """The matrices that HQQ replaced, where their settings are plain values beside them."""
    for base, codes in stored.ending("W_q"):
        bits, axis, size = (stored.metadata.get(base + key) for key in ("nbits", "axis", "group_size"))
        scale = stored.tensors.get(f"{base}scale")
        if type(bits) is not int or axis not in (0, 1) or scale is None or len(codes.shape) != 2:
            continue
        each = size if type(size) is int else codes.shape[1]
        side = stored.side(base, scales=("scale",), zero_points=("zero",))
        if axis == 0 and type(size) is not int:
            why = "no group size says how many codes were packed; weigh the model that is not quantized"
            yield Group(f"{base}weight", "HQQ", None, bits, (codes.name,), side, unknown=why)
            continue
        count = scale.numel * each
        if not 0 <= count <= 8 * codes.nbytes:
            yield Group(f"{base}weight", "HQQ", None, bits, (codes.name,), side, unknown="its group size fits no codes")
            continue
        yield Group(f"{base}weight", "HQQ", None, bits, (codes.name,), side, count=count)
