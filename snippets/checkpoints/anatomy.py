"""The program of "Checkpoint anatomy": every byte of a training checkpoint, and what each optimizer keeps in it."""

# --8<-- [start:quiet]
import logging

# torchao reports at import which of its GPU kernels are not there. No claim of this page needs one.
for name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(name).setLevel(logging.ERROR)
# --8<-- [end:quiet]

# --8<-- [start:run]
import random

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

random.seed(0)
torch.manual_seed(0)
torch.set_num_threads(1)
generator = np.random.default_rng(0)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32) / 16  # (1797, 8, 8): each row of pixels is a token
labels = torch.tensor(digits.target)
train, held_out = slice(0, 1280), slice(1280, None)


class Reader(nn.Module):
    """A transformer of two blocks that reads a digit row by row."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.places = nn.Parameter(torch.zeros(8, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, 0.1, norm_first=True, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(width, 10)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits of shape (B, 10) for images of shape (B, 8, 8)."""
        hidden = self.embed(rows) + self.places
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(hidden.mean(1))


def make_schedule(optimizer):
    """Twenty steps of warm-up, then a cosine to step 200."""
    warm_up, cosine = LinearLR(optimizer, 0.1, total_iters=20), CosineAnnealingLR(optimizer, 180)
    return SequentialLR(optimizer, [warm_up, cosine], milestones=[20])


def make_optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))


model = Reader()
ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
optimizer = make_optimizer(model)
scheduler = make_schedule(optimizer)
scaler = torch.amp.GradScaler("cpu")
position = {"seed": 17, "epoch": 0, "batch": 0}
losses = []
while len(losses) < 100:
    shuffle = torch.Generator().manual_seed(position["seed"] + position["epoch"])
    batch = torch.randperm(1280, generator=shuffle).view(40, 32)[position["batch"]]
    with torch.autocast("cpu", dtype=torch.float16):
        loss = cross_entropy(model(images[batch]), labels[batch])
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    scheduler.step()
    ema.update_parameters(model)
    losses.append(loss.item())
    position["batch"] += 1
    if position["batch"] == 40:
        position |= {"epoch": position["epoch"] + 1, "batch": 0}
# --8<-- [end:run]

# --8<-- [start:save]
from pathlib import Path
from tempfile import TemporaryDirectory

temporary = TemporaryDirectory()
folder = Path(temporary.name)
checkpoint = {
    "model": model.state_dict(),
    "ema": ema.state_dict(),
    "optimizer": optimizer.state_dict(),
    "scheduler": scheduler.state_dict(),
    "scaler": scaler.state_dict(),
    "rng": {
        "python": random.getstate(),
        "numpy": generator.bit_generator.state,
        "torch": torch.get_rng_state(),
    },
    "data": position,
    "history": {"steps": len(losses), "losses": losses},
}
torch.save(checkpoint, folder / "checkpoint.pt")
# --8<-- [end:save]

# --8<-- [start:stretches]
import struct
from itertools import accumulate, pairwise
from zipfile import ZipFile


def stretches(path):
    """All of a zip archive, in order: begin, end, what it is, of which record."""
    data = path.read_bytes()
    with ZipFile(path) as archive:
        records, at = archive.infolist(), archive.start_dir
    begins = [*(record.header_offset for record in records), at]
    for record, (begin, end) in zip(records, pairwise(begins), strict=True):
        name, extra = struct.unpack_from("<HH", data, begin + 26)
        sizes = 30 + name, extra, record.file_size
        cuts = pairwise([*accumulate(sizes, initial=begin), end])
        for what, cut in zip(("header", "padding", "data", "descriptor"), cuts, strict=True):
            yield *cut, what, record.filename.partition("/")[2]
    for record in records:  # an entry, its name, extra field and comment
        size = 46 + sum(struct.unpack_from("<HHH", data, at + 28))
        yield at, at + size, "directory", record.filename.partition("/")[2]
        at += size
    yield at, len(data), "end", ""


# --8<-- [end:stretches]

# --8<-- [start:add_up]
import weigh

