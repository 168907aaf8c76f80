"""The program of "Quill, a language model on one page": its parts, size, training, quality and verse."""

# --8<-- [start:read]
import torch

from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
torch.set_grad_enabled(False)  # but for one demonstration

model = Quill.read("models/quill")
bpe = tokenizer.read("models/quill")
# --8<-- [end:read]

# --8<-- [start:ask]
ids = torch.tensor([bpe.encode("Is this a dagger which I see before").ids])
logits, _ = model(ids)

likely = logits[0, -1].softmax(-1).topk(6)
for probability, id in zip(likely.values, likely.indices, strict=True):
    print(f"{probability:6.1%} {bpe.decode([int(id)])!r}")
# --8<-- [end:ask]

# --8<-- [start:ask_claims]
B, T = ids.shape
D, V = model.config.hidden_size, model.config.vocab_size
L, context = model.config.num_hidden_layers, model.config.max_position_embeddings
assert logits.shape == (B, T, V), "each token gets a logit for each token that may follow it"
spoken = bpe.encode(" me").ids[0]
rank = int((logits[0, -1] > logits[0, -1, spoken]).sum()) + 1
assert rank <= 20, "Macbeth's next word is among the likely ones"
# --8<-- [end:ask_claims]

# --8<-- [start:show]
import inspect
import textwrap

from quill import model as definition


def show(*parts):
    """Print the source of classes and functions as blocks of Markdown."""
    for part in parts:
        print(f'```python title="{part.__qualname__}"')
        print(textwrap.dedent(inspect.getsource(part)).rstrip(), "```", sep="\n", end="\n\n")


lines = len(inspect.getsource(definition).splitlines())
# --8<-- [end:show]

# --8<-- [start:source_ends]
show(definition.Quill.forward, definition.Body.forward)
# --8<-- [end:source_ends]

# --8<-- [start:source_layer]
show(definition.Layer.forward)
# --8<-- [end:source_layer]

# --8<-- [start:source_norm]
show(definition.RMSNorm.forward)
# --8<-- [end:source_norm]

# --8<-- [start:source_attention]
show(definition.Attention)
# --8<-- [end:source_attention]

# --8<-- [start:attention_claims]
H, K = model.config.num_attention_heads, model.config.num_key_value_heads
E = D // H
assert H * E == D and H % K == 0, "each key-value head serves the same number of query heads"
# --8<-- [end:attention_claims]

# --8<-- [start:source_rotate]
show(definition.rotate)
# --8<-- [end:source_rotate]

# --8<-- [start:rotate]
torch.manual_seed(0)
query, key = torch.randn(2, E).unbind()


def product(at, other):
    """q · k, with the query at one place and the key at the other."""
    cos, sin = model.model.angles(0, context, query.device)
    q = definition.rotate(query, cos[at], sin[at])
    return float(q @ definition.rotate(key, cos[other], sin[other]))


print(f"5 apart: {product(5, 0):.4f} {product(205, 200):.4f}")
print(f"6 apart: {product(6, 0):.4f} {product(206, 200):.4f}")
# --8<-- [end:rotate]

# --8<-- [start:rotate_claims]
assert abs(product(5, 0) - product(205, 200)) < 1e-3, "the product depends on the distance alone"
assert abs(product(5, 0) - product(6, 0)) > 1e-2, "and it depends on that"
# --8<-- [end:rotate_claims]

# --8<-- [start:source_mlp]
show(definition.MLP.forward)
# --8<-- [end:source_mlp]

# --8<-- [start:count]
from collections import Counter

import weigh

PARTS = {
    "embed_tokens": "embedding and head",
    "q_proj": "queries", "o_proj": "output of attention",
    "k_proj": "keys", "v_proj": "values",
    "gate_proj": "gates", "up_proj": "way up", "down_proj": "way down",
    "norm": "norms",
}  # fmt: skip
sizes = Counter()
for name, weight in model.named_parameters():
    sizes[next(part for key, part in PARTS.items() if key in name)] += weight.numel()

