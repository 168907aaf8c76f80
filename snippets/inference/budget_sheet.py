"""The program of "Budget sheet": one deployment through seven boundaries, and what happens when each of them moves."""

# --8<-- [start:ask]
from dataclasses import replace

import weigh

trace = weigh.read_arrivals("snippets/inference/arrivals.csv")
prompt = round(sum(one.prompt for one in trace) / len(trace))
answer = round(sum(one.generated for one in trace) / len(trace))
demand = weigh.Demand(rate=20, prompt=prompt, generated=answer, per_token=0.030, first_token=0.5)
model, device = weigh.params("models/llama-3-8b"), weigh.find_device("l40s")
sheet = weigh.budget(model, device, demand)
# --8<-- [end:ask]

# --8<-- [start:sheet]
print("| Boundary | Asked | Found | Figure |\n| --- | --- | --- | --- |")
for line in sheet.lines:
    print(f"| {line.boundary} | {line.asked} | {line.found} | {line.kind} |")
# --8<-- [end:sheet]

# --8<-- [start:sheet_claims]
assert (sheet.replicas, sheet.binding, sheet.next_binding) == (3, "memory bandwidth", "compute")
assert sheet.kind == "bound" and sheet.batch_in_use < sheet.batch
memory = weigh.inference(model, context=demand.context, batch=sheet.batch, prefill=1)
assert sheet.memory == memory, "the memory is that of weigh.inference"
assert [line.boundary[:6] for line in sheet.lines if not line.holds] == ["tokeni", "safety"], (
    "a config alone serves nobody"
)
weights_alone = 1000 * sheet.cost().shared(1, 1)[0]  # all but the embeddings, of which a token reads a row
assert weights_alone < 30 and sheet.limits["memory bandwidth"] < sheet.limits["compute"]
# --8<-- [end:sheet_claims]

# --8<-- [start:devices]
arriving = weigh.scaled_arrivals(trace, demand.rate / weigh.arrival_rate(trace))
choices = {name: weigh.budget(model, one, demand) for name, one in weigh.DEVICES.items()}
kept = {name: weigh.replicas_for(found, arriving, share=0.95) for name, found in choices.items() if found.replicas}
# --8<-- [end:devices]

# --8<-- [start:devices_table]
print("| Device | Batch | Rate | Bound | p95 | Binds |\n| --- | ---: | ---: | ---: | ---: | --- |")
for name, found in choices.items():
    needed, binds = kept[name][0] if name in kept else "–", found.binding.removeprefix("memory ")
    print(f"| {name} | {found.batch} | {found.capacity:.1f} | {found.replicas or '–'} | {needed} | {binds} |")
# --8<-- [end:devices_table]

# --8<-- [start:devices_claims]
assert choices["l4"].replicas is None, "an L4 cannot read these weights in 30 ms"
assert choices["h200"].capacity == choices["h100"].capacity, "more memory and bandwidth do nothing where compute binds"
assert all(replicas >= choices[name].replicas for name, (replicas, _) in kept.items())
assert kept["l40s"][0] > 3, "waves and long requests take more than the bound"
run = kept["l40s"][1]
late = run.percentile("per_token", 0.95)
# --8<-- [end:devices_claims]

# --8<-- [start:moves]
MOVES = {
    "as asked": {},
    "15 ms per token": {"per_token": 0.015},
    "60 ms per token": {"per_token": 0.060},
    "prompts four times as long": {"prompt": 4 * prompt},
    "template of 400 tokens": {"template": 400},
    "four beams": {"sequences": 4},
    "one answer in ten again": {"retries": 0.1},
    "weights in FP8": {"dtype": "float8_e4m3fn"},
    "cache in FP8": {"kv_dtype": "float8_e4m3fn"},
    "70 % efficiency": {"efficiency": 0.7},
}
BOUNDARY = [
    "", "batch, latency", "batch, latency", "context", "preprocessing", "decoding", "post-processing", "precision",
    "precision", "batch, latency",
]  # fmt: skip
FORMATS = ("dtype", "kv_dtype", "efficiency")
moved = {}
for name, change in MOVES.items():
    asked = replace(demand, **{key: value for key, value in change.items() if key not in FORMATS})
    moved[name] = weigh.budget(model, device, asked, **{key: change[key] for key in FORMATS if key in change})
# --8<-- [end:moves]