path = folder / "checkpoint.pt"
contents = weigh.inspect(path)
found = list(stretches(path))

edges = [begin for begin, *_ in found] + [path.stat().st_size]
assert all(end == edge for (_, end, *_), edge in zip(found, edges[1:], strict=True))
assert edges[0] == 0 and edges[-1] == contents.bytes_on_disk
print(f"{len(found)} stretches, {contents.bytes_on_disk:,} bytes")
# --8<-- [end:add_up]

# --8<-- [start:pickle]
import pickletools
from collections import Counter


def share_out(pickled, parts):
    """The bytes of a checkpoint's pickle by its top-level keys, and the key to which each storage belongs."""
    operations = list(pickletools.genops(pickled))
    ends = [at for *_, at in operations[1:]] + [len(pickled)]
    waiting, part, storage = list(parts), "", ""
    sizes, owners = Counter(), {}
    for (operation, argument, at), end in zip(operations, ends, strict=True):
        if waiting and argument == waiting[0]:
            part = waiting.pop(0)
        if isinstance(argument, str) and argument.isdecimal():
            storage = argument  # what stands before the id of a storage
        if operation.name == "BINPERSID":
            owners[f"data/{storage}"] = part
        sizes[part] += end - at
    assert not waiting and sizes.total() == len(pickled)
    return sizes, owners


with ZipFile(path) as archive:
    pickled, owners = share_out(archive.read("checkpoint/data.pkl"), checkpoint)
payload, frame, records = Counter(), Counter(), Counter()
for begin, end, what, record in found:
    part = owners.get(record, "")
    if what != "data":
        frame[part] += end - begin
    elif part:
        payload[part] += end - begin
        records[part] += 1
    elif record != "data.pkl":
        frame[""] += end - begin  # a small record that torch adds
# --8<-- [end:pickle]

# --8<-- [start:parts]
ROWS = {
    "model": "Weights",
    "ema": "Running average of the weights",
    "optimizer": "Optimizer state",
    "scheduler": "Scheduler",
    "scaler": "Gradient scaler",
    "rng": "RNG states",
    "data": "Data position",
    "history": f"Step and {len(losses)} losses",
    "": "The archive itself",
}
total = {part: payload[part] + pickled[part] + frame[part] for part in ROWS}
size = contents.bytes_on_disk
assert sum(total.values()) == size, "the rows add up to the file"

print("| Part | Tensors | Their bytes | In the pickle | Zip frame | Bytes | Share |")
print("| --- |" + " ---: |" * 6)
for part, name in ROWS.items():
    numbers = records[part], payload[part], pickled[part], frame[part], total[part]
    print(f"| {name} |", " | ".join(f"{n:,}" if n else "" for n in numbers), f"| {total[part] / size:.1%} |")
sums = (f"**{counter.total():,}**" for counter in (records, payload, pickled, frame))
print("| **The file** |", " | ".join(sums), f"| **{size:,}** | |")
# --8<-- [end:parts]

# --8<-- [start:kinds]
KINDS = {
    "header": "Headers of records, with their names",
    "padding": "Padding",
    "descriptor": "Descriptors: checksum and size",
    "directory": "Directory",
    "end": "End of the directory",
}
kinds = Counter()
for begin, end, what, record in found:
    kinds["tensors" if record in owners and what == "data" else record if what == "data" else what] += end - begin
print("| Kind of byte | Bytes |\n| --- | ---: |")
print(f"| Tensors | {kinds['tensors']:,} |\n| The pickle, `data.pkl` | {kinds['data.pkl']:,} |")
for kind, name in KINDS.items():
    print(f"| {name} | {kinds[kind]:,} |")
for record in kinds:
    if record not in {*KINDS, "tensors", "data.pkl"}:
        print(f"| `{record}` | {kinds[record]:,} |")
print(f"| **The file** | **{kinds.total():,}** |")
assert kinds.total() == size and kinds["tensors"] == payload.total()
frame_records = len(kinds) - len(KINDS) - 2
# --8<-- [end:kinds]

# --8<-- [start:same]
by = contents.by_component

