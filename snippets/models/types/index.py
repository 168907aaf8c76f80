"""The program of "Model types": one set of digits, learned in each of six ways."""

# --8<-- [start:digits]
import numpy as np
from sklearn.datasets import load_digits

pixels, labels = load_digits(return_X_y=True)
pixels = pixels / 16  # 1,797 images of 8 × 8 pixels, from 0 to 1
SEEDS = range(5)
LEARN = 1200  # images to learn from; the others are for measuring


def split(seed):
    """The images and labels to learn from, then those to measure on."""
    order = np.random.default_rng(seed).permutation(len(pixels))
    learn, measure = order[:LEARN], order[LEARN:]
    return pixels[learn], labels[learn], pixels[measure], labels[measure]


# --8<-- [end:digits]

# --8<-- [start:supervised]
from sklearn.linear_model import LogisticRegression


def supervised(seed):
    """Share of new images named rightly, by a model that saw an image and its label, many times over."""
    x, y, new_x, new_y = split(seed)
    return LogisticRegression(max_iter=2000).fit(x, y).score(new_x, new_y)


# --8<-- [end:supervised]

# --8<-- [start:unsupervised]
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score


def unsupervised(seed):
    """Agreement of ten clusters with the ten digits, 0 by chance and 1 at best: no label was there to learn from."""
    x, _, new_x, new_y = split(seed)
    clusters = KMeans(10, n_init=4, random_state=seed).fit(x)
    return adjusted_rand_score(new_y, clusters.predict(new_x))


# --8<-- [end:unsupervised]

# --8<-- [start:self_supervised]
from sklearn.linear_model import Ridge


def self_supervised(seed):
    """Share of the variance of the lower half of new images that is predicted from their upper half."""
    x, _, new_x, _ = split(seed)
    model = Ridge(alpha=1).fit(x[:, :32], x[:, 32:])  # the label is a part of the input, hidden
    left = ((new_x[:, 32:] - model.predict(new_x[:, :32])) ** 2).sum()
    return 1 - left / ((new_x[:, 32:] - x[:, 32:].mean(0)) ** 2).sum()


# --8<-- [end:self_supervised]


# --8<-- [start:reinforcement]
def reinforcement(seed, rounds=20, rate=0.05):
    """Share of new images for which the policy's best action is rewarded, and its reward in each round of learning.

    An image is the state, a guess is the action, and the reward is 1 for the right one: the label is never told.
    """
    x, y, new_x, new_y = split(seed)
    draw = np.random.default_rng(seed)
    weights, rewards = np.zeros((64, 10)), []
    for _ in range(rounds):
        earned = 0
        for batch in draw.permutation(LEARN).reshape(-1, 50):
            scores = np.exp(x[batch] @ weights)
            chances = scores / scores.sum(1, keepdims=True)
            guesses = (chances.cumsum(1) > draw.random((50, 1))).argmax(1)
            reward = (guesses == y[batch]).astype(float)
            better = np.eye(10)[guesses] - chances  # the gradient of the log of the guess's chance
            weights += rate * x[batch].T @ (better * (reward - 0.1)[:, None])  # 0.1 is what blind guessing earns
            earned += reward.sum()
        rewards.append(earned / LEARN)
    return ((new_x @ weights).argmax(1) == new_y).mean(), rewards


# --8<-- [end:reinforcement]

# --8<-- [start:generative]
from sklearn.covariance import LedoitWolf


def normals(x, y):
    """A normal distribution over images for each digit: its mean, and its covariance, shrunk."""
    return [(x[y == digit].mean(0), LedoitWolf().fit(x[y == digit]).covariance_) for digit in range(10)]


def drawn(distributions, seed):
    """A new image of each digit, pixels kept between 0 and 1."""
    draw = np.random.default_rng(seed)
    return [draw.multivariate_normal(mean, cov, method="cholesky").clip(0, 1) for mean, cov in distributions]


