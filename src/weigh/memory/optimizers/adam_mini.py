"""The optimizer of adam-mini, which knows by a weight's name of how much it keeps one second moment."""

from weigh.memory.optimizers.entries import Copies, Library, State, from_one
from weigh.tensors import Tensor

LIBRARY = Library("adam-mini", "adam-mini 1.1.1")

BY_HEAD = ("k_proj", "q_proj", "wq", "wk", "query", "key")
BY_ROW = (
    *("embed", "embd", "wte"),
    *("lm_head", "output", "final_layer"),
    *("v_proj", "wv", "value"),
    *("o_proj", "wo", "attn.proj"),
    *("feed_forward", "linear", "mlp"),
)
"""What is in the names of weights that have a second moment of each head, or of each row."""


@LIBRARY.optimizer(
    "Adam_mini",
    elementwise=False,
    copies=Copies(of_largest=2),
    limits=from_one("dim", "n_heads"),
    assumed="dim and n_heads are the library's own, 2048 and 32, unless given; names are those of the files",
)
def _adam_mini(tensor: Tensor, dtype: str, *, dim: int = 2048, n_heads: int = 32) -> State:
    """Zhang et al. 2024 (arXiv 2406.16793): one second moment for each head, row, or tensor, by its name."""
    name = tensor.name.lower()
    yield "m", tensor.shape, dtype
    if "bias" in name:
        yield "v", tensor.shape, dtype
    elif any(part in name for part in BY_HEAD):
        yield "vmean", (-(-tensor.numel // max(dim * dim // n_heads, 1)), 1), dtype
    elif any(part in name for part in BY_ROW):
        yield "vmean", (*tensor.shape[:1], 1), dtype
    else:
        yield "vmean", (), dtype
