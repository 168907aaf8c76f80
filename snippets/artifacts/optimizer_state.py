"""The program of "Optimizer state": Quill's is opened field by field, then lost, swapped, rounded and mistaken."""

# --8<-- [start:train]
import textwrap
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn
from torch.nn import functional as F

import weigh
from quill.model import Config, Quill
from quill.training import Plan, batch_of, train

torch.set_num_threads(1)
folder = TemporaryDirectory()
ids = torch.tensor(list(Path("models/quill/held-out.txt").read_bytes()))  # Macbeth, a token for each byte
SMALL = Config(
    vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=32,
)  # fmt: skip
PLAN = Plan(steps=100, batch=8, peak=1e-2, warmup=10, every=40)


class Interrupted(Exception):
    pass


def interrupt(*_):
    raise Interrupted


def interrupted_run(seed):
    """Train a small Quill until its first checkpoint, of step 40, and read that."""
    torch.manual_seed(seed)
    path = Path(folder.name, f"run-{seed}.pt")
    model = Quill(SMALL).double()
    for weight in model.parameters():
        if weight.dim() == 2:
            nn.init.uniform_(weight, -0.035, 0.035)  # unlike normal numbers, the same on every processor
    try:
        train(model, ids, ids[:257], replace(PLAN, seed=seed), path, interrupt)
    except Interrupted:
        return path


paths = [interrupted_run(seed) for seed in range(5)]
# --8<-- [end:train]

# --8<-- [start:open]
saved = torch.load(paths[0])
print("in the file:", *saved)
optimizer = saved["optimizer"]
print("in its optimizer:", *optimizer)
for group in optimizer["param_groups"]:
    print("decay", group["weight_decay"], "for parameters", group["params"])
first = optimizer["state"][0]
for name, tensor in first.items():
    print(f"state 0 {name:<11}{tuple(tensor.shape)!s:<10}{tensor.dtype}")
# --8<-- [end:open]

# --8<-- [start:state_table]
contents = weigh.inspect(paths[0])
MEANING = {
    "step": "How many updates, for the bias correction",
    "exp_avg": "Running average of the gradient, β₁ = 0.9",
    "exp_avg_sq": "Running average of its square, β₂ = 0.95",
}
assert {name for state in optimizer["state"].values() for name in state} == set(MEANING), "every field is explained"
print("| Field | What it is | Bytes | dtype | Tensors |\n| --- | --- | ---: | --- | ---: |")
for field, meaning in MEANING.items():
    tensors = [t for t in contents.named if t.component == "optimizer" and t.name.endswith("." + field)]
    (dtype,) = {t.dtype for t in tensors}
    print(f"| `{field}` | {meaning} | {sum(t.nbytes for t in tensors):,} | {dtype} | {len(tensors)} |")
# --8<-- [end:state_table]

# --8<-- [start:group_table]
FIELDS = {
    "params": "Numbers of its parameters, by position; no name",
    "lr": "Learning rate of the last step",
    "betas": "How slowly the two averages forget",
    "eps": "Added to the square root, against dividing by 0",
    "weight_decay": "Share of a weight that is taken off, times the rate",
    "decoupled_weight_decay": "True is AdamW, false is Adam",
    "amsgrad": "Keep the largest `exp_avg_sq` too",
    "maximize": "Climb in place of descending",
    "foreach": "Compute on lists of tensors; `None` decides by device",
    "fused": "Compute in one kernel; the same",
    "capturable": "May be captured in a CUDA graph",
    "differentiable": "Gradients may flow through the step",
}
groups = optimizer["param_groups"]
assert all(set(group) == set(FIELDS) for group in groups), "every field is explained"
print("| Field | Matrices | Vectors | What it is |\n| --- | --- | --- | --- |")
for field, meaning in FIELDS.items():
    cells = [f"{min(v)} to {max(v)}" if field == "params" else f"{v:.4g}" if field == "lr" else str(v)
             for v in (group[field] for group in groups)]  # fmt: skip
    print(f"| `{field}` | {cells[0]} | {cells[1]} | {meaning} |")
