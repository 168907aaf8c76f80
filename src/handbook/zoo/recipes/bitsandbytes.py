"""The optimizers of bitsandbytes. On a CPU, paged ones are not paged."""

from collections.abc import Callable
from typing import Any

import bitsandbytes.optim
from bitsandbytes.optim.adamw import AdamW8bit
from bitsandbytes.optim.optimizer import GlobalOptimManager

from handbook.zoo.measuring import Recipe, Weights
from handbook.zoo.recipes.pytorch import on_all

ADAPTIVE = ("Adam", "AdamW", "AdEMAMix", "Lion")
OTHERS = ("RMSprop", "Adagrad", "LAMB", "SGD", "LARS")
"""The last two of them want momentum."""

NAMES = [
    f"{page}{name}{bits}"
    for page, names in (("", ADAPTIVE + OTHERS), ("Paged", ADAPTIVE))
    for name in names
    for bits in ("", "8bit", "32bit")
    if (name, bits) != ("AdEMAMix", "32bit")  # has half the state that its step needs, and stops there
]


def forget_overrides() -> None:
    """Begin as a new process does, since an override for one parameter holds for its place in every later optimizer."""
    GlobalOptimManager.get_instance().initialize()  # type: ignore[no-untyped-call]


def alone(make: Callable[..., Any], **settings: Any) -> Recipe:
    """One optimizer for all weights, without the overrides of those before it."""

    def made(weights: Weights) -> Any:
        forget_overrides()
        return on_all(make, **settings)(weights)

    return made


RECIPES: dict[str, Recipe] = {
    f"bitsandbytes:{name}": alone(
        getattr(bitsandbytes.optim, name), lr=1e-3, **({"momentum": 0.9} if name.startswith(OTHERS[-2:]) else {})
    )
    for name in NAMES
}
RECIPES["bitsandbytes:AdamW8bit:min_8bit_size=100"] = alone(AdamW8bit, min_8bit_size=100)
