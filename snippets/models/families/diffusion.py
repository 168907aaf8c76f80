"""The program of "Diffusion models": a denoiser that draws digits, its schedule and guidance, and its cost."""

# --8<-- [start:shape]
import matplotlib.pyplot as plt


def box(ax, x, y, words, width):
    """Words in a box of this width around (x, y)."""
    frame = plt.Rectangle((x - width / 2, y - 0.5), width, 1, fill=False, edgecolor=plt.rcParams["text.color"])
    ax.add_patch(frame)
    ax.text(x, y, words, ha="center", va="center", fontsize=11)


def arrow(ax, start, end, bend=0.0):
    style = {"arrowstyle": "-|>", "color": plt.rcParams["text.color"], "connectionstyle": f"arc3,rad={bend}"}
    ax.annotate("", end, start, arrowprops=style)


fig, ax = plt.subplots(figsize=(5, 3.6))
box(ax, 1.2, 3, "noise", 1.6)
box(ax, 4.5, 3, "image with noise, x", 3.2)
box(ax, 4.5, 1, "the network", 3.2)
box(ax, 7.9, 3, "image", 1.6)
box(ax, 1.2, 1, "step t, class", 2.2)
arrow(ax, (2, 3), (2.9, 3))
arrow(ax, (6.1, 3), (7.1, 3))
arrow(ax, (2.3, 1), (2.9, 1))
arrow(ax, (3.9, 2.5), (3.9, 1.5))
arrow(ax, (5.1, 1.5), (5.1, 2.5))
ax.text(5.3, 2, "a little less noise", fontsize=11, va="center")
ax.text(6.6, 3.7, "t = 0", fontsize=11, ha="center")
ax.text(2.4, 3.7, "t = T", fontsize=11, ha="center")
ax.text(4.5, 0.15, "again and again, with the same weights", fontsize=11, ha="center")
ax.set(xlim=(0, 8.8), ylim=(-0.1, 4))
ax.axis("off")
fig
# --8<-- [end:shape]

# --8<-- [start:data]
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # the same digits on every processor

pixels, classes = load_digits(return_X_y=True)
parts = train_test_split(pixels / 8 - 1, classes, test_size=500, random_state=0, stratify=classes)
images, unseen, labels, unseen_labels = map(torch.tensor, parts)  # pixels from −1 to 1
reader = SVC(gamma=0.02).fit(images.numpy(), labels.numpy())  # what judges the drawings
reads_right = reader.score(unseen.numpy(), unseen_labels.numpy())
assert len(images) == 1297 and reads_right > 0.97
# --8<-- [end:data]

# --8<-- [start:schedule]
T = 1000


def from_betas(betas):
    """ᾱ for t = 0 to T: the share of the image's variance that is left. At t = 0 nothing has been added."""
    return torch.cat([torch.ones(1), (1 - betas).cumprod(0)])


t = torch.arange(T + 1)
cosine = torch.cos((t / T + 0.008) / 1.008 * torch.pi / 2) ** 2
schedules = {
    "linear": from_betas(torch.linspace(1e-4, 0.02, T)),
    "scaled linear": from_betas(torch.linspace(0.00085**0.5, 0.012**0.5, T) ** 2),
    "cosine": from_betas((1 - cosine[1:] / cosine[:-1]).clamp(max=0.999)),
}
alpha_bar = schedules["cosine"]


def add_noise(x0, t, noise):
    """The image at step t, in one go."""
    kept = alpha_bar[t][:, None]
    return kept.sqrt() * x0 + (1 - kept).sqrt() * noise


# --8<-- [end:schedule]

# --8<-- [start:schedule_plot]
fig, ax = plt.subplots(figsize=(6, 3))
halves = {}
for name, kept in schedules.items():
    ax.plot(t[1:], kept[1:] / (1 - kept[1:]), label=name)
    halves[name] = int((kept < 0.5).nonzero()[0])
