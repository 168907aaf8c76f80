"""The program of "Memory to train": predictions held against real steps and real forward passes."""

# --8<-- [start:quiet]
import logging
import os

os.environ["KINETO_LOG_LEVEL"] = "6"  # PyTorch's profiler, which would report its stages

# torchao reports at import which of its GPU kernels are not there. No claim of this page needs one.
for name in ("torchao", "torch.utils._pytree", "transformers"):
    logging.getLogger(name).setLevel(logging.ERROR)
# --8<-- [end:quiet]

# --8<-- [start:model]
import json
import tempfile
from pathlib import Path

import torch
import transformers

import weigh
from weigh import format_bytes

torch.manual_seed(0)
torch.set_num_threads(1)

config = {
    "model_type": "llama",
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
}
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "config.json").write_text(json.dumps(config))
    small = weigh.params(folder)


def llama(dtype, attention="sdpa"):
    """A real one, with `sdpa`, PyTorch's fused attention, or `eager`, which stores its scores."""
    settings = transformers.AutoConfig.for_model(**config, use_cache=False)
    model = transformers.AutoModelForCausalLM.from_config(settings, attn_implementation=attention)
    return model.to(getattr(torch, dtype)).train()


def batch_of(batch, sequence):
    """Random tokens, and labels to predict."""
    ids = torch.randint(0, config["vocab_size"], (batch, sequence))
    return {"input_ids": ids, "labels": ids}


# --8<-- [end:model]

# --8<-- [start:optimizers]
from torchao.optim import AdamW8bit


def muon(named):
    """Muon for the matrices inside the layers, AdamW for the rest."""
    hidden = {name for name, weight in named.items() if ".layers." in name and weight.ndim == 2}
    yield torch.optim.Muon([weight for name, weight in named.items() if name in hidden])
    yield torch.optim.AdamW([weight for name, weight in named.items() if name not in hidden])


def one(make, **settings):
    """One optimizer for all weights."""
    return lambda named: [make(named.values(), **settings)]


OPTIMIZERS = {
    "sgd": one(torch.optim.SGD),
    "momentum": one(torch.optim.SGD, momentum=0.9),
    "adam": one(torch.optim.Adam),
    "adamw": one(torch.optim.AdamW),
    "amsgrad": one(torch.optim.Adam, amsgrad=True),
    "adafactor": one(torch.optim.Adafactor),
    "muon": muon,
    "adamw-8bit": one(AdamW8bit),
}
assert set(OPTIMIZERS) <= set(weigh.OPTIMIZER_ALIASES)


def nbytes(tensor):
    """The bytes of a tensor; of a quantized one, those of the tensors it is made of."""
    inside = tensor.__tensor_flatten__()[0] if hasattr(tensor, "__tensor_flatten__") else []
    return sum(nbytes(getattr(tensor, part)) for part in inside) or tensor.untyped_storage().nbytes()


def master_of(weight):
    """A copy in float32, with its gradient, for the optimizer to update."""
    master = torch.nn.Parameter(weight.detach().float())
    master.grad = weight.grad.float()
    return master


def free_gradients(keeps, weights, updated):
    """Keep gradients where the policy keeps them: beside the weights, beside the master weights, or both."""
    for weight in weights.values() if keeps.gradients != keeps.weights else ():
        weight.grad = None
    if keeps.master and keeps.gradients != keeps.state and not keeps.master_gradients:
        for master in updated.values():
            master.grad = None


POLICIES = weigh.PRECISIONS | weigh.MEGATRON
# --8<-- [end:optimizers]


# --8<-- [start:train]
def train(optimizer, precision):
    """Take a step, and weigh all tensors that are kept until the next one."""
    keeps = POLICIES[precision]
    model = llama(keeps.weights)
    weights = updated = dict(model.named_parameters())
    model(**batch_of(1, 32)).loss.backward()
    if keeps.master:
        updated = {name: master_of(weight) for name, weight in weights.items()}
    optimizers = list(OPTIMIZERS[optimizer](updated))
    for part in optimizers:
        part.step()
    free_gradients(keeps, weights, updated)
    kept = {*weights.values(), *updated.values()}
    kept |= {weight.grad for weight in kept if weight.grad is not None}
    for part in optimizers:
        for part_of in (*part.state.values(), *part.param_groups):
            kept |= set(filter(torch.is_tensor, part_of.values()))  # torchao's learning rate is a tensor of its group
    return sum(map(nbytes, kept))


# --8<-- [end:train]

