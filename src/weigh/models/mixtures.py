"""What mixtures of experts are written with: decoders whose feed-forward networks are many, of which a router picks
some for each token (Shazeer et al. 2017).
"""

from dataclasses import dataclass

from weigh.errors import InvalidConfig
from weigh.models import saved
from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, saved_layer, saved_mlp
from weigh.models.layers import Tensors, Weight


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureSizes(DecoderSizes):
    """The sizes of a decoder with experts.

    Attributes:
        used: The routed experts that a token passes through.
        count: The routed experts of a layer.
        own_width: The feed-forward width of one of them, if it is not F.
        shared: The width of those that all tokens pass through, as one network; 0 if there are none.
        sparse: Which layers have experts. The others have one feed-forward network of width F.
    """

    used: int
    count: int
    own_width: int = 0
    shared: int = 0
    sparse: tuple[bool, ...]

    @property
    def width(self) -> int:
        """The feed-forward width of an expert."""
        return self.own_width or self.F


def expert_counts(config: Config, field: str, count: int, used: int | None) -> tuple[int, int]:
    """How many experts a token passes through, and of how many, which is in `field`; by default `used` and `count`.

    Where neither the config nor the family says how many, it is all.
    """
    count = config.size(field, count)
    used = config.size("num_experts_per_tok", count if used is None else used)
    if used > count:
        raise InvalidConfig(f"{config.where}, field num_experts_per_tok", f"{used} is more than {field}, {count}")
    return used, count


def all_layers(config: Config, L: int) -> tuple[bool, ...]:
    """Which layers have experts: all."""
    return (True,) * L


def sparse_layers(config: Config, L: int) -> tuple[bool, ...]:
    """Which layers have experts: every `decoder_sparse_step`-th, unless `mlp_only_layers` names it."""
    every, dense = config.size("decoder_sparse_step", 1), config.get("mlp_only_layers", [])
    if not isinstance(dense, list) or not all(type(i) is int for i in dense):
        raise InvalidConfig(f"{config.where}, field mlp_only_layers", f"must be a list of layers, not {dense!r:.40}")
    return tuple((i + 1) % every == 0 and i not in dense for i in range(L))


def router(name: str, s: MixtureSizes) -> Tensors:
    """The router: a score for each expert, `weight` (experts, D)."""
    yield Weight(f"{name}.weight", (s.count, s.D), "router")


def experts(name: str, s: MixtureSizes) -> Tensors:
    """Gated networks without biases, stacked."""
    chosen = (s.used, s.count)
    yield Weight(f"{name}.gate_up_proj", (s.count, 2 * s.width, s.D), "expert gate-up", experts=chosen)
    yield Weight(f"{name}.down_proj", (s.count, s.D, s.width), "expert down", experts=chosen)


def saved_experts(s: MixtureSizes) -> saved.SavedTensors:
    """The saved tensors of the routed experts of a layer, and of their router."""
    return saved.routed(s.D, s.width, s.used, s.activation.kept, probabilities=s.count)


def saves(s: MixtureSizes, sparse: saved.SavedTensors, *more: saved.SavedTensors) -> saved.SavedActivations:
    """The saved tensors of a decoder whose layers have experts, `sparse`, or else a gated feed-forward."""
    dense = saved_mlp(s, gated=True)
    layers = [saved_layer(s, sparse if routes else dense, *more) for routes in s.sparse]
    return saved.SavedActivations(layers, saved.norm(saved.RMS, s.D))
