"""Optimizers of heavyball, whose state is float32 whatever the weights are, unless `storage_dtype` says otherwise."""

from collections.abc import Callable

from weigh.memory.optimizers.entries import Kept, Library, Shape, State, tensorwise
from weigh.tensors import Tensor

LIBRARY = Library("heavyball", "heavyball 3.2.1")

_GROUP: tuple[Kept, ...] = (("step_count", (), "int64"), ("prev_lr", (), "float32"))

_MOMENTS = {
    "AdamC": "update_by_adamc_exp_avg update_by_adamc_exp_avg_sq",
    "AdamW": "update_by_adam_exp_avg update_by_adam_exp_avg_sq",
    "AdEMAMix": "update_by_ademamix_exp_avg_fast update_by_ademamix_exp_avg_slow update_by_ademamix_exp_avg_sq",
    "ADOPT": "update_by_adopt_exp_avg update_by_adopt_exp_avg_sq",
    "LaProp": "update_by_laprop_exp_avg update_by_laprop_exp_avg_sq",
    "LaPropOrtho": "scale_by_laprop_exp_avg scale_by_laprop_exp_avg_sq",
    "Muon": "nesterov_ema_momentum",
    "MuonLaProp": "scale_by_laprop_exp_avg scale_by_laprop_exp_avg_sq",
    "OrthoLaProp": "update_by_laprop_exp_avg update_by_laprop_exp_avg_sq",
    "RMSprop": "scale_by_exp_avg_sq_exp_avg_sq",
    "Scion": "exp_avg_exp_avg",
    "SGD": "heavyball_momentum_momentum",
    "SignLaProp": "scale_by_laprop_exp_avg scale_by_laprop_exp_avg_sq",
    "SUDSAdamW": "scale_by_suds_exp_avg scale_by_suds_exp_avg_sq scale_by_suds_fisher_approx",
    "UnscaledAdamW": "scale_by_unscaled_adam_exp_avg scale_by_unscaled_adam_exp_avg_sq",
}
"""Optimizers with the tensors that they keep, each as large as the weight."""

_OF_WHOLE_TENSORS = "LaPropOrtho Muon MuonLaProp OrthoLaProp Scion"

_NO_SCALARS = "no weight is a scalar: on one it stops"


def _moments(names: list[str]) -> Callable[..., State]:
    def state(tensor: Tensor, dtype: str, *, storage_dtype: str = "float32") -> State:
        yield from tensorwise(*names)(tensor, storage_dtype)

    return state


for _name, _kept in _MOMENTS.items():
    LIBRARY.optimizer(_name, of_group=_GROUP, elementwise=_name not in _OF_WHOLE_TENSORS.split())(
        _moments(_kept.split())
    )


@LIBRARY.optimizer("NAdam", of_group=_GROUP)
def _nadam(tensor: Tensor, dtype: str, *, storage_dtype: str = "float32") -> State:
    """Dozat 2016."""
    yield "update_by_nadam_exp_avg", tensor.shape, storage_dtype
    yield "update_by_nadam_exp_avg_sq", tensor.shape, storage_dtype
    yield "update_by_nadam_mu_product", (), "float32"


@LIBRARY.optimizer("SFAdamW", of_group=(*_GROUP, ("weight_sum", (), "float32")))
def _schedule_free(tensor: Tensor, dtype: str, *, storage_dtype: str = "float32") -> State:
    """Defazio et al. 2024 (arXiv 2405.15682): the weights z in their own format."""
    yield "scale_by_exp_avg_sq_exp_avg_sq", tensor.shape, storage_dtype
    yield "update_by_schedule_free_z", tensor.shape, dtype


@LIBRARY.optimizer("MSAMLaProp", of_group=_GROUP)
def _msam(tensor: Tensor, dtype: str, *, storage_dtype: str = "float32") -> State:
    """LaProp with the sharpness of momentum: the weights z in their own format."""
    yield "scale_by_exp_avg_sq_exp_avg_sq", tensor.shape, storage_dtype
    yield "update_by_msam_exp_avg", tensor.shape, storage_dtype
    yield "update_by_msam_z", tensor.shape, dtype