assert by["weights"] == payload["model"]
assert by["ema"] == payload["ema"]
assert by["optimizer"] == payload["optimizer"]
assert by["rng"] == payload["rng"]
assert by["metadata"] == pickled.total() + frame.total()
assert by["unused"] == 0
by
# --8<-- [end:same]

# --8<-- [start:same_size]
count = sum(parameter.numel() for parameter in model.parameters())
matrices = len(list(model.parameters()))
assert by["optimizer"] == 8 * count + 4 * matrices == 2 * payload["model"] + 4 * matrices
assert contents.parameters == count, "the average is told apart"
overhead = (pickled.total() + frame.total()) / size
# --8<-- [end:same_size]

# --8<-- [start:map]
from itertools import groupby

import matplotlib.pyplot as plt

ROW = 2**15
COLOURS = {"model": "C0", "ema": "C3", "optimizer": "C1", "pickle": "C4", "rng": "C2", "": "C5"}
LEGEND = {"model": "weights", "ema": "average", "optimizer": "optimizer", "pickle": "pickle", "rng": "RNG", "": "frame"}
fig, (whole, close) = plt.subplots(2, figsize=(6.4, 5.6), height_ratios=(4, 1))


def drawn_as(stretch):
    """The part of the legend that a stretch of the file is drawn as."""
    *_, what, record = stretch
    return "" if what != "data" else "pickle" if record == "data.pkl" else owners.get(record, "")


for part, neighbours in groupby(found, key=drawn_as):
    run = list(neighbours)
    begin, end = run[0][0], run[-1][1]
    while begin < end:  # a row at a time
        row, cut = begin // ROW, min(end, (begin // ROW + 1) * ROW)
        whole.broken_barh([(begin % ROW, cut - begin)], (row + 0.08, 0.84), facecolor=COLOURS[part], linewidth=0)
        begin = cut
for part, colour in COLOURS.items():
    whole.barh(0, 0, color=colour, label=LEGEND[part])
rows = size // ROW + 1
whole.set(xlim=(0, ROW), ylim=(rows, 0), xlabel="byte of the row", ylabel="row")
whole.set_xticks([0, 8192, 16384, 24576, 32768], ["0", "8,192", "16,384", "24,576", "32,768"])
whole.set_yticks([n + 0.5 for n in range(rows)], [str(n) for n in range(rows)])
whole.grid(visible=False)
fig.legend(loc="outside upper center", ncols=6, handlelength=1, columnspacing=1, handletextpad=0.4)

step = next(tensor for tensor in contents.named if tensor.name == "optimizer.state.2.step")
step_record = f"data/{step.storage.partition(':')[2]}"
pieces = [stretch for stretch in found if stretch[3] == step_record and stretch[2] != "directory"]
NAMES = {"header": "header\nand name", "padding": "padding", "data": "step", "descriptor": "descriptor\n"}
for begin, end, what, _ in pieces:
    colour, hatch = ("C1", "") if what == "data" else ("C5", {"header": "", "padding": "//"}.get(what, ".."))
    close.broken_barh([(begin - pieces[0][0], end - begin)], (0, 1), facecolor=colour, hatch=hatch, linewidth=1)
    close.text((begin + end) / 2 - pieces[0][0], 1.12, f"{NAMES[what]}\n{end - begin}", ha="center", va="bottom")
close.set(ylim=(0, 1), xlim=(0, pieces[-1][1] - pieces[0][0]), xlabel="byte of the record", yticks=[])
close.grid(visible=False)
close.spines["left"].set_visible(False)

lengths = {what: end - begin for begin, end, what, _ in pieces}
lengths["directory"] = next(b - a for a, b, what, record in found if (what, record) == ("directory", step_record))
step_frame = sum(lengths.values()) - lengths["data"]
map_in_words = (
    f"The file in {rows} rows of {ROW:,} bytes. First the pickle, {pickled.total():,} bytes; then weights, average "
    "and optimizer state, each cut by thin frames; at the end the RNG state and the archive's directory. Below, the "
    f"record of one step counter: header and name {lengths['header']} bytes, padding {lengths['padding']}, the counter "
    f"{lengths['data']}, descriptor {lengths['descriptor']}."
)
assert lengths["data"] == 4 and all(b % 64 == 0 for b in (a for a, _, what, r in found if what == "data"))
fig
# --8<-- [end:map]