# --8<-- [end:group_table]

# --8<-- [start:bytes]
parts = {name: size for name, size in contents.by_component.items() if size}
for name, size in parts.items():
    print(f"{name:<10}{size:>8,} bytes, {size / contents.bytes_on_disk:.0%}")
# --8<-- [end:bytes]

# --8<-- [start:bytes_claims]
counters = len(optimizer["state"])
assert parts["optimizer"] == 2 * parts["weights"] + 4 * counters, "two numbers per weight, and a counter per tensor"
# --8<-- [end:bytes_claims]


# --8<-- [start:resume]
STEPS = 15


def groups_of(model, layers):
    """Quill's two groups, with its layers in this order: the matrices, which decay, and the vectors."""
    body = model.model
    parts = nn.ModuleList([body.embed_tokens, *(body.layers[layer] for layer in layers), body.norm])
    matrices = [weight for weight in parts.parameters() if weight.dim() == 2]
    vectors = [weight for weight in parts.parameters() if weight.dim() < 2]
    return [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]


def resumed(path, alter=lambda state: state, layers=(0, 1), steps=STEPS):
    """Losses and weights of the next steps, with the optimizer state of the file as `alter` leaves it."""
    saved = torch.load(path)
    model = Quill(SMALL).double()
    model.load_state_dict(saved["model"])
    optimizer = torch.optim.AdamW(groups_of(model, layers), betas=(0.9, 0.95))
    if (state := alter(saved["optimizer"])) is not None:
        optimizer.load_state_dict(state)
    plan, losses, weights = Plan(**saved["plan"]), [], []
    for step in range(saved["step"], saved["step"] + steps):
        weights.append(nn.utils.parameters_to_vector(model.parameters()).detach())
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)  # as Quill does: the rate follows from the step
        inputs, targets = batch_of(ids, plan, step, SMALL.max_position_embeddings)
        loss = F.cross_entropy(model(inputs)[0].flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    weights.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    return torch.tensor(losses), torch.stack(weights)


# --8<-- [end:resume]


# --8<-- [start:silent]
def lost(state):
    return None


def rounded(state):
    for one in state["state"].values():
        one.update({name: tensor.bfloat16() for name, tensor in one.items()})
    return state


SILENT = {
    "Lost": {"alter": lost},
    "Layers in another order": {"layers": (1, 0)},
    "All in bfloat16": {"alter": rounded},
}
faithful = [resumed(path) for path in paths]
runs = {name: [resumed(path, **how) for path in paths] for name, how in SILENT.items()}


def astray(run, true):
    """After each step, the distance from the faithful weights, over the way that those have gone."""
    return (run[1] - true[1]).norm(dim=1)[1:] / (true[1] - true[1][0]).norm(dim=1)[1:]


curves = {
    name: torch.stack([astray(*pair) for pair in zip(them, faithful, strict=True)]) for name, them in runs.items()
}
losses = {
    name: torch.stack([run[0].mean() - true[0].mean() for run, true in zip(them, faithful, strict=True)])
    for name, them in runs.items()
}
# --8<-- [end:silent]


# --8<-- [start:loud]
def one_group(state):
    return {**state, "param_groups": state["param_groups"][:1]}


def one_more(state):
    state["param_groups"][1]["params"].append(99)
    return state


def other_shape(state):
    state["state"][1] = state["state"][0]  # the embedding's, for a matrix of the first layer
    return state


def of_sgd(state):
    state["state"] = {number: {"momentum_buffer": one["exp_avg"]} for number, one in state["state"].items()}
    return state


LOUD = {
    "One group in place of two": one_group,
    "A parameter more": one_more,
    "Another shape": other_shape,
    "State of SGD": of_sgd,
}
raised = {}
for name, alter in LOUD.items():
    try:
        resumed(paths[0], alter, steps=1)
    except (ValueError, RuntimeError, KeyError) as error:
        raised[name] = f"{type(error).__name__}: {textwrap.shorten(str(error), 48, placeholder=' …')}"
# --8<-- [end:loud]


# --8<-- [start:diffs]
def told(alter):
    """What `weigh diff` says of the checkpoint and of the one that `alter` makes of it."""
    altered = torch.load(paths[0])
    if (state := alter(altered["optimizer"])) is None:
        del altered["optimizer"]
    else:
        altered["optimizer"] = state
    path = Path(folder.name, "altered.pt")
    torch.save(altered, path)
    counts = weigh.diff(paths[0], path).counts
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) or "nothing"