def generative(seed, each=120):
    """Share of real images named rightly by a classifier that learned from drawn ones alone."""
    x, y, new_x, new_y = split(seed)
    draw = np.random.default_rng(seed)
    samples = [draw.multivariate_normal(mean, cov, each, method="cholesky").clip(0, 1) for mean, cov in normals(x, y)]
    taught = LogisticRegression(max_iter=2000).fit(np.concatenate(samples), np.repeat(range(10), each))
    return taught.score(new_x, new_y)


# --8<-- [end:generative]

# --8<-- [start:discriminative]
from sklearn.metrics import roc_auc_score


def discriminative(seed):
    """How often a new 8 gets a higher score than a new image of another digit."""
    x, y, new_x, new_y = split(seed)
    boundary = LogisticRegression(max_iter=2000).fit(x, y == 8)
    return roc_auc_score(new_y == 8, boundary.decision_function(new_x))


# --8<-- [end:discriminative]

# --8<-- [start:measure]
runs = [reinforcement(seed) for seed in SEEDS]
results = {
    "supervised": [supervised(seed) for seed in SEEDS],
    "unsupervised": [unsupervised(seed) for seed in SEEDS],
    "self-supervised": [self_supervised(seed) for seed in SEEDS],
    "reinforcement": [success for success, _ in runs],
    "generative": [generative(seed) for seed in SEEDS],
    "discriminative": [discriminative(seed) for seed in SEEDS],
}
middle = {name: float(np.median(values)) for name, values in results.items()}
# --8<-- [end:measure]

# --8<-- [start:claims]
assert middle["supervised"] > 0.94, "Labels teach the names of the digits"
assert 0.5 < middle["unsupervised"] < 0.8, "Clusters are digits, but not quite"
assert 0.3 < middle["self-supervised"] < 0.7, "Half of an image tells much of the other half"
assert 0.8 < middle["reinforcement"] < middle["supervised"], "A reward tells less than a label"
assert runs[0][1][0] < 0.5 < runs[0][1][-1], "The policy earns more as it learns"
assert 0.85 < middle["generative"] < middle["supervised"], "Drawn digits teach nearly as well as real ones"
assert middle["discriminative"] > 0.95, "The score ranks an 8 above the others"
# --8<-- [end:claims]

# --8<-- [start:table]
ROWS = [
    ("Supervised", "supervised", "Labelled examples", "Class labels, probabilities, regression values",
     "supervised", "named rightly"),
    ("Unsupervised", "unsupervised", "Structure of data without labels", "Clusters, compressed representations, "
     "anomaly scores", "unsupervised", "agreement of clusters with digits"),
    ("Self-supervised", "self-supervised", "Labels made from the data itself", "Representations, next-token "
     "predictions, masked-token predictions", "self-supervised", "of the hidden half explained"),
    ("Reinforcement learning", "reinforcement-learning", "Rewards for actions in an environment", "Policies or value "
     "estimates", "reinforcement", "of new images rewarded"),
    ("Generative", "generative", "The distribution of the data, or what is generated under a condition",
     "Text, images, audio, code, synthetic samples", "generative", "named rightly after drawn digits alone"),
    ("Discriminative", "discriminative", "The boundary between classes, or scores", "Classification or ranking "
     "decisions", "discriminative", "an 8 ranked above another"),
]  # fmt: skip

print("| Type | Learns from | Common outputs | On the digits |\n| --- | --- | --- | --- |")
for title, page, source, outputs, name, metric in ROWS:
    low, high = min(results[name]), max(results[name])
    print(f"| [{title}]({page}/) | {source} | {outputs} | **{middle[name]:.2f}** ({low:.2f} to {high:.2f}) {metric} |")
# --8<-- [end:table]

# --8<-- [start:pictures]
import matplotlib.pyplot as plt
from matplotlib.colors import ListedColormap, to_rgb

ink = ListedColormap([(*to_rgb(plt.rcParams["text.color"]), level) for level in np.linspace(0, 1, 9)])


def show(ax, images):
    """Images side by side."""
    grid = np.full((8, 9 * len(images) - 1), 0.0)
    for place, image in enumerate(images):
        grid[:, 9 * place : 9 * place + 8] = image.reshape(8, 8)
    ax.pcolormesh(grid[::-1], cmap=ink, vmin=0, vmax=1)
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)


