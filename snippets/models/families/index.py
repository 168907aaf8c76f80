"""The program of "Model families": seven families on the same digits, counted, weighed and measured."""

# --8<-- [start:digits]
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
digits = load_digits()
images = torch.tensor(digits.images) / 16  # (1797, 8, 8)
labels = torch.tensor(digits.target)
SEEDS, LEARN, STEPS, BATCH = range(5), 1200, 120, 64


def split(seed):
    """Which images to learn from, and which to measure on."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return order[:LEARN], order[LEARN:]


def train(model, loss, learn, seed, rate=5e-3):
    """Take steps of AdamW on batches drawn from the images to learn from."""
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    for _ in range(STEPS):
        batch = learn[torch.randint(len(learn), (BATCH,), generator=draw)]
        optimizer.zero_grad()
        loss(model, images[batch], labels[batch], draw).backward()
        optimizer.step()
    return model.eval()


def naming(model, x, y, draw):
    """The loss of a classifier."""
    return F.cross_entropy(model(x), y)


# --8<-- [end:digits]


# --8<-- [start:patches]
def patches(x):
    """(B, side, side) → (B, T, 4): an image as a sequence of squares of 2 × 2 pixels, row by row."""
    return F.unfold(x[:, None], 2, stride=2).mT


# --8<-- [end:patches]


# --8<-- [start:linear]
def linear(side=8):
    """One weight for each pixel and class."""
    return nn.Sequential(nn.Flatten(), nn.Linear(side * side, 10))


# --8<-- [end:linear]


# --8<-- [start:cnn]
class CNN(nn.Module):
    """Two layers of small filters, then the mean over the image."""

    def __init__(self, side=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.layers(x[:, None]).amax((2, 3)))


# --8<-- [end:cnn]


# --8<-- [start:recurrent]
class Recurrent(nn.Module):
    """A GRU that reads the patches one by one; its last state names the digit."""

    def __init__(self, side=8):
        super().__init__()
        self.cell = nn.GRU(4, 32, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        return self.head(self.cell(patches(x))[1][0])


# --8<-- [end:recurrent]


# --8<-- [start:transformer]
class Transformer(nn.Module):
    """One layer of attention over the patches, each with its place."""

    def __init__(self, side=8, width=32, heads=4):
        super().__init__()
        self.heads = heads
        self.read = nn.Linear(4, width)
        self.place = nn.Parameter(torch.randn(side * side // 4, width) / 5)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        h = self.read(patches(x)) + self.place
        B, T, D = h.shape
        q, k, v = self.qkv(self.norms[0](h)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)  # (B, H, T, T)
        h = h + self.out((scores @ v).transpose(1, 2).reshape(B, T, D))
        h = h + self.mlp(self.norms[1](h))
        return self.head(h.mean(1))


# --8<-- [end:transformer]


# --8<-- [start:diffusion]
class Denoiser(nn.Module):
    """Predicts the noise in an image, given how much there is and of which digit it is."""

    def __init__(self, side=8, width=192):
        super().__init__()
        self.side, self.digit = side, nn.Embedding(10, width)
        self.read, self.level = nn.Linear(side * side, width), nn.Linear(1, width)
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, side * side))

    def forward(self, noisy, level, digit):
        """(B, side²), (B, 1), (B,) → (B, side²)."""
        return self.mlp(self.read(noisy) + self.level(level) + self.digit(digit))


def noised(x, level, draw):
    """Images, flat, mixed with noise; and the noise."""
    clean = 2 * x.flatten(1) - 1
    noise = torch.randn(clean.shape, generator=draw)
    return (1 - level**2).sqrt() * clean + level * noise, noise


def denoising(model, x, y, draw):
    """The loss of a denoiser, at levels of noise between 0 and 1."""
    level = torch.rand(len(x), 1, generator=draw)
    noisy, noise = noised(x, level, draw)
    return F.mse_loss(model(noisy, level, y), noise)


def name_by_denoising(model, x, tries=8):
    """The digit for which the noise is predicted best, summed over tries."""
    draw = torch.Generator().manual_seed(0)
    errors = torch.zeros(len(x), 10)
    for level in torch.linspace(0.3, 0.9, tries):
        levels = level.expand(len(x), 1)
        noisy, noise = noised(x, levels, draw)
        for digit in range(10):
            guess = model(noisy, levels, torch.full((len(x),), digit))
            errors[:, digit] += (guess - noise).square().sum(1)
    return errors.argmin(1)


# --8<-- [end:diffusion]


# --8<-- [start:embedding]
def embedder(side=8):
    """Maps an image to a vector of 16 numbers."""
    return nn.Sequential(nn.Flatten(), nn.Linear(side * side, 64), nn.ReLU(), nn.Linear(64, 16))


def contrast(model, x, y, draw):
    """The loss of vectors: those of the same digit near each other, the others far (Khosla et al. 2020)."""
    vectors = F.normalize(model(x), dim=1)
    mask = torch.eye(len(x), dtype=torch.bool)
    near = (vectors @ vectors.T / 0.2).masked_fill(mask, -1e9).log_softmax(1)
    same = (y[:, None] == y) & ~mask
    return -((near * same).sum(1) / same.sum(1).clamp(min=1)).mean()


def name_by_neighbour(model, x, known, names):
    """The digit of the nearest known image, by the angle between vectors."""
    near = F.normalize(model(x), dim=1) @ F.normalize(model(known), dim=1).T
    return names[near.argmax(1)]


# --8<-- [end:embedding]

# --8<-- [start:trees]
from sklearn.ensemble import RandomForestClassifier


def forest(learn, seed, trees=50):
    """A forest of decision trees, each grown on a sample of the images until its leaves are pure."""
    model = RandomForestClassifier(trees, random_state=seed, n_jobs=1)
    return model.fit(images[learn].flatten(1), labels[learn])


# --8<-- [end:trees]

# --8<-- [start:classifiers]
BUILDERS = {"Linear": linear, "CNN": CNN, "Recurrent": Recurrent, "Transformer": Transformer}
accuracy = {}  # family: one share for each seed
models = {}  # family: the model of the last seed


def right(guess, measure):
    """The share of images that are named rightly."""
    return float((guess == labels[measure]).double().mean())


for seed in SEEDS:
    learn, measure = split(seed)
    for family, build in BUILDERS.items():
        torch.manual_seed(seed)
        models[family] = train(build(), naming, learn, seed, rate=2e-2 if family == "Linear" else 1e-2)
        with torch.no_grad():
            accuracy.setdefault(family, []).append(right(models[family](images[measure]).argmax(1), measure))
    models["Tree ensemble"] = forest(learn, seed)
    found = torch.tensor(models["Tree ensemble"].predict(images[measure].flatten(1)))
    accuracy.setdefault("Tree ensemble", []).append(right(found, measure))
# --8<-- [end:classifiers]

# --8<-- [start:others]
for seed in SEEDS:
    learn, measure = split(seed)
    torch.manual_seed(seed)
    models["Diffusion"] = train(Denoiser(), denoising, learn, seed)
    models["Embedding"] = train(embedder(), contrast, learn, seed)
    with torch.no_grad():
        guess = name_by_denoising(models["Diffusion"], images[measure])
        near = name_by_neighbour(models["Embedding"], images[measure], images[learn], labels[learn])
    accuracy.setdefault("Diffusion", []).append(right(guess, measure))
    accuracy.setdefault("Embedding", []).append(right(near, measure))
# --8<-- [end:others]

# --8<-- [start:weigh]
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
from safetensors.torch import save_file

import weigh

scratch = TemporaryDirectory()
folder = Path(scratch.name)
parameters, size = {}, {}
for family, model in models.items():
    if family == "Tree ensemble":
        joblib.dump(model, folder / "forest.joblib")
        parameters[family] = sum(tree.tree_.node_count for tree in model.estimators_)
        size[family] = (folder / "forest.joblib").stat().st_size
    else:
        weights = {name: tensor.float() for name, tensor in model.state_dict().items()}
        save_file(weights, folder / "model.safetensors")
        file = weigh.inspect(folder / "model.safetensors")
        parameters[family], size[family] = file.parameters, file.bytes_on_disk
# --8<-- [end:weigh]

# --8<-- [start:operations]
from torch.utils.flop_counter import FlopCounterMode


def operations(run, *inputs):
    """Multiplications and additions of the matrix products and convolutions of a run."""
    with FlopCounterMode(display=False) as counter:
        run(*inputs)
    return counter.get_total_flops()


def learn_from(model, loss, batch):
    """One step, but for the optimizer's part, which multiplies no matrices."""
    loss(model, *batch, torch.Generator().manual_seed(0)).backward()


