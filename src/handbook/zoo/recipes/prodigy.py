"""The optimizer of prodigyopt."""

from prodigyopt import Prodigy

from handbook.zoo.measuring import Recipe
from handbook.zoo.recipes.pytorch import on_all

RECIPES: dict[str, Recipe] = {
    "prodigyopt:Prodigy": on_all(Prodigy),
    "prodigyopt:Prodigy:slice_p=11": on_all(Prodigy, slice_p=11),
}
