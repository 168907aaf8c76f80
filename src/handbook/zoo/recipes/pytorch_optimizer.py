"""The optimizers of pytorch_optimizer."""

from collections.abc import Callable
from inspect import signature
from types import SimpleNamespace
from typing import Any

import pytorch_optimizer as library
import torch

from handbook.zoo.measuring import Recipe, Weights
from handbook.zoo.recipes.pytorch import RECIPES as TORCH
from handbook.zoo.recipes.pytorch import on_all

# LOMO and AdaLOMO step inside the backward pass, LoRARite takes pairs of LoRA's matrices, DistributedMuon a process
# group, and DeMo a package more. SpectralSphere takes matrices alone, and AdaGC stops at weights in bfloat16. What
# AdaShift, LBFGS and SaRA keep depends on more than the weights: they are below, with options.
_LEFT_OUT = "adagc adalomo adashift demo distributedmuon lbfgs lomo lorarite sara spectralsphere"

_HIDDEN = ("up.weight", "down.weight")


def _made(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = library.load_optimizer(name.lower())
    return found


def _plain(name: str, **settings: Any) -> Recipe:
    """One optimizer for all weights, in its foreach implementation where a GPU would take that."""
    make = _made(name)
    foreach = signature(make).parameters.get("foreach")
    return on_all(make, **settings, **({"foreach": True} if foreach and foreach.default is None else {}))


def _divided(name: str, hidden: dict[str, Any], others: dict[str, Any]) -> Recipe:
    """One optimizer with a parameter group of the matrices inside the layers and one of the other weights."""

    def make(weights: Weights) -> Any:
        inside = [weight for name, weight in weights.items() if name in _HIDDEN]
        outside = [weight for name, weight in weights.items() if name not in _HIDDEN]
        return _made(name)([{"params": inside, **hidden}, {"params": outside, **others}])

    return make


def _stepping(name: str, step: Callable[[Any], dict[str, Any]], **settings: Any) -> Recipe:
    """One optimizer for all weights whose step takes arguments."""

    def make(weights: Weights) -> Any:
        optimizer = _made(name)(list(weights.values()), **settings)
        plain = optimizer.step
        optimizer.step = lambda: plain(**step(weights))
        return optimizer

    return make


def _adam_mini(weights: Weights) -> Any:
    return _made("AdamMini")(SimpleNamespace(named_parameters=weights.items))


def _hessian(weights: Weights) -> dict[str, Any]:
    """Hessians that somebody else estimated: those of its own need the graph of the gradients."""
    return {"hessian": [torch.ones_like(weight) for weight in weights.values()]}


def _loss(weights: Weights) -> dict[str, Any]:
    return {"closure": lambda: 1.0}


_RANK = {"rank": 32, "update_proj_gap": 200, "scale": 0.25, "projection_type": "std"}

_SPECIAL: dict[str, Recipe] = {
    **{
        name: _divided(name, {"use_muon": True}, {"use_muon": False})
        for name in ("Muon", "MuonClip", "AdaMuon", "NorMuon", "AdaGO")
    },
    **{f"{name}:rank=32": _divided(name, _RANK, {}) for name in ("GaLore", "Fira", "APOLLO")},
    **{f"{name}:momentum=0.9": _plain(name, momentum=0.9) for name in ("SGD", "SGDW", "PID")},
    "AdaHessian": _stepping("AdaHessian", _hessian),
    "AdamMini": _adam_mini,
    "AdamWSN:sn": _divided("AdamWSN", {"sn": True}, {"sn": True}),
    "AdaShift:steps=2": _plain("AdaShift"),
    "AliG": _stepping("AliG", _loss),
    "AliG:momentum=0.9": _stepping("AliG", _loss, momentum=0.9),
    "BSAM": _stepping("BSAM", _loss, num_data=100),
    # Its estimate is a number of Python until it first rises, in the second step or later, and a tensor from then on.
    "DAdaptAdan": _plain("DAdaptAdan", growth_rate=1.0),
    "LBFGS:pairs=2": TORCH["torch:LBFGS:pairs=2"],  # the same class
    "Ranger21": _plain("Ranger21", num_iterations=100),
    "SaRA:density=1.0": _plain("SaRA", threshold=1000.0),
    "SOAP:precondition_1d": _plain("SOAP", precondition_1d=True),
    "SophiaH": _stepping("SophiaH", _hessian),
    # The roots of their matrices would take seconds, and are as large when they are rough or not computed.
    "DASH": _plain("DASH", newton_steps=1),
    "Shampoo": _plain("Shampoo", preconditioning_compute_steps=100),
}

_PLAIN = [_made(each).__name__ for each in library.get_supported_optimizers() if each not in _LEFT_OUT.split()]

RECIPES: dict[str, Recipe] = {
    f"pytorch_optimizer:{name}": recipe
    for name, recipe in ({name: _plain(name) for name in _PLAIN if name not in _SPECIAL} | _SPECIAL).items()
}
