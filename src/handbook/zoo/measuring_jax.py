"""What does a transformation of optax keep? JAX traces it on the mixed model: `init`, and two updates of the state.

Tracing runs the library's own code and gives the shapes and formats of all arrays, but computes and compiles nothing.
A state of optax is a tree of arrays. What is under the name of a weight is that weight's, and the rest is shared. There
is no file: who writes a checkpoint chooses how.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
import torch

from handbook.zoo.measuring import Row
from handbook.zoo.mixed import SHAPES

jax.config.update("jax_platforms", "cpu")  # type: ignore[no-untyped-call]

Tree = dict[str, Any]


def _nothing(gradients: Tree) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class OfJax:
    """A transformation that measures itself.

    Attributes:
        make: Makes the transformation.
        extra: What its update takes besides the gradients, the state and the weights.
        scalars: Whether it takes weights that are scalars.
    """

    make: Callable[[], Any]
    extra: Callable[[Tree], dict[str, Any]] = _nothing
    scalars: bool = True

    def measure(self, dtype: torch.dtype) -> Row:
        """Count the state after two updates, and at construction, which is when `init` is called."""
        weights = {
            name: jax.ShapeDtypeStruct(shape, jnp.dtype(str(dtype).removeprefix("torch.")))  # type: ignore[no-untyped-call]
            for name, shape in SHAPES.items()
            if shape or self.scalars
        }
        transformation = optax.with_extra_args_support(self.make())

        def update(gradients: Tree, state: Any, weights: Tree) -> Any:
            return transformation.update(gradients, state, weights, **self.extra(gradients))[1]

        first = state = jax.eval_shape(transformation.init, weights)
        for _ in range(2):
            state = jax.eval_shape(update, weights, state, weights)
        before, _ = _kept(first)
        after, shared = _kept(state)
        return Row(after, shared, sum(before.values()), while_stepping=0, file=0, loads=None)


def _kept(state: Any) -> tuple[dict[str, int], int]:
    """The bytes of each weight, and of none in particular."""
    sizes: dict[str, int] = defaultdict(int)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        names = [step.key for step in path if isinstance(step, jax.tree_util.DictKey)]
        sizes[next((name for name in names if name in SHAPES), "")] += leaf.size * leaf.dtype.itemsize
    return {name: sizes[name] for name in SHAPES}, sizes[""]
