"""The program of "KV cache": what Quill keeps of the tokens so far, what that saves, costs and allows."""

# --8<-- [start:read]
from pathlib import Path

import torch

import weigh
from quill import tokenizer as bpe
from quill.model import Quill

torch.set_num_threads(1)
torch.set_grad_enabled(False)
model = Quill.read("models/quill")
tokenizer = bpe.read("models/quill")
play = Path("models/quill/held-out.txt").read_text("utf-8")
text = torch.tensor([tokenizer.encode(play).ids])
limit = model.config.max_position_embeddings
# --8<-- [end:read]

# --8<-- [start:generate]
passed = []  # the tokens of each call
model.model.embed_tokens.register_forward_hook(
    lambda layer, ids, out: passed.append(ids[0].shape[1])  # of (1, T)
)


def continued(ids, steps, cached):
    """The most probable next token, again and again."""
    cache, scores = None, []
    for _ in range(steps):
        new = ids[:, cache[0][0].shape[2] :] if cache else ids
        logits, kept = model(new, cache)
        cache = kept if cached else None
        scores.append(logits[:, -1])
        ids = torch.cat((ids, logits[:, -1:].argmax(-1)), 1)
    return ids, torch.cat(scores)


start = torch.tensor([[tokenizer.token_to_id(bpe.END)]])
# --8<-- [end:generate]

# --8<-- [start:both]
N = 200
runs, work = {}, {}
for cached in (False, True):
    passed.clear()
    runs[cached] = continued(start, N, cached)
    work[cached] = sum(passed)
# --8<-- [end:both]

# --8<-- [start:equal]
(ids_without, scores_without), (ids_with, scores_with) = runs[False], runs[True]
difference = float((scores_with - scores_without).abs().max())
relative = difference / float(scores_without.abs().max())

print("the same tokens:      ", torch.equal(ids_with, ids_without))
print("logits within 1e-5:   ", relative < 1e-5)
print("tokens read, no cache:", work[False])
print("tokens read, cache:   ", work[True])
# --8<-- [end:equal]

# --8<-- [start:equal_claims]
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(number):
    """A small number as one reads it: 3 × 10⁻¹⁴."""
    digit, exponent = f"{number:.0e}".split("e")
    return f"{digit} × 10{str(int(exponent)).translate(RAISED)}"


assert torch.equal(ids_with, ids_without), "The tokens are the same"
assert relative < 1e-5, "The logits are the same within 1e-5 of the largest"
assert work[False] == N * (N + 1) // 2, "Without a cache N steps read N (N + 1) / 2 tokens"
assert work[True] == N, "With one they read N"
# --8<-- [end:equal_claims]

# --8<-- [start:time]
from time import perf_counter


def fastest(call, repeats=15):
    """The shortest of several times, which other programs disturbed least."""
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return min(times)


contexts = [1, 32, 64, 96, 128, 160, 192, 224, limit - 1]
seconds = {False: [], True: []}
for n in contexts:
    _, cache = model(text[:, :n])
    seconds[True].append(fastest(lambda n=n, cache=cache: model(text[:, n : n + 1], cache)))
    seconds[False].append(fastest(lambda n=n: model(text[:, : n + 1])))
# --8<-- [end:time]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

one = min(seconds[True])
fig, ax = plt.subplots()
for cached, label in ((False, "without a cache"), (True, "with a cache")):
    ax.plot(contexts, [taken / one for taken in seconds[cached]], marker="o", markersize=4, label=label)
ax.set(xlabel="tokens so far", ylabel="time of the next token", ylim=(0, None))
ax.set_xticks([1, 64, 128, 192, 256])
ax.yaxis.set_major_formatter("{x:g}×")
fig.legend(loc="outside upper center", ncols=2)

ratio = [without / with_ for without, with_ in zip(seconds[False], seconds[True], strict=True)]
in_words = (
    "Time of the next token over the tokens so far, as a multiple of the fastest with a cache. "
    f"At {contexts[-1]} tokens about {seconds[False][-1] / one:.0f} times without a cache and "
    f"{seconds[True][-1] / one:.1f} times with one."
)
assert ratio[-1] > ratio[0], "The longer the text, the more the cache saves"
fig
# --8<-- [end:plot]

