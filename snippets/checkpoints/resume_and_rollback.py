"""A training run is stopped and resumed with all it needs, then with parts missing; compared by stages; rolled back."""

# --8<-- [start:training]
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

torch.set_num_threads(1)
pixels, digits = load_digits(return_X_y=True)
mixed = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
images = (torch.tensor(pixels, dtype=torch.float32) / 16)[mixed]  # (1797, 64)
labels = torch.tensor(digits)[mixed]
training, validation, test = slice(0, 384), slice(384, 1084), slice(1084, None)
BATCHES = 12  # of 32 images, in an epoch


def order_of(epoch: int) -> torch.Tensor:
    """The training images in the order of an epoch, shape (12, 32): the number of the epoch decides it alone."""
    return torch.randperm(384, generator=torch.Generator().manual_seed(epoch)).view(BATCHES, 32)


class Run:
    """A training run: a network that draws dropout masks, an optimizer that remembers, data that has an order."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 10))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        self.step = self.epoch = self.batch = 0

    def train(self, steps: int) -> list[float]:
        """Train on the next mini-batches and return the loss of each, as it was before its update."""
        losses = []
        self.model.train()
        for _ in range(steps):
            chosen = order_of(self.epoch)[self.batch]
            loss = cross_entropy(self.model(images[chosen]), labels[chosen])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
            self.step += 1
            self.batch += 1
            if self.batch == BATCHES:
                self.epoch, self.batch = self.epoch + 1, 0
        return losses

    @torch.no_grad()
    def evaluate(self, part: slice) -> tuple[float, float]:
        """Loss and accuracy on a part of the images. Draws no random number."""
        self.model.eval()
        logits = self.model(images[part])
        accuracy = (logits.argmax(1) == labels[part]).float().mean()
        return cross_entropy(logits, labels[part]).item(), accuracy.item()

    def weights(self) -> torch.Tensor:
        """All parameters in one row."""
        return torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])


# --8<-- [end:training]

# --8<-- [start:save]
import os
from pathlib import Path


def save(run: Run, path: Path) -> None:
    """Write a checkpoint. `path` is the old one or all of the new, never a part."""
    checkpoint = {
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "position": {"epoch": run.epoch, "batch": run.batch},
        "step": run.step,
    }
    unfinished = path.with_name(f"{path.name}.tmp")
    with unfinished.open("wb") as file:
        torch.save(checkpoint, file)
        file.flush()
        os.fsync(file.fileno())  # to the disk itself: power may fail
    os.replace(unfinished, path)


# --8<-- [end:save]


# --8<-- [start:resume]
def resume(path: Path, seed: int, without: str = "") -> Run:
    """Start as a new process does; take all parts from the file, or all but one."""
    run = Run(seed)
    saved = torch.load(path, weights_only=True)
    run.model.load_state_dict(saved["model"])
    run.step = saved["step"]
    if without != "optimizer":
        run.optimizer.load_state_dict(saved["optimizer"])
    if without != "position":
        run.epoch = saved["position"]["epoch"]
    if without not in ("position", "batch"):
        run.batch = saved["position"]["batch"]
    if without != "rng":
        torch.set_rng_state(saved["rng"])  # last: building the model drew some
    return run


# --8<-- [end:resume]

# --8<-- [start:faithful]
from tempfile import TemporaryDirectory

temporary = TemporaryDirectory()
folder = Path(temporary.name)
checkpoint = folder / "checkpoint.pt"

whole = Run(seed=0)
rng_at_start = torch.get_rng_state()
whole.train(198)  # 16 epochs and a half
save(whole, checkpoint)
later_losses = whole.train(90)

resumed = resume(checkpoint, seed=999)  # any seed: all comes from the file
assert resumed.train(90) == later_losses
assert torch.equal(resumed.weights(), whole.weights())
size = len(whole.weights())
print(f"{len(later_losses)} losses, {size:,} weights: equal to the last bit")
# --8<-- [end:faithful]

# --8<-- [start:weighed]
import weigh

contents = weigh.inspect(checkpoint)
parts = contents.by_component
weights = [tensor for tensor in contents.named if tensor.component == "weights"]
assert parts["optimizer"] == weigh.checkpoint(weights, "adamw").optimizer_state_bytes
assert contents.parameters == size and parts["unused"] == 0
assert parts["weights"] + parts["optimizer"] > 0.95 * contents.bytes_on_disk
assert contents.metadata == {"position.epoch": 16, "position.batch": 6, "step": 198}

seven = weigh.checkpoint(weigh.params("models/llama-2-7b").distinct, "adamw")
large = {"weights": seven.weight_bytes, "optimizer": seven.optimizer_state_bytes, "rng": parts["rng"]}
names = {
    "weights": "Weights",
    "optimizer": "Optimizer state",
    "rng": "RNG state, of the CPU",
    "metadata": "The rest: step, epoch, batch, names, the frame of the file",
}
print("| Part | Bytes here | Share | Llama-2-7B |\n| --- | ---: | ---: | ---: |")
for part, name in names.items():
    share = parts[part] / contents.bytes_on_disk
    print(f"| {name} | {parts[part]:,} | {share:.1%} | {format(large[part], ',') if part in large else ''} |")
# --8<-- [end:weighed]

# --8<-- [start:repeats]
PARTS = {
    "": "nothing",
    "optimizer": "the optimizer state",
    "rng": "the RNG state",
    "position": "the data position",
    "batch": "the batch within the epoch",
}
SEEDS = range(10)
losses = {without: torch.zeros(len(SEEDS), 90) for without in PARTS}  # of each later step
held_out = {without: torch.zeros(len(SEEDS), 36) for without in PARTS}  # the loss after each of the first steps
accuracy = {without: torch.zeros(len(SEEDS)) for without in PARTS}  # at the end
away = {without: torch.zeros(len(SEEDS)) for without in PARTS}  # from the faithful weights, as a share of their norm
for seed in SEEDS:
    run = Run(seed)
    run.train(198)
    save(run, folder / "repeat.pt")
    for without in PARTS:
        run = resume(folder / "repeat.pt", seed, without)
        for later in range(36):
            losses[without][seed, later] = run.train(1)[0]
            held_out[without][seed, later] = run.evaluate(validation)[0]
        losses[without][seed, 36:] = torch.tensor(run.train(90 - 36))
        accuracy[without][seed] = run.evaluate(validation)[1]
        if not without:
            faithful = run.weights()
        away[without][seed] = (run.weights() - faithful).norm() / faithful.norm()
assert torch.equal(losses[""][0], torch.tensor(later_losses))
moves = {}  # of the typical weight, in the first step after the checkpoint
for without in ("", "optimizer"):
    run = resume(checkpoint, 0, without)
    before = run.weights()
    run.train(1)
    moves[without] = (run.weights() - before).abs().median().item()
# --8<-- [end:repeats]

# --8<-- [start:curves]
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
for without, name in PARTS.items():
    difference = (held_out[without] - held_out[""]).mean(0)
    ax.plot(range(199, 235), difference, label=f"without {name}" if without else "with all parts")
ax.set(xlabel="step", ylabel="held-out loss, minus that of\nthe run that never stopped", ylim=(-0.012, None))
ax.legend(fontsize="small", ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 1))
fig
# --8<-- [end:curves]

# --8<-- [start:differences]
change = {without: (losses[without] - losses[""]).abs() for without in PARTS}
first = {without: (change[without] > 0).int().argmax(1) + 1 for without in PARTS}  # 1 is the first resumed step
assert not change[""].any() and not away[""].any()
assert (first["optimizer"] == 2).all()
assert all((first[without] == 1).all() for without in ("rng", "position", "batch"))

next_epoch = {without: losses[without][:, :BATCHES].mean(1) for without in PARTS}
spike = float(next_epoch["optimizer"].mean() / next_epoch[""].mean())
assert (next_epoch["optimizer"] > next_epoch[""]).all() and spike > 1.5
assert all(next_epoch[without].mean() < 1.5 * next_epoch[""].mean() for without in ("rng", "position", "batch"))
assert 0.009 < moves["optimizer"] < 0.011 and moves[""] < 0.005
lost = {without: accuracy[""] - accuracy[without] for without in PARTS}  # run by run
points = {without: f"{round(float(lost[without].mean()) * 100, 1) + 0.0:.1f}".replace("-", "−") for without in PARTS}
error = {without: f"{lost[without].std() * 100 / len(SEEDS) ** 0.5:.1f}" for without in PARTS}  # of that mean
assert all(abs(lost[without].mean()) < 0.02 for without in PARTS)

columns = ("Loss differs from", "Largest difference", "Loss of the next epoch", "Weights apart", "Accuracy at the end")
print("| Left out |", " | ".join(columns), "|\n| --- |", "---: |" * len(columns))
for without, name in PARTS.items():
    print(
        f"| {name} | {f'step {198 + int(first[without][0])}' if without else 'none'} | {change[without].max():.3f} "
        f"| {next_epoch[without].mean():.3f} | {away[without].mean():.1%} "
        f"| {accuracy[without].mean():.1%} ± {accuracy[without].std():.1%} |"
    )
# --8<-- [end:differences]

# --8<-- [start:stages]
run = Run(seed=0)
training_loss = {}
for epoch in range(1, 65):
    training_loss[epoch] = sum(run.train(BATCHES)) / BATCHES
    save(run, folder / f"epoch-{epoch:02}.pt")

stages = {n: resume(folder / f"epoch-{n:02}.pt", seed=0) for n in training_loss}
scores = {epoch: stage.evaluate(validation) for epoch, stage in stages.items()}
best = min(scores, key=lambda epoch: scores[epoch][0])  # by validation loss
# --8<-- [end:stages]

# --8<-- [start:best]
assert best < 64
best_test, last_test = stages[best].evaluate(test), stages[64].evaluate(test)
print("| Epoch | Training loss | Validation loss | Validation accuracy |\n| ---: | ---: | ---: | ---: |")
for epoch in sorted({1, 2, 4, 8, 16, 32, best, 64}):
    mark = "**" if epoch == best else ""
    loss, right = scores[epoch]
    cells = (str(epoch), f"{training_loss[epoch]:.3f}", f"{loss:.3f}", f"{right:.1%}")
    print("".join(f"| {mark}{cell}{mark} " for cell in cells) + "|")
# --8<-- [end:best]


# --8<-- [start:diverge]
def diverged(loss: float) -> bool:
    return not loss < 1.0  # "not <" is true of nan as well


run = Run(seed=0)
trace: list[float] = []
while run.step < 60 or not diverged(trace[-1]):  # a young run may have such losses
    if run.step == 131:
        run.optimizer.param_groups[0]["lr"] = 1.0  # the accident: 0.01 was meant
    trace += run.train(1)
    if run.step % BATCHES == 0:
        save(run, folder / f"step-{run.step:03}.pt")
print(f"step {run.step - 1}: loss {trace[-2]:.2f}")
print(f"step {run.step}: loss {trace[-1]:.2f}, stopped")
# --8<-- [end:diverge]

# --8<-- [start:rollback]
for path in sorted(folder.glob("step-*.pt"), reverse=True):  # the newest first
    back = resume(path, seed=0)
    loss, _ = back.evaluate(validation)
    rate = back.optimizer.param_groups[0]["lr"]
    print(f"{path.name}: validation loss {loss:.2f}, learning rate {rate:g}")
    if not diverged(loss):
        break
good_step = back.step
mended = back.train(240 - good_step)
# --8<-- [end:rollback]

# --8<-- [start:rollback_plot]
from math import log
from statistics import mean

left_alone = trace + run.train(240 - run.step)
healthy = Run(seed=0)
healthy_losses = healthy.train(240)
assert not any(map(diverged, healthy_losses[60:])), "the rule raises no false alarm"
assert good_step == 120 and len(trace) == 133 and not any(map(diverged, trace[60:132]))
assert mended == healthy_losses[good_step:] and torch.equal(back.weights(), healthy.weights())
assert resume(folder / "step-132.pt", seed=0).optimizer.param_groups[0]["lr"] == 1.0, "the constructor said 0.01"
ruined = run.evaluate(validation)[1]
assert ruined < 0.3 and abs(mean(left_alone[-24:]) - log(10)) < 0.3

fig, ax = plt.subplots()
ax.plot(range(1, 241), left_alone, color="C2", linestyle=":", label="left to itself")
ax.plot(range(good_step + 1, 241), mended, color="C0", linestyle="-", label=f"rolled back to step {good_step}")
ax.axvline(131.5, color=plt.rcParams["axes.edgecolor"], linewidth=1)
ax.annotate("learning rate × 100", (131.5, 200), xytext=(-4, 0), textcoords="offset points", ha="right", va="top")
ax.set(xlabel="step", ylabel="training loss", yscale="log", xlim=(80, 241))
ax.legend(fontsize="small", ncols=2, loc="lower left", bbox_to_anchor=(-0.02, 1))
fig
# --8<-- [end:rollback_plot]

# --8<-- [start:seed]
resume(checkpoint, seed=0, without="rng")
seeded = torch.get_rng_state()
restored = torch.load(checkpoint, weights_only=True)["rng"]
assert torch.equal(seeded, rng_at_start)

masks = {
    "step 1": rng_at_start,
    "step 199, seeded": seeded,
    "step 199, restored": restored,
}
for name, state in masks.items():
    torch.set_rng_state(state)
    mask = nn.functional.dropout(torch.ones(24), 0.3) > 0
    print(f"{name:<20}", "".join("█" if kept else "·" for kept in mask))
# --8<-- [end:seed]

# --8<-- [start:epoch]
seen = set(order_of(16)[:6].flatten().tolist())  # before the checkpoint
resumed_at = {"": (16, 6), "batch": (16, 0), "position": (0, 0)}
twice, never = {}, {}
for without, (epoch, batch) in resumed_at.items():
    rest = set(order_of(epoch)[batch : batch + 6].flatten().tolist())
    twice[without] = len(seen & rest)
    never[without] = 384 - len(seen | rest)
    counts = f"{twice[without]:3} images seen twice, {never[without]:3} never"
    print(f"left out: {PARTS[without]:<27} {counts}")
assert (twice[""], twice["batch"]) == (0, 192) and 64 < twice["position"] < 128
assert twice == never
# --8<-- [end:epoch]

# --8<-- [start:check]
N = 18  # not a whole number of epochs

straight = Run(seed=1)
straight.train(2 * N)

stopped = Run(seed=1)
stopped.train(N)
save(stopped, folder / "stopped.pt")

restarted = resume(folder / "stopped.pt", seed=2)
restarted.train(N)
assert torch.equal(restarted.weights(), straight.weights())
# --8<-- [end:check]

# --8<-- [start:blind]
straight = Run(seed=1)
straight.train(2 * BATCHES)
stopped = Run(seed=1)
stopped.train(BATCHES)
save(stopped, folder / "stopped.pt")
faulty = resume(folder / "stopped.pt", seed=2, without="batch")
faulty.train(BATCHES)
assert torch.equal(faulty.weights(), straight.weights())  # the fault does not show
# --8<-- [end:blind]

# --8<-- [start:killed]
import subprocess
import sys
import textwrap

complete = checkpoint.read_bytes()
(folder / "checkpoint.pt.tmp").write_bytes(complete[: len(complete) // 2])  # what a killed save leaves behind

for name in ("checkpoint.pt.tmp", "checkpoint.pt"):
    command = [sys.executable, "-c", "from weigh.cli import main; main()", "inspect", name]
    environment = os.environ | {"PYTHONUTF8": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")
    first_line = (done.stderr or done.stdout).splitlines()[0]
    print(f"$ weigh inspect {name}\n{textwrap.fill(first_line, 84)}\nexit code {done.returncode}\n")
    assert done.returncode == (2 if name.endswith(".tmp") else 0)
# --8<-- [end:killed]

# --8<-- [start:problems]
from math import sqrt

writing, between_failures = 60, 8 * 3600  # seconds
interval = sqrt(2 * writing * between_failures)

examples, done_steps = 10_000_000, 30_000
seen_share = done_steps * 256 / examples
again = (examples - done_steps * 256) * seen_share
# --8<-- [end:problems]

# --8<-- [start:clean_up]
temporary.cleanup()
# --8<-- [end:clean_up]
