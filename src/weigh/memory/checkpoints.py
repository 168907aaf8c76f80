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
        autocast: The format in which matrices are multiplied, where that is not the format of the weights.
        adapters: The format of LoRA adapters, where that is not the format of the state.
        assumed: When the policy is that of a run, in words; empty if that needs none.
    """

    weights: str
    state: str
    gradients: str
    master: bool = False
    master_gradients: bool = False
    groups: int = 1
    autocast: str = ""
    adapters: str = ""
    assumed: str = ""


PRECISIONS: dict[str, Precision] = {
    "fp32": Precision("float32", "float32", "float32"),
    "bf16": Precision("bfloat16", "bfloat16", "bfloat16"),
    "bf16-master": Precision(
        "bfloat16", "float32", "bfloat16", master=True,
        assumed="bf16-master: a float32 copy of bfloat16 weights, as DeepSpeed and Megatron-LM keep one; transformers' "
        "Trainer, Lightning and accelerate by themselves keep none: see trainer-bf16 and trainer-bf16-mixed",
    ),
}  # fmt: skip
"""Precision policies that make different checkpoints: all in 32 bits (automatic mixed precision too, whose weights and
state stay float32), all in bfloat16, and bfloat16 weights with everything that the optimizer touches in float32."""

MEGATRON: dict[str, Precision] = {
    "bf16-megatron": Precision("bfloat16", "float32", "float32", master=True),
    "fp16-megatron": Precision("float16", "float32", "float16", master=True, master_gradients=True),
}
"""Policies of Megatron-LM, whose checkpoints are as large as those of `bf16-master` and whose gradients are larger:
with Adam 18 and 20 bytes per parameter (its "Distributed optimizer" page)."""


def _loaded_wide(setting: str = "", autocast: str = "", groups: int = 1) -> Precision:
    """Weights that were loaded in float32. Automatic mixed precision casts them for products of matrices alone."""
    said = f"weights loaded in float32, in which gradients and moments are too: {setting} computes in {autocast} alone"
    return Precision("float32", "float32", "float32", groups=groups, autocast=autocast, assumed=said if setting else "")


def _loaded_narrow(trainer: str, groups: int = 1) -> Precision:
    """Weights that were loaded in bfloat16, in which everything else is then, but for the adapters of PEFT."""
    said = f"weights loaded in bfloat16, in which moments are then too; if they are loaded in float32, {trainer}-mixed"
    return Precision("bfloat16", "bfloat16", "bfloat16", groups=groups, adapters="float32", assumed=said)


_FLAT = (
    "DeepSpeed with ZeRO lays the weights of a group end to end, so that it counts steps once for a group, and not for "
    "each weight; at stage 3 its checkpoint has the float32 weights alone"
)

TRAINERS: dict[str, Precision] = {
    "trainer": _loaded_wide(groups=2),
    "trainer-bf16": _loaded_narrow("trainer-bf16", groups=2),
    "trainer-bf16-mixed": _loaded_wide("bf16=True of the Trainer", "bfloat16", groups=2),
    "trainer-fp16": _loaded_wide("fp16=True of the Trainer", "float16", groups=2),
    "lightning": _loaded_wide(),
    "lightning-bf16-mixed": _loaded_wide("precision='bf16-mixed' of Lightning", "bfloat16"),
    "lightning-16-mixed": _loaded_wide("precision='16-mixed' of Lightning", "float16"),
    "lightning-bf16-true": Precision("bfloat16", "bfloat16", "bfloat16"),
    "lightning-16-true": Precision("float16", "float16", "float16"),
    "accelerate": _loaded_wide(),
    "accelerate-bf16": _loaded_narrow("accelerate-bf16"),
    "accelerate-bf16-mixed": _loaded_wide("mixed_precision='bf16' of accelerate", "bfloat16"),
    "accelerate-fp16": _loaded_wide("mixed_precision='fp16' of accelerate", "float16"),
    "deepspeed-bf16": Precision("bfloat16", "float32", "bfloat16", master=True, assumed=_FLAT),
    "deepspeed-fp16": Precision("float16", "float32", "float16", master=True, assumed=_FLAT),
}
"""Policies by the trainer that has them, and its setting: what it really keeps, and writes. The Trainer divides the
weights into two groups, of those that decay and those that do not. Measured with transformers 5.23.0, Lightning 2.6.6,
accelerate 1.15.0, and DeepSpeed 0.19.8."""


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
    """Look up a policy of `weigh.PRECISIONS`, `weigh.MEGATRON` or `weigh.TRAINERS`; one of your own is taken as it is.

    Raises:
        WeighError: If there is none of that name.
    """
    policies = PRECISIONS | MEGATRON | TRAINERS
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
        precision: A key of `weigh.PRECISIONS`, `weigh.MEGATRON` or `weigh.TRAINERS`, or a policy of your own.

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
