"""Weights as a quantized file gives them back: codes, scales and zero points become numbers again."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weigh.dtypes import DTYPES
from weigh.errors import UnknownDtype
from weigh.files.loading import load
from weigh.formats.gguf import TYPES
from weigh.optional import needed
from weigh.tensors import Contents, Tensor, own_bytes

if TYPE_CHECKING:
    import torch

Values = Callable[[tuple[int, ...]], "torch.Tensor"]
"""The shape that a tensor had → its numbers in float32, of that shape if they fit it."""


@dataclass(frozen=True)
class Restored:
    """A tensor of a model file, under the name that it had before it was quantized.

    Attributes:
        name: That name.
        stored_as: Its number format, and over how many weights a scale goes.
        parts: The tensors of the file that it is made of.
        codes: How many numbers are stored for it, padding included.
        is_quantized: Whether they have fewer than 16 bits each.
        values: Gives its numbers.
    """

    name: str
    stored_as: str
    parts: tuple[Tensor, ...]
    codes: int
    is_quantized: bool
    values: Values

    @property
    def is_weight(self) -> bool:
        """Whether it is of floating point, or stands for something that is."""
        return DTYPES[self.parts[0].dtype].kind == "float" or self.is_quantized

    @property
    def nbytes(self) -> int:
        """The bytes of codes, scales and zero points."""
        return sum(part.nbytes for part in self.parts)


@dataclass(frozen=True)
class _Convention:
    """How a library names the parts of a quantized tensor.

    Attributes:
        codes: The name of the codes.
        scales: The name of the scales that belong to it.
        zeros: The name of the zero points.
        name: The name of the tensor before.
        axis: Which side of a matrix has a scale for each channel, where scales are a plain list.
    """

    codes: re.Pattern[str]
    scales: str
    zeros: str
    name: str
    axis: int = 0


_CONVENTIONS = (
    # torchao, in safetensors and by torch.save
    _Convention(re.compile(r"(.+)\._weight_qdata"), r"\1._weight_scale", r"\1._weight_zero_point", r"\1.weight"),
    _Convention(re.compile(r"(.+)\.<args>\.(\d+)\.qdata"), r"\1.<args>.\2.scale", r"\1.<args>.\2.zero_point", r"\1"),
    # ONNX Runtime: quantize_dynamic, whose matrices are (inputs, outputs), and MatMulNBitsQuantizer
    _Convention(re.compile(r"(.+)_quantized"), r"\1_scale", r"\1_zero_point", r"\1", axis=-1),
    _Convention(re.compile(r"(.+)_Q[248]"), r"\1_scales", r"\1_zero_points", r"\1"),
    # compressed-tensors, and DeepSeek's blocks
    _Convention(re.compile(r"(.+)\.weight"), r"\1.weight_scale", r"\1.weight_zero_point", r"\1.weight"),
    _Convention(re.compile(r"(.+)\.weight"), r"\1.weight_scale_inv", r"\1.weight_zero_point", r"\1.weight"),
)
_PACKED = re.compile(r".+_Q([248])")


def restored(contents: Contents) -> dict[str, Restored]:
    """The weights of a model file by the names that they had, those of blocks and codes as what they stand for.

    Nothing is read before one asks for values. What belongs to no convention that is known here is left as it is.

    Args:
        contents: What `weigh.inspect` gave.
    """
    own = {id(tensor) for tensor, size in own_bytes(contents.named) if size}
    named = {one.name: one for one in contents.named if id(one) in own and one.component == "weights"}
    found: dict[str, Restored] = {}
    used: set[str] = set()
    for one in named.values():
        if (whole := _assembled(contents, one, named)) is not None:
            found[whole.name] = whole
            used |= {part.name for part in whole.parts}
    for one in named.values():
        if one.name not in used and one.name not in found:
            found[one.name] = _as_it_is(contents, one)
    return found


def _assembled(contents: Contents, codes: Tensor, named: Mapping[str, Tensor]) -> Restored | None:
    """The tensor whose codes these are; nothing if they are no codes, or have no scale."""
    for way in _CONVENTIONS:
        match = way.codes.fullmatch(codes.name)
        scales = named.get(match.expand(way.scales)) if match else None
        if match is None or scales is None or DTYPES[codes.dtype].bits > 8:
            continue
        zeros = named.get(match.expand(way.zeros))
        parts = tuple(one for one in (codes, scales, zeros) if one is not None)
        packed = _PACKED.fullmatch(codes.name)
        if packed and len(codes.shape) == 3:
            bits = int(packed[1])
            count = codes.numel * 8 // bits
            form, values = f"{bits} bits", _packed(contents, codes, scales, zeros, bits)
        else:
            count = codes.numel
            form, values = codes.dtype, _scaled(contents, codes, scales, zeros, way.axis)
        each = count // max(1, scales.numel)
        return Restored(match.expand(way.name), f"{form}, a scale for {each:,}", parts, count, True, values)
    return None


def _scaled(contents: Contents, codes: Tensor, scales: Tensor, zeros: Tensor | None, axis: int) -> Values:
    def values(shape: tuple[int, ...]) -> "torch.Tensor":
        numbers = load(contents, codes).float()
        if zeros is not None:
            numbers = numbers - _spread(load(contents, zeros).float(), codes.shape, axis)
        return numbers * _spread(load(contents, scales).float(), codes.shape, axis)

    return values


def _spread(scales: "torch.Tensor", shape: tuple[int, ...], axis: int) -> "torch.Tensor":
    """Scales in a form that multiplies codes: one for all, for each channel, or for each block along each side."""
    if scales.numel() == 1:
        return scales.reshape(())
    if scales.dim() == 1 and len(shape) > 1:
        sides = [1] * len(shape)
        sides[axis] = shape[axis]
        scales = scales.reshape(sides)
    for side, (size, blocks) in enumerate(zip(shape, scales.shape, strict=True)):
        if 1 < blocks < size:
            scales = scales.repeat_interleave(-(-size // blocks), side).narrow(side, 0, size)
    return scales


def _packed(contents: Contents, codes: Tensor, scales: Tensor, zeros: Tensor | None, bits: int) -> Values:
    """MatMulNBits of ONNX Runtime: codes of shape (outputs, blocks, bytes), for a matrix (inputs, outputs)."""

    def unpacked(data: "torch.Tensor") -> "torch.Tensor":
        import torch

        shifts = torch.arange(0, 8, bits, dtype=torch.uint8)
        found: torch.Tensor = ((data[..., None] >> shifts) & (2**bits - 1)).flatten(-2)
        return found

    def values(shape: tuple[int, ...]) -> "torch.Tensor":
        import torch

        outputs, blocks = codes.shape[:2]
        numbers = unpacked(load(contents, codes)).float()
        middle: float | torch.Tensor = 2.0 ** (bits - 1)
        if zeros is not None:
            middle = load(contents, zeros)
            if not middle.is_floating_point():
                middle = unpacked(middle.reshape(outputs, -1))[:, :blocks].float()
            middle = middle.reshape(outputs, blocks, 1)
        numbers = (numbers - middle) * load(contents, scales).float().reshape(outputs, blocks, 1)
        whole: torch.Tensor = numbers.flatten(1)[:, : shape[0]].T
        return whole

    return values


def _as_it_is(contents: Contents, one: Tensor) -> Restored:
    """A tensor of plain numbers, or of GGUF's blocks."""
    dtype = DTYPES[one.dtype]
    is_plain = dtype.kind == "float" and dtype.block == 1

    def values(shape: tuple[int, ...]) -> "torch.Tensor":
        return load(contents, one).float() if is_plain else _blocks(contents, one)

    is_quantized = dtype.bits < 16 and (dtype.kind == "float" or dtype.block > 1)
    return Restored(one.name, one.dtype, (one,), one.numel, is_quantized, values)


def _blocks(contents: Contents, one: Tensor) -> "torch.Tensor":
    """The numbers of GGUF's blocks, as the package gguf reads them.

    Raises:
        UnknownDtype: If it is no format of blocks, or one that the package does not read.
        MissingPackage: If gguf is not installed.
    """
    with needed(contents.path):
        import gguf
        import numpy as np
        import torch
    number = next((number for number, name in TYPES.items() if name == one.dtype), -1)
    raw = np.frombuffer(contents.storages[one.storage].read(one.begin, one.end), np.uint8)
    try:
        kind = gguf.GGMLQuantizationType(number)
        numbers = gguf.quants.dequantize(raw.reshape(*one.shape[:-1], -1), kind)
    except (NotImplementedError, ValueError, gguf.quants.QuantError):
        raise UnknownDtype(f"{contents.path}, tensor {one.name[:80]!r}", f"{one.dtype} has no known values") from None
    return torch.from_numpy(np.ascontiguousarray(numbers, np.float32)).reshape(one.shape)
