"""Whether the tensors are those that the config describes: names, shapes, number formats, and what is tied."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.doctor.numbers import same_bytes
from weigh.checks.results import CheckResult
from weigh.dtypes import DTYPES
from weigh.dtypes import dtype as number_format
from weigh.errors import UnknownDtype, WeighError
from weigh.files.choosing import prefix_of
from weigh.models.parameters import Model
from weigh.tensors import Contents, Tensor, location

_BUFFERS = re.compile(r".*(rotary_emb\.inv_freq|attn(ention)?\.(masked_)?bias|position_ids|num_batches_tracked)")
"""Names that some releases save and all compute: no weights, whatever their number format."""


def described(home: ModelDirectory) -> dict[str, Tensor]:
    """The tensors of the files by the names that the config has for them, whatever stands in front of those.

    Raises:
        NotExamined: If the config is of no family that `weigh` knows, or the file's format has names of its own.
    """
    contents = home.contents
    if not contents.format.startswith(("safetensors", "pytorch", "torch", "NumPy", "numpy")):
        raise NotExamined(f"{contents.format} has names of its own for tensors")
    if contents.groups:
        raise NotExamined("quantized weights are stored as their packages please")
    if home.is_adapter and not home.holds("config.json"):
        raise NotExamined("an adapter has no model of its own")
    return _named(home.weights, _prefixes(contents, home.model), home.model)


def _prefixes(contents: Contents, model: Model) -> tuple[str, str]:
    """What wrappers put in front of the names, and what the family itself has in front of most of them."""
    try:
        wrapper = prefix_of(contents, model)
    except WeighError:
        wrapper = ""
    parts = Counter(tensor.name.partition(".")[0] for tensor in model.distinct)
    return wrapper, f"{parts.most_common(1)[0][0]}."


def _named(weights: Mapping[str, Tensor], prefixes: tuple[str, str], model: Model) -> dict[str, Tensor]:
    """The names that agree best with the config: transformers loads a body into a model with a head, and back."""
    wrapper, body = prefixes
    wanted = {tensor.name for tensor in model.named}
    plain = {name.removeprefix(wrapper): tensor for name, tensor in weights.items()}
    ways = [plain, {f"{body}{name}": tensor for name, tensor in plain.items()}]
    ways.append({name.removeprefix(body): tensor for name, tensor in plain.items()})
    return max(ways, key=lambda way: len(way.keys() & wanted))


def tensors_against_config(home: ModelDirectory) -> CheckResult:
    """Tensors against the config: those that it describes and the files lack, more than it does, other shapes."""
    found, model = described(home), home.model
    names: dict[str, list[str]] = defaultdict(list)  # the names of one tensor, tied ones together
    for tensor in model.named:
        names[tensor.storage].append(tensor.name)
    shapes = {tensor.name: tensor.shape for tensor in model.named}
    file = home.contents.path.rpartition("/")[2]
    faults = [
        Fault(file, name, "missing", list(shapes[name]))
        for name, others in names.items()
        if not any(other in found for other in others)
    ]
    faults += [
        Fault(tensor.storage, name, list(tensor.shape), list(shapes[name]))
        for name, tensor in found.items()
        if name in shapes and shapes[name] != tensor.shape
    ]
    faults += [
        Fault(tensor.storage, name, list(tensor.shape), "not there")
        for name, tensor in found.items()
        if name not in shapes and DTYPES[tensor.dtype].kind in ("float", "complex") and not _BUFFERS.fullmatch(name)
    ]
    return counted(
        "tensors that are missing, too many, or of another shape",
        faults,
        "what is missing is filled with random numbers, what is left over is dropped; take the config's own weights",
        cost={"tensors described": len(names), "tensors": len(found)},
    )


def number_formats(home: ModelDirectory) -> CheckResult:
    """Number formats: a config that says another than the files have, and layers that differ from their like."""
    floats = {name: tensor for name, tensor in home.weights.items() if DTYPES[tensor.dtype].kind == "float"}
    if not floats:
        raise NotExamined("the weights are no floating-point numbers")
    config = home.config if home.holds("config.json") else {}
    if config.get("quantization_config") or home.contents.groups:
        raise NotExamined("quantized weights have several")
    sizes: Counter[str] = Counter()
    for tensor in floats.values():
        sizes[tensor.dtype] += tensor.numel
    most = sizes.most_common(1)[0][0]
    field = next((name for name in ("dtype", "torch_dtype") if name in config), None)
    faults, notes = [], []
    if field is None or config[field] == "auto":
        notes.append(f"no config says a format: transformers takes that of the first tensor; most are {most}")
    else:
        try:
            said = number_format(str(config[field])).name
        except UnknownDtype:
            said = str(config[field])
        if said != most:
            faults.append(Fault("config.json", field, said, most))
    like: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in floats.items():
        like[re.sub(r"\d+", "#", name)][name] = tensor
    for group in like.values():
        usual = Counter(tensor.dtype for tensor in group.values()).most_common(1)[0][0]
        faults += [
            Fault(tensor.storage, name, tensor.dtype, usual) for name, tensor in group.items() if tensor.dtype != usual
        ]
    return counted(
        "number formats that the config or the other layers contradict",
        faults,
        "transformers casts all to what the config says, and a narrow format rounds or overflows; mend the config, or "
        "save the weights again",
        cost={"tensors": len(floats)},
        notes=notes,
    )


def tied_weights(home: ModelDirectory) -> CheckResult:
    """Tied weights stored apart: a second copy, or another matrix, where the config says that there is one."""
    found = described(home)
    tied = {tensor.name: tensor.storage for tensor in home.model.named if tensor.name != tensor.storage}
    if not tied:
        raise NotExamined("the config ties nothing")
    faults = []
    for name, owner in tied.items():
        if name not in found or owner not in found or location(found[name]) == location(found[owner]):
            continue
        one, other = found[owner], found[name]
        alike = (one.shape, one.dtype) == (other.shape, other.dtype) and same_bytes(home.contents, one, other)
        faults.append(Fault(other.storage, name, "a copy" if alike else "another matrix", f"left out, as {owner}"))
    return counted(
        "tied tensors that are stored apart",
        faults,
        "one loader keeps both, one takes the first, and training pulls them apart; leave the second out, or say "
        "tie_word_embeddings false",
        cost={"tied names": len(tied)},
    )
