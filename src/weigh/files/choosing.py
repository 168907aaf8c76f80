"""Which tensors of a checkpoint are the model, and by which names does it know them?"""

from dataclasses import dataclass

from weigh import errors
from weigh.files.quantized import shapes_behind
from weigh.formats.torch.naming import AVERAGE, COUNTER
from weigh.formats.torch.rebuilding import LOCAL
from weigh.models.parameters import Model
from weigh.tensors import Contents, Tensor, location, shared_prefix

WRAPPERS = ("module", "_orig_mod")
"""What DistributedDataParallel and torch.compile put in front of every name."""

INSERTED = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""What torch.compile, FSDP and checkpointed activations put into the names below a module of the model: no module of a
model's own has such a name."""


@dataclass(frozen=True)
class Chosen:
    """The weights of one model in a checkpoint.

    Attributes:
        named: The tensors, by the names that the model knows them by.
        prefix: What was taken off the front of every name.
        inserted: The names of wrappers that were taken out of some of them.
    """

    named: dict[str, Tensor]
    prefix: str
    inserted: tuple[str, ...]


def choose(contents: Contents, model: Model | None, key: str | None = None, prefix: str | None = None) -> Chosen:
    """The weights of a checkpoint that are the model, by the names that it knows them by.

    A given prefix is taken off and nothing else. Else the key of the state dict is, and what wrappers add to names.
    With a config, the names are then those that it describes. Without one, what a wrapper puts in front of all names
    is taken off: `module.`, `_orig_mod.`, and `model.` in a checkpoint of Lightning's, whose module holds the model.

    Args:
        contents: The checkpoint.
        model: What its config describes.
        key: The key of the state dict; `None` is the only one there is.
        prefix: What to take off the front of every name.

    Raises:
        AmbiguousWeights: If there are several sets of weights, such as a model and its moving average, and neither key
            nor prefix says which.
        NothingToExport: If no weight is below the key or begins with the prefix, or if two get the same name.
    """
    tensors = [tensor for tensor in contents.named if tensor.component in ("weights", "ema")]
    if not tensors:
        raise errors.NothingToExport(contents.path, "holds no weights; give the file or directory that does")
    if prefix is not None:
        return Chosen(_below(contents, tensors, prefix), prefix, ())
    asked = key is not None
    if key is None:
        key = _key(contents, tensors, model)
    start = f"{key}." if key else ""
    below = [tensor for tensor in tensors if tensor.name.startswith(start) and tensor.name != f"{start}{COUNTER}"]
    if not below:
        keys = ", ".join(map(repr, _keys(tensors)))
        raise errors.NothingToExport(contents.path, f"no weights below the key {key[:80]!r}; it has {keys[:200]}")
    if start or not asked:
        names = {component: _below_start(below, start, component) for component in ("weights", "ema")}
        _refuse_several(contents, [start + part for part in _averages(names["weights"], names["ema"], asked=asked)])
    below = [tensor for tensor in below if tensor.component == "weights"] or below
    prefix = start + _wrappers(contents, [tensor.name.removeprefix(start) for tensor in below], model)
    named = _below(contents, below, prefix)
    clean = {_without_inserted(name): tensor for name, tensor in named.items()}
    if len(clean) < len(named):
        return Chosen(named, prefix, ())
    return Chosen(clean, prefix, tuple(part for part in INSERTED if any(part in name.split(".") for name in named)))


def prefix_of(contents: Contents, model: Model | None) -> str:
    """The prefix of the weights' names: the key of the state dict, and what wrappers add. Raises what `choose` does."""
    return choose(contents, model).prefix


def _keys(tensors: list[Tensor]) -> list[str]:
    """The keys of the state dicts; a moving average that lies in the same one as the weights has none of its own."""
    return list(dict.fromkeys(tensor.state_dict for tensor in tensors))


def _key(contents: Contents, tensors: list[Tensor], model: Model | None) -> str:
    """The key of the one state dict, or of the one that has what the config describes."""
    first = f".{model.distinct[0].name}" if model else ""
    keys = _keys([tensor for tensor in tensors if f".{_without_inserted(tensor.name)}".endswith(first)])
    keys = keys or _keys(tensors)
    _refuse_several(contents, keys)
    start = f"{keys[0]}." if keys and keys[0] else ""
    if not model:
        names = [tensor.name.removeprefix(start) for tensor in tensors if tensor.component == "weights"]
        _refuse_several(contents, [start + part for part in _sets(names)])
    return keys[0] if keys else ""


def _wrappers(contents: Contents, names: list[str], model: Model | None) -> str:
    """What wrappers put in front of all names, with its dot."""
    if model:
        first = model.distinct[0].name
        bare = {name: _without_inserted(name) for name in names}
        found = [name for name in names if bare[name] == first or bare[name].endswith(f".{first}")]
        if found:
            fronts = [bare[name].removesuffix(first) for name in found]
            _refuse_several(contents, [front.rstrip(".") for front in fronts])
            return _front(found[0], fronts[0])
    prefix, wrappers = "", {*WRAPPERS}
    if any(key.startswith("pytorch-lightning_version") for key in contents.metadata):
        wrappers.add("model")
    while (inner := shared_prefix(name.removeprefix(prefix) for name in names)).rstrip(".") in wrappers or (
        AVERAGE.search(inner.rstrip("."))
    ):
        prefix += inner
        wrappers -= {"model"} & {inner.rstrip(".")}
    return prefix


