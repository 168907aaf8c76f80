"""From a training checkpoint to a directory that serves: strip, cast, shard, and read back what was written."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weigh import errors, sources
from weigh.dtypes import DTYPES, bytes_of
from weigh.dtypes import dtype as number_format
from weigh.files.choosing import check, prefix_of, untied, weights_below
from weigh.files.directories import find_artifacts
from weigh.files.inspecting import inspect
from weigh.files.loading import load
from weigh.models.parameters import Model, params
from weigh.optional import needed
from weigh.tensors import Contents, Tensor
from weigh.units import GB

if TYPE_CHECKING:
    import torch

CASTS = ("float64", "float32", "bfloat16", "float16")
"""The number formats to cast to: those that hold every weight with no scales beside it."""

COMPANIONS = ("architecture config", "tokenizer / preprocessor", "generation config")
"""The artifacts that a served model needs beside its weights."""


@dataclass(frozen=True)
class Export:
    """An exported model: its files, its bytes, and what casting lost.

    Attributes:
        directory: Where the model is now.
        files: The files that were written, weights first.
        tensors: How many they hold.
        parameters: How many numbers those have.
        bytes_on_disk: The bytes of the weights' files.
        stripped: The bytes of the checkpoint that were left behind, by component.
        prefix: What was taken off the front of every name.
        tied: Names that were not written, since they stand for the bytes of another.
        dtype: The number format that the weights were cast to; `None` if each kept its own.
        largest_relative_error: max |cast − weight| ÷ |weight| over the weights that are not 0, overflowed ones apart.
        overflowed: Weights that became infinite: larger than the format's largest number.
        underflowed: Weights that became 0.
        checked: What the written files were compared with.
    """

    directory: str
    files: tuple[str, ...]
    tensors: int
    parameters: int
    bytes_on_disk: int
    stripped: dict[str, int]
    prefix: str
    tied: tuple[str, ...]
    dtype: str | None
    largest_relative_error: float
    overflowed: int
    underflowed: int
    checked: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values, under the names that `weigh export --json` promises."""
        return asdict(self)


@dataclass
class _Loss:
    """What casting lost, over all tensors."""

    error: float = 0.0
    overflowed: int = 0
    underflowed: int = 0

    def add(self, before: "torch.Tensor", after: "torch.Tensor") -> None:
        import torch

        old, new = before.to(torch.float64), after.to(torch.float64)
        lost = new.isinf() & old.isfinite()
        some = (old != 0) & old.isfinite() & ~lost
        self.overflowed += int(lost.sum())
        self.underflowed += int(((new == 0) & some).sum())
        if some.any():
            self.error = max(self.error, float(((new - old).abs() / old.abs())[some].max()))


