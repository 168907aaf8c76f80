"""The program of "Sharded checkpoints": a run of two processes saves, three go on, and one file comes of it."""

# --8<-- [start:quiet]
import logging
import warnings

from transformers.utils.logging import disable_progress_bar

disable_progress_bar()
# torchao reports at import which of its GPU kernels are not there, and a checkpoint read by one process alone warns of
# it. No claim of this page needs either.
for name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(name).setLevel(logging.ERROR)
warnings.filterwarnings("ignore", "torch.distributed is disabled")
# --8<-- [end:quiet]

# --8<-- [start:model]
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import weigh

config = {
    "model_type": "llama",
    "vocab_size": 256,
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
temporary = TemporaryDirectory()
folder = Path(temporary.name)
(folder / "config.json").write_text(json.dumps(config))
small = weigh.params(folder)
# --8<-- [end:model]

# --8<-- [start:build]
import torch
import torch.distributed as dist


def build(folder, stage=3):
    """A Llama and its AdamW, divided among the processes as a stage of ZeRO says."""
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.optim import ZeroRedundancyOptimizer
    from torch.nn.parallel import DistributedDataParallel
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(folder))
    if stage == 1:
        model = DistributedDataParallel(model, gradient_as_bucket_view=True)
        return model, ZeroRedundancyOptimizer(model.parameters(), torch.optim.AdamW)
    for part in (*model.model.layers, model):
        fully_shard(part, reshard_after_forward=stage == 3)
    return model, torch.optim.AdamW(model.parameters())


# --8<-- [end:build]


# --8<-- [start:checkpoint]
def pieces(model, optimizer, step):
    """What a process has: its part of each tensor, and what all have alike."""
    from torch.distributed.checkpoint.state_dict import get_state_dict

    weights, state = get_state_dict(model, optimizer)
    return {"model": weights, "optimizer": state, "step": step}


def save(path, model, optimizer, step):
    """Called by every process: each writes its part."""
    import torch.distributed.checkpoint as dcp

    dcp.save(pieces(model, optimizer, step), checkpoint_id=path)


# --8<-- [end:checkpoint]


# --8<-- [start:load]
def load(path, model, optimizer):
    """Called by every process, however many. Returns the step at which to go on."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import set_state_dict

    saved = pieces(model, optimizer, step=0)
    dcp.load(saved, checkpoint_id=path)  # in place
    weights, state = saved["model"], saved["optimizer"]
    set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=state)
    return saved["step"]


# --8<-- [end:load]


# --8<-- [start:training]
def batch(number):
    """The 12 sequences of a step, the same in every run. Each counts on in strides of its own."""
    generator = torch.Generator().manual_seed(number)
    start = torch.randint(256, (12, 1), generator=generator)
    stride = torch.randint(1, 8, (12, 1), generator=generator)
    return (start + stride * torch.arange(32)) % 256


def forward(model, number):
    """The loss of this process's share of a batch."""
    mine = batch(number)[dist.get_rank() :: dist.get_world_size()]
    return model(input_ids=mine, labels=mine).loss


def bytes_here(tensors):
    """The bytes that this process has of some tensors, each counted once."""
    local = [getattr(tensor, "_local_tensor", tensor) for tensor in tensors]
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in local}.values())


def bytes_of_a_step(folder, stage):
    """Train for a step under a stage of ZeRO, and count what this process holds of each kind."""
    model, optimizer = build(folder, stage)
    loss = forward(model, 0)
    weights = [*model.parameters(), *optimizer.param_groups[0]["params"]]
    here = {"weight_bytes": bytes_here(weights)}
    loss.backward()
    here["gradient_bytes"] = bytes_here(parameter.grad for parameter in model.parameters())
    optimizer.step()
    of_optimizer = getattr(optimizer, "optim", optimizer).state.values()
    here["optimizer_state_bytes"] = bytes_here(tensor for state in of_optimizer for tensor in state.values())
    return here


