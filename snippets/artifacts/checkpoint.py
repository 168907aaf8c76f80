"""The program of "Checkpoint": Quill's training checkpoint is opened entry by entry, then mistaken in nine ways."""

# --8<-- [start:save]
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import weigh
from quill import tokenizer
from quill.evaluation import mean_loss
from quill.model import Quill
from quill.training import Plan, train

torch.set_num_threads(1)
folder = TemporaryDirectory()
path = Path(folder.name, "checkpoint.pt")
play = Path("models/quill/held-out.txt").read_text(encoding="utf-8")
ids = torch.tensor(tokenizer.read("models/quill").encode(play).ids)

plan = Plan(steps=2, batch=2, every=1, peak=3e-4, warmup=1)
train(Quill.read("models/quill-draft"), ids, ids[:257], plan, path)
saved = torch.load(path)
print(*saved)
# --8<-- [end:save]

# --8<-- [start:entries]
PURPOSE = {
    "model": ("The weights, by name", "nothing to resume or to serve"),
    "optimizer": ("Averages of each weight's gradients", "another run from the next step on"),
    "plan": ("How it is trained, the seed too", "no check that the plan is the same"),
    "step": ("Updates so far: rate and batch follow", "batches seen twice, another rate"),
    "history": ("Losses so far", "a curve without its beginning"),
}
assert set(saved) == set(PURPOSE), "every entry is explained"


def size_of(entry):
    """Tensors, and their bytes, of an entry; plain numbers lie in the pickle."""
    tensors = [t for t in contents.named if t.name.startswith(f"{entry}.")]
    return len(tensors), sum(t.nbytes for t in tensors)


contents = weigh.inspect(path)
print("| Entry | What it is | Lost without it | Bytes | Tensors |\n| --- | --- | --- | ---: | ---: |")
for entry, (purpose, without) in PURPOSE.items():
    count, size = size_of(entry)
    print(f"| `{entry}` | {purpose} | {without} | {f'{size:,}' if size else 'in the pickle'} | {count or '–'} |")
# --8<-- [end:entries]

# --8<-- [start:weights]
print("| Tensors of `model` | Shape | Count | Parameters |\n| --- | --- | ---: | ---: |")
kinds = {}
for name, tensor in saved["model"].items():
    kind = ".".join(part for part in name.split(".")[1:-1] if not part.isdigit()).replace("layers.", "")
    kinds.setdefault((kind, tuple(tensor.shape)), []).append(tensor.numel())
for (kind, shape), counts in kinds.items():
    print(f"| {kind} | {' × '.join(map(str, shape))} | {len(counts)} | {sum(counts):,} |")
# --8<-- [end:weights]

# --8<-- [start:two_files]
served = weigh.inspect("models/quill-draft/model.safetensors")
print("| Component | Training, bytes | Inference, bytes |\n| --- | ---: | ---: |")
for part, size in contents.by_component.items():
    if size or served.by_component[part]:
        print(f"| {part} | {size:,} | {served.by_component[part]:,} |")
print(f"| **file** | {contents.bytes_on_disk:,} | {served.bytes_on_disk:,} |")
# --8<-- [end:two_files]

# --8<-- [start:file_claims]
parts = contents.by_component
assert parts["weights"] == served.by_component["weights"] == 4 * served.parameters
assert parts["optimizer"] == 2 * parts["weights"] + 4 * len(saved["model"])
assert parts["rng"] == 0, "Quill draws each batch from seed and step, so no state of a generator is kept"
ratio = contents.bytes_on_disk / served.bytes_on_disk
assert 2.9 < ratio < 3.3
# --8<-- [end:file_claims]

# --8<-- [start:mistakes]
LAYER = "model.layers.1."
QUERY = LAYER + "self_attn.q_proj.weight"  # 64 × 64
KEY = LAYER + "self_attn.k_proj.weight"  # 32 × 64


def changed(name, change):
    return lambda state: state | {name: change(state[name])}