ax.axhline(1, color=plt.rcParams["ytick.color"], linewidth=1)
ax.text(T, 1.6, "as much noise as image", ha="right", fontsize=10)
ax.set(xlabel="step t", title="signal-to-noise ratio", yscale="log", ylim=(1e-6, 1e5))
ax.legend(fontsize=10, loc="lower left")
assert halves["linear"] < halves["scaled linear"] < halves["cosine"]
fig
# --8<-- [end:schedule_plot]

# --8<-- [start:network]
from torch import nn


class Denoiser(nn.Module):
    """Reads x, t and a class; answers v = √ᾱ·noise − √(1−ᾱ)·image."""

    def __init__(self, width=128):
        super().__init__()
        self.read = nn.Linear(64, width)
        self.step = nn.Linear(16, width)
        self.label = nn.Embedding(11, width)  # ten digits, and “any”
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.write = nn.Linear(width, 64)

    def forward(self, x, t, label):
        waves = (t / T)[:, None] * 2.0 ** torch.arange(8) * torch.pi / 8
        told = self.step(torch.cat([waves.sin(), waves.cos()], dim=1)) + self.label(label)
        h = torch.relu(self.read(x) + told)
        h = h + torch.relu(self.first(h) + told)
        h = h + torch.relu(self.second(h) + told)
        return self.write(h)


# --8<-- [end:network]

# --8<-- [start:training]
from copy import deepcopy

ANY = 10


def train(seed, steps=320, batch=64, decay=0.97):
    """A denoiser, and the running average (EMA) of its weights."""
    torch.manual_seed(seed)
    model = Denoiser()
    average = deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(steps):
        chosen = torch.randint(len(images), (batch,))
        x0, noise = images[chosen], torch.randn(batch, 64)
        t = torch.randint(1, T + 1, (batch,))
        label = torch.where(torch.rand(batch) < 0.1, ANY, labels[chosen])
        kept = alpha_bar[t][:, None]
        v = kept.sqrt() * noise - (1 - kept).sqrt() * x0
        loss = (model(add_noise(x0, t, noise), t, label) - v).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        weight = 1 - decay if step > 20 else 1  # the first steps are not worth keeping
        for kept_one, new in zip(average.parameters(), model.parameters(), strict=True):
            kept_one.lerp_(new.detach(), weight)
    return model, average


SEEDS = range(5)
trained = [train(seed) for seed in SEEDS]
denoisers = [average for _, average in trained]
# --8<-- [end:training]


# --8<-- [start:sampling]
from itertools import pairwise


@torch.no_grad()
def draw(model, label, seed, steps=20, guidance=2.0, start=T, trace=None):
    """DDIM: guess the image, keep the noise that this implies, go to the next step."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(label), 64, generator=generator)
    times = torch.linspace(start, 0, steps + 1).round().long()
    for now, then in pairwise(times):
        t = now.expand(len(label))
        v = model(x, t, label)
        if guidance != 1:
            unconditional = model(x, t, torch.full_like(label, ANY))
            v = unconditional + guidance * (v - unconditional)
        signal, noise = alpha_bar[now].sqrt(), (1 - alpha_bar[now]).sqrt()
        image = (signal * x - noise * v).clamp(-1, 1)
        implied = (x - signal * image) / noise
        x = alpha_bar[then].sqrt() * image + (1 - alpha_bar[then]).sqrt() * implied
        if trace is not None:
            trace.append(x)
    return x


# --8<-- [end:sampling]

# --8<-- [start:strip]
path = []
draw(denoisers[0], torch.arange(10), seed=7, trace=path)
generator = torch.Generator().manual_seed(7)
path = [torch.randn(10, 64, generator=generator), *path]
shown = [0, 4, 8, 12, 16, 20]


def grid(rows, names, label):
    """Rows of 8 × 8 images, with a name for each row."""
    fig, axes = plt.subplots(len(rows), len(rows[0]), figsize=(6.4, 0.64 * len(rows) + 0.2))
    for row, (line, name) in enumerate(zip(axes, names, strict=True)):
        for ax, image in zip(line, rows[row], strict=True):
            ax.imshow(image.reshape(8, 8).clamp(-1, 1), cmap="gray_r", vmin=-1, vmax=1)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    fig.supylabel(label, fontsize=11)
    return fig


grid([path[step] for step in shown], [str(step) for step in shown], "steps done")
# --8<-- [end:strip]

# --8<-- [start:measures]
EACH = 10
wanted = torch.arange(10).repeat(EACH)


def nearest(x):
    """The distance to the nearest image of the training set, and which it is."""
    return torch.cdist(x, images).min(dim=1)


typical = nearest(unseen).values.median()  # how far real digits are that nobody trained on


def judge(x):
    """Read as asked, different nearest images of 100, distance to the nearest (real unseen digits: 1)."""
    right = (reader.predict(x.numpy()) == wanted.numpy()).mean()
    near = nearest(x)
    return float(right), len(near.indices.unique()), float(near.values.median() / typical)


def over_seeds(**settings):
    """What `judge` says of each denoiser's drawings: rows by seed."""
    return np.array([judge(draw(model, wanted, seed, **settings)) for seed, model in enumerate(denoisers)])


