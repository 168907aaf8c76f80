"""The optimizers of bitsandbytes. On a CPU, paged ones are not paged."""

import bitsandbytes.optim
from bitsandbytes.optim.adamw import AdamW8bit

from handbook.zoo.measuring import Recipe
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

RECIPES: dict[str, Recipe] = {
    f"bitsandbytes:{name}": on_all(
        getattr(bitsandbytes.optim, name), lr=1e-3, **({"momentum": 0.9} if name.startswith(OTHERS[-2:]) else {})
    )
    for name in NAMES
}
RECIPES["bitsandbytes:AdamW8bit:min_8bit_size=100"] = on_all(AdamW8bit, min_8bit_size=100)
