"""How large is the checkpoint that training with this optimizer at this precision writes?

A checkpoint repeats some of the model: the weights, a master copy of them where they are trained in 16 bits, and what
the optimizer remembers of each. Gradients are not in it: they are computed anew for each step.

Source: mixed precision with a master copy as in Micikevicius et al. 2018 (arXiv 1710.03740). Tested against files.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from weigh.dtypes import bytes_of, dtype
from weigh.errors import WeighError
from weigh.memory.optimizers import Chosen, find
from weigh.tensors import Tensor


@dataclass(frozen=True, slots=True)
class Precision:
    """Which number formats a training run keeps.

    Attributes:
        weights: The weights that the forward pass uses.
        state: The optimizer state, and the master copy where there is one.
        gradients: What the backward pass leaves for the optimizer, or for the next micro-batch to add to.
        master: Whether a copy of the weights in the `state` format is kept, which the optimizer updates.
        master_gradients: Whether the optimizer copies the gradients to the `state` format before it uses them.
        groups: How many parameter groups the weights are divided into, of which some optimizers keep state.
    """

    weights: str
    state: str
    gradients: str
    master: bool = False
    master_gradients: bool = False
    groups: int = 1


PRECISIONS: dict[str, Precision] = {
    "fp32": Precision("float32", "float32", "float32"),
    "bf16": Precision("bfloat16", "bfloat16", "bfloat16"),
    "bf16-master": Precision("bfloat16", "float32", "bfloat16", master=True),
}
"""Precision policies that make different checkpoints: all in 32 bits (automatic mixed precision too, whose weights and
state stay float32), all in bfloat16, and bfloat16 weights with everything that the optimizer touches in float32."""

MEGATRON: dict[str, Precision] = {
    "bf16-megatron": Precision("bfloat16", "float32", "float32", master=True),
    "fp16-megatron": Precision("float16", "float32", "float16", master=True, master_gradients=True),
}
"""Policies of Megatron-LM, whose checkpoints are as large as those of `bf16-master` and whose gradients are larger:
with Adam 18 and 20 bytes per parameter (its "Distributed optimizer" page)."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The bytes of the tensors of a checkpoint. All are exact; a file adds a header of a few kilobytes.

    Attributes:
        weight_bytes: The weights in the format that the forward pass uses.
        master_weight_bytes: The copy of the weights that the optimizer updates, where there is one.
        optimizer_state_bytes: What the optimizer remembers of each weight.
    """

    weight_bytes: int
    master_weight_bytes: int
    optimizer_state_bytes: int

    @property
    def total_bytes(self) -> int:
        """Everything together."""
        return self.weight_bytes + self.master_weight_bytes + self.optimizer_state_bytes


def policy(name: str | Precision) -> Precision:
    """Look up a precision policy of `weigh.PRECISIONS` or `weigh.MEGATRON`; one of your own is taken as it is.

    Raises:
        WeighError: If there is none of that name.
    """
    policies = PRECISIONS | MEGATRON
    if isinstance(name, Precision):
        return name
    if name not in policies:
        raise WeighError(f"precision {name!r:.40}", f"not known to weigh, which knows {', '.join(policies)}")
    return policies[name]


def checkpoint(tensors: Iterable[Tensor], optimizer: str | Chosen, precision: str | Precision = "fp32") -> Checkpoint:
    """The size of a training checkpoint of these weights, to the byte.

    Args:
        tensors: The distinct weights, such as `weigh.params(config).distinct`. Their own dtype does not matter.
        optimizer: A key of `weigh.OPTIMIZERS` or a short name, with options if there are any.
        precision: A key of `weigh.PRECISIONS` or `weigh.MEGATRON`, or a policy of your own.

    Raises:
        WeighError: If there is no such optimizer or precision policy.
    """
    keeps, tensors = policy(precision), list(tensors)
    return Checkpoint(
        weight_bytes=bytes_in(tensors, keeps.weights),
        master_weight_bytes=bytes_in(tensors, keeps.state) if keeps.master else 0,
        optimizer_state_bytes=sum(state_bytes(tensors, optimizer, keeps.state, keeps.groups).values()),
    )


def bytes_in(tensors: Iterable[Tensor], name: str) -> int:
    """The bytes of tensors in a number format."""
    return sum(bytes_of(tensor.numel, dtype(name)) for tensor in tensors)


def state_bytes(tensors: Iterable[Tensor], optimizer: str | Chosen, name: str, groups: int = 1) -> dict[str, int]:
    """The bytes of an optimizer's state of these weights, for each name that it keeps them under, such as `exp_avg`.

    Of an optimizer whose state grows with the steps, it is the most.
    """
    sizes: dict[str, int] = {}
    for part, shape, kind in find(optimizer).extremes()[1].kept(tensors, name, groups):
        sizes[part] = sizes.get(part, 0) + bytes_of(prod(shape), dtype(kind))
    return sizes
