"""The optimizers of PyTorch."""

from collections.abc import Callable
from typing import Any

import torch

from handbook.zoo.measuring import Recipe, Weights


def on_all(make: Callable[..., Any], **settings: Any) -> Recipe:
    """One optimizer for all weights."""
    return lambda weights: make(list(weights.values()), **settings)


def _muon(weights: Weights) -> list[Any]:
    hidden = [weight for name, weight in weights.items() if name in ("up.weight", "down.weight")]
    others = [weight for weight in weights.values() if all(weight is not each for each in hidden)]
    return [torch.optim.Muon(hidden), torch.optim.AdamW(others, foreach=True)]


RECIPES: dict[str, Recipe] = {
    "torch:SGD": on_all(torch.optim.SGD, foreach=True),
    "torch:SGD:momentum=0.9": on_all(torch.optim.SGD, momentum=0.9, foreach=True),
    "torch:Adam": on_all(torch.optim.Adam, foreach=True),
    "torch:Adam:amsgrad": on_all(torch.optim.Adam, amsgrad=True, foreach=True),
    "torch:AdamW": on_all(torch.optim.AdamW, foreach=True),
    "torch:RMSprop": on_all(torch.optim.RMSprop, foreach=True),
    "torch:RMSprop:momentum=0.9": on_all(torch.optim.RMSprop, momentum=0.9, foreach=True),
    "torch:RMSprop:centered": on_all(torch.optim.RMSprop, centered=True, foreach=True),
    "torch:Adagrad": on_all(torch.optim.Adagrad, foreach=True),
    "torch:Adafactor": on_all(torch.optim.Adafactor, foreach=True),
    "torch:Muon": _muon,
}
