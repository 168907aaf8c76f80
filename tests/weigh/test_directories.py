"""Directories as tools leave them: what counts, what loading would import, and what was not read, to the byte."""

import json
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file

import weigh
from weigh import errors
from weigh.files import loading
from weigh.files.directories import pickles

from .test_cli import weigh as command

READ_BESIDE = {"config.json", "params.json", "modules.json", "model_index.json", "latest"}
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 548105171\n"


class Trap:
    """A harmless call, where a hostile file would have another."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("sprung",)


def put(path: Path, *shape: int, name: str = "w", dtype: torch.dtype = torch.float32) -> Path:
    """A file of one tensor, in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (save_file if path.suffix == ".safetensors" else torch.save)({name: torch.ones(shape, dtype=dtype)}, path)
    return path


def fill(path: Path, size: int = 100) -> Path:
    """A file of zeros."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def inspected(home: Path) -> weigh.Contents:
    """The contents of a directory, whose every byte is counted, not read, or that of a file read for what it says."""
    contents = weigh.inspect(home)
    sizes = {path: path.stat().st_size for path in home.rglob("*") if path.is_file()}
    beside = sum(size for path, size in sizes.items() if path.parent == home and path.name in READ_BESIDE)
    assert contents.bytes_on_disk + sum(each.bytes for each in contents.not_read) + beside == sum(sizes.values())
    assert sum(contents.by_component.values()) == contents.bytes_on_disk
    return contents


def reasons(contents: weigh.Contents) -> dict[str, str]:
    return {each.path: each.why for each in contents.not_read}


@pytest.mark.parametrize(
    "name",
    ["training_args.bin", "pytorch_model.bin", "adapter_model.bin", "scheduler.pt", "random_states_0.pkl",
     "rng_state_3.pth", "common.pt", "vocab.pkl", "unet/x.bin", "old.ckpt"],
)  # fmt: skip
@pytest.mark.parametrize("beside", ["safetensors", "torch.distributed"])
def test_every_pickle_is_followed(name: str, beside: str, tmp_path: Path) -> None:
    if beside == "safetensors":
        put(tmp_path / "model.safetensors", 4)
    else:
        dcp.save({"w": torch.ones(4)}, checkpoint_id=tmp_path, no_dist=True)
    assert inspected(tmp_path).imports == ()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    torch.save({"a": torch.ones(2), "b": Trap()}, tmp_path / name)
    contents = inspected(tmp_path)
    assert contents.imports == ("__builtin__.print",)
    assert any(name in note and "__builtin__.print" in note for note in contents.notes)


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_is_followed_whatever_its_protocol_and_what_is_none_is_no_error(
    protocol: int, tmp_path: Path
) -> None:
    put(tmp_path / "model.safetensors", 4)
    fill(tmp_path / "openvino.bin", 5000)
    (tmp_path / "noise.bin").write_bytes(random.Random(0).randbytes(5000))
    (tmp_path / "empty.pt").touch()
    (tmp_path / "text.pkl").write_text("a text, and no pickle")
    assert inspected(tmp_path).imports == ()
    module = "__builtin__" if protocol < 3 else "builtins"
    for prefix, suffix in ((b"", b""), (b"\x96" + bytes(8) + b"0", b""), (b"", b"\xff")):
        (tmp_path / "some.bin").write_bytes(prefix + pickle.dumps(Trap(), protocol)[:-1] + suffix + b".")
        assert inspected(tmp_path).imports == (f"{module}.print",)


def test_a_pickle_that_cannot_be_followed_is_refused_as_it_is_by_itself(tmp_path: Path) -> None:
    put(tmp_path / "model.safetensors", 4)
    for name, data in {"a.pkl": b"\x80\x04\x95\xff", "b.bin": put(tmp_path / "b.bin", 4).read_bytes()[:-40]}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(errors.WeighError, match=name):
            weigh.inspect(tmp_path)
        (tmp_path / name).unlink()


@pytest.mark.parametrize("data", [b"\x80\x02" + b"N0" * 2000, b"(" * 2000, b"X\xff\xff\xff\x7f", b"c" + bytes(70000)])
def test_a_pickle_that_nobody_counts_costs_no_more_than_a_part_of_it_and_that_is_said(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickles, "_MOST_INSTRUCTIONS", 1000)
    put(tmp_path / "model.safetensors", 4)
    (tmp_path / "a.pkl").write_bytes(data)
    assert inspected(tmp_path).notes == ("a.pkl: its pickle was not followed to its end; inspect it by itself",)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Trap(), 2)[:-1] + data)
    assert inspected(tmp_path).imports == ("__builtin__.print",)


def test_the_same_weights_count_once_in_whatever_forms_they_lie_there(tmp_path: Path) -> None:
    put(tmp_path / "model.safetensors", 8, 8)
    put(tmp_path / "model.fp16.safetensors", 8, 8, dtype=torch.float16)
    put(tmp_path / "pytorch_model.bin", 8, 8)
    put(tmp_path / "yolo.pth", 64, name="other")
    put(tmp_path / "mm_projector.bin", 3, name="projector")
    torch.save({"model": {"w": torch.ones(8, 8)}, "optimizer": {"state": {0: {"m": torch.ones(8)}}}}, tmp_path / "s.pt")
    for path in ("onnx/model.onnx", "original/consolidated.00.pth", "checkpoint-5/model.safetensors"):
        put(tmp_path / path, 8, 8)
    fill(tmp_path / ".git/objects/a")
    fill(tmp_path / "tf_model.h5")
    contents = inspected(tmp_path)
    assert contents.parameters == 64 and contents.by_component["optimizer"] == 0
    copy = "a model of its own, or a copy; inspect it by itself"
    assert reasons(contents) == {
        ".git/": "hidden",
        "checkpoint-5/": copy,
        "mm_projector.bin": "3 other parameters: the weights are read from model.safetensors",
        "model.fp16.safetensors": "the same names and shapes as model.safetensors, in float16",
        "onnx/": copy,
        "original/": copy,
        "pytorch_model.bin": "the same names and shapes as model.safetensors",
        "s.pt": "the same names and shapes as model.safetensors, and 32 bytes of optimizer state",
        "tf_model.h5": "weights in a format that weigh does not read: TensorFlow or Keras in HDF5",
        "yolo.pth": "as many parameters as model.safetensors",
    }


def test_of_several_checkpoints_of_a_model_the_last_counts(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        put(tmp_path / f"step-{step}.pt", 4)
    contents = inspected(tmp_path)
    assert contents.parameters == 4 and list(reasons(contents)) == ["step-10.pt", "step-9.pt"]


@pytest.mark.parametrize(
    "name", ["diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors", "adapter_model.bin",
             "pytorch_lora_weights.safetensors", "consolidated.safetensors", "consolidated.00.pth", "ip_adapter.bin",
             "model.pkl"],
)  # fmt: skip
def test_weights_are_read_under_the_names_of_other_libraries(name: str, tmp_path: Path) -> None:
    put(tmp_path / name, 8, 8)
    contents = inspected(tmp_path)
    assert contents.parameters == 64 and contents.artifacts["weights"] == [name]


def test_ranks_of_llama_hold_slices_of_matrices_and_whole_norms(tmp_path: Path) -> None:
    for rank in range(2):
        torch.save({"w": torch.ones(8, 4), "norm": torch.ones(8)}, tmp_path / f"consolidated.{rank:02}.pth")
    assert inspected(tmp_path).parameters == 2 * 8 * 4 + 8


def test_an_optimizer_alone_in_a_distributed_checkpoint_counts_once(tmp_path: Path) -> None:
    dcp.save({"optimizer": {"state": {"w": {"exp_avg": torch.ones(8)}}}}, checkpoint_id=tmp_path, no_dist=True)
    torch.save({"iteration": 3}, tmp_path / "common.pt")
    contents = inspected(tmp_path)
    assert contents.by_component["optimizer"] == 32 and contents.parameters == 0
    assert contents.artifacts["weights"] == [".metadata"] and contents.artifacts["checkpoint"] == ["common.pt"]


@pytest.mark.parametrize(
    ("path", "title"),
    [("tf_model.h5", "HDF5"), ("flax_model.msgpack", "Flax"), ("openvino_model.bin", "OpenVINO"),
     ("rust_model.ot", "rust-bert"), ("model.bin", "unknown"), ("model.tflite", "TensorFlow Lite"),
     ("variables/variables.data-00000-of-00001", "TensorFlow"), ("m.mlpackage/Data/weight.bin", "Core ML"),
     ("model.keras", "Keras")],
)  # fmt: skip
def test_weights_in_other_formats_are_named_with_their_bytes(path: str, title: str, tmp_path: Path) -> None:
    fill(tmp_path / path, 4096)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    contents = inspected(tmp_path)
    assert contents.artifacts["weights"] == [path]
    assert title in contents.notes[0] and "4,096 bytes" in contents.notes[0]


def test_pointers_of_git_lfs_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text(POINTER)
    for path in (tmp_path, tmp_path / "model.safetensors"):
        with pytest.raises(errors.UnknownFormat, match="Git LFS pointer to 548,105,171 bytes"):
            weigh.inspect(path)
    put(tmp_path / "pytorch_model.bin", 8, 8)
    (tmp_path / "optimizer.pt").write_text(POINTER)
    contents = inspected(tmp_path)
    assert contents.parameters == 64
    assert all("Git LFS pointer" in why for why in reasons(contents).values()) and len(contents.not_read) == 2


def test_state_of_accelerate(tmp_path: Path) -> None:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState

    accelerator = Accelerator(cpu=True)
    try:
        model = torch.nn.Linear(8, 8)
        model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters()))
        accelerator.backward(model(torch.ones(1, 8)).sum())
        optimizer.step()
        accelerator.save_state(str(tmp_path / "state"))
    finally:
        AcceleratorState._reset_state(True)
        GradientState._reset_state()
    contents = inspected(tmp_path / "state")
    assert contents.parameters == 72
    assert contents.by_component["optimizer"] == 2 * 72 * 4 + 2 * 4
    assert contents.by_component["rng"] == torch.get_rng_state().nbytes
    assert contents.artifacts["checkpoint"] == ["random_states_0.pkl"] and contents.not_read == ()


@pytest.mark.parametrize("consolidated", [False, True])
def test_folders_of_fsdp(consolidated: bool, tmp_path: Path) -> None:
    weight = torch.zeros(64, 64)
    dcp.save({"model": {"l.w": weight}}, checkpoint_id=tmp_path / "pytorch_model_fsdp_0", no_dist=True)
    state = {"state": {"l.w": {"exp_avg": weight, "exp_avg_sq": weight.clone()}}}
    dcp.save({"optimizer": state}, checkpoint_id=tmp_path / "optimizer_0", no_dist=True)
    torch.save({"last_epoch": 2}, tmp_path / "scheduler.pt")
    if consolidated:
        put(tmp_path / "model.safetensors", 64, 64, name="l.w")
    contents = inspected(tmp_path)
    assert contents.parameters == 64 * 64
    assert contents.by_component["optimizer"] == 2 * 64 * 64 * 4
    assert "optimizer_0/" in contents.artifacts["optimizer state"]
    assert set(reasons(contents).values()) == (
        {"the same names and shapes as model.safetensors"} if consolidated else set()
    )


@pytest.mark.parametrize("consolidated", [False, True])
def test_folders_of_deepspeed(consolidated: bool, tmp_path: Path) -> None:
    flat = torch.zeros(32)
    for step in (9, 10):
        folder = tmp_path / f"global_step{step}"
        folder.mkdir()
        torch.save({"module": {"w": torch.zeros(8, 8)}}, folder / "mp_rank_00_model_states.pt")
        for rank in range(2):
            base = {"state": {0: {"exp_avg": flat, "exp_avg_sq": flat.clone()}}}
            shard = {"base_optimizer_state": base, "single_partition_of_fp32_groups": [flat.clone()]}
            name = f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"
            torch.save({"optimizer_state_dict": shard}, folder / name)
    (tmp_path / "latest").write_text("global_step9")
    (tmp_path / "zero_to_fp32.py").touch()
    if consolidated:
        put(tmp_path / "model.safetensors", 8, 8)
    contents = inspected(tmp_path)
    assert contents.parameters == 64
    assert contents.by_component["optimizer"] == 2 * 3 * 32 * 4
    assert any("the state of global_step9 is counted" in why for why in reasons(contents).values())


def test_folders_of_ranks(tmp_path: Path) -> None:
    for rank in range(2):
        home = tmp_path / f"mp_rank_{rank:02}"
        home.mkdir()
        state = {"model": {"w": torch.ones(8, 4)}, "optimizer": {"state": {0: {"exp_avg": torch.ones(32)}}}}
        torch.save(state | {"iteration": 3}, home / "model_optim_rng.pt")
    contents = inspected(tmp_path)
    assert contents.parameters == 64 and contents.by_component["optimizer"] == 2 * 32 * 4
    assert "counts for each" in contents.notes[0]


def boxes(home: Path, whole: torch.Tensor, dimension: int) -> None:
    """A tensor as two ranks write it with torch's HuggingFaceStorageWriter, and one that both have whole."""
    at = 0
    for rank, part in enumerate(whole.tensor_split([2], dimension), start=1):
        offsets = [at if n == dimension else 0 for n in range(whole.dim())]
        at += part.shape[dimension]
        told = {"w": {"saved_offsets": offsets}, "b": {"saved_offsets": [0]}}
        name = f"shard-{rank:05}-model-00001-of-00001.safetensors"
        tensors = {"w": part.contiguous(), "b": torch.arange(3.0)}
        save_file(tensors, home / name, metadata={"DCP_SHARDING_INFO": json.dumps(told), "DCP_VERSION": "1.0"})


