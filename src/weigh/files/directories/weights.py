"""Which files of weights count: the same weights often lie in a directory in several forms, and count once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from weigh import errors
from weigh.files.directories.joining import join
from weigh.files.directories.shards import check_numbering, is_index, read_file
from weigh.formats import FORMATS
from weigh.formats.pointers import pointer
from weigh.formats.torch.naming import STATE_DICTS
from weigh.sources import File
from weigh.tensors import Contents, shared_prefix

WHOLE_MODELS = tuple(pattern.lstrip("*") for each in FORMATS if each.is_model for pattern in each.weights)
"""The ends of files that are a model each, with names of their own for tensors."""

# The first of these that is there holds the weights, as when their libraries load the directory: transformers,
# diffusers, peft, and what Llama and Mistral published.
_LOADED = (
    "model.safetensors", "pytorch_model.bin", "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin",
    "adapter_model.safetensors", "adapter_model.bin", "pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin",
    "consolidated.safetensors", "consolidated.pth",
)  # fmt: skip
_SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)

_NUMBERS = (
    (re.compile(r"^shard-\d{5}-(.*)-\d{5}-of-\d{5}"), r"\1"),  # of a rank, by torch's HuggingFaceStorageWriter
    (re.compile(r"-\d{5}-of-\d{5}"), ""),
    (re.compile(r"^consolidated\.\d\d\."), "consolidated."),
    (re.compile(r"rank[_-]?\d+"), "rank"),
)
_FURTHER = re.compile(r"(model|pytorch_model)_\d+\.(safetensors|bin)")  # what accelerate calls a second model
_WRAPPERS = {*STATE_DICTS, "_orig_mod", "_fsdp_wrapped_module", ""}


@dataclass(frozen=True, slots=True)
class Group:
    """Files that together hold some weights: one file, or all its shards and their index.

    Attributes:
        name: The name without what tells the shards apart.
        sharded: Whether there are shards.
        files: The names of the files.
    """

    name: str
    sharded: bool
    files: tuple[str, ...]

    @property
    def label(self) -> str:
        """The file to name where all are meant."""
        return next((name for name in self.files if is_index(name)), self.files[0])

    @property
    def order(self) -> tuple[object, ...]:
        """What puts the groups in the order in which they are asked for."""
        stem, dot, suffix = self.name.rpartition(".")
        loaded = _LOADED.index(self.name) if self.name in _LOADED else len(_LOADED)
        suffixes = _SUFFIXES.index(dot + suffix) if dot + suffix in _SUFFIXES else len(_SUFFIXES)
        return loaded, stem != "model", self.sharded, "." in stem, suffixes, natural(self.name)


@dataclass(slots=True)
class Choice:
    """The weights of a directory.

    Attributes:
        counted: What counts, each with the name to call it by.
        left_out: The files that do not count, each with the reason.
        imports: What loading files that were read and do not count would import, though a safe loader refuses.
    """

    counted: list[tuple[str, Contents]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    imports: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def leave_out(self, files: Iterable[str], why: str, contents: Contents | None = None) -> None:
        """Count none of some files, which hold these contents if they were read."""
        files = list(files)
        self.left_out |= dict.fromkeys(files, why)
        if contents:
            self.imports |= dict.fromkeys(files, contents.imports)

    def copied(self, contents: Contents) -> str:
        """What says that the weights in it are counted already; empty if they are not, or if it has none."""
        return next((why for label, other in self.counted if (why := _likeness(contents, other, label))), "")


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """What sorts names by the numbers in them."""
    return tuple((0, int(part[:18])) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name))


def group(names: Iterable[str]) -> list[Group]:
    """Files of weights in groups that belong together, in the order in which they are asked for."""
    found: dict[tuple[str, bool], list[str]] = {}
    for name in names:
        if is_index(name):
            whole, _, variant = name.removesuffix(".json").rpartition(".index")
            stem, _, suffix = whole.rpartition(".")
            key = f"{stem}{variant}.{suffix}", True
        else:
            masked = name
            for pattern, text in _NUMBERS:
                masked = pattern.sub(text, masked)
            key = masked, masked != name
        found.setdefault(key, []).append(name)
    groups = [Group(*key, tuple(sorted(files))) for key, files in found.items()]
    return sorted(groups, key=lambda each: each.order)


def read_group(directory: Path, files: Group) -> Contents:
    """Inspect the files of a group.

    Raises:
        WeighError: What the reader of a file, or of the index, raises.
    """
    index = [name for name in files.files if is_index(name)]
    if index:
        return read_file(File(directory / index[0]))
    check_numbering(directory, files.files)
    parts = [read_file(File(directory / name)) for name in files.files]
    contents = parts[0] if len(parts) == 1 else join(directory, parts)
    return _once(contents) if files.name.startswith("consolidated.") else contents


def _once(contents: Contents) -> Contents:
    """Llama's weights of several ranks, with what each of them holds whole, its norms, counted once."""
    seen, named = set(), []
    for tensor in contents.named:
        if len(tensor.shape) < 2 and tensor.component == "weights" and tensor.numel:
            if (tensor.name, tensor.shape) in seen:
                continue
            seen.add((tensor.name, tensor.shape))
        named.append(tensor)
    return replace(contents, named=tuple(named))