def everywhere(change):
    return lambda state: {name: change(tensor) for name, tensor in state.items()}


MISTAKES = {
    "A tensor missing": lambda state: {name: t for name, t in state.items() if name != QUERY},
    "A layer missing": lambda state: {name: t for name, t in state.items() if not name.startswith(LAYER)},
    "A tensor too many": lambda state: state | {"lm_head.weight": state["model.embed_tokens.weight"].clone()},
    "`module.` in front": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "Transposed, 32 × 64": changed(KEY, torch.t),
    "Transposed, 64 × 64": changed(QUERY, torch.t),
    "bfloat16": everywhere(torch.Tensor.bfloat16),
    "int8, scale forgotten": changed(QUERY, lambda weight: (weight / weight.abs().max() * 127).round().to(torch.int8)),
    "The one of step 0": lambda state: Quill.read("models/quill-draft").state_dict(),
}


def loaded(state, strict, seed=0):
    """A new model with these weights, and what loading them raised or answered."""
    torch.manual_seed(seed)
    model = Quill(Quill.read("models/quill-draft").config)
    try:
        return model, model.load_state_dict(state, strict=strict)
    except RuntimeError as error:
        return None, str(error).splitlines()[1].strip().split(":")[0].split(" for ")[0].removesuffix(" in state_dict")


def loss_of(model):
    """Nats per token of Macbeth, computed in float64 so that the last digits are everywhere the same."""
    return mean_loss(model.double().eval(), ids[:513])


right = loss_of(loaded(saved["model"], strict=True)[0])
outcomes = {}
for name, mistake in MISTAKES.items():
    state = mistake(saved["model"])
    found = [loaded(state, strict) for strict in (True, False)]
    seeds = range(5) if found[1][0] and found[1][1].missing_keys else range(1)
    losses = [loss_of(loaded(state, False, seed)[0]) for seed in seeds] if found[1][0] else []
    outcomes[name] = *found, losses
# --8<-- [end:mistakes]

# --8<-- [start:diffs]
from safetensors.torch import save_file


def written(name, state):
    file = Path(folder.name, name)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    return file


def told(state):
    """What `weigh diff` says of the right weights and these."""
    found = weigh.diff(right_file, written("other.safetensors", state))
    kinds = [f"{count} {kind}" for kind, count in found.counts.items() if count]
    kinds += ["the prefix" for note in found.notes if "module." in note]
    return ", ".join(kinds)


right_file = written("right.safetensors", saved["model"])
diffs = {name: told(mistake(saved["model"])) for name, mistake in MISTAKES.items()}
# --8<-- [end:diffs]

# --8<-- [start:table]
print("| Mistake | Strict | Loss | Not strict | `weigh diff` |\n| --- | --- | ---: | --- | --- |")
print(f"| *none* | loads | {right:.2f} | loads | nothing |")
for name, (strictly, loosely, losses) in outcomes.items():
    says = [answer if model is None else "loads" for model, answer in (strictly, loosely)]
    spread = f"{min(losses):.2f} to {max(losses):.2f}" if len(losses) > 1 else "".join(f"{x:.2f}" for x in losses)
    print(f"| {name} | {says[0]} | {spread} | {says[1]} | {diffs[name]} |")
# --8<-- [end:table]

# --8<-- [start:claims]
from math import log

loss = {name: losses[0] for name, (_, _, losses) in outcomes.items() if losses}
silent = [name for name, (strictly, *_) in outcomes.items() if strictly[0] is not None]
assert silent == ["Transposed, 64 × 64", "bfloat16", "int8, scale forgotten", "The one of step 0"]
loose = [name for name, (_, loosely, _) in outcomes.items() if loosely[0] is None]
assert loose == ["Transposed, 32 × 64"], "strict=False forgives names, not shapes"
chance = log(2048)
assert all(abs(x - chance) < 0.1 for x in outcomes["`module.` in front"][2]), "nothing was loaded: it guesses"
for name in ("A tensor missing", "A layer missing", "Transposed, 64 × 64", "int8, scale forgotten"):
    assert min(outcomes[name][2]) > right + 0.1, "the damage is plain only on text"