# --8<-- [start:prefill]
prompt = text[:, 2000:2192]


def one_by_one():
    cache = None
    for n in range(prompt.shape[1]):
        logits, cache = model(prompt[:, n : n + 1], cache)
    return logits, cache


at_once, slow = model(prompt), one_by_one()
faster = fastest(one_by_one, 3) / fastest(lambda: model(prompt), 3)
# --8<-- [end:prefill]

# --8<-- [start:prefill_claims]
for pair, other in zip(at_once[1], slow[1], strict=True):
    for tensor, twin in zip(pair, other, strict=True):
        assert torch.allclose(tensor, twin, atol=1e-4), "Read at once or one by one, the cache is the same"
assert faster > 1, "Reading a prompt at once is faster"
# --8<-- [end:prefill_claims]

# --8<-- [start:bytes]
quill = weigh.params("models/quill")


def nbytes(cache):
    return sum(tensor.nbytes for pair in cache for tensor in pair)


def kept_in(dtype, cache):
    return [tuple(tensor.to(dtype) for tensor in pair) for pair in cache]


sizes = {}
for n in (1, 16, 64, 128, limit):
    _, cache = model(text[:, :n])
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        predicted = weigh.inference(quill, context=n, kv_dtype=name)
        sizes[n, name] = nbytes(kept_in(dtype, cache))
        assert sizes[n, name] == predicted.kv_cache_bytes
# --8<-- [end:bytes]

