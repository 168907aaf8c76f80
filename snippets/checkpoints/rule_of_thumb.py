"""The program of "The rule of thumb, weighed": the checkpoints of six optimizers at three precisions."""

# --8<-- [start:quiet]
import logging

# torchao reports at import which of its GPU kernels are not there. No claim of this page needs one.
for name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(name).setLevel(logging.ERROR)
# --8<-- [end:quiet]

# --8<-- [start:model]
import json
import tempfile
from pathlib import Path

import torch

import weigh
from weigh import format_bytes

config = {
    "model_type": "llama",
    "vocab_size": 1000,
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "config.json").write_text(json.dumps(config))
    small = weigh.params(folder)
# --8<-- [end:model]


# --8<-- [start:save]
def save(make_optimizer, precision, steps=1):
    """Train for some steps, save what it takes to go on, and weigh the file."""
    policy = weigh.PRECISIONS[precision]
    weights = {}
    for tensor in small.distinct:
        start = torch.randn(tensor.shape, dtype=getattr(torch, policy.state))
        weights[tensor.name] = torch.nn.Parameter(start)
    optimizer = make_optimizer(weights.values())
    for _ in range(steps):
        for weight in weights.values():
            weight.grad = torch.randn_like(weight)
        optimizer.step()

    state = optimizer.state_dict()
    if policy.master:
        state["master"] = weights
    dtype = getattr(torch, policy.weights)
    model = {name: weight.detach().to(dtype) for name, weight in weights.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.pt")
        torch.save({"model": model, "optimizer": state}, path)
        return weigh.inspect(path)


# --8<-- [end:save]

# --8<-- [start:measure]
from functools import partial

from torchao.optim import AdamW8bit

torch.manual_seed(0)
torch.set_num_threads(1)

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adafactor": torch.optim.Adafactor,
    "adamw-8bit": AdamW8bit,
}
cells = [(name, precision) for precision in weigh.PRECISIONS for name in OPTIMIZERS]
with torch.compiler.set_stance("force_eager"):  # torchao would compile for a minute
    files = {cell: save(OPTIMIZERS[cell[0]], cell[1]) for cell in cells}
# --8<-- [end:measure]

# --8<-- [start:compare]
predicted = {cell: weigh.checkpoint(small.distinct, *cell) for cell in cells}

for cell in cells:
    found, size = files[cell].by_component, predicted[cell]
    state = size.master_weight_bytes + size.optimizer_state_bytes
    assert found["weights"] == size.weight_bytes
    assert found["optimizer"] == state

extra = [files[c].bytes_on_disk / predicted[c].total_bytes - 1 for c in cells]
assert max(extra) < 0.01
print(f"{len(cells)} files: every tensor as predicted, to the byte")
print(f"zip archive and pickle add {min(extra):.2%} to {max(extra):.2%}")
# --8<-- [end:compare]

# --8<-- [start:every_byte]
LABELS = {
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "adam": "Adam",
    "adamw": "AdamW",
    "adafactor": "Adafactor",
    "adamw-8bit": "AdamW, 8-bit",
}
POLICIES = {"fp32": "all float32", "bf16": "all bfloat16", "bf16-master": "bfloat16 + float32 master"}

print("| Checkpoint | Tensors, predicted | Tensors, measured | File | File ÷ prediction |")
print("| --- | ---: | ---: | ---: | ---: |")
for precision in POLICIES:
    print(f"| **{POLICIES[precision]}** | | | | |")
    for name in LABELS:
        file, size = files[name, precision], predicted[name, precision]
        sizes = f"{size.total_bytes:,} | {file.bytes_in_tensors:,} | {file.bytes_on_disk:,}"
        print(f"| {LABELS[name]} | {sizes} | {file.bytes_on_disk / size.total_bytes:.4f} |")
# --8<-- [end:every_byte]

# --8<-- [start:ratios]
from safetensors.torch import save_file


