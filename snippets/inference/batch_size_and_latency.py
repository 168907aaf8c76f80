"""The program of "Batch size and latency": what a batch costs, two kinds of batching, real arrivals, and p99."""

# --8<-- [start:quill]
from functools import partial
from timeit import repeat

import torch

import weigh
from quill.model import Quill

torch.set_num_threads(1)
torch.set_grad_enabled(False)
model, quill = Quill.read("models/quill"), weigh.params("models/quill")
ANY = {"bandwidth": 1.0, "flops": 1.0}  # counts do not depend on them
BATCHES, CACHED = (1, 4, 16, 64, 256), 128


weights = sum(tensor.nbytes for tensor in model.parameters())
_, read = model(torch.zeros(1, CACHED, dtype=torch.long))  # the cache of one sequence
seconds, counts = {}, {}
for batch in BATCHES:
    cache = [tuple(tensor.repeat(batch, 1, 1, 1) for tensor in layer) for layer in read]
    token = torch.zeros(batch, 1, dtype=torch.long)
    seconds[batch] = min(repeat(partial(model, token, cache), number=1, repeat=6))
    kept = sum(tensor.nbytes for layer in cache for tensor in layer)
    counts[batch] = weigh.decode_bound(quill, context=CACHED, batch=batch, dtype="float32", **ANY)
    left_out = weights + kept - counts[batch].bytes_moved
    assert left_out == model.model.norm.weight.nbytes, "weigh counts these tensors, but for the last norm"
# --8<-- [end:quill]

# --8<-- [start:quill_table]
print("| Batch | Bytes per token | Operations per token | Operations per byte |")
print("| ---: | ---: | ---: | ---: |")
for batch, bound in counts.items():
    moved, flops = bound.bytes_moved / batch, bound.flops / batch
    print(f"| {batch} | {moved:,.0f} | {flops:,.0f} | {flops / moved:.2f} |")
# --8<-- [end:quill_table]

# --8<-- [start:quill_claims]
per_token = {batch: bound.flops // batch for batch, bound in counts.items()}
assert len(set(per_token.values())) == 1, "the work of a token is the same in any batch"
byte_saving = counts[1].bytes_moved * 256 / counts[256].bytes_moved
assert 20 < byte_saving < 256, "its bytes are not: the weights are shared, and the caches are not"
assert seconds[256] > seconds[1] and seconds[256] / 256 < seconds[1], "each waits longer, and all get more"
# --8<-- [end:quill_claims]

# --8<-- [start:predict]
llama = weigh.params("models/llama-3-8b")
H100 = weigh.find_device("h100")
RATES = {"bandwidth": H100.bandwidth, "flops": H100.flops}
MANY = (1, 4, 16, 64, 256, 512)
bounds = {batch: weigh.decode_bound(llama, context=1300, batch=batch, **RATES) for batch in MANY}
# --8<-- [end:predict]

# --8<-- [start:predict_plot]
import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
measured = [seconds[batch] / seconds[1] for batch in BATCHES]
predicted = [bounds[batch].seconds / bounds[1].seconds for batch in MANY]
for name, sizes, steps in (("Quill, measured", BATCHES, measured), ("Llama-3-8B, bound", MANY, predicted)):
    left.plot(sizes, steps, "o-", markersize=4, label=name)
    right.plot(sizes, [batch / step for batch, step in zip(sizes, steps, strict=True)], "o-", markersize=4)
left.set(title="time of a step", xlabel="batch")
right.set(title="tokens in a second", xlabel="batch")
for ax in (left, right):
    ax.set(xscale="log", yscale="log")
    ax.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:g}×")
fig.legend(loc="outside upper center", ncols=2)
batch_words = (
    f"Both against batch 1. Left: at batch 256 a step takes {measured[-1]:.0f} times as long for Quill and, by the "
    f"roofline, {predicted[4]:.1f} times for Llama-3-8B. Right: tokens in a second grow to {256 / measured[-1]:.0f} "
    f"times and to {256 / predicted[4]:.0f} times. The curves flatten as caches and operations outweigh the weights."
)
fig
# --8<-- [end:predict_plot]

# --8<-- [start:predict_table]
print("| Batch | Step, at least | Tokens/s, at most | Cache, of bytes | Limit |")
print("| ---: | ---: | ---: | ---: | --- |")
caches = {}
for batch, bound in bounds.items():
    caches[batch] = weigh.inference(llama, context=1300, batch=batch).kv_cache_bytes / bound.bytes_moved
    print(f"| {batch} | {1000 * bound.seconds:.1f} ms | {bound.tokens_per_second:,.0f} | {caches[batch]:.0%} |", end="")
    print(f" {bound.limited_by} |")
