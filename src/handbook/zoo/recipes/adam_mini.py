"""The optimizer of adam-mini."""

from typing import Any

from adam_mini import Adam_mini

from handbook.zoo.measuring import Recipe, Weights


def _by_name(weights: Weights) -> Any:
    return Adam_mini(weights.items(), verbose=False)


RECIPES: dict[str, Recipe] = {"adam-mini:Adam_mini": _by_name}
