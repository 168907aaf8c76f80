"""Which weight does each parameter of an optimizer stand for? By name where the state has names, else by order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from weigh.checks.resuming.checkpoint import TrainingCheckpoint
from weigh.checks.resuming.states import Key, OptimizerState, Shape, parameter_shapes
from weigh.files.choosing import INSERTED, WRAPPERS
from weigh.tensors import Tensor

_BUFFERS = ("running_mean", "running_var", "inv_freq", "n_averaged")
"""The names of floating-point tensors that modules of torch's and transformers' own keep and do not train."""


@dataclass(frozen=True)
class Alignment:
    """The parameters of an optimizer beside the weights.

    Attributes:
        state: The state of the optimizer.
        weights: The weights that may be meant, in the order of the file.
        how: `names`, `order`, or `shapes` where neither tells; then equal shapes cannot be told apart.
        shapes: The shape of each parameter, as far as its state tells.
        weight_of: The weight of each parameter, as far as it is certain.
        extra: Parameters for which no weight is there, each with the reason.
        misplaced: Parameters whose shape is not that of the weight in their place: the shape, and what it should be.
    """

    state: OptimizerState
    weights: list[Tensor]
    how: str
    shapes: dict[Key, Shape]
    weight_of: dict[Key, Tensor] = field(default_factory=dict)
    extra: dict[Key, str] = field(default_factory=dict)
    misplaced: dict[Key, tuple[str, str]] = field(default_factory=dict)


def is_buffer(tensor: Tensor) -> bool:
    """Whether a floating-point tensor has the name of a buffer."""
    return tensor.name.rpartition(".")[2] in _BUFFERS


def align(checkpoint: TrainingCheckpoint, state: OptimizerState) -> Alignment:
    """Find the weight of each parameter.

    Of several sets of weights, such as those of a generator and a discriminator, those are taken that fit best.
    """
    sets: dict[str, list[Tensor]] = {}
    for tensor in checkpoint.weights:
        sets.setdefault(tensor.state_dict, []).append(tensor)
    choices = [checkpoint.weights] if len(sets) < 2 else [checkpoint.weights, *sets.values()]
    found = [_align(state, weights, ordered=checkpoint.is_ordered) for weights in choices]
    return min(found, key=lambda one: (len(one.extra) + len(one.misplaced), len(one.weights)))


def _align(state: OptimizerState, weights: list[Tensor], *, ordered: bool) -> Alignment:
    shapes = parameter_shapes(state, [tensor.shape for tensor in weights])
    if state.names:
        return _by_name(Alignment(state, weights, "names", shapes))
    trained = [tensor for tensor in weights if not is_buffer(tensor)]
    if len(trained) < len(state.params):
        trained = weights
    if not ordered:
        return _by_shape(Alignment(state, weights, "shapes", shapes), trained)
    return _by_order(Alignment(state, weights, "order", shapes), trained)


def _bare(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in (*INSERTED, *WRAPPERS))


def _by_name(one: Alignment) -> Alignment:
    named = {}
    for tensor in one.weights:
        start = f"{tensor.state_dict}." if tensor.state_dict else ""
        named[_bare(tensor.name.removeprefix(start))] = tensor
    for key, name in one.state.names.items():
        if _bare(name) not in named:
            one.extra[key] = f"{name} is not among the weights"
            continue
        tensor = named[_bare(name)]
        if one.shapes.get(key, tensor.shape) != tensor.shape:
            one.misplaced[key] = f"{list(one.shapes[key])}", f"{list(tensor.shape)}, as {tensor.name}"
        else:
            one.weight_of[key] = tensor
    return one


def _by_shape(one: Alignment, trained: list[Tensor]) -> Alignment:
    """Where the file has lost the order: as many parameters of each shape as there are weights of it at most."""
    there = Counter(tensor.shape for tensor in trained)
    by_shape: dict[Shape, list[Tensor]] = {}
    for tensor in trained:
        by_shape.setdefault(tensor.shape, []).append(tensor)
    for key in one.state.params:
        shape = one.shapes.get(key)
        if shape is None:
            continue
        if not there[shape]:
            one.extra[key] = f"no weight of shape {list(shape)} is left for it"
            continue
        there[shape] -= 1
        if len(by_shape[shape]) == 1:
            one.weight_of[key] = by_shape[shape][0]
    return _surplus(one, trained)


def _surplus(one: Alignment, trained: list[Tensor]) -> Alignment:
    """Parameters beyond the number of weights, if their shapes have not said which they are."""
    known = [key for key in one.state.params if key not in one.extra]
    for key in known[len(trained) :] if len(known) > len(trained) else ():
        one.extra[key] = f"there are {len(trained):,} weights"
    return one


def _by_order(one: Alignment, trained: list[Tensor]) -> Alignment:
    """In the order of the model: all at their places, or those of each group in their order with gaps."""
    _by_shape(one, trained)
    one.weight_of.clear()
    params = [key for key in one.state.params if key not in one.extra]
    free = list(trained)
    if len(params) == len(free) and len(one.state.groups) == 1:
        for key, tensor in zip(params, free, strict=True):
            if one.shapes.get(key, tensor.shape) == tensor.shape:
                one.weight_of[key] = tensor
            else:
                one.misplaced[key] = f"{list(one.shapes[key])}", f"{list(tensor.shape)}, as {tensor.name}"
        return one
    for group in one.state.groups:
        keys = [key for key in group.params if key not in one.extra]
        places = _places([one.shapes.get(key) for key in keys], free)
        if isinstance(places, int):
            key = keys[places]
            one.misplaced[key] = f"{list(one.shapes[key])}", "the shape of a weight behind the one before it"
            one.weight_of.clear()
            return one
        if places == _last_places([one.shapes.get(key) for key in keys], free):
            one.weight_of.update(zip(keys, (free[place] for place in places), strict=True))
    return one


def _places(shapes: Sequence[Shape | None], weights: Sequence[Tensor]) -> list[int] | int:
    """The first weights in their order that have the shapes; or the number of the shape that none has."""
    at, found = 0, []
    for number, shape in enumerate(shapes):
        while at < len(weights) and shape is not None and weights[at].shape != shape:
            at += 1
        if at == len(weights):
            return number
        found.append(at)
        at += 1
    return found


def _last_places(shapes: Sequence[Shape | None], weights: Sequence[Tensor]) -> list[int] | int:
    """The last weights in their order that have the shapes: the only ones, where these are also the first."""
    found = _places(shapes[::-1], weights[::-1])
    return found if isinstance(found, int) else [len(weights) - 1 - place for place in found][::-1]
