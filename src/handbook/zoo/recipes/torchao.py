"""The optimizers of torchao."""

from torchao.optim import Adam4bit, Adam8bit, AdamFp8, AdamW4bit, AdamW8bit, AdamWFp8, _AdamW

from handbook.zoo.measuring import Recipe
from handbook.zoo.recipes.pytorch import on_all

RECIPES: dict[str, Recipe] = {
    "torchao:AdamW8bit": on_all(AdamW8bit, bf16_stochastic_round=True),
    "torchao:AdamW8bit:block_size=2048": on_all(AdamW8bit, block_size=2048),
    "torchao:Adam8bit": on_all(Adam8bit),
    "torchao:AdamW4bit": on_all(AdamW4bit),
    "torchao:Adam4bit": on_all(Adam4bit),
    "torchao:AdamWFp8": on_all(AdamWFp8),
    "torchao:AdamFp8": on_all(AdamFp8),
    "torchao:_AdamW": on_all(_AdamW, bf16_stochastic_round=True),
}
