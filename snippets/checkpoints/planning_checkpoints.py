"""The program of "Planning checkpoints": what saving costs, what failures cost, and the interval in between."""

# --8<-- [start:run]
import weigh
from weigh import GB, format_bytes

HOUR, DAY = 3600, 86_400

model = weigh.params("models/llama-3-70b")
size = weigh.checkpoint(model.distinct, "adamw", "bf16-master").total_bytes
failures_every = 54 * DAY / 419  # on 16,384 GPUs

run = weigh.plan(size, 5 * GB, mtbf=failures_every, run_time=30 * DAY, keep=3)
print("one checkpoint        ", format_bytes(run.checkpoint_bytes))
print("time to write it      ", f"{run.write_time / 60:.1f} min")
print("time between failures ", f"{run.mtbf / HOUR:.2f} h")
print("save after work of    ", f"{run.interval / 60:.1f} min")
print("a failure costs       ", f"{run.lost_per_failure / 60:.1f} min")
print("30 days of work take  ", f"{run.wall_time / DAY:.1f} days")
# --8<-- [end:run]

# --8<-- [start:checked]
assert f"{run.young / 60:.0f} {run.daly / 60:.0f}" == "35 33", "Young says 35 minutes, Daly 33"
later = weigh.plan(size, 5 * GB, failures_every, 30 * DAY, restart=HOUR)
assert later.interval == run.interval, "The restart does not change the interval"
assert later.lost_fraction > run.lost_fraction, "A longer restart costs more"
# --8<-- [end:checked]

# --8<-- [start:write]
import os
import tempfile
import time

import torch

torch.manual_seed(0)
torch.set_num_threads(1)
state = {name: torch.randn(5_000_000) for name in ("weights", "exp_avg", "exp_avg_sq")}


def seconds_to_save(path, wait):
    start = time.perf_counter()
    with open(path, "wb") as file:
        torch.save(state, file)
        file.flush()
        if wait:
            os.fsync(file.fileno())  # until the disk has it, not only the operating system's cache
    return time.perf_counter() - start


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "checkpoint.pt")
    cached = min(seconds_to_save(path, wait=False) for _ in range(3))
    stored = min(seconds_to_save(path, wait=True) for _ in range(3))
    written = os.path.getsize(path)
rate = written / stored
# --8<-- [end:write]

# --8<-- [start:simulate]
import numpy


