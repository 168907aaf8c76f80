"""Distributed checkpoints against torch: what two processes save is read equal to what torch loads, and never run."""

import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)

import weigh
from weigh import errors
from weigh.files import loading
from weigh.formats.torch import chunks

from .test_pytorch import DTYPES_OF_TORCH, Hostile, check_equal, trained

BIG = torch.arange(7 * 10.0).view(7, 10)


def loaded(directory: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by their flat names, as torch's own reader gives them."""
    reader = dcp.FileSystemReader(directory)
    state = {
        name: torch.empty(meta.size, dtype=meta.properties.dtype)
        for name, meta in reader.read_metadata().state_dict_metadata.items()
        if isinstance(meta, TensorStorageMetadata)
    }
    dcp.load(state, checkpoint_id=directory, no_dist=True)
    return state


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process saves."""
    model, optimizer = trained()
    state = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "epoch": 3,
        "name": "x", "pair": (torch.ones(2), 1), "t": BIG.t(), "scalar": torch.tensor(1.5), "none": torch.ones(0, 3),
    }  # fmt: skip
    directory = tmp_path_factory.mktemp("alone") / "step-1"
    dcp.save(state, checkpoint_id=directory, no_dist=True)
    return directory


def test_what_one_process_saves(alone: Path) -> None:
    contents = weigh.inspect(alone)
    reference = loaded(alone)
    check_equal(contents, {**reference, "pair.0": torch.ones(2)})
    assert contents.format == "torch.distributed.checkpoint"
    assert contents.metadata == {"epoch": 3, "name": "x"}
    assert contents.imports == ()
    assert contents.notes == (
        "1 rank wrote 1 file",
        "holds 2 sets of weights, whose numbers are added up: model 276, pair 2",
        "holds tensors beside the weights, whose bytes are metadata: t 280",
    )
    assert contents.bytes_on_disk == sum(path.stat().st_size for path in alone.iterdir())
    optimizer = sum(tensor.nbytes for name, tensor in reference.items() if name.startswith("optimizer."))
    assert contents.by_component["optimizer"] == optimizer
    assert contents.by_component["rng"] == torch.get_rng_state().nbytes
    assert weigh.inspect(alone / ".metadata") == contents


# Each rank runs this, and saves its parts of the tensors.
RUN = """
import os
import sys
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

rank, directory = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method=f"file://{directory}.rendezvous", rank=rank, world_size=2)
mesh = init_device_mesh("cpu", (2,))
big = torch.arange(7 * 10.0).view(7, 10)

def cut(tensor, placement):
    return distribute_tensor(tensor, mesh, [placement])

state = {
    "model": {
        "rows": cut(big, Shard(0)), "columns": cut(big, Shard(1)), "complex": cut(big.to(torch.complex128), Shard(1)),
        "half": cut(big.bfloat16(), Shard(1)), "whole": cut(big, Replicate()), "one": cut(torch.ones(1, 3), Shard(0)),
        "plain": big[0], "scalar": torch.tensor(2.0), "cube": cut(big[:6].view(3, 2, 10), Shard(1)),
    },
    "step": 7,
}
dcp.save(state, checkpoint_id=directory)
safe = {name: tensor for name, tensor in state["model"].items() if name != "complex"}
dcp.save(safe, storage_writer=dcp.HuggingFaceStorageWriter(f"{directory}.safe", save_distributed=True))

