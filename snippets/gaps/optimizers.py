"""The program of the page "Optimizers": runs that come apart before their loss says so, and the check that sees it."""

# --8<-- [start:data]
import numpy as np
import polars as pl
from sklearn.datasets import load_diabetes
from threadpoolctl import threadpool_limits

import weigh

threadpool_limits(1)
X, y = load_diabetes(return_X_y=True)
X, y = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()

curvatures = np.linalg.eigvalsh(X.T @ X / len(X))
edge = 2 / curvatures[-1]
print(f"largest curvature L = {curvatures[-1]:.3f}, edge 2/L = {edge:.3f}")
# --8<-- [end:data]


# --8<-- [start:descend]
def descend(peaks, steps=700, warm_up=1, batch=442, seed=0):
    """Gradient descent on least squares: a log for each peak rate.

    A row is in the batch with probability batch/rows, so that all rows are, each time, in the largest batch."""
    rng = np.random.default_rng(seed)
    peaks = np.asarray(peaks)
    weights = rng.normal(0, 0.1, (len(peaks), X.shape[1]))
    losses, norms, rates = np.empty((3, steps, len(peaks)))
    for step in range(steps):
        rates[step] = peaks * min(1, (step + 1) / warm_up)
        drawn = rng.random((len(peaks), len(X)), np.float32) < batch / len(X)
        errors = drawn * (weights @ X.T - y)
        gradients = errors @ X / batch
        losses[step] = (errors**2).sum(1) / batch / 2
        norms[step] = np.linalg.norm(gradients, axis=1)
        weights = weights - rates[step][:, None] * gradients
    names = "loss", "gradient_norm", "learning_rate"
    series = zip(losses.T, norms.T, rates.T, strict=True)
    return [pl.DataFrame(dict(zip(names, one, strict=True))).with_row_index("step") for one in series]


# --8<-- [end:descend]

# --8<-- [start:edge]
optimum = float(np.mean((X @ np.linalg.lstsq(X, y)[0] - y) ** 2) / 2)
around = (0.5, 0.995, 1.005, 1.05)
print("| Rate, in 2/L | Loss after 700 steps |\n| ---: | ---: |")
ends = {}
for multiple, log in zip(around, descend([m * edge for m in around]), strict=True):
    ends[multiple] = log["loss"][-1]
    print(f"| {multiple:g} | {ends[multiple]:.4g} |")
assert ends[0.995] < 1.02 * optimum and ends[1.005] > 2 * optimum and ends[1.05] > 1e20, "the edge is sharp"
# --8<-- [end:edge]

# --8<-- [start:fault]
calm, unstable = descend([0.95 * edge, 1.05 * edge], steps=300, warm_up=20)
found = weigh.instability(unstable)
(seen,) = found.evidence
alarm, shown = seen["beyond doubt at step"], seen["loss rises at step"]
print(f"{found.finding}: the gradient norm at step {alarm}, the loss at step {shown}")
# --8<-- [end:fault]

# --8<-- [start:fault_claims]
assert found.finding == "yes" and shown - alarm > 25, "the check is first"
at_alarm = float(unstable["loss"][alarm])
assert at_alarm < 1.001 * float(unstable["loss"][:alarm].min()), "the loss shows nothing yet"
crossed = int((unstable["learning_rate"] > edge).arg_max())
fault_words = (
    f"Loss and gradient norm of two runs. Both losses lie on each other until step {shown}, where the unstable one "
    f"rises. Its gradient norm turns upwards before, and the check reports it at step {alarm}."
)
# --8<-- [end:fault_claims]

# --8<-- [start:fault_plot]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 3.2))
for log, name in ((calm, "0.95"), (unstable, "1.05")):
    axes[0].plot(log["step"], log["loss"].clip(0, 2), label=name)
    axes[1].plot(log["step"], log["gradient_norm"].clip(0, 1e3))
axes[0].set(xlabel="step", title="loss", ylim=(0.2, 0.6))
axes[1].set(xlabel="step", title="gradient norm", yscale="log", ylim=(1e-3, 2))
for ax in axes:
    ax.axvline(alarm, color="C1", linestyle=":", linewidth=1)
    ax.axvline(shown, color="C1", linestyle="--", linewidth=1)