def simulate(plan, random):
    """Seconds until the work is done; a failure throws back to the last save."""
    step = plan.interval + plan.write_time
    left = round(plan.run_time / plan.interval)  # intervals of work
    clock = ready = 0.0
    while True:
        survives = random.exponential(plan.mtbf)
        saved = max(0, int((survives - ready) // step))
        if saved >= left:
            return clock + ready + left * step
        clock += survives
        left -= saved
        ready = plan.restart


# --8<-- [end:simulate]


# --8<-- [start:curve]
def with_interval(interval):
    """The same run, saved at another interval, of which it holds a whole number."""
    work = max(1, round(30 * DAY / interval)) * interval
    return weigh.plan(size, 5 * GB, failures_every, work, interval=interval)


RUNS = 100
factors = [1 / 8, 1 / 4, 1 / 2, 2**-0.5, 1, 2**0.5, 2, 4, 8]
predicted, simulated, spread = {}, {}, {}
for factor in factors:
    plan = with_interval(factor * run.daly)
    random = numpy.random.default_rng(0)
    lost = 1 - plan.run_time / numpy.array([simulate(plan, random) for _ in range(RUNS)])
    predicted[factor] = plan.lost_fraction
    simulated[factor], spread[factor] = lost.mean(), lost.std()
    error = lost.std() / RUNS**0.5
    assert abs(lost.mean() - plan.lost_fraction) < 4 * error, "The simulation agrees with Daly's model"

assert min(simulated, key=simulated.get) in (2**-0.5, 1, 2**0.5), "The simulated best is near Daly's interval"
by_young = with_interval(run.young).lost_fraction
assert by_young - predicted[1] < 0.001, "Young's interval costs less than 0.1 % more"
# --8<-- [end:curve]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

minutes = numpy.geomspace(run.daly / 9, run.daly * 9, 200)
exact = [with_interval(t).lost_fraction for t in minutes]
added = run.write_time / minutes + (minutes / 2 + run.restart) / run.mtbf  # to first order, per second of work
first_order = added / (1 + added)

fig, ax = plt.subplots()
ax.plot(minutes / 60, exact, label="Daly's model")
ax.plot(minutes / 60, first_order, label="Young's, first order")
ax.errorbar(
    [factor * run.daly / 60 for factor in factors], list(simulated.values()), yerr=list(spread.values()),
    fmt="o", color="C2", capsize=3, linewidth=1, label=f"simulated, {RUNS} runs",
)  # fmt: skip
ax.plot(run.daly / 60, predicted[1], "D", color="C0", markersize=12, markerfacecolor="none")
ax.annotate(
    f"best: {run.daly / 60:.0f} min, {predicted[1]:.0%} lost", (run.daly / 60, predicted[1]),
    xytext=(0, -26), textcoords="offset points", ha="center",
)  # fmt: skip
ax.set_xscale("log")
ax.set_xticks([5, 10, 20, 40, 80, 160, 240], ["5", "10", "20", "40", "80", "160", "240"])
ax.xaxis.set_minor_locator(plt.NullLocator())
ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
ax.set(ylim=(0, 1), xlabel="minutes of work between checkpoints", ylabel="share of time lost")
ax.legend()
alt = (
    "Share of time lost against the interval, on a logarithmic scale: a wide valley. "
    f"It is {predicted[1 / 8]:.0%} at an eighth of the best interval, {predicted[1]:.0%} at the best of "
    f"{run.daly / 60:.0f} minutes, {predicted[8]:.0%} at eight times as long. The simulated runs lie on Daly's curve. "
    "Young's first-order curve runs below it on the right."
)
fig
# --8<-- [end:plot]

# --8<-- [start:flat]
print("| Interval | Minutes | Lost, predicted | Lost, simulated |")
print("| --- | ---: | ---: | ---: |")
for factor in factors:
    name = "**best**" if factor == 1 else f"÷ {1 / factor:.3g}" if factor < 1 else f"× {factor:.3g}"
    print(
        f"| {name} | {factor * run.daly / 60:.0f} | {predicted[factor]:.1%} "
        f"| {simulated[factor]:.1%} ± {spread[factor]:.1%} |"
    )
worst_of_two = 0.04
assert max(predicted[2], predicted[1 / 2]) < predicted[1] + worst_of_two, "A factor of two costs under 4 points"
assert min(predicted[8], predicted[1 / 8]) > 2 * predicted[1], "A factor of eight more than doubles the loss"
# --8<-- [end:flat]

# --8<-- [start:table]
BANDWIDTHS = [1 * GB, 5 * GB, 50 * GB, 500 * GB]
print("| GPUs | Between failures |", " | ".join(f"{bandwidth // GB} GB/s" for bandwidth in BANDWIDTHS), "|")
print("| ---: | ---: |", " ---: |" * len(BANDWIDTHS))
grid = {}
for gpus in (16_384, 2048, 256):
    mtbf = failures_every * 16_384 / gpus
    row = []
    for bandwidth in BANDWIDTHS:
        cell = grid[gpus, bandwidth] = weigh.plan(size, bandwidth, mtbf, 30 * DAY)
        row.append(f"{cell.interval / 60:,.0f} min<br>{cell.lost_fraction:.1%}")
    print(f"| {gpus:,} | {mtbf / HOUR:,.1f} h |", " | ".join(row), "|")
hundredfold = grid[16_384, 5 * GB].interval / grid[16_384, 500 * GB].interval
saved = grid[16_384, 5 * GB].lost_fraction / grid[16_384, 500 * GB].lost_fraction
assert 9 < hundredfold < 10.5, "A hundred times the bandwidth makes the interval about a tenth"
assert 9 < saved < 11, "A hundred times the bandwidth makes the loss about a tenth"
# --8<-- [end:table]

# --8<-- [start:bill]
all_kept = weigh.plan(size, 5 * GB, failures_every, 30 * DAY, keep=run.checkpoints)
assert run.kept_bytes == 4 * size, "Three kept need room for four"
assert all_kept.kept_bytes == run.written_bytes
# --8<-- [end:bill]

# --8<-- [start:steps]
print("| A step takes | 1,000 steps | Lost at that | Lost at the best |")
print("| ---: | ---: | ---: | ---: |")
by_steps = {}
for step in (0.5, 2, 10):
    fixed = by_steps[step] = weigh.plan(size, 5 * GB, failures_every, 30 * DAY, interval=1000 * step)
    print(f"| {step} s | {1000 * step / 60:.0f} min | {fixed.lost_fraction:.0%} | {run.lost_fraction:.0%} |")
assert by_steps[2].lost_fraction < run.lost_fraction + 0.001, "At 2 s a step, 1,000 steps are right"
assert by_steps[0.5].lost_fraction > 1.5 * run.lost_fraction
epoch = weigh.plan(size, 5 * GB, failures_every, 30 * DAY, interval=30 * DAY)
assert epoch.wall_time / DAY > 1e90, "Saving once an epoch, it never ends"
# --8<-- [end:steps]

# --8<-- [start:sizes]
N = 70_000_000_000  # as the published sums have it
in_16, in_32 = 2 * N, 4 * N
with_copy = in_16 + 3 * in_32
without_copy = 3 * in_32
pure_bfloat16 = 3 * in_16
nvidia = in_16 + 2 * in_32 + in_16  # weights, moments, gradients
assert (without_copy, with_copy, pure_bfloat16) == (840 * GB, 980 * GB, 420 * GB)
assert format_bytes(nvidia, binary=True) == "782.3 GiB", "NVIDIA's 782 GB are GiB"
assert nvidia == without_copy, "The total is that of float32 weights and moments"
assert 4 * in_16 == 2 * in_32 == 560 * GB, "560 GB are the float32 moments alone"
assert 1 < size / with_copy < 1.01, "Llama-3-70B has a little more than 70 billion parameters"
# --8<-- [end:sizes]

# --8<-- [start:own]
mine = weigh.plan(112 * GB, 2 * GB, mtbf=24 * HOUR, run_time=14 * DAY, keep=3)
print(f"save every {mine.interval / 60:.0f} min, {mine.lost_fraction:.1%} lost")
print("room for", format_bytes(mine.kept_bytes))
# --8<-- [end:own]

# --8<-- [start:problems]
few = weigh.young(60, 8 * HOUR)
many = weigh.young(60, 8 * HOUR / 4)
assert abs(many / few - 1 / 2) < 1e-9, "Four times the nodes halve the interval"

background = weigh.plan(size, 50 * GB, failures_every, 30 * DAY, restart=run.restart)
assert background.lost_fraction < run.lost_fraction / 2, "A tenth of the pause loses less than half"

small = weigh.plan(10 * GB, 1 * GB, 60 * DAY, 2 * HOUR, keep=3)
assert small.checkpoints == 1, "A short run that seldom fails saves once, at the end"

stuck = weigh.plan(size, 5 * GB, mtbf=run.write_time / 2, run_time=30 * DAY)
assert stuck.lost_fraction > 0.95, "Nearly all is lost if a save takes longer than the time between failures"
# --8<-- [end:problems]
