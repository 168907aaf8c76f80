"""A tensor's numbers, from whatever file holds them: the bytes that its header says, and no code of the file's own."""

from dataclasses import replace
from typing import TYPE_CHECKING

from weigh import errors
from weigh.dtypes import DTYPES
from weigh.optional import needed
from weigh.tensors import Contents, Tensor

if TYPE_CHECKING:
    import torch

CODES = {"qint8": "int8", "quint8": "uint8", "qint32": "int32"}
"""The quantized formats of torch's that have whole bytes, and the one of their codes."""
_LARGE = 2**30  # bytes up to which an expanded tensor is written out


def load(contents: Contents, tensor: Tensor) -> "torch.Tensor":
    """A tensor's elements, loaded from an inspected file without running anything that it asks for.

    The cost is that of the tensor: the bytes between its first element and its last.

    Args:
        contents: What `weigh.inspect` gave.
        tensor: One of its `named`.

    Returns:
        A tensor of torch's on the CPU, of the same shape, dtype and strides.

    Raises:
        UnknownDtype: If torch has no such number format: the block formats of GGUF, and those narrower than a byte. Or
            if it is quantized by torch: its codes are no numbers without their scales (see `codes`).
        UnsupportedField: If it is an expanded tensor, whose elements would take more than a gibibyte.
        TruncatedFile: If the file has become shorter since.
        MissingPackage: If torch is not installed.
    """
    with needed(contents.path):
        import torch

    if tensor.dtype in CODES:  # torch makes such a tensor of bytes and dies with it: it has no scales then
        raise errors.UnknownDtype(
            f"{contents.path}, tensor {tensor.name[:80]!r}",
            "is quantized by torch, and its codes are no numbers without their scales; save it dequantized",
        )
    dtype = getattr(torch, tensor.dtype, None)
    if not isinstance(dtype, torch.dtype) or DTYPES[tensor.dtype].bits < 8:
        raise errors.UnknownDtype(
            f"{contents.path}, tensor {tensor.name[:80]!r}", f"torch has no numbers of the format {tensor.dtype}"
        )
    if not tensor.numel:
        try:
            return torch.empty(tensor.shape, dtype=dtype)
        except RuntimeError:  # (2⁶², 2⁶², 0) has no elements and no strides
            raise errors.MalformedHeader(
                f"{contents.path}, tensor {tensor.name[:80]!r}", "has a shape that no tensor can have; do not use it"
            ) from None
    if tensor.nbytes > max(_LARGE, 2 * (tensor.end - tensor.begin)):
        raise errors.UnsupportedField(
            f"{contents.path}, tensor {tensor.name[:80]!r}",
            f"repeats {tensor.end - tensor.begin:,} bytes until they are {tensor.nbytes:,}; save it as it was before "
            "expand()",
        )
    data = contents.storages[tensor.storage].read(tensor.begin, tensor.end)
    flat = torch.frombuffer(data, dtype=dtype)
    return flat.view(tensor.shape) if tensor.strides is None else flat.as_strided(tensor.shape, tensor.strides)


def codes(contents: Contents, tensor: Tensor) -> "torch.Tensor":
    """What a tensor that `load` refuses has instead of numbers: torch's codes as integers, or else its bytes in a row.

    Raises what `load` raises.
    """
    if tensor.dtype in CODES:
        return load(contents, replace(tensor, dtype=CODES[tensor.dtype]))
    in_a_row = replace(tensor, dtype="uint8", shape=(tensor.end - tensor.begin,), strides=None)
    return load(contents, in_a_row)