def cells(rows):
    """Medians, with the range of the readings."""
    right, different, far = np.median(rows, axis=0)
    low, high = rows[:, 0].min(), rows[:, 0].max()
    return f"{right:.0%} ({100 * low:.0f}–{100 * high:.0f}) | {different:.0f} | {far:.1f}"


# --8<-- [end:measures]

# --8<-- [start:guidance]
guided = {weight: over_seeds(guidance=weight) for weight in (0.0, 1.0, 2.0, 4.0, 8.0)}
print("| w | Read | Different | Distance |\n| ---: | ---: | ---: | ---: |")
for weight, rows in guided.items():
    print(f"| {weight:g} | {cells(rows)} |")
# --8<-- [end:guidance]

# --8<-- [start:guidance_claims]
middle = {weight: np.median(rows, axis=0) for weight, rows in guided.items()}
assert all(rows[:, 2].min() > 1.2 for rows in guided.values()), "none comes as near as real digits do"
assert 0.02 < middle[0.0][0] < 0.2, "without the class it draws any digit"
assert middle[1.0][0] < 0.98 < middle[2.0][0], "guidance makes the class clearer"
assert guided[1.0][:, 1].min() > guided[4.0][:, 1].max() + 3, "and the drawings less varied, whatever the seed"
assert middle[8.0][2] > middle[4.0][2] + 0.3 > middle[2.0][2] + 0.5, "and less like any real digit"
assert middle[8.0][0] < middle[2.0][0] - 0.01, "until they are no longer read either"
# --8<-- [end:guidance_claims]

# --8<-- [start:guidance_picture]
rows = {weight: draw(denoisers[0], torch.arange(10), seed=3, guidance=weight) for weight in (1, 2, 4, 8)}
grid(list(rows.values()), [str(weight) for weight in rows], "guidance w")
# --8<-- [end:guidance_picture]

# --8<-- [start:steps]
by_steps = {steps: over_seeds(steps=steps) for steps in (1, 2, 5, 10, 50)}
by_steps |= {20: guided[2.0]}
print("| Steps | Read | Different | Distance |\n| ---: | ---: | ---: | ---: |")
for steps, rows in sorted(by_steps.items()):
    print(f"| {steps} | {cells(rows)} |")
# --8<-- [end:steps]

# --8<-- [start:steps_claims]
at = {steps: np.median(rows, axis=0) for steps, rows in by_steps.items()}
assert by_steps[1][:, 0].min() > 0.97, "one step is read well"
assert by_steps[1][:, 1].max() < by_steps[20][:, 1].min() - 5, "and its drawings are more alike"
assert abs(at[50][2] - at[20][2]) < 0.2 and abs(at[50][1] - at[20][1]) < 15, "fifty steps are hardly better than twenty"
# --8<-- [end:steps_claims]


