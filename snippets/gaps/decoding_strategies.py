"""The program of "Decoding strategies": what settings do to one model, what engines make of one file, and the check."""

# --8<-- [start:model]
from pathlib import Path

import torch

import weigh
from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
HOME = Path("models/quill")
model = Quill.read(HOME).double()  # near ties then fall the same way everywhere
words = tokenizer.read(HOME)
play = words.encode((HOME / "held-out.txt").read_text(encoding="utf-8")).ids


class Remembering:
    """The model for a batch of texts, with a cache of keys and values while they grow."""

    seen = torch.empty(0, 0)

    @torch.no_grad()
    def __call__(self, ids):
        known = self.seen.shape[1]
        grows = ids.shape[1] > known > 0 and torch.equal(ids[:, :known], self.seen)
        logits, cache = model(ids[:, known:], self.cache) if grows else model(ids)
        self.seen, self.cache = ids, cache
        return logits[:, -1]


next_logits = Remembering()
contexts = torch.tensor([play[start : start + 32] for start in range(500, 38_900, 600)])
some = contexts[::3]  # to be continued, which costs a pass for each token
logits = next_logits(contexts)
# --8<-- [end:model]

# --8<-- [start:update]
old = weigh.effective_settings(HOME, "ollama-0.32.8")
new = weigh.effective_settings(HOME, "ollama")
row = weigh.decoding_difference(old, new).evidence[0]
print(f"{row['setting']}: {row['A']}, {row['A is']}; now {row['B']}, {row['B is']}")
update = weigh.text_drift(next_logits, some, old, new, tokens=12)
share = update.figure.value
print(f"texts changed: {share:.0%} of {len(some)}, finding: {update.finding}")
# --8<-- [end:update]

# --8<-- [start:update_claims]
assert update.finding == "yes" and update.figure.value > 0.3, "an update changes texts, and no file"
# --8<-- [end:update_claims]

# --8<-- [start:effects]
PLAIN = {"do_sample": True, "top_k": 0, "max_new_tokens": 12}  # the model's own distribution
CHANGES = {
    "greedy": {"do_sample": False},
    "beam search, 2": {"do_sample": False, "num_beams": 2},
    "temperature 0.8": {"temperature": 0.8},
    "top-p 0.9": {"top_p": 0.9},
    "top-k 50": {"top_k": 50},
    "min-p 0.05": {"min_p": 0.05},
    "repetition penalty 1.1": {"repetition_penalty": 1.1},
    "max tokens 8": {"max_new_tokens": 8},
    "stop at a full stop": {"stop_strings": ["."]},
}
plain = weigh.effective_settings(PLAIN)
before = weigh.continuations(next_logits, some, plain, 12)
moved, changed = {}, {}
for name, change in CHANGES.items():
    other = weigh.effective_settings(PLAIN | change)
    few = some[:4] if "beam" in name else some
    after = weigh.continuations(next_logits, few, other, 12, decode=words.decode)
    changed[name] = [a != b for a, b in zip(before, after, strict=False)]
    if "beam" not in name:  # a search has no distribution of its own
        drift = weigh.output_drift(logits, plain, other, contexts.tolist())
        moved[name] = drift.figure.value
# --8<-- [end:effects]

# --8<-- [start:effects_table]
print("| Setting | Tokens moved | Texts changed |\n| --- | ---: | ---: |")
for name, texts in changed.items():
    share = f"{moved[name]:.1%}" if name in moved else "–"
    print(f"| {name} | {share} | {sum(texts)} of {len(texts)} |")
# --8<-- [end:effects_table]

# --8<-- [start:effects_claims]
assert moved["greedy"] > 0.4 > moved["temperature 0.8"] > 0.05, "greedy moves most"
assert moved["max tokens 8"] == moved["stop at a full stop"] == 0, "limits and stops move no distribution"
assert all(changed["max tokens 8"]) and sum(changed["stop at a full stop"]) > 3, "and change texts all the same"
assert all(sum(texts) > 3 for texts in changed.values()), "every one of them changes texts"
# --8<-- [end:effects_claims]

