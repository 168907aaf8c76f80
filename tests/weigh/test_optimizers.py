"""The state of every optimizer that weigh knows, against the real one of its library."""

from typing import Any

import pytest
import torch

import weigh
from handbook.zoo.measuring import Recipe, measure
from handbook.zoo.mixed import SHAPES
from handbook.zoo.recipes import LIBRARIES, recipes
from weigh.memory.checkpoints import state_bytes
from weigh.memory.optimizers import find
from weigh.memory.optimizers.entries import Copies
from weigh.tensors import Tensor

torch.compiler.set_stance("force_eager")  # torchao would compile its step for a minute

RECIPES = {name: recipe for library in LIBRARIES for name, recipe in recipes(library).items()}


def test_every_optimizer_is_measured() -> None:
    assert {find(name).optimizer.key for name in RECIPES} == set(weigh.OPTIMIZERS)


def test_every_alias_is_measured() -> None:
    assert {_meant(alias) for alias in weigh.OPTIMIZER_ALIASES} <= {_meant(name) for name in RECIPES}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", RECIPES)
def test_state_is_that_of_the_real_optimizer(name: str, dtype: str, mixed_tensors: list[Tensor]) -> None:
    """To the byte: of each weight, in all, and at construction; and what lives in a step, within a tenth."""
    recipe: Recipe = RECIPES[name]
    row, chosen = measure(recipe, getattr(torch, dtype)), find(name)
    predicted: dict[str, Any] = {
        tensor.name: sum(_bytes(kept) for kept in chosen.of(tensor, dtype)) for tensor in mixed_tensors
    }
    assert predicted == row.of
    total = sum(state_bytes(mixed_tensors, name, dtype, row.groups).values())
    assert total == row.total
    first = [kept for each in mixed_tensors for kept in chosen.of(each, dtype)]
    assert row.at_construction == sum(_bytes(kept) for kept in first if kept[0] in chosen.optimizer.at_construction)
    if copies := chosen.copies(mixed_tensors, dtype):
        assert _copied(copies, dtype) == pytest.approx(row.while_stepping, rel=0.1, abs=2048)


def _meant(text: str) -> tuple[Any, ...]:
    """An entry with the options that were given, those that no config tells left out."""
    chosen = find(text)
    return chosen.optimizer.key, *(each for each in chosen.options.items() if each[0] not in chosen.optimizer.unknown)


def _bytes(kept: tuple[str, tuple[int, ...], str]) -> int:
    _, shape, dtype = kept
    return int(torch.Size(shape).numel() * weigh.DTYPES[dtype].bits / 8)


def _copied(copies: Copies, dtype: str) -> float:
    sizes = [torch.Size(shape).numel() * weigh.DTYPES[dtype].bits // 8 for shape in SHAPES.values()]
    return copies.of_all * sum(sizes) + copies.of_largest * max(sizes)
