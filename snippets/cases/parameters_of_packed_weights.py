"""The program of "A 7B model with 3.5 billion parameters": counts of packed weights, taken apart."""

# --8<-- [start:predict]
import weigh

seven, eight = (weigh.params(f"models/{name}") for name in ("llama-2-7b", "llama-3-8b"))


def counted(model, packed_into_one, extra_per_weight=0.0):
    """The elements of a quantized model's tensors: matrices of the layers packed, all else as it was."""
    matrices = sum(tensor.numel for tensor in weigh.Lora(rank=1).adapted(model))
    return round(model.parameters - matrices + matrices * (1 / packed_into_one + extra_per_weight))


bitsandbytes = counted(seven, packed_into_one=2)  # two codes in a byte; scales are no parameters
w4a16 = counted(eight, packed_into_one=8, extra_per_weight=1 / 128)  # eight in an int32, a scale for 128
# --8<-- [end:predict]

# --8<-- [start:table]
words, others = 78_613_118_976, 9_964_787_842  # U32 and BF16, as the Hub counted them
weights = 4 * words  # eight bits each
mlx = weights + others - 2 * weights // 64  # without a scale and a bias for 64 weights
declared = 314_590_621_012

print("| Model | Shown | Predicted | True |")
print("| --- | ---: | ---: | ---: |")
print(f"| Llama-2-7B, NF4 | 3,540,389,888 | {bitsandbytes:,} | {seven.parameters / 1e9:.2f}B |")
print(f"| Llama-3.1-8B, W4A16 | ~2B | {w4a16:,} | {eight.parameters / 1e9:.2f}B |")
print(f"| 314B MoE, MLX 8-bit | 88,577,906,818 | {words + others:,} | {mlx / 1e9:.2f}B |")
# --8<-- [end:table]

# --8<-- [start:table_claims]
assert bitsandbytes == 3_500_412_928 and round(w4a16 / 1e9) == 2
assert words + others == 88_577_906_818, "What was shown is the sum of the elements"
assert abs(mlx - declared) < 3000, "Unpacked, it is the count that the model's author declares"
# --8<-- [end:table_claims]

# --8<-- [start:rest]
from itertools import product

rest = 3_540_389_888 - bitsandbytes
hidden, inner, layers = 4096, 11_008, 32
found = []
for attention, feed_forward in product(range(5), range(4)):  # how many matrices of each kind
    a_rank = layers * (attention * (hidden + hidden) + feed_forward * (hidden + inner))
    if a_rank and rest % a_rank == 0:
        found.append((rest // a_rank, attention, feed_forward))
print(f"{rest:,} are left over")
for rank, attention, feed_forward in found:
    print(f"adapters of rank {rank} on {attention} + {feed_forward} matrices of a layer, or")
rows, uneven = divmod(rest, 2 * hidden)
print(f"{rows:,} more rows in embedding and head")
# --8<-- [end:rest]

# --8<-- [start:rest_claims]
assert found == [(16, 4, 3)], "Of all adapters, those of rank 16 on all seven matrices, and no others"
assert uneven == 0 and rows % 64, "A larger vocabulary fits too, but is no multiple of 64"
assert rest == sum(tensor.numel for tensor in weigh.Lora(rank=16).adapters(seven))
# --8<-- [end:rest_claims]

# --8<-- [start:pack]
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

BLOCK = 64
tensors = load_file("models/quill/model.safetensors")
packed = dict(tensors)
for name, matrix in tensors.items():
    if ".layers." in name and matrix.ndim == 2:
        blocks = matrix.reshape(-1, BLOCK)
        scales = np.abs(blocks).max(axis=1)
        codes = np.round(blocks / scales[:, None] * 7 + 8).astype(np.uint8)  # 1 to 15
        packed[name] = codes[:, ::2] << 4 | codes[:, 1::2]
        packed[f"{name}.absmax"] = scales
with tempfile.TemporaryDirectory() as folder:
    save_file(packed, path := Path(folder, "model.safetensors"))
    file = weigh.inspect(path)
elements = sum(tensor.numel for tensor in file.named)
quill = weigh.params("models/quill").parameters
# --8<-- [end:pack]

# --8<-- [start:pack_claims]
codes_in_file = sum(tensor.numel for tensor in file.named if tensor.dtype == "uint8")
scales_in_file = 2 * codes_in_file // BLOCK
assert elements + codes_in_file - scales_in_file == quill, "Count each byte twice and no scale: the true number"
assert file.parameters == quill and file.stored_elements == elements, "absmax beside bytes is bitsandbytes' way"
# --8<-- [end:pack_claims]

# --8<-- [start:own]
from weigh.cli import weigh as command

command.main(["params", "models/llama-2-7b"], standalone_mode=False)
print()
code = command.main(["inference", "models/llama-2-7b", "--dtype", "nf4-double"], standalone_mode=False)
# --8<-- [end:own]

# --8<-- [start:problems]
packed_weights = sum(tensor.numel for tensor in weigh.Lora(rank=1).adapted(seven))
shown = counted(seven, packed_into_one=4, extra_per_weight=1 / 128)
assert 1.9e9 < shown < 2e9
# --8<-- [end:problems]
