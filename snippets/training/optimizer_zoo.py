"""The program of "The optimizer zoo": what was measured of real optimizers, against what weigh predicts of each."""

# --8<-- [start:quiet]
import logging

# torchao reports at import which of its GPU kernels are not there. No claim of this page needs one.
for name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(name).setLevel(logging.ERROR)
# --8<-- [end:quiet]

# --8<-- [start:rows]
import json
from dataclasses import replace
from pathlib import Path

import weigh

first, *lines = map(json.loads, Path("snippets/training/optimizer_zoo.jsonl").read_text("utf-8").splitlines())
rows = {(line["optimizer"], line["dtype"]): line for line in lines}
names = [name for name, dtype in rows if dtype == "float32"]
NAMES = ("embedding.weight", "layers.0.up.weight", "layers.0.up.bias", "layers.0.down.weight", "layers.0.down.bias",
         "layers.0.norm.weight", "layers.0.norm.bias", "scale")  # fmt: skip
named = zip(NAMES, first["weights"], strict=True)
weights = [weigh.Tensor(name, tuple(shape), "float32", name, 0, 0) for name, shape in named]
PARAMETERS = sum(weight.numel for weight in weights)
PRECISION = {"float32": "fp32", "bfloat16": "bf16"}

for (name, dtype), row in rows.items():
    policy = replace(weigh.PRECISIONS[PRECISION[dtype]], groups=row["groups"])
    row["predicted"] = weigh.checkpoint(weights, name, policy).optimizer_state_bytes
exact = sum(row["predicted"] == row["total"] for row in rows.values())
print(f"{exact} of {len(rows)} measurements as predicted, to the byte")
# --8<-- [end:rows]

# --8<-- [start:rows_claims]
assert exact == len(rows), "every optimizer keeps what weigh predicts"
known = list(dict.fromkeys(name.partition(":")[0] for name in weigh.OPTIMIZERS))
libraries = sorted({name.partition(":")[0] for name in names}, key=known.index)
per = {name: rows[name, "float32"]["total"] / PARAMETERS for name in names}
highest = max(per, key=lambda name: per[name])
assert per["torch:SGD"] == 0
# --8<-- [end:rows_claims]

# --8<-- [start:cells]
seven = weigh.params("models/llama-2-7b")


def at_7b(name, precision="fp32"):
    return weigh.checkpoint(seven.distinct, name, precision).optimizer_state_bytes


def cells(name):
    """The cells of a row: bytes per parameter of three kinds of weights, in all, in bfloat16, in the step, at 7B."""
    row, half = rows[name, "float32"], rows[name, "bfloat16"]
    own = row["shared"] < row["total"] / 2  # else all weights share one state
    kinds = [f"{row['of'][at] / weights[at].numel:,.3f}" if own or not row["total"] else "–" for at in (0, 1, 2)]
    return [
        *kinds, f"{row['predicted']:,}", f"{row['total']:,}",
        f"{row['total'] / row['predicted']:.3f}" if row["predicted"] else "–",
        f"{half['total'] / PARAMETERS:.3f}", f"{row['while_stepping'] / PARAMETERS:.2f}" if row["file"] else "–",
        f"{at_7b(name) / 1e9:,.2f}", ("yes" if row["loads"] else "no") if row["file"] else "–",
    ]  # fmt: skip


# --8<-- [end:cells]

# --8<-- [start:measure]
import io
from zipfile import ZipFile

import torch


def state_bytes(optimizer):
    """The bytes that an optimizer of PyTorch keeps: torch.save writes each block of memory once, and whole."""
    torch.save(optimizer.state_dict(), file := io.BytesIO())
    return sum(record.file_size for record in ZipFile(file).infolist() if "/data/" in record.filename)


def after_two_steps(make, *shapes):
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    optimizer = make(parameters)
    for _ in range(2):
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    return optimizer


ours = state_bytes(after_two_steps(torch.optim.AdamW, *map(tuple, first["weights"])))
print(f"AdamW of the zoo's model, here: {ours:,} bytes; kept in the rows: {rows['torch:AdamW', 'float32']['total']:,}")
# --8<-- [end:measure]

# --8<-- [start:measure_claims]
assert ours == rows["torch:AdamW", "float32"]["total"]
# --8<-- [end:measure_claims]