# --8<-- [end:predict_table]

# --8<-- [start:predict_claims]
assert all(bound.limited_by == "memory" for bound in bounds.values()), "decoding at this context never fills the cores"
slower = bounds[256].seconds / bounds[1].seconds
quicker = bounds[256].tokens_per_second / bounds[1].tokens_per_second
assert 3 < slower < 5 and 60 < quicker < 80
ceiling = H100.bandwidth / weigh.inference(llama, context=1300).kv_cache_bytes
assert ceiling > bounds[512].tokens_per_second, "a token cannot be written before its cache is read"
# --8<-- [end:predict_claims]

# --8<-- [start:arrivals]
trace = weigh.read_arrivals("snippets/inference/arrivals.csv")
rate = weigh.arrival_rate(trace)
cost = weigh.RooflineCost(llama, **RATES)


def served(requests, **options):
    """What the engine of this page does with requests."""
    return weigh.simulate_serving(requests, cost, **({"batch": 256, "step_tokens": 2048} | options))


prompts, answers = (sorted(getattr(one, name) for one in trace) for name in ("prompt", "generated"))
mean_prompt, mean_answer = sum(prompts) / len(trace), sum(answers) / len(trace)
# --8<-- [end:arrivals]

# --8<-- [start:kinds]
quarter, whole = weigh.scaled_arrivals(trace, 0.25), trace
runs = {
    ("static", 32, "¼"): served(quarter, batching="static", batch=32),
    ("continuous", 32, "¼"): served(quarter, batch=32),
    ("static", 32, "1"): served(whole, batching="static", batch=32),
    ("static", 128, "1"): served(whole, batching="static", batch=128),
    ("continuous", 32, "1"): served(whole, batch=32),
}
# --8<-- [end:kinds]

# --8<-- [start:kinds_table]
print("| Batching | Rate | Done/s | Padding | p50 | p99 |\n| --- | ---: | ---: | ---: | ---: | ---: |")
for (kind, batch, speed), run in runs.items():
    p50, p99 = (run.percentile("first_token", share).value for share in (0.5, 0.99))
    print(
        f"| {kind}, {batch} | {speed} | {run.requests_per_second:.2f} | {run.padding_tokens / run.tokens:.0%} |", end=""
    )
    print(f" {p50:.2f} s | {p99:.2f} s |")
# --8<-- [end:kinds_table]

# --8<-- [start:kinds_claims]
done = {name: run.requests_per_second for name, run in runs.items()}
padding = {name: run.padding_tokens / run.tokens for name, run in runs.items()}
assert done["static", 32, "1"] < 0.9 * rate and done["static", 128, "1"] < 0.9 * rate, "static falls behind"
assert padding["static", 128, "1"] > padding["static", 32, "1"] > 0.6, "a larger batch pads more"
assert abs(done["static", 128, "1"] / done["static", 32, "1"] - 1) < 0.05, "so four times the batch serves no more"
assert done["continuous", 32, "1"] > 0.98 * rate and padding["continuous", 32, "1"] == 0
waits = {name: run.percentile("first_token", 0.5).value for name, run in runs.items()}
assert runs["continuous", 32, "1"].percentile("first_token", 0.99).value < 0.1
assert waits["static", 32, "¼"] > 20 * waits["continuous", 32, "¼"], "static is slow even where it keeps up"
# --8<-- [end:kinds_claims]

# --8<-- [start:poisson]
SEEDS, LOADS, WINDOWS = range(5), (1, 6, 8), (1, 10, 60)
real = {load: served(weigh.scaled_arrivals(trace, load)) for load in LOADS}
poisson = {load: [served(weigh.random_arrivals(trace, load * rate, seed=seed)) for seed in SEEDS] for load in LOADS}
alike = [weigh.Request(one.arrival / 6, round(mean_prompt), round(mean_answer)) for one in trace]
means = served(alike)
spread = {window: weigh.dispersion(trace, window) for window in WINDOWS}
even = {window: weigh.dispersion([one.request for one in poisson[1][0].requests], window) for window in WINDOWS}
# --8<-- [end:poisson]


# --8<-- [start:poisson_table]
def first(run, share=0.99):
    """A percentile of the time to the first token, in milliseconds."""
    return 1000 * run.percentile("first_token", share).value


