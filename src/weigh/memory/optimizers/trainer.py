"""Optimizers of transformers' `Trainer`, by the names that `TrainingArguments.optim` takes.

Most are those of another library, with settings of the Trainer's own: its 8-bit ones leave tables of embeddings in 32
bits, its 4-bit one has blocks of 256, and where the rate is a tensor, the scheduler keeps the first rate as another.
"""

from collections.abc import Callable, Sequence

from weigh.memory.optimizers import apollo, bitsandbytes, galore, optimi, pytorch, schedulefree, torchao
from weigh.memory.optimizers.entries import Copies, Library, Optimizer, State, from_one
from weigh.models.matrices import is_table
from weigh.tensors import Tensor

LIBRARY = Library("trainer", "transformers 5.23.0")
optimizer = LIBRARY.optimizer

RATES = (("lr", (), "float32"), ("initial_lr", (), "float32"))


def _said(meant: Optimizer) -> str:
    """What the Trainer makes of a name, and what that takes for granted."""
    return "; ".join(filter(None, (f"the Trainer makes {meant.key} of {meant.source}", meant.assumed)))


for _name, _meant in {
    "sgd": pytorch.LIBRARY.optimizers["SGD"],
    "adagrad": pytorch.LIBRARY.optimizers["Adagrad"],
    "rmsprop": pytorch.LIBRARY.optimizers["RMSprop"],
    "ademamix": bitsandbytes.LIBRARY.optimizers["AdEMAMix"],
    "lion_32bit": bitsandbytes.LIBRARY.optimizers["Lion"],
    "rmsprop_bnb": bitsandbytes.LIBRARY.optimizers["RMSprop"],
    "rmsprop_bnb_32bit": bitsandbytes.LIBRARY.optimizers["RMSprop"],
    "paged_adamw_32bit": bitsandbytes.LIBRARY.optimizers["PagedAdamW"],
    "paged_ademamix_32bit": bitsandbytes.LIBRARY.optimizers["PagedAdEMAMix"],
    "paged_lion_32bit": bitsandbytes.LIBRARY.optimizers["PagedLion"],
    "schedule_free_adamw": schedulefree.LIBRARY.optimizers["AdamWScheduleFree"],
    "schedule_free_radam": schedulefree.LIBRARY.optimizers["RAdamScheduleFree"],
    "schedule_free_sgd": schedulefree.LIBRARY.optimizers["SGDScheduleFree"],
    "stable_adamw": optimi.LIBRARY.optimizers["StableAdamW"],
}.items():
    LIBRARY.alias(_name, _meant, source=LIBRARY.source, assumed=_said(_meant))


@optimizer("adamw_torch_fused", copies=Copies())
@optimizer("adamw_torch", copies=Copies(of_all=1))
def _adamw(tensor: Tensor, dtype: str) -> State:
    """AdamW of PyTorch; the fused one, which is the default, copies nothing while it steps."""
    yield from pytorch.LIBRARY.optimizers["AdamW"].state(tensor, dtype)


def _adafactor_copies(tensors: Sequence[Tensor], dtype: str) -> Copies:
    """The squared gradient and the update, of one weight after another; of weights of 16 bits four, all in float32."""
    return Copies(of_largest=2 if dtype == "float32" else 8)


@optimizer("adafactor", elementwise=False, copies=_adafactor_copies)
def _adafactor(tensor: Tensor, dtype: str) -> State:
    """Shazeer & Stern 2018 (arXiv 1804.04235) of transformers: factors in float32, whatever the weights are."""
    yield from galore.transformers_adafactor(tensor.shape)


@optimizer(
    "adamw_torch_8bit",
    elementwise=False,
    of_group=RATES,
    limits=from_one("block_size"),
    assumed=_said(torchao.LIBRARY.optimizers["AdamW8bit"]),
)
def _adamw_8bit(tensor: Tensor, dtype: str, *, block_size: int = 256) -> State:
    """AdamW8bit of torchao."""
    yield from torchao.LIBRARY.optimizers["AdamW8bit"].state(tensor, dtype, block_size=block_size)


@optimizer(
    "adamw_torch_4bit", elementwise=False, of_group=RATES, assumed=_said(torchao.LIBRARY.optimizers["AdamW4bit"])
)
def _adamw_4bit(tensor: Tensor, dtype: str) -> State:
    """AdamW4bit of torchao with a scale for each block of 256, where torchao's default is 128."""
    yield from torchao.LIBRARY.optimizers["AdamW4bit"].state(tensor, dtype, block_size=256)


def _with_whole_tables(meant: Optimizer) -> tuple[Callable[..., State], Callable[..., State]]:
    """An 8-bit optimizer that leaves tables of embeddings in 32 bits: what it keeps of a weight, and of all."""

    def state(tensor: Tensor, dtype: str) -> State:
        yield from meant.state(tensor, dtype, **({"min_8bit_size": tensor.numel + 1} if is_table(tensor) else {}))

    def shared(tensors: Sequence[Tensor], dtype: str) -> State:
        if meant.shared:
            yield from meant.shared([tensor for tensor in tensors if not is_table(tensor)], dtype)

    state.__doc__ = f"{meant.name} of bitsandbytes, except that tables of embeddings stay in 32 bits."
    return state, shared


for _name, _entry in {
    "adamw_bnb_8bit": "AdamW8bit",
    "adamw_8bit": "AdamW8bit",
    "ademamix_8bit": "AdEMAMix8bit",
    "lion_8bit": "Lion8bit",
    "rmsprop_bnb_8bit": "RMSprop8bit",
    "paged_adamw_8bit": "PagedAdamW8bit",
    "paged_ademamix_8bit": "PagedAdEMAMix8bit",
    "paged_lion_8bit": "PagedLion8bit",
}.items():
    _meant = bitsandbytes.LIBRARY.optimizers[_entry]
    _state, _shared = _with_whole_tables(_meant)
    LIBRARY.alias(
        _name, _meant, source=LIBRARY.source, state=_state, shared=_shared,
        assumed=f"{_said(_meant)}; tables of embeddings stay in 32 bits, as the Trainer tells bitsandbytes",
    )  # fmt: skip


def _ranked(meant: Optimizer) -> Callable[..., State]:
    """A low-rank optimizer with the rank that the Trainer gives it."""

    def state(tensor: Tensor, dtype: str, *, rank: int = 128) -> State:
        yield from meant.state(tensor, dtype, rank=rank)

    state.__doc__ = meant.state.__doc__
    return state


for _name, _meant in {
    "galore_adamw": galore.LIBRARY.optimizers["GaLoreAdamW"],
    "galore_adafactor": galore.LIBRARY.optimizers["GaLoreAdafactor"],
    "apollo_adamw": apollo.LIBRARY.optimizers["APOLLOAdamW"],
}.items():
    LIBRARY.alias(
        _name, _meant, source=LIBRARY.source, state=_ranked(_meant),
        assumed=f"the Trainer makes {_meant.key} of {_meant.source}; its optim_target_modules name the matrices inside "
        "the layers, and no head; the rank is 128, if optim_args has no other",
    )  # fmt: skip
