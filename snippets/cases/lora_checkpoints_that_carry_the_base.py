"""The program of "A LoRA checkpoint as large as the model": what each file holds, and how to see it."""

# --8<-- [start:arithmetic]
import weigh
from weigh import GiB, format_bytes

MiB = 2**20
adapter_file = 463 * MiB  # as published, as are the figures in capitals
SHARDS, SHARD, MODEL_STATES, CHECKPOINT = 8, 364e6, 85.5 * GiB, 88.7 * GiB

trained = adapter_file // 2  # bfloat16
shard = 12 * trained / SHARDS  # float32 copy and two moments, divided by ZeRO
backbone = {dtype: 14_000_000_000 * size for dtype, size in (("bfloat16", 2), ("float32", 4))}
parts = adapter_file + MODEL_STATES + SHARDS * SHARD
without_base = 2 * adapter_file + SHARDS * SHARD
# --8<-- [end:arithmetic]

# --8<-- [start:report_table]
print("| Part | Published | Predicted |")
print("| --- | ---: | ---: |")
print(f"| an optimizer shard | ~364 MB | {shard / 1e6:.0f} MB |")
of_backbone = " or ".join(map(format_bytes, backbone.values()))
print(f"| model states | 85.5 GiB | backbone: {of_backbone} |")
print(f"| all parts added up | ~88.7 GiB | {parts / GiB:.1f} GiB |")
print(f"| without the base | – | {without_base / GiB:.1f} GiB |")
# --8<-- [end:report_table]

# --8<-- [start:report_claims]
assert abs(shard / SHARD - 1) < 0.002, "The shards are twelve bytes for each parameter of the adapter"
assert abs(parts / CHECKPOINT - 1) < 0.001, "The published parts add up to the published checkpoint"
assert 1.5 * backbone["float32"] < MODEL_STATES, "The file holds more than the backbone in any usual format"
assert round(CHECKPOINT / 1e9) == 95, "The title's 95 GB are the 88.7 GiB of the text"
# --8<-- [end:report_claims]

# --8<-- [start:both_ways]
import tempfile
from pathlib import Path

from safetensors.numpy import load, save_file

base = load(Path("models/quill/model.safetensors").read_bytes())
adapter = load(Path("models/quill-milton/adapter_model.safetensors").read_bytes())

folder = tempfile.TemporaryDirectory()
everything = Path(folder.name, "everything.safetensors")
trainable = Path(folder.name, "trainable.safetensors")
save_file({**base, **adapter}, everything)  # what state_dict() gives
save_file(adapter, trainable)  # what the optimizer has changed
# --8<-- [end:both_ways]

# --8<-- [start:small_table]
files = {path.stem: weigh.inspect(path) for path in (everything, trainable)}
print("| Quill with an adapter | Tensors | Bytes on disk |")
print("| --- | ---: | ---: |")
for name, file in files.items():
    print(f"| {name} | {len(file.named)} | {file.bytes_on_disk:,} |")
times = files["everything"].bytes_on_disk / files["trainable"].bytes_on_disk
# --8<-- [end:small_table]

# --8<-- [start:small_claims]
assert times > 15
assert len(files["everything"].named) == len(base) + len(adapter)
# --8<-- [end:small_claims]

# --8<-- [start:own]
found = weigh.diff("models/quill", everything)
print(f"{found.equal} tensors are those of the base model")
print(f"{len(found.changes)} are not")
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert found.equal == len(base), "Every frozen tensor is found again, unchanged"
assert len(found.changes) == len(adapter)
# --8<-- [end:own_claims]

# --8<-- [start:problems]
eight = weigh.params("models/llama-3-8b")
run = weigh.training(eight, "adamw", batch=1, sequence=2048, lora=weigh.Lora(rank=16))
in_base = run.weight_bytes - 4 * run.trainable_parameters
assert in_base == 2 * eight.parameters, "The frozen weights in bfloat16"
assert in_base / run.checkpoint_bytes > 30
# --8<-- [end:problems]
