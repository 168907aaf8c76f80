"""The optimizers of pytorch_optimizer.

Its Adam, AdamW, LBFGS, NAdam and RMSprop are the classes of PyTorch.
"""

from weigh.memory.optimizers.pytorch import LIBRARY as TORCH
from weigh.memory.optimizers.pytorch_optimizer import adams, factored, low_rank, moments, second_order
from weigh.memory.optimizers.pytorch_optimizer.library import LIBRARY

__all__ = ["LIBRARY", "adams", "factored", "low_rank", "moments", "second_order"]

moments.add_to(LIBRARY)
for _name in ("Adam", "AdamW", "LBFGS", "NAdam", "RMSprop"):
    LIBRARY.alias(_name, TORCH.optimizers[_name])