LOSSES = dict.fromkeys(BUILDERS, naming) | {"Diffusion": denoising, "Embedding": contrast}
LEVELS, DIGITS = 8, 10
batch = images[:BATCH], labels[:BATCH]
to_train, to_name = {}, {}
for family, model in models.items():
    if family == "Tree ensemble":
        trees = [one.tree_ for one in model.estimators_]
        looked_at = sum(tree.n_node_samples[tree.children_left >= 0].sum() for tree in trees)
        to_train[family] = int(looked_at) * 8  # values of 8 pixels, √64, for each image at each node that is split
        visited = model.decision_path(images[:100].flatten(1).numpy())[0].sum() / 100
        to_name[family] = float(visited) - len(trees)  # comparisons: a leaf compares nothing
        continue
    to_train[family] = STEPS * operations(learn_from, model, LOSSES[family], batch)
    if family == "Diffusion":
        noisy, level = torch.zeros(1, 64), torch.ones(1, 1)
        to_name[family] = LEVELS * DIGITS * operations(model, noisy, level, labels[:1])
    else:
        to_name[family] = operations(model, images[:1])
to_name["Embedding"] += 2 * 16 * LEARN  # and compare with each known vector
# --8<-- [end:operations]

# --8<-- [start:growth]
from math import log2