print("| Requests/s | p99, real arrivals | p99, Poisson, median | its range |\n| ---: | ---: | ---: | ---: |")
for load in LOADS:
    random = sorted(first(run) for run in poisson[load])
    print(f"| {load * rate:.1f} | {first(real[load]):,.0f} ms | {random[2]:,.0f} ms |", end="")
    print(f" {random[0]:,.0f} to {random[-1]:,.0f} ms |")
# --8<-- [end:poisson_table]

# --8<-- [start:poisson_claims]
assert spread[60] > 4 > 1.5 > spread[1] and all(value < 1.6 for value in even.values())
assert abs(first(real[1]) / first(poisson[1][0]) - 1) < 0.15, "far from the limit, a Poisson process is as good"
assert all(first(real[8]) > 1.3 * first(run) for run in poisson[8]), "near it, all five say too little"
assert first(means) < 0.7 * first(real[6]), "and mean lengths say less than mean arrivals"
# --8<-- [end:poisson_claims]

# --8<-- [start:knee]
demand = weigh.Demand(rate=rate, prompt=round(mean_prompt), generated=round(mean_answer), per_token=0.03)
most = weigh.budget(llama, H100, demand).capacity
curve = {load: served(weigh.scaled_arrivals(trace, load)) for load in (2, 4, 5, 7, 7.5, 9)} | real
curve = dict(sorted(curve.items()))
points = {
    what: {share: [run.percentile(what, share) for run in curve.values()] for share in (0.5, 0.95, 0.99)}
    for what in ("first_token", "per_token")
}
# --8<-- [end:knee]

# --8<-- [start:knee_claims]
busy = [run.utilisation for run in curve.values()]
assert min(busy) > 0.95, "it is busy all the time, at any of these loads"
assert curve[7].requests_per_second > 0.85 * 7 * rate and first(curve[7]) < 1000, "and serves seven times as many"
assert first(real[8], 0.5) > 4 * first(curve[7], 0.5), "the knee"
assert 0.6 < 7 * rate / most < 0.8, "it comes well below what no engine exceeds"
assert curve[9].percentile("first_token", 0.5).value > 2, "beyond it, the queue grows for as long as the trace lasts"
assert real[8].percentile("first_token", 0.99).high is None
independent = {load: run.percentile("first_token", 0.99).independent for load, run in curve.items()}
assert independent[8] < 300 < 1500 < independent[1], "neighbours wait alike near the limit"
knee_words = (
    f"p50, p95 and p99 against requests a second, on log scales. First token: from {first(curve[1], 0.5):.0f}, "
    f"{first(curve[1], 0.95):.0f} and {first(curve[1]):.0f} ms at {rate:.1f} requests a second to "
    f"{first(curve[7], 0.5):.0f}, {first(curve[7], 0.95):.0f} and {first(curve[7]):.0f} ms at {7 * rate:.0f}, then "
    f"upright: {first(curve[9]) / 1000:.0f} seconds of p99 at {9 * rate:.0f}. Per token: all three rise smoothly, p50 "
    "from 5 to 25 ms, and stay there once the batch is full."
)
# --8<-- [end:knee_claims]

# --8<-- [start:knee_plot]
fig, axes = plt.subplots(2, 1, figsize=(7, 5.6), sharex=True, layout="constrained")
at = [load * rate for load in curve]
for ax, (what, title) in zip(axes, (("first_token", "first token"), ("per_token", "each further token")), strict=True):
    for share, marker in ((0.5, "o"), (0.95, "s"), (0.99, "^")):
        found = points[what][share]
        (line,) = ax.plot(
            at, [1000 * one.value for one in found], f"{marker}-", label=f"p{100 * share:.0f}", markersize=4
        )
        for x, one in zip(at, found, strict=True):
            top = one.high or 1000  # an interval without an end leaves the picture
            ax.plot([x, x], [1000 * one.low, 1000 * top], color=line.get_color(), linewidth=3, alpha=0.3)
    ax.axvline(most, color=plt.rcParams["text.color"], linestyle=":", linewidth=1)
    ax.set(title=title, yscale="log", ylabel="ms")
axes[0].set_ylim(10, 30_000)
axes[1].set_ylim(4, 60)
for ax, ticks in zip(axes, ((10, 100, 1000, 10_000), (5, 10, 20, 50)), strict=True):
    ax.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    ax.minorticks_off()