axes[0].legend(fontsize=9, title="peak, in 2/L", loc=(0.12, 0.6))
fig
# --8<-- [end:fault_plot]

# --8<-- [start:silent]
found = weigh.instability(calm)
assert found.finding == "no" and found.figure.value < 1.5
print(f"{found.finding}: growth {found.figure.value:.1f}, bound {found.threshold:g}")
# --8<-- [end:silent]

# --8<-- [start:mean_square]
BATCH = 64
pairs = np.einsum("ni,nj->nij", X, X).reshape(len(X), -1)
fourth, second = pairs.T @ pairs / len(X), X.T @ X / len(X)
one = np.eye(len(second))


def spread(rate):
    """What a step multiplies the mean square of the weights' error by."""
    kept = one - rate * second
    noise = rate**2 * (1 - BATCH / len(X)) / BATCH * fourth
    return abs(np.linalg.eigvals(np.kron(kept, kept) + noise)).max()


multiples = np.arange(0.2, 1.2, 0.005)
batch_edge = next(m for m in multiples if spread(m * edge) > 1)
# --8<-- [end:mean_square]

# --8<-- [start:power]
RUNS = 25
peaks = np.array([0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05])
many = descend(np.repeat(peaks * edge, RUNS), steps=250, warm_up=80, batch=BATCH, seed=1)
results = [weigh.instability(log) for log in many]
flagged = np.reshape([result.finding == "yes" for result in results], (-1, RUNS)).sum(1)
shows = [result.evidence[0]["loss rises at step"] is not None for result in results]
risen = np.reshape(shows, (-1, RUNS)).sum(1)
# --8<-- [end:power]

# --8<-- [start:power_claims]
clean = int(RUNS * (peaks <= 0.8).sum())
false_alarms = int(flagged[peaks <= 0.8].sum())
assert false_alarms <= 0.02 * clean, "silent on runs below the edge"
assert flagged[peaks >= 1].min() >= 0.85 * RUNS, "yes to runs beyond it"
assert 0.9 < batch_edge < 1, "a batch lowers the edge"
lead = [
    result.evidence[0]["loss rises at step"] - result.evidence[0]["beyond doubt at step"]
    for result in results
    if result.finding == "yes" and result.evidence[0]["loss rises at step"] is not None
]
assert abs(np.median(lead)) <= 10, "in the noise of batches the two come together"
power_words = (
    f"Share of {RUNS} runs that the check flags, by peak rate in units of 2/L: {flagged[0] / RUNS:.0%} at 0.3, "
    f"{flagged[-1] / RUNS:.0%} at 1.05, with the share whose loss rises, and the predicted edge at {batch_edge:.2f}."
)
# --8<-- [end:power_claims]

# --8<-- [start:power_plot]
from statsmodels.stats.proportion import proportion_confint

fig, ax = plt.subplots(figsize=(7, 3.2))
low, high = proportion_confint(flagged, RUNS, method="wilson")
ax.fill_between(peaks, low, high, alpha=0.25)
ax.plot(peaks, flagged / RUNS, "o-", label="the check says yes")
ax.plot(peaks, risen / RUNS, "s--", markersize=4, label="the loss has risen")
ax.axvline(batch_edge, color="C2", linestyle=":", label="predicted edge")
ax.set(xlabel="peak learning rate, in 2/L", ylabel="share of runs")
ax.yaxis.set_major_formatter("{x:.0%}")
ax.legend(fontsize=9)
fig
# --8<-- [end:power_plot]

# --8<-- [start:lion]
import torch

torch.set_num_threads(1)


