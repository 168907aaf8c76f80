"""The optimizers of galore-torch."""

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from galore_torch import GaLoreAdafactor, GaLoreAdamW, GaLoreAdamW8bit

from handbook.zoo.measuring import Recipe, Weights

GROUP = {"update_proj_gap": 200, "scale": 0.25, "proj_type": "std"}


def by_rank(make: Callable[..., Any], rank: int, **group: Any) -> Recipe:
    """A group with a rank for the matrices inside the layers, as the authors make it; without a rank, no such group."""

    def recipe(weights: Weights) -> Any:
        hidden = [weight for name, weight in weights.items() if name in ("up.weight", "down.weight")]
        others = [weight for weight in weights.values() if all(weight is not each for each in hidden)]
        if not rank:
            return make([*others, *hidden])
        return make([{"params": others}, {"params": hidden, "rank": rank, **group}])

    return recipe


def on_cpu(make: Any) -> Any:
    """One that waits for a GPU after each weight, without the waiting."""

    class OnCpu(make):  # type: ignore[misc]
        @patch.object(torch.cuda, "synchronize")
        def step(self, _: Any) -> Any:
            return super().step()

    return OnCpu


_ADAMW = partial(GaLoreAdamW, no_deprecation_warning=True)

RECIPES: dict[str, Recipe] = {
    "galore-torch:GaLoreAdamW": by_rank(_ADAMW, 0),
    "galore-torch:GaLoreAdamW:rank=8": by_rank(_ADAMW, 8, **GROUP),
    "galore-torch:GaLoreAdamW8bit": by_rank(on_cpu(GaLoreAdamW8bit), 0),
    "galore-torch:GaLoreAdamW8bit:rank=32": by_rank(on_cpu(GaLoreAdamW8bit), 32, **GROUP),
    "galore-torch:GaLoreAdafactor": by_rank(GaLoreAdafactor, 0),
    "galore-torch:GaLoreAdafactor:rank=8": by_rank(GaLoreAdafactor, 8, **GROUP),
}
