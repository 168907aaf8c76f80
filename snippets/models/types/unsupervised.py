"""The program of "Unsupervised": clusters that may not be there, digits in eight numbers, scores of what is odd."""

# --8<-- [start:clusters]
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import scale

wine, cultivar = load_wine(return_X_y=True)  # (178, 13); the labels wait until the end


def clustered(data, k=3, seed=0):
    return KMeans(k, n_init=3, random_state=seed).fit(data)


for name, data in (("as measured", wine), ("standardised", scale(wine))):
    labels = clustered(data).labels_
    sizes = sorted(np.bincount(labels).tolist())
    print(f"{name}: clusters of {sizes}, silhouette {silhouette_score(data, labels):.2f}")
# --8<-- [end:clusters]

# --8<-- [start:evidence]
from sklearn.metrics import adjusted_rand_score

SEEDS = range(5)


def without_structure(data, seed):
    """Each column in an order of its own: the same values in each, and nothing that ties them together."""
    generator = np.random.default_rng(seed)
    return np.column_stack([generator.permutation(column) for column in data.T])


def stability(data, k, seed):
    """Agreement on all rows of two clusterings, each learned from one half of them: 1 is the same, 0 is chance."""
    halves = np.array_split(np.random.default_rng(seed).permutation(len(data)), 2)
    one, other = (clustered(data[half], k, seed).predict(data) for half in halves)
    return adjusted_rand_score(one, other)


def silhouette(data, k):
    return silhouette_score(data, clustered(data, k).labels_)


def evidence(data, k):
    """Silhouette and stability of the data and of the data without structure: medians, over seeds where they vary."""
    empty = [without_structure(data, seed) for seed in SEEDS]
    return {
        "silhouette": silhouette(data, k),
        "without structure": float(np.median([silhouette(one, k) for one in empty])),
        "stability": float(np.median([stability(data, k, seed) for seed in range(6)])),
        "stability without": float(np.median([stability(one, k, seed) for one in empty for seed in (0, 1)])),
    }


found = {
    (name, k): evidence(data, k)
    for name, data in (("as measured", wine), ("standardised", scale(wine)))
    for k in (2, 3, 4)
}
# --8<-- [end:evidence]

# --8<-- [start:evidence_table]
print("| Wine, *k* | Silhouette | Stability |\n| --- | ---: | ---: |")
for (name, k), one in found.items():
    clear, clear_shuffled, stable, stable_shuffled = one.values()
    print(f"| {name}, {k} | {clear:.2f} ({clear_shuffled:.2f}) | {stable:.2f} ({stable_shuffled:.2f}) |")
# --8<-- [end:evidence_table]

# --8<-- [start:evidence_claims]
from sklearn.cluster import HDBSCAN

agreement = {
    name: adjusted_rand_score(cultivar, clustered(data).labels_)
    for name, data in (("as measured", wine), ("standardised", scale(wine)))
}
raw, standard = found["as measured", 3], found["standardised", 3]
assert raw["silhouette"] > standard["silhouette"] + 0.2, "the silhouette prefers the data as measured"
assert agreement["standardised"] > agreement["as measured"] + 0.4, "and the cultivars are found in the other"
assert abs(raw["silhouette"] - raw["without structure"]) < 0.02, "the silhouette is as high where nothing is"
assert standard["silhouette"] > 2 * standard["without structure"]
assert standard["stability"] > 0.8 and standard["stability without"] < 0.25
assert found["as measured", 2]["stability without"] > 0.7, "a cut of one column is stable too"
assert standard["stability"] == max(found["standardised", k]["stability"] for k in (2, 3, 4))
largest, rest = np.sort(wine.var(0))[-1], wine.var(0).sum()
assert largest / rest > 0.99, "one column has nearly all of the variance"

refused = [HDBSCAN(min_cluster_size=10, copy=True).fit(without_structure(scale(wine), seed)).labels_ for seed in SEEDS]
real = HDBSCAN(min_cluster_size=10, copy=True).fit(scale(wine)).labels_
assert all((labels == -1).all() for labels in refused), "HDBSCAN finds no cluster in shuffled wine"
assert real.max() + 1 == 2
unclustered = float((real == -1).mean())
assert 0.2 < unclustered < 0.6
# --8<-- [end:evidence_claims]

# --8<-- [start:cluster_plot]
import matplotlib.pyplot as plt

proline, flavanoids = wine[:, 12], wine[:, 6]
fig, axes = plt.subplots(1, 2, figsize=(7, 3.3), sharey=True)
for ax, (name, data) in zip(axes, (("as measured", wine), ("standardised", scale(wine))), strict=True):
    labels = clustered(data).labels_
    by_size = np.argsort([proline[labels == k].mean() for k in range(3)])  # so that colours mean the same in both
    for (colour, k), marker in zip(enumerate(by_size), "osX", strict=True):
        ax.plot(proline[labels == k], flavanoids[labels == k], marker, ms=4, color=f"C{colour}")
    ax.set(xlabel="proline", title=f"{name}: silhouette {found[name, 3]['silhouette']:.2f}")
