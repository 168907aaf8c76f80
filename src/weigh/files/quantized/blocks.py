"""MXFP4 as gpt-oss publishes it: `W_blocks` of 16 bytes, 32 codes, beside `W_scales`, an exponent for each block.

A joined matrix of experts is (experts, outputs, blocks, 16), its scales (experts, outputs, blocks). FP-Quant keeps two
codes of 4 bits in a byte of `qweight`, beside `scales` of a byte for each 16 or 32.
"""

from collections.abc import Iterator

from weigh.files.quantized.stored import Stored, on_right
from weigh.groups import Group


def find(stored: Stored) -> Iterator[Group]:
    """The matrices in blocks of floats of 4 bits."""
    for base, blocks in stored.ending("_blocks"):
        scales = stored.tensors.get(f"{base}_scales")
        if scales is not None and blocks.dtype == "uint8" and blocks.shape[:-1] == scales.shape and scales.shape:
            shape = (*blocks.shape[:-2], blocks.shape[-2] * blocks.shape[-1] * 2)
            yield Group(base, "MXFP4", shape, 4, (blocks.name,), stored.side(base, scales=("_scales",)))
    for base, codes in stored.ending(".qweight"):
        scales = stored.tensors.get(f"{base}.scales")
        if scales is not None and codes.dtype == scales.dtype == "uint8" and codes.shape:
            side = stored.side(base, scales=(".scales", ".weight_global_scale", ".act_global_scale"),
                               settings=(".forward_hadamard_matrix", ".backward_hadamard_matrix"))  # fmt: skip
            shape = on_right(codes.shape, codes.shape[-1] * 2)
            yield Group(f"{base}.weight", "FP-Quant", shape, 4, (codes.name,), side)