# --8<-- [start:one_weight]
name = "embed.weight"
number = [each for each, _ in model.named_parameters()].index(name)
state = f"optimizer.state.{number}"
names = f"model.{name}", f"ema.module.{name}", f"{state}.step", f"{state}.exp_avg", f"{state}.exp_avg_sq"
where = {tensor.name: f"data/{tensor.storage.partition(':')[2]}" for tensor in contents.named}

print("| Tensor | At byte | Header | Padding | Data | Descriptor | Directory |\n| --- |" + " ---: |" * 6)
for each in names:
    own = [stretch for stretch in found if stretch[3] == where[each]]
    print(f"| `{each}` | {own[0][0]:,} |", " | ".join(f"{end - begin:,}" for begin, end, *_ in own), "|")
# --8<-- [end:one_weight]

# --8<-- [start:tree]
import os
import subprocess
import sys


def terminal(line, folder):
    """Run a `weigh` command in a folder, and print what a terminal shows."""
    command = [sys.executable, "-P", "-c", "from weigh.cli import main; main()", *line.split()[1:]]
    environment = os.environ | {"PYTHONUTF8": "1", "COLUMNS": "84"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=True)
    print(f"$ {line}", *(text.rstrip() for text in done.stdout.splitlines()), sep="\n")


terminal("weigh inspect checkpoint.pt --tree", folder)
# --8<-- [end:tree]


# --8<-- [start:missing]
import copy


def one_step(change):
    """How far one step on a batch moves the typical weight, from the checkpoint with its optimizer state changed."""
    saved = copy.deepcopy(checkpoint["optimizer"])
    for state in saved["state"].values():
        change(state)
    again = Reader().eval()
    again.load_state_dict(checkpoint["model"])
    stepper = make_optimizer(again)
    stepper.load_state_dict(saved)
    before = nn.utils.parameters_to_vector(again.parameters()).detach()
    cross_entropy(again(images[:32]), labels[:32]).backward()
    stepper.step()
    return (nn.utils.parameters_to_vector(again.parameters()).detach() - before).abs().median().item()


too_large = one_step(lambda state: state["step"].zero_()) / one_step(lambda state: None)
try:
    one_step(lambda state: state.pop("step"))
except KeyError as error:
    without_step = repr(error)


def correction(steps, beta1=0.9, beta2=0.95):
    """By what Adam multiplies m / √v, to undo that both averages started at zero."""
    return (1 - beta2**steps) ** 0.5 / (1 - beta1**steps)


expected = correction(1) / correction(len(losses) + 1)
assert abs(too_large / expected - 1) < 0.05
slow_beta = correction(1, beta2=0.999)


@torch.no_grad()
def held_out_loss(network):
    return cross_entropy(network.eval()(images[held_out]), labels[held_out]).item()


raw_loss, ema_loss = held_out_loss(model), held_out_loss(ema)
# --8<-- [end:missing]

# --8<-- [start:rates]
from math import cos, pi


def rates(make, resume_at=None, with_state=True):
    """The learning rate of each of 200 steps of a run, resumed before one of them with or without its schedule."""
    found, saved = [], None
    optimizer, schedule = make()
    for step in range(200):
        if step == resume_at:
            saved = copy.deepcopy((optimizer.state_dict(), schedule.state_dict()))
            optimizer, schedule = make()
            optimizer.load_state_dict(saved[0])
            if with_state:
                schedule.load_state_dict(saved[1])
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def chained():
    optimizer = torch.optim.AdamW([torch.zeros(1)], lr=3e-3)
    return optimizer, make_schedule(optimizer)