def _front(name: str, bare: str) -> str:
    """The part of a name that is `bare` without what wrappers put into it."""
    parts, wanted = name.split("."), bare.count(".")
    count = 0
    while wanted or (count < len(parts) and parts[count] in INSERTED):
        wanted -= parts[count] not in INSERTED
        count += 1
    return "".join(f"{part}." for part in parts[:count])


def _without_inserted(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in INSERTED)


def _sets(names: list[str]) -> list[str]:
    """The first parts of the names, if below several of them are tensors of the same names."""
    below = _by_first(names)
    rests = [frozenset(rest) for rest in below.values()]
    return [
        first
        for first, rest in below.items()
        if len(rest) > 2 and rests.count(frozenset(rest)) > 1 and not first.isdecimal()  # layers of a Sequential
    ]


def _by_first(names: list[str]) -> dict[str, set[str]]:
    below: dict[str, set[str]] = {}
    for name in names:
        first, _, rest = name.partition(".")
        below.setdefault(first, set()).add(rest)
    return below


def _below_start(tensors: list[Tensor], start: str, component: str) -> list[str]:
    return [tensor.name.removeprefix(start) for tensor in tensors if tensor.component == component]


def _averages(weights: list[str], ema: list[str], *, asked: bool) -> list[str]:
    """The first parts of the names of a model and of its moving average, if one state dict has both under equal names.

    The model's is empty where its names have no first part of their own. A key that was asked for may lead to an
    average that has the model itself beside it, as in `ema_pytorch`, and is none of both either.
    """
    names = ema if asked and not weights else [*weights, *ema]
    found = _sets(names)
    if not any(AVERAGE.search(first) for first in found):
        found = []
    means = [first for first, rest in _by_first(ema).items() if rest == set(weights)]
    return found or (["", *means] if means and not asked else [])


def _refuse_several(contents: Contents, keys: list[str]) -> None:
    if len(keys) > 1:
        named = ", ".join(key or repr(key) for key in keys)[:200] + ("" if "" in keys else ", or '' for all")
        raise errors.AmbiguousWeights(contents.path, f"has {len(keys)} sets of weights; say which with --key: {named}")


def _below(contents: Contents, tensors: list[Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names begin with the prefix, by the rest of their names."""
    found = [tensor for tensor in tensors if tensor.name.startswith(prefix) and tensor.name != prefix]
    if not prefix and len(found) < len(tensors):
        raise errors.NothingToExport(contents.path, "holds a tensor without a name; save it in a dictionary, by a name")
    for tensor in found:
        parts = tensor.name.split(".")
        if "<args>" in parts:
            problem = "is a part of another, such as a sparse one; save that as a plain tensor"
            if parts[-1] == LOCAL:
                problem = "is one rank's part of a sharded one; save with torch.distributed.checkpoint, or gathered"
            raise errors.NothingToExport(f"{contents.path}, tensor {tensor.name[:80]!r}", problem)
    named = {tensor.name.removeprefix(prefix): tensor for tensor in found}
    if not named or len(named) != len(found):
        flaw = "two tensors have the same name" if named else "no weights"
        raise errors.NothingToExport(contents.path, f"{flaw} below the prefix {prefix!r}; give another --prefix")
    return named


def check(contents: Contents, named: dict[str, Tensor], model: Model) -> None:
    """Refuse weights that are not those of the model: each tensor by its name and shape, a packed one by what it holds.

    Raises:
        MissingTensors: If a tensor that the config describes is not there, or has another shape.
    """
    shapes = shapes_behind(contents, named)
    for tensor in model.distinct:
        shape = shapes.get(tensor.name, tensor.shape)
        if tensor.name not in shapes or (shape is not None and shape != tensor.shape):
            has = f"has shape {list(shape or ())}" if tensor.name in shapes else "is not there"
            raise errors.MissingTensors(
                f"{contents.path}, tensor {tensor.name!r}",
                f"{has}, and the config asks for {list(tensor.shape)}; give the right --config or --prefix",
            )


def untied(named: dict[str, Tensor], model: Model | None) -> dict[str, Tensor]:
    """One name for each block of bytes: those that the config gives it, or else the first.

    Of tensors that only share a part of their bytes, such as the thirds of a fused matrix, each is written.
    """

    kept = {tensor.name for tensor in model.distinct} & named.keys() if model else set()
    locations = {location(named[name]) for name in kept}
    for name, tensor in named.items():
        if not tensor.numel or location(tensor) not in locations:
            locations.add(location(tensor))
            kept.add(name)
    return {name: tensor for name, tensor in named.items() if name in kept}
