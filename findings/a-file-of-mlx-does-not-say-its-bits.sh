#!/usr/bin/env bash
# A quantized file is expected to say how many weights it holds: the number format of its codes does for int8, a shape
# beside them for bitsandbytes and compressed-tensors. MLX packs codes into words of 32 bits and keeps the bits and the
# size of a group in config.json alone. Four bits in groups of 64 and eight in groups of 32 take as many words to a scale.
#
# Seen with mlx 0.32.4: a matrix of 64 x 512 in 4 bits and one of 64 x 256 in 8 bits are files with one header, byte for
# byte, and of one size. Read with the other's settings, one file gives a matrix of another shape, and no error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "mlx[cpu]==0.32.4"
cd "$folder"
env/bin/python - <<'PY'
import struct
from pathlib import Path

import mlx.core as mx


def save(name, inputs, bits, group):
    """A random matrix of 64 rows, quantized and saved. Gives the header of its file, and its size."""
    matrix = mx.random.normal((64, inputs), key=mx.random.key(0)).astype(mx.bfloat16)
    weight, scales, biases = mx.quantize(matrix, group_size=group, bits=bits)
    mx.save_safetensors(name, {"weight": weight, "scales": scales, "biases": biases}, {"format": "mlx"})
    data = Path(name).read_bytes()
    return data[8 : 8 + struct.unpack("<Q", data[:8])[0]], len(data)


four, eight = save("four.safetensors", 512, 4, 64), save("eight.safetensors", 256, 8, 32)
print("one header and one size:", four == eight, "-", four[1], "bytes of", 64 * 512, "or", 64 * 256, "weights")
assert four == eight

stored = mx.load("four.safetensors")
for bits, group in ((4, 64), (8, 32)):
    read = mx.dequantize(stored["weight"], stored["scales"], stored["biases"], group_size=group, bits=bits)
    print(f"the first file, read as {bits} bits in groups of {group}:", read.shape)
    assert read.shape == (64, 2048 // bits)
PY