# --8<-- [start:engines]
LABEL = {"ollama-0.32.8": "Ollama 0.32.8", "ollama": "Ollama 0.33", "transformers-pipeline": "its `pipeline`"}
ours = weigh.effective_settings(HOME)
served = {}
for engine in weigh.ENGINES:
    theirs = weigh.effective_settings(HOME, engine)
    difference = weigh.decoding_difference(ours, theirs)
    served[engine] = theirs, difference, weigh.output_drift(logits, ours, theirs, contexts.tolist())
# --8<-- [end:engines]

# --8<-- [start:engines_table]
SHOWN = {"top_k": "top-k", "min_p": "min-p", "repetition_penalty": "repetition", "max_new_tokens": "limit"}
print("| Engine | Takes | Differ | Tokens moved |\n| --- | --- | ---: | ---: |")
for engine, (theirs, difference, drift) in served.items():
    taken = [f"{name} {theirs.values[setting]}" for setting, name in SHOWN.items() if theirs.values[setting] != "off"]
    cells = ", ".join(taken).replace("limit no limit", "no limit")
    print(f"| {LABEL.get(engine, engine)} | {cells} | {difference.figure.value:.0f} | {drift.figure.value:.1%} |")
# --8<-- [end:engines_table]

# --8<-- [start:engines_claims]
assert served["transformers"][1].finding == served["transformers-pipeline"][1].finding == "no"
others = [name for name in served if not name.startswith("transformers")]
assert all(served[name][1].finding == "yes" for name in others), (
    "no other engine decodes this file as transformers does"
)
assert all(served[name][2].figure.value > 0.02 for name in others)
# --8<-- [end:engines_claims]

# --8<-- [start:caught]
report = weigh.check_decoding(HOME, HOME, engine_b="vllm")
settings = report.results[0]
print(f"finding: {settings.finding}, settings that differ: {settings.figure.value}")
for row in settings.evidence:
    for side in ("A", "B"):
        print(f"  {row['setting']} of {side}: {row[side]}, {row[f'{side} is']}")
assert report.finding == "yes"
# --8<-- [end:caught]

# --8<-- [start:same]
SAME = {
    "transformers": {
        "do_sample": True, "temperature": 0.8, "top_k": 40,
        "max_new_tokens": 99, "stop_strings": ["\n\n"],
    },
    "vllm": {
        "temperature": 0.8, "top_k": 40, "max_tokens": 99, "stop": "\n\n",
    },
    "llama.cpp": {
        "top_p": 1, "min_p": 0, "n_predict": 99, "stop": ["\n\n"],
    },
    "ollama": {"top_p": 1.0, "num_predict": 99, "stop": ["\n\n"]},
}  # fmt: skip
one = weigh.effective_settings(SAME["transformers"])
for engine, said in SAME.items():
    other = weigh.effective_settings(said, engine)
    result = weigh.decoding_difference(one, other)
    print(f"{engine:12} {weigh.decoding_manifest(other).id} {result.finding}")
# --8<-- [end:same]

# --8<-- [start:same_claims]
ids = {weigh.decoding_manifest(said, engine).id for engine, said in SAME.items()}
assert len(ids) == 1, "four ways to say one thing have one id"
saved = {"transformers_version": "4.57.0", "_from_model_config": True, "use_cache": True} | SAME["transformers"]
assert weigh.decoding_manifest(saved).id in ids, "where a file comes from changes no id"
# --8<-- [end:same_claims]

# --8<-- [start:power]
import numpy as np
from scipy.stats import bootstrap, ttest_rel

PLACES, RUNS, CONTEXTS = 1024, 200, 64
WARMER = [0, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3]
with torch.no_grad():
    windows = torch.tensor([play[start : start + 128] for start in range(1000, 17_384, 1024)])
    every = model(windows)[0][:, -64:].flatten(0, 1)  # (1024, V)
surprise = -every.log_softmax(-1).numpy()
pick = np.random.default_rng(0).permuted(np.tile(np.arange(PLACES), (RUNS, 1)), axis=1)[:, :CONTEXTS]


def drawn(probabilities, seed):
    """One token for each context of each run."""
    draws = torch.multinomial(probabilities, 16, replacement=True, generator=torch.Generator().manual_seed(seed))
    turn = np.random.default_rng(seed).integers(16, size=pick.shape)
    return draws.numpy()[pick, turn]


