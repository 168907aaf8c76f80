"""The program of "CNNs": what a convolution sees, weighs and costs, and small ones that read digits."""

# --8<-- [start:digits]
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

import weigh

torch.set_num_threads(1)
digits = load_digits()
images, targets = torch.tensor(digits.images) / 16, torch.tensor(digits.target)
LEARNED, SEEDS, STEPS = 1200, 5, 150
# --8<-- [end:digits]

# --8<-- [start:diagram]
import matplotlib.pyplot as plt

ink, edge = plt.rcParams["text.color"], plt.rcParams["axes.edgecolor"]
filter_ = torch.tensor([[-1.0, 0, 1]] * 3, dtype=torch.float64)
answer = F.conv2d(images[:1, None], filter_[None, None])[0, 0]
fig, axes = plt.subplots(1, 3, figsize=(7, 2.9), width_ratios=(8, 3, 6))
for ax, (name, grid) in zip(axes, {"image": images[0], "filter": filter_, "answers": answer}.items(), strict=True):
    row, column = grid.abs().gt(0.05).nonzero(as_tuple=True)
    values = grid[row, column]
    shade = (values.abs() / grid.abs().max()).numpy()
    for sign, colour in ((1, "C0"), (-1, "C1")):
        one = (values.sign() == sign).numpy()
        if one.any():
            ax.scatter(column[one], row[one], s=105, marker="s", color=colour, alpha=shade[one], linewidths=0)
    h, w = grid.shape
    ax.set(xlim=(-0.7, w - 0.3), ylim=(h - 0.3, -0.7), aspect="equal", xticks=[], yticks=[], title=f"{name}, {h} × {w}")
    ax.grid(False)
axes[0].add_patch(plt.Rectangle((1.5, 0.5), 3, 3, fill=False, edgecolor=ink, linewidth=2))
axes[2].add_patch(plt.Rectangle((1.5, 0.5), 1, 1, fill=False, edgecolor=ink, linewidth=2))
fig
# --8<-- [end:diagram]


# --8<-- [start:models]
def small_cnn(models=1):
    """Two convolutions, each followed by pooling; several models side by side, each with a group of channels."""
    layers = [
        nn.Conv2d(models, 8 * models, 3, padding=1, groups=models), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8 * models, 16 * models, 3, padding=1, groups=models), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16 * models, 10 * models, 2, groups=models),
    ]  # fmt: skip
    return nn.Sequential(*layers).double()


def dense(models=1):
    """A network of the same inputs that knows no neighbours: a convolution as large as the image is a dense layer."""
    layers = [
        nn.Conv2d(models, 32 * models, 8, groups=models), nn.ReLU(),
        nn.Conv2d(32 * models, 10 * models, 1, groups=models),
    ]  # fmt: skip
    return nn.Sequential(*layers).double()


def scores(model, x, models):  # (images, models, 8, 8)
    return model(x).view(len(x), models, 10)


def train(make):
    torch.manual_seed(0)
    model = make(SEEDS)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(STEPS):
        batch = torch.randint(LEARNED, (32, SEEDS))
        loss = F.cross_entropy(scores(model, images[batch], SEEDS).flatten(0, 1), targets[batch].flatten())
        (SEEDS * loss).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


@torch.no_grad()
def accuracy(model, shift):
    """On the held-out digits, moved to the right by so many pixels: one number for each seed, sorted."""
    moved = F.pad(images[LEARNED:], (shift, 0))[..., :8]
    right = scores(model, moved[:, None].expand(-1, SEEDS, -1, -1), SEEDS).argmax(-1) == targets[LEARNED:, None]
    return right.double().mean(0).sort().values


trained = {"CNN": train(small_cnn), "dense": train(dense)}
found = {(name, shift): accuracy(model, shift) for name, model in trained.items() for shift in (0, 1)}
# --8<-- [end:models]

# --8<-- [start:accuracy]
import tempfile
from pathlib import Path

from safetensors.torch import save_file