class Lion(torch.optim.Optimizer):
    """Steps of one size, by the sign of an average of gradients."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                average = self.state[p].setdefault("average", torch.zeros_like(p))
                p -= group["lr"] * torch.lerp(p.grad, average, 0.9).sign()
                average.lerp_(p.grad, 0.01)


# --8<-- [end:lion]

# --8<-- [start:sweep]
from sklearn.datasets import load_digits

images, digits = load_digits(return_X_y=True)
images, digits = torch.tensor(images / 16), torch.tensor(digits)
shuffled = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
learn, held_out = shuffled[:1347], shuffled[1347:]


def train(make, rate, seed, steps=42, schedule=lambda done: 1.0):
    """Train 64 → 16 → 10 on digits: the log, and the held-out loss."""
    noise = torch.Generator().manual_seed(seed)
    shapes = (64, 16), (16, 10)
    layers = [torch.randn(shape, generator=noise, dtype=torch.float64) / shape[0] ** 0.5 for shape in shapes]
    first, last = (torch.nn.Parameter(layer) for layer in layers)

    def loss_of(rows):
        scores = (images[rows] @ first).relu() @ last
        return torch.nn.functional.cross_entropy(scores, digits[rows])

    optimizer, log = make([first, last], rate), []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * schedule(step / steps)
        loss = loss_of(learn[torch.randint(len(learn), (64,), generator=noise)])
        optimizer.zero_grad()
        loss.backward()
        with weigh.update_ratio(optimizer) as row:
            optimizer.step()
        log.append({"step": step, "loss": loss.item(), **row})
    with torch.no_grad():
        return pl.DataFrame(log), loss_of(held_out).item()


OPTIMIZERS = {
    "SGD": lambda p, rate: torch.optim.SGD(p, rate),
    "momentum": lambda p, rate: torch.optim.SGD(p, rate, momentum=0.9),
    "AdamW": lambda p, rate: torch.optim.AdamW(p, rate, weight_decay=0),
    "Lion": Lion,
    "Muon": lambda p, rate: torch.optim.Muon(p, rate, weight_decay=0),
    "Adafactor": lambda p, rate: torch.optim.Adafactor(p, rate),
}
RATES, SEEDS = (1e-3, 1e-2, 0.1, 1.0), range(3)
swept = {
    (name, rate): [train(make, rate, seed) for seed in SEEDS] for name, make in OPTIMIZERS.items() for rate in RATES
}
# --8<-- [end:sweep]


# --8<-- [start:sweep_table]
def spread_of(values, digits=2):
    """The median, with the least and the greatest value."""
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


held = {setting: [end for _, end in runs] for setting, runs in swept.items()}
ratios = {setting: np.median([log["update_ratio"].median() for log, _ in runs]) for setting, runs in swept.items()}
best = {name: min(RATES, key=lambda rate: np.median(held[name, rate])) for name in OPTIMIZERS}
print("| Optimizer | Loss at 0.001 | Best rate | Loss there | Update ratio |\n| --- | ---: | ---: | ---: | ---: |")
for name, rate in best.items():
    slow = np.median(held[name, 1e-3])
    print(f"| {name} | {slow:.2f} | {rate:g} | {spread_of(held[name, rate])} | {ratios[name, rate]:.2f} |")
# --8<-- [end:sweep_table]

# --8<-- [start:sweep_claims]
import inspect
import math

defaults = {
    kind.__name__: inspect.signature(kind).parameters["lr"].default
    for kind in (torch.optim.SGD, torch.optim.AdamW, torch.optim.Muon, torch.optim.Adafactor)
}
assert defaults == {"SGD": 1e-3, "AdamW": 1e-3, "Muon": 1e-3, "Adafactor": 1e-2}
assert all(np.median(held[name, 1e-3]) > 2 * np.median(held[name, best[name]]) for name in best), "0.001 is slow"
assert max(best.values()) >= 100 * min(best.values()), "the best rates lie two powers of ten apart"
at_best = [ratios[name, rate] for name, rate in best.items()]
assert max(at_best) < 8 * min(at_best), "their update ratios do not"
hotter = train(OPTIMIZERS["Adafactor"], 10.0, seed=0)[1]
assert hotter == held["Adafactor", 1.0][0], "Adafactor takes no rate above 1 over the root of the step"
sweep_words = "Held-out loss by learning rate. " + "; ".join(
    f"{name}: lowest at {rate:g}, {np.median(held[name, rate]):.1f}" for name, rate in best.items()
)
# --8<-- [end:sweep_claims]

# --8<-- [start:sweep_plot]
fig, axes = plt.subplots(2, 3, figsize=(7, 4.4), sharex=True, sharey=True)
for ax, name in zip(axes.flat, OPTIMIZERS, strict=True):
    values = np.array([held[name, rate] for rate in RATES])
    ax.fill_between(RATES, values.min(1), values.max(1), alpha=0.3)
    ax.plot(RATES, np.median(values, 1), "o-", markersize=4)
    ax.axhline(math.log(10), color="C1", linestyle=":", linewidth=1)
    ax.set(title=name, xscale="log", yscale="log", ylim=(0.2, 6), yticks=(0.3, 1, 3))
    ax.set_yticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:g}")
for ax in axes[1]:
    ax.set(xlabel="learning rate", xticks=(1e-3, 0.1))
fig
# --8<-- [end:sweep_plot]

# --8<-- [start:verdicts]
verdicts = {"at the best rate": [], "ten times it, or more": []}
for (name, rate), runs in swept.items():
    key = "at the best rate" if rate == best[name] else "ten times it, or more" if rate > best[name] else None
    if name == "Muon" and rate > best[name]:
        continue  # it computes in bfloat16, and what comes apart then differs between processors
    if key:
        verdicts[key] += [(end, weigh.check_optimizer(log)) for log, end in runs]
print("| Runs | No better than a guess | Of these, check says yes | By |\n| --- | ---: | ---: | --- |")
caught = {}
for key, runs in verdicts.items():
    worse = [end > 0.99 * math.log(10) for end, _ in runs]
    said = [found.finding == "yes" for _, found in runs]
    by = sorted({result.check for _, found in runs for result in found.results if result.finding == "yes"})
    both = sum(w and s for w, s in zip(worse, said, strict=True))
    caught[key] = sum(worse), both, sum(said)
    print(f"| {len(runs)} {key} | {sum(worse)} | {both} | {', '.join(by) or 'none'} |")
# --8<-- [end:verdicts]

# --8<-- [start:verdict_claims]
assert caught["at the best rate"] == (0, 0, 0), "silent on runs that go well"
failed, seen_failing, _ = caught["ten times it, or more"]
assert seen_failing >= 0.6 * failed and failed >= 5, "most runs that fail are named"
named = {
    result.check
    for _, found in verdicts["ten times it, or more"]
    for result in found.results
    if result.finding == "yes"
}
assert "instability" not in named, "a rate that is too high from the first step leaves no quiet level to grow from"
# --8<-- [end:verdict_claims]

# --8<-- [start:schedule]
SCHEDULES = {
    "constant": lambda done: 1.0,
    "decay to 0": lambda done: 1 - done,
    "warm-up, decay": lambda done: min(1, (done + 0.01) / 0.2) * (1 - done),
}
print("| AdamW at 0.1, five seeds | Held-out loss | Check: undecayed |\n| --- | ---: | --- |")
ended = {}
for name, schedule in SCHEDULES.items():
    runs = [train(OPTIMIZERS["AdamW"], 0.1, seed, schedule=schedule) for seed in range(5)]
    ended[name] = [end for _, end in runs]
    rates = pl.DataFrame({"lr": [0.1 * schedule(step / 42) for step in range(42)]})
    print(f"| {name} | {spread_of(ended[name])} | {weigh.undecayed_rate(rates).finding} |")
better = sum(b < a for a, b in zip(ended["constant"], ended["warm-up, decay"], strict=True))
assert better >= 4 and np.median(ended["warm-up, decay"]) < 0.85 * np.median(ended["constant"])
# --8<-- [end:schedule]


# --8<-- [start:epsilon]
def first_step(gradient, **options):
    """How far Adam moves a weight, as a share of the learning rate."""
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    weight.grad = torch.full_like(weight, gradient)
    torch.optim.AdamW([weight], lr=1e-3, **options).step()
    return -weight.item() / 1e-3


print("| Gradient | ε = 1e-8, the default | ε = 1e-3 |\n| ---: | ---: | ---: |")
for gradient in (1.0, 1e-3, 1e-7, 1e-9):
    print(f"| {gradient:g} | {first_step(gradient):.3f} | {first_step(gradient, eps=1e-3):.4f} |")
assert first_step(1e-9) < 0.1 and first_step(1e-3) > 0.999
# --8<-- [end:epsilon]


# --8<-- [start:decay]
def decayed(kind, steps=500):
    """Two weights that begin at 1, with gradients of ±1 and ±0.01 in turn."""
    weights = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    optimizer = kind([weights], lr=1e-3, weight_decay=0.1)
    for step in range(steps):
        weights.grad = torch.tensor([1.0, 0.01], dtype=torch.float64) * (-1) ** step
        optimizer.step()
    return weights.tolist()


loud, quiet = decayed(torch.optim.Adam)
print("| Decay of 0.1 | Loud weight | Quiet weight |\n| --- | ---: | ---: |")
print(f"| in the gradient (Adam) | {loud:.2f} | {quiet:.2f} |")
same = decayed(torch.optim.AdamW)
print(f"| of the weight (AdamW) | {same[0]:.2f} | {same[1]:.2f} |")
assert loud - quiet > 0.2 and abs(same[0] - same[1]) < 0.01
# --8<-- [end:decay]

# --8<-- [start:bf16]
from pathlib import Path

from quill import tokenizer
from quill.model import Quill

model = Quill.read("models/quill")
text = Path("models/quill/held-out.txt").read_text(encoding="utf-8")
ids = torch.tensor(tokenizer.read("models/quill").encode(text[:1000]).ids)[None, :129]
torch.nn.functional.cross_entropy(model(ids[:, :-1])[0][0], ids[0, 1:]).backward()


def steps_in(dtype, rate):
    """A log of six AdamW steps from Quill's weights, kept in a format."""
    weights = [torch.nn.Parameter(p.detach().to(dtype)) for p in model.parameters()]
    optimizer, log = torch.optim.AdamW(weights, rate, weight_decay=0), []
    for weight, p in zip(weights, model.parameters(), strict=True):
        weight.grad = p.grad.to(dtype)
    for _ in range(6):
        with weigh.update_ratio(optimizer) as row:
            optimizer.step()
        log.append(row)
    return pl.DataFrame(log)