def export(
    checkpoint: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    config: str | os.PathLike[str] | None = None,
    shard_bytes: int = 5 * GB,
    prefix: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Weights of a checkpoint, written as a model directory and verified.

    The weights go to `model.safetensors`, or to shards and their index; the config and the tokenizer's files beside the
    checkpoint go with them. Optimizer state, random number generators and the rest stay behind. The directory appears
    when all of it is written and has been read back equal, so that a failed export leaves nothing.

    Args:
        checkpoint: A file or directory of any format that `weigh.inspect` reads.
        directory: Where to write. It may not exist yet, unless it is empty.
        dtype: Cast floating-point weights to this format; integers keep theirs. `None` casts nothing.
        config: The config.json of the model, or its directory; `None` is the one beside the checkpoint, if any. With
            one, the names and shapes that it describes must be there. What lies beside it goes along.
        shard_bytes: The most bytes of tensors in a file, unless one tensor alone is larger.
        prefix: What to take off the front of every name. `None` finds it: by the config, or else the key of the state
            dict and what wrappers such as DistributedDataParallel add.
        progress: Called with the bytes written so far and in all.

    Raises:
        AlreadyThere: If the directory is not empty.
        AmbiguousWeights: If it holds several sets of weights and no prefix says which.
        NothingToExport: If no weight begins with the prefix, or if two get the same name without it.
        MissingTensors: If a tensor that the config describes is not there or has another shape.
        MissingPackage: If torch, safetensors or NumPy is not installed.
        WeighError: What reading the checkpoint and the config raises.
    """
    with needed(checkpoint):  # before anything is read or written
        import numpy  # noqa: F401 (safetensors writes with it, and does not ask for it)
        import safetensors.torch  # noqa: F401
    target, cast = _target(directory), _cast_to(dtype)
    contents = inspect(checkpoint)
    home = sources.locate(config or checkpoint)
    home = home if sources.is_directory(home) else home.parent
    model = _model(home, config)
    prefix = prefix_of(contents, model) if prefix is None else prefix
    named = weights_below(contents, prefix)
    if model:
        check(contents, named, model)
    kept = untied(named, model)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        partial = Path(scratch) / "model"
        partial.mkdir()
        files, loss = _write(contents, kept, partial, cast, shard_bytes, progress)
        companions = [] if sources.is_remote(home) else _copy_companions(home, partial, cast)
        result = inspect(partial)
        if target.exists():
            target.rmdir()
        partial.rename(target)
    return Export(
        directory=str(target),
        files=(*files, *companions),
        tensors=result.tensors,
        parameters=result.parameters,
        bytes_on_disk=result.bytes_on_disk,
        stripped={part: size for part, size in contents.by_component.items() if part != "weights" and size},
        prefix=prefix,
        tied=tuple(name for name in named if name not in kept),
        dtype=cast,
        largest_relative_error=loss.error,
        overflowed=loss.overflowed,
        underflowed=loss.underflowed,
        checked=("every tensor, read back from the files", *(["names and shapes, by the config"] if model else [])),
    )


def _target(directory: str | os.PathLike[str]) -> Path:
    target = Path(directory)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise errors.AlreadyThere(target, "is there and not empty; give another directory, nothing was written")
    return target


def _cast_to(dtype: str | None) -> str | None:
    if dtype is not None and number_format(dtype).name not in CASTS:
        raise errors.UnknownDtype(dtype, f"is no format to cast to; give one of {', '.join(CASTS)}")
    return number_format(dtype).name if dtype else None


def _write(
    contents: Contents,
    kept: dict[str, Tensor],
    directory: Path,
    cast: str | None,
    shard_bytes: int,
    progress: Callable[[int, int], None],
) -> tuple[list[str], _Loss]:
    """Write the weights, shard by shard, and read each back. Gives the files' names, and what casting lost."""
    loss = _Loss()
    sizes = {name: _size(tensor, cast) for name, tensor in kept.items()}
    shards = _shards(sizes, shard_bytes)
    done = 0
    for file, names in shards.items():
        written = {name: _cast(load(contents, kept[name]), cast, loss) for name in names}
        _save(written, directory / file)
        _read_back(directory / file, written)
        done += sum(sizes[name] for name in names)
        progress(done, sum(sizes.values()))
    index = _write_index(directory, shards, sum(sizes.values())) if len(shards) > 1 else []
    return [*shards, *index], loss


def _model(home: Path, config: str | os.PathLike[str] | None) -> Model | None:
    """What the config describes. One that lies beside the checkpoint and is of no known family is no hindrance."""
    if config is not None:
        return params(config)
    try:
        return params(home, fallback=False)
    except errors.WeighError:
        return None


def _size(tensor: Tensor, cast: str | None) -> int:
    floating = DTYPES[tensor.dtype].kind == "float"
    return bytes_of(tensor.numel, DTYPES[cast if cast and floating else tensor.dtype])


def _shards(sizes: dict[str, int], most: int) -> dict[str, list[str]]:
    """Names of files, each with the tensors that fill it, in their order."""
    groups: list[list[str]] = [[]]
    room = most
    for name, size in sizes.items():
        if size > room and groups[-1]:
            groups.append([])
            room = most
        groups[-1].append(name)
        room -= size
    if len(groups) == 1:
        return {"model.safetensors": groups[0]}
    return {f"model-{i:05d}-of-{len(groups):05d}.safetensors": names for i, names in enumerate(groups, 1)}


def _cast(tensor: "torch.Tensor", cast: str | None, loss: _Loss) -> "torch.Tensor":
    import torch

    if cast is None or not tensor.is_floating_point() or tensor.dtype == getattr(torch, cast):
        return tensor.contiguous()
    after = tensor.to(getattr(torch, cast))
    loss.add(tensor, after)
    return after.contiguous()


def _save(tensors: dict[str, "torch.Tensor"], path: Path) -> None:
    from safetensors.torch import save_file

    path.touch()
    mode = path.stat().st_mode  # safetensors makes files that only their owner may read
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(mode)


def _read_back(path: Path, written: dict[str, "torch.Tensor"]) -> None:
    import torch

    contents = inspect(path)
    found = {tensor.name: tensor for tensor in contents.named}
    for name, tensor in written.items():
        again = load(contents, found[name])
        same = torch.equal(*(one.reshape(-1).view(torch.uint8) for one in (again, tensor)))
        if again.shape != tensor.shape or not same:
            raise errors.TruncatedFile(
                f"{path}, tensor {name!r}", "does not read back as it was written; check the disk"
            )


def _write_index(directory: Path, shards: dict[str, list[str]], total: int) -> list[str]:
    name = "model.safetensors.index.json"
    weight_map = {tensor: file for file, tensors in shards.items() for tensor in tensors}
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (directory / name).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return [name]


def _copy_companions(home: Path, target: Path, cast: str | None) -> list[str]:
    """Copy the config, the generation config and the tokenizer's files; the config says the new number format."""
    artifacts = find_artifacts(home)
    names = [name for kind in COMPANIONS for name in artifacts[kind]]
    for name in names:
        shutil.copyfile(home / name, target / name)
    if cast and "config.json" in names:
        fields = json.loads((home / "config.json").read_text(encoding="utf-8"))
        for key in {"dtype", "torch_dtype"} & fields.keys() or {"dtype"}:
            fields[key] = cast
        (target / "config.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    return names
