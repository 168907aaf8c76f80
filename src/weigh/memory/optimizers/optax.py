"""Optimizers of optax, for JAX: a tree of arrays, there from `init` on, with one count for all weights."""

from collections.abc import Callable, Iterable

from weigh.memory.optimizers.entries import Library, State, tensorwise
from weigh.tensors import Tensor

LIBRARY = Library("optax", "optax 0.2.8")
optimizer = LIBRARY.optimizer

_COUNT = "count:int32"

_LARGE: list[tuple[str, str, str, str]] = [
    ("adabelief", "mu nu", _COUNT, "2010.07468"),
    ("adadelta", "e_g e_x", "", "1212.5701"),
    ("adagrad", "sum_of_squares", "", ""),
    ("adamax", "mu nu", _COUNT, "1412.6980"),
    ("adamaxw", "mu nu", _COUNT, "1412.6980"),
    ("adan", "m v n g", "t:int32", "2208.06677"),
    ("acprop", "mu nu", _COUNT, "2110.05454"),
    ("cocob", "init_particles cumulative_gradients scale subgradients reward", "", "1705.07795"),
    ("dadapt_adamw", "exp_avg exp_avg_sq grad_sum", "estim_lr numerator_weighted count:int32", "2301.07733"),
    ("dog", "init_params", "is_init_step:bool max_dist sum_sq_norm_grads", "2302.12022"),
    ("dowg", "init_params", "weighted_sq_norm_grads estim_sq_dist", "2305.16284"),
    ("fromage", "", "", "2002.03432"),
    ("lamb", "mu nu", _COUNT, "1904.00962"),
    ("lars", "trace", "", "1708.03888"),
    ("momo", "exp_avg", "barf gamma lb count:int32", "2305.07583"),
    ("momo_adam", "exp_avg exp_avg_sq", "barf gamma lb count:int32", "2305.07583"),
    ("optimistic_gradient_descent", "previous_gradient", "is_initial_step:bool", "1711.00141"),
    ("prodigy", "exp_avg exp_avg_sq grad_sum params0", "estim_lr numerator_weighted count:int32", "2306.06101"),
    ("radam", "mu nu", _COUNT, "1908.03265"),
    ("rprop", "step_sizes prev_updates", "", ""),
    ("schedule_free_adamw", "z nu", "b1 weight_sum step_count:int32 max_lr count:int32", "2405.15682"),
    ("schedule_free_sgd", "z", "b1 weight_sum step_count:int32 max_lr", "2405.15682"),
    ("sign_sgd", "", "", "1802.04434"),
    ("simplified_ademamix", "m n", "t:int32", "2502.02431"),
    ("yogi", "mu nu", _COUNT, ""),
]
"""Of each: its name, the arrays as large as the weight, the numbers that all weights share, and the paper on arXiv."""

_FIRST: list[tuple[str, str, str, str, str]] = [
    ("adam", "mu", "nu", _COUNT, "1412.6980"),
    ("adamw", "mu", "nu", _COUNT, "1711.05101"),
    ("ademamix", "m1", "m2 nu", f"{_COUNT} count_m2:int32", "2409.03137"),
    ("adopt", "mu", "nu", _COUNT, "2411.02853"),
    ("amsgrad", "mu", "nu nu_max", _COUNT, "1904.09237"),
    ("lion", "mu", "", _COUNT, "2302.06675"),
    ("nadam", "mu", "nu", _COUNT, ""),
    ("nadamw", "mu", "nu", _COUNT, ""),
    ("optimistic_adam_v2", "mu", "nu previous_gradient", f"{_COUNT} is_initial_step:bool", "1711.00141"),
    ("sophia", "mu", "nu", f"{_COUNT} key:uint32 key:uint32", "2305.14342"),
]
"""The same of those with `mu_dtype`, the format of what comes first: as the weights, if it is not given."""

_WHOLE = "cocob dadapt_adamw dog dowg fromage lamb lars prodigy"


def _add(name: str, state: Callable[..., State], shared: str, arrays: Iterable[str], paper: str) -> None:
    state.__doc__ = f"arXiv {paper}." if paper else ""
    LIBRARY.optimizer(
        name, shared=_once(shared), elementwise=name not in _WHOLE.split(), at_construction=tuple(arrays)
    )(state)


def _once(numbers: str) -> Callable[[list[Tensor], str], State]:
    """Numbers that are kept once, in the format of the weights or in the one that is named."""

    def shared(tensors: list[Tensor], dtype: str) -> State:
        for number in numbers.split():
            name, _, kind = number.partition(":")
            yield name, (), kind or dtype

    return shared


def _with_mu_dtype(first: str, arrays: list[str]) -> Callable[..., State]:
    def state(tensor: Tensor, dtype: str, *, mu_dtype: str = "") -> State:
        yield first, tensor.shape, mu_dtype or dtype
        yield from tensorwise(*arrays)(tensor, dtype)

    return state


for _name, _arrays, _shared, _paper in _LARGE:
    _add(_name, tensorwise(*_arrays.split()), _shared, _arrays.split(), _paper)
for _name, _first, _arrays, _shared, _paper in _FIRST:
    _add(_name, _with_mu_dtype(_first, _arrays.split()), _shared, [_first, *_arrays.split()], _paper)


@optimizer("sgd", at_construction=("trace",))
def _sgd(tensor: Tensor, dtype: str, *, momentum: float = 0.0) -> State:
    if momentum:
        yield "trace", tensor.shape, dtype