cool = every.softmax(-1)
power = {}
for number, warmer in enumerate(WARMER):
    warm = (every / (1 + warmer)).softmax(-1)
    distance = (cool - warm).abs().sum(-1).numpy() / 2
    low = bootstrap(
        (distance[pick],), np.mean, axis=1, n_resamples=400, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval.low
    a, b = drawn(cool, 2 * number), drawn(warm, 2 * number + 1)
    watched = ttest_rel(surprise[pick, a], surprise[pick, b], axis=1).pvalue < 0.05
    power[warmer] = distance.mean(), distance[pick].mean(1), (low > 0.01).mean(), watched.mean(), (a != b).mean()
# --8<-- [end:power]

# --8<-- [start:power_claims]
checked = weigh.output_drift(every[pick[0]], plain, weigh.effective_settings(PLAIN | {"temperature": 1.1}))
assert abs(checked.figure.value - power[0.1][1][0]) < 1e-12, "what the plot has is what the library measures"
alarms = max(power[w][2] for w in WARMER if power[w][0] < 0.009)
assert alarms <= 0.1, "it keeps still below its threshold"
assert all(power[w][2] > 0.9 for w in WARMER if power[w][0] > 0.0125), "and says yes above it"
assert power[0][3] < 0.12 and power[0.1][3] < 0.5, "watching as many tokens sees little of the same change"
assert power[0][4] > 0.4, "two seeds differ by far more than a setting does"
first_sure = next(w for w in WARMER if power[w][2] > 0.9)
power_words = (
    f"Left: the share of {RUNS} runs in which a change of temperature is found, against its size. Comparing settings "
    f"finds every one. Output drift finds none below its threshold and nearly all from {first_sure:.3g}. A t-test of "
    f"as many drawn tokens finds {power[0][3]:.0%} where nothing changed and {power[0.3][3]:.0%} at 0.3. Right: drift "
    f"rises from 0 to {power[0.3][0]:.1%}, far below the {power[0][4]:.0%} of two seeds of one config."
)
# --8<-- [end:power_claims]

# --8<-- [start:power_plot]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 4), layout="constrained")
axes[0].plot(WARMER, [float(w > 0) for w in WARMER], "^-", label="settings compared")
axes[0].plot(WARMER, [power[w][2] for w in WARMER], "o-", label="output drift")
axes[0].plot(WARMER, [power[w][3] for w in WARMER], "s-", label="tokens watched")
axes[0].set(title="share of runs that say yes", ylim=(-0.05, 1.05))
axes[1].plot(WARMER, [power[w][0] for w in WARMER], "C1o-", label="one config and the other, at least")
spread = np.array([np.percentile(power[w][1], (2.5, 97.5)) for w in WARMER])
axes[1].fill_between(WARMER, spread[:, 0], spread[:, 1], color="C1", alpha=0.25, linewidth=0)
axes[1].axhline(power[0][4], color="C2", label="one config, two seeds")
axes[1].axhline(0.01, color="C3", linestyle=":", label="threshold")
axes[1].set_yscale("symlog", linthresh=0.01)
axes[1].set(title="share of tokens that differ", ylim=(0, 1))
axes[1].set_yticks([0, 0.01, 0.1, 1], ["0", "1 %", "10 %", "100 %"])
for ax in axes:
    ax.set_xscale("symlog", linthresh=0.01)
    ax.set_xticks([0, 0.01, 0.03, 0.1, 0.3], ["0", "0.01", "0.03", "0.1", "0.3"])
    ax.set(xlabel="δ, added to temperature 1", xlim=(-0.001, 0.33))
    ax.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.22))
fig
# --8<-- [end:power_plot]

