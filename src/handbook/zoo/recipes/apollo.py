"""The optimizers of apollo-torch."""

from apollo_torch import APOLLOAdamW, GaLoreAdafactor, GaLoreAdamW, GaLoreAdamW8bit

from handbook.zoo.measuring import Recipe
from handbook.zoo.recipes.galore import GROUP, by_rank, on_cpu

_OWN = {**GROUP, "scale_type": "channel"}

RECIPES: dict[str, Recipe] = {
    "apollo-torch:APOLLOAdamW": by_rank(APOLLOAdamW, 0),
    "apollo-torch:APOLLOAdamW:rank=8": by_rank(APOLLOAdamW, 8, proj="random", **_OWN),
    "apollo-torch:APOLLOAdamW:rank=8,svd": by_rank(APOLLOAdamW, 8, proj="svd", **_OWN),
    "apollo-torch:GaLoreAdamW:rank=8": by_rank(GaLoreAdamW, 8, **GROUP),
    "apollo-torch:GaLoreAdamW8bit:rank=32": by_rank(on_cpu(GaLoreAdamW8bit), 32, **GROUP),
    "apollo-torch:GaLoreAdafactor:rank=8": by_rank(GaLoreAdafactor, 8, **GROUP),
}