# --8<-- [start:schedule_table]
print("| Schedule | Noise left at t = 1, of 255 greys | Image left at T | SNR at T |\n| --- | ---: | ---: | ---: |")
ends = {}
for name, kept in schedules.items():
    noise_left = 255 / 2 * float((1 - kept[1]).sqrt())  # pixels go from −1 to 1
    ends[name] = noise_left, float(kept[T].sqrt())
    print(f"| {name} | {noise_left:.1f} | {ends[name][1]:.3%} | {kept[T] / (1 - kept[T]):.1e} |")
assert all(kept[T] > 0 for kept in schedules.values()), "the SNR at T is not zero"
assert ends["scaled linear"][1] > 0.06 and ends["linear"][1] < 0.01
assert ends["linear"][0] > 1 and ends["scaled linear"][0] > 3, "x at t = 1 is off by a grey level or more"
# --8<-- [end:schedule_table]


# --8<-- [start:ends]
def last_step_noise(x, seed, steps=20):
    """What a sampler would leave that adds the noise of its last step too."""
    last = torch.linspace(T, 0, steps + 1).round().long()[-2]
    generator = torch.Generator().manual_seed(seed)
    return x + (1 - alpha_bar[last]).sqrt() * torch.randn(x.shape, generator=generator)


noisy = [judge(last_step_noise(draw(model, wanted, s), s)) for s, model in enumerate(denoisers)]
broken = {
    "as it should be": guided[2.0],
    "begins at 800": over_seeds(start=800),
    "begins at 500": over_seeds(start=500),
    "noise at the end": np.array(noisy),
}
print("| The sampler | Read | Different | Distance |\n| --- | ---: | ---: | ---: |")
for name, rows in broken.items():
    print(f"| {name} | {cells(rows)} |")
# --8<-- [end:ends]

# --8<-- [start:ends_claims]
far = {name: rows[:, 2] for name, rows in broken.items()}
assert far["begins at 500"].min() > far["as it should be"].max() + 0.3
assert far["noise at the end"].min() > far["as it should be"].max()
assert np.median(far["as it should be"]) + 0.1 < np.median(far["begins at 800"]) < far["begins at 500"].min()
# --8<-- [end:ends_claims]

# --8<-- [start:weigh]
import tempfile
from pathlib import Path

from safetensors.torch import save_file

import weigh

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.safetensors"
    model, average = trained[0]
    save_file({name: tensor.float() for name, tensor in average.state_dict().items()}, path)
    file = weigh.inspect(path)
    both = {f"{part}.{name}": tensor.float() for part, m in (("model", model), ("ema", average))
            for name, tensor in m.state_dict().items()}  # fmt: skip
    save_file(both, path)
    with_average = weigh.inspect(path)
# --8<-- [end:weigh]

# --8<-- [start:layers]
print("| Layer | Weights | Bytes | Share | Products a pass |\n| --- | --- | ---: | ---: | ---: |")
products = 0
for name in ("read", "step", "label", "first", "second", "write"):
    tensors = [tensor for tensor in file.named if tensor.name.startswith(f"{name}.")]
    shapes = " + ".join("×".join(map(str, tensor.shape)) for tensor in reversed(tensors))
    size = sum(tensor.nbytes for tensor in tensors)
    used = 0 if name == "label" else max(tensor.numel for tensor in tensors)  # a table is looked up
    products += used
    print(f"| {name} | {shapes} | {size:,} | {size / file.bytes_in_tensors:.0%} | {used:,} |")
print(f"| all | | {file.bytes_in_tensors:,} | 100% | {products:,} |")
assert file.parameters == sum(p.numel() for p in average.parameters())
assert with_average.parameters == 2 * file.parameters
# --8<-- [end:layers]

# --8<-- [start:stable]
unet, text_encoder, vae = 859_520_964, 123_060_480, 83_653_863  # Stable Diffusion 1.x
whole = unet + text_encoder + vae
print("| Part | Parameters | In float16 |\n| --- | ---: | ---: |")
for name, count in {"U-Net": unet, "text encoder": text_encoder, "VAE": vae, "all": whole}.items():
    print(f"| {name} | {count:,} | {weigh.format_bytes(2 * count)} |")