net = torch.nn.Sequential(torch.nn.Embedding(101, 16), torch.nn.Linear(16, 8))
fully_shard(net, mesh=mesh)
optimizer = torch.optim.AdamW(net.parameters())
net(torch.arange(4)).sum().backward()
optimizer.step()
torch.save({"model": net.state_dict(), "o": optimizer.state_dict(), "step": 1}, f"{directory}.rank{rank}.pt")
torch.save(optimizer.state_dict(), f"{directory}.state{rank}.pt")
weights, moments = get_state_dict(net, optimizer)
dcp.save({"model": weights, "o": moments, "rng": torch.get_rng_state()}, checkpoint_id=f"{directory}.nested")
weights, moments = get_state_dict(net, optimizer, options=StateDictOptions(flatten_optimizer_state_dict=True))
dcp.save({**weights, **moments}, checkpoint_id=f"{directory}.flat")
dist.barrier()
os._exit(0)  # since gloo's threads now and then abort a Python that ends by itself
"""


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes save, each its part."""
    directory = tmp_path_factory.mktemp("sharded") / "step-7"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, str(rank), str(directory)], env=environment, stderr=subprocess.PIPE
        )
        for rank in range(2)
    ]
    for run in runs:
        _, problems = run.communicate(timeout=120)
        assert run.returncode == 0, problems.decode()
    return directory


def test_what_two_processes_save(sharded: Path) -> None:
    contents = weigh.inspect(sharded)
    reference = loaded(sharded)
    assert torch.equal(reference["model.columns"], BIG)
    check_equal(contents, reference)
    assert contents.metadata == {"step": 7}
    assert contents.notes == ("2 ranks wrote 2 files",)
    assert contents.parameters == sum(tensor.numel() for tensor in reference.values())
    assert contents.bytes_on_disk == sum(path.stat().st_size for path in sharded.iterdir())


def test_what_two_processes_save_as_safetensors(sharded: Path) -> None:
    contents = weigh.inspect(sharded.with_name(f"{sharded.name}.safe"))
    reference = {name.removeprefix("model."): tensor for name, tensor in loaded(sharded).items()}
    assert {tensor.name for tensor in contents.named} == reference.keys() - {"complex"}
    assert contents.tensors == len(contents.named)
    for tensor in contents.named:
        assert torch.equal(loading.load(contents, tensor), reference[tensor.name])


def test_any_part_of_a_tensor_is_assembled(sharded: Path) -> None:
    contents = weigh.inspect(sharded)
    for name in ("model.rows", "model.columns", "model.cube", "model.complex", "model.whole"):
        (tensor,) = (tensor for tensor in contents.named if tensor.name == name)
        storage = contents.storages[tensor.storage]
        whole = bytes(storage.read(0, storage.size))
        assert whole == loaded(sharded)[name].view(-1).view(torch.uint8).numpy().tobytes()
        source = random.Random(name)
        for _ in range(20):
            begin, end = sorted(source.randrange(storage.size + 1) for _ in range(2))
            assert storage.read(begin, end) == whole[begin:end]


FSDP = 101 * 16 + 16 * 8 + 8


def test_the_files_of_each_rank_have_no_meshes_among_the_weights(sharded: Path, tmp_path: Path) -> None:
    ranks = [weigh.inspect(sharded.with_name(f"step-7.rank{rank}.pt")) for rank in range(2)]
    assert sum(each.parameters for each in ranks) == FSDP
    assert sum(each.by_component["weights"] for each in ranks) == 4 * FSDP
    states = [weigh.inspect(sharded.with_name(f"step-7.state{rank}.pt")) for rank in range(2)]
    for found in (ranks, states):  # each rank counts the steps of 3 tensors
        assert sum(each.by_component["optimizer"] for each in found) == 2 * 4 * FSDP + 2 * 3 * 4
    assert ranks[0].notes == ("holds of 3 tensors what one rank has; the files of the others have the rest",)
    with pytest.raises(errors.NothingToExport, match=r"one rank's part.*torch\.distributed\.checkpoint"):
        weigh.export(ranks[0].path, tmp_path / "out")


@pytest.mark.parametrize(("name", "prefix"), [("nested", "model."), ("flat", "")])
def test_what_the_ranks_of_fsdp_save_together_is_one_model(
    name: str, prefix: str, sharded: Path, tmp_path: Path
) -> None:
    contents = weigh.inspect(sharded.with_name(f"step-7.{name}"))
    assert (contents.parameters, contents.by_component["weights"]) == (FSDP, 4 * FSDP)
    assert contents.by_component["optimizer"] == 2 * 4 * FSDP + 3 * 4
    assert contents.by_component["rng"] == (torch.get_rng_state().nbytes if name == "nested" else 0)
    assert sum(contents.by_component.values()) == contents.bytes_on_disk
    done = weigh.export(contents.path, tmp_path / "out")
    assert (done.prefix, done.parameters) == (prefix, FSDP)


