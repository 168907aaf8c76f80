"""The program of "Recurrent networks": what a state keeps, what it weighs, and what it costs to carry it along."""

# --8<-- [start:step]
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)


def lstm_step(x, h, c, W, U, b):
    """One step: x is new, h is the state that others see, c the one that is kept."""
    i, f, g, o = (W @ x + U @ h + b).chunk(4)  # PyTorch's order
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()  # forget some, add some
    return o.sigmoid() * c.tanh(), c


# --8<-- [end:step]

# --8<-- [start:step_claims]
torch.manual_seed(0)
lstm, sequence = nn.LSTM(8, 16).double(), torch.rand(10, 8, dtype=torch.float64)
W, U, b_i, b_h = lstm.state_dict().values()
h = c = torch.zeros(16, dtype=torch.float64)
for x in sequence:
    h, c = lstm_step(x, h, c, W, U, b_i + b_h)
with torch.no_grad():
    outputs, (last, kept) = lstm(sequence)
assert torch.allclose(h, last[0], atol=1e-12) and torch.allclose(c, kept[0], atol=1e-12), "it is PyTorch's LSTM"
folded = nn.LSTM(8, 16).double()
folded.load_state_dict(lstm.state_dict() | {"bias_ih_l0": b_i + b_h, "bias_hh_l0": torch.zeros_like(b_h)})
with torch.no_grad():
    assert torch.allclose(folded(sequence)[0], outputs, atol=1e-12), "one of the two biases is redundant"
# --8<-- [end:step_claims]

# --8<-- [start:diagram]
import matplotlib.pyplot as plt

edge = plt.rcParams["axes.edgecolor"]
fig, ax = plt.subplots(figsize=(7, 2.6))
for t, word in enumerate(("Is", "this", "a", "dagger")):
    frame = {"boxstyle": "round,pad=0.45", "facecolor": "none", "edgecolor": edge}
    ax.text(t, 1, "W, U, b", ha="center", va="center", fontsize=11, bbox=frame)
    ax.text(t, 0, word, ha="center", va="center", fontsize=12)
    ax.text(t, 2, "next?", ha="center", va="center", fontsize=11)
    ax.annotate("", (t, 0.72), (t, 0.18), arrowprops={"arrowstyle": "->", "color": edge})
    ax.annotate("", (t, 1.82), (t, 1.3), arrowprops={"arrowstyle": "->", "color": edge})
    arrow = {"arrowstyle": "->", "color": "#17756a", "linewidth": 2.5}
    ax.annotate("", (t + 0.68, 1), (t + 0.33, 1), arrowprops=arrow)
    ax.text(t + 0.5, 1.22, "state", ha="center", fontsize=10)
ax.set(xlim=(-0.5, 4), ylim=(-0.3, 2.3))
ax.axis("off")
fig
# --8<-- [end:diagram]

# --8<-- [start:weights]
import tempfile
from pathlib import Path

from safetensors.torch import save_file

import weigh

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
D, H = 64, 128