# --8<-- [start:short]
SHORT = ("adafactor", "adamw-8bit", "lion", "muon", "adam-mini", "adamw", "schedule-free", "prodigy", "soap", "shampoo")
meant = {short: weigh.OPTIMIZER_ALIASES[short] for short in SHORT}
print("| Optimizer | of | Table | Matrix | Bias | All | 7B, GB |\n| --- | --- |" + " ---: |" * 5)
for short in sorted(SHORT, key=lambda short: per[meant[short]]):
    row, library = rows[meant[short], "float32"], meant[short].partition(":")[0]
    kinds = " | ".join(f"{row['of'][at] / weights[at].numel:,.2f}" for at in (0, 1, 2))
    print(f"| `{short}` | {library} | {kinds} | {per[meant[short]]:,.2f} | {at_7b(short) / 1e9:,.2f} |")
# --8<-- [end:short]

# --8<-- [start:table]
HEAD = ("Optimizer", "Embedding", "Matrix", "Bias", "Predicted", "Measured", "Ratio", "bfloat16", "In the step",
        "7B, GB", "Loads")  # fmt: skip
RULE = "| --- |" + " ---: |" * 9 + " --- |"


PACKAGES = {"optimi": "torch-optimi", "trainer": "transformers"}  # which are not called as the library is


def table(library):
    """The optimizers of a library, folded, in a table that sorts."""
    own = [name for name in names if name.partition(":")[0] == library]
    lines = ["| " + " | ".join(HEAD) + " |", RULE]
    lines += [f"| {name.partition(':')[2]} | " + " | ".join(cells(name)) + " |" for name in own]
    body = "\n".join(f"    {line}" for line in lines)
    package = PACKAGES.get(library, library)
    head = f'??? abstract "{library}: {len(own)} row{"s" * (len(own) > 1)}, {package} {first["versions"][package]}"'
    return f'{head}\n\n    <div class="wm-sortable" markdown>\n\n{body}\n\n    </div>\n'


print("\n".join(map(table, libraries)))
# --8<-- [end:table]

# --8<-- [start:bias]
shampoo = rows["pytorch_optimizer:Shampoo", "float32"]["of"]
matrix, bias = shampoo[1], shampoo[2]
print(f"a matrix of 256 x 64: {4 * weights[1].numel:,} bytes, and its bias: {4 * weights[2].numel:,}")
print(f"Shampoo's state of them: {matrix:,} and {bias:,}")
# --8<-- [end:bias]

# --8<-- [start:bias_claims]
assert bias == 4 * (2 * 256**2 + 256), "two squares of the length, and momentum"
assert bias > 8 * 4 * weights[1].numel, "the state of the bias is eight matrices"
soap = rows["pytorch_optimizer:SOAP", "float32"]["of"][2]
assert soap == 8 * 256, "SOAP leaves vectors to Adam"
# --8<-- [end:bias_claims]

# --8<-- [start:adafactors]
FOUR = {
    "torch:Adafactor": "a row and a column",
    "trainer:adafactor": "the same, in float32 always",
    "pytorch_optimizer:AdaFactor": "momentum in bfloat16 besides",
    "optax:adafactor": "whole, since a side is below 128",
}
print("| Adafactor of | It keeps | float32 weights | bfloat16 weights |\n| --- | --- | ---: | ---: |")
for name, keeps in FOUR.items():
    sizes = [rows[name, dtype]["total"] / PARAMETERS for dtype in ("float32", "bfloat16")]
    print(f"| {name.partition(':')[0]} | {keeps} | {sizes[0]:.3f} | {sizes[1]:.3f} |")
# --8<-- [end:adafactors]

# --8<-- [start:ranks]
PAIRS = (
    ("galore-torch:GaLoreAdamW", ":rank=8"),
    ("apollo-torch:APOLLOAdamW", ":rank=8"),
    ("galore-torch:GaLoreAdafactor", ":rank=8"),
    ("pytorch_optimizer:GaLore", ":rank=32"),
    ("pytorch_optimizer:Fira", ":rank=32"),
)
print("| Optimizer | By name alone | With a rank | bfloat16, with a rank |\n| --- | ---: | ---: | ---: |")
for name, rank in PAIRS:
    sizes = [rows[each]["of"][1] / weights[1].numel
             for each in ((name, "float32"), (name + rank, "float32"), (name + rank, "bfloat16"))]  # fmt: skip
    print(f"| {name}{rank} | {' | '.join(f'{size:.3f}' for size in sizes)} |")
# --8<-- [end:ranks]

# --8<-- [start:ranks_claims]
for name, _ in PAIRS:
    alone = rows[name, "float32"]["of"][1] / weights[1].numel
    assert abs(alone - 8) < 0.01 or name.endswith("Adafactor"), "by name alone they are Adam"
