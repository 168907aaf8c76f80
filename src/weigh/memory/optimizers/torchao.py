"""Optimizers of torchao, whose state has fewer bits.

A tensor of fewer than 4,096 elements, or not of whole blocks, keeps its state in the format of the weights. The rate of
each parameter group is a tensor.

CPUOffloadOptimizer has no entry, since it wants a GPU. It keeps the state of the optimizer that it wraps in the memory
of the host, beside copies of the weights and their gradients; of tensors below 4,096 elements, all stays on the device.
"""

from weigh.memory.optimizers.entries import STEP, Library, Shape, State, from_one
from weigh.tensors import Tensor

LIBRARY = Library("torchao", "torchao 0.18.0")
optimizer = LIBRARY.optimizer

RATE = (("lr", (), "float32"),)
MOMENTS = ("exp_avg", "exp_avg_sq")


def _quantized(tensor: Tensor, dtype: str, block_size: int, codes: tuple[Shape, str], table: int = 0) -> State:
    """The moments as codes with a scale for each block and, for each tensor, a table of the values of the codes."""
    yield STEP
    for name in MOMENTS:
        if _stays(tensor, block_size):
            yield name, tensor.shape, dtype
            continue
        yield f"{name}.codes", *codes
        yield f"{name}.scale", (tensor.numel // block_size,), "float32"
        if table:
            yield f"{name}.qmap", (table,), "float32"


@optimizer("AdamW8bit", "Adam8bit", elementwise=False, of_group=RATE, limits=from_one("block_size"))
def _adam_8bit(tensor: Tensor, dtype: str, *, block_size: int = 256) -> State:
    """Dettmers et al. 2022 (arXiv 2110.02861): a byte for each value and a scale for each block of 256."""
    yield from _quantized(tensor, dtype, block_size, (tensor.shape, "uint8"), table=256)


@optimizer("AdamW4bit", "Adam4bit", elementwise=False, of_group=RATE, limits=from_one("block_size"))
def _adam_4bit(tensor: Tensor, dtype: str, *, block_size: int = 128) -> State:
    """Li et al. 2023 (arXiv 2309.01507): half a byte for each value and a scale for each block of 128."""
    yield from _quantized(tensor, dtype, block_size, ((tensor.numel // 2,), "uint8"), table=16)


@optimizer("AdamWFp8", "AdamFp8", elementwise=False, of_group=RATE, limits=from_one("block_size"))
def _adam_fp8(tensor: Tensor, dtype: str, *, block_size: int = 256) -> State:
    """Adam with a number of 8 bits for each value, which needs no table, and a scale for each block of 256."""
    yield from _quantized(tensor, dtype, block_size, (tensor.shape, "float8_e4m3fn"))


@optimizer("_AdamW", of_group=RATE)
def _adamw(tensor: Tensor, dtype: str) -> State:
    """AdamW that computes in float32 and, if asked to, rounds bfloat16 weights at random; it is for quantized training.

    Its state is in the format of the weights.
    """
    yield STEP
    for name in MOMENTS:
        yield name, tensor.shape, dtype


def _stays(tensor: Tensor, block_size: int) -> bool:
    return tensor.numel < 4096 or tensor.numel % block_size != 0
