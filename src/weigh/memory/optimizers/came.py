"""The optimizer of came-pytorch."""

from weigh.memory.optimizers.entries import Library, State
from weigh.tensors import Tensor

LIBRARY = Library("came-pytorch", "came-pytorch 0.1.3")


@LIBRARY.optimizer("CAME", elementwise=False)
def _came(tensor: Tensor, dtype: str) -> State:
    """Luo et al. 2023 (arXiv 2307.02047): the first moment, and rows and columns in place of two others.

    All of it is float32, also of weights in 16 bits, which the library casts; the size of a weight is in its format.
    """
    shape, wide = tensor.shape, "float32" if dtype in ("bfloat16", "float16") else dtype
    yield "exp_avg", shape, wide
    if len(shape) > 1:
        for kind in ("sq", "res"):
            yield f"exp_avg_{kind}_row", shape[:-1], wide
            yield f"exp_avg_{kind}_col", (*shape[:-2], shape[-1]), wide
    else:
        yield "exp_avg_sq", shape, wide
    yield "RMS", (), dtype