def write(directory: Path, chunks: dict[tuple[str, tuple[int, ...] | None], Any], metadata: Metadata) -> Path:
    """A checkpoint written by hand: the chunks as torch writes them, and any metadata, with their places filled in."""
    directory.mkdir(exist_ok=True)
    metadata.storage_data = metadata.storage_data or {}
    with (directory / "__0_0.distcp").open("wb") as file:
        for (name, offsets), value in chunks.items():
            begin = file.tell()
            torch.save(value, file)
            place = _StorageInfo("__0_0.distcp", begin, file.tell() - begin)
            metadata.storage_data.setdefault(MetadataIndex(name, offsets), place)
    (directory / ".metadata").write_bytes(pickle.dumps(metadata))
    return directory


def described(size: tuple[int, ...], boxes: list[tuple[tuple[int, ...], tuple[int, ...]]], dtype: torch.dtype) -> Any:
    chunks = [ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes)) for offsets, sizes in boxes]
    return TensorStorageMetadata(TensorProperties(dtype), torch.Size(size), chunks)


def cut(tensor: torch.Tensor, boxes: list[tuple[tuple[int, ...], tuple[int, ...]]], directory: Path) -> Path:
    """A checkpoint of one tensor in any boxes."""

    def chunk(offsets: tuple[int, ...], sizes: tuple[int, ...]) -> torch.Tensor:
        return tensor[tuple(slice(o, o + n) for o, n in zip(offsets, sizes, strict=True))].clone()

    metadata = Metadata({"w": described(tuple(tensor.shape), boxes, tensor.dtype)})
    return write(directory, {("w", offsets): chunk(offsets, sizes) for offsets, sizes in boxes}, metadata)


GRID = [((0, 0), (3, 4)), ((0, 4), (3, 6)), ((3, 0), (4, 4)), ((3, 4), (4, 6))]
PINWHEEL = [((0, 0), (3, 6)), ((0, 6), (5, 4)), ((5, 4), (2, 6)), ((3, 0), (4, 4)), ((3, 4), (2, 2))]


@pytest.mark.parametrize("name", DTYPES_OF_TORCH)
def test_every_dtype(name: str, tmp_path: Path) -> None:
    tensor = BIG.to(getattr(torch, name))
    for boxes in ([((0, 0), (7, 10))], GRID):
        contents = weigh.inspect(cut(tensor, boxes, tmp_path / "checkpoint"))
        check_equal(contents, {"w": tensor})


@pytest.mark.parametrize("boxes", [GRID, PINWHEEL, [((n, 0), (1, 10)) for n in range(7)]])
def test_chunks_of_any_layout(boxes: Any, tmp_path: Path) -> None:
    directory = cut(BIG, boxes, tmp_path / "checkpoint")
    check_equal(weigh.inspect(directory), loaded(directory))
    # A chunk may be saved with strides of its own: torch.save keeps those of a dense tensor.
    chunks = {
        ("w", o): BIG[o[0] : o[0] + n[0], o[1] : o[1] + n[1]].t().clone(memory_format=torch.contiguous_format).t()
        for o, n in boxes
    }
    directory = write(tmp_path / "strided", chunks, Metadata({"w": described((7, 10), boxes, BIG.dtype)}))
    check_equal(weigh.inspect(directory), {"w": BIG})


def test_a_chunk_of_one_element_expanded(tmp_path: Path) -> None:
    chunks = {("w", (0, 0)): torch.ones(1).expand(3, 10), ("w", (3, 0)): torch.ones(1, 10).expand(4, 10)}
    metadata = Metadata({"w": described((7, 10), [((0, 0), (3, 10)), ((3, 0), (4, 10))], torch.float32)})
    check_equal(weigh.inspect(write(tmp_path / "checkpoint", chunks, metadata)), {"w": torch.ones(7, 10)})