@optimizer("rmsprop", at_construction=("nu", "mu", "trace"))
def _rmsprop(tensor: Tensor, dtype: str, *, momentum: float = 0.0, centered: bool = False) -> State:
    """Tieleman & Hinton 2012, lecture 6.5."""
    yield "nu", tensor.shape, dtype
    if centered:
        yield "mu", tensor.shape, dtype
    if momentum:
        yield "trace", tensor.shape, dtype


@optimizer("novograd", elementwise=False, shared=_once(_COUNT), at_construction=("mu", "nu"))
def _novograd(tensor: Tensor, dtype: str) -> State:
    """Ginsburg et al. 2019 (arXiv 1905.11286)."""
    yield "mu", tensor.shape, dtype
    yield "nu", (), dtype


def _adafactor_counts(tensors: list[Tensor], dtype: str, *, momentum: float = 0.0) -> State:
    yield "count", (), "int32"
    if momentum:
        yield "ema.count", (), "int32"


@optimizer("adafactor", elementwise=False, shared=_adafactor_counts, at_construction=("v_row", "v_col", "v", "ema"))
def _adafactor(
    tensor: Tensor,
    dtype: str,
    *,
    min_dim_size_to_factor: int = 128,
    momentum: float = 0.0,
    dtype_momentum: str = "float32",
) -> State:
    """Shazeer & Stern 2018 (arXiv 1804.04235): a row and a column, unless a side is short: then the whole square."""
    short, long = (
        sorted(range(len(tensor.shape)), key=tensor.shape.__getitem__)[-2:] if len(tensor.shape) > 1 else (0, 0)
    )
    factored = len(tensor.shape) > 1 and tensor.shape[short] >= min_dim_size_to_factor
    for name, left_out in (("v_row", long), ("v_col", short)):
        without = tuple(size for at, size in enumerate(tensor.shape) if at != left_out)
        yield name, without if factored else (1,), dtype
    yield "v", (1,) if factored else tensor.shape, dtype
    if momentum:
        yield "ema", tensor.shape, dtype_momentum


@optimizer("sm3", elementwise=False, at_construction=("mu", "nu"), assumed="no weight is a scalar: on one it stops")
def _sm3(tensor: Tensor, dtype: str) -> State:
    """Anil et al. 2019 (arXiv 1901.11150): of each dimension the largest squares, and momentum."""
    for size in tensor.shape:
        yield "mu", (size,), dtype
    if tensor.shape:
        yield "nu", tensor.shape, dtype


@optimizer(
    "muon",
    elementwise=False,
    shared=_once("adam.count:int32 muon.count:int32" + 3 * " ns_coeffs:float32"),
    at_construction=("mu", "nu"),
    assumed="Muon for every weight of two dimensions, tables too, and AdamW for the others",
)
def _muon(tensor: Tensor, dtype: str, *, mu_dtype: str = "") -> State:
    """Jordan et al. 2024."""
    yield "mu", tensor.shape, mu_dtype or dtype
    if len(tensor.shape) != 2:
        yield "nu", tensor.shape, dtype


@optimizer(
    "galore",
    elementwise=False,
    shared=_once("count:int32 base_optimizer_state.count:int32"),
    at_construction=("mu", "nu", "projector"),
    assumed="every weight of two dimensions is projected, on its longer side",
)
def _galore(tensor: Tensor, dtype: str, *, rank: int = 128) -> State:
    """Zhao et al. 2024 (arXiv 2403.03507), the other way round: small moments, and a projector of the longer side."""
    shape = tensor.shape
    if len(shape) == 2:
        rank = min(rank, *shape)
        yield "projector", (max(shape), rank), dtype
        shape = (rank, shape[1]) if shape[0] >= shape[1] else (shape[0], rank)
    yield "mu", shape, dtype
    yield "nu", shape, dtype


def _lbfgs_numbers(tensors: list[Tensor], dtype: str, *, memory_size: int = 10) -> State:
    yield "weights_memory", (memory_size,), "float32"
    yield from _once("count:int32 learning_rate value num_linesearch_steps:int32")(tensors, dtype)
    yield from _once("decrease_error:float32 curvature_error:float32")(tensors, dtype)


_LBFGS = ("params", "updates", "grad", "diff_params_memory", "diff_updates_memory")


@optimizer("lbfgs", elementwise=False, shared=_lbfgs_numbers, at_construction=_LBFGS)
def _lbfgs(tensor: Tensor, dtype: str, *, memory_size: int = 10) -> State:
    """Liu & Nocedal 1989: room for all pairs from the beginning."""
    for name in _LBFGS:
        yield name, (memory_size, *tensor.shape) if name.endswith("memory") else tensor.shape, dtype


def _multi_steps_counts(tensors: list[Tensor], dtype: str) -> State:
    yield from _once("mini_step:int32 gradient_step:int32 count:int32")(tensors, dtype)


@optimizer(
    "MultiSteps",
    shared=_multi_steps_counts,
    at_construction=("mu", "nu", "acc_grads"),
    assumed="MultiSteps is around adamw, and adds up gradients in float32",
)
def _multi_steps(tensor: Tensor, dtype: str) -> State:
    """AdamW on gradients that are added up over several calls."""
    yield "mu", tensor.shape, dtype
    yield "nu", tensor.shape, dtype
    yield "acc_grads", tensor.shape, "float32"