axes[1].set_xlabel("requests in a second; dotted: more than any engine serves")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
fig
# --8<-- [end:knee_plot]

# --8<-- [start:sure]
import random
from math import log, sqrt


def queue_times(load, count, seed):
    """Waiting and service of a queue with one place and random services of mean 1, in its steady state."""
    draw = random.Random(seed).expovariate
    total = draw(1 - load)  # the steady state is known: exponential, of mean 1 / (1 - load)
    for _ in range(count):
        total = max(0.0, total - draw(load)) + draw(1)
        yield total


def alone(times, share):
    """The interval for independent times: order statistics at the share and two standard errors around it."""
    count, half = len(times), 1.96 * sqrt(share * (1 - share) / len(times))
    ordered = sorted(times)
    return ordered[int(count * (share - half)) - 1], ordered[min(count - 1, int(count * (share + half)) + 1)]


RUNS, PROMPTS = 150, 1000
covered = {}
for load in (0.3, 0.6, 0.9):
    true, hits = log(100) / (1 - load), [0, 0, 0]
    for seed in range(RUNS):
        times = list(queue_times(load, PROMPTS, seed))
        low, high = alone(times, 0.99)
        blocks = weigh.percentile(times, 0.99)
        hits[0] += low <= true <= high
        hits[1] += blocks.low <= true and (blocks.high is None or true <= blocks.high)
        hits[2] += blocks.high is None
    covered[load] = [count / RUNS for count in hits]
# --8<-- [end:sure]

# --8<-- [start:sure_table]
print("| Load | As if independent | By blocks | No upper end |\n| ---: | ---: | ---: | ---: |")
for load, (one, other, open_ended) in covered.items():
    print(f"| {load:.0%} | {one:.0%} | {other:.0%} | {open_ended:.0%} |")
# --8<-- [end:sure_table]

# --8<-- [start:sure_claims]
assert covered[0.3][0] > 0.8 and covered[0.9][0] < 0.5, "near the limit, 95 % are less than half"
assert all(other > 0.85 for _, other, _ in covered.values()), "blocks do better,"
assert covered[0.9][2] > 0.9 > 0.8 > covered[0.3][2], "and say that 1,000 requests do not tell"
least = next(n for n in range(1, 1000) if 0.99**n < 0.025)
assert least == 368, "with fewer, the largest of all may be below p99"
needed = round(least * len(trace) / independent[8], -2)
# --8<-- [end:sure_claims]

# --8<-- [start:pieces]
print("| Tokens of a step | p50 per token | p99 per token | p99 first token |\n| --- | ---: | ---: | ---: |")
pieces = {}
for tokens in (512, 2048, None):
    pieces[tokens] = run = served(weigh.scaled_arrivals(trace, 6), step_tokens=tokens)
    middle, late = (1000 * run.percentile("per_token", share).value for share in (0.5, 0.99))
    print(f"| {tokens or 'whole prompts'} | {middle:.0f} ms | {late:.0f} ms | {first(run):.0f} ms |")
# --8<-- [end:pieces]

# --8<-- [start:pieces_claims]
small, large = pieces[512], pieces[None]
assert small.percentile("per_token", 0.99).value < 0.4 * large.percentile("per_token", 0.99).value
assert abs(first(small) / first(large) - 1) < 0.3, "and the first token is as late"
ridge = H100.flops / H100.bandwidth
# --8<-- [end:pieces_claims]

# --8<-- [start:own]
requests = weigh.read_arrivals("snippets/inference/arrivals.csv")  # or: yours
yours = weigh.RooflineCost(
    weigh.params("models/llama-3-8b"), bandwidth=864e9, flops=362e12, dtype="q4_k_m", efficiency=0.6
)  # or measured: weigh.LinearCost(fixed, per_token, per_cached_byte, bytes_per_token)
run = weigh.simulate_serving(requests, yours, batch=64, step_tokens=1024)
p99 = run.percentile("first_token", 0.99)
print(f"p99: {p99.value:.2f} s ({p99.low:.2f} to {p99.high or 'unknown'})")
print(f"{run.mean_batch:.1f} sequences at a time, of {run.batch}")
# --8<-- [end:own]

# --8<-- [start:problems]
little = 5 * 1.2
padded = 1 - (100 + 900) / (2 * 900)
alone_p99 = log(100) / (1 - 0.8), log(100) / (1 - 0.9)
assert alone_p99[1] / alone_p99[0] - 2 < 1e-9
tail_count = 0.01 * 1000
# --8<-- [end:problems]