def weights_alone(dtype):
    """The bytes of the file that is left when training is over."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_file({t.name: torch.zeros(t.shape, dtype=dtype) for t in small.distinct}, path)
        return weigh.inspect(path).bytes_on_disk


model_file = {name: weights_alone(getattr(torch, name)) for name in ("float32", "bfloat16")}
as_trained = {cell: files[cell].bytes_on_disk / model_file[weigh.PRECISIONS[cell[1]].weights] for cell in cells}
as_released = {cell: files[cell].bytes_on_disk / model_file["bfloat16"] for cell in cells}
# --8<-- [end:ratios]

# --8<-- [start:ratio_table]
# One row stands for both.
assert all(files["adam", precision].by_component == files["adamw", precision].by_component for precision in POLICIES)
LABELS["adamw"] = "Adam, AdamW"
ROWS = [optimizer for optimizer in LABELS if optimizer != "adam"]
GRID = [(optimizer, precision) for precision in POLICIES for optimizer in ROWS]


def in_rule(ratio):
    """Whether a ratio is two to three, to one decimal."""
    return 2 <= round(ratio, 1) <= 3


def marked(ratio):
    return f"**{ratio:.2f}×**" if in_rule(ratio) else f"{ratio:.2f}×"


print("| Checkpoint | Bytes per parameter, predicted | Measured | ÷ weights as trained | ÷ bf16 file |")
print("| --- | ---: | ---: | ---: | ---: |")
for precision in POLICIES:
    print(f"| **{POLICIES[precision]}** | | | | |")
    for name in ROWS:
        cell = name, precision
        expected, found = (n / small.parameters for n in (predicted[cell].total_bytes, files[cell].bytes_on_disk))
        ratios = f"{marked(as_trained[cell])} | {marked(as_released[cell])}"
        print(f"| {LABELS[name]} | {expected:.2f} | {found:.2f} | {ratios} |")

# What the prose says of this table.
assert [round(as_trained["adamw", precision], 1) for precision in POLICIES] == [3, 3, 7]
assert [round(as_released["adamw", precision], 1) for precision in POLICIES] == [6, 3, 7]
held_trained = {cell for cell in GRID if in_rule(as_trained[cell])}
held_released = {cell for cell in GRID if in_rule(as_released[cell])}
assert not [cell for cell in held_trained & held_released if cell[1] == "fp32"]
# --8<-- [end:ratio_table]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

seven = weigh.params("models/llama-2-7b")
seven_bytes = {cell: weigh.checkpoint(seven.distinct, *cell).total_bytes for cell in cells}
released = seven.bytes_as("bfloat16")
seven_times = {cell: seven_bytes[cell] / released for cell in cells}
assert all(abs(seven_times[cell] / as_released[cell] - 1) < 0.03 for cell in cells)
assert held_released == {cell for cell in GRID if in_rule(seven_times[cell])}

fig, ax = plt.subplots(figsize=(6.4, 3.9))
ax.axvspan(2, 3, color=plt.rcParams["grid.color"], alpha=0.5, linewidth=0)
ax.text(2.5, -0.62, "the rule", ha="center", va="center")
for precision, marker, colour in zip(POLICIES, "sDo", ("C0", "C1", "C2"), strict=True):
    dots = [as_released[optimizer, precision] for optimizer in ROWS]
    ticks = [seven_times[optimizer, precision] for optimizer in ROWS]
    ax.plot(ticks, range(len(ROWS)), "|", color=colour, markersize=20, markeredgewidth=1.5)
    ax.plot(dots, range(len(ROWS)), marker, color=colour, markersize=8, label=POLICIES[precision])
ax.set_yticks(range(len(ROWS)), [LABELS[optimizer] for optimizer in ROWS])
ax.set_xticks(range(1, 8), [f"{n}×" for n in range(1, 8)])
ax.set_ylim(len(ROWS) - 0.5, -0.95)
ax.set_xlim(0.6, 7.4)
ax.grid(axis="y", visible=False)
ax.grid(axis="x")
ax.set_xlabel("checkpoint ÷ released bfloat16 file")
fig.legend(loc="outside upper center", ncols=3, columnspacing=1, handletextpad=0.1, fontsize=11)

said = "; ".join(
    f"{LABELS[optimizer]} " + ", ".join(f"{as_released[optimizer, precision]:.1f}" for precision in POLICIES)
    for optimizer in ROWS
)
dots_in_words = (
    f"Checkpoint divided by the released bfloat16 file, for {', '.join(POLICIES.values())}: {said}. "
    "The band from 2 to 3 is the rule of thumb."
)
fig
# --8<-- [end:plot]

# --8<-- [start:seven]
claim, model_claim = 28 * 10**9, 14 * 10**9


def near(size, target):
    return abs(size / target - 1) < 0.05


print("| Llama-2-7B |", " | ".join(POLICIES.values()), "|")
print("| --- |", " ---: |" * len(POLICIES))
for optimizer in ROWS:
    row = []
    for precision in POLICIES:
        size = seven_bytes[optimizer, precision]
        text = f"**{format_bytes(size)}**" if near(size, claim) else format_bytes(size)
        row.append(f"{text}<br><small>{size:,}</small>")
    print(f"| {LABELS[optimizer]} |", " | ".join(row), "|")

assert seven.parameters == 6_738_415_616
assert {cell for cell in GRID if near(seven_bytes[cell], model_claim)} == {("sgd", "bf16"), ("adafactor", "bf16")}
near_28 = {cell for cell in GRID if near(seven_bytes[cell], claim)}
assert near_28 == {("sgd", "fp32"), ("adafactor", "fp32"), ("momentum", "bf16"), ("adamw-8bit", "bf16")}
smallest_adamw = min(seven_bytes["adamw", precision] for precision in POLICIES)
assert smallest_adamw == seven_bytes["adamw", "bf16"]
# --8<-- [end:seven]

# --8<-- [start:eight]
import math

eight = weigh.params("models/llama-3-8b")
mixed = weigh.checkpoint(eight.distinct, "adamw", "bf16-master")

optim_states = mixed.master_weight_bytes + mixed.optimizer_state_bytes
model_states = mixed.weight_bytes
for size in (optim_states, model_states, mixed.total_bytes):
    print(f"{size / eight.parameters:5.2f} bytes per parameter", end=" = ")
    print(format_bytes(size), "=", format_bytes(size, binary=True))

# `du -h` counts in GiB and rounds up.
assert math.ceil(optim_states / weigh.GiB) == 90
assert math.ceil(model_states / weigh.GiB) == 15
# --8<-- [end:eight]

# --8<-- [start:storage]
SAVES = 100
KEPT = [
    ("AdamW, all float32", seven_bytes["adamw", "fp32"]),
    ("AdamW, bfloat16 + float32 master", seven_bytes["adamw", "bf16-master"]),
    ("AdamW, 8-bit, all bfloat16", seven_bytes["adamw-8bit", "bf16"]),
    ("bfloat16 weights alone", released),
]
print(f"| Checkpoints kept, Llama-2-7B | 1 | 3 | 10 | {SAVES} |")
print("| --- | ---: | ---: | ---: | ---: |")
for label, size in KEPT:
    print(f"| {label} |", " | ".join(format_bytes(k * size) for k in (1, 3, 10, SAVES)), "|")

keep_all = SAVES * seven_bytes["adamw", "fp32"]
keep_some = 3 * seven_bytes["adamw", "fp32"] + SAVES * released
# --8<-- [end:storage]

# --8<-- [start:autocast]
layer = torch.nn.Linear(64, 64)
optimizer = torch.optim.AdamW(layer.parameters())
with torch.autocast("cpu", dtype=torch.bfloat16):
    output = layer(torch.randn(8, 64))
output.float().square().mean().backward()
optimizer.step()

kept = {weight.dtype for weight in layer.parameters()}
kept |= {t.dtype for state in optimizer.state.values() for t in state.values()}
print("computed in", output.dtype, "and kept in", *kept)
assert output.dtype == torch.bfloat16
assert kept == {torch.float32}
# --8<-- [end:autocast]

# --8<-- [start:eight_bit]
quantized = weigh.checkpoint(seven.distinct, "adamw-8bit", "fp32")
state_8bit = quantized.optimizer_state_bytes / seven.parameters
blocks = 2 * (1 + 4 / 256)  # for each moment: a byte, and its share of a scale
print(f"{blocks:.5f} bytes per parameter in blocks")
print(f"{state_8bit:.5f} with the small tensors and the tables of codes")
assert 0 < state_8bit - blocks < 0.001
# --8<-- [end:eight_bit]

# --8<-- [start:pure_bf16]
one = {dtype: torch.tensor(1.0, dtype=dtype) for dtype in (torch.bfloat16, torch.float32)}
for dtype, weight in one.items():
    for _ in range(1000):
        weight -= 0.001
    print(f"1 - 1000 × 0.001 in {dtype}: {weight.item():.4f}")
assert one[torch.bfloat16] == 1
assert abs(one[torch.float32]) < 1e-4

gap = torch.finfo(torch.bfloat16).eps / 2  # from 1 to the next number below
assert gap / 2 > 0.001
# --8<-- [end:pure_bf16]

# --8<-- [start:own]
tensors = weigh.params("models/llama-3-8b").distinct  # or: your config.json
yours = weigh.checkpoint(tensors, "adamw", "bf16-master")
print(f"{yours.total_bytes:,} bytes, {format_bytes(yours.total_bytes)}")
# --8<-- [end:own]

# --8<-- [start:wrong]
unstepped = save(torch.optim.AdamW, "fp32", steps=0)
assert unstepped.by_component["optimizer"] == 0

amsgrad = save(partial(torch.optim.AdamW, amsgrad=True), "fp32")
assert amsgrad.by_component["optimizer"] == files["adamw", "fp32"].by_component["optimizer"] + small.bytes_as("float32")

weight = torch.nn.Parameter(torch.randn(256, 256))
optimizer = AdamW8bit([weight])
weight.grad = torch.randn_like(weight)
with torch.compiler.set_stance("force_eager"):
    optimizer.step()
moments = [optimizer.state[weight][key] for key in ("exp_avg", "exp_avg_sq")]
believed = sum(moment.numel() * moment.element_size() for moment in moments) / weight.numel()
in_file = files["adamw-8bit", "fp32"].by_component["optimizer"] / small.parameters
assert believed == 8 and in_file < 2.1
# --8<-- [end:wrong]

# --8<-- [start:problems]
seventy = 70 * 10**9 * 12

embedding = next(tensor for tensor in eight.distinct if "embed_tokens" in tensor.name)
state_8b = weigh.checkpoint(eight.distinct, "adamw-8bit", "fp32").optimizer_state_bytes
codes = weigh.checkpoint([embedding], "adamw-8bit", "fp32").optimizer_state_bytes
moments_kept = weigh.checkpoint([embedding], "adamw", "fp32").optimizer_state_bytes
state_8b_stable = state_8b - codes + moments_kept

training = 2 + 2 + 4 + 4 + 4  # weights, gradients, master weights, two moments: bytes per parameter
assert training - 2 == round(mixed.total_bytes / eight.parameters, 3) == 14
# --8<-- [end:problems]