def saved(module):
    """What the file of a module holds, in float32."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_file({name: tensor.float() for name, tensor in module.state_dict().items()}, path)
        return weigh.inspect(path)


contents = {"CNN": saved(small_cnn()), "dense": saved(dense())}
print("| Model | Accuracy | Moved | Parameters |\n| --- | ---: | ---: | ---: |")
for name in trained:
    runs = found[name, 0], found[name, 1]
    cells = [f"{one.median():.0%} ({100 * one.min():.0f}–{100 * one.max():.0f})" for one in runs]
    print(f"| {name} | {' | '.join(cells)} | {contents[name].parameters:,} |")
# --8<-- [end:accuracy]

# --8<-- [start:accuracy_claims]
assert contents["CNN"].parameters < contents["dense"].parameters
lost = {name: float(found[name, 0].median() - found[name, 1].median()) for name in trained}
assert min(lost.values()) > 0.2, "both suffer from a shift by one pixel, the CNN too"
assert abs(found["CNN", 0].median() - found["dense", 0].median()) < 0.05, "on these digits the dense one is no worse"
# --8<-- [end:accuracy_claims]

# --8<-- [start:layers]
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(compute):
    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops() // 2


cnn, x = small_cnn(), images[:1, None]
by_name = {tensor.name: tensor for tensor in contents["CNN"].named}
print("| Layer | Multiply-adds | Outputs | Parameters | Bytes |\n| --- | ---: | ---: | ---: | ---: |")
totals = {"weights": 0, "outputs": 0, "work": 0}
for number, layer in enumerate(cnn):
    given, x = x, layer(x)
    if isinstance(layer, nn.Conv2d):
        mine = [by_name[f"{number}.{part}"] for part in ("weight", "bias")]
        weights, size = sum(tensor.numel for tensor in mine), sum(tensor.nbytes for tensor in mine)
        work = multiply_adds(lambda layer=layer, given=given: layer(given))
        kernel = layer.kernel_size[0]
        assert work == x.shape[2] * x.shape[3] * layer.out_channels * layer.in_channels * kernel**2
        print(
            f"| {layer.out_channels} filters, {kernel} × {kernel} | {work:,} | {x.numel():,} | {weights:,} | {size:,} |"
        )
        for what, count in zip(totals, (weights, x.numel(), work), strict=True):
            totals[what] += count
# --8<-- [end:layers]


# --8<-- [start:pixels]
def work_at(side):
    """Multiply-adds of three convolutions over an image, counted without computing."""
    with torch.device("meta"):
        layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        )
        return multiply_adds(lambda: layers(torch.zeros(1, 3, side, side)))


costs = {side: work_at(side) for side in (32, 64, 128, 256, 512)}
# --8<-- [end:pixels]

# --8<-- [start:pixels_claims]
from math import log

exponent = log(costs[512] / costs[32]) / log(512**2 / 32**2)
assert costs[512] == 256 * costs[32], "the work is linear in the pixels"
with torch.device("meta"):
    one = small_cnn()
    forward_work = multiply_adds(lambda: one(torch.zeros(32, 1, 8, 8).double()))
    step_work = multiply_adds(lambda: one(torch.zeros(32, 1, 8, 8).double()).sum().backward())
tripled = step_work / forward_work
assert 2.5 < tripled <= 3
# --8<-- [end:pixels_claims]

# --8<-- [start:field]
STACKS = {
    "5 layers": [(3, 1, 1)] * 5,
    "20 layers": [(3, 1, 1)] * 20,
    "5 layers, stride 2": [(3, 2, 1)] * 5,
    "5 layers, dilation 1 to 16": [(3, 1, 2**layer) for layer in range(5)],
}  # kernel, stride, dilation


def by_formula(stack):
    """The receptive field: each layer widens it by its kernel, at the step that the layers before have come to."""
    field, step = 1, 1
    for kernel, stride, dilation in stack:
        field += (kernel - 1) * dilation * step
        step *= stride
    return field


def by_gradient(stack, seed, length=1025, channels=8):
    """Mean squared derivative of an output in the middle with respect to each place of a signal."""
    torch.manual_seed(seed)
    x = torch.zeros(1, channels, length, dtype=torch.float64, requires_grad=True)
    y = x
    for kernel, stride, dilation in stack:
        layer = nn.Conv1d(channels, channels, kernel, stride, dilation * (kernel // 2), dilation, bias=False)
        y = layer.double()(y)
    (moved,) = torch.autograd.grad(y[0, 0, y.shape[-1] // 2], x)
    return moved[0].square().mean(0)


def widths(moved):
    """Of the places that matter at all, how many there are, and how many of the strongest hold 95% of the sum."""
    places = moved.nonzero().flatten()
    strongest = moved.sort(descending=True).values.cumsum(0)
    return int(places[-1] - places[0]) + 1, int((strongest < 0.95 * moved.sum()).sum()) + 1


fields = {name: [widths(by_gradient(stack, seed)) for seed in range(SEEDS)] for name, stack in STACKS.items()}
# --8<-- [end:field]

# --8<-- [start:field_table]
print("| Stack, kernel 3 | Formula | By gradient | Holding 95% |\n| --- | ---: | ---: | ---: |")
effective = {}
for name, stack in STACKS.items():
    (reach,) = {reach for reach, _ in fields[name]}
    assert reach == by_formula(stack), "the formula holds exactly"
    inner = sorted(width for _, width in fields[name])
    effective[name] = inner[SEEDS // 2] / reach
    print(f"| {name} | {by_formula(stack)} | {reach} | {inner[SEEDS // 2]} ({inner[0]}–{inner[-1]}) |")
assert effective["20 layers"] < 0.5 < effective["5 layers"], (
    "the deeper, the smaller the share of the field that counts"
)
# --8<-- [end:field_table]

# --8<-- [start:shift]
torch.manual_seed(0)
signal = torch.rand(1, 4, 32, 32, dtype=torch.float64)


def breaks(layer, by):
    """How far shifting and then computing is from computing and then shifting, with the ends joined."""
    layer, stride = layer.double(), layer.stride if isinstance(layer.stride, int) else layer.stride[0]
    with torch.no_grad():
        first = layer(signal.roll(by, -1))
        then = layer(signal).roll(by // stride, -1)
        return float((first - then).abs().max() / then.abs().max())


LAYERS = {
    "convolution, ends joined": nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
    "convolution, zeros around": nn.Conv2d(4, 4, 3, padding=1),
    "pooling, stride 2": nn.MaxPool2d(2),
    "convolution, stride 2": nn.Conv2d(4, 4, 3, stride=2, padding=1, padding_mode="circular"),
}
shifts = {name: [breaks(layer, by) for by in (1, 2)] for name, layer in LAYERS.items()}
# --8<-- [end:shift]

# --8<-- [start:shift_table]
print("| Layer | Moved by 1 | by 2 |\n| --- | --- | --- |")
for name, (one, two) in shifts.items():
    print(f"| {name} | {' | '.join('equal' if gap < 1e-12 else f'{gap:.0%} off' for gap in (one, two))} |")
assert max(shifts["convolution, ends joined"]) < 1e-12, "a convolution commutes with a shift"
assert min(shifts["convolution, zeros around"]) > 0.01, "zeros around break it, at the edges"
for name in ("pooling, stride 2", "convolution, stride 2"):
    assert shifts[name][0] > 0.1 and shifts[name][1] < 1e-12, "a stride of 2 keeps shifts by 2 only"
# --8<-- [end:shift_table]

# --8<-- [start:known]
print("| Model | In convolutions | Parameters | As saved |\n| --- | ---: | ---: | ---: |")
for name in ("resnet-50", "convnext-tiny"):
    known = weigh.params(f"models/{name}")
    filters = sum(tensor.numel for tensor in known.distinct if len(tensor.shape) == 4)
    size = weigh.format_bytes(known.bytes_in_tensors)
    print(f"| {name} | {filters / known.parameters:.0%} | {known.parameters:,} | {size} |")
small = contents["CNN"]
filters = sum(tensor.numel for tensor in small.named if len(tensor.shape) == 4)
share = f"{filters / small.parameters:.0%}"
print(f"| the small one | {share} | {small.parameters:,} | {weigh.format_bytes(small.bytes_in_tensors)} |")
# --8<-- [end:known]

# --8<-- [start:frozen]
torch.manual_seed(0)
block = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8)).requires_grad_(False)
before = {name: tensor.clone() for name, tensor in block.state_dict().items()}
with torch.no_grad():
    for batch in images[:320, None].float().split(64):
        block(batch)
for name, tensor in block.state_dict().items():
    print(f"{name:22} {str(tensor.dtype)[6:]:8}", "same" if torch.equal(tensor, before[name]) else "changed")
# --8<-- [end:frozen]

# --8<-- [start:frozen_claims]
changed = {name for name, tensor in block.state_dict().items() if not torch.equal(tensor, before[name])}
assert changed == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
settled = 1 - 0.9**5
# --8<-- [end:frozen_claims]

# --8<-- [start:channels_last]
fast = nn.Sequential(nn.Conv2d(3, 8, 3)).to(memory_format=torch.channels_last)
try:
    saved(fast)
except ValueError as error:
    refusal = str(error).partition(" which ")[0]
    print(refusal)
# --8<-- [end:channels_last]

# --8<-- [start:groups]
for groups in (1, 16):
    with torch.device("meta"):
        layer, x = nn.Conv2d(16, 16, 3, padding=1, groups=groups), torch.zeros(1, 16, 8, 8, requires_grad=True)
        forward = multiply_adds(lambda layer=layer, x=x: layer(x))
        both = multiply_adds(lambda layer=layer, x=x: layer(x).sum().backward())
    print(f"groups {groups:2}: forward {forward:>7,}, with backward {both / forward:.0f} times as much")
# --8<-- [end:groups]

# --8<-- [start:groups_claims]
assert both == 18 * forward and "non contiguous" in refusal, (
    "a depthwise convolution is counted 18 times where 3 are done"
)
# --8<-- [end:groups_claims]

# --8<-- [start:own]
mine = [(7, 2, 1), (3, 2, 1), *[(3, 1, 1)] * 3]  # kernel, stride, dilation of each layer
print("receptive field:", by_formula(mine), "pixels")
# --8<-- [end:own]

# --8<-- [start:problems]
by_hand = 64 * (3 * 7 * 7)
as_dense = (224 * 224 * 3) * (112 * 112 * 64)
depth = next(layers for layers in range(1, 99) if by_formula([(3, 1, 1)] * layers) >= 101)
# --8<-- [end:problems]
