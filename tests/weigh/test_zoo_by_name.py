"""What optimizers know by the names of weights, which the zoo's model does not have, and of weights that are zero."""

import pytest
import torch

import weigh
from handbook.zoo.measuring import kept
from weigh.memory.optimizers import find
from weigh.tensors import Tensor

NAMED = {
    "embed_tokens.weight": (50, 16),
    "layers.0.self_attn.q_proj.weight": (16, 16),
    "layers.0.self_attn.k_proj.weight": (8, 16),
    "layers.0.self_attn.q_proj.bias": (16,),
    "layers.0.self_attn.v_proj.weight": (8, 16),
    "layers.0.mlp.up.weight": (40, 16),
    "layers.0.norm.weight": (16,),
    "head.weight": (50, 16),
}


def test_adam_mini_keeps_of_a_weight_what_its_name_says() -> None:
    """A second moment for each head of 4 × 16, each row, each element of a bias, and each other tensor."""
    from adam_mini import Adam_mini

    weights = {name: torch.nn.Parameter(torch.ones(shape)) for name, shape in NAMED.items()}
    for weight in weights.values():
        weight.grad = torch.ones_like(weight)
    optimizer = Adam_mini(weights.items(), verbose=False, dim=16, n_heads=4)
    optimizer.step()
    chosen = find("adam-mini:Adam_mini:dim=16,n_heads=4")
    predicted = {
        name: sum(
            4 * torch.Size(kept[1]).numel() for kept in chosen.of(Tensor(name, shape, "float32", "", 0, 0), "float32")
        )
        for name, shape in NAMED.items()
    }
    assert predicted == kept([optimizer], weights)[0]


def test_prodigy_keeps_one_number_of_a_start_that_is_zero() -> None:
    """As the entry's assumption says, which is of weights that are not."""
    from prodigyopt import Prodigy

    zero, other = torch.nn.Parameter(torch.zeros(64)), torch.nn.Parameter(torch.ones(64))
    zero.grad = other.grad = torch.ones(64)
    optimizer = Prodigy([zero, other])
    optimizer.step()
    of, _ = kept([optimizer], {"zero": zero, "other": other})
    assert of == {"zero": 3 * 64 * 4 + 4, "other": 4 * 64 * 4}
    assert "zero" in find("prodigy").optimizer.assumed


@pytest.mark.parametrize("text", ["adam-mini", "adam-mini:dim=64", "Adam-Mini:Adam_mini", "adam-mini:adam_mini:dim=64"])
def test_a_library_may_be_called_like_its_optimizer(text: str) -> None:
    assert find(text).optimizer is weigh.OPTIMIZERS["adam-mini:Adam_mini"]
