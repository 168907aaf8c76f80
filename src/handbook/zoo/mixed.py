"""The model that every optimizer of the zoo trains: an embedding, two matrices, vectors and a scalar."""

import torch

SHAPES: dict[str, tuple[int, ...]] = {
    "embedding.weight": (1000, 64),
    "up.weight": (256, 64),
    "up.bias": (256,),
    "down.weight": (64, 256),
    "down.bias": (64,),
    "norm.weight": (64,),
    "norm.bias": (64,),
    "scale": (),
}
"""The names and shapes of its 97,217 parameters."""


def mixed(dtype: torch.dtype) -> dict[str, torch.nn.Parameter]:
    """The parameters, seeded, none of them zero throughout."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.nn.Parameter((0.1 * torch.randn(shape, generator=generator) + 0.01).to(dtype))
        for name, shape in SHAPES.items()
    }


def give_gradients(weights: dict[str, torch.nn.Parameter], seed: int) -> None:
    """Set a seeded gradient of each weight."""
    generator = torch.Generator().manual_seed(seed)
    for weight in weights.values():
        weight.grad = (0.01 * torch.randn(weight.shape, generator=generator)).to(weight.dtype)
