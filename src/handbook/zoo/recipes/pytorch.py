"""The optimizers of PyTorch."""

from collections.abc import Callable
from typing import Any

import torch

from handbook.zoo.measuring import Recipe, Weights


def on_all(make: Callable[..., Any], **settings: Any) -> Recipe:
    """One optimizer for all weights."""
    return lambda weights: make(list(weights.values()), **settings)


def _muon(weights: Weights) -> list[Any]:
    hidden = [weight for name, weight in weights.items() if name in ("up.weight", "down.weight")]
    others = [weight for weight in weights.values() if all(weight is not each for each in hidden)]
    return [torch.optim.Muon(hidden), torch.optim.AdamW(others, foreach=True)]


class _Lbfgs:
    """LBFGS, which asks for the gradient itself, and keeps the state of all weights under the first of them.

    The loss is half the sum of the squares of the weights. Two steps fill a short history.
    """

    def __init__(self, weights: Weights, pairs: int) -> None:
        self.weights = list(weights.values())
        self.real = torch.optim.LBFGS(
            self.weights, lr=0.1, max_iter=pairs // 2 + 1, max_eval=1000, tolerance_grad=0, tolerance_change=0,
            history_size=pairs,
        )  # fmt: skip
        self.param_groups, self.state_dict = self.real.param_groups, self.real.state_dict

    @property
    def state(self) -> dict[None, list[Any]]:
        """The state, as that of no weight in particular."""
        return {None: list(self.real.state.values())}

    def step(self) -> None:
        """A step of many iterations."""

        def closure() -> float:
            for weight in self.weights:
                weight.grad = weight.detach().clone()
            return 1.0

        self.real.step(closure)  # type: ignore[no-untyped-call]


def _lbfgs(pairs: int) -> Recipe:
    return lambda weights: _Lbfgs(weights, pairs)


class _SparseAdam:
    """SparseAdam, which is given the gradients as sparse tensors that have all rows."""

    def __init__(self, weights: Weights) -> None:
        self.weights = list(weights.values())
        self.real = torch.optim.SparseAdam(self.weights)
        self.param_groups, self.state, self.state_dict = self.real.param_groups, self.real.state, self.real.state_dict

    def step(self) -> None:
        """A step, after which the gradients are as they were."""
        dense = [weight.grad for weight in self.weights]
        for weight in self.weights:
            weight.grad = weight.grad.to_sparse(min(weight.ndim, 1)) if weight.grad is not None else None
        self.real.step()  # type: ignore[no-untyped-call]
        for weight, gradient in zip(self.weights, dense, strict=True):
            weight.grad = gradient


RECIPES: dict[str, Recipe] = {
    "torch:SGD": on_all(torch.optim.SGD, foreach=True),
    "torch:SGD:momentum=0.9": on_all(torch.optim.SGD, momentum=0.9, foreach=True),
    "torch:Adam": on_all(torch.optim.Adam, foreach=True),
    "torch:Adam:amsgrad": on_all(torch.optim.Adam, amsgrad=True, foreach=True),
    "torch:AdamW": on_all(torch.optim.AdamW, foreach=True),
    "torch:AdamW:amsgrad": on_all(torch.optim.AdamW, amsgrad=True, foreach=True),
    "torch:NAdam": on_all(torch.optim.NAdam, foreach=True),
    "torch:RAdam": on_all(torch.optim.RAdam, foreach=True),
    "torch:Adamax": on_all(torch.optim.Adamax, foreach=True),
    "torch:SparseAdam": _SparseAdam,
    "torch:RMSprop": on_all(torch.optim.RMSprop, foreach=True),
    "torch:RMSprop:momentum=0.9": on_all(torch.optim.RMSprop, momentum=0.9, foreach=True),
    "torch:RMSprop:centered": on_all(torch.optim.RMSprop, centered=True, foreach=True),
    "torch:RMSprop:momentum=0.9,centered": on_all(torch.optim.RMSprop, momentum=0.9, centered=True, foreach=True),
    "torch:Adagrad": on_all(torch.optim.Adagrad, foreach=True),
    "torch:Adadelta": on_all(torch.optim.Adadelta, foreach=True),
    "torch:Adafactor": on_all(torch.optim.Adafactor, foreach=True),
    "torch:ASGD": on_all(torch.optim.ASGD, foreach=True),
    "torch:Rprop": on_all(torch.optim.Rprop, foreach=True),
    "torch:LBFGS:pairs=2": _lbfgs(2),
    "torch:LBFGS:pairs=4": _lbfgs(4),
    "torch:Muon": _muon,
}
