"""Training state in a directory: files of a checkpoint, and the folders that FSDP, DeepSpeed and Megatron leave."""

import re
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from weigh import formats
from weigh.files.directories.joining import below, join
from weigh.files.directories.listing import Listing
from weigh.files.directories.pickles import SUFFIXES, read_state
from weigh.files.directories.weights import Choice, group, natural
from weigh.formats.torch.distributed import METADATA
from weigh.formats.torch.naming import COUNTER
from weigh.sources import File
from weigh.tensors import Contents

_COMPONENTS = {
    "optimizer": ("optimizer*", "*_optim_states.pt"),
    "rng": ("rng_state*", "random_states_*"),
}
"""What all tensors of a file or folder are, by the patterns of its name."""

_SHARDED = re.compile(r"(pytorch_model_fsdp|optimizer)_\d+")
_STEP = re.compile(r"global_step\d+")
_RANK = re.compile(r"mp_rank_\d+(_\d+)?")
RANKS = "mp_rank_*"
"""What the folders of several of Megatron's ranks are called together."""

_LATEST = "latest"
_NO_PICKLE = "no pickle, and no file of another format that weigh reads"
_DEEPSPEED = ("*_optim_states.pt", "*mp_rank_*_model_states.pt")


def component_of(name: str) -> str:
    """What all tensors of a file or folder are, if its name says it; else empty."""
    return next((kind for kind, patterns in _COMPONENTS.items() if any(fnmatch(name, each) for each in patterns)), "")


def add_files(directory: Path, names: list[str], choice: Choice, folder: str = "") -> list[Contents]:
    """Inspect the files of a training checkpoint; those of weights that are counted already are left out.

    Of several checkpoints of the same model the last one counts, by the numbers in their names.

    Args:
        directory: Where they are.
        names: Their names.
        choice: The weights that count, to which those of these files come.
        folder: The path of their folder from the directory that is inspected, if that is another.

    Raises:
        WeighError: What the readers of the files raise.
    """
    found: list[tuple[str, Contents]] = []
    above = f"{folder}/" if folder else ""
    for each in sorted(group(names), key=lambda each: natural(each.name), reverse=True):
        read = {name: _read(File(directory / name)) for name in each.files}
        choice.left_out |= {f"{above}{name}": _NO_PICKLE for name, contents in read.items() if contents is None}
        parts = [contents for contents in read.values() if contents is not None]
        if not parts:
            continue
        contents = parts[0] if len(parts) == 1 else join(directory, parts)
        label = f"{above}{each.label}"
        why = choice.copied(contents)
        if why and any(tensor.name == COUNTER for tensor in contents.named):  # as accelerate registers one beside it
            contents, why = _as_average(contents), ""
        if why:
            rest = contents.by_component["optimizer"]
            why += f", and {rest:,} bytes of optimizer state" if rest else ""
            choice.leave_out((f"{above}{name}" for name in each.files), why, contents)
            continue
        if folder:
            contents = below(contents, folder)
        if any(tensor.component == "weights" for tensor in contents.named):
            choice.counted.append((label, contents))
        found.append((label, contents))
    return [contents for _, contents in sorted(found, key=lambda each: each[0])]


def _as_average(contents: Contents) -> Contents:
    named = (replace(each, component="ema") if each.component == "weights" else each for each in contents.named)
    return replace(contents, named=tuple(named))


def _read(file: File) -> Contents | None:
    contents = read_state(file)
    if contents is None:
        return None
    component = component_of(file.name)
    if component:
        contents = replace(contents, named=tuple(replace(each, component=component) for each in contents.named))
    return contents if contents.files else replace(contents, files=(file.name,))


def add_folders(directory: Path, listing: Listing, choice: Choice) -> dict[str, list[Contents]]:
    """Inspect the folders of a training checkpoint, and give what is in each.

    FSDP leaves a folder of torch.distributed.checkpoint for the weights and one for the optimizer, DeepSpeed one for
    each step with the files of all ranks, Megatron one for each rank.

    Raises:
        WeighError: What the readers of the files raise.
    """
    found: dict[str, list[Contents]] = {}
    names = {
        folder: [name for entry in entries if (name := entry.path.removeprefix(f"{folder}/")) and "/" not in name]
        for folder, entries in listing.folders.items()
    }
    for folder in sorted(names):
        if _SHARDED.fullmatch(folder) and METADATA in names[folder]:
            contents = below(formats.read(File(directory / folder / METADATA)), folder, component_of(folder))
            if why := choice.copied(contents):
                choice.left_out |= {f"{folder}/{name}": why for name in names[folder]}
                continue
            if any(tensor.component == "weights" for tensor in contents.named):
                choice.counted.append((folder, contents))
            found[folder] = [contents]
    for folder in _steps(directory, names, choice):
        states = [name for name in names[folder] if PurePosixPath(name).suffix in SUFFIXES]
        found[folder] = add_files(directory / folder, states, choice, folder)
    ranks = {folder: names[folder] for folder in sorted(names) if _RANK.fullmatch(folder)}
    if ranks:
        parts = [
            below(part, folder)
            for folder, files in ranks.items()
            for name in sorted(files)
            if PurePosixPath(name).suffix in SUFFIXES and (part := _read(File(directory / folder / name)))
        ]
        contents = join(directory, parts)
        choice.counted.append((next(iter(ranks)), contents))
        found[RANKS if len(ranks) > 1 else next(iter(ranks))] = [contents]
    return found


def _steps(directory: Path, names: dict[str, list[str]], choice: Choice) -> list[str]:
    """The folders of DeepSpeed to count: of its steps, the one that the file `latest` names, or the last."""
    folders = [
        folder
        for folder, files in names.items()
        if any(fnmatch(name, pattern) for name in files for pattern in _DEEPSPEED) and not _RANK.fullmatch(folder)
    ]
    steps = sorted((folder for folder in folders if _STEP.fullmatch(folder)), key=natural)
    if len(steps) > 1:
        latest = steps[-1]
        if (directory / _LATEST).is_file():
            named = File(directory / _LATEST).first(100).decode("utf-8", "replace").strip()
            if named in steps:
                latest = named
        for folder in steps:
            if folder != latest:
                choice.left_out |= {
                    f"{folder}/{name}": f"another step: the state of {latest} is counted" for name in names[folder]
                }
        folders = [folder for folder in folders if folder not in steps or folder == latest]
    return sorted(folders)