by_weigh = {name: told(how.get("alter", lambda state: state)) for name, how in SILENT.items()}
by_weigh |= {name: told(alter) for name, alter in LOUD.items()}
# --8<-- [end:diffs]

# --8<-- [start:silent_table]
print("| Mismatch, no error | Astray after 15 steps | Loss, nats more | `weigh diff` |\n| --- | ---: | ---: | --- |")
for name in SILENT:
    end = curves[name][:, -1]
    low, high = (round(float(value), 2) + 0.0 for value in (losses[name].min(), losses[name].max()))  # no −0
    way = f"{end.median():.2g} ({end.min():.2g} to {end.max():.2g})"
    print(f"| {name} | {way} | {low:.2f} to {high:.2f} | {by_weigh[name]} |")
# --8<-- [end:silent_table]

# --8<-- [start:loud_table]
print("| Mismatch | Raised by | Error | `weigh diff` |\n| --- | --- | --- | --- |")
for name in LOUD:
    where = "loading" if raised[name].startswith("ValueError") else "the step"
    print(f"| {name} | {where} | {raised[name]} | {by_weigh[name]} |")
# --8<-- [end:loud_table]

# --8<-- [start:claims]
assert all(torch.equal(one, two) for one, two in zip(resumed(paths[0]), faithful[0], strict=True)), "bit for bit"
ends = {name: float(curve[:, -1].median()) for name, curve in curves.items()}
assert ends["Lost"] > 0.2 and ends["Layers in another order"] > 0.05, "the weights go another way"
assert 0 < ends["All in bfloat16"] < 0.05, "rounding the averages hardly turns them"
typical = {name: float(one.abs().median()) for name, one in losses.items()}
assert all(value < 0.05 for value in typical.values()), "and most losses of the next steps do not tell"
worst = float(losses["Lost"].max())
assert 0.05 < worst < 0.6
assert by_weigh["Layers in another order"] == "nothing", "the file is as it was: it has no names"
assert set(raised) == set(LOUD)
kept, without = faithful[0][1], runs["Lost"][0][1]
rate = Plan(**saved["plan"]).rate(saved["step"])
first_moves = {name: float((w[1] - w[0]).abs().median()) / rate for name, w in (("kept", kept), ("lost", without))}
assert 0.9 < first_moves["lost"] < 1.1 and first_moves["kept"] < 0.7, "without its state AdamW moves by the whole rate"
in_words = (
    f"Distance from the faithful weights over the way gone, on a logarithmic axis, {STEPS} steps after resuming: "
)
in_words += ", ".join(f"{end:.2g} for {name}" for name, end in ends.items()) + "."
# --8<-- [end:claims]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6.4, 3.2))
after = range(1, STEPS + 1)
for name, curve in curves.items():
    (line,) = ax.plot(after, curve.median(0).values, label=name)
    ax.fill_between(after, curve.min(0).values, curve.max(0).values, color=line.get_color(), alpha=0.15, lw=0)
ax.set(yscale="log", xlabel="steps after resuming", title="share of the way that is astray")
ax.legend(fontsize=9)
fig
# --8<-- [end:plot]

# --8<-- [start:overridden]
weight = nn.Parameter(torch.ones(8))
ours = torch.optim.AdamW([weight], lr=1e-4, betas=(0.8, 0.9), weight_decay=0.5, amsgrad=True)
theirs = torch.optim.AdamW([nn.Parameter(torch.ones(8))])  # all by default
ours.load_state_dict(theirs.state_dict())
for name in ("lr", "betas", "weight_decay", "amsgrad"):
    print(f"{name:<13}{ours.param_groups[0][name]}")
# --8<-- [end:overridden]

