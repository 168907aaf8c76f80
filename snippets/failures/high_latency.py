"""The program of "High latency": one service made slow in seven ways, and a diagnosis from its trace."""

# --8<-- [start:service]
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import weigh
from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
HOME, ROWS, TOKENS = Path("models"), 16, 384  # a call takes so many requests, and so many tokens with padding
words = tokenizer.read(HOME / "quill")
MODELS = {name: Quill.read(HOME / name) for name in ("quill-draft", "quill")}


@dataclass(frozen=True)
class Event:
    """A stage at work: what a tracer writes down."""

    stage: str
    start: float  # on the clock on the wall
    end: float
    cpu: float  # seconds of the processor, which other programs do not add to
    lengths: tuple[int, ...] = ()  # of the rows of a call, in tokens
    waiting: int = 0  # requests that could have been in the call


def by_length(lengths):
    """Batches of like lengths, as many rows as fit."""
    batches = [[]]
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if len(batches[-1]) == ROWS or (len(batches[-1]) + 1) * lengths[row] > TOKENS:
            batches.append([])
        batches[-1].append(row)
    return [batch for batch in batches if batch]


@dataclass(frozen=True)
class Service:
    """How requests become answers: the mean log-probability of each text."""

    name: str = "healthy"
    model: str = "quill-draft"
    tokenize: Callable = lambda text: words.encode(text).ids
    batches: Callable = by_length
    together: bool = True  # or each request comes after the answer to the one before
    pause: float = 0.0  # between two calls, in times of the last call


@torch.no_grad()
def score(model, rows):
    """One call: rows padded on the right, which the tokens before do not see."""
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    logits, _ = MODELS[model](ids)
    chances = logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    return [float(chances[n, : len(row) - 1].mean()) for n, row in enumerate(rows)]


def serve(service, texts):
    """Answers in the order of the texts, and the trace."""
    answers, trace = [0.0] * len(texts), []

    def traced(stage, work, *told):
        start, cpu = time.perf_counter(), time.thread_time()
        done = work()
        trace.append(Event(stage, start, time.perf_counter(), time.thread_time() - cpu, *told))
        return done

    for group in [range(len(texts))] if service.together else [[n] for n in range(len(texts))]:
        ids = traced("tokenize", lambda group=group: [service.tokenize(texts[n]) for n in group])
        left = len(ids)
        for batch in service.batches([*map(len, ids)]):
            rows = [ids[row] for row in batch]
            scores = traced("model", lambda rows=rows: score(service.model, rows), tuple(map(len, rows)), left)
            for row, each in zip(batch, scores, strict=True):
                answers[group[row]] = each
            left -= len(batch)
            if service.pause:
                time.sleep(service.pause * (trace[-1].end - trace[-1].start))
    return answers, trace


# --8<-- [end:service]

# --8<-- [start:requests]
play = (HOME / "quill/held-out.txt").read_text(encoding="utf-8")
speeches = [speech for speech in play.split("\n\n") if 5 <= len(words.encode(speech).ids) <= 128]
LENGTHS = [len(words.encode(speech).ids) for speech in speeches]


def requests(seed, count=32):
    return [speeches[n] for n in np.random.default_rng(seed).choice(len(speeches), count, replace=False)]


# --8<-- [end:requests]

# --8<-- [start:causes]
import json

from weigh.tokenizers import bpe

saved = json.loads((HOME / "quill/tokenizer.json").read_text(encoding="utf-8"))["model"]
merges = [tuple(bpe.unspell(part) for part in pair) for pair in saved["merges"]]


def textbook(text):
    """Byte-pair encoding as it is taught: every merge in turn, on every word."""
    ids = []
    for word in bpe.words(text):
        parts = bpe.split(word)
        for pair in merges:
            parts = bpe.join(parts, pair)
        ids += [saved["vocab"][bpe.spell(part)] for part in parts]
    return ids


def reloaded(text):
    """The tokenizer is read from disk for each request."""
    return tokenizer.read(HOME / "quill").encode(text).ids


def as_they_come(lengths):
    return [range(start, min(start + ROWS, len(lengths))) for start in range(0, len(lengths), ROWS)]


def one_by_one(lengths):
    return [[row] for row in range(len(lengths))]


CAUSES = {
    "model too large": [Service("a larger model", model="quill")],
    "inefficient batch shape": [
        Service("unsorted batches", batches=as_they_come),
        Service("batches of one", batches=one_by_one),
    ],
    "accelerator underused": [
        Service("one client that waits", together=False, pause=2),
        Service("a timer before each call", pause=2),
    ],
    "CPU preprocessing bottleneck": [
        Service("textbook tokenizer", tokenize=textbook),
        Service("tokenizer read each time", tokenize=reloaded),
    ],
}
# --8<-- [end:causes]

# --8<-- [start:target]
BUDGET = 100e6  # a target in seconds is so many operations, at what the processor does in a second


def bound(name):
    """Operations that the longest request needs at least."""
    return weigh.prefill_bound(weigh.params(HOME / name), bandwidth=1e12, flops=1, dtype="float32", context=128).flops