print("| Rate | Kept in | Update ratio | Unmoved | Vanishing |\n| ---: | --- | ---: | ---: | --- |")
unmoved, ratio_of = {}, {}
for rate in (1e-3, 1e-4, 1e-5):
    for dtype in (torch.float32, torch.bfloat16):
        log = steps_in(dtype, rate)
        found = weigh.vanishing_updates(log)
        unmoved[rate, dtype] = found.figure.value
        ratio, name = log["update_ratio"].median(), str(dtype).removeprefix("torch.")
        ratio_of[rate, dtype] = ratio
        print(f"| {rate:g} | {name} | {ratio:.1e} | {found.figure.value:.0%} | {found.finding} |")
# --8<-- [end:bf16]

# --8<-- [start:bf16_claims]
assert unmoved[1e-4, torch.bfloat16] > 0.5 > 0.1 > unmoved[1e-4, torch.float32], "most weights stay, in bfloat16 alone"
assert unmoved[1e-5, torch.bfloat16] > 0.9
lasting = ratio_of[1e-4, torch.bfloat16] / ratio_of[1e-4, torch.float32]
assert lasting > 0.5, "the ratio of norms hardly tells"
# --8<-- [end:bf16_claims]


# --8<-- [start:overfit]
from sklearn.datasets import load_breast_cancer

