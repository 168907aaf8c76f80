"""The optimizers of pytorch_optimizer that keep momentum or moments with something of their own besides."""

from math import ceil, isqrt

from weigh.memory.optimizers.entries import STEP, Copies, State, from_one
from weigh.memory.optimizers.pytorch_optimizer.library import adam, optimizer
from weigh.tensors import Tensor

_SHARE = {"density": (0, 1)}


@optimizer("SGD", "SGDW", copies=Copies())
def _sgd(tensor: Tensor, dtype: str, *, momentum: float = 0.0) -> State:
    """SGDW: Loshchilov & Hutter 2019 (arXiv 1711.05101)."""
    if momentum:
        yield "momentum_buffer", tensor.shape, dtype


@optimizer("AliG")
def _alig(tensor: Tensor, dtype: str, *, momentum: float = 0.0) -> State:
    """Berrada et al. 2020 (arXiv 1906.05661)."""
    yield from _sgd(tensor, dtype, momentum=momentum)


@optimizer("PID", copies=Copies())
def _pid(tensor: Tensor, dtype: str, *, momentum: float = 0.0) -> State:
    """An et al. 2018; without momentum, plain gradient descent."""
    for name in ("grad_buffer", "i_buffer", "d_buffer") if momentum else ():
        yield name, tensor.shape, dtype


@optimizer("Magma", elementwise=False, copies=Copies(of_all=5))
def _magma(tensor: Tensor, dtype: str) -> State:
    """arXiv 2602.15322."""
    yield STEP
    yield from adam(tensor, dtype)


@optimizer("QHAdam", copies=Copies(of_all=2))
def _qhadam(tensor: Tensor, dtype: str) -> State:
    """Ma & Yarats 2019 (arXiv 1810.06801)."""
    yield "beta1_weight", (1,), "float32"
    yield "beta2_weight", (1,), "float32"
    yield from adam(tensor, dtype)


@optimizer("StableAdamW", elementwise=False)
def _stable_adamw(tensor: Tensor, dtype: str) -> State:
    """Wortsman et al. 2023 (arXiv 2304.13013); of weights in 16 bits, also what rounding took (Kahan sums)."""
    yield from adam(tensor, dtype)
    if dtype in ("float16", "bfloat16"):
        yield "kahan_comp", tensor.shape, dtype


@optimizer("FAdam", elementwise=False)
def _fadam(tensor: Tensor, dtype: str) -> State:
    """Hwang 2024 (arXiv 2405.12807): both moments in float32 whatever the weights are."""
    yield "momentum", tensor.shape, "float32"
    yield "fim", tensor.shape, "float32"


@optimizer("FlashAdamW", elementwise=False)
def _flash_adamw(tensor: Tensor, dtype: str) -> State:
    """arXiv 2602.23349: moments of one byte, of vectors too, and a scale for each 32 of them."""
    for name, integer in (("exp_avg", "int8"), ("exp_avg_sq", "uint8")):
        yield f"{name}::quantized", tensor.shape, integer
        yield f"{name}::scales", (ceil(tensor.numel / 32),), "float16"


@optimizer("AdamWSN", elementwise=False)
def _adamw_sn(tensor: Tensor, dtype: str, *, sn: bool = False) -> State:
    """Nguyen & Nguyen 2024 (arXiv 2411.07120): with `sn` in a group one second moment of many weights, else AdamW."""
    if not sn:
        yield from adam(tensor, dtype)
        return
    largest = isqrt(tensor.numel)
    size = next(each for each in range(largest, 0, -1) if tensor.numel % each == 0)
    yield "exp_avg", tensor.shape, dtype
    yield "exp_avg_sq", (tensor.numel // size, 1), dtype


@optimizer(
    "AdamMini",
    elementwise=False,
    limits=from_one("num_embeds", "num_heads"),
    assumed="num_embeds and num_heads are those of the model; which weights are tables or queries and keys is read "
    "from their names",
)
def _adam_mini(tensor: Tensor, dtype: str, *, num_embeds: int = 2048, num_heads: int = 32) -> State:
    """Zhang et al. 2024 (arXiv 2406.16793): of each head or weight one second moment; always in float32."""
    yield "m", tensor.shape, "float32"
    if any(part in tensor.name for part in ("embed", "embd", "wte", "lm_head.weight", "output.weight")):
        yield "v", tensor.shape, "float32"
    elif any(part in tensor.name for part in ("k_proj.weight", "q_proj.weight", "wq.weight", "wk.weight")):
        yield "v_mean", (tensor.numel // max(num_embeds * num_embeds // num_heads, 1),), "float32"
    elif "attn.attn.weight" in tensor.name or "attn.qkv.weight" in tensor.name:
        yield "v_mean", (num_heads, 3), "float32"
    else:
        yield "v_mean", (), "float32"
        yield "dimension", (), "float32"


@optimizer(
    "AdaShift",
    unknown={"steps": (1, 10**6)},
    assumed="each of the last keep_num gradients is kept, so that the state grows until that many steps",
)
def _adashift(tensor: Tensor, dtype: str, *, steps: int = 10**6, keep_num: int = 10) -> State:
    """Zhou et al. 2019 (arXiv 1810.00143): the squares of gradients of some steps ago."""
    yield "grad_queue", (min(steps, keep_num), *tensor.shape), dtype
    yield from adam(tensor, dtype)


@optimizer("SPAM", at_construction=("mask",), limits=_SHARE)
def _spam(tensor: Tensor, dtype: str, *, density: float = 1.0) -> State:
    """Huang et al. 2025 (arXiv 2501.06842): moments of some elements of each matrix, and a byte that says which."""
    if len(tensor.shape) != 2:
        yield from adam(tensor, dtype)
        return
    yield from _of_some(tensor, dtype, density)


@optimizer(
    "SaRA",
    at_construction=("mask",),
    limits=_SHARE,
    unknown={"density": (0.0, 1.0)},
    assumed="density is the share of the weights that are smaller than the threshold",
)
def _sara(tensor: Tensor, dtype: str, *, density: float = 1.0) -> State:
    """Hu et al. 2024 (arXiv 2409.06633): moments of the smallest weights, and a byte of each weight that says which."""
    yield from _of_some(tensor, dtype, density)


def _of_some(tensor: Tensor, dtype: str, share: float) -> State:
    yield "mask", tensor.shape, "bool"
    for name in ("exp_avg", "exp_avg_sq"):
        yield name, (int(share * tensor.numel),), dtype