wide, narrow = (at_7b("galore:rank=1024", each) for each in ("fp32", "bf16"))
assert wide > 3 * narrow, "in float32 the whole factor stays"
plain, projected = (rows[f"galore-torch:GaLoreAdafactor{rank}", "float32"]["total"] for rank in ("", ":rank=8"))
assert projected > 4 * plain, "GaLore makes Adafactor's state larger"
# --8<-- [end:ranks_claims]

# --8<-- [start:bits]
import torchao

torch.compiler.set_stance("force_eager")  # else its step is compiled, which takes a minute and keeps the same
print("| Weight | Parameters | State, bytes per parameter | |\n| --- | ---: | ---: | --- |")
for shape, why in {
    (1000, 64): "8 bits",
    (1000, 65): "not whole blocks of 256",
    (50257, 64): "not whole blocks of 256",
    (63, 64): "fewer than 4,096",
    (64, 64): "8 bits, with two tables of 256 values",
}.items():
    kept = state_bytes(after_two_steps(torchao.optim.AdamW8bit, shape)) - 4  # the learning rate is a tensor too
    whole = weigh.Tensor("weight", shape, "float32", "weight", 0, 0)
    assert kept + 4 == weigh.checkpoint([whole], "adamw-8bit").optimizer_state_bytes
    print(f"| {shape[0]:,} × {shape[1]} | {whole.numel:,} | {kept / whole.numel:.3f} | {why} |")
# --8<-- [end:bits]

# --8<-- [start:muon]
smol = weigh.params("models/smollm2-135m")
muon = [weigh.checkpoint(model.distinct, "muon").optimizer_state_bytes / model.parameters for model in (seven, smol)]
print(f"Muon, bytes per parameter: Llama-2-7B {muon[0]:.2f}, SmolLM2-135M {muon[1]:.2f}")
# --8<-- [end:muon]

# --8<-- [start:kahan]
kahan = rows["optimi:AdamW", "bfloat16"]["total"] / PARAMETERS
plain_half = rows["torch:AdamW", "bfloat16"]["total"] / PARAMETERS
assert round(kahan) == 6 and round(plain_half) == 4
# --8<-- [end:kahan]

# --8<-- [start:lbfgs]
torch.set_num_threads(1)
torch.manual_seed(0)
points, labels = torch.randn(2000, 300) * torch.logspace(-1, 1, 300), torch.rand(2000).round()
plane = torch.nn.Parameter(torch.zeros(300))
lbfgs = torch.optim.LBFGS([plane], max_iter=5)


def closure():
    lbfgs.zero_grad()
    loss = torch.nn.functional.binary_cross_entropy_with_logits(points @ plane, labels, reduction="sum")
    loss.backward()
    return loss


pairs = lbfgs.param_groups[0]["history_size"]
grown = []
for _ in range(3):
    lbfgs.step(closure)
    grown.append(state_bytes(lbfgs) / plane.numel())
print("L-BFGS, bytes per parameter after each step:", ", ".join(f"{size:.0f}" for size in grown))
# --8<-- [end:lbfgs]

# --8<-- [start:refused]
refused = [name for name in names if rows[name, "float32"]["file"] and not rows[name, "float32"]["loads"]]
print(f"{len(refused)} files that weights_only refuses:", *refused, sep="\n")
# --8<-- [end:refused]

# --8<-- [start:refused_claims]
torch.save(after_two_steps(torchao.optim.AdamW8bit, (64, 64)).state_dict(), saved := io.BytesIO())
saved.seek(0)
trusted = torch.serialization.get_safe_globals()
torch.serialization.clear_safe_globals()  # what importing torchao has put there
asked = torch.serialization.get_unsafe_globals_in_checkpoint(saved)
torch.serialization.add_safe_globals(trusted)
assert any(name.startswith("torchao.") for name in asked), "without torchao its classes are refused"
saved.seek(0)
assert not torch.serialization.get_unsafe_globals_in_checkpoint(saved)
# --8<-- [end:refused_claims]


# --8<-- [start:problems]
def kept_of(name, *shape, precision="fp32"):
    tensor = weigh.Tensor("layers.0.weight", shape, "float32", "weight", 0, 0)
    return weigh.checkpoint([tensor], name, precision).optimizer_state_bytes


long_bias = kept_of("pytorch_optimizer:Shampoo", 4096)
square_bf16 = kept_of("galore-torch:GaLoreAdamW:rank=512", 4096, 4096, precision="bf16")
square_fp32 = kept_of("galore-torch:GaLoreAdamW:rank=512", 4096, 4096)
one_more, one_less = (kept_of("torchao:AdamW8bit", tokens, 100) / (tokens * 100) for tokens in (32_001, 32_000))
# --8<-- [end:problems]