@LIBRARY.optimizer("HyperBallAdamW", of_group=_GROUP, elementwise=False)
def _hyperball(tensor: Tensor, dtype: str, *, storage_dtype: str = "float32") -> State:
    """The second moment alone, and the norm that each matrix began with: half of AdamW."""
    yield "scale_by_exp_avg_sq_exp_avg_sq", tensor.shape, storage_dtype
    if len(tensor.shape) > 1:
        yield "update_by_hyperball_init_norm", (), storage_dtype


@LIBRARY.optimizer("MuonAdamW", of_group=_GROUP, elementwise=False, assumed="Muon for every matrix, tables too")
def _muon_adamw(tensor: Tensor, dtype: str, *, storage_dtype: str = "float32") -> State:
    """Jordan et al. 2024: Muon for matrices, and AdamW for vectors."""
    if len(tensor.shape) > 1:
        yield "nesterov_ema_momentum", tensor.shape, storage_dtype
    else:
        yield "scale_by_adam_exp_avg", tensor.shape, storage_dtype
        yield "scale_by_adam_exp_avg_sq", tensor.shape, storage_dtype


@LIBRARY.optimizer("SOAP", of_group=_GROUP, elementwise=False, assumed=_NO_SCALARS)
def _soap(tensor: Tensor, dtype: str, *, max_precond_dim: int = 2048) -> State:
    """Vyas et al. 2024 (arXiv 2409.11321): Adam in the basis of Shampoo: of each dimension a square and its basis."""
    if tensor.shape:
        yield "scale_by_soap_exp_avg", tensor.shape, "float32"
        yield "scale_by_soap_exp_avg_sq", tensor.shape, "float32"
        yield from _squares(tensor, max_precond_dim)


@LIBRARY.optimizer("KLShampoo", of_group=_GROUP, elementwise=False, assumed=_NO_SCALARS)
def _kl_shampoo(tensor: Tensor, dtype: str, *, max_precond_dim: int = 2048) -> State:
    """Lin et al. 2025 (arXiv 2509.03378): SOAP without its second moment."""
    if tensor.shape:
        yield "scale_by_kl_shampoo_exp_avg", tensor.shape, "float32"
        yield from _squares(tensor, max_precond_dim)


@LIBRARY.optimizer("PSGDKron", of_group=_GROUP, elementwise=False)
def _psgd_kron(tensor: Tensor, dtype: str, *, max_size_triangular: int = 2048) -> State:
    """Li 2015 (arXiv 1512.04202): of each dimension a triangle, without the zeros, and of vectors a diagonal."""
    yield "exp_avg_exp_avg", tensor.shape, "float32"
    shape = [size for size in tensor.shape if size > 1]
    for at, size in enumerate(shape or (1,)):
        diagonal = size > max_size_triangular or len(shape) < 2
        yield f"scale_by_psgd_Q.{at}", (size if diagonal else size * (size + 1) // 2,), "float32"
        yield f"scale_by_psgd_running_lower_bound.{at}", (), "float64"
    yield "scale_by_psgd_step", (), "float64"


def _squares(tensor: Tensor, largest: int) -> State:
    """Of each dimension a square and its basis; kernels are multiplied into the inputs as long as that is small."""
    shape = (tensor.shape[0], *_merged(tensor.shape[1:], largest))
    for at, size in enumerate(shape if len(shape) > 1 else ()):
        if 1 < size <= largest:
            yield f"Q.{at}", (size, size), "float32"
            yield f"GG.{at}", (size, size), "float32"


def _merged(shape: Shape, largest: int) -> list[int]:
    """Dimensions, with neighbours multiplied from the last on as long as the product is no larger than that."""
    merged: list[int] = []
    size = 1
    for each in reversed(shape):
        if size * each <= largest:
            size *= each
        elif size > 1:
            merged.append(size)
            size = each
        else:
            merged.append(each)
    return [*merged, *([size] if size > 1 else [])][::-1]