@pytest.mark.parametrize(
    ("shape", "dimension"), [((5,), 0), ((5, 6), 0), ((5, 6), 1), ((3, 4, 5), 0), ((3, 4, 5), 1), ((3, 4, 5), 2)]
)
def test_boxes_of_a_tensor_that_ranks_have_saved_are_one_tensor(
    shape: tuple[int, ...], dimension: int, tmp_path: Path
) -> None:
    whole = torch.arange(float(torch.Size(shape).numel())).view(shape)
    boxes(tmp_path, whole, dimension)
    contents = weigh.inspect(tmp_path)
    assert contents.parameters == whole.numel() + 3 and contents.tensors == 2
    found = {tensor.name: loading.load(contents, tensor) for tensor in contents.named}
    assert torch.equal(found["w"], whole) and torch.equal(found["b"], torch.arange(3.0))


def test_boxes_that_leave_a_gap_are_refused(tmp_path: Path) -> None:
    boxes(tmp_path, torch.ones(6, 2), 0)
    first = "shard-00001-model-00001-of-00001.safetensors"
    save_file(
        {"w": torch.ones(1, 2)}, tmp_path / first, metadata={"DCP_SHARDING_INFO": '{"w": {"saved_offsets": [0, 0]}}'}
    )
    with pytest.raises(errors.InvalidOffsets, match="'w'"):
        weigh.inspect(tmp_path)