assert abs(loss["bfloat16"] - right) < 0.01 and loss["A tensor too many"] == right
assert loss["The one of step 0"] > right + 0.02
assert all(diffs.values()), "weigh diff sees each"
# --8<-- [end:claims]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

shown = sorted(loss, key=loss.get, reverse=True)
fig, ax = plt.subplots(figsize=(6.4, 3.4))
ax.barh([name.replace("`", "") for name in shown], [loss[name] for name in shown], height=0.6)
ax.axvline(right, color=plt.rcParams["text.color"], lw=1, ls="-")
ax.axvline(chance, color=plt.rcParams["text.color"], lw=1, ls=":")
ax.set(xlabel="nats per token", xlim=(3.5, 8))
ax.grid(axis="y", visible=False)
ax.tick_params(labelsize=10)
in_words = f"Loss on Macbeth with strict=False, where the right weights have {right:.2f}: " + ", ".join(
    f"{name} {loss[name]:.2f}" for name in shown
)
fig
# --8<-- [end:plot]

# --8<-- [start:hidden]
model = Quill(Quill.read("models/quill-draft").config)
state = MISTAKES["A tensor missing"](saved["model"])
answer = model.load_state_dict(state, strict=False)
print("missing:   ", answer.missing_keys)
print("unexpected:", answer.unexpected_keys)
# --8<-- [end:hidden]

# --8<-- [start:types]
state = MISTAKES["int8, scale forgotten"](saved["model"])
print("in the file: ", state[QUERY].dtype, state[QUERY].flatten()[:3].tolist())
model.load_state_dict(state)  # strict
loaded_weight = model.state_dict()[QUERY]
print("in the model:", loaded_weight.dtype, loaded_weight.flatten()[:3].tolist())
# --8<-- [end:types]


# --8<-- [start:resume]
class Interrupted(Exception):
    pass


def interrupt(*_):
    raise Interrupted


halfway = Path(folder.name, "halfway.pt")
model = Quill.read("models/quill-draft")
try:
    train(model, ids, ids[:257], plan, halfway, report=interrupt)  # after step 1
except Interrupted:
    train(Quill(model.config), ids, ids[:257], plan, halfway)  # goes on, from any weights

went_on = torch.load(halfway)
same = all(torch.equal(one, saved["model"][name]) for name, one in went_on["model"].items())
print(f"step {went_on['step']}, all weights equal: {same}")
# --8<-- [end:resume]

# --8<-- [start:resume_claims]
from dataclasses import replace

assert same, "weights, optimizer, plan and step are all that Quill needs"
try:
    train(Quill(model.config), ids, ids[:257], replace(plan, peak=1e-3), halfway)
except SystemExit as error:
    refusal = str(error).split(" is ")[1].split(";")[0]
assert refusal == "of another plan or another model"
# --8<-- [end:resume_claims]


# --8<-- [start:own]
def check(model, path):
    """Load a file into a model for good: every name, shape and dtype, or an error that says which."""
    contents = weigh.inspect(path)  # reads headers only, runs nothing
    found = {tensor.name: (tensor.shape, tensor.dtype) for tensor in contents.named}
    wanted = {
        name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for name, tensor in model.state_dict().items()
    }
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            yield f"{name}: {wanted.get(name)}, in the file {found.get(name)}"


wrong = written("wrong.safetensors", MISTAKES["int8, scale forgotten"](saved["model"]))
print(*check(model, wrong), sep="\n")
# --8<-- [end:own]

# --8<-- [start:problems]
assert list(check(model, right_file)) == []
spare = contents.bytes_on_disk - parts["weights"]
nine = len(outcomes["A layer missing"][1][1].missing_keys)
assert nine == 9
guessing = log(50_257)
folder.cleanup()
# --8<-- [end:problems]