# --8<-- [start:moves_table]
print("| Boundary | What moves | Batch | Requests/s | Replicas |\n| --- | --- | ---: | ---: | ---: |")
for boundary, (name, found) in zip(BOUNDARY, moved.items(), strict=True):
    print(f"| {boundary} | {name} | {found.batch} | {found.capacity:.1f} | {found.replicas or 'none'} |")
# --8<-- [end:moves_table]

# --8<-- [start:moves_claims]
replicas = {name: found.replicas for name, found in moved.items()}
assert replicas["15 ms per token"] is None, "half the time is not twice the devices: it is none"
assert replicas["70 % efficiency"] == 9 > 2 * sheet.replicas / 0.7, "and 70 % is not 1 / 0.7 as many"
assert replicas["weights in FP8"] < sheet.replicas and replicas["cache in FP8"] < sheet.replicas
assert moved["cache in FP8"].capacity > moved["weights in FP8"].capacity, "here caches weigh more than weights"
assert replicas["four beams"] > 3 * sheet.replicas
# --8<-- [end:moves_claims]

# --8<-- [start:cliff]
SHARES = [share / 100 for share in range(50, 101, 2)]
TARGETS = range(12, 61, 3)
by_share = [weigh.budget(model, device, demand, efficiency=share).replicas for share in SHARES]
by_target = [weigh.budget(model, device, replace(demand, per_token=ms / 1000)).replicas for ms in TARGETS]
# --8<-- [end:cliff]

# --8<-- [start:cliff_claims]
first_share = next(share for share, needed in zip(SHARES, by_share, strict=True) if needed)
first_target = next(ms for ms, needed in zip(TARGETS, by_target, strict=True) if needed)
highest, longest = (max(needed or 0 for needed in each) for each in (by_share, by_target))
assert by_share[-1] == 3 and by_share[0] is by_target[0] is None and min(highest, longest) > 15, "a cliff"
cliff_words = (
    f"Replicas on a log scale. Left, against efficiency: none below {first_share:.0%}, then {highest}, falling to "
    f"{by_share[-1]} at 100 %. Right, against the time per token: none below {first_target} ms, then {longest}, "
    f"falling to {by_target[-1]} at {TARGETS[-1]} ms."
)
# --8<-- [end:cliff_claims]

# --8<-- [start:cliff_plot]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True, layout="constrained")
for ax, at, needed in ((axes[0], [100 * share for share in SHARES], by_share), (axes[1], list(TARGETS), by_target)):
    met = [(x, count) for x, count in zip(at, needed, strict=True) if count]
    ax.plot(*zip(*met, strict=True), "o-", markersize=4)
    ax.axvspan(at[0], met[0][0], alpha=0.15, linewidth=0)
    ax.annotate("none", ((at[0] + met[0][0]) / 2, 20), ha="center", fontsize=9)
    ax.set(yscale="log")
axes[0].set(xlabel="efficiency, %", ylabel="replicas, at least")
axes[1].set(xlabel="ms per token")
axes[0].set_yticks([1, 2, 3, 5, 10, 20, 50], ["1", "2", "3", "5", "10", "20", "50"])
for ax in axes:
    ax.minorticks_off()
fig
# --8<-- [end:cliff_plot]

# --8<-- [start:command]
from click.testing import CliRunner

from weigh.cli import weigh as command

ARGS = (
    "budget models/llama-3-8b --device l40s --latency 30ms --first-token 500ms --rate 20 --prompt 1173 --generated 254"
)
said = CliRunner().invoke(command, ARGS.split())
print(said.output)
# --8<-- [end:command]

# --8<-- [start:command_claims]
assert said.exit_code == 0
assert f"replicas: {sheet.replicas} at least" in said.output
# --8<-- [end:command_claims]

# --8<-- [start:own]
yours = weigh.budget(
    weigh.params("models/mistral-7b"),  # or: your config.json
    weigh.Device("mine", memory=24 * weigh.GB, bandwidth=1.008e12, flops=165e12),
    weigh.Demand(rate=2, prompt=800, generated=200, per_token=0.030),
    efficiency=0.8,  # what your engine was measured to reach
)
print(f"replicas: {yours.replicas}, with {yours.batch} sequences at most")
print(f"{yours.binding} binds, then {yours.next_binding}")
# --8<-- [end:own]

# --8<-- [start:problems]
step_seconds = 0.020
served = 40 / (200 * step_seconds)
retried = 20 / (1 - 0.2)
alone = weights_alone / 0.7
# --8<-- [end:problems]