def test_a_model_of_several_modules_is_added_up(tmp_path: Path) -> None:
    put(tmp_path / "model.safetensors", 32, 32)
    put(tmp_path / "2_Dense/model.safetensors", 32, 16)
    fill(tmp_path / "1_Pooling/config.json")
    modules = [{"path": path} for path in ("", "1_Pooling", "2_Dense", "../elsewhere", "absent")]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    contents = inspected(tmp_path)
    assert contents.parts == {".": 1024, "2_Dense": 512} and contents.parameters == 1536
    assert len({tensor.name for tensor in contents.named}) == 2
    with pytest.raises(errors.NothingToExport, match="2_Dense"):
        weigh.export(tmp_path, tmp_path / "served")


def test_the_components_of_a_pipeline_are_added_up(tmp_path: Path) -> None:
    put(tmp_path / "unet/diffusion_pytorch_model.safetensors", 32, 32)
    put(tmp_path / "unet/diffusion_pytorch_model.bin", 32, 32)
    put(tmp_path / "text_encoder/model.safetensors", 16, 16)
    put(tmp_path / "safety_checker/model.safetensors", 4)
    put(tmp_path / "whole-pruned.safetensors", 1280)
    fill(tmp_path / "scheduler/scheduler_config.json")
    index = {"_class_name": "P", "unet": ["diffusers", "U"], "text_encoder": ["transformers", "C"],
             "scheduler": ["diffusers", "S"], "safety_checker": [None, None]}  # fmt: skip
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    contents = inspected(tmp_path)
    assert contents.parts == {"unet": 1024, "text_encoder": 256} and contents.parameters == 1280
    assert {"unet/diffusion_pytorch_model.bin", "safety_checker/", "whole-pruned.safetensors"} <= set(reasons(contents))


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["checkpoint-1/model.safetensors", "checkpoint-20/model.safetensors", "config.json"],
         "checkpoint-1, checkpoint-20"),
        (["a/model.safetensors", "b/c/model.safetensors"], "a, b/c"),
        (["blobs/12ab", "snapshots/98fe/model.safetensors"], "snapshots/98fe"),
    ],
)  # fmt: skip
def test_where_only_folders_hold_models_they_are_named(paths: list[str], named: str, tmp_path: Path) -> None:
    for path in paths:
        put(tmp_path / path, 4) if path.endswith(".safetensors") else fill(tmp_path / path)
    with pytest.raises(errors.NotFound, match=f"{named}$"):
        weigh.inspect(tmp_path)