def main(rank, processes, folder, checkpoint):
    """Train up to step 20, from the start or from a checkpoint; save at step 10; report."""
    meet = f"file://{folder}/meeting-of-{processes}"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=processes)
    model, optimizer = build(folder)
    first = load(checkpoint, model, optimizer) if checkpoint.exists() else 0
    losses = []
    for number in range(first, 20):
        if number == 10:
            save(folder / f"by-{processes}", model, optimizer, number)
        loss = forward(model, number)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        mean = loss.detach() / processes
        dist.all_reduce(mean)
        losses.append(mean.item())
    held = [None] * processes
    dist.all_gather_object(held, {stage: bytes_of_a_step(folder, stage) for stage in (1, 2, 3)})
    if rank == 0:
        (folder / "report.json").write_text(json.dumps({"losses": losses, "held": held}))
    dist.destroy_process_group()


# --8<-- [end:training]

# --8<-- [start:start]
import inspect
import os
import subprocess
import sys

functions = (build, pieces, save, load, batch, forward, bytes_here, bytes_of_a_step, main)
# The slow imports come before the processes part, and so are paid for once.
slow = ("checkpoint.state_dict", "fsdp", "optim")
imports = ["json", "os", "sys", "torch", "torch.distributed as dist", "transformers.models.llama.modeling_llama"]
script = folder / "training.py"
script.write_text(
    "".join(f"import {name}\n" for name in (*imports, *(f"torch.distributed.{name}" for name in slow)))
    + "from pathlib import Path\n\n\n"
    + "\n\n".join(map(inspect.getsource, functions))
    + """

if __name__ == "__main__":
    processes, folder, checkpoint = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    method = "fork" if hasattr(os, "fork") else "spawn"
    torch.multiprocessing.start_processes(main, (processes, folder, checkpoint), processes, start_method=method)
"""
)


def start(processes, checkpoint):
    """Run the script in some processes of this machine, and return their report."""
    command = [sys.executable, script, str(processes), folder, checkpoint]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    return json.loads((folder / "report.json").read_text())


# --8<-- [end:start]

# --8<-- [start:two]
two = start(2, folder / "none")
saved = folder / "by-2"
for file in sorted(saved.iterdir()):
    print(f"{file.name:<13}{file.stat().st_size:>10,} bytes")
# --8<-- [end:two]

# --8<-- [start:where]
import torch.distributed.checkpoint as dcp

metadata = dcp.FileSystemReader(saved).read_metadata()
name = "model.model.embed_tokens.weight"
print(name, tuple(metadata.state_dict_metadata[name].size))
for piece, place in metadata.storage_data.items():
    if piece.fqn == name:
        print(f"from row {piece.offset[0]:3}: {place.relative_path}", end=", ")
        print(f"{place.length:,} bytes at {place.offset:,}")
# --8<-- [end:where]

# --8<-- [start:three]
three = start(3, saved)

later = zip(two["losses"][10:], three["losses"], strict=True)
apart = max(abs(a - b) for a, b in later)
assert 0 < apart < 1e-4, "The loss goes on within rounding"
print("step    never stopped    resumed by three")
for step in (10, 11, 12, 19):
    print(f"{step:4}{two['losses'][step]:17.6f}{three['losses'][step - 10]:20.6f}")
# --8<-- [end:three]

# --8<-- [start:pieces]
from itertools import pairwise

import matplotlib.pyplot as plt


def rows_of(checkpoint):
    """The first row of each piece of the embedding, and the end of the last."""
    chunks = dcp.FileSystemReader(checkpoint).read_metadata().state_dict_metadata[name].chunks
    return [chunk.offsets[0] for chunk in chunks] + [config["vocab_size"]]


cuts = {2: rows_of(saved), 3: rows_of(folder / "by-3")}
fig, ax = plt.subplots(figsize=(6.4, 1.9))
for file, colour in enumerate(("C0", "C1")):
    begin, end = cuts[2][file : file + 2]
    for y in (0, 1):
        ax.barh(y, end - begin, 0.55, begin, color=colour, alpha=0.35, label=None if y else f"from __{file}_0.distcp")
for y, ends in enumerate(cuts.values()):
    for process, (begin, end) in enumerate(pairwise(ends)):
        ax.barh(y, end - begin, 0.55, begin, fill=False, linewidth=1.5)
        ax.text((begin + end) / 2, y, f"process {process}", ha="center", va="center")
