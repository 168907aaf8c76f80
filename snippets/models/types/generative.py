"""The program of "Generative models": digits drawn by one knob, text written by Quill, and what each is worth."""

# --8<-- [start:data]
import numpy as np
from scipy.special import logsumexp
from sklearn.datasets import load_digits

images, labels = load_digits(return_X_y=True)
images = images.astype(int)
LEVELS, PIXELS = np.arange(17), np.arange(64)

# The chances to go from one level to another: mostly to itself.
near = 0.3 ** np.abs(np.subtract.outer(LEVELS, LEVELS))
near /= near.sum(1, keepdims=True)

print(f"{images.shape[0]:,} rows × {images.shape[1]} pixels, levels {images.min()} to {images.max()}")
# --8<-- [end:data]


# --8<-- [start:model]
def fit(images, labels, keep):
    """For each training image, the chance of each level at each pixel."""
    chances = np.empty((*images.shape, len(LEVELS)))
    for c in np.unique(labels):
        same = labels == c
        counts = (images[same][..., None] == LEVELS).sum(0) + 0.1
        usual = counts / counts.sum(-1, keepdims=True)
        chances[same] = keep * near[images[same]] + (1 - keep) * usual
    return chances


def draw(chances, labels, n, rng):
    """New images: pick a training image, then a level for each pixel."""
    start = rng.integers(len(chances), size=n)
    passed = chances[start].cumsum(-1) < rng.random((n, len(PIXELS), 1))
    return passed.sum(-1).clip(max=16), labels[start]


# --8<-- [end:model]


# --8<-- [start:likelihood]
def log_probability(chances, images):
    """ln p(x) of each image: the mean over where it may have started."""
    one_hot = (images[..., None] == LEVELS).reshape(len(images), -1).astype(float)
    each = one_hot @ np.log(chances).reshape(len(chances), -1).T
    return logsumexp(each, axis=1) - np.log(len(chances))


def bits_per_pixel(chances, images):
    return -log_probability(chances, images).mean() / len(PIXELS) / np.log(2)


# --8<-- [end:likelihood]

# --8<-- [start:measure]
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression


def split(seed, n=1200):
    """Images and labels to learn from, and others that are held out."""
    order = np.random.default_rng(seed).permutation(len(images))
    return images[order[:n]], labels[order[:n]], images[order[n:]], labels[order[n:]]


def taught_by(made, named, real, truth):
    """Train on synthetic, test on real: the accuracy of a classifier that has seen no real image."""
    return LogisticRegression(max_iter=300, tol=1e-3).fit(made / 16, named).score(real / 16, truth)


def nearest(a, b):
    """The distance from each image of a to the nearest of b."""
    return cdist(a, b).min(1)


def measured(seed):
    learned, named, held, truth = split(seed)
    usual = np.median(nearest(held, learned))
    rows = {}
    for keep in KEEP:
        chances = fit(learned, named, keep)
        made, made_named = draw(chances, named, len(learned), np.random.default_rng(seed))
        rows[keep] = (
            bits_per_pixel(chances, learned[:300]),
            bits_per_pixel(chances, held[:300]),
            np.median(nearest(made, learned)) / usual,
            100 * taught_by(made, made_named, held, truth),
        )
    rows["copies"] = 0, np.inf, 0, 100 * taught_by(learned, named, held, truth)
    return rows


KEEP = (0, 0.5, 0.8, 0.95)
runs = [measured(seed) for seed in range(5)]
# --8<-- [end:measure]

# --8<-- [start:table]
NAMES = {0: "keeps 0%", 0.5: "keeps 50%", 0.8: "keeps 80%", 0.95: "keeps 95%", "copies": "copies"}
print("| Model | Bits: learned, held out | Distance | Teaches, % |\n| --- | ---: | ---: | ---: |")
middle = {}
for name, title in NAMES.items():
    every = np.sort([run[name] for run in runs], axis=0)
    middle[name] = every[2]
    learned, held, distance, taught = every[2]
    bits = "–, ∞" if name == "copies" else f"{learned:.2f}, {held:.2f}"
    print(f"| {title} | {bits} | {distance:.1f} | {taught:.0f} ({every[0, 3]:.0f}–{every[-1, 3]:.0f}) |")
# --8<-- [end:table]