# --8<-- [start:formula]
L, H, K = (getattr(model.config, f"num_{what}") for what in ("hidden_layers", "attention_heads", "key_value_heads"))
E = model.config.hidden_size // H
per_token = {"float32": 2 * L * K * E * 4, "bfloat16": 2 * L * K * E * 2}
every_head = {name: each * H // K for name, each in per_token.items()}
print("| Tokens | float32 | Predicted | bfloat16 | Predicted | If all heads kept theirs, float32 |")
print("| ---: | ---: | ---: | ---: | ---: | ---: |")
for n in dict.fromkeys(n for n, _ in sizes):
    cells = [f"{sizes[n, name]:,} | {n * each:,}" for name, each in per_token.items()]
    print(f"| {n} | {' | '.join(cells)} | {n * every_head['float32']:,} |")
assert all(size == n * per_token[name] for (n, name), size in sizes.items()), "Each token adds the same bytes"
# --8<-- [end:formula]

# --8<-- [start:heads]
import json
import tempfile

with tempfile.TemporaryDirectory() as folder:
    config = json.loads(Path("models/quill/config.json").read_text("utf-8"))
    config["num_key_value_heads"] = config["num_attention_heads"]
    Path(folder, "config.json").write_text(json.dumps(config), "utf-8")
    multi_head = weigh.inference(weigh.params(folder), context=limit, kv_dtype="float32")
assert multi_head.kv_cache_bytes == limit * every_head["float32"], "All heads would keep H / K times as much"

batch = 4
_, of_four = model(text[:, : batch * 64].view(batch, 64))
assert nbytes(of_four) == batch * sizes[64, "float32"], "Four sequences keep four times as much"
assert nbytes(of_four) == weigh.inference(quill, context=64, batch=batch, kv_dtype="float32").kv_cache_bytes
# --8<-- [end:heads]

# --8<-- [start:engines]
names = ["llama-3-8b", "mistral-7b", "gpt-oss-20b", "gemma-3-1b", "falcon-40b", "deepseek-v3", "mamba-2.8b"]
engines = ["ideal", "transformers", "vllm", "llama.cpp"]
by_engine = {name: weigh.inference(weigh.params(f"models/{name}"), context=8000).kv_cache_by_runtime for name in names}
print("| Model | needed | transformers | vLLM | llama.cpp |")
print("| --- | ---: | ---: | ---: | ---: |")
for name, found in by_engine.items():
    print(f"| {name} | {' | '.join(f'{found[engine] / 2**20:,.1f}' for engine in engines)} |")
# --8<-- [end:engines]

# --8<-- [start:engines_claims]
for name, found in by_engine.items():
    assert min(found.values()) == found["ideal"] or name == "mamba-2.8b", "Only a state may be rounded to fewer bits"
windowed = by_engine["mistral-7b"]
assert windowed["transformers"] == windowed["ideal"] // 4096 * 8000, "transformers keeps all of the prompt"
assert windowed["llama.cpp"] == 2 * windowed["ideal"], "llama.cpp keeps all of its 8,192 cells, twice Mistral's window"
read_in_pieces = weigh.inference(weigh.params("models/mistral-7b"), context=8000, prefill=512, runtime="vllm")
assert read_in_pieces.kv_cache_bytes < windowed["vllm"], "Read in pieces, a prompt leaves pages free in vLLM"
thirty_two = weigh.inference(weigh.params("models/gpt-oss-20b"), context=8192, batch=32).kv_cache_by_runtime
window_only, reserved = thirty_two["ideal"] / 2**30, thirty_two["vllm"] / 2**30
# --8<-- [end:engines_claims]

# --8<-- [start:stale]
from quill import adapter


def cut(cache, begin, end):
    """The part of a cache from one token to before another."""
    return [(k[:, :, begin:end], v[:, :, begin:end]) for k, v in cache]


P = prompt.shape[1] - 64  # the prompt, and 64 tokens to read after it
before, after = prompt[:, :P], prompt[:, P:]
changed = before.clone()
C = P - 8
changed[:, C] = text[0, 0]  # one earlier token is another
milton = adapter.read(Quill.read("models/quill"), "models/quill-milton")
(_, cache), (_, tuned) = model(before), milton(before)
_, of_changed = model(changed)
_, of_later = model(before[:, 1:])
_, mended = model(changed[:, C:], cut(cache, 0, C))
cases = {
    "Nothing": (model, cache, cache),
    "An earlier token, all reused": (model, cache, of_changed),
    "An earlier token, reused up to it": (model, mended, of_changed),
    "The first token cut off the text, and off the cache": (model, cut(cache, 1, P), of_later),
    "The weights: an adapter": (milton, cache, tuned),
}
# --8<-- [end:stale]

# --8<-- [start:stale_table]
stale = {}
print("| What changed after the cache was made | Largest change of a logit | Most probable token differs |")
print("| --- | ---: | ---: |")
for what, (reader, reused, fresh) in cases.items():
    got, should = reader(after, reused)[0][0], reader(after, fresh)[0][0]
    stale[what] = float((got - should).abs().max()), int((got.argmax(-1) != should.argmax(-1)).sum())
    small = stale[what][0] < 1e-4
    print(f"| {what} | {'none' if small else f'{stale[what][0]:.1f}'} | {stale[what][1]} of {after.shape[1]} |")
# --8<-- [end:stale_table]

# --8<-- [start:stale_claims]
nothing, all_reused, up_to_it, first_off, adapted = stale.values()
assert nothing[0] < 1e-4 and up_to_it[0] < 1e-4, "What stands before the change may stay"
assert min(all_reused[0], first_off[0], adapted[0]) > 0.5, "What comes after it may not"
assert min(all_reused[1], first_off[1], adapted[1]) > 0, "and it changes tokens"
# --8<-- [end:stale_claims]

# --8<-- [start:beyond]
from torch.nn import functional as F

from quill.evaluation import token_losses

T, texts = 3 * limit, 24
windows = text[0, : texts * T + 1]
losses = torch.zeros(T)
for begin in range(0, texts * T, T):
    logits, _ = model(windows[None, begin : begin + T])  # no error
    following = windows[begin + 1 : begin + T + 1]
    losses += F.cross_entropy(logits[0], following, reduction="none") / texts
by_place = losses.view(-1, 32).mean(1).exp()
within = float(token_losses(model, windows[: 8 * T]).mean().exp())
# --8<-- [end:beyond]

# --8<-- [start:beyond_plot]
fig, ax = plt.subplots()
ax.plot(range(16, T, 32), by_place, marker="o", markersize=4, label="all tokens so far")
ax.axvline(limit, color=plt.rcParams["text.color"], linewidth=1, linestyle="-")
ax.annotate("trained up to here", (limit, 0.02), (5, 0), xycoords=("data", "axes fraction"), textcoords="offset points")
ax.set(xlabel="place of the token in its text", ylabel="perplexity", ylim=(0, None))
ax.set_xticks(range(0, T + 1, limit // 2))
inside, outside = (float(part.mean().exp()) for part in (losses[limit // 2 : limit], losses[limit + limit // 2 :]))
beyond_words = (
    f"Perplexity over the place of a token. It is {inside:.0f} on average in the second half of the {limit} places of "
    f"training, and {outside:.0f} from place {limit + limit // 2} on."
)
assert outside > 1.2 * inside, "Beyond the context of training the perplexity rises"
assert within < 1.2 * inside, "The last tokens alone are as good"
fig
# --8<-- [end:beyond_plot]

# --8<-- [start:compare]
print("| | Without a cache | With a cache |\n| --- | ---: | ---: |")
print(f"| Tokens read in {N} steps | {work[False]:,} | {work[True]:,} |")
print("| Formula | N (N + 1) / 2 | N |")
print(f"| Time of token {limit}, of the fastest with a cache | {seconds[False][-1] / one:.1f}× | "
      f"{seconds[True][-1] / one:.1f}× |")  # fmt: skip
print(f"| Held between steps at {limit} tokens, float32 | 0 bytes | {weigh.format_bytes(sizes[limit, 'float32'])} |")
# --8<-- [end:compare]

# --8<-- [start:changes]
exact = Quill.read("models/quill").double()


def apart(reader, keep=lambda cache: cache):
    """How far the logits with a cache are from those without, over 256 tokens."""
    ids, rows, cache = text[:, 2000 : 2000 + limit], [], None
    full = reader(ids)[0]
    for n in range(limit):
        logits, cache = reader(ids[:, n : n + 1], cache)
        cache = keep(cache)
        rows.append(logits)
    each = torch.cat(rows, 1)
    flips = int((each.argmax(-1) != full.argmax(-1)).sum())
    return float((each.double() - full.double()).abs().max()), flips


def in_16_bits(ids, cache=None):
    with torch.autocast("cpu", torch.bfloat16):
        return model(ids, cache)


def rounded(cache):
    return kept_in(torch.float32, kept_in(torch.bfloat16, cache))


settled = {
    "float64": apart(exact),
    "float32": apart(model),
    "float32, cache in bfloat16": apart(model, rounded),
    "bfloat16 (autocast)": apart(in_16_bits),
}
# --8<-- [end:changes]

# --8<-- [start:changes_table]
print(f"| Computed in | Largest difference of a logit | Most probable token differs, of {limit} |")
print("| --- | ---: | ---: |")
for name, (far, flips) in settled.items():
    print(f"| {name} | {power(far)} | {flips} |")
# --8<-- [end:changes_table]

# --8<-- [start:changes_claims]
far = [one for one, _ in settled.values()]
assert far[0] < 1e-10 and far[1] < 1e-3, "The difference is rounding: it shrinks with the precision"
assert far[0] < far[1] < far[2] and far[1] < far[3]
assert settled["float64"][1] == 0
# --8<-- [end:changes_claims]

# --8<-- [start:own]
from click.testing import CliRunner

from weigh.cli import weigh as command

options = ["--context", "256", "--kv-dtype", "float32", "--show-work"]
shown = CliRunner().invoke(command, ["inference", "models/quill", *options]).output
print("$ weigh inference models/quill", *options)
print(next(line for line in shown.splitlines() if line.startswith("keys and values")))
# --8<-- [end:own]

# --8<-- [start:problems]
llama = weigh.params("models/llama-3-8b")
llama_token = weigh.inference(llama, context=1, kv_dtype="bfloat16").kv_cache_bytes_per_token
assert llama_token == 2 * 32 * 8 * 128 * 2
chat = 1000
without_1000 = sum(range(chat, chat + 500))
# --8<-- [end:problems]
