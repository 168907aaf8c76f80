"""Optimizers of torch-optimi, which add what rounding took from weights in 16 bits (Kahan sums)."""

from weigh.memory.optimizers.entries import Copies, Kept, Library, State
from weigh.tensors import Tensor

LIBRARY = Library("optimi", "torch-optimi 0.3.3")
optimizer = LIBRARY.optimizer

_STEP: tuple[Kept, ...] = (("step", (), "int32"),)


@optimizer("Adam", "AdamW", "RAdam", of_group=_STEP, copies=Copies())
def _adam(tensor: Tensor, dtype: str, *, kahan_sum: bool = True) -> State:
    """Kingma & Ba 2015 (arXiv 1412.6980); RAdam, Liu et al. 2019 (arXiv 1908.03265)."""
    yield "exp_avg", tensor.shape, dtype
    yield "exp_avg_sq", tensor.shape, dtype
    yield from _kahan(tensor, dtype, kahan_sum)


@optimizer("StableAdamW", of_group=_STEP, elementwise=False, copies=Copies(of_all=1))
def _stable_adamw(tensor: Tensor, dtype: str, *, kahan_sum: bool = True) -> State:
    """Wortsman et al. 2023 (arXiv 2304.13013): AdamW with the update clipped by its size."""
    yield from _adam(tensor, dtype, kahan_sum=kahan_sum)
    yield "eps_sq", (), dtype


@optimizer("Ranger", of_group=_STEP, copies=Copies())
def _ranger(tensor: Tensor, dtype: str, *, kahan_sum: bool = True) -> State:
    """RAdam with the slow weights of Lookahead (arXiv 1907.08610)."""
    yield from _adam(tensor, dtype, kahan_sum=kahan_sum)
    yield "la_param", tensor.shape, dtype


@optimizer(
    "Adan", of_group=_STEP, copies=Copies(), assumed="Adan alone sums plainly in 16 bits, unless kahan_sum is set"
)
def _adan(tensor: Tensor, dtype: str, *, kahan_sum: bool = False) -> State:
    """Xie et al. 2022 (arXiv 2208.06677)."""
    for name in ("exp_avg", "exp_avg_diff", "exp_avg_sq", "prev_grad"):
        yield name, tensor.shape, dtype
    yield from _kahan(tensor, dtype, kahan_sum)


@optimizer("Lion", copies=Copies(of_all=1))
def _lion(tensor: Tensor, dtype: str, *, kahan_sum: bool = True) -> State:
    """Chen et al. 2023 (arXiv 2302.06675)."""
    yield "exp_avg", tensor.shape, dtype
    yield from _kahan(tensor, dtype, kahan_sum)


@optimizer("SGD", copies=Copies())
def _sgd(tensor: Tensor, dtype: str, *, momentum: float = 0.0, kahan_sum: bool = True) -> State:
    if momentum:
        yield "exp_avg", tensor.shape, dtype
    yield from _kahan(tensor, dtype, kahan_sum)


def _kahan(tensor: Tensor, dtype: str, kahan_sum: bool) -> State:
    """What rounding took from weights in 16 bits, which is added to the next update."""
    if kahan_sum and dtype in ("float16", "bfloat16"):
        yield "kahan_comp", tensor.shape, dtype