def test_empty_chunks_need_no_place(tmp_path: Path) -> None:
    boxes = [((0, 0), (7, 10)), ((7, 0), (0, 10)), ((7, 0), (0, 10))]
    metadata = Metadata({"w": described((7, 10), boxes, torch.float32)})
    check_equal(weigh.inspect(write(tmp_path / "checkpoint", {("w", (0, 0)): BIG}, metadata)), {"w": BIG})


@pytest.mark.parametrize(
    ("case", "boxes"),
    [
        ("a gap", GRID[:3]),
        ("no chunk", []),
        ("an overlap", [*GRID, ((1, 1), (1, 1))]),
        ("a chunk twice", [*GRID, GRID[0]]),
        ("a gap as large as an overlap", [((0, 0), (3, 10)), ((2, 0), (4, 10))]),
        ("a diagonal", [((0, 0), (3, 5)), ((3, 5), (4, 5)), ((0, 5), (3, 5)), ((2, 0), (4, 5))]),
        ("a chunk outside", [((0, 0), (8, 10))]),
        ("cuts along five dimensions", [((0,) * 5, (1,) * 5), ((1,) * 5, (1,) * 5)]),
    ],
)
def test_chunks_that_are_not_the_tensor_are_refused(case: str, boxes: Any, tmp_path: Path) -> None:
    size = (7, 10) if not boxes or len(boxes[0][0]) == 2 else (2,) * 5
    chunks = {("w", offsets): torch.ones(sizes) for offsets, sizes in boxes}
    with pytest.raises(errors.InvalidOffsets):
        weigh.inspect(write(tmp_path / "checkpoint", chunks, Metadata({"w": described(size, boxes, torch.float32)})))


def test_the_cover_of_random_boxes_is_decided_as_by_counting() -> None:
    source = random.Random(0)
    for _ in range(500):
        shape = tuple(source.randint(1, 3) for _ in range(source.randint(1, 3)))
        boxes = []
        while source.random() < 0.8:
            offsets = tuple(source.randrange(n) for n in shape)
            boxes.append((offsets, tuple(source.randint(1, n - o) for o, n in zip(offsets, shape, strict=True))))
        count = torch.zeros(shape)
        for offsets, sizes in boxes:
            count[tuple(slice(o, o + n) for o, n in zip(offsets, sizes, strict=True))] += 1
        try:
            chunks.check_cover("here", shape, boxes)
        except errors.InvalidOffsets:
            assert not bool((count == 1).all())
        else:
            assert bool((count == 1).all())


INDEX = MetadataIndex("w", (0, 0))


def place(**changes: Any) -> Callable[[Metadata], None]:
    def change(metadata: Metadata) -> None:
        info = metadata.storage_data[INDEX]
        metadata.storage_data[INDEX] = _StorageInfo(**{**info.__dict__, **changes})

    return change


def more(metadata: Metadata) -> None:
    metadata.state_dict_metadata["v"] = metadata.state_dict_metadata["w"]
    metadata.storage_data[MetadataIndex("v", (0, 0))] = metadata.storage_data[INDEX]


def unlisted(metadata: Metadata) -> None:
    metadata.storage_data.clear()


def dtype(metadata: Metadata) -> None:
    metadata.state_dict_metadata["w"].properties.dtype = torch.uint4


def other(metadata: Metadata) -> None:
    metadata.state_dict_metadata["w"] = 3  # type: ignore[assignment]


def nameless(metadata: Metadata) -> None:
    metadata.state_dict_metadata[3] = metadata.state_dict_metadata["w"]  # type: ignore[index]


