"""The optimizer of came-pytorch."""

from came_pytorch.CAME import CAME

from handbook.zoo.measuring import Recipe
from handbook.zoo.recipes.pytorch import on_all

RECIPES: dict[str, Recipe] = {"came-pytorch:CAME": on_all(CAME, lr=1e-3)}
