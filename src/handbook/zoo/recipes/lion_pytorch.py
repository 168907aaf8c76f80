"""The optimizer of lion-pytorch."""

from lion_pytorch import Lion

from handbook.zoo.measuring import Recipe
from handbook.zoo.recipes.pytorch import on_all

RECIPES: dict[str, Recipe] = {"lion-pytorch:Lion": on_all(Lion)}