# --8<-- [start:adam]
adam = torch.optim.Adam([weight], weight_decay=0.1)
before = adam.param_groups[0]["decoupled_weight_decay"]
adam.load_state_dict(theirs.state_dict())
now = adam.param_groups[0]["decoupled_weight_decay"]
print(f"Adam, decoupled weight decay: {before}, then {now}")
# --8<-- [end:adam]

# --8<-- [start:names]
a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
writer = torch.optim.AdamW([("a", a), ("b", b)])
a.grad, b.grad = torch.ones(2), 5 * torch.ones(2)
writer.step()

reader = torch.optim.AdamW([("b", b), ("a", a)])  # the code has been reordered
reader.load_state_dict(writer.state_dict())
print("its names:", reader.param_groups[0]["param_names"])
print("a has the average", reader.state[a]["exp_avg"].tolist())
print("a's gradient was ", a.grad.tolist())
# --8<-- [end:names]

# --8<-- [start:name_claims]
assert not before and now, "an Adam that reads the file of an AdamW decays as AdamW"
assert ours.param_groups[0]["amsgrad"] is False and ours.param_groups[0]["lr"] == 1e-3
assert reader.param_groups[0]["param_names"] == ["a", "b"] and reader.param_groups[0]["params"][0] is b
assert torch.equal(reader.state[a]["exp_avg"], writer.state[b]["exp_avg"]), "each has the other's average"
# --8<-- [end:name_claims]


# --8<-- [start:clock]
def long_run(cast):
    """2,000 steps under a gradient of 1; at step 100 the state is saved, cast and loaded again."""
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.AdamW([weight], lr=1.0, weight_decay=0)
    weight.grad = torch.ones_like(weight)
    for step in range(2000):
        if step == 100:
            state = optimizer.state_dict()
            for one in state["state"].values():
                one.update({name: cast(tensor) for name, tensor in one.items()})
            optimizer.load_state_dict(state)
        before = weight.item()
        optimizer.step()
    return optimizer.state[weight]["step"].item(), before - weight.item()


clocks = {name: long_run(cast) for name, cast in (("as it was", torch.clone), ("bfloat16", torch.Tensor.bfloat16))}
for name, (step, move) in clocks.items():
    print(f"{name:<10} step counter {step:>6.0f}, last step {move:.2f} × the rate")
# --8<-- [end:clock]

# --8<-- [start:clock_claims]
assert clocks["bfloat16"][0] == 256 and clocks["as it was"][0] == 2000
expected = ((1 - 0.999**256) / (1 - 0.999**2000)) ** 0.5
assert abs(clocks["as it was"][1] - 1) < 0.001 and abs(clocks["bfloat16"][1] / expected - 1) < 0.01
# --8<-- [end:clock_claims]


# --8<-- [start:own]
def unlike(optimizer, state):
    """In what a saved state does not fit an optimizer, of all that `load_state_dict` leaves unchecked."""
    for number, (ours, theirs) in enumerate(zip(optimizer.param_groups, state["param_groups"], strict=True)):
        for key in sorted(ours.keys() | theirs.keys()):
            if key != "params" and ours.get(key) != theirs.get(key):
                yield f"group {number}: {key} {ours.get(key)}, in the file {theirs.get(key)}"
        for weight, place in zip(ours["params"], theirs["params"], strict=True):
            for key, value in state["state"].get(place, {}).items():
                if value.dim() and value.shape != weight.shape:
                    yield f"state {place}: {key} {tuple(value.shape)}, weight {tuple(weight.shape)}"


fresh = torch.optim.AdamW(groups_of(Quill(SMALL), (0, 1)), betas=(0.9, 0.95))
print(*unlike(fresh, optimizer), sep="\n")
# --8<-- [end:own]

# --8<-- [start:problems]
smol = weigh.params("models/smollm2-135m")
state_bytes = 8 * smol.parameters + 4 * len(smol.distinct)
forever = ((1 - 0.999**256) / 1) ** 0.5
assert 0.4 < forever < 0.5
folder.cleanup()
# --8<-- [end:problems]