def by_formula():
    optimizer = torch.optim.AdamW([torch.zeros(1)], lr=3e-3)
    return optimizer, LambdaLR(optimizer, lambda t: 0.1 + 0.045 * t if t < 20 else 0.5 + 0.5 * cos(pi * (t - 20) / 180))


planned = rates(chained)
restored = rates(chained, 100)
multiplied = rates(chained, 100, with_state=False)
restarted = rates(by_formula, 100, with_state=False)
assert restored == planned and planned[100] == optimizer.param_groups[0]["lr"]
assert multiplied[100] == planned[100], "the first step has the saved rate"
assert max(multiplied) > 5 * max(planned), "a chained schedule overshoots"
assert restarted[101] < 0.3 * planned[101] and max(restarted[101:]) > 1.5 * planned[101]
# --8<-- [end:rates]

# --8<-- [start:rates_plot]
fig, ax = plt.subplots()
ax.plot(planned, label="with its state")
ax.plot(range(100, 200), restarted[100:], label="without, LambdaLR")
ax.plot(range(100, 200), multiplied[100:], label="without, LinearLR + cosine")
ax.set(xlabel="step", ylabel="learning rate", ylim=(0, None))
ax.legend(fontsize="small", ncols=3, columnspacing=1, handlelength=2, loc="lower left", bbox_to_anchor=(-0.14, 1))
rates_in_words = (
    f"Learning rate over 200 steps: planned, up to {max(planned):.3f} at step 20 and down to zero. Resumed before step "
    f"100 without the scheduler's state, LambdaLR warms up again to {max(restarted[101:]):.3f} and LinearLR to "
    f"{max(multiplied):.3f}."
)
fig
# --8<-- [end:rates_plot]


# --8<-- [start:generators]
words = checkpoint["rng"]["torch"].view(torch.int64)[3:627]
assert payload["rng"] == 5056 and (words < 2**32).all(), "624 words of 32 bits, each in 64"
assert len(checkpoint["rng"]["python"][1]) == 625 and checkpoint["rng"]["numpy"]["bit_generator"] == "PCG64"

alone_bytes = {}
for name, state in checkpoint["rng"].items():
    torch.save({"rng": state}, folder / "rng.pt")
    with ZipFile(folder / "rng.pt") as archive:
        alone_bytes[name] = len(archive.read("rng/data.pkl")) + weigh.inspect(folder / "rng.pt").by_component["rng"]
# --8<-- [end:generators]

# --8<-- [start:optimizers]
from functools import partial

from torch.optim import SGD, Adafactor, AdamW, Muon
from torchao.optim import AdamW8bit

MADE = {
    "SGD, momentum": (partial(SGD, momentum=0.9), "momentum"),
    "AdamW": (AdamW, "adamw"),
    "AdamW, AMSGrad": (partial(AdamW, amsgrad=True), "amsgrad"),
    "Adagrad": (torch.optim.Adagrad, "adagrad"),
    "Adafactor": (Adafactor, "adafactor"),
    "Muon, and AdamW for the bias": (Muon, "muon"),
    "AdamW, 8-bit (torchao)": (AdamW8bit, "adamw-8bit"),
}


def saved_state(make, dtype=torch.float32, steps=1):
    """What an optimizer saves of a weight of 128 × 64 and a bias of 128, by the names of the tensors."""
    weights = [nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in ((128, 64), (128,))]
    shares = [(make, weights)] if make is not Muon else [(Muon, weights[:1]), (AdamW, weights[1:])]
    optimizers = [make(share) for make, share in shares]
    for _ in range(steps):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        for optimizer in optimizers:
            optimizer.step()
    states = [state for optimizer in optimizers for state in optimizer.state_dict()["state"].values()]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    settings = {name: value for group in groups for name, value in group.items() if torch.is_tensor(value)}
    torch.save({"optimizer": dict(enumerate(states)) | settings}, folder / "optimizer.pt")
    named = weigh.inspect(folder / "optimizer.pt").named
    return {t.name.removeprefix("optimizer.").replace(".<args>.3", ""): (t.shape, t.dtype, t.nbytes) for t in named}