def rank(metadata: Metadata) -> None:
    metadata.state_dict_metadata["w"].size = torch.Size([70])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (place(relative_path="__1_0.distcp"), errors.NotFound, "not there"),
        (place(relative_path="../secret"), errors.OutsideDirectory, "outside its own directory"),
        (place(relative_path="/etc/passwd"), errors.OutsideDirectory, "outside its own directory"),
        (place(relative_path=3), errors.MalformedPickle, "not what"),
        (place(offset=1), errors.TruncatedFile, "needs"),
        (place(offset=2**62), errors.TruncatedFile, "needs"),
        (place(offset=-1), errors.MalformedPickle, "not what"),
        (place(length=10**4), errors.TruncatedFile, "needs"),
        (place(length=100), errors.InvalidOffsets, "does not fit"),
        (place(transform_descriptors=["zstd"]), errors.UnsupportedField, "transformed"),
        (more, errors.InvalidOffsets, "overlap"),
        (unlisted, errors.InvalidOffsets, "no entry in storage_data"),
        (dtype, errors.UnknownDtype, "uint4"),
        (other, errors.MalformedPickle, "not what"),
        (nameless, errors.MalformedPickle, "no name"),
        (rank, errors.MalformedPickle, "not what"),
    ],
)
def test_metadata_that_disagrees_with_the_files_is_refused(
    change: Callable[[Metadata], None], error: type[errors.WeighError], message: str, tmp_path: Path
) -> None:
    metadata = Metadata({"w": described((7, 10), [((0, 0), (7, 10))], torch.float32)})
    directory = write(tmp_path / "checkpoint", {("w", (0, 0)): BIG}, metadata)
    change(metadata)
    (directory / ".metadata").write_bytes(pickle.dumps(metadata))
    with pytest.raises(error, match=message) as caught:
        weigh.inspect(directory)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "value", [BIG[:3], BIG.double(), {"w": BIG}, 3, [BIG, BIG]], ids=["shape", "dtype", "dict", "number", "two"]
)
def test_a_chunk_that_is_another_is_refused_when_it_is_loaded(value: Any, tmp_path: Path) -> None:
    metadata = Metadata({"w": described((7, 10), [((0, 0), (7, 10))], torch.float32)})
    contents = weigh.inspect(write(tmp_path / "checkpoint", {("w", (0, 0)): value}, metadata))
    with pytest.raises(errors.InvalidOffsets, match="is not the chunk of 'w'"):
        loading.load(contents, contents.named[0])


def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    metadata = Metadata({"x": BytesStorageMetadata()})
    write(tmp_path / "blob", {("x", None): Hostile()}, metadata)
    assert [name.split(".")[1] for name in weigh.inspect(tmp_path / "blob").imports] == ["system"]
    metadata = Metadata({"w": described((7, 10), [((0, 0), (7, 10))], torch.float32)}, planner_data=Hostile())
    write(tmp_path / "planner", {("w", (0, 0)): BIG}, metadata)
    assert [name.split(".")[1] for name in weigh.inspect(tmp_path / "planner").imports] == ["system"]
    assert not Path("executed").exists()
    dcp.FileSystemReader("planner").read_metadata()
    assert Path("executed").exists(), "the attack itself must work, or this test shows nothing"


@pytest.mark.parametrize("data", [b"", b"text", pickle.dumps([1]), pickle.dumps(Metadata({}))])
def test_a_file_that_is_no_metadata(data: bytes, tmp_path: Path) -> None:
    (tmp_path / ".metadata").write_bytes(data)
    with pytest.raises(errors.MalformedPickle):
        weigh.inspect(tmp_path)


def test_damaged_metadata_is_refused_or_read(alone: Path, tmp_path: Path) -> None:
    for path in alone.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    whole, source, refused = (alone / ".metadata").read_bytes(), random.Random(0), 0
    for _ in range(200):
        raw = bytearray(whole)
        for _ in range(source.randint(1, 8)):
            raw[source.randrange(len(raw))] = source.randrange(256)
        (tmp_path / ".metadata").write_bytes(raw)
        try:
            weigh.inspect(tmp_path)
        except errors.WeighError:
            refused += 1
    assert refused > 100
