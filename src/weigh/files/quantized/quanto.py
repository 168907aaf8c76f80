"""optimum-quanto: codes in `weight._data`, or packed in `weight._data._data`, beside `weight._scale` and `._shift`.

Codes of 2 and 4 bits are packed along the first side, the last byte filled up: a byte then holds codes of 4 or 2 rows.
A matrix in groups was cut into rows of a group each first, so that `_scale` has as many rows as there are, and the
shape before cannot be told from the file.
"""

from collections.abc import Iterator
from math import prod

from weigh.files.quantized.stored import Stored
from weigh.groups import Group
from weigh.tensors import Tensor


def find(stored: Stored) -> Iterator[Group]:
    """The matrices that quanto replaced, and the scales of activations beside them."""
    for base, codes in stored.ending("._data._data", "._data"):
        scale = stored.tensors.get(f"{base}._scale")
        if scale is None or not codes.shape:
            continue
        module = base.rpartition(".")[0]
        side = stored.side(base, scales=("._scale",), zero_points=("._shift",))
        activations = stored.side(module, scales=(".input_scale", ".output_scale"))
        side["scales"] = (*side["scales"], *activations.get("scales", ()))
        if codes.name.endswith("._data._data"):
            yield _packed(base, codes, scale, side)
        else:
            yield Group(base, "quanto", codes.shape, 8, (codes.name,), side)


def _packed(name: str, codes: Tensor, scale: Tensor, side: dict[str, tuple[str, ...]]) -> Group:
    """A matrix of 2 or 4 bits, with a scale for each of the rows that were packed."""
    rows = scale.shape[0] if scale.shape else 1
    fitting = [bits for bits in (2, 4) if -(-rows * bits // 8) == codes.shape[0]]
    if not fitting:
        why = "its scales do not go with its codes; weigh the model that is not quantized"
        return Group(name, "quanto", None, None, (codes.name,), side, unknown=why)
    bits = fitting[0] if len(fitting) == 1 else None  # of one row or two, a byte holds all either way
    return Group(name, "quanto", None, bits, (codes.name,), side, count=rows * prod(codes.shape[1:]))
