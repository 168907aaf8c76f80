"""From a training checkpoint to a directory that serves: strip, cast, shard, and read back what was written."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weigh import errors, sources
from weigh.dtypes import dtype as number_format
from weigh.files import adapters
from weigh.files.choosing import check, choose, untied
from weigh.files.directories import find_artifacts
from weigh.files.inspecting import inspect
from weigh.files.quantized.stored import SETTINGS
from weigh.files.writing import write
from weigh.models.parameters import Model, params
from weigh.optional import needed
from weigh.units import GB

if TYPE_CHECKING:
    pass

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
        inserted: The names of wrappers that were taken out of some of them.
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
    inserted: tuple[str, ...]
    tied: tuple[str, ...]
    dtype: str | None
    largest_relative_error: float
    overflowed: int
    underflowed: int
    checked: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values, under the names that `weigh export --json` promises."""
        return asdict(self)


def export(
    checkpoint: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    config: str | os.PathLike[str] | None = None,
    shard_bytes: int = 5 * GB,
    prefix: str | None = None,
    key: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Weights of a checkpoint, written as a model directory and verified.

    The weights go to `model.safetensors`, or to shards and their index, and those of an adapter of PEFT's, whose
    `adapter_config.json` is beside the checkpoint, to one `adapter_model.safetensors`. The config and the tokenizer's
    files beside the checkpoint go with them. Optimizer state, random number generators and the rest stay behind. The
    directory appears when all of it is written and has been read back equal, so that a failed export leaves nothing.

    Args:
        checkpoint: A file or directory of any format that `weigh.inspect` reads.
        directory: Where to write. It may not exist yet, unless it is empty.
        dtype: Cast floating-point weights to this format; integers keep theirs. `None` casts nothing.
        config: The config.json of the model, or its directory; `None` is the one beside the checkpoint, if any. With
            one, the names and shapes that it describes must be there. What lies beside it goes along.
        shard_bytes: The most bytes of tensors in a file, unless one tensor alone is larger.
        prefix: What to take off the front of every name. `None` finds it: by the config, or else the key of the state
            dict and what wrappers such as DistributedDataParallel add.
        key: The key of the state dict in the checkpoint, such as `ema`, where it has several. `None` is the only one.
        progress: Called with the bytes written so far and in all.

    Raises:
        AlreadyThere: If the directory is not empty.
        AmbiguousWeights: If it holds several sets of weights and neither key nor prefix says which.
        NothingToExport: If no weight is below the key or begins with the prefix, if two get the same name without
            it, or if they are an adapter's with no adapter_config.json, which nothing loads.
        MissingTensors: If a tensor that the config describes is not there or has another shape.
        MissingPackage: If torch, safetensors or NumPy is not installed.
        WeighError: What reading the checkpoint and the config raises.
    """
    with needed(checkpoint):  # before anything is read or written
        import numpy  # noqa: F401 (safetensors writes with it, and does not ask for it)
        import safetensors.torch  # noqa: F401
    target, cast = _target(directory), _cast_to(dtype)
    contents = inspect(checkpoint)
    if len(contents.parts) > 1:
        folders = ", ".join(contents.parts)[:200]
        raise errors.NothingToExport(checkpoint, f"holds several models; give one of its folders: {folders}")
    home = sources.locate(config or checkpoint)
    home = home if sources.is_directory(home) else home.parent
    adapter = adapters.is_adapter(home, contents)
    model = None if adapter else _model(home, config)
    chosen = choose(contents, model, key, prefix)
    named = chosen.named if prefix is not None else adapters.as_loaded(contents, chosen.named, configured=adapter)
    if model:
        check(contents, named, model)
    if cast and contents.quantized:
        problem = f"is quantized ({contents.quantized['scheme']}), and its codes and scales are as its kernels ask"
        raise errors.UnknownDtype(contents.path, f"{problem}; export it without a cast")
    kept = untied(named, model)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        partial = Path(scratch) / "model"
        partial.mkdir()
        stem, most = (adapters.STEM, sys.maxsize) if adapter else ("model", shard_bytes)
        files, loss = write(contents, kept, partial, cast, most, progress, stem)
        companions = [] if sources.is_remote(home) else _copy_companions(home, partial, cast, stem)
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
        prefix=chosen.prefix,
        inserted=chosen.inserted,
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


def _model(home: Path, config: str | os.PathLike[str] | None) -> Model | None:
    """What the config describes. One that lies beside the checkpoint and is of no known family is no hindrance."""
    if config is not None:
        return params(config)
    try:
        return params(home, fallback=False)
    except errors.WeighError:
        return None


def _copy_companions(home: Path, target: Path, cast: str | None, stem: str) -> list[str]:
    """Copy the config, the generation config and the tokenizer's files; the config says the new number format."""
    artifacts = find_artifacts(home)
    names = [name for kind in COMPANIONS for name in artifacts[kind]]
    names += [adapters.CONFIG] if stem == adapters.STEM else []
    for name in names:
        shutil.copyfile(home / name, target / name)
    if cast and "config.json" in names:
        fields = json.loads((home / "config.json").read_text(encoding="utf-8"))
        for key in {"dtype", "torch_dtype"} & fields.keys() or {"dtype"}:
            fields[key] = cast
        (target / "config.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    settings = [name for name in SETTINGS if (home / name).is_file()]
    for name in settings:
        shutil.copyfile(home / name, target / name)
    return [*names, *settings]
