#!/usr/bin/env bash
# GaLore keeps the optimizer's state of a projected gradient, so one expects less state with it than without, of each of
# its optimizers. Its Adafactor keeps more: Adafactor has a number for each row and column, of which the projection leaves
# a few out, but the projection itself is kept, rank x the shorter side of numbers. With float32 gradients, as its
# Adafactor casts bfloat16 ones before it projects, that is the whole factor of the decomposition, since the kept matrix
# is a view: then the rank changes nothing.
#
# Seen with galore-torch 1.0, torch 2.13.0 and transformers 5.23.0: of a bfloat16 matrix of 512 x 512 Adafactor keeps
# 4,100 bytes, GaLore's Adafactor 1,050,884 with rank 64 and 1,050,692 with rank 16 (the weights: 524,288).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet galore-torch==1.0 torch==2.13.0 transformers==5.23.0 bitsandbytes==0.50.2 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import io
import zipfile

import torch
from galore_torch import GaLoreAdafactor


def state(**group):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(512, 512).bfloat16())
    optimizer = GaLoreAdafactor([{"params": [weight], **group}])
    weight.grad = torch.randn(512, 512).bfloat16()
    optimizer.step()
    torch.save(optimizer.state_dict(), file := io.BytesIO())
    return sum(each.file_size for each in zipfile.ZipFile(file).infolist() if "/data/" in each.filename)


print("torch", torch.__version__)
galore = {"update_proj_gap": 200, "scale": 0.25, "proj_type": "std"}
sizes = {rank: state(rank=rank, **galore) if rank else state() for rank in (0, 16, 64)}
for rank, size in sizes.items():
    print(f"rank {rank}: {size:,} bytes" if rank else f"without: {size:,} bytes")
weights = 512 * 512 * 2
assert sizes[0] < weights / 100, "Adafactor alone keeps next to nothing"
assert min(sizes[16], sizes[64]) > 2 * weights, "with GaLore it keeps more than the weights"
assert abs(sizes[64] - sizes[16]) < sizes[16] / 100, "and the rank changes nothing"
PY