# --8<-- [start:claims]
uniform = np.log2(len(LEVELS))
assert middle[0.5][1] < middle[0][1] - 0.04 and middle[0.5][1] < middle[0.8][1] - 0.08, "best on held-out digits"
assert middle[0.95][0] < 0.5 * middle[0][0] and middle[0.95][1] > middle[0][1] + 0.15, "it knows its data by heart"
assert middle[0.8][3] > middle[0.5][3] + 1 and middle[0.95][3] > middle[0.5][3] + 2, "and teaches better"
assert middle["copies"][3] > middle[0.95][3], "copies teach best of all"
assert middle[0.95][2] < 0.7 < 1.2 < middle[0.5][2], "only the distance tells"
assert middle[0][1] < uniform - 1.5
drawn_words = (
    "Three rows of ten digits, 0 to 9. Drawn with 0 of 100 pixels kept they are speckled clouds, with 50 kept rough "
    "but legible, with 95 kept clean; each is then the training image that it started from, with a few pixels changed."
)
# --8<-- [end:claims]

# --8<-- [start:picture]
import matplotlib.pyplot as plt

learned, named, held, truth = split(0)
shown = (0, 0.5, 0.95)
fig, axes = plt.subplots(len(shown), 10, figsize=(7, 2.6))
for line, keep in zip(axes, shown, strict=True):
    made, made_named = draw(fit(learned, named, keep), named, 200, np.random.default_rng(0))
    for digit, ax in enumerate(line):
        image = made[made_named == digit][0].reshape(8, 8)
        y, x = image.nonzero()
        ax.scatter(x, y, s=18, marker="s", color=plt.rcParams["text.color"], alpha=image[y, x] / 16, linewidths=0)
        ax.set(xlim=(-0.6, 7.6), ylim=(7.6, -0.6), aspect="equal", xticks=[], yticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)
    line[0].set_ylabel(f"{100 * keep:.0f} kept")
fig
# --8<-- [end:picture]

# --8<-- [start:quill]
import torch

from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
quill = Quill.read("models/quill").double()
words = tokenizer.read("models/quill")


@torch.no_grad()
def write(ids, length, generator=None):
    """Texts, each prompt with further tokens: drawn one by one from p(next given all before), or the likeliest."""
    new, cache = ids, None
    while ids.shape[1] < length:
        logits, cache = quill(new, cache)
        chances = logits[:, -1].softmax(-1)
        new = chances.multinomial(1, generator=generator) if generator else chances.argmax(-1, keepdim=True)
        ids = torch.cat((ids, new), dim=1)
    return ids


@torch.no_grad()
def bits_per_byte(ids):
    logits = quill(ids)[0][:, :-1]
    loss = torch.nn.functional.cross_entropy(logits.mT, ids[:, 1:], reduction="none").sum(1)
    return [
        float(nats) / np.log(2) / len(words.decode(row[1:]).encode())
        for nats, row in zip(loss, ids.tolist(), strict=True)
    ]


# --8<-- [end:quill]

# --8<-- [start:texts]
import re
from pathlib import Path

LENGTH, TEXTS = 80, 15