NEEDED = {name: bound(name) for name in MODELS}
# --8<-- [end:target]

# --8<-- [start:evidence]


def evidence(service, trace):
    """What config, target and trace say. It reads neither the tokenizer nor the batching of the service."""
    calls = [event for event in trace if event.stage == "model"]
    cpu = {stage: sum(event.cpu for event in trace if event.stage == stage) for stage in ("tokenize", "model")}
    busy = sum(event.end - event.start for event in trace)
    computed = [len(call.lengths) * max(call.lengths) for call in calls]
    filled = [
        min(1, max(len(call.lengths) / min(call.waiting, ROWS), size / TOKENS))
        for call, size in zip(calls, computed, strict=True)
    ]
    return {
        "bound ÷ target": NEEDED[service.model] / BUDGET,
        "tokenizing": cpu["tokenize"] / sum(cpu.values()),
        "idle": 1 - busy / (trace[-1].end - trace[0].start),
        "padding": 1 - sum(sum(call.lengths) for call in calls) / sum(computed),
        "filled": sum(filled) / len(filled),
        "calls": len(calls),
    }


# --8<-- [end:evidence]


# --8<-- [start:diagnosis]
def diagnose(found):
    """The first fork that is taken, widest effect first."""
    if found["bound ÷ target"] > 1:
        return "model too large"
    if found["tokenizing"] > 0.4:
        return "CPU preprocessing bottleneck"
    if found["idle"] > 0.4:
        return "accelerator underused"
    if found["padding"] > 0.4 or found["filled"] < 0.4:
        return "inefficient batch shape"
    return "healthy"


# --8<-- [end:diagnosis]

# --8<-- [start:blind]
import random

SEEDS = range(5)
RIGHT = {Service(): "healthy"} | {service: cause for cause, each in CAUSES.items() for service in each}
serve(Service(), requests(0))  # warm, so that nothing is counted that happens once
runs = [(service, seed) for service in RIGHT for seed in SEEDS]
random.Random(0).shuffle(runs)
found, traces, said = {}, {}, {}
for service, seed in runs:
    texts = requests(seed)
    answers, trace = serve(service, texts[:8] if service.tokenize is textbook else texts)
    found[service, seed], traces[service, seed] = evidence(service, trace), trace
    said[service, seed] = answers
named = {run: diagnose(found[run]) for run in runs}
seen = {
    service.name: {name: float(np.median([found[service, seed][name] for seed in SEEDS])) for name in found[runs[0]]}
    for service in RIGHT
}
# --8<-- [end:blind]

# --8<-- [start:counts]
print(
    "| Service | Bound ÷ target | Padding | Filled | Calls | Named right |\n| --- | ---: | ---: | ---: | ---: | ---: |"
)
for service, cause in RIGHT.items():
    one, times = seen[service.name], sum(named[service, seed] == cause for seed in SEEDS)
    shares = f"{one['padding']:.0%} | {one['filled']:.0%} | {one['calls']:.0f}"
    print(f"| {service.name} | {one['bound ÷ target']:.2f} | {shares} | {times} of {len(SEEDS)} |")
# --8<-- [end:counts]

# --8<-- [start:shares]
print("| Service | Tokenizing | Idle | Time a request |\n| --- | ---: | ---: | ---: |")


def seconds(service, seed):
    trace = traces[service, seed]
    return (trace[-1].end - trace[0].start) / len(said[service, seed])


took = {service: np.median([seconds(service, seed) for seed in SEEDS]) for service in RIGHT}
for service in RIGHT:
    one = seen[service.name]
    print(f"| {service.name} | {one['tokenizing']:.0%} | {one['idle']:.0%} | {took[service] / took[Service()]:.1f}× |")
# --8<-- [end:shares]

# --8<-- [start:claims]
assert all(named[service, seed] == cause for service, cause in RIGHT.items() for seed in SEEDS)
same = [said[service, 0] for service in RIGHT if service.model == "quill-draft"]
assert all(np.allclose(same[0][: len(one)], one, atol=1e-3) for one in same), "slow or not, the answers are the same"
assert NEEDED["quill"] > 10 * NEEDED["quill-draft"]
assert seen["unsorted batches"]["padding"] > 0.55 and seen["healthy"]["padding"] < 0.3
assert seen["batches of one"]["filled"] < 0.25 and seen["healthy"]["filled"] > 0.8
assert seen["textbook tokenizer"]["tokenizing"] > 0.5 and seen["tokenizer read each time"]["tokenizing"] > 0.45
assert seen["healthy"]["tokenizing"] < 0.25 and seen["healthy"]["idle"] < 0.2
assert min(seen[name]["idle"] for name in ("one client that waits", "a timer before each call")) > 0.5
assert seen["batches of one"]["idle"] < 0.2, "busy all the time, and nearly empty"
# --8<-- [end:claims]

# --8<-- [start:timeline]
import matplotlib.pyplot as plt

