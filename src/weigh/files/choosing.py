"""Which tensors of a checkpoint are the model, and by which names does it know them?"""

from weigh import errors
from weigh.models.parameters import Model
from weigh.tensors import Contents, Tensor, location, shared_prefix

WRAPPERS = ("module", "_orig_mod")
"""What DistributedDataParallel and torch.compile put in front of every name."""


def prefix_of(contents: Contents, model: Model | None) -> str:
    """The prefix of the weights' names: the key of the state dict, and what wrappers add.

    With a config, the prefix is the one without which the names are those that it describes. Without one, a key that
    all weights are below is taken off if other things lie beside it, as in `{"model": …, "optimizer": …}`, and then the
    wrappers' names.

    Raises:
        AmbiguousWeights: If there are two sets of weights, such as a model and its moving average.
    """
    names = [tensor.name for tensor in contents.named if tensor.component == "weights"]
    if model:
        first = model.distinct[0].name
        found = [name.removesuffix(first) for name in names if name == first or name.endswith("." + first)]
        _refuse_several(contents, found)
        if found:
            return found[0]
    _refuse_several(contents, _sets(names))
    prefix = ""
    others = contents.metadata or any(tensor.component != "weights" for tensor in contents.named)
    if others and contents.format.startswith(("pytorch", "torch.distributed")):
        prefix = shared_prefix(names)
    while (inner := shared_prefix(name.removeprefix(prefix) for name in names)).rstrip(".") in WRAPPERS:
        prefix += inner
    return prefix


def _sets(names: list[str]) -> list[str]:
    """The first parts of the names, if below several of them are tensors of the same names."""
    below: dict[str, set[str]] = {}
    for name in names:
        first, _, rest = name.partition(".")
        below.setdefault(first, set()).add(rest)
    rests = [frozenset(rest) for rest in below.values()]
    return [f"{first}." for first, rest in below.items() if len(rest) > 2 and rests.count(frozenset(rest)) > 1]


def _refuse_several(contents: Contents, prefixes: list[str]) -> None:
    if len(prefixes) > 1:
        raise errors.AmbiguousWeights(
            contents.path,
            f"has {len(prefixes)} sets of weights; say which with --prefix: {', '.join(prefixes)[:200]}, or '' for all",
        )


def weights_below(contents: Contents, prefix: str) -> dict[str, Tensor]:
    """Weights whose names begin with the prefix, by the rest of their names."""
    found = [t for t in contents.named if t.component == "weights" and t.name.startswith(prefix) and t.name != prefix]
    named = {tensor.name.removeprefix(prefix): tensor for tensor in found}
    if not named or len(named) != len(found):
        flaw = "two tensors have the same name" if named else "no weights"
        raise errors.NothingToExport(contents.path, f"{flaw} below the prefix {prefix!r}; give another --prefix")
    return named


def check(contents: Contents, named: dict[str, Tensor], model: Model) -> None:
    """Refuse weights that are not those of the model: each tensor by its name and shape.

    Raises:
        MissingTensors: If a tensor that the config describes is not there, or has another shape.
    """
    for tensor in model.distinct:
        found = named.get(tensor.name)
        if found is None or found.shape != tensor.shape:
            has = f"has shape {list(found.shape)}" if found else "is not there"
            raise errors.MissingTensors(
                f"{contents.path}, tensor {tensor.name!r}",
                f"{has}, and the config asks for {list(tensor.shape)}; give the right --config or --prefix",
            )


def untied(named: dict[str, Tensor], model: Model | None) -> dict[str, Tensor]:
    """One name for each block of bytes: those that the config gives it, or else the first.

    Of tensors that only share a part of their bytes, such as the thirds of a fused matrix, each is written.
    """

    kept = {tensor.name for tensor in model.distinct} if model else set()
    locations = {location(named[name]) for name in kept}
    for name, tensor in named.items():
        if not tensor.numel or location(tensor) not in locations:
            locations.add(location(tensor))
            kept.add(name)
    return {name: tensor for name, tensor in named.items() if name in kept}