axes[0].set_ylabel("flavanoids")
fig
# --8<-- [end:cluster_plot]

# --8<-- [start:compress]
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import nn

torch.set_num_threads(1)
pixels = load_digits().data / 16  # (1797, 64), from 0 to 1
seen, unseen = pixels[:1200], pixels[1200:]


def pca_error(size):
    """Mean squared error of unseen images, rebuilt from so many numbers each."""
    pca = PCA(size).fit(seen)
    return float(((unseen - pca.inverse_transform(pca.transform(unseen))) ** 2).mean())


def autoencoder(size, seed, epochs=15):
    """64 pixels → `size` numbers → 64 pixels, trained to give back what it got."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, size))
    decoder = nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 64), nn.Sigmoid())
    model, images = nn.Sequential(encoder, decoder).double(), torch.tensor(seen)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(epochs):
        for batch in images[torch.randperm(len(images))].split(60):
            loss = ((model(batch) - batch) ** 2).mean()  # no label anywhere
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return encoder, decoder


@torch.no_grad()
def autoencoder_error(encoder, decoder):
    images = torch.tensor(unseen)
    return float(((decoder(encoder(images)) - images) ** 2).mean())


trained = [autoencoder(8, seed) for seed in SEEDS]
# --8<-- [end:compress]

# --8<-- [start:bytes]
import lzma
import tempfile
from pathlib import Path

from safetensors.torch import save_file

import weigh


def file_bytes(tensors):
    """Bytes of a safetensors file with these tensors in float32."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "decoder.safetensors")
        save_file({name: torch.as_tensor(tensor).float().contiguous() for name, tensor in tensors.items()}, path)
        return weigh.inspect(path).bytes_on_disk


def pca_decoder(size):
    pca = PCA(size).fit(seen)
    return {"components": pca.components_, "mean": pca.mean_}


def code_bytes(size):
    return 4 * size * len(pixels)


as_bytes = len(lzma.compress((16 * pixels).astype("uint8").tobytes(), preset=9))
sizes = {
    ("PCA", size): (pca_error(size), code_bytes(size), file_bytes(pca_decoder(size))) for size in (2, 4, 8, 10, 16)
}
errors = [autoencoder_error(*one) for one in trained]
sizes["Autoencoder", 8] = (float(np.median(errors)), code_bytes(8), file_bytes(trained[0][1].state_dict()))
# --8<-- [end:bytes]

# --8<-- [start:bytes_table]
print("| Representation | Error | In all, kB | Decoder, kB | Codes, kB |\n| --- | ---: | ---: | ---: | ---: |")
for (name, size), (error, codes, decoder) in sizes.items():
    cells = f"{error:.3f} | {(codes + decoder) / 1e3:.0f} | {decoder / 1e3:.1f} | {codes / 1e3:.0f}"
    print(f"| {name}, {size} numbers | {cells} |")
print(f"| Pixels, a byte each | 0 | {pixels.size / 1e3:.0f} | 0 | {pixels.size / 1e3:.0f} |")
print(f"| The same by LZMA | 0 | {as_bytes / 1e3:.0f} | 0 | {as_bytes / 1e3:.0f} |")
# --8<-- [end:bytes_table]

# --8<-- [start:bytes_claims]
auto, eight, ten = sizes["Autoencoder", 8], sizes["PCA", 8], sizes["PCA", 10]
assert max(errors) < 0.93 * eight[0], "with eight numbers each, the autoencoder rebuilds better"
assert abs(auto[0] / ten[0] - 1) < 0.1, "PCA with ten numbers is as good"
assert sum(ten[1:]) < sum(auto[1:]), "in no more bytes, decoder included"
assert as_bytes < sum(eight[1:]), "and a lossless packer needs fewer than either"
together = sum(auto[1:])
# --8<-- [end:bytes_claims]

# --8<-- [start:rebuilt]
encoder, decoder = trained[0]
shown = unseen[[0, 1, 2, 3, 4, 5]]
pca = PCA(8).fit(seen)
with torch.no_grad():
    rebuilt = decoder(encoder(torch.tensor(shown))).numpy()
rows = {"64 pixels": shown, "PCA, 8": pca.inverse_transform(pca.transform(shown)), "autoencoder, 8": rebuilt}
fig, axes = plt.subplots(3, 6, figsize=(6.4, 3.3))
y, x = (place.ravel() for place in np.mgrid[:8, :8])
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for ax, image in zip(line, images, strict=True):
        ink = image.clip(0, 1)
        ax.scatter(x, y, s=34, marker="s", color=plt.rcParams["text.color"], alpha=ink, linewidths=0)
        ax.set(xlim=(-0.6, 7.6), ylim=(7.6, -0.6), aspect="equal")
        ax.axis("off")
    line[0].set_title(name, fontsize=10)
fig
# --8<-- [end:rebuilt]

# --8<-- [start:anomalies]
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors


