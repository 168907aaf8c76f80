#!/usr/bin/env bash
# The same tensors with the same metadata, saved as safetensors again and again in one process: the files should be the
# same to the byte, as they are without metadata, so that a hash in a model card or a lock file tells whether weights changed.
#
# Seen with safetensors 0.8.0: with one entry of metadata there is one file, with two there are two, with three six. The
# header has the entries in the order of a hash table that is seeded anew for each save; tensors are sorted. Files are
# equally long, load alike, and differ in SHA-256.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet safetensors==0.8.0 numpy==2.3.5
cd "$folder"
env/bin/python -W error - <<'PY'
import numpy as np
from safetensors.numpy import load, save

tensors = {"weight": np.arange(6, dtype="float32"), "bias": np.ones(3, dtype="float32")}
for entries in (0, 1, 2, 3):
    metadata = {f"key {number}": "value" for number in range(entries)}
    files = {save(tensors, metadata=metadata) for _ in range(200)}
    print(f"{entries} entries of metadata, 200 saves:", len(files), "different files")
    assert len(files) == (1, 1, 2, 6)[entries]
    assert len({len(file) for file in files}) == 1, "equally long"
    assert all(load(file)["weight"].tolist() == tensors["weight"].tolist() for file in files), "and alike"
PY
