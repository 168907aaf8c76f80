"""Writes weights as safetensors, shard by shard, casts them as asked, and reads each file back."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weigh import errors
from weigh.dtypes import DTYPES, bytes_of
from weigh.files.inspecting import inspect
from weigh.files.loading import load
from weigh.tensors import Contents, Tensor

if TYPE_CHECKING:
    import torch


@dataclass
class Loss:
    """What casting lost, over all tensors.

    Attributes:
        error: The largest relative error of a weight that is not 0.
        overflowed: Weights that became infinite.
        underflowed: Weights that became 0.
    """

    error: float = 0.0
    overflowed: int = 0
    underflowed: int = 0

    def add(self, before: "torch.Tensor", after: "torch.Tensor") -> None:
        """Count what casting a tensor lost."""
        import torch

        old, new = before.to(torch.float64), after.to(torch.float64)
        lost = new.isinf() & old.isfinite()
        some = (old != 0) & old.isfinite() & ~lost
        self.overflowed += int(lost.sum())
        self.underflowed += int(((new == 0) & some).sum())
        if some.any():
            self.error = max(self.error, float(((new - old).abs() / old.abs())[some].max()))


def write(
    contents: Contents,
    kept: dict[str, Tensor],
    directory: Path,
    cast: str | None,
    shard_bytes: int,
    progress: Callable[[int, int], None],
    stem: str = "model",
) -> tuple[list[str], Loss]:
    """Write the weights, shard by shard, and read each back. Gives the files' names, and what casting lost."""
    loss = Loss()
    sizes = {name: _size(tensor, cast) for name, tensor in kept.items()}
    shards = _shards(sizes, shard_bytes, stem)
    done = 0
    for file, names in shards.items():
        written = {name: _cast(load(contents, kept[name]), cast, loss) for name in names}
        _save(written, directory / file)
        _read_back(directory / file, written)
        done += sum(sizes[name] for name in names)
        progress(done, sum(sizes.values()))
    index = _write_index(directory, shards, sum(sizes.values())) if len(shards) > 1 else []
    return [*shards, *index], loss


def _size(tensor: Tensor, cast: str | None) -> int:
    floating = DTYPES[tensor.dtype].kind == "float"
    return bytes_of(tensor.numel, DTYPES[cast if cast and floating else tensor.dtype])


def _shards(sizes: dict[str, int], most: int, stem: str) -> dict[str, list[str]]:
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
        return {f"{stem}.safetensors": groups[0]}
    return {f"{stem}-{i:05d}-of-{len(groups):05d}.safetensors": names for i, names in enumerate(groups, 1)}


def _cast(tensor: "torch.Tensor", cast: str | None, loss: Loss) -> "torch.Tensor":
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