x, y, new_x, new_y = split(0)
fig, axes = plt.subplots(3, 2, figsize=(6.4, 6))

boundary = LogisticRegression(max_iter=2000).fit(x, y)
chances = boundary.predict_proba(new_x[:1])[0]
axes[0, 0].bar(range(10), chances)
axes[0, 0].set(title="Supervised: probabilities", xticks=range(10), ylim=(0, 1))

centres = KMeans(10, n_init=4, random_state=0).fit(x).cluster_centers_
show(axes[0, 1], centres[:5])
axes[0, 1].set_title("Unsupervised: cluster centres")

model = Ridge(alpha=1).fit(x[:, :32], x[:, 32:])
guessed = np.concatenate([new_x[:5, :32], model.predict(new_x[:5, :32]).clip(0, 1)], axis=1)
show(axes[1, 0], guessed)
axes[1, 0].axhline(4, color="C2", linestyle="--", linewidth=1)
axes[1, 0].set_title("Self-supervised: lower half")

for _, rewards in runs:
    axes[1, 1].plot(range(1, 21), rewards, color="C0", linestyle="-", linewidth=1)
axes[1, 1].set(title="Reinforcement: reward", xlabel="round", ylim=(0, 1), xticks=[1, 10, 20])

density = normals(x, y)
show(axes[2, 0], drawn(density, 0)[:5])
axes[2, 0].set_title("Generative: drawn digits")

scores = LogisticRegression(max_iter=2000).fit(x, y == 8).decision_function(new_x)
bins = np.linspace(-16, 8, 25)
axes[2, 1].hist(scores[new_y != 8], bins, density=True, histtype="step", color="C0", label="another")
axes[2, 1].hist(scores[new_y == 8], bins, density=True, histtype="step", color="C2", linestyle="--", label="8")
axes[2, 1].legend(fontsize="small")
axes[2, 1].set(title="Discriminative: score of “8”", yticks=[])
fig
# --8<-- [end:pictures]

# --8<-- [start:told]
label = np.log2(10)  # bits, in the name of one digit of ten
told = {"supervised": LEARN * label, "reinforcement": 20 * LEARN}
spread = {name: max(values) - min(values) for name, values in results.items()}
assert told["reinforcement"] > told["supervised"], "More answers of yes or no than bits in the labels"
assert spread["reinforcement"] > 2 * spread["supervised"], "Seeds matter more to the policy"
# --8<-- [end:told]


# --8<-- [start:both]
def log_density(images, mean, covariance):
    """ln p of each image under a normal distribution, (n,)."""
    away = images - mean
    _, log_volume = np.linalg.slogdet(2 * np.pi * covariance)
    return -(np.einsum("ni,ni->n", away @ np.linalg.inv(covariance), away) + log_volume) / 2


scores = np.stack([log_density(new_x, *one) for one in density], axis=1)  # (597, 10)
by_bayes = (scores.argmax(1) == new_y).mean()
by_boundary = boundary.score(new_x, new_y)
print(f"named rightly by densities:  {by_bayes:.1%}")
print(f"named rightly by a boundary: {by_boundary:.1%}")
# --8<-- [end:both]

# --8<-- [start:both_claims]
assert by_bayes > 0.93 and by_boundary > 0.93, "A generative model of each class is a classifier too"
# --8<-- [end:both_claims]

# --8<-- [start:own]
x, y, new_x, new_y = split(0)  # put your own arrays here: rows × columns, and a label for each row
blind = np.bincount(y).max() / len(y)
grouped = adjusted_rand_score(new_y, KMeans(len(set(y)), n_init=4, random_state=0).fit(x).predict(new_x))
print(f"blind guess {blind:.2f}, with labels {LogisticRegression(max_iter=2000).fit(x, y).score(new_x, new_y):.2f}")
print(f"agreement of clusters with labels {grouped:.2f}")
# --8<-- [end:own]

# --8<-- [start:problems]
told_by_a_guess = -0.1 * np.log2(0.1) - 0.9 * np.log2(0.9)  # bits; a blind guess is right once in ten
rewards_for_a_label = label / told_by_a_guess
# --8<-- [end:problems]