with torch.compiler.set_stance("force_eager"):  # torchao would compile for a minute
    states = {name: saved_state(make) for name, (make, _) in MADE.items()}
# --8<-- [end:optimizers]

# --8<-- [start:optimizer_table]
from weigh.tensors import Tensor

PAIR = [
    Tensor("layers.0.mlp.weight", (128, 64), "float32", "", 0, 4 * 128 * 64),
    Tensor("layers.0.mlp.bias", (128,), "float32", "", 0, 4 * 128),
]
elements = sum(tensor.numel for tensor in PAIR)


def described(state, number):
    """What is kept of one weight: names, shapes that are not its own, and dtypes other than float32."""
    cells = []
    for name, (shape, dtype, _) in state.items():
        if name.startswith(f"{number}."):
            sizes = "" if shape == PAIR[number].shape else " × ".join(f"{n:,}" for n in shape) or "1"
            cells.append(" ".join(filter(None, (f"`{name[2:]}`", sizes, dtype if dtype != "float32" else ""))))
    return "<br>".join(cells) or "nothing"


print("| Optimizer | Of the weight | Of the bias | Bytes | Per parameter | ÷ `weigh`'s |")
print("| --- | --- | --- | ---: | ---: | ---: |")
for name, (_, key) in MADE.items():
    state = states[name]
    bytes_found = sum(nbytes for *_, nbytes in state.values())
    predicted = weigh.checkpoint(PAIR, key).optimizer_state_bytes
    assert bytes_found == predicted, "weigh predicts each to the byte"
    of_weight, of_bias = described(state, 0), described(state, 1)
    print(f"| {name} | {of_weight} | {'the same' if of_bias == of_weight else of_bias} | {bytes_found:,} "
          f"| {bytes_found / elements:.2f} | {bytes_found / predicted:.3f} |")  # fmt: skip
# --8<-- [end:optimizer_table]

# --8<-- [start:same_state]
for option in ({"foreach": True}, {"foreach": False}, {"fused": True}):
    assert saved_state(partial(AdamW, **option)) == states["AdamW"], "how a step is computed changes no tensor"
half = saved_state(AdamW, dtype=torch.bfloat16)
assert half["0.exp_avg"][1] == "bfloat16" and half["0.step"][1] == "float32"
limit = 2.0**24
assert torch.tensor(limit) + 1 == limit, "a float32 counts to 2²⁴"

lbfgs_weight = nn.Parameter(torch.randn(128, 64))
lbfgs = torch.optim.LBFGS([lbfgs_weight], history_size=10, max_iter=30, tolerance_change=0)


def closure():
    lbfgs.zero_grad()
    value = (lbfgs_weight**4).sum()
    value.backward()
    return value


lbfgs.step(closure)
torch.save({"optimizer": lbfgs.state_dict()}, folder / "lbfgs.pt")
lbfgs_copies = weigh.inspect(folder / "lbfgs.pt").by_component["optimizer"] / (4 * lbfgs_weight.numel())
assert 22 <= lbfgs_copies < 22.1
before_first_step = {
    name for name, (make, _) in MADE.items() if any(key[0].isdigit() for key in saved_state(make, steps=0))
}
assert before_first_step == {"Adagrad"}
# --8<-- [end:same_state]

# --8<-- [start:tiny]
from safetensors.torch import save_file

N = 10_000
TENSORS = {
    "many": {f"bias.{i}": torch.ones(1) for i in range(N)},
    "one": {"bias": torch.ones(N)},
}
files = {}
for name, tensors in TENSORS.items():
    torch.save(tensors, folder / f"{name}.pt")
    save_file(tensors, folder / f"{name}.safetensors")
    for suffix in ("pt", "safetensors"):
        files[name, suffix] = (folder / f"{name}.{suffix}").stat().st_size
        print(f"{name:<4} {suffix:<11} {files[name, suffix]:>9,} bytes")
# --8<-- [end:tiny]

# --8<-- [start:per_tensor]
each_pt = (files["many", "pt"] - 4 * N) / N
each_safetensors = (files["many", "safetensors"] - 4 * N) / N
with ZipFile(folder / "many.pt") as archive:
    each_pickle = len(archive.read("many/data.pkl")) / N