def choose(directory: Path, names: Iterable[str], choice: Choice, *, accelerate: bool = False) -> None:
    """Choose among files of weights those to count.

    Args:
        directory: Where they are.
        names: Their names.
        choice: What is counted already, to which these come.
        accelerate: Whether files that accelerate numbers are further models, and no copies.

    Raises:
        WeighError: What the readers of the files that are to count raise.
    """
    groups = group(names)
    here = [each for each in groups if not _fetchable(directory, each)]
    for each in groups:
        if here and each not in here:
            choice.leave_out(each.files, "Git LFS pointers to what is not here; fetch it with git lfs pull")
    groups = here or groups
    whole = [each for each in groups if each.name.endswith(WHOLE_MODELS)]
    for each in [each for each in groups if each not in whole]:
        first = choice.counted[0][0] if choice.counted else ""
        if accelerate and _FURTHER.fullmatch(each.name):
            choice.counted.append((each.label, read_group(directory, each)))
            continue
        try:
            contents = read_group(directory, each)
        except errors.WeighError as error:
            if not first:
                raise
            choice.leave_out(each.files, f"cannot be read ({error.problem.partition(';')[0]})")
            continue
        if why := choice.copied(contents):
            choice.leave_out(each.files, why, contents)
        elif first and _is_loaded(choice):
            choice.leave_out(
                each.files, f"{contents.parameters:,} other parameters: the weights are read from {first}", contents
            )
        else:
            choice.counted.append((each.label, contents))
    for each in whole:
        if choice.counted:
            choice.leave_out(each.files, f"a whole model of its own: the weights are read from {choice.counted[0][0]}")
        else:
            choice.counted.append((each.label, read_group(directory, each)))


def _is_loaded(choice: Choice) -> bool:
    return group([choice.counted[0][0]])[0].name in _LOADED


def _fetchable(directory: Path, files: Group) -> bool:
    return any(not is_index(name) and pointer(directory / name) for name in files.files)


def _likeness(contents: Contents, counted: Contents, label: str) -> str:
    (front_there, there), (front_here, here) = _weights(counted), _weights(contents)
    if not here or not there:
        return ""
    fronts = [[part for part in front.split(".") if part not in _WRAPPERS] for front in (front_here, front_there)]
    shorter, longer = sorted(fronts, key=len)
    if shorter and longer[-len(shorter) :] != shorter:
        return ""  # layers 0 and 1, or the embedding and the head, a file for each
    if here.keys() <= there.keys():
        dtypes = sorted(set(here.values()) - set(there.values()))
        return f"the same names and shapes as {label}" + (f", in {' and '.join(dtypes)}" if dtypes else "")
    if contents.parameters == counted.parameters:
        return f"as many parameters as {label}"
    return ""


def _weights(contents: Contents) -> tuple[str, dict[tuple[str, tuple[int, ...]], str]]:
    """What the names of all weights begin with, and their number formats by the rest of the name and the shape."""
    found = [tensor for tensor in contents.named if tensor.component == "weights"]
    prefix = ""
    while inner := shared_prefix(tensor.name.removeprefix(prefix) for tensor in found):
        prefix += inner
    return prefix, {(tensor.name.removeprefix(prefix), tensor.shape): tensor.dtype for tensor in found}
