"""The optimizers of pytorch_optimizer whose state is a few tensors as large as the weight, and perhaps a few numbers.

Of each: its name; the tensors as large as the weight; those of one number; the copies of all weights that live while
it steps, those of the largest one, which `None` leaves unknown; and the paper on arXiv, where there is one. What lives
while it steps is that of its foreach implementation, where there is one, which a GPU takes.
"""

from collections.abc import Callable

from weigh.memory.optimizers.entries import Copies, Kept, Library, State, tensorwise
from weigh.tensors import Tensor

MOMENTS: list[tuple[str, str, str, int | None, int | None, str]] = [
    ("A2Grad", "avg_grad x_k", "v_k", 1, 0, "1810.00553"),
    ("AccSGD", "momentum_buffer", "", 0, 0, "1704.08227"),
    ("AdaBelief", "exp_avg exp_avg_var", "", 2, 0, "2010.07468"),
    ("AdaBound", "exp_avg exp_avg_sq", "", 1, 0, ""),
    ("AdaDelta", "square_avg acc_delta", "", 2, 0, "1212.5701"),
    ("AdaHessian", "exp_avg exp_hessian_diag_sq hessian", "", 1, 0, "2006.00719"),
    ("Adai", "exp_avg exp_avg_sq beta1_prod", "", 4, 0, "2006.15815"),
    ("AdaMax", "exp_avg exp_inf", "", 1, 0, "1412.6980"),
    ("AdamC", "exp_avg exp_avg_sq", "", 2, 0, "2506.02285"),
    ("AdamG", "m v r", "", 2, 0, "2405.04376"),
    ("AdaMod", "exp_avg exp_avg_sq exp_avg_lr", "", 1, 0, "1910.12249"),
    ("AdamP", "exp_avg exp_avg_sq", "", 0, 4, "2006.08217"),
    ("AdamS", "exp_avg exp_avg_sq", "", 1, 0, "2011.11152"),
    ("Adan", "exp_avg exp_avg_sq exp_avg_diff previous_grad", "", 1, 0, "2208.06677"),
    ("AdaNorm", "exp_avg exp_avg_var", "exp_grad_norm", 2, 0, "2210.06364"),
    ("AdaPNM", "exp_avg exp_avg_sq neg_exp_avg max_exp_avg_sq", "", 2, 0, "2103.17182"),
    ("AdaSmooth", "prev_param s n exp_avg_sq", "", 3, 0, "2204.00825"),
    ("AdaTAM", "s exp_avg exp_avg_sq", "", 3, 0, "2412.18790"),
    ("AdEMAMix", "exp_avg exp_avg_sq exp_avg_slow", "", 2, 0, "2409.03137"),
    ("ADOPT", "exp_avg exp_avg_sq", "", 2, 0, "2411.02853"),
    ("AggMo", "momentum_buffer.0.0 momentum_buffer.0.9 momentum_buffer.0.99", "", 0, 0, "1804.00325"),
    ("Aida", "exp_avg exp_avg_var", "", 4, 0, "2203.13273"),
    ("Amos", "", "exp_avg_sq decay", 2, 0, "2210.11693"),
    ("Ano", "exp_avg exp_avg_sq", "", 5, 0, "2508.18258"),
    ("ApolloDQN", "exp_avg_grad approx_hessian update", "", 4, 0, "2009.13586"),
    ("ASGD", "", "", None, None, "1910.09529"),
    ("AvaGrad", "exp_avg exp_avg_sq", "", 2, 0, "1912.01823"),
    ("BCOS", "m", "", 5, 0, "2507.08963"),
    ("BSAM", "s noisy_gradient momentum", "", 3, 0, "2210.01620"),
    ("DAdaptAdaGrad", "alpha_k sk x0", "", 6, 0, "2301.07733"),
    ("DAdaptAdam", "s exp_avg exp_avg_sq", "", 1, 1, "2301.07733"),
    ("DAdaptAdan", "s exp_avg exp_avg_sq exp_avg_diff previous_grad", "", None, None, "2301.07733"),
    ("DAdaptLion", "exp_avg s", "", 1, 1, "2301.07733"),
    ("DAdaptSGD", "z s x0", "", 1, 0, "2301.07733"),
    ("DiffGrad", "exp_avg exp_avg_sq previous_grad", "", 1, 0, "1909.11015"),
    ("DualAdam", "exp_avg exp_avg_sq", "", 3, 0, "2603.07122"),
    ("EmoLynx", "exp_avg", "", 1, 0, ""),
    ("EmoNavi", "exp_avg exp_avg_sq", "", 1, 0, ""),
    ("EXAdam", "exp_avg exp_avg_sq", "", 0, 5, "2412.20302"),
    ("FOCUS", "exp_avg pbar", "", 3, 0, "2501.12243"),
    ("Fromage", "", "", 1, 0, "2002.03432"),
    ("FTRL", "z n", "", None, None, ""),
    ("Grams", "exp_avg exp_avg_sq", "", 0, 3, "2412.17107"),
    ("Gravity", "v", "", 2, 0, "2101.09192"),
    ("GrokFastAdamW", "exp_avg exp_avg_sq grok_exp_avg", "", 1, 0, "2405.20233"),
    ("Kate", "m b", "", 2, 0, "2403.02648"),
    ("Lamb", "exp_avg exp_avg_sq", "", 1, 0, "1904.00962"),
    ("LaProp", "exp_avg exp_avg_sq", "", 1, 0, "2002.04839"),
    ("LARS", "momentum_buffer", "", 0, 0, "1708.03888"),
    ("Lion", "exp_avg", "", 1, 0, "2302.06675"),
    ("MADGRAD", "grad_sum_sq s x0", "", 2, 0, "2101.11075"),
    ("MARS", "exp_avg exp_avg_sq last_grad", "", 3, 0, "2411.10438"),
    ("MSVAG", "exp_avg exp_avg_sq", "", 3, 0, "1705.07774"),
    ("NovoGrad", "moments", "grads_ema", 0, 1, "1905.11286"),
    ("PAdam", "exp_avg exp_avg_sq", "", 1, 0, "1806.06763"),
    ("PNM", "pos_momentum neg_momentum", "", 1, 0, "2103.17182"),
    ("Prodigy", "s p0 exp_avg exp_avg_sq", "", 1, 1, "2306.06101"),
    ("QHM", "momentum_buffer", "", 0, 0, "1810.06801"),
    ("RAdam", "exp_avg exp_avg_sq", "", 0, 0, "1908.03265"),
    ("Ranger", "exp_avg exp_avg_sq slow_buffer", "", None, None, ""),
    ("Ranger21", "grad_ma variance_ma lookahead_params neg_grad_ma max_variance_ma", "", 2, 0, "2106.13731"),
    ("ROSE", "", "", None, None, ""),
    ("ScheduleFreeAdamW", "z exp_avg_sq", "", 2, 0, "2405.15682"),
    ("ScheduleFreeRAdam", "z exp_avg_sq", "", 0, 0, "2405.15682"),
    ("ScheduleFreeSGD", "z", "", 0, 0, "2405.15682"),
    ("SCION", "d", "", None, None, "2502.07529"),
    ("SCIONLight", "", "", None, None, "2502.07529"),
    ("SGDP", "momentum", "", 0, 4, "2006.08217"),
    ("SGDSaI", "momentum_buffer", "gsnr", 1, 0, ""),
    ("SignSGD", "momentum_buffer", "", 1, 0, "1802.04434"),
    ("SimplifiedAdEMAMix", "exp_avg exp_avg_sq", "", 2, 0, "2502.02431"),
    ("SophiaH", "momentum hessian_moment hessian", "", 2, 0, "2305.14342"),
    ("SRMM", "mov_avg_grad mov_avg_param", "", 0, 0, "2201.01652"),
    ("StableSPAM", "exp_avg exp_avg_sq", "m_norm_t v_norm_t m_max_t", None, None, "2502.17055"),
    ("SWATS", "exp_avg exp_avg_sq", "exp_avg2", None, None, "1712.07628"),
    ("TAM", "s momentum_buffer", "", 3, 0, "2412.18790"),
    ("Tiger", "exp_avg", "", 1, 0, ""),
    ("VSGD", "mug bg bhg", "", 10, 0, ""),
    ("Yogi", "exp_avg exp_avg_sq", "", 2, 0, ""),
]