def scores(data, seed):
    """Four anomaly scores of each row, higher for odder; none has seen a label."""
    pca = PCA(0.9).fit(data)
    distance, _ = NearestNeighbors(n_neighbors=11).fit(data).kneighbors(data)
    return {
        "Isolation forest": -IsolationForest(random_state=seed).fit(data).score_samples(data),
        "Distance to 10th neighbour": distance[:, -1],
        "Local outlier factor": -LocalOutlierFactor().fit(data).negative_outlier_factor_,
        "PCA's error": ((data - pca.inverse_transform(pca.transform(data))) ** 2).sum(1),
    }


def precision_at_20(ordinary, rare, seed):
    """Of the 20 rows with the highest scores, the share that is rare; 20 rare rows are mixed in."""
    chosen = np.random.default_rng(seed).permutation(len(rare))[:20]
    data = scale(np.concatenate([rare[chosen], ordinary]))
    found = scores(data, seed).items()
    return {name: float((np.argsort(-score, kind="stable")[:20] < 20).mean()) for name, score in found}


tissue, benign = load_breast_cancer(return_X_y=True)
digits = load_digits()
eights = digits.target == 8
TASKS = {
    "malignant among benign": (tissue[benign == 1], tissue[benign == 0]),
    "eights among other digits": (digits.data[~eights][:800], digits.data[eights]),
}
precision = {task: [precision_at_20(*parts, seed) for seed in SEEDS] for task, parts in TASKS.items()}
# --8<-- [end:anomalies]

# --8<-- [start:anomaly_table]
medians = {
    (task, name): [float(f(one[name] for one in runs)) for f in (lambda v: np.median(list(v)), min, max)]
    for task, runs in precision.items()
    for name in runs[0]
}
rates = {task: 20 / (20 + len(ordinary)) for task, (ordinary, _) in TASKS.items()}
print("| Score | " + " | ".join(task.capitalize() for task in TASKS) + " |\n| --- | ---: | ---: |")
for name in precision["malignant among benign"][0]:
    cells = (medians[task, name] for task in TASKS)
    print(f"| {name} | " + " | ".join(f"{m:.0%} ({low:.0%} to {high:.0%})" for m, low, high in cells) + " |")
print("| *Base rate* | " + " | ".join(f"{rates[task]:.1%}" for task in TASKS) + " |")
# --8<-- [end:anomaly_table]

# --8<-- [start:anomaly_claims]
tumours, others = TASKS
for name in precision[tumours][0]:
    assert medians[tumours, name][0] > 3 * rates[tumours], "every score is far better than chance at tumours"
    assert medians[others, name][0] <= rates[others], "and none is at eights"
best = max(medians[tumours, name][0] for name in precision[tumours][0])
assert 0.45 < best < 0.7, "yet about half of the twenty are healthy"
# --8<-- [end:anomaly_claims]


# --8<-- [start:flags]
def flagged(draw):
    """The share of 400 rows of one kind that IsolationForest calls anomalies, by default; the median of five seeds."""
    shares = []
    for seed in SEEDS:
        data = draw(np.random.default_rng(seed))
        shares.append((IsolationForest(random_state=seed).fit_predict(data) == -1).mean())
    return float(np.median(shares))


flags = {
    "uniform, 2 columns": flagged(lambda random: random.uniform(size=(400, 2))),
    "normal, 2 columns": flagged(lambda random: random.normal(size=(400, 2))),
    "normal, 30 columns": flagged(lambda random: random.normal(size=(400, 30))),
}
for name, share in flags.items():
    print(f"{name:<19} {share:>4.0%} called anomalies")
# --8<-- [end:flags]

# --8<-- [start:flag_claims]
uniform, normal, wide = flags.values()
assert uniform > 0.4 and 0.1 < normal < 0.3 and wide < 0.02, "the share follows the shape of the data, not what is odd"
# --8<-- [end:flag_claims]

# --8<-- [start:own]
table = scale(wine)  # yours: rows × columns, on one scale
for k in (2, 3, 4, 5):
    one = evidence(table, k)
    print(f"k={k}: " + ", ".join(f"{name} {value:.2f}" for name, value in one.items()))
# --8<-- [end:own]

# --8<-- [start:problems]
line = np.linspace(0, 1, 1001)[:, None]  # evenly spaced: no clusters at all
even = silhouette(line, 2)
assert 0.6 < even < 0.65

lift = best / rates[tumours]
checked = 20 / best  # rows to look at for 20 finds, if precision stayed the same
assert 8 < lift < 13

numbers = {"encoder": 64 * 64 + 64 + 64 * 8 + 8, "decoder": 8 * 64 + 64 + 64 * 64 + 64}
for part, module in zip(numbers.values(), trained[0], strict=True):
    assert part == sum(weight.numel() for weight in module.parameters())
pays_from = 4 * numbers["decoder"] / (64 - 32)  # images at which codes and decoder are as large as bytes
assert pays_from == 592
# --8<-- [end:problems]