predicted = weigh.params("models/quill")
print(f"counted: {sizes.total():,}; from the config: {predicted.parameters:,}")
# --8<-- [end:count]

# --8<-- [start:count_table]
hidden = model.config.intermediate_size
rows = {
    ("embedding and head",): ("V · D", V * D),
    ("queries", "output of attention"): ("L · D · H · E each", L * D * H * E),
    ("keys", "values"): ("L · D · K · E each", L * D * K * E),
    ("gates", "way up", "way down"): ("L · D · F each", L * D * hidden),
    ("norms",): ("(2 · L + 1) · D", (2 * L + 1) * D),
}
print("| Part | Size | Parameters | Share |\n| --- | --- | ---: | ---: |")
for parts, (formula, size) in rows.items():
    assert all(sizes[part] == size for part in parts), parts
    total = size * len(parts)
    print(f"| {', '.join(parts).capitalize()} | {formula} | {total:,} | {total / sizes.total():.1%} |")
print(f"| **All** | | **{sizes.total():,}** | |")

file = weigh.inspect("models/quill/model.safetensors")
assert sizes.total() == predicted.parameters == file.parameters, "three counts agree"
assert predicted.bytes_in_tensors == file.bytes_in_tensors
seven = weigh.params("models/llama-2-7b")
assert seven.model_type == predicted.model_type == "llama", "the architecture is Llama's"
# --8<-- [end:count_table]

# --8<-- [start:causal]
changed = ids.clone()
changed[0, 6] = bpe.encode(" that").ids[0]  # in place of "which"
moved = (model(changed)[0] - logits)[0].abs().amax(-1)

for id, by in zip(changed[0].tolist(), moved, strict=True):
    print(f"{bpe.decode([id]):>12} {by:6.2f}")
# --8<-- [end:causal]

# --8<-- [start:causal_claims]
assert bpe.decode([int(ids[0, 6])]) == " which" and len(bpe.encode(" that").ids) == 1
assert bool((moved[:6] == 0).all()), "no token before it moves, to the last bit"
assert bool((moved[6:] > 0).all()), "it and all after it do"
start, cache = model(ids[:, :4])
rest, cache = model(ids[:, 4:], cache)
cache_error = float((torch.cat((start, rest), dim=1) - logits).abs().max())
assert cache_error < 1e-4, "with a cache the logits are the same"
# --8<-- [end:causal_claims]

# --8<-- [start:training]
import json
from pathlib import Path

from quill import training
from quill.training import Plan

run = json.loads(Path("models/quill/training.json").read_text())
curve = run["history"]["model"]
plan = Plan(steps=curve[-1]["step"])
read = plan.steps * plan.batch * context
# --8<-- [end:training]

# --8<-- [start:source_training]
show(training.batch_of, training.train)
# --8<-- [end:source_training]

# --8<-- [start:curves]
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
steps = [point["step"] for point in curve]
ax.plot(steps, [point["loss"] for point in curve], label="the text it learns from")
ax.plot(steps, [point["validation"] for point in curve], label="Twelfth Night, which it does not")
ax.axhline(run["losses"]["uniform"], color="C5", linestyle=":", linewidth=1)
ax.annotate("every token alike", (steps[-1], run["losses"]["uniform"]), ha="right", va="top", xytext=(0, -3),
            textcoords="offset points")  # fmt: skip
ax.set(xlabel="step", ylabel="loss, nats per token", ylim=(2.5, 8))
ax.legend(loc="center right")

first, last = curve[0], curve[-1]
in_words = (
    f"Loss over {last['step']:,} steps. On the training text it falls from {first['loss']:.2f}, the mean of the first "
    f"{first['step']} steps, to {last['loss']:.2f}; on Twelfth Night from {first['validation']:.2f} to "
    f"{last['validation']:.2f}."
)
gap = last["validation"] - last["loss"]
late = abs(last["validation"] - next(p["validation"] for p in curve if p["step"] >= 0.9 * last["step"]))
best = min(point["validation"] for point in curve)
assert last["validation"] < first["validation"] < run["losses"]["uniform"]
assert last["validation"] - best < 0.05, "the last look is about the best one: it was not trained too long"
assert gap > 0, "it does better on what it learns from"
fig
# --8<-- [end:curves]

