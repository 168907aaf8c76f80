"""The optimizers of torchao."""

from torchao.optim import AdamW8bit

from handbook.zoo.measuring import Recipe
from handbook.zoo.recipes.pytorch import on_all

RECIPES: dict[str, Recipe] = {"torchao:AdamW8bit": on_all(AdamW8bit)}