eight = weigh.params("models/llama-3-8b")
eight_tensors = 4 * len(eight.distinct)  # each weight, two moments and a step
eight_frame = round(eight_tensors * each_pt)
eight_size = weigh.checkpoint(eight.distinct, "adamw").total_bytes
assert eight_frame < 1e-5 * eight_size

torch.save(model, folder / "object.pt")
torch.save(model.state_dict(), folder / "weight.pt")
as_object, as_dict = (weigh.inspect(folder / name) for name in ("object.pt", "weight.pt"))
assert as_object.bytes_in_tensors == as_dict.bytes_in_tensors
extra = as_object.bytes_on_disk - as_dict.bytes_on_disk
own_class = next(name for name in as_object.imports if name.endswith("Reader"))
Renamed = Reader
del Reader
try:
    torch.load(folder / "object.pt", weights_only=False)
except AttributeError as error:
    renamed = type(error).__name__
Reader = Renamed
# --8<-- [end:per_tensor]

# --8<-- [start:unstepped]
for name in ("AdamW", "Adagrad"):
    state = saved_state(MADE[name][0], steps=0)
    print(f"{name:<7} {sum(nbytes for *_, nbytes in state.values()):>6,} bytes")
# --8<-- [end:unstepped]

# --8<-- [start:share]
shared = {part: value for part, value in checkpoint.items() if part != "optimizer"}
torch.save(shared, folder / "shared.pt")
served = weigh.export(path, folder / "served", prefix="model.")

left = weigh.inspect(folder / "shared.pt").bytes_on_disk
print(f"without the optimizer {left:>7,} bytes")
print(f"exported              {served.bytes_on_disk:>7,} bytes")
# --8<-- [end:share]

# --8<-- [start:names]
from hashlib import sha256

prints = {}
for name in ("checkpoint.pt", "again/checkpoint.pt", "step-000100.pt"):
    target = folder / "names" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, target)
    data = target.read_bytes()
    prints[name] = sha256(data).hexdigest()[:12]
    print(f"{name:<20} {len(data):,} bytes  sha256 {prints[name]}…")

assert prints["checkpoint.pt"] == prints["again/checkpoint.pt"]
assert weigh.diff(path, folder / "names" / "step-000100.pt").same
# --8<-- [end:names]

# --8<-- [start:wrong]
pair = [nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))]
for weight, value in zip(pair, (1.0, 2.0), strict=True):
    weight.grad = torch.full((4,), value)
first = AdamW(pair)
first.step()
swapped = AdamW(pair[::-1])
swapped.load_state_dict(first.state_dict())  # no error
assert torch.equal(swapped.state[pair[0]]["exp_avg"], first.state[pair[1]]["exp_avg"]), "moments go by position"

torch.save({"model": checkpoint["model"], "rng": np.random.get_state()}, folder / "array.pt")
assert "numpy.ndarray" in weigh.inspect(folder / "array.pt").imports, "the old generator's state is an array"
assert not contents.imports and torch.load(path), "a new one's is a few integers"
# --8<-- [end:wrong]

# --8<-- [start:problems]
average = eight.bytes_as("float32")
with_average = eight_size + average
odd_bytes = weigh.checkpoint(eight.distinct, "adamw").optimizer_state_bytes - 8 * eight.parameters
assert odd_bytes == 4 * len(eight.distinct)

torch.save(checkpoint, folder / "c.pt")
short = weigh.inspect(folder / "c.pt").bytes_on_disk
fewer = {
    what: sum(b - a for a, b, kind, _ in found if kind == what)
    - sum(b - a for a, b, kind, _ in stretches(folder / "c.pt") if kind == what)
    for what in ("header", "padding", "directory")
}
zip_records = sum(what == "directory" for _, _, what, _ in found)
assert sum(fewer.values()) == size - short
assert fewer["header"] == fewer["directory"] == 9 * zip_records
temporary.cleanup()
# --8<-- [end:problems]