cells, malignant = load_breast_cancer(return_X_y=True)
cells, malignant = torch.tensor((cells - cells.mean(0)) / cells.std(0)), torch.tensor(malignant)


def fit(decay, seed, steps=150):
    """Train 30 → 16 → 2 on 100 of 569 cases: the log of losses."""
    noise = torch.Generator().manual_seed(seed)
    train_rows, other_rows = torch.randperm(len(cells), generator=noise).split([100, 469])
    shapes = (30, 16), (16, 2)
    layers = [torch.randn(shape, generator=noise, dtype=torch.float64) / shape[0] ** 0.5 for shape in shapes]
    first, last = (torch.nn.Parameter(layer) for layer in layers)
    optimizer, log = torch.optim.AdamW([first, last], 0.02, weight_decay=decay), []

    def loss_of(rows):
        scores = (cells[rows] @ first).relu() @ last
        return torch.nn.functional.cross_entropy(scores, malignant[rows])

    for step in range(steps):
        other = loss_of(other_rows).item() if step % 10 == 0 else None
        loss = loss_of(train_rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        log.append({"step": step, "loss": loss.item(), "eval_loss": other})
    return pl.DataFrame(log)


print("| Weight decay | Best | Last | Check says yes |\n| ---: | ---: | ---: | ---: |")
overfitted, found_best, found_last = {}, {}, {}
for decay in (0, 1, 5):
    logs = [fit(decay, seed) for seed in range(5)]
    curves = [log["eval_loss"].drop_nulls() for log in logs]
    overfitted[decay] = sum(weigh.overfitting(log).finding == "yes" for log in logs)
    lowest, final = ([get(curve) for curve in curves] for get in (min, lambda curve: curve[-1]))
    found_best[decay], found_last[decay] = np.median(lowest), np.median(final)
    print(f"| {decay} | {spread_of(lowest)} | {spread_of(final)} | {overfitted[decay]} of 5 |")
# --8<-- [end:overfit]

# --8<-- [start:overfit_claims]
assert overfitted[0] >= 4 and overfitted[5] == 0, "the check sees it, and is silent where decay prevents it"
assert found_last[5] > found_best[0] + 0.01, "but so strong a decay ends above the best loss without any"
# --8<-- [end:overfit_claims]


# --8<-- [start:muon]
def buffer_norm(dtype, nesterov):
    """The norm of Muon's momentum after one step, by the gradient's."""
    matrix = torch.nn.Parameter(torch.zeros(8, 8, dtype=dtype))
    matrix.grad = 100 * torch.eye(8, dtype=dtype)
    optimizer = torch.optim.Muon([matrix], nesterov=nesterov)
    optimizer.step()
    norm = optimizer.state[matrix]["momentum_buffer"].double().norm()
    return (norm / matrix.grad.double().norm()).item()


print("| Momentum after a step, by the gradient | float32 | bfloat16 |\n| --- | ---: | ---: |")
for nesterov in (True, False):
    norms = [buffer_norm(dtype, nesterov) for dtype in (torch.float32, torch.bfloat16)]
    print(f"| nesterov={nesterov} | {norms[0]:.3f} | {norms[1]:.3f} |")
assert abs(norms[0] - 0.05) < 1e-3 and norms[1] < 0.01, "without Nesterov, in bfloat16, the buffer is rewritten"
# --8<-- [end:muon]

# --8<-- [start:chained]
from torch.optim.lr_scheduler import ChainedScheduler, CosineAnnealingWarmRestarts, LinearLR


def first_rates(*order):
    """The first rates of a peak of 1, with two schedulers in a chain."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    makers = {"warm-up": lambda: LinearLR(optimizer, 0.1, total_iters=4)}
    makers["restarts"] = lambda: CosineAnnealingWarmRestarts(optimizer, 8)
    scheduler, rates = ChainedScheduler([makers[name]() for name in order]), []
    for _ in range(3):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


for order in (("warm-up", "restarts"), ("restarts", "warm-up")):
    print(f"{', '.join(order)}:", *(f"{rate:.2f}" for rate in first_rates(*order)))
assert first_rates("warm-up", "restarts")[0] == 1 and first_rates("restarts", "warm-up")[1] > 3
# --8<-- [end:chained]

# --8<-- [start:trainer]
import json
import tempfile

history = [{"step": s, "loss": 2.0, "grad_norm": 1.0} for s in (10, 20, 30)]
history += [{"step": 40, "loss": 0.0, "grad_norm": math.nan}]
with tempfile.TemporaryDirectory() as run:
    Path(run, "trainer_state.json").write_text(json.dumps({"log_history": history}))
    lost = weigh.not_a_number(run)
print(lost.finding, dict(lost.evidence[0]))
# --8<-- [end:trainer]

# --8<-- [start:own]
from contextlib import chdir

from click.testing import CliRunner

from weigh.cli import weigh as command

with tempfile.TemporaryDirectory() as folder, chdir(folder):
    unstable.head(alarm + 30).write_csv("log.csv")  # the loss has not risen yet
    shown_command = CliRunner().invoke(command, ["check", "optimizer", "log.csv"])
print("$ weigh check optimizer log.csv", shown_command.output.rstrip(), sep="\n")
# --8<-- [end:own]

# --8<-- [start:problems]
twice = 2 / (2 * curvatures[-1])
limit_bf16 = 2.0**-9
capped = min(0.1, 1 / 10_000**0.5)
assert weigh.not_a_number(pl.DataFrame({"loss": [1.0, 0.5]})).finding == "no" and lost.finding == "yes"
# --8<-- [end:problems]
