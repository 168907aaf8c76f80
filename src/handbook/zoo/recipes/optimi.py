"""The optimizers of torch-optimi."""

from functools import partial

import optimi

from handbook.zoo.measuring import Recipe
from handbook.zoo.recipes.pytorch import on_all

# Without it, a machine without a GPU would ask for Triton and stop.
_all = partial(on_all, lr=1e-3, foreach=True)

RECIPES: dict[str, Recipe] = {
    "optimi:Adam": _all(optimi.Adam),
    "optimi:AdamW": _all(optimi.AdamW),
    "optimi:AdamW:kahan_sum=false": _all(optimi.AdamW, kahan_sum=False),
    "optimi:Adan": _all(optimi.Adan),
    "optimi:Adan:kahan_sum": _all(optimi.Adan, kahan_sum=True),
    "optimi:Lion": _all(optimi.Lion),
    "optimi:RAdam": _all(optimi.RAdam),
    "optimi:Ranger": _all(optimi.Ranger),
    "optimi:SGD": _all(optimi.SGD),
    "optimi:SGD:momentum=0.9": _all(optimi.SGD, momentum=0.9),
    "optimi:StableAdamW": _all(optimi.StableAdamW),
}