# --8<-- [start:compare]
cells = [(name, precision) for name in OPTIMIZERS for precision in weigh.PRECISIONS]
cells += [("adamw", precision) for precision in weigh.MEGATRON]
runs = {cell: weigh.training(small, *cell, batch=1, sequence=32) for cell in cells}
predicted = {cell: run.state_bytes for cell, run in runs.items()}
with torch.compiler.set_stance("force_eager"):  # torchao would compile for a minute
    measured = {cell: train(*cell) for cell in cells}

assert measured == predicted, "Every byte is as predicted"
print(f"{len(cells)} steps of {len(OPTIMIZERS)} optimizers: every byte as predicted")
# --8<-- [end:compare]

# --8<-- [start:table]
LABELS = {
    "sgd": "SGD",
    "momentum": "SGD + momentum",
    "adam": "Adam",
    "adamw": "AdamW",
    "amsgrad": "AMSGrad",
    "adafactor": "Adafactor",
    "muon": "Muon + AdamW",
    "adamw-8bit": "AdamW, 8-bit",
}
eight = weigh.params("models/llama-3-8b")
TOKENS = 2048


def state_of_eight(optimizer, precision="bf16-master", **options):
    return weigh.training(eight, optimizer, precision, batch=1, sequence=TOKENS, **options).state_bytes


print("| Optimizer | float32 | bfloat16 | + float32 master | Llama-3-8B |")
print("| --- | ---: | ---: | ---: | ---: |")
for optimizer, label in LABELS.items():
    row = []
    for precision in weigh.PRECISIONS:
        both = (found[optimizer, precision] / small.parameters for found in (predicted, measured))
        row.append(" / ".join(f"{each:.2f}" for each in both))
    print(f"| {label} |", " | ".join(row), f"| {format_bytes(state_of_eight(optimizer))} |")

counted_bytes = 2, 2, 4, 8  # weights, gradients, master weights, two moments
per_parameter = {cell: size / small.parameters for cell, size in measured.items()}
assert sum(counted_bytes) == round(per_parameter["adamw", "bf16-master"], 2)
assert [round(per_parameter["adamw", precision], 1) for precision in POLICIES] == [16, 8, 16, 18, 20]
eight_each = {name: state_of_eight(name) / eight.parameters for name in LABELS}
adafactor_state = weigh.training(eight, "adafactor", batch=1, sequence=TOKENS).optimizer_state_bytes
assert adafactor_state < 0.002 * eight.parameters, "Adafactor keeps hardly anything"
assert max(eight_each, key=eight_each.get) == "amsgrad", "AMSGrad needs the most"
# --8<-- [end:table]


# --8<-- [start:saved]
def saved(model, batch, sequence):
    """The bytes that a forward pass saves for the backward pass."""
    tensors = (*model.parameters(), *model.buffers())
    own = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:  # and each once
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(**batch_of(batch, sequence))
    assert output.loss.isfinite()
    return sum(storage.nbytes() for storage in kept.values())


# --8<-- [end:saved]

# --8<-- [start:activations]
SETTINGS = {
    "fused attention": ("sdpa", "none"),
    "scores stored": ("eager", "none"),
    "fused, layers recomputed": ("sdpa", "full"),
}
SHAPES = [(1, 128), (2, 128), (1, 256)]

forward, estimate = {}, {}
print("| Attention | Batch | Tokens | Predicted | Measured | Measured ÷ predicted | ÷ first row |")
print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
for label, (attention, recompute) in SETTINGS.items():
    for batch, sequence in SHAPES:
        cell = label, batch, sequence
        options = {"recompute": recompute, "fused_attention": attention == "sdpa"}
        estimate[cell] = weigh.activations(small, batch=batch, sequence=sequence, **options).kept_bytes
        model = llama("bfloat16", attention)
        if recompute == "full":
            model.activation_checkpointing_enable()
        forward[cell] = saved(model, batch, sequence)
        off, growth = forward[cell] / estimate[cell], forward[cell] / forward[label, 1, 128]
        assert abs(off - 1) < 0.05, "Activations are within five percent"
        sizes = f"{estimate[cell]:,} | {forward[cell]:,} | {off:.4f} | {growth:.2f}×"
        print(f"| {label} | {batch} | {sequence} | {sizes} |")

worst = max(abs(forward[cell] / estimate[cell] - 1) for cell in forward)
longer = {label: forward[label, 1, 256] / forward[label, 1, 128] for label in SETTINGS}
assert abs(longer["fused attention"] - 2) < 0.01 and longer["scores stored"] > 2.3

