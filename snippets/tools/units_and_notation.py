"""The program of the page "Units and notation": the symbols, the units of bytes, and the number formats."""

# --8<-- [start:symbols]
import json
from pathlib import Path

import weigh

SYMBOLS = {  # what it counts, its field in GPT-2's config and in Llama's, and what a config means that does not say
    "B": ("sequences of a batch", None, None, "not in a config"),
    "T": ("tokens of a sequence, at most", "n_positions", "max_position_embeddings", None),
    "L": ("layers", "n_layer", "num_hidden_layers", None),
    "D": ("width of the model", "n_embd", "hidden_size", None),
    "H": ("query heads", "n_head", "num_attention_heads", None),
    "K": ("key-value heads", None, "num_key_value_heads", "H"),
    "E": ("size of a head", None, "head_dim", "D ÷ H"),
    "F": ("width of the feed-forward network", "n_inner", "intermediate_size", "4 · D"),
    "V": ("tokens of the vocabulary", "vocab_size", "vocab_size", None),
}


def read(config: str, column: int) -> tuple[dict[str, int], dict[str, str]]:
    """The sizes of a model by symbol, and where each comes from."""
    said = json.loads(Path(config, "config.json").read_text("utf-8"))
    size: dict[str, int] = {}
    source: dict[str, str] = {}
    for symbol, row in SYMBOLS.items():
        field, silent = row[column], row[3]
        if field in said:
            size[symbol], source[symbol] = said[field], f"`{field}`"
            if len(field) > 20:  # may break, or the table is wider than the page where fonts are wide
                source[symbol] = f"<code>{field.replace('_', '&#95;<wbr>')}</code>"
        else:
            source[symbol] = f"{silent}, no `{field}`" if field else str(silent)
    return {"K": size["H"], "E": size["D"] // size["H"], "F": 4 * size["D"]} | size, source


gpt2, in_gpt2 = read("models/gpt2", 1)
llama, in_llama = read("models/llama-3-8b", 2)

print("| Symbol | Counts | GPT-2 | from | Llama-3-8B | from |\n| --- | --- | ---: | --- | ---: | --- |")
for symbol, (counts, *_) in SYMBOLS.items():
    cells = (f"{size[symbol]:,}" if symbol in size else "" for size in (gpt2, llama))
    print(f"| **{symbol}** | {counts} | {next(cells)} | {in_gpt2[symbol]} | {next(cells)} | {in_llama[symbol]} |")
# --8<-- [end:symbols]

# --8<-- [start:shapes]
shapes = {t.name: t.shape for t in weigh.params("models/llama-3-8b").named}
H, K, E, D, F, V = (llama[symbol] for symbol in "HKEDFV")
layer = "model.layers.0"
assert shapes["model.embed_tokens.weight"] == (V, D)
assert shapes[f"{layer}.self_attn.q_proj.weight"] == (H * E, D)
assert shapes[f"{layer}.self_attn.k_proj.weight"] == (K * E, D)
assert shapes[f"{layer}.mlp.gate_proj.weight"] == (F, D)
print("q_proj", (H * E, D), " k_proj", (K * E, D), " gate_proj", (F, D))
# --8<-- [end:shapes]

# --8<-- [start:gpt2_shapes]
of_gpt2 = {t.name: t.shape for t in weigh.params("models/gpt2").named}
assert of_gpt2["transformer.wte.weight"] == (gpt2["V"], gpt2["D"])
assert of_gpt2["transformer.wpe.weight"] == (gpt2["T"], gpt2["D"])
assert of_gpt2["transformer.h.0.mlp.c_fc.weight"] == (gpt2["D"], gpt2["F"])
# --8<-- [end:gpt2_shapes]

# --8<-- [start:more_symbols]
import re
from itertools import product

MORE = {
    "P": "parameters: all, or those in one format; of images, the side of a patch",
    "b": "bytes of a number",
    "c": "4 bytes if something is computed in float32 besides, else 0",
    "p": "bytes of a probability in the loss",
    "N": "devices that share something; of a router, its experts; of weights in NF4, matrices; in latent attention, "
    "the part of a key that carries no position",
    "W": "tokens of a window",
    "R": "numbers of a compressed vector or of a state",
    "U": "size of a value, where keys have another; of experts, those that a token uses",
    "A": "numbers that the widest part of a layer computes for each token",
    "S": "positions that are scored or looked at; of weights, their scales",
    "Z": "scales of the scales",
    "k": "tensors of width F that a feed-forward network keeps",
    "M": "frequencies of a spectrogram",
    "C": "channels of an image",
    "a": "bytes of a number in an adapter",
    "r": "rank of an adapter",
    "n": "matrices that have an adapter",
    "I": "inputs of the matrices that have an adapter; in GPTQ, of all matrices",
}
print("| Symbol | Stands for |\n| --- | --- |")
for symbol, meaning in sorted(MORE.items(), key=lambda row: row[0].casefold()):
    print(f"| **{symbol}** | {meaning} |")

models = [weigh.params(path) for path in sorted(Path("models").glob("*/config.json"))]
runs = [{}, {"fused_attention": False}, {"recompute": "full", "zero": 3, "devices": 8}]
steps = [s for m, run in product(models, runs) for s in weigh.training(m, batch=1, sequence=64, **run).steps]
steps += weigh.training(models[0], batch=1, sequence=64, lora=weigh.Lora(8)).steps
for form in ("bfloat16", "awq", "nf4-double", "gptq"):
    steps += weigh.inference(weigh.params("models/deepseek-v3"), form, context=64).steps
unknown = {letter for s in steps for letter in re.findall(r"\b[A-Za-z]\b", s.formula)} - {*SYMBOLS, *MORE}
assert not unknown, f"Every letter of a formula is in one of the two tables, but for {unknown}"
# --8<-- [end:more_symbols]

# --8<-- [start:prefixes]
from weigh import format_bytes, parse_bytes

print("| Decimal | Bytes | Binary | Bytes | The gap |\n| --- | ---: | --- | ---: | ---: |")
gaps = {}
for decimal, binary in (("kB", "KiB"), ("MB", "MiB"), ("GB", "GiB"), ("TB", "TiB")):
    small, large = parse_bytes(f"1 {decimal}"), parse_bytes(f"1 {binary}")
    gaps[decimal] = large / small - 1
    print(f"| {decimal} | {small:,} | {binary} | {large:,} | {gaps[decimal]:.1%} |")
assert list(gaps.values()) == sorted(gaps.values()), "The gap widens with each prefix"
# --8<-- [end:prefixes]

# --8<-- [start:bytes]
size = parse_bytes("24 GiB")
print(size, "=", format_bytes(size, binary=True), "=", format_bytes(size))
for text in ("80G", "80 gb", "0.3 bytes"):
    try:
        parse_bytes(text)
    except weigh.WeighError as error:
        print(error)
# --8<-- [end:bytes]

# --8<-- [start:whole]
try:
    format_bytes(0.5 * 7e9)  # half a byte each, as a float
except TypeError as error:
    print(error)
print(format_bytes(7_000_000_000 * 4 // 8))
# --8<-- [end:whole]

# --8<-- [start:formats]
print("| Name | Bits | Kind | In a safetensors header | In a PyTorch archive |\n| --- | ---: | --- | --- | --- |")
for dtype in (dtype for dtype in weigh.DTYPES.values() if dtype.block == 1):
    codes = (f"`{code}`" if code else "–" for code in (dtype.safetensors, dtype.storage))
    print(f"| `{dtype.name}` | {dtype.bits} | {dtype.kind} | {' | '.join(codes)} |")
# --8<-- [end:formats]

# --8<-- [start:published]
import tempfile

with tempfile.TemporaryDirectory() as folder:  # BERT with upper and lower case differs in the size of its vocabulary
    uncased = json.loads(Path("models/bert-base/config.json").read_text("utf-8"))
    Path(folder, "config.json").write_text(json.dumps(uncased | {"vocab_size": 28_996}))
    cased = weigh.params(folder).bytes_as("float32")
positions = 2 * 512 * 8  # two int64 buffers of 512 positions, which accelerate counts too
book = 2 * 40 * 40 * 128 * 8192 * 2  # Llama-2-13B: 40 layers, 40 heads of 128, 8,192 tokens, 2 bytes

print("| What | Published | In decimal units | In binary units |\n| --- | ---: | ---: | ---: |")
for what, published, size in (("BERT, cased", "413.18 MB", cased + positions), ("a KV cache", "6.7 GiB", book)):
    print(f"| {what} | {published} | {format_bytes(size)} | {format_bytes(size, binary=True)} |")
assert f"{(cased + positions) / 2**20:.2f}" == "413.18", "accelerate's MB are MiB"
assert f"{book / 1e9:.1f}" == "6.7", "The book's GiB are GB"
# --8<-- [end:published]

# --8<-- [start:problems]
bought = parse_bytes("1 TB")
assert format_bytes(bought, binary=True) == "931.3 GiB"
per_token = 2 * llama["L"] * K * E  # a key and a value for each layer and key-value head
assert per_token == sum(cache.heads * (cache.key + cache.value) for cache in weigh.params("models/llama-3-8b").caches)
# --8<-- [end:problems]
