"""Optimizers of torchao, whose state has fewer bits."""

from math import prod

from weigh.memory.optimizers.entries import STEP, Library, State
from weigh.tensors import Tensor

LIBRARY = Library("torchao", "torchao 0.18.0")
optimizer = LIBRARY.optimizer


@optimizer("AdamW8bit", elementwise=False, of_group=(("lr", (), "float32"),))
def _adamw_8bit(tensor: Tensor, dtype: str) -> State:
    """Dettmers et al. 2022 (arXiv 2110.02861): a byte for each value and a scale for each block of 256.

    Tensors of fewer than 4,096 elements, or not of whole blocks, stay as they are. Each quantized tensor is saved with
    its own table of the 256 values that a byte stands for.
    """
    numel = prod(tensor.shape)
    yield STEP
    for name in ("exp_avg", "exp_avg_sq"):
        if numel < 4096 or numel % 256:
            yield name, tensor.shape, dtype
        else:
            yield f"{name}.codes", tensor.shape, "uint8"
            yield f"{name}.scale", (numel // 256,), "float32"
            yield f"{name}.qmap", (256,), "float32"