# --8<-- [start:cost]
vllm = weigh.effective_settings(HOME, "vllm")
print("| Contexts | Passes | Tokens moved | Interval |\n| ---: | ---: | ---: | --- |")
widths = {}
for count in (16, 64, 256):
    figure = weigh.output_drift(every[:: PLACES // count], ours, vllm).figure
    widths[count] = figure.high - figure.low
    print(f"| {count:,} | {count:,} | {figure.value:.1%} | {figure.low:.1%} to {figure.high:.1%} |")
# --8<-- [end:cost]

# --8<-- [start:cost_claims]
assert 2 < widths[16] / widths[256] < 8, "16 times the contexts, about a quarter of the interval"
assert len(weigh.effective_settings(HOME).values) < 20
# --8<-- [end:cost_claims]

# --8<-- [start:limits]
unseen = {
    "limit 100 → 200": ({"max_new_tokens": 100}, {"max_new_tokens": 200}),
    "frequency penalty 0.5": ({}, {"frequency_penalty": 0.5}),
}
blind = {}
for name, (a, b) in unseen.items():
    engine = "vllm" if "frequency" in name else "transformers"
    one, other = (weigh.effective_settings(PLAIN | more, engine) for more in (a, b))
    blind[name] = (
        weigh.decoding_difference(one, other).finding,
        weigh.output_drift(logits, one, other, contexts.tolist()).figure.value,
        weigh.text_drift(next_logits, some, one, other, tokens=12).figure.value,
    )
    print(f"{name}: settings {blind[name][0]}, tokens {blind[name][1]:.0%}, texts {blind[name][2]:.0%}")
prompts = [{"system": text} for text in ("Answer in verse.", "Answer in prose.")]
silent = weigh.check_decoding(HOME, HOME).finding
versions = [weigh.decoding_manifest(HOME, prompts=each).id for each in prompts]
print(f"another prompt: settings {silent}, version ids {'differ' if versions[0] != versions[1] else 'agree'}")
# --8<-- [end:limits]

# --8<-- [start:limits_claims]
assert blind["limit 100 → 200"] == ("yes", 0, 0), "a limit beyond the texts is seen in the settings alone"
assert blind["frequency penalty 0.5"][:2] == ("yes", 0) and blind["frequency penalty 0.5"][2] > 0.05
assert silent == "no" and versions[0] != versions[1], "a prompt is no setting, and part of the version"
# --8<-- [end:limits_claims]

# --8<-- [start:gguf]
import json
import tempfile

import gguf

WRITTEN = {"do_sample": False, "temperature": 0.6, "top_p": 0.9,
           "repetition_penalty": 1.05, "max_new_tokens": 512}  # fmt: skip
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder, "generation_config.json")
    file.write_text(json.dumps(WRITTEN))
    Path(folder, "config.json").write_text("{}")
    writer = gguf.GGUFWriter(Path(folder, "model.gguf"), "llama")
    gguf.Metadata.load(model_path=file.parent).set_gguf_meta_model(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    fields = gguf.GGUFReader(Path(folder, "model.gguf")).fields
    arrived = {name: field.contents() for name, field in fields.items() if ".sampling." in name}
for name, value in arrived.items():
    print(f"{name} = {value:.2f}")
# --8<-- [end:gguf]

# --8<-- [start:gguf_claims]
assert set(arrived) == {"general.sampling.temp", "general.sampling.top_p"}, "neither method, penalty nor limit arrives"
assert weigh.effective_settings(WRITTEN).method == "greedy"
assert weigh.effective_settings(WRITTEN, "llama.cpp").method == "sampling", "so a greedy model samples"
plainest = {name: weigh.effective_settings({}, name) for name in weigh.ENGINES}
alone, piped = plainest["transformers"], plainest["transformers-pipeline"]
assert (alone.method, piped.method) == ("greedy", "sampling"), "one library, two sets of defaults"
limits = sorted({one.values["max_new_tokens"] for one in plainest.values()} - {"no limit"})
# --8<-- [end:gguf_claims]

# --8<-- [start:manifest]
manifest = weigh.decoding_manifest(
    HOME, "transformers", prompts={"system": "Speak, speak."}, model=HOME
)  # fmt: skip
print(manifest.id, manifest.engine)
for name, digest in (manifest.prompts | manifest.model).items():
    print(f"{name:22} {digest[:12]}")
# --8<-- [end:manifest]

# --8<-- [start:problems]
conversation = 1 - 0.9**10
toy = [0.5, 0.3, 0.15, 0.05]
toy_logits = torch.tensor([toy], dtype=torch.float64).log()
cut, uncut = (weigh.effective_settings(PLAIN | more) for more in ({"top_k": 2}, {}))
toy_distance = weigh.output_drift(toy_logits, uncut, cut).figure.value
assert round(toy_distance, 6) == 0.2
silent_default = weigh.effective_settings({"temperature": 0.7, "max_tokens": 100})
assert (silent_default.method, silent_default.values["max_new_tokens"]) == ("greedy", 20)
# --8<-- [end:problems]