ax.set_yticks([0, 1], ["saved", "loaded"])
ax.set_xticks(sorted({*cuts[2], *cuts[3]}))
ax.invert_yaxis()
ax.set_xlabel("rows of the embedding")
ax.grid(visible=False)
ax.spines["left"].set_visible(False)
ax.tick_params(left=False)
fig.legend(loc="outside upper center", ncols=2)
assert cuts == {2: [0, 128, 256], 3: [0, 86, 172, 256]}, "Process 1 of three reads from both files"
pieces_in_words = (
    "Two bars of 256 rows. Saved: process 0 has rows 0 to 127, process 1 the rest. Loaded: the cuts are at rows 86 and "
    "172, so the middle one of three processes has rows of both files."
)
fig
# --8<-- [end:pieces]

# --8<-- [start:consolidate]
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

dcp_to_torch_save(saved, folder / "one.pt")
whole = torch.load(folder / "one.pt", weights_only=True)
print(*whole, sep=", ")
# --8<-- [end:consolidate]

# --8<-- [start:agree]
dcp_to_torch_save(folder / "by-3", folder / "again.pt")
again = torch.load(folder / "again.pt", weights_only=True)


def tensors_of(tree, path=""):
    """Every tensor of nested dictionaries, by its path."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from tensors_of(value, f"{path}{key}/")
        elif isinstance(value, torch.Tensor):
            yield f"{path}{key}", value


first, second = dict(tensors_of(whole)), dict(tensors_of(again))
assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
assert whole["optimizer"]["state"].keys() == whole["model"].keys(), "The optimizer state goes by names"
last_written = max(saved.iterdir(), key=lambda file: file.stat().st_mtime_ns)
assert last_written.name == ".metadata", "Process 0 writes .metadata last"
# --8<-- [end:agree]

# --8<-- [start:release]
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

release = folder / "release"
release.mkdir()
save_file(whole["model"], release / "model.safetensors", metadata={"format": "pt"})
(folder / "config.json").rename(release / "config.json")

released = LlamaForCausalLM.from_pretrained(release)
tokens = batch(10)
with torch.no_grad():
    loss = released(input_ids=tokens, labels=tokens).loss.item()
assert abs(loss - two["losses"][10]) < 1e-4, "The model released is that of step 10"
# --8<-- [end:release]

# --8<-- [start:weighed]
steps = {
    "Sharded, 2 processes": saved,
    "Sharded, 3 processes": folder / "by-3",
    "One file": folder / "one.pt",
    "For inference": release / "model.safetensors",
}
weighed = {step: weigh.inspect(path) for step, path in steps.items()}
print("| Step | Weights | Optimizer state | The rest | On disk |\n| --- | ---: | ---: | ---: | ---: |")
for step, contents in weighed.items():
    parts = contents.by_component
    rest = contents.bytes_on_disk - parts["weights"] - parts["optimizer"]
    print(f"| {step} | {parts['weights']:,} | {parts['optimizer']:,} | {rest:,} | {contents.bytes_on_disk:,} |")
    assert contents.parameters == small.parameters

around = [
    place.length - small_piece.sizes.numel() * 4
    for piece, place in metadata.storage_data.items()
    if piece.offset
    for small_piece in metadata.state_dict_metadata[piece.fqn].chunks
    if small_piece.offsets == piece.offset
]
assert 0 < max(around) < 2000, "An archive takes as much around a small piece as around a large one"
# --8<-- [end:weighed]

# --8<-- [start:zero]
FIGURES = ("weight_bytes", "gradient_bytes", "optimizer_state_bytes")
print("| Stage | Processes | Weights | Gradients | Optimizer state | Measured ÷ predicted |")
print("| ---: | ---: | ---: | ---: | ---: | ---: |")
ratio = {}
for stage in (1, 2, 3):
    for processes, report in ((2, two), (3, three)):
        predicted = weigh.training(
            small, "adamw", "fp32", batch=12 // processes, sequence=32, zero=stage, devices=processes
        )
        found = {figure: max(held[str(stage)][figure] for held in report["held"]) for figure in FIGURES}
        cells = " | ".join(f"{getattr(predicted, figure):,}<br>{found[figure]:,}" for figure in FIGURES)
        ratio[stage, processes] = sum(found.values()) / predicted.state_bytes
        print(f"| {stage} | {processes} | {cells} | {ratio[stage, processes]:.4f} |")

for report in (two, three):
    for held in report["held"]:
        beside = held["2"]["weight_bytes"] - held["3"]["weight_bytes"]
        assert beside == small.bytes_as("float32"), "In stage 2 FSDP keeps its piece beside the whole"
        moments = 2 * held["3"]["weight_bytes"]
        assert held["3"]["optimizer_state_bytes"] == moments + 4 * small.tensors, "Step counts are on every process"
assert all(abs(ratio[stage, n] - 1) < 0.01 for stage in (1, 3) for n in (2, 3))
# --8<-- [end:zero]

# --8<-- [start:lost]
import shutil

damaged = folder / "damaged"
shutil.copytree(saved, damaged)
(damaged / "__1_0.distcp").unlink()

try:
    dcp.load({"model": released.state_dict()}, checkpoint_id=damaged)
except dcp.api.CheckpointException as failure:
    for process, (error, _) in failure.failures.items():
        file = Path(error.filename).name
        print(f"process {process}: {type(error).__name__}: {file}")
# --8<-- [end:lost]

# --8<-- [start:lost_share]
files_of, written = {}, {"__0_0.distcp": 0, "__1_0.distcp": 0}
for piece, place in metadata.storage_data.items():
    if piece.offset:  # a piece, and not what all have alike
        files_of.setdefault(piece.fqn, set()).add(place.relative_path)
        written[place.relative_path] += place.length
assert len(set(written.values())) == 1, "Only what all have alike makes one file larger"
assert len(files_of) == 3 * small.tensors and {len(files) for files in files_of.values()} == {2}
assert not issubclass(dcp.api.CheckpointException, Exception), "except Exception does not catch it"
# --8<-- [end:lost_share]

# --8<-- [start:hostile]
import pickle
from contextlib import suppress


class Command:
    def __reduce__(self):
        return print, ("This could have been any command.",)


hostile = folder / "hostile"
hostile.mkdir()
(hostile / ".metadata").write_bytes(pickle.dumps(Command()))

with suppress(AttributeError):  # too late
    dcp.FileSystemReader(hostile).read_metadata()
# --8<-- [end:hostile]

# --8<-- [start:own]
for broken in (damaged, hostile):
    try:
        weigh.inspect(broken)
    except weigh.WeighError as error:
        print(str(error).removeprefix(f"{folder}/"))
# --8<-- [end:own]

# --8<-- [start:wrong]
backwards = torch.optim.AdamW(reversed(list(released.parameters())))
backwards.load_state_dict(whole["optimizer"])
misplaced = sum(state["exp_avg"].shape != weight.shape for weight, state in backwards.state.items())
assert misplaced > 0, "Moments go by order, not by name, and without an error"

assert backwards.state_dict()["param_groups"][0]["params"] == list(range(small.tensors))


def refusal(call, *arguments, **options):
    """What an error says, or nothing."""
    try:
        call(*arguments, **options)
    except (OSError, RuntimeError) as error:
        return str(error)
    return ""


halves = {key: weight.chunk(2)[0] for key, weight in whole["model"].items()}
assert "size mismatch" in refusal(released.load_state_dict, halves)
assert refusal(LlamaForCausalLM.from_pretrained, saved, config=released.config)

seven = weigh.checkpoint(weigh.params("models/llama-2-7b").distinct, "adamw", "fp32")
# --8<-- [end:wrong]

# --8<-- [start:problems]
eight = weigh.checkpoint(weigh.params("models/llama-3-8b").distinct, "adamw", "fp32")

rows = torch.arange(4096)
wanted = rows.chunk(12)[5]
read = [file for file, piece in enumerate(rows.chunk(8)) if torch.isin(wanted, piece).any()]

with_something = len(torch.ones(128).chunk(100))
# --8<-- [end:problems]

# --8<-- [start:clean_up]
temporary.cleanup()
# --8<-- [end:clean_up]