assert 0.8 < unet / whole < 0.81
# --8<-- [end:stable]


# --8<-- [start:perfect]
def perfect(x, t, label):
    """The answer with the least training loss: the mean of the training images, weighed by how well each explains x."""
    kept = alpha_bar[t][:, None]
    distance = torch.cdist(x / kept.sqrt(), images).square() * kept
    other = label[:, None] != labels
    weights = (-distance / (2 * (1 - kept))).masked_fill(other, -torch.inf).softmax(dim=1)
    return (kept.sqrt() * x - weights @ images) / (1 - kept).sqrt()


@torch.no_grad()
def loss_on(model, x0, label):
    generator = torch.Generator().manual_seed(1)
    t = torch.randint(1, T + 1, (len(x0),), generator=generator)
    noise = torch.randn(x0.shape, generator=generator)
    kept = alpha_bar[t][:, None]
    v = kept.sqrt() * noise - (1 - kept).sqrt() * x0
    return float((model(add_noise(x0, t, noise), t, label) - v).square().mean())


copies = judge(draw(perfect, wanted, seed=0, guidance=1))
at_one = middle[1.0]
losses = {
    "the network": [
        np.median([loss_on(model, *data) for model in denoisers])
        for data in ((images, labels), (unseen, unseen_labels))
    ],
    "the perfect answer": [loss_on(perfect, images, labels), loss_on(perfect, unseen, unseen_labels)],
}
print("| | Loss, trained on | Loss, unseen | Distance of its drawings |\n| --- | ---: | ---: | ---: |")
for (name, (seen_loss, unseen_loss)), distance in zip(losses.items(), (at_one[2], copies[2]), strict=True):
    print(f"| {name} | {seen_loss:.2f} | {unseen_loss:.2f} | {distance:.1f} |")
# --8<-- [end:perfect]

# --8<-- [start:perfect_claims]
(net_seen, net_unseen), (best_seen, best_unseen) = losses.values()
assert best_seen < net_seen / 2 and best_unseen > 2 * net_unseen, "best on what it saw, worst on what it did not"
assert copies[2] < 0.01 and copies[0] > 0.95, "its drawings are the training images"
assert all(nearest(draw(model, wanted, seed)).values.min() > 0.3 for seed, model in enumerate(denoisers)), "no copy"
rough = np.median([loss_on(model, images, labels) for model, _ in trained])
averaged_better = sum(loss_on(average, images, labels) < loss_on(model, images, labels) for model, average in trained)
assert averaged_better == len(SEEDS) and net_seen > 0.9 * rough, "the average is better, a little"
# --8<-- [end:perfect_claims]

# --8<-- [start:spacings]
leading = {n: np.arange(n) * (1000 // n) for n in (500, 501)}
for n, times in leading.items():
    print(f"leading,  {n} steps: from {times[-1]} to {times[0]}")
trailing = {n: np.round(np.arange(1000, 0, -1000 / n)) - 1 for n in (60, 61)}
for n, times in trailing.items():
    print(f"trailing, {n} steps: {len(times)}, to {times[-1]:.0f}")
assert leading[501][-1] == 500 and (len(trailing[61]), trailing[61][-1]) == (62, -1)
# --8<-- [end:spacings]


# --8<-- [start:own]
def ends_of(betas):
    """What a schedule leaves at its ends: noise at t = 1 in grey levels, and the image at T."""
    kept = from_betas(betas)
    return 127.5 * float((1 - kept[1]).sqrt()), float(kept[-1].sqrt())


noise_left, image_left = ends_of(torch.linspace(1e-4, 0.02, 100))  # made for 1,000 steps, used for 100
print(f"noise left: {noise_left:.1f} of 255, image left: {image_left:.0%}")
# --8<-- [end:own]

# --8<-- [start:problems]
assert image_left > 0.5
passes = 2 * 30
at_t = 0.36  # ᾱ
snr = at_t / (1 - at_t)
assert round(snr, 2) == 0.56
# --8<-- [end:problems]