# --8<-- [start:resume]
import tempfile

from quill.model import Config
from quill.training import train


def stop_at_four(step, loss, validation):
    """Called after each look at the validation text: fails at the second."""
    if step == 4:
        raise KeyboardInterrupt


def fresh():
    torch.manual_seed(0)
    return Quill(Config(V, 16, 32, 1, 2, 1, max_position_embeddings=8))


# --8<-- [end:resume]

# --8<-- [start:resumed]
words = ids[0].repeat(10)
brief = Plan(steps=8, batch=4, warmup=2, every=2)
torch.set_grad_enabled(True)
with tempfile.TemporaryDirectory() as folder:
    train(through := fresh(), words, words, brief, Path(folder, "through.pt"))
    try:
        train(fresh(), words, words, brief, Path(folder, "stopped.pt"), stop_at_four)
    except KeyboardInterrupt:
        train(resumed := fresh(), words, words, brief, Path(folder, "stopped.pt"))
torch.set_grad_enabled(False)

pairs = zip(through.parameters(), resumed.parameters(), strict=True)
same = [torch.equal(a, b) for a, b in pairs]
print(f"{sum(same)} of {len(same)} tensors are equal, bit for bit")
# --8<-- [end:resumed]

# --8<-- [start:resume_claims]
assert all(same), "a resumed run ends with the weights of one that ran through"
# --8<-- [end:resume_claims]

# --8<-- [start:measure]
import math

from quill.evaluation import mean_loss

play = Path("models/quill/held-out.txt").read_text(encoding="utf-8")
play_ids = torch.tensor(tokenizer.encode_all(bpe, [play]))
loss = mean_loss(model, play_ids)
per_byte = loss * (len(play_ids) - 1) / math.log(2) / len(play.encode())

print(f"loss {loss:.4f} nats per token, perplexity {math.exp(loss):.2f}")
print(f"{per_byte:.3f} bits per byte")
# --8<-- [end:measure]

# --8<-- [start:measure_claims]
losses = run["losses"]
assert abs(loss - losses["quill"]) < 1e-3, "it is the loss that the training run measured"
assert list(losses) == ["uniform", "unigram", "trigram", "draft", "quill"]
assert all(losses["quill"] < losses[name] for name in ("uniform", "unigram", "trigram", "draft")), "Quill is the best"
bytes_per_token = len(play.encode()) / len(play_ids)
# --8<-- [end:measure_claims]

# --8<-- [start:baselines]
KNOWS = {
    "uniform": "which tokens there are",
    "unigram": "how often each occurs",
    "trigram": "which follow which two, as counted in the same text",
    "draft": "what a smaller Quill has learned, of `models/quill-draft`",
    "quill": "what Quill has",
}
print("| Model | It knows | Loss | Perplexity | Bits per byte |\n| --- | --- | ---: | ---: | ---: |")
for name, knows in KNOWS.items():
    bits = losses[name] * (len(play_ids) - 1) / math.log(2) / len(play.encode())
    print(f"| {name.capitalize()} | {knows} | {losses[name]:.3f} | {math.exp(losses[name]):,.1f} | {bits:.2f} |")
# --8<-- [end:baselines]

# --8<-- [start:context]
from torch.nn.functional import cross_entropy


def loss_by_place(tokens):
    """The mean loss at each place of windows of so many tokens."""
    fit = (len(play_ids) - 1) // tokens * tokens
    inputs = play_ids[:fit].view(-1, tokens)
    targets = play_ids[1 : fit + 1].view(-1, tokens)
    found = [
        cross_entropy(model(x)[0].flatten(0, 1), y.flatten(), reduction="none").view(y.shape)
        for x, y in zip(inputs.split(32), targets.split(32), strict=True)
    ]
    return torch.cat(found).mean(0)


