"""The optimizers of optax."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from handbook.zoo.measuring_jax import OfJax, Tree

_MAIN = """
    adabelief adadelta adagrad adam adamax adamaxw adamw adan amsgrad fromage lamb lars lion nadam nadamw novograd
    optimistic_adam_v2 optimistic_gradient_descent radam rmsprop rprop sgd sign_sgd yogi adafactor
"""
_CONTRIB = """
    acprop ademamix adopt dog dowg momo momo_adam muon schedule_free_adamw schedule_free_sgd simplified_ademamix sophia
"""
_OF_ITSELF = "cocob dadapt_adamw prodigy"


def _of(library: Any, name: str, *rates: float, **settings: Any) -> OfJax:
    return OfJax(lambda: getattr(library, name)(*rates, **settings), _EXTRA.get(name, lambda gradients: {}))


def _objective(weights: Tree) -> jax.Array:
    return jnp.asarray(sum(jnp.sum(weight**2).astype(jnp.float32) for weight in weights.values()))


_EXTRA = {
    "lbfgs": lambda gradients: {"value": jnp.zeros(()), "grad": gradients, "value_fn": _objective},
    "momo": lambda gradients: {"value": jnp.zeros(())},
    "momo_adam": lambda gradients: {"value": jnp.zeros(())},
    "sophia": lambda gradients: {"obj_fn": _objective},
}

RECIPES: dict[str, OfJax] = {
    **{f"optax:{name}": _of(optax, name, 1e-3) for name in _MAIN.split()},
    **{f"optax:{name}": _of(contrib, name, 1e-3) for name in _CONTRIB.split()},
    **{f"optax:{name}": _of(contrib, name) for name in _OF_ITSELF.split()},
    **{f"optax:{name}:mu_dtype=bfloat16": _of(optax, name, 1e-3, mu_dtype=jnp.bfloat16) for name in ("adamw", "lion")},
    "optax:adamw:mu_dtype=float32": _of(optax, "adamw", 1e-3, mu_dtype=jnp.float32),
    "optax:muon:mu_dtype=float32": _of(contrib, "muon", 1e-3, mu_dtype=jnp.float32),
    "optax:sgd:momentum=0.9": _of(optax, "sgd", 1e-3, momentum=0.9),
    "optax:rmsprop:momentum=0.9,centered": _of(optax, "rmsprop", 1e-3, momentum=0.9, centered=True),
    "optax:adafactor:min_dim_size_to_factor=64": _of(optax, "adafactor", 1e-3, min_dim_size_to_factor=64),
    "optax:adafactor:momentum=0.9": _of(optax, "adafactor", 1e-3, momentum=0.9),
    "optax:adafactor:momentum=0.9,dtype_momentum=bfloat16": _of(
        optax, "adafactor", 1e-3, momentum=0.9, dtype_momentum=jnp.bfloat16
    ),
    "optax:galore": _of(contrib, "galore", 1e-3),
    "optax:galore:rank=32": _of(contrib, "galore", 1e-3, rank=32),
    "optax:lbfgs": _of(optax, "lbfgs"),
    "optax:MultiSteps": OfJax(lambda: optax.MultiSteps(optax.adamw(1e-3), 4).gradient_transformation()),
    "optax:sm3": OfJax(lambda: optax.sm3(1e-3), scalars=False),
}
