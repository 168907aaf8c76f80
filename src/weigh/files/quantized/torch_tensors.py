"""Quantized tensors of torch itself: `qint8` and its like, whose quantizer lies beside their codes in the pickle.

A module of torch.ao.quantization has the scale and the zero point of its output beside its weight, and keeps the weight
of a linear layer, with its bias, under `_packed_params._packed_params`.
"""

from collections.abc import Iterator

from weigh.dtypes import DTYPES
from weigh.files.quantized.stored import Stored
from weigh.groups import Group

_DTYPES = ("qint8", "quint8", "qint32", "quint4x2", "quint2x4")
_PACKED = "._packed_params._packed_params.0"
_SCHEME = "torch"


def find(stored: Stored) -> Iterator[Group]:
    """The quantized tensors, and the scales of activations where there are any."""
    codes = [one for one in stored.tensors.values() if one.dtype in _DTYPES]
    outputs = set()
    for one in codes:
        module = one.name.removesuffix(_PACKED) if one.name.endswith(_PACKED) else one.name.rpartition(".")[0]
        outputs.add(module)
        side = {
            "scales": (f"{one.name}.q_per_channel_scales", *_scalar(stored, f"{module}.scale")),
            "zero points": (f"{one.name}.q_per_channel_zero_points", *_scalar(stored, f"{module}.zero_point")),
        }
        there = {kind: tuple(name for name in names if name in stored.tensors) for kind, names in side.items()}
        name = f"{module}.weight" if one.name.endswith(_PACKED) else one.name
        bits = DTYPES[one.dtype].bits
        yield Group(
            name, _SCHEME, one.shape, bits, (one.name,), {kind: names for kind, names in there.items() if names}
        )
    if codes:
        for module, scale in stored.ending(".scale"):
            zero = _scalar(stored, f"{module}.zero_point")
            if zero and scale.numel == 1 and module not in outputs:
                yield Group(module, _SCHEME, None, None, (), {"scales": (scale.name,), "zero points": zero}, count=0)


def _scalar(stored: Stored, name: str) -> tuple[str, ...]:
    return (name,) if name in stored.tensors and stored.tensors[name].numel == 1 else ()
