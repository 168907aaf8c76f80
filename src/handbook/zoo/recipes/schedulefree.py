"""The optimizers of schedulefree."""

from typing import Any

import schedulefree

from handbook.zoo.measuring import Recipe, Weights


def _recipe(name: str) -> Recipe:
    base: Any = getattr(schedulefree, name)

    class Stepping(base):  # type: ignore[misc]
        def step(self) -> Any:
            return super().step(lambda: 0.0)  # which some ask for the gradients: they are there already

    def recipe(weights: Weights) -> Any:
        optimizer = Stepping(list(weights.values()))
        if hasattr(optimizer, "train"):
            optimizer.train()  # without which it refuses to step
        if name.startswith("RAdam"):
            optimizer.param_groups[0]["k"] = 10  # before, it steps without its second moment
        return optimizer

    return recipe


RECIPES: dict[str, Recipe] = {
    f"schedulefree:{name}": _recipe(name)
    for name in (
        "AdamWScheduleFree",
        "RAdamScheduleFree",
        "AdamWScheduleFreeClosure",
        "RAdamScheduleFreeClosure",
        "AdamWScheduleFreePaper",
        "SGDScheduleFree",
        "SGDScheduleFreeClosure",
        "AdamWScheduleFreeReference",
        "SGDScheduleFreeReference",
    )
}
