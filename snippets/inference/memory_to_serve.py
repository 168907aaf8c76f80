"""The program of "Memory to serve": weights, KV cache and activations, predicted from configs and measured."""

# --8<-- [start:quiet]
import logging

# torchao, which transformers loads, reports which of its GPU kernels are not there. No claim of this page needs one.
for logger in ("torchao", "torch.utils._pytree"):
    logging.getLogger(logger).setLevel(logging.ERROR)
# --8<-- [end:quiet]

# --8<-- [start:work]
import weigh
from weigh import format_bytes

llama = weigh.params("models/llama-3-8b")
served = weigh.inference(llama, dtype="q4_k_m", context=32_768, batch=4)
served.steps
# --8<-- [end:work]

# --8<-- [start:steps]
print("| What | Formula | With its numbers | Bytes |\n| --- | --- | --- | ---: |")
for step in served.steps:
    what = step.name.removeprefix("activations in model.layers.0.").replace("feed-forward", "activations, feed-forward")
    print(f"| {what} | {step.formula} | {step.substituted} | {format_bytes(step.value)} |")
print(f"| **all together** | | | **{format_bytes(served.total_bytes)}** |")
# --8<-- [end:steps]

# --8<-- [start:answer]
NAMES = (
    "llama-2-7b", "llama-3-8b", "llama-3-70b", "gemma-2b", "mistral-7b", "gemma-2-9b", "gemma-3-1b", "qwen3-0.6b",
    "deepseek-v3", "mamba-2.8b",
)  # fmt: skip
models = {name: weigh.params(f"models/{name}") for name in NAMES}
plain = {name: weigh.inference(model, context=1) for name, model in models.items()}
# The tokens whose cache is as large as the weights.
even = {name: one.weight_bytes // one.kv_cache_bytes_per_token for name, one in plain.items() if "llama" in name}
assert served.kv_cache_bytes > served.weight_bytes, "Four sequences of 32,768 tokens take more than the 4-bit weights"
assert served.kv_cache_bytes_per_token == 2 * 32 * 8 * 128 * 2
# --8<-- [end:answer]

# --8<-- [start:weights]
FORMATS = {
    "float32": "float32", "bfloat16": "bfloat16, float16", "float8_e4m3fn": "FP8, a scale per matrix",
    "int8": "LLM.int8, a scale per row", "q8_0": "Q8_0", "q6_k": "Q6_K", "q5_k_m": "Q5_K_M", "q4_k_m": "Q4_K_M",
    "q4_0": "Q4_0", "nf4": "NF4, blocks of 64", "awq": "AWQ int4, groups of 128", "mxfp4": "MXFP4", "q2_k": "Q2_K",
}  # fmt: skip
EIGHT, SEVENTY = models["llama-3-8b"], models["llama-3-70b"]
stored = {name: [weigh.inference(m, name).weight_bytes for m in (EIGHT, SEVENTY)] for name in FORMATS}
bits = {name: [8 * a / EIGHT.parameters, 8 * b / SEVENTY.parameters] for name, (a, b) in stored.items()}

print("| Format | 8B: bits per weight | GB | GiB | 70B: bits per weight | GB | GiB |")
print("| --- |" + " ---: |" * 6)
for name, label in FORMATS.items():
    cells = [
        f"{b:.2f} | {n / weigh.GB:.2f} | {n / weigh.GiB:.2f}" for b, n in zip(bits[name], stored[name], strict=True)
    ]
    print(f"| {label} |", " | ".join(cells), "|")

# What llama.cpp publishes for Llama 3.1 8B, which has the same shapes.
PUBLISHED = {"q8_0": 8.5008, "q6_k": 6.5633, "q5_k_m": 5.7036, "q4_k_m": 4.8944, "q2_k": 3.1593}
assert all(round(bits[name][0], 4) == published for name, published in PUBLISHED.items())
assert all(bits[name][0] > 4.5 for name in ("q4_k_m", "q4_0", "nf4", "awq", "mxfp4")), "No 4-bit file has 4 bits"
assert bits["awq"][0] - bits["awq"][1] > 1, "What stays in 16 bits costs a small model more than a large one"
# --8<-- [end:weights]

# --8<-- [start:kinds]
KINDS = {
    "llama-2-7b": ("Multi-head", "Llama-2-7B", "each of 32 heads keeps a key and a value"),
    "llama-3-8b": ("Grouped-query", "Llama-3-8B", "8 heads keep them for 32"),
    "gemma-2b": ("Multi-query", "Gemma-2B", "one head keeps them for all"),
    "mistral-7b": ("Sliding window", "Mistral-7B v0.1", "the last 4,096 tokens stay"),
    "gemma-2-9b": ("Hybrid", "Gemma-2-9B", "every other layer has a window"),
    "deepseek-v3": ("Latent", "DeepSeek-V3", "one compressed vector per token"),
    "mamba-2.8b": ("State", "Mamba-2.8B", "no tokens: a state of fixed size"),
}


def kept(name, context):
    """The bytes of the cache of one sequence."""
    return weigh.inference(models[name], context=context).kv_cache_bytes


print("| Attention | Model | What is kept | Next token, after 8,192 | 8,192 tokens | 131,072 tokens |")
print("| --- | --- | --- | ---: | ---: | ---: |")
for name, (kind, label, what) in KINDS.items():
    more = weigh.inference(models[name], context=8192).kv_cache_bytes_per_token
    sizes = " | ".join(format_bytes(kept(name, context), binary=True) for context in (8192, 131_072))
    print(f"| {kind} | {label} | {what} | {f'{more:,} bytes' if more else 'nothing'} | {sizes} |")

assert kept("llama-2-7b", 8192) == 4 * kept("llama-3-8b", 8192), "A quarter of the heads is a quarter of the cache"
assert kept("mistral-7b", 4096) == kept("mistral-7b", 131_072), "A full window does not grow"
# --8<-- [end:kinds]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

contexts = [2**k for k in range(18)]
INK = plt.rcParams["text.color"]
fig, ax = plt.subplots(figsize=(6.4, 4.2))
for name, (kind, label, _) in KINDS.items():
    style = {"color": INK, "linestyle": "-", "linewidth": 1} if name == "mamba-2.8b" else {}
    ax.plot(contexts, [kept(name, context) for context in contexts], label=f"{kind}: {label}", **style)
ax.set_xscale("log", base=2)
ax.set_yscale("log", base=10)
ax.set_xticks([1, 64, 1024, 8192, 131_072], ["1", "64", "1,024", "8,192", "131,072"])
GRADES = ("16 KiB", "256 KiB", "4 MiB", "64 MiB", "1 GiB", "16 GiB")
ax.set_yticks([weigh.parse_bytes(size) for size in GRADES], GRADES)
ax.minorticks_off()
ax.set_xlabel("tokens of one sequence")
ax.set_ylabel("KV cache")
fig.legend(loc="outside upper center", ncols=2, fontsize=10)

in_words = "KV cache of one sequence over its tokens, both on log scales. At 131,072 tokens: " + "; ".join(
    f"{label} {format_bytes(kept(name, 131_072), binary=True)}" for name, (_, label, _) in KINDS.items()
)
fig
# --8<-- [end:plot]

# --8<-- [start:tiny]
import json
import tempfile
from pathlib import Path

import torch
import transformers

torch.set_num_threads(1)
transformers.utils.logging.set_verbosity_error()
SMALL = {
    "vocab_size": 100, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 64, "pad_token_id": 0,
}  # fmt: skip
LATENT = {
    "num_key_value_heads": 4, "kv_lora_rank": 12, "q_lora_rank": 10, "qk_rope_head_dim": 6, "qk_nope_head_dim": 8,
    "v_head_dim": 10, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "n_group": 1,
    "topk_group": 1, "first_k_dense_replace": 1,
}  # fmt: skip
TINY = {
    "Multi-head": ("llama", SMALL | {"num_key_value_heads": 4}),
    "Grouped-query": ("llama", SMALL),
    "Multi-query": ("llama", SMALL | {"num_key_value_heads": 1}),
    "Sliding window": ("mistral", SMALL | {"sliding_window": 16}),
    "Hybrid": ("gemma2", SMALL | {"sliding_window": 16}),
    "Latent": ("deepseek_v3", {name: size for name, size in SMALL.items() if name != "head_dim"} | LATENT),
    "State": ("mamba", {"vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 4}),
}
BATCH, TOKENS = 2, 40


def counted(model_type, fields):
    """What weigh reads from the same fields."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps({"model_type": model_type, **fields}))
        return weigh.params(folder)


def tensors_of(layer):
    """What a layer of a cache holds: states, or keys and values."""
    if hasattr(layer, "conv_states"):
        return [*layer.conv_states.values(), *layer.recurrent_states.values()]
    return [layer.keys, layer.values]


# --8<-- [end:tiny]


# --8<-- [start:measure]
def measured(model_type, fields, static):
    """The bytes of transformers' cache once a real forward pass has filled it."""
    config = transformers.AutoConfig.for_model(model_type, **fields)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    if static:
        cache = transformers.StaticCache(config=config, max_cache_len=TOKENS)
    else:
        cache = transformers.DynamicCache(config=config)
    name = "cache_params" if model_type == "mamba" else "past_key_values"
    prompts = torch.ones(BATCH, TOKENS, dtype=torch.long)
    with torch.no_grad():
        model(prompts, use_cache=True, **{name: cache})
    tensors = [tensor for layer in cache.layers for tensor in tensors_of(layer)]
    return sum(tensor.nbytes for tensor in tensors)


# --8<-- [end:measure]


# --8<-- [start:compare]
torch.manual_seed(0)
print(f"| Tiny model, {BATCH} × {TOKENS} tokens, float32 | Predicted | `StaticCache` | `DynamicCache` |")
print("| --- | ---: | ---: | ---: |")
found = {}
for kind, (model_type, fields) in TINY.items():
    predicted = weigh.inference(counted(model_type, fields), "float32", TOKENS, BATCH).kv_cache_bytes
    found[kind] = predicted, measured(model_type, fields, True), measured(model_type, fields, False)
    print(f"| {kind} (`{model_type}`) |", " | ".join(f"{n:,}" for n in found[kind]), "|")

assert all(predicted == static for predicted, static, _ in found.values()), "StaticCache is predicted to the byte"
windowed = {kind: predicted - dynamic for kind, (predicted, _, dynamic) in found.items() if predicted != dynamic}
one_token = BATCH * 2 * 2 * 16 * 4  # keys and values of 2 heads of 16, in 4 bytes
assert windowed == {"Sliding window": 4 * one_token, "Hybrid": 2 * one_token}, "A window less a token"
# --8<-- [end:compare]

# --8<-- [start:alive]
import weakref

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that are there at once, those that were there before left out."""

    def __init__(self, *before):
        super().__init__()
        self.sizes = {tensor.untyped_storage()._cdata: 0 for tensor in before}
        self.now = self.peak = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and (storage := tensor.untyped_storage())._cdata not in self.sizes:
                self.sizes[storage._cdata] = storage.nbytes()
                self.now += storage.nbytes()
                weakref.finalize(storage, self.free, storage._cdata)
        self.peak = max(self.peak, self.now)
        return out

    def free(self, storage):
        self.now -= self.sizes.pop(storage)


# --8<-- [end:alive]


# --8<-- [start:activations]
fields = SMALL | {"hidden_size": 128, "intermediate_size": 448, "head_dim": 32}
config = transformers.AutoConfig.for_model("llama", **fields)
model = transformers.AutoModelForCausalLM.from_config(config).eval()
prompt = torch.ones(1, 512, dtype=torch.long)
with torch.no_grad(), Alive(prompt, *model.parameters(), *model.buffers()) as alive:
    model(prompt, use_cache=True, logits_to_keep=1)

small = weigh.inference(counted("llama", fields), "float32", context=512)
expected = small.kv_cache_bytes + small.activation_bytes
print(f"predicted {expected:,} bytes of cache and activations")
print(f"measured  {alive.peak:,}, which is {alive.peak / expected:.2f}×")

held = 2 * 512 * 128 * 4  # transformers holds the embeddings and the layer's input,
rotations = 2 * 512 * 32 * 4  # a cosine and a sine for each number of a head,
positions = 512 * 8  # and the positions themselves
assert alive.peak == expected + held + rotations + positions
# --8<-- [end:activations]

# --8<-- [start:fits]
CARDS = {"24 GiB": 24 * weigh.GiB, "80 GB": 80 * weigh.GB}
TRIED = [
    ("llama-2-7b", "bfloat16", "Llama-2-7B, bfloat16"), ("llama-3-8b", "bfloat16", "Llama-3-8B, bfloat16"),
    ("llama-3-8b", "q4_k_m", "Llama-3-8B, Q4_K_M"), ("gemma-2-9b", "bfloat16", "Gemma-2-9B, bfloat16"),
    ("llama-3-70b", "float8_e4m3fn", "Llama-3-70B, FP8"), ("llama-3-70b", "q4_k_m", "Llama-3-70B, Q4_K_M"),
]  # fmt: skip


def fits(largest, name, dtype, memory, **size):
    """From what an engine with a reserve serves to what no engine can exceed."""
    low, high = (largest(models[name], memory, dtype=dtype, bound=bound, **size) for bound in (False, True))
    return "–" if not high else f"{low:,} – {high:,}" if low < high else f"{low:,}"


print("| Model |", " | ".join(f"{card}: context, batch 1 | {card}: batch of 8,192" for card in CARDS), "|")
print("| --- |" + " ---: |" * 2 * len(CARDS))
for name, dtype, label in TRIED:
    row = []
    for memory in CARDS.values():
        row.append(fits(weigh.largest_context, name, dtype, memory, batch=1))
        row.append(fits(weigh.largest_batch, name, dtype, memory, context=8192))
    print(f"| {label} |", " | ".join(row), "|")

on_24 = [weigh.largest_context(models[name], CARDS["24 GiB"]) for name in ("llama-2-7b", "llama-3-8b")]
assert models["llama-2-7b"].parameters < EIGHT.parameters and on_24[0] < on_24[1], "The larger has the longer context"
in_pieces = weigh.largest_context(EIGHT, CARDS["24 GiB"], prefill=2048)
# --8<-- [end:fits]

# --8<-- [start:roofline]
H100 = {"bandwidth": 3.35e12, "flops": 989e12}  # bytes and dense bfloat16 operations in a second

print(
    "| Llama-3-8B, bfloat16, 8,192 tokens | Moved | 10¹² operations | Bound by | At least | Tokens/s of all, at most |"
)
print("| --- | ---: | ---: | --- | ---: | ---: |")
bounds = {f"decode, batch {batch}": weigh.decode_bound(EIGHT, batch=batch, **H100) for batch in (1, 8, 32)}
bounds["prefill, one prompt"] = weigh.prefill_bound(EIGHT, **H100)
for label, bound in bounds.items():
    counts = f"{format_bytes(bound.bytes_moved)} | {bound.flops / 1e12:.3g} | {bound.limited_by}"
    print(f"| {label} | {counts} | {1000 * bound.seconds:.1f} ms | {bound.tokens_per_second:,.0f} |")

first = bounds["decode, batch 1"]
intensity, ridge = first.flops / first.bytes_moved, H100["flops"] / H100["bandwidth"]
assert first.limited_by == "memory" and intensity < 2 < ridge, "Decoding one sequence is bound by memory"
assert bounds["prefill, one prompt"].limited_by == "compute"
four_bits = weigh.decode_bound(EIGHT, dtype="q4_k_m", **H100)
# However large the batch, each sequence brings a cache of its own to read.
limit = first.flops / kept("llama-3-8b", 8192)
assert limit < ridge, "At this context no batch is large enough to be bound by compute"
assert weigh.decode_bound(EIGHT, batch=1000, context=100, **H100).limited_by == "compute"
# --8<-- [end:roofline]

# --8<-- [start:twenty]
print("| Served in bfloat16 | KV cache ÷ weights |\n| --- | ---: |")
LOADS = [("llama-3-70b", 1), ("llama-3-8b", 1), ("llama-3-8b", 8), ("llama-2-7b", 8), ("llama-2-7b", 32)]
over = []
for name, batch in LOADS:
    one = weigh.inference(models[name], context=8192, batch=batch)
    over.append(one.kv_cache_bytes / one.weight_bytes)
    print(f"| {name.capitalize().replace('b', 'B')}, {batch} × 8,192 tokens | {over[-1]:,.1%} |")
assert max(over[:2]) < 0.2 < min(over[2:]), "It holds at batch 1, and at none of the larger ones"
# --8<-- [end:twenty]

# --8<-- [start:larger]
long = {}
for dtype in ("bfloat16", "q4_k_m"):
    long[dtype] = one = weigh.inference(SEVENTY, dtype, context=131_072)
    print(f"cache {format_bytes(one.kv_cache_bytes)}", end=", ")
    print(f"weights in {dtype} {format_bytes(one.weight_bytes)}", end=": ")
    print(f"{one.kv_cache_bytes / one.weight_bytes:.2f}×")

cache, weights = long["bfloat16"].kv_cache_bytes, long["bfloat16"].weight_bytes
every_head = 8 * cache  # if each of the 64 heads kept its own
assert cache < weights / 3 and every_head > 2 * weights
assert 1 < cache / long["q4_k_m"].weight_bytes < 1.02
# --8<-- [end:larger]

# --8<-- [start:peers]
GEMMA_3_27B = {
    "vocab_size": 262_208, "hidden_size": 5376, "intermediate_size": 21_504, "num_hidden_layers": 62,
    "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128, "sliding_window": 1024,
    "sliding_window_pattern": 6,
}  # fmt: skip
models["gemma-3-27b"] = counted("gemma3_text", GEMMA_3_27B)


def cookbook(c, tokens):
    """EleutherAI: bytes · hidden · layers · (sequence + output tokens, 1 by default)."""
    return 2 * c["hidden_size"] * c["num_hidden_layers"] * (tokens + 1)


def divided(c, tokens, heads=None):
    """The head size taken to be hidden / heads, every layer to keep all tokens."""
    size = c["hidden_size"] // c["num_attention_heads"]
    return 2 * (heads or c["num_key_value_heads"]) * size * c["num_hidden_layers"] * tokens * 2


def full_layers_alone(c, tokens):
    """hf-mem: the layers with a window dropped, and not cut to their window."""
    layers = c["num_hidden_layers"] // c["sliding_window_pattern"]
    return 2 * layers * c["num_key_value_heads"] * c["head_dim"] * tokens * 2


UNSLOTH = "[Unsloth until PR 4757](https://github.com/unslothai/unsloth/pull/4757)"
HF_MEM = (
    "[hf-mem, 37d26e2](https://github.com/alvarobartt/hf-mem/blob/"
    "37d26e2e735d4848bc0ef016b4679816ff8bd420/src/hf_mem/safetensors/kv_cache.py)"
)
COOKBOOK = (
    "[EleutherAI cookbook, 069ae2e](https://github.com/EleutherAI/cookbook/blob/"
    "069ae2ef9f69f8fb3f1413272015ccb59f3d4a6c/calc/calc_transformer_mem.py)"
)
PEERS = [
    ("the 2 for keys and values", COOKBOOK, "llama-2-7b", 4096, cookbook),
    ("that, and grouped queries", COOKBOOK, "llama-3-70b", 8192, cookbook),
    ("`head_dim`", UNSLOTH, "qwen3-0.6b", 40_960, divided),
    ("`head_dim` and windows", UNSLOTH, "gemma-3-27b", 131_072, divided),
    ("layers with a window", HF_MEM, "gemma-3-1b", 8192, full_layers_alone),
    ("the latent vector", HF_MEM, "deepseek-v3", 163_840, divided),
    ("the latent vector, one head", UNSLOTH, "deepseek-v3", 163_840, lambda c, tokens: divided(c, tokens, heads=1)),
]
# --8<-- [end:peers]

# --8<-- [start:errors]
print("| Left out | Where | Model, tokens | It says | Needed | Ratio |")
print("| --- | --- | --- | ---: | ---: | ---: |")
wrong = {}
for what, where, name, tokens, formula in PEERS:
    says, true = formula(models[name].config.fields, tokens), kept(name, tokens)
    wrong[what] = says / true
    sizes = f"{format_bytes(says, binary=True)} | {format_bytes(true, binary=True)} | {says / true:.2f}×"
    print(f"| {what} | {where} | {name}, {tokens:,} | {sizes} |")
assert [round(ratio, 1) for ratio in wrong.values()] == [0.5, 4.0, 0.5, 7.8, 0.7, 24.9, 0.2]
# The figures in Unsloth's table, before and after, in GiB.
UNSLOTHS = {"qwen3-0.6b": (2.19, 4.38), "gemma-3-27b": (81.38, 10.41), "deepseek-v3": (2.08, 10.72)}
for _, where, name, tokens, formula in PEERS:
    if where == UNSLOTH:
        ours = formula(models[name].config.fields, tokens), kept(name, tokens)
        assert all(abs(n / weigh.GiB - size) < 0.006 for n, size in zip(ours, UNSLOTHS[name], strict=True))
# --8<-- [end:errors]

# --8<-- [start:own]
model = weigh.params("models/llama-3-8b")  # or: your config.json
yours = weigh.inference(model, dtype="q4_k_m", context=32_768)
longest = weigh.largest_context(model, 24 * weigh.GiB, dtype="q4_k_m")
print(format_bytes(yours.total_bytes, binary=True), "in all")
print(format_bytes(yours.high_bytes, binary=True), "with an engine's reserve")
print(f"{longest:,} tokens at most in 24 GiB, with that reserve")
# --8<-- [end:own]

# --8<-- [start:wrong]
whole, pieces = (weigh.inference(EIGHT, context=131_072, prefill=piece) for piece in (None, 2048))
assert whole.activation_bytes == 64 * pieces.activation_bytes

oss = weigh.inference(weigh.params("models/gpt-oss-20b"), context=8192, batch=32).kv_cache_bytes
oss_full = 2 * 24 * 8 * 64 * 8192 * 32 * 2  # 24 layers, 8 heads of 64, each layer with all tokens
assert (round(oss / weigh.GiB, 2), oss_full) == (6.09, 12 * weigh.GiB)

h100_taken = 80 * weigh.GB * 92 // 100
# --8<-- [end:wrong]

# --8<-- [start:problems]
mixtral = weigh.params("models/mixtral-8x7b")
mixtral_bytes = weigh.inference(mixtral).weight_bytes
dense_guess = 2 * 13 * 10**9
read = {batch: weigh.decode_bound(mixtral, batch=batch, context=1, **H100).bytes_moved for batch in (1, 32)}
assert read[1] < mixtral_bytes / 3 and read[32] > 0.95 * mixtral_bytes

same_card = {
    name: weigh.largest_context(models[name], CARDS["24 GiB"], dtype="q4_k_m", prefill=2048)
    for name in ("llama-2-7b", "llama-3-8b")
}
assert same_card["llama-3-8b"] > 2 * same_card["llama-2-7b"]

eight_bits = weigh.inference(SEVENTY, context=131_072, kv_dtype="q8_0").kv_cache_bytes
saved = long["bfloat16"].kv_cache_bytes - eight_bits
assert eight_bits / long["bfloat16"].kv_cache_bytes == 34 / 64, "8-bit blocks of 32 carry a scale of 2 bytes"
# --8<-- [end:problems]
