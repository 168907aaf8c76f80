"""What several tests of the library are given."""

import pytest

from weigh.tensors import Tensor

ROLES = {"up.weight": "feed-forward up", "down.weight": "feed-forward down", "embedding.weight": "embedding"}


@pytest.fixture(scope="session")
def mixed_tensors() -> list[Tensor]:
    """The model of the optimizer zoo, as weigh describes models: with roles, and all but the scalar in a layer."""
    from handbook.zoo.mixed import SHAPES  # which imports torch

    return [
        Tensor(name, shape, "float32", name, 0, 0, role=ROLES.get(name, ""), layer=0 if "." in name else None)
        for name, shape in SHAPES.items()
    ]