def test_the_one_folder_with_the_weights_of_a_config_counts(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    put(tmp_path / "onnx/model.safetensors", 4)
    assert inspected(tmp_path).parts == {"onnx": 4}


def test_a_tree_of_many_files_and_circles_is_summed_up(tmp_path: Path) -> None:
    put(tmp_path / "model.safetensors", 4)
    for number in range(300):
        fill(tmp_path / f"data/{number}.jsonl", 1)
    (tmp_path / "circle").symlink_to(tmp_path)
    assert reasons(weigh.inspect(tmp_path)) == {"circle": "a link to a folder", "data/": "no file that weigh reads"}


def test_the_command_ends_with_what_it_did_not_read(tmp_path: Path) -> None:
    put(tmp_path / "model.safetensors", 4)
    assert command("inspect", tmp_path).stdout.endswith("\nnot read: nothing\n")
    for number in range(8):
        fill(tmp_path / f"part-{number}.csv")
    lines = command("inspect", tmp_path).stdout.splitlines()
    assert lines[-1].startswith("not read: 800 bytes in part-0.csv") and "and 4 more" in lines[-1]
    found = json.loads(command("inspect", tmp_path, "--json").stdout)["not_read"]
    assert found[0] == {"path": "part-0.csv", "bytes": 100, "why": "no file that weigh reads"} and len(found) == 8