SIDES = [8, 16, 32, 64, 128]
GROWING = {**BUILDERS, "Diffusion": Denoiser, "Embedding": embedder}
cost = {}  # family: operations for one image of each side
for family, build in GROWING.items():
    for side in SIDES:
        model, image = build(side), torch.zeros(1, side, side)
        inputs = (image.flatten(1), torch.ones(1, 1), labels[:1]) if family == "Diffusion" else (image,)
        with torch.no_grad():
            cost.setdefault(family, []).append(operations(model, *inputs))
cost["Tree ensemble"] = []
learn, measure = split(0)
for side in SIDES[:3]:
    larger = F.interpolate(images[:, None], scale_factor=side // 8).flatten(1).numpy()
    grown = RandomForestClassifier(10, random_state=0).fit(larger[learn], labels[learn])
    cost["Tree ensemble"].append(grown.decision_path(larger[measure])[0].sum() / len(measure) - 10)

# A side twice as long has four times the pixels, so that log2 of the ratio of costs is halved.
exponent = {family: log2(costs[-1] / costs[-2]) / 2 for family, costs in cost.items()}
# --8<-- [end:growth]

# --8<-- [start:claims]
from statistics import median

middle = {family: median(shares) for family, shares in accuracy.items()}
best_half = sorted(middle, key=middle.get)[-4:]
assert {"CNN", "Tree ensemble"} <= set(best_half), "What looks at neighbours, or at few pixels at a time, suits images"
assert min(middle, key=middle.get) in ("Recurrent", "Transformer"), "Sequence models have most to learn here"
assert middle["Linear"] > 0.92 and parameters["Linear"] == min(parameters.values()), "The least is not the worst"
assert to_name["Diffusion"] > 10 * max(cost for name, cost in to_name.items() if name != "Diffusion"), (
    "Ten digits, many levels"
)
assert exponent["Transformer"] > 1.7 > 1.1 > exponent["Recurrent"] > 0.9, (
    "Attention grows with the square, a state does not"
)
assert abs(exponent["Tree ensemble"]) < 0.15, "A tree does not look at more pixels because there are more"
assert size["Tree ensemble"] == max(size.values()), "A forest of 50 trees is the largest file"
# --8<-- [end:claims]

# --8<-- [start:table]
ROWS = [
    ("Linear", "Linear/logistic models", "linear", "Weighted features", "Baselines, interpretable tabular problems"),
    ("Tree ensemble", "Tree ensembles", "tree-ensembles", "Decision trees, combined by bagging or boosting",
     "Tabular prediction, feature importance"),
    ("CNN", "CNNs", "cnn", "Convolutions over local structure", "Images, signals, some sequence tasks"),
    ("Recurrent", "RNNs/LSTMs/GRUs", "recurrent", "A recurrent state over sequences",
     "Legacy sequence modelling, time series"),
    ("Transformer", "Transformers", "transformers", "Attention over token sequences",
     "Language, code, multimodal, embeddings"),
    ("Diffusion", "Diffusion models", "diffusion", "Iterative denoising", "Image, audio, video, generative media"),
    ("Embedding", "Embedding models", "embeddings", "Inputs mapped to vectors",
     "Search, clustering, similarity, retrieval for RAG"),
]  # fmt: skip
print("| Family | On the digits | Shape | Typical use |\n| --- | --- | --- | --- |")
for family, title, page, shape, use in ROWS:
    low, high = min(accuracy[family]), max(accuracy[family])
    print(f"| [{title}]({page}/) | **{middle[family]:.2f}** ({low:.2f} to {high:.2f}) | {shape} | {use} |")
# --8<-- [end:table]

# --8<-- [start:costs]
from weigh.units import format_bytes


def short(number):
    """A large number in two digits."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.2g} {name}" if number < 100 * unit else f"{round(number / unit, -1):.0f} {name}"
    return f"{number:.0f}"


print("| Family | File | To name | Grows | To train | Parameters |\n| --- | ---: | ---: | ---: | ---: | ---: |")
for family, *_ in ROWS:
    count = f"{parameters[family]:,}" if family != "Tree ensemble" else f"{short(parameters[family])} nodes"
    weight = format_bytes(size[family]) if family != "Tree ensemble" else f"{size[family] / 1e6:.1f} MB"
    cells = weight, short(to_name[family]), f"{exponent[family]:z.1f}", short(to_train[family]), count
    print(f"| {family} | {' | '.join(cells)} |")
# --8<-- [end:costs]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(2, 1, figsize=(6, 7))
for family, *_ in ROWS:
    low, high = min(accuracy[family]), max(accuracy[family])
    left.plot([size[family]] * 2, [low, high], color="C0", linestyle="-", linewidth=1.5)
    left.plot(size[family], middle[family], "o", color="C0")
    below = -10 if family == "CNN" else 3  # its neighbour Embedding is as large, and a little better
    left.annotate(
        family, (size[family], middle[family]), xytext=(6, below), textcoords="offset points", fontsize="small"
    )
left.set(xscale="log", xlabel="bytes of the file", ylabel="named rightly", title="What a byte buys", xlim=(2e3, 2e7))
for family in ("Transformer", "Recurrent", "CNN", "Tree ensemble"):
    costs = cost[family]
    right.plot([side**2 for side in SIDES[: len(costs)]], [one / costs[0] for one in costs], label=family)
right.set(xscale="log", yscale="log", xlabel="pixels", ylabel="operations, in multiples", title="What a pixel costs")
right.legend()
fig
# --8<-- [end:plot]

# --8<-- [start:own]
config = weigh.params("models/smollm2-135m")  # a config.json, or a directory that holds one
print(f"{config.parameters:,} parameters of the type {config.model_type}")
# --8<-- [end:own]

# --8<-- [start:problems]
eight_times = 64 ** exponent["Transformer"]
linear_large = 224 * 224 * 3 * 1000 + 1000
assert 5 < linear_large / weigh.params("models/resnet-50").parameters < 7, "ResNet-50 has a sixth of that"
# --8<-- [end:problems]