def saved(module):
    """What the file of a module holds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_file(module.state_dict(), path)
        return weigh.inspect(path)


files = {name: saved(getattr(nn, name)(D, H)) for name in GATES}
# --8<-- [end:weights]

# --8<-- [start:weights_table]
print("| Layer | Gates G | Predicted | In the file | Bytes |\n| --- | ---: | ---: | ---: | ---: |")
for name, gates in GATES.items():
    predicted = gates * H * (D + H + 2)
    assert predicted == files[name].parameters
    print(f"| {name} | {gates} | {predicted:,} | {files[name].parameters:,} | {files[name].bytes_in_tensors:,} |")
by_part = {tensor.name: tensor for tensor in files["LSTM"].named}
print("\n| Of the LSTM | Shape | Parameters | Bytes |\n| --- | --- | ---: | ---: |")
for part, tensor in by_part.items():
    shape = " × ".join(map(str, tensor.shape))
    print(f"| `{part}` | {shape} | {tensor.numel:,} | {tensor.nbytes:,} |")
# --8<-- [end:weights_table]

# --8<-- [start:forget]
SEEDS, LONGEST = 5, 30


def sensitivity(kind, seed, forget=None):
    """How much the state at the end moves with the state of k steps before: mean squared derivative, by lag."""
    torch.manual_seed(seed)
    layer = getattr(nn, kind)(8, 32).double()
    if forget is not None:
        with torch.no_grad():
            for bias in (layer.bias_ih_l0, layer.bias_hh_l0):
                bias[32:64] = forget / 2  # PyTorch adds the two
    x = torch.rand(LONGEST, 8, dtype=torch.float64) * 2 - 1
    state = torch.zeros(1, 32, dtype=torch.float64)
    state = (state, state) if kind == "LSTM" else state
    with torch.no_grad():
        for one in x:  # some past, so that the state is a usual one
            state = layer(one[None], state)[1]
    start = tuple(part.clone().requires_grad_() for part in state) if kind == "LSTM" else state.clone().requires_grad_()
    kept, now, found = (start[1] if kind == "LSTM" else start), start, []
    direction = torch.randint(2, (32,), dtype=torch.float64) * 2 - 1
    for one in x:
        now = layer(one[None], now)[1]
        end = now[1] if kind == "LSTM" else now
        (moved,) = torch.autograd.grad((end[0] * direction).sum(), kept, retain_graph=True)
        found.append(float(moved.square().mean().sqrt()))
    return torch.tensor(found)


ways = {"RNN": ("RNN", None), "GRU": ("GRU", None), "LSTM": ("LSTM", None), "LSTM, forget bias 3": ("LSTM", 3)}
decays = {
    name: torch.stack([sensitivity(kind, seed, bias) for seed in range(SEEDS)]) for name, (kind, bias) in ways.items()
}
# --8<-- [end:forget]

# --8<-- [start:forget_claims]
from math import exp, log


def half_life(curve):
    """Steps until half is left, from the slope between lags 5 and 20."""
    return log(2) * 15 / float((curve[4] / curve[19]).log())


lives = {name: sorted(half_life(run) for run in runs) for name, runs in decays.items()}
middle = {name: found[SEEDS // 2] for name, found in lives.items()}
assert middle["RNN"] < 2 and middle["GRU"] < 3 and middle["LSTM"] < 3, "untrained, all three forget in a few steps"
assert middle["LSTM, forget bias 3"] > 4 * middle["LSTM"], "a forget bias makes it remember"
by_formula = log(2) / log(1 + exp(-3))
decay_words = (
    "What is left of a state after k steps, logarithmic, for four kinds of layer. Half is gone after "
    + ", ".join(f"{life:.1f} steps ({name})" for name, life in middle.items())
    + "."
)
# --8<-- [end:forget_claims]

# --8<-- [start:forget_plot]
fig, ax = plt.subplots()
for name, runs in decays.items():
    ax.plot(range(1, LONGEST + 1), runs.median(0).values, label=name)
ax.set(yscale="log", xlabel="steps later", ylabel="derivative of the state", ylim=(1e-10, 4))
ax.legend()
fig
# --8<-- [end:forget_plot]


# --8<-- [start:side_by_side]
class Recurrent(nn.Module):
    """Several models of one kind side by side: all parameters have a first dimension more."""

    def __init__(self, kind, models, inputs, width, classes, forget=0.0):
        super().__init__()
        self.kind, size = kind, GATES[kind] * width

        def uniform(*shape):
            return nn.Parameter((2 * torch.rand(models, *shape, dtype=torch.float64) - 1) / width**0.5)

        self.W, self.U, self.head = uniform(inputs, size), uniform(width, size), uniform(width, classes)
        self.b, self.c = nn.Parameter(torch.zeros(models, 1, size).double()), uniform(1, size)
        if kind == "LSTM":
            self.b.data[..., width : 2 * width] = forget

    def forward(self, x):  # (models, batch, T, inputs)
        given = torch.baddbmm(self.b, x.flatten(1, 2), self.W).unflatten(1, x.shape[1:3])
        h = kept = x.new_zeros(*x.shape[:2], self.U.shape[1])
        for new in given.unbind(2):
            if self.kind == "GRU":
                (r, z, n), (r_h, z_h, n_h) = new.chunk(3, -1), torch.baddbmm(self.c, h, self.U).chunk(3, -1)
                z = (z + z_h).sigmoid()
                h = (1 - z) * (n + (r + r_h).sigmoid() * n_h).tanh() + z * h
                continue
            now = torch.baddbmm(new, h, self.U)
            if self.kind == "RNN":
                h = now.tanh()
            else:
                i, f, g, o = now.chunk(4, -1)
                kept = f.sigmoid() * kept + i.sigmoid() * g.tanh()
                h = o.sigmoid() * kept.tanh()
        return h @ self.head


def train(models, draw, steps, rate=1e-2):
    optimizer = torch.optim.AdamW(models.parameters(), lr=rate)
    for _ in range(steps):
        inputs, answers = draw()
        scores = models(inputs)
        (len(scores) * F.cross_entropy(scores.flatten(0, 1), answers.flatten())).backward()
        nn.utils.clip_grad_norm_(models.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()


# --8<-- [end:side_by_side]

# --8<-- [start:recall]
LAGS, SYMBOLS = (2, 12), 4


def recall(lag, models=SEEDS, batch=32):
    """A symbol, then noise for so many steps; the answer is the symbol."""
    answers = torch.randint(SYMBOLS, (models, batch))
    noise = torch.randint(SYMBOLS, (models, batch, lag)) + SYMBOLS
    tokens = torch.cat((answers[..., None], noise), -1)
    return F.one_hot(tokens, 2 * SYMBOLS).double(), answers


recalled = {}
for lag in LAGS:
    for name, (kind, bias) in ways.items():
        torch.manual_seed(0)
        models = Recurrent(kind, SEEDS, 2 * SYMBOLS, 16, SYMBOLS, bias or 0.0)
        train(models, lambda lag=lag: recall(lag), 120)
        with torch.no_grad():
            inputs, answers = recall(lag, batch=250)
            recalled[lag, name] = (models(inputs).argmax(-1) == answers).double().mean(1).sort().values
# --8<-- [end:recall]

# --8<-- [start:recall_table]
print("| Layer | Lag 12 | Lag 2 | Half gone after |\n| --- | ---: | ---: | ---: |")
for name in ways:
    runs = [recalled[lag, name] for lag in (12, 2)]
    cells = [f"{one.median():.0%} ({100 * one.min():.0f}–{100 * one.max():.0f})" for one in runs]
    print(f"| {name} | {' | '.join(cells)} | {middle[name]:.1f} steps |")
# --8<-- [end:recall_table]

# --8<-- [start:digits]
from sklearn.datasets import load_digits

digits = load_digits()
images, targets = torch.tensor(digits.images) / 16, torch.tensor(digits.target)
LEARNED = 1200


def rows():
    chosen = torch.randint(LEARNED, (SEEDS, 32))
    return images[chosen], targets[chosen]


read = {}
for kind in GATES:
    torch.manual_seed(0)
    models = Recurrent(kind, SEEDS, 8, 32, 10)
    train(models, rows, 150)
    with torch.no_grad():
        answers = models(images[LEARNED:].expand(SEEDS, -1, -1, -1)).argmax(-1)
    read[kind] = (answers == targets[LEARNED:]).double().mean(1).sort().values
# --8<-- [end:digits]

# --8<-- [start:digits_table]
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(compute):
    with FlopCounterMode(display=False) as counter:
        compute()
    return counter.get_total_flops() // 2


print("| Layer | Accuracy | Five seeds | Parameters | Work |\n| --- | ---: | --- | ---: | ---: |")
for kind, runs in read.items():
    size = saved(getattr(nn, kind)(8, 32)).parameters
    with torch.device("meta"):
        work = multiply_adds(lambda kind=kind: getattr(nn, kind)(8, 32)(torch.zeros(8, 8)))
    assert work == 8 * GATES[kind] * 32 * (8 + 32)
    print(f"| {kind} | {runs.median():.1%} | {runs.min():.1%} to {runs.max():.1%} | {size:,} | {work:,} |")
flat = [float(runs.median()) for runs in read.values()]
assert max(flat) - min(flat) < 0.06 and min(flat) > 0.75, "over eight steps gates buy nothing"
lstm_far, kept_far = recalled[12, "LSTM"], recalled[12, "LSTM, forget bias 3"]
assert lstm_far.max() < 0.95 < kept_far.min(), "over twelve steps the forget bias decides"
assert min(recalled[12, name].median() for name in ("RNN", "GRU")) > 0.9, "RNN and GRU get there on most seeds"
assert all(recalled[2, name].median() > 0.95 for name in ways), "at lag 2 all recall"
# --8<-- [end:digits_table]

# --8<-- [start:carry]
quill = weigh.params("models/quill")
with torch.device("meta"):  # shapes alone: nothing is computed
    network = nn.LSTM(192, 192, 4)  # as wide and as deep as Quill


def carried(T):
    """Multiply-adds for T tokens, and the bytes kept for the next one."""
    tokens = torch.zeros(T, 192, device="meta")
    with FlopCounterMode(display=False) as counter:
        _, states = network(tokens)
    return counter.get_total_flops() // 2, sum(state.nbytes for state in states)


lengths = [4, 16, 64, 128]
costs = {T: carried(T) for T in lengths}
# --8<-- [end:carry]

# --8<-- [start:carry_table]
print("| T | State | Quill's KV cache | Multiply-adds | Steps in a row |\n| ---: | ---: | ---: | ---: | ---: |")
caches = {}
for T, (work, state) in costs.items():
    caches[T] = weigh.inference(quill, context=T, kv_dtype="float32").kv_cache_bytes
    print(f"| {T:,} | {state:,} | {caches[T]:,} | {work / 1e6:,.1f} million | {T:,} |")
# --8<-- [end:carry_table]

# --8<-- [start:carry_claims]
states = {state for _, state in costs.values()}
state_bytes = costs[4][1]
per_token = caches[4] // 4
assert states == {4 * 2 * 192 * 4}, "two vectors of 192 in each of 4 layers, at any length"
assert all(work == T * 4 * 4 * 192 * (192 + 192) for T, (work, _) in costs.items()), "the work is linear"
exponent = log(costs[128][0] / costs[4][0]) / log(128 / 4)
assert abs(exponent - 1) < 1e-9
assert caches[4] > state_bytes, "four tokens of cache are more than the state"
one = torch.zeros(2, 16, 192, device="meta")
with torch.device("meta"):
    batch = nn.LSTM(192, 192, 4, batch_first=True)
    forward_work = multiply_adds(lambda: batch(one))
    trained_work = multiply_adds(lambda: batch(one.requires_grad_())[0].sum().backward())
tripled = trained_work / forward_work
assert 2.9 < tripled <= 3
# --8<-- [end:carry_claims]

# --8<-- [start:known]
with torch.device("meta"):

    def word_model(units):
        """A two-layer language model over 10,000 words, as Zaremba and others describe it."""
        return nn.ModuleList([nn.Embedding(10_000, units), nn.LSTM(units, units, 2), nn.Linear(units, 10_000)])

    one_way = nn.LSTM(512, 4096, 2, proj_size=512)
    KNOWN = {
        "PTB medium (2014)": (word_model(650), 2 * 2 * 650),
        "PTB large (2014)": (word_model(1500), 2 * 2 * 1500),
        "ELMo's LSTMs (2018)": (nn.ModuleList([one_way, nn.LSTM(512, 4096, 2, proj_size=512)]), 2 * 2 * (512 + 4096)),
    }
print("| Model | Parameters | State, bytes | float32 |\n| --- | ---: | ---: | ---: |")
counted = {name: sum(tensor.numel() for tensor in model.parameters()) for name, (model, _) in KNOWN.items()}
for name, (_, numbers) in KNOWN.items():
    print(f"| {name} | {counted[name]:,} | {4 * numbers:,} | {weigh.format_bytes(4 * counted[name])} |")
for name in ("mamba-130m", "mamba-2.8b"):
    heir = weigh.params(f"models/{name}")
    short, long = (weigh.inference(heir, context=T).kv_cache_bytes for T in (1, 100_000))
    assert short == long, "a state-space model has a state, too"
    print(f"| {name} | {heir.parameters:,} | {long:,} | {weigh.format_bytes(heir.bytes_as('float32'))} |")
assert 19.7e6 < counted["PTB medium (2014)"] < 19.9e6 and 65.9e6 < counted["PTB large (2014)"] < 66.1e6
# --8<-- [end:known]

# --8<-- [start:order]
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

torch.manual_seed(0)
ORDERS = {
    "LSTM": {"as stored": "ifgo", "in ONNX's order": "iofg"},
    "GRU": {"as stored": "rzn", "in ONNX's order": "zrn"},
}
x = torch.rand(20, 1, 8)


def in_onnx(kind, layer, order, **attributes):
    """The outputs of an ONNX node that was given PyTorch's tensors, their gates in an order."""
    stored = ORDERS[kind]["as stored"]
    parts = [tensor.detach().chunk(len(stored)) for tensor in layer.parameters()]
    W, R, b, c = (torch.cat([part[stored.index(gate)] for gate in order]).numpy() for part in parts)
    given = {"W": W[None], "R": R[None], "B": np.concatenate((b, c))[None]}
    node = helper.make_node(kind, ["x", *given], ["y"], hidden_size=16, **attributes)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", x.shape), ("y", None))
    ]
    weights = [numpy_helper.from_array(array, name) for name, array in given.items()]
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return torch.from_numpy(ReferenceEvaluator(model).run(None, {"x": x.numpy()})[0][:, 0])