known, refused = set(), set()
for directory in sorted(path.parent for path in Path("models").glob("*/config.json")):
    family = weigh.params(directory)
    try:
        weigh.activations(family, batch=1, sequence=64)
        known.add(family.model_type)
    except weigh.WeighError:
        refused.add(family.model_type)
# --8<-- [end:activations]

# --8<-- [start:peak]
from torch.profiler import ProfilerActivity, profile


def steps_of(accumulate, steps=2, batch=4, sequence=128):
    """The most that is allocated at once in each step of training in float32, from every allocation."""
    model = llama("float32")
    optimizer = torch.optim.AdamW(model.parameters())
    before = sum(weight.nbytes for weight in model.parameters())
    for _ in range(steps):
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
            for _ in range(accumulate):
                loss = model(**batch_of(batch // accumulate, sequence)).loss / accumulate
                loss.backward()
                del loss
            optimizer.step()
            optimizer.zero_grad()
        events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
        now = peak = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            now += event.nbytes()
            peak = max(peak, now)
        yield before + peak
        before = sum(weight.nbytes for weight in model.parameters())
        before += sum(tensor.nbytes for state in optimizer.state.values() for tensor in state.values())


# --8<-- [end:peak]

# --8<-- [start:peaks]
torch.manual_seed(0)
first, peaks = {}, {}
for parts in (1, 4):
    first[parts], peaks[parts] = steps_of(parts)
    batch = {"batch": 4, "sequence": 128, "accumulate": parts}
    low = weigh.training(small, "adamw", "fp32", **batch).range.low
    off = peaks[parts] / low
    print(f"batch of 4 in {parts}: predicted {low:,} bytes, measured {off:.3f}×")
    assert abs(off - 1) < 0.005, "The peak is the low end of the range"
# --8<-- [end:peaks]

# --8<-- [start:eight]
work = weigh.training(eight, "adamw", "bf16-master", batch=1, sequence=TOKENS)
print("| Of Llama-3-8B | Formula | With its numbers | Bytes |")
print("| --- | --- | --- | ---: |")
for step in work.steps:
    print(f"| {step.name} | {step.formula} | {step.substituted} | {step.value:,} |")
print(f"| **together** | | | **{work.total_bytes:,}** |")

per_token = work.activation_bytes / TOKENS
assert work.activation_bytes == TOKENS * round(per_token), "With fused attention, activations are so much a token"
with tempfile.TemporaryDirectory() as folder:  # what a layer keeps: the difference that one more makes
    Path(folder, "config.json").write_text(json.dumps(eight.config.fields | {"num_hidden_layers": 33}))
    one_more = weigh.activations(weigh.params(folder), batch=1, sequence=TOKENS).kept_bytes
per_width = (one_more - weigh.activations(eight, batch=1, sequence=TOKENS).kept_bytes) / (TOKENS * 4096)
crossing = work.state_bytes / per_token
crossing_64 = state_of_eight("adamw", zero=3, devices=64) / per_token
# --8<-- [end:eight]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

lengths = [2**power for power in range(9, 18)]
CURVES = {
    "scores stored": {"fused_attention": False},
    "fused attention": {},
    "fused, layers recomputed": {"recompute": "full"},
}
curves = {
    label: [weigh.activations(eight, batch=1, sequence=T, **options).total_bytes / 1e9 for T in lengths]
    for label, options in CURVES.items()
}
recomputed = weigh.activations(eight, batch=1, sequence=TOKENS, recompute="full")
of_loss = sum(step.value for step in recomputed.steps if "V" in step.formula) / recomputed.total_bytes

fig, ax = plt.subplots(figsize=(6.4, 3.7))
for label, sizes in curves.items():
    ax.plot(lengths, sizes, label=label)
ax.axhline(work.state_bytes / 1e9, color=plt.rcParams["axes.edgecolor"], linewidth=1)
ax.text(lengths[0], work.state_bytes / 1e9 * 1.2, "16 bytes per parameter")
ax.set_xscale("log", base=2)
ax.set_yscale("log")
ax.set_xticks(lengths[::2], [f"{T:,}" for T in lengths[::2]])
ax.set_yticks([1, 10, 100, 1000, 10_000], ["1", "10", "100", "1,000", "10,000"])
ax.set_ylim(0.7, 20_000)
ax.set_xlabel("tokens on the device, in one sequence")
ax.set_ylabel("GB")
fig.legend(loc="outside upper center", ncols=3, columnspacing=1, fontsize=10)
curves_in_words = "Activations of Llama-3-8B in GB against tokens. " + " ".join(
    f"{label}: " + ", ".join(f"{T} {size:.3g}" for T, size in zip(lengths, sizes, strict=True)) + "."
    for label, sizes in curves.items()
)
fig
# --8<-- [end:plot]

# --8<-- [start:zero]
published = {0: 120, 1: 31.4, 2: 16.6, 3: 1.9}  # GB


def paper(stage, devices):
    """GB on each device, of 7.5 billion parameters with Adam, mixed precision."""
    size = state_of_eight("adam", zero=stage, devices=devices)
    return size / eight.parameters * 7.5


for stage, figure in published.items():
    found = paper(stage, 64)
    print(f"stage {stage}: {found:6.2f} GB, published {figure}")
    assert round(found, 1) == figure, "The ZeRO paper's figure is reproduced"
# --8<-- [end:zero]

# --8<-- [start:zero_plot]
WHAT = ["nothing divided", "1: state, master weights", "2: gradients too", "3: weights too"]
many = [2**power for power in range(11)]

fig, ax = plt.subplots(figsize=(6.4, 3.6))
for stage, what in enumerate(WHAT):
    (line,) = ax.plot(many, [paper(stage, N) for N in many], label=what)
    ax.plot([64], [published[stage]], "o", color=line.get_color(), markersize=7)
ax.set_xscale("log", base=2)
ax.set_yscale("log")
ax.set_xticks(many, map(str, many))
ax.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
ax.set_xlabel("devices, N")
ax.set_ylabel("GB on each")
fig.legend(loc="outside upper center", ncols=2, columnspacing=1, fontsize=10)
zero_in_words = "GB on each of 1, 8, 64 and 1024 devices. " + "; ".join(
    f"stage {stage}, {what}: " + ", ".join(f"{paper(stage, N):.3g}" for N in (1, 8, 64, 1024))
    for stage, what in enumerate(WHAT)
)
fig
# --8<-- [end:zero_plot]

# --8<-- [start:lora]
from functools import partial

RUNS = {
    "Full": {},
    "LoRA": {"lora": weigh.Lora(16)},
    "QLoRA": {"lora": weigh.Lora(16, nf4=True)},
    "QLoRA, recomputed": {"lora": weigh.Lora(16, nf4=True), "recompute": "full"},
}
eight_with = partial(weigh.training, eight, batch=1, sequence=TOKENS)
tuned = {name: eight_with(**options) for name, options in RUNS.items()}
# --8<-- [end:lora]

# --8<-- [start:lora_table]
print("| Llama-3-8B, AdamW |", " | ".join(RUNS), "|\n| --- |", "---: |" * len(RUNS))
print("| parameters trained |", " | ".join(f"{run.trainable_parameters:,}" for run in tuned.values()), "|")
ROWS = {
    "weight": "weights",
    "gradient": "gradients",
    "master_weight": "master weights",
    "optimizer_state": "optimizer state",
    "activation": "activations",
    "total": "total",
    "checkpoint": "checkpoint",
}
for row, label in ROWS.items():
    sizes = [format_bytes(getattr(run, f"{row}_bytes")) for run in tuned.values()]
    print(f"| {label} |", " | ".join(size.replace("0 bytes", "0") for size in sizes), "|")
ranges = [f"{run.range.low / 1e9:.0f} to {run.range.high / 1e9:.0f} GB" for run in tuned.values()]
print("| range of the total |", " | ".join(ranges), "|")

lora, qlora, recomputing = (tuned[name] for name in list(RUNS)[1:])
assert lora.trainable_parameters == 41_943_040 and lora.master_weight_bytes == 0
assert round(lora.checkpoint_bytes / 1e6) == 503, "LoRA of rank 16 takes 503 MB to resume"
assert qlora.activation_bytes > qlora.weight_bytes, "Of QLoRA, most is activations"
# --8<-- [end:lora_table]


# --8<-- [start:adapters]
class Adapted(torch.nn.Module):
    """A frozen linear layer and its adapter in float32, as PEFT computes them without dropout."""

    def __init__(self, base, rank):
        super().__init__()
        self.base = base
        self.lora_A = torch.nn.Linear(base.in_features, rank, bias=False)
        self.lora_B = torch.nn.Linear(rank, base.out_features, bias=False)

    def forward(self, x):
        frozen = self.base(x)
        return (frozen + self.lora_B(self.lora_A(x.float()))).to(frozen.dtype)


adapted = llama("bfloat16").requires_grad_(False)
for path, module in list(adapted.named_modules()):
    if isinstance(module, torch.nn.Linear) and ".layers." in path:
        parent, _, child = path.rpartition(".")
        setattr(adapted.get_submodule(parent), child, Adapted(module, 4))
small_lora = weigh.training(small, batch=2, sequence=128, lora=weigh.Lora(4))
assert sum(w.numel() for w in adapted.parameters() if w.requires_grad) == small_lora.trainable_parameters

kept_lora = saved(adapted, 2, 128)
moment = weigh.activations(small, batch=2, sequence=128).moment  # of the backward pass, which is not measured
over = (small_lora.activation_bytes - moment.value) / kept_lora
more = kept_lora / forward["fused attention", 2, 128]
assert 1 < over < 1.25, "The estimate for adapters is too high by less than a quarter"
assert more > 1, "LoRA keeps more than full training"
print(f"activations with adapters ÷ those of full training: {more:.2f}")
print(f"predicted ÷ measured: {over:.2f}")
# --8<-- [end:adapters]

# --8<-- [start:multiples]
seven = weigh.params("models/llama-2-7b")
NAMES = {
    "fp32": "all float32",
    "bf16": "all bfloat16",
    "bf16-master": "bfloat16, float32 master",
    "bf16-megatron": "the same, gradients float32 (Megatron-LM)",
    "fp16-megatron": "float16, gradients in both (Megatron-LM)",
}
print("| AdamW | Bytes per parameter, measured | ÷ weights | Llama-2-7B |\n| --- | ---: | ---: | ---: |")
times, of_seven = {}, {}
for precision, label in NAMES.items():
    each = per_parameter["adamw", precision]
    times[precision] = each / (weigh.DTYPES[POLICIES[precision].weights].bits // 8)
    of_seven[precision] = weigh.training(seven, "adamw", precision, batch=1, sequence=1).state_bytes
    print(f"| {label} | {each:.2f} | {times[precision]:.1f}× | {format_bytes(of_seven[precision])} |")

assert [round(multiple, 1) for multiple in times.values()] == [4, 4, 8, 9, 10]
# --8<-- [end:multiples]

# --8<-- [start:halves]
wide, mixed = (eight_with(precision=name) for name in ("fp32", "bf16-master"))
print(f"state        {mixed.state_bytes / wide.state_bytes:.2f}×")
print(f"activations  {mixed.activation_bytes / wide.activation_bytes:.2f}×")
print(f"together     {mixed.total_bytes / wide.total_bytes:.2f}×")
assert mixed.state_bytes == wide.state_bytes, "Of the state it saves nothing"
# --8<-- [end:halves]

# --8<-- [start:accumulate]
model = llama("float32")
rows = batch_of(4, 128)
for row, padding in enumerate((0, 40, 80, 120)):
    rows["labels"] = rows["labels"].clone()
    rows["labels"][row, :padding] = -100  # not counted in the loss


def gradient(parts, shares):
    """The gradient of a batch, computed in parts of which each has a share in the loss."""
    model.zero_grad()
    for part, share in zip(parts, shares, strict=True):
        (share * model(**{name: ids[part] for name, ids in rows.items()}).loss).backward()
    return torch.cat([weight.grad.flatten() for weight in model.parameters()])


whole = gradient([slice(0, 4)], [1])
singly = [slice(row, row + 1) for row in range(4)]
counted = [(rows["labels"][part, 1:] != -100).sum().item() for part in singly]
by_tokens = gradient(singly, [count / sum(counted) for count in counted])
by_parts = gradient(singly, [1 / 4] * 4)
off = {
    name: ((found - whole).norm() / whole.norm()).item()
    for name, found in (("by tokens", by_tokens), ("by parts", by_parts))
}
assert off["by tokens"] < 1e-4 < 0.05 < off["by parts"]
in_one, in_eight = (weigh.training(eight, batch=8, sequence=TOKENS, accumulate=parts) for parts in (1, 8))
# --8<-- [end:accumulate]

# --8<-- [start:published]
from weigh.memory.activations import korthikanti

gpt = {"s": 2048, "b": 1, "h": 4096, "a": 32, "L": 32}
token_numbers = gpt["s"] * gpt["b"] * gpt["h"] * gpt["L"]
per_number = {kind: korthikanti(**gpt, recompute=kind) // token_numbers for kind in ("none", "selective", "full")}
assert per_number == {"none": 114, "selective": 34, "full": 2}

BLOG = "[a blog](https://tisu19021997.github.io/blog/science/LLM-GPU-memory-calculation)"
BOOK = "[a book on scaling](https://jax-ml.github.io/scaling-book/training/)"
PLAYBOOK = "[Ultra-Scale](https://huggingface.co/spaces/nanotron/ultrascale-playbook/discussions/104)"
ACCELERATE = "[accelerate](https://huggingface.co/docs/accelerate/usage_guides/model_size_estimator), float16"
SCRIPT = (
    "[EleutherAI, 827ee3b](https://github.com/EleutherAI/cookbook/blob/"
    "827ee3b293a63f14403f1467d08c91fda213f4e6/calc/calc_transformer_mem.py)"
)
SUMS = [
    (BLOG, "adamw", 8, "in all", "weights, gradients, master copy"),
    (BLOG, "adafactor", 4, "in all", "weights and gradients, or the master copy"),
    (BLOG, "adamw-8bit", 2, "in all", "weights, gradients, master copy"),
    (ACCELERATE, "adam", 8, "in all", "the master copy, and half of each moment"),
    (BOOK, "adam", 10, "in all", "gradients and master copy, as it says"),
    (PLAYBOOK, "adam", 12, "in all", "the master copy"),
    (SCRIPT, "muon", 8, "state and master copy", "AdamW's second moment for embeddings and head"),
    (SCRIPT, "adamw-8bit", 6, "state and master copy", "nothing, but it adds 2 + 2 + 2, not 4 + 1 + 1"),
]
print("| Where | Of | Published | Needed | Left out |\n| --- | --- | ---: | ---: | --- |")
for where, optimizer, says, counts, missing in SUMS:
    needed = eight_each[optimizer] - (0 if counts == "in all" else 4)  # without weights and gradients of 2 bytes
    print(f"| {where} | {LABELS[optimizer]}, {counts} | {says} | {needed:.2f} | {missing} |")
    assert says < needed, "Each is too low"

assert f"{8 * 433_249_280 // 4 / 2**20:.2f}" == "826.36", "accelerate's MB for BERT are 8 bytes per parameter"
bars = [f"{each * eight.parameters / weigh.GiB:.2f}" for each in (2, 8)]
assert bars == ["14.96", "59.83"], "Ultra-Scale's bars for 8B are 2, 2 and 8 bytes per parameter"

L, D, F, T, V = 32, 4096, 11_008, 4096, 32_000  # Llama-2-7B, of which the script counts positions and biases too
counted_by_script = 2 * V * D + T * D + (8 * L + 2) * D + 4 * L * D * D + 3 * L * D * F
undivided, twice_divided = 4 * counted_by_script / weigh.GiB, 2 * counted_by_script / 8 / 64 / weigh.GiB
assert (f"{undivided:.2f}", f"{twice_divided:.2f}") == ("25.17", "0.02"), "What the script prints"
# --8<-- [end:published]

# --8<-- [start:own]
yours = weigh.training(
    weigh.params("models/llama-3-8b"),  # or: your config.json
    "adamw",
    "bf16-master",
    zero=3,
    devices=8,
    batch=1,
    sequence=2048,
)
print(format_bytes(yours.total_bytes), "on each device, between", end=" ")
print(format_bytes(yours.range.low), "and", format_bytes(yours.range.high))
# --8<-- [end:own]

# --8<-- [start:problems]
seventy = weigh.params("models/llama-3-70b")
state_70b = weigh.training(seventy, batch=1, sequence=1).state_bytes
devices_70b = -(-state_70b // (80 * weigh.GB))
share_70b = weigh.training(seventy, batch=1, sequence=1, zero=3, devices=devices_70b).state_bytes

stored_8k, fused_8k = (
    weigh.activations(eight, batch=1, sequence=8192, fused_attention=fused) for fused in (False, True)
)
stored_2k = weigh.activations(eight, batch=1, sequence=2048, fused_attention=False)
scores_2k, scores_8k = (
    sum(step.value for step in kept.steps if step.name == "attention scores") for kept in (stored_2k, stored_8k)
)
assert scores_8k == 16 * scores_2k, "A score for each pair of tokens"
card = 24 * weigh.GiB
assert qlora.range.low < card < qlora.range.high, "Whether QLoRA fits 24 GiB is open"
assert recomputing.range.high < card, "With recomputation it fits"
# --8<-- [end:problems]