_OF_WHOLE_TENSORS = """
    A2Grad AdamP AdaNorm AdaTAM Aida Amos ApolloDQN Fromage Gravity Lamb LARS MARS NovoGrad Ranger Ranger21 ROSE SCION
    SCIONLight SGDP SGDSaI StableSPAM SWATS TAM
"""
"""Those that ask for a norm, a mean or a product of a weight, a row or a gradient."""

_OF_ALL: dict[str, tuple[tuple[Kept, ...], str]] = {
    "DAdaptAdaGrad": (tuple((name, (1,), "float32") for name in ("gsq_weighted", "sk_sq_weighted", "sk_l1")), ""),
    "DAdaptAdam": ((("numerator_weighted", (1,), "float32"),), ""),
    "DAdaptAdan": (
        (("gsq_weighted", (1,), "float32"),),
        "the estimate d is a number of Python, and not yet the tensor of 4 bytes that it becomes when it first rises",
    ),
    "DAdaptLion": ((("numerator_weighted", (1,), "float32"),), ""),
    "DAdaptSGD": ((("numerator_weighted", (1,), "float32"),), ""),
    "MADGRAD": ((("k", (1,), "int64"),), ""),
    "Prodigy": ((("d_numerator", (1,), "float32"), ("d_de_nom", (1,), "float32")), ""),
}
"""What is kept once for all weights, and what that takes for granted."""

_NORMS: tuple[Kept, ...] = tuple(
    (f"{when}_{what}_norm", (1,), "float32") for when in ("prev", "curr") for what in ("param", "grad")
)


def add_to(library: Library) -> None:
    """Add the optimizers to their library."""
    for name, large, small, of_all, of_largest, paper in MOMENTS:
        shared, assumed = _OF_ALL.get(name, ((), ""))
        library.optimizer(
            name,
            shared=_ratios if name == "Lamb" else _once(shared),
            of_group=_NORMS if name == "ASGD" else (),
            elementwise=name not in _OF_WHOLE_TENSORS.split(),
            copies=None if of_all is None or of_largest is None else Copies(of_all, of_largest),
            assumed=assumed,
        )(_state(large.split(), small.split(), paper))


def _state(large: list[str], small: list[str], paper: str) -> Callable[[Tensor, str], State]:
    def state(tensor: Tensor, dtype: str) -> State:
        yield from tensorwise(*large)(tensor, dtype)
        for name in small:
            yield name, (1,), dtype

    state.__doc__ = f"arXiv {paper}." if paper else ""
    return state


def _once(kept: tuple[Kept, ...]) -> Callable[[list[Tensor], str], State] | None:
    def shared(tensors: list[Tensor], dtype: str) -> State:
        yield from kept

    return shared if kept else None


def _ratios(tensors: list[Tensor], dtype: str) -> State:
    """The norms of LAMB: one number of each weight, of which all are in one block that each weight has a view of."""
    for name in ("weight_norm", "adam_norm", "trust_ratio"):
        yield name, (len(tensors),), dtype
