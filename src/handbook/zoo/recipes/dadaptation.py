"""The optimizers of dadaptation."""

import dadaptation

from handbook.zoo.measuring import Recipe
from handbook.zoo.recipes.pytorch import on_all

RECIPES: dict[str, Recipe] = {
    f"dadaptation:{name}": on_all(getattr(dadaptation, name))
    for name in ("DAdaptAdam", "DAdaptAdaGrad", "DAdaptAdan", "DAdaptLion", "DAdaptSGD")
}
