"""The optimizers of heavyball."""

from typing import Any

import heavyball

from handbook.zoo.measuring import Recipe, Weights
from handbook.zoo.recipes.pytorch import on_all

_ON_ALL = """
    AdamC AdamW AdEMAMix ADOPT HyperBallAdamW LaProp LaPropOrtho MSAMLaProp Muon MuonAdamW MuonLaProp NAdam OrthoLaProp
    PSGDKron RMSprop Scion SFAdamW SGD SignLaProp SUDSAdamW UnscaledAdamW
"""


def _without_scalars(make: Any) -> Recipe:
    def recipe(weights: Weights) -> Any:
        return make([weight for weight in weights.values() if weight.ndim])

    return recipe


RECIPES: dict[str, Recipe] = {
    **{f"heavyball:{name}": on_all(getattr(heavyball, name)) for name in _ON_ALL.split()},
    **{f"heavyball:{name}": _without_scalars(getattr(heavyball, name)) for name in ("SOAP", "KLShampoo")},
    "heavyball:AdamW:storage_dtype=bfloat16": on_all(heavyball.AdamW, storage_dtype="bfloat16"),
    "heavyball:SFAdamW:storage_dtype=bfloat16": on_all(heavyball.SFAdamW, storage_dtype="bfloat16"),
}