gaps = {}
for kind, orders in ORDERS.items():
    layer = getattr(nn, kind)(8, 16)
    right = layer(x)[0].detach()
    for way, order in orders.items():
        for reset in (0, 1) if kind == "GRU" else (None,):
            attributes = {} if reset is None else {"linear_before_reset": reset}
            gaps[kind, way, reset] = float((in_onnx(kind, layer, order, **attributes) - right).abs().max())
# --8<-- [end:order]

# --8<-- [start:order_table]
print("| Layer | Same answer | Gates | `linear_before_reset` |\n| --- | --- | --- | --- |")
for (kind, way, reset), gap in gaps.items():
    default = {None: "", 0: "0, the default", 1: "1"}[reset]
    print(f"| {kind} | {'yes' if gap < 1e-5 else 'no'} | {way} | {default} |")
alike = {key for key, gap in gaps.items() if gap < 1e-5}
assert alike == {("LSTM", "in ONNX's order", None), ("GRU", "in ONNX's order", 1)}
assert min(gap for key, gap in gaps.items() if key not in alike) > 0.01
# --8<-- [end:order_table]

# --8<-- [start:blind]
for kind in GATES:
    for dtype in (torch.float64, torch.float32):
        layer, x = getattr(nn, kind)(8, 64).to(dtype), torch.zeros(10, 8, dtype=dtype)
        found = multiply_adds(lambda layer=layer, x=x: layer(x))
        print(f"{kind:5} {dtype!s:14} {found:>8,}")
# --8<-- [end:blind]

# --8<-- [start:blind_claims]
seen = {dtype: multiply_adds(lambda dtype=dtype: nn.LSTM(8, 64).to(dtype)(torch.zeros(10, 8, dtype=dtype)))
        for dtype in (torch.float32, torch.float64)}  # fmt: skip
assert seen[torch.float64] == 10 * 4 * 64 * 72
# --8<-- [end:blind_claims]

# --8<-- [start:own]
mine = nn.GRU(256, 512, num_layers=2, bidirectional=True)
contents = saved(mine)
print(f"{contents.parameters:,} parameters, {contents.bytes_in_tensors:,} bytes")
_, state = mine(torch.zeros(1000, 256))
print(f"state after 1,000 steps: {state.nbytes:,} bytes")
# --8<-- [end:own]

# --8<-- [start:problems]
by_hand = 4 * 650 * (650 + 650 + 2)
assert by_hand == saved(nn.LSTM(650, 650)).parameters
equal_tokens = 4 * 2 * 2 * 650 / per_token
redundant = 4 * 650
# --8<-- [end:problems]