shown = [service for service in RIGHT if service.name not in ("a larger model", "tokenizer read each time")]
fig, axes = plt.subplots(len(shown), 1, figsize=(7, 4.6), layout="constrained", sharex=True)
for ax, service in zip(axes, shown, strict=True):
    trace = traces[service, 0]
    start, wall = trace[0].start, trace[-1].end - trace[0].start
    for event in trace:
        left, width = (event.start - start) / wall, (event.end - event.start) / wall
        useful = sum(event.lengths) / (len(event.lengths) * max(event.lengths)) if event.lengths else 1
        ax.barh(0, width * useful, left=left, color="C0" if event.lengths else "C1", linewidth=0)
        ax.barh(0, width * (1 - useful), left=left + width * useful, color="C0", alpha=0.35, linewidth=0)
    ax.set(yticks=[], xlim=(0, 1))
    ax.set_title(service.name, loc="left", fontsize=10)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
axes[-1].set(xticks=[0, 0.5, 1], xticklabels=["0", "half", "all"], xlabel="of its own run")
handles = [
    plt.Rectangle((0, 0), 1, 1, color=color, alpha=alpha) for color, alpha in (("C1", 1), ("C0", 1), ("C0", 0.35))
]
fig.legend(handles, ["tokenizer", "model", "model, on padding"], ncols=3, loc="outside lower center", fontsize=9)
fig
# --8<-- [end:timeline]

# --8<-- [start:configs]
H100 = {"bandwidth": 3.35e12, "flops": 989e12}  # SXM, bfloat16 without sparsity, by the data sheet
CONFIGS = [
    ("llama-3-8b", "bfloat16"),
    ("llama-3-70b", "bfloat16"),
    ("llama-3-70b", "q4_k_m"),
    ("mixtral-8x7b", "bfloat16"),
]
print("| Model | Weights | A token at best, ms | 20 ms? |\n| --- | --- | ---: | --- |")
bounds = {}
for name, dtype in CONFIGS:
    least = weigh.decode_bound(weigh.params(HOME / name), dtype=dtype, context=2048, **H100)
    bounds[name, dtype] = 1e3 * least.seconds
    print(f"| {name} | {dtype} | {1e3 * least.seconds:.1f} | {'can be' if least.seconds < 0.02 else 'never'} |")
# --8<-- [end:configs]

# --8<-- [start:configs_claims]
assert bounds["llama-3-70b", "bfloat16"] > 40 and bounds["llama-3-70b", "q4_k_m"] < 20
# --8<-- [end:configs_claims]


# --8<-- [start:policies]
def padded(batches):
    """Tokens computed, and the share of them that is padding."""
    computed = sum(len(batch) * max(LENGTHS[row] for row in batch) for batch in batches)
    return computed, 1 - sum(LENGTHS) / computed


def cut(order):
    return [order[start : start + ROWS] for start in range(0, len(order), ROWS)]


everything = list(range(len(LENGTHS)))
POLICIES = {
    "as they come": cut(everything),
    "by characters": cut(sorted(everything, key=lambda row: len(speeches[row]))),
    "by tokens": cut(sorted(everything, key=LENGTHS.__getitem__)),
    "by tokens, at most 384 a call": by_length(LENGTHS),
    "one by one": [[row] for row in everything],
}
# --8<-- [end:policies]

# --8<-- [start:policies_table]
print("| Batches | Calls | Tokens computed | Padding |\n| --- | ---: | ---: | ---: |")
whole = 256 * len(LENGTHS)
print(f"| padded to 256 | {len(cut(everything))} | {whole:,} | {1 - sum(LENGTHS) / whole:.0%} |")
for name, batches in POLICIES.items():
    computed, waste = padded(batches)
    print(f"| {name} | {len(batches)} | {computed:,} | {waste:.0%} |")
# --8<-- [end:policies_table]

# --8<-- [start:policies_claims]
waste = {name: padded(batches)[1] for name, batches in POLICIES.items()}
assert waste["as they come"] > 0.6 and waste["by tokens"] < 0.05 and 0.1 < waste["by characters"] < 0.25
assert padded(POLICIES["as they come"])[0] > 2.5 * padded(POLICIES["one by one"])[0], (
    "a batch may compute more than none"
)
# --8<-- [end:policies_claims]


# --8<-- [start:shapes]
def tell(_, inputs, named):
    ids = inputs[0] if inputs else named["input_ids"]  # model(ids), or model(**batch)
    rows, width = ids.shape
    print(f"{rows} rows × {width} tokens")


hook = MODELS["quill-draft"].register_forward_pre_hook(tell, with_kwargs=True)
serve(Service(batches=as_they_come), requests(0))
hook.remove()
# --8<-- [end:shapes]

# --8<-- [start:problems]
short_and_long = 1 - (3 * 10 + 128) / (4 * 128)
seventy = 2 * 70e9 / 3.35e12
halved = 1 / (0.6 + 0.4 / 2)
assert round(short_and_long, 2) == 0.69 and round(1e3 * seventy) == 42 and round(halved, 2) == 1.25
# --8<-- [end:problems]