def stretches(text):
    """Some stretches of a text, evenly spread."""
    ids = words.encode(text).ids
    return torch.tensor([ids[len(ids) * i // (TEXTS + 1) :][:LENGTH] for i in range(1, TEXTS + 1)])


macbeth = Path("models/quill/held-out.txt").read_text(encoding="utf-8")
milton = Path("models/quill-milton/held-out.txt").read_text(encoding="utf-8")
milton = re.sub(r" {2,}\d+$", "", milton, flags=re.MULTILINE)  # the numbers of its lines
shuffled = " ".join(np.random.default_rng(0).permutation(macbeth.split(" ")))
unread = stretches(macbeth)
drawn = write(unread[:, :4], LENGTH, torch.Generator().manual_seed(0))
likeliest = write(unread[:, :4], LENGTH)
texts = {
    "unread *Macbeth*": unread,
    "drawn by Quill": drawn,
    "likeliest tokens": likeliest,
    "Milton": stretches(milton),
    "*Macbeth*, words shuffled": stretches(shuffled),
    "*Macbeth* in capitals": stretches(macbeth.upper()),
}
# --8<-- [end:texts]

# --8<-- [start:text_table]
found = {name: bits_per_byte(ids) for name, ids in texts.items()}
usual = found["unread *Macbeth*"]
print("| Text | Bits per byte | Range |\n| --- | ---: | ---: |")
for name, bits in found.items():
    print(f"| {name} | {np.median(bits):.2f} | {min(bits):.2f}–{max(bits):.2f} |")
# --8<-- [end:text_table]

# --8<-- [start:text_claims]
assert min(found["*Macbeth* in capitals"]) > max(usual), "capitals stand out"
assert min(found["*Macbeth*, words shuffled"]) > np.median(usual), "and so does shuffled text"
assert max(found["likeliest tokens"]) < min(usual), "each is more probable than any stretch of Macbeth"
assert np.median(found["drawn by Quill"]) < np.median(usual)
assert min(found["Milton"]) < max(usual), "Milton and Macbeth overlap"
least = int(np.argmin(found["likeliest tokens"]))
most_probable = [line for line in words.decode(likeliest[least, 4:].tolist()).split("\n") if line]
# --8<-- [end:text_claims]

# --8<-- [start:written]
print(words.decode(drawn[0, 4:].tolist()).strip())
# --8<-- [end:written]

# --8<-- [start:loop]
print(*most_probable, sep="\n")
# --8<-- [end:loop]

# --8<-- [start:strange]
from sklearn.metrics import roc_auc_score


def strange(seed):
    """AUC of −ln p(x) as an alarm: strange images against usual ones, all held out."""
    learned, named, held, truth = split(seed)
    held, truth = held[:300], truth[:300]
    every = fit(learned, named, 0.5)
    kinds = {
        "pixels shuffled": np.random.default_rng(seed).permuted(held, axis=1),
        "mirrored": held.reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64),
    }
    mixed = np.repeat([0, 1], len(held))
    alarm = {
        name: roc_auc_score(mixed, -log_probability(every, np.concatenate((held, images))))
        for name, images in kinds.items()
    }
    for digit in (0, 1):
        without = named != digit
        chances = fit(learned[without], named[without], 0.5)
        alarm[f"a {digit}, if it learned none"] = roc_auc_score(truth == digit, -log_probability(chances, held))
    return alarm


alarms = [strange(seed) for seed in range(5)]
# --8<-- [end:strange]

# --8<-- [start:strange_table]
print("| Strange image | AUC of the alarm | Range |\n| --- | ---: | ---: |")
auc = {}
for name in alarms[0]:
    low, *_, high = auc[name] = sorted(one[name] for one in alarms)
    print(f"| {name} | {auc[name][2]:.2f} | {low:.2f}–{high:.2f} |")
assert min(auc["pixels shuffled"]) > 0.99 and min(auc["a 0, if it learned none"]) > 0.95
assert max(auc["a 1, if it learned none"]) < 0.85, "a digit that it never saw may look usual"
# --8<-- [end:strange_table]

# --8<-- [start:density]
from sklearn.naive_bayes import GaussianNB

learned, named, held, truth = split(0)
print("| `var_smoothing` | Right | Bits, median | Bits, mean | Below 0 |\n| ---: | ---: | ---: | ---: | ---: |")
dense = {}
for smoothing in (1e-9, 1e-5, 1e-1):
    model = GaussianNB(var_smoothing=smoothing).fit(learned, named)
    nats = logsumexp(model.predict_joint_log_proba(held), axis=1)
    bits = -nats / len(PIXELS) / np.log(2)
    right = model.score(held, truth)
    dense[smoothing] = right, np.median(bits), (bits < 0).mean(), bits.mean()
    right, typical, below, mean = dense[smoothing]
    print(f"| {smoothing:g} | {right:.0%} | {typical:.1f} | {mean:.1f} | {below:.0%} |")
assert dense[1e-9][2] > 0.1 and dense[1e-9][3] > 100, "many images have fewer than no bits, and the mean is large"
assert dense[1e-1][0] > dense[1e-9][0] + 0.06 and dense[1e-1][1] > dense[1e-9][1] + 2, "better, by the worse bits"
# --8<-- [end:density]


# --8<-- [start:own]
def copied(made, learned, held):
    """How near samples are to the data, as unseen data are; and copies."""
    distance = nearest(made, learned)
    usual = np.median(nearest(held, learned))
    return np.median(distance) / usual, (distance == 0).mean()


made, _ = draw(fit(learned, named, 0.95), named, 600, np.random.default_rng(1))
ratio, exact = copied(made, learned, held)
print(f"{ratio:.1f} of the usual distance, {exact:.0%} exact copies")
# --8<-- [end:own]

# --8<-- [start:problems]
best = middle[0.5][1]
size = best * len(PIXELS) / 8
flat = uniform * len(PIXELS) / 8
odds = 2 ** (np.median(usual) - np.median(found["likeliest tokens"]))
# --8<-- [end:problems]