short, medium, long = (loss_by_place(n) for n in (16, context // 2, 2 * context))
losses_by_place = torch.cat((short, medium[16:], long[context // 2 :]))
# --8<-- [end:context]

# --8<-- [start:context_plot]
from itertools import pairwise

edges = [1, 2, 3, 5, 9, 17, 33, 65, 129, 257, 513]  # a token at place i has i tokens to go by, itself included
by_place = [float(losses_by_place[i - 1 : j - 1].mean()) for i, j in pairwise(edges)]
fig, ax = plt.subplots()
ax.stairs(by_place, edges, baseline=None, color="C0", linewidth=2, label="Quill")
ax.axhline(losses["trigram"], color="C1", linestyle="--", label="Trigram")
ax.axvline(context + 1, color="C5", linestyle=":", linewidth=1)
ax.annotate("end of training's windows", (context, by_place[0]), ha="right", va="top", xytext=(-4, 0),
            textcoords="offset points")  # fmt: skip
ax.set(xscale="log", xlabel="tokens to go by", ylabel="loss, nats per token")
ax.set_xticks(ticks := [1, 2, 4, 8, 16, 32, 64, 128, 256], [str(tick) for tick in ticks])
ax.set_xticks([], minor=True)
ax.legend(loc="lower left")

two, best_place, beyond = by_place[1], min(by_place[:-1]), by_place[-1]
in_words_context = (
    f"Quill's loss by the tokens that it has to go by: {by_place[0]:.2f} with one, {two:.2f} with two, "
    f"{by_place[-2]:.2f} with 129 to 256, and {beyond:.2f} with more, where it was never trained. The trigram's is "
    f"{losses['trigram']:.2f}."
)
assert by_place[0] > two > by_place[3] > best_place, "it uses what is before"
assert abs(two - losses["trigram"]) < 0.15, "with two tokens to go by it does about as well as the trigram"
assert by_place[2] < losses["trigram"], "with a few more it does better"
assert beyond > by_place[-2] + 0.1, "beyond the windows of its training it gets worse"
fig
# --8<-- [end:context_plot]

# --8<-- [start:verse]
settings = json.loads(Path("models/quill/generation_config.json").read_text())
begun = "MACBETH.\nTo-morrow, and to-morrow,"

verse = weigh.generate(
    lambda ids: model(ids[None])[0][0, -1],
    bpe.encode(begun).ids,
    {"temperature": settings["temperature"], "top_p": settings["top_p"]},
    max_tokens=120,
    seed=0,
    eos={settings["eos_token_id"]},
    decode=bpe.decode,
)
print(begun + verse.text)
# --8<-- [end:verse]


# --8<-- [start:other]
def bits_per_byte(text):
    ids = torch.tensor(tokenizer.encode_all(bpe, [text]))
    return mean_loss(model, ids) * (len(ids) - 1) / math.log(2) / len(text.encode())


licence = bits_per_byte(Path("LICENSE").read_text(encoding="utf-8"))
own_source = bits_per_byte(inspect.getsource(definition)[:3000])
assert licence > 1.3 * per_byte and own_source > 2 * per_byte, "it breaks down on other text"
# --8<-- [end:other]

# --8<-- [start:command]
from click.testing import CliRunner

from weigh.cli import weigh as command

print("$ weigh params models/quill")
print(CliRunner().invoke(command, ["params", "models/quill"]).output.rstrip())
# --8<-- [end:command]

# --8<-- [start:problems]
untied = sizes.total() + V * D
full_heads = sizes.total() + 2 * L * D * (H - K) * E
cache_bytes = 2 * L * K * E * context * 4
kept = sum(tensor.nbytes for pair in model(torch.zeros(1, context, dtype=torch.long))[1] for tensor in pair)
assert kept == cache_bytes, "the cache has the bytes that its formula says"
# --8<-- [end:problems]
