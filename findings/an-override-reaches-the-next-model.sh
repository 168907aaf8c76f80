#!/usr/bin/env bash
# bitsandbytes can be told to keep the 8-bit optimizer state of one module, usually the embedding, in 32 bits. One expects
# that to end with the model. The override is kept for the whole process, by the place of the parameter in its optimizer:
# a second model that never had an override gets 32 bits for whatever stands first in it, such as a matrix of a layer. So in
# a notebook or a search over settings the second run needs more memory than the first, and a checkpoint's size depends on
# what ran before.
#
# Seen with bitsandbytes 0.50.2 and torch 2.13.0, on a CPU: the state of a 256 x 256 matrix by AdamW8bit takes 131,072 bytes,
# and 524,288 after another model's table had an override and was deleted.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet bitsandbytes==0.50.2 torch==2.13.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import bitsandbytes
import torch
from bitsandbytes.optim import AdamW8bit, GlobalOptimManager


def moments(module):
    optimizer = AdamW8bit(module.parameters())
    for weight in module.parameters():
        weight.grad = torch.randn_like(weight)
    optimizer.step()
    return sum(state[name].nbytes for state in optimizer.state.values() for name in ("state1", "state2"))


def matrix():
    return torch.nn.Linear(256, 256, bias=False)


print("bitsandbytes", bitsandbytes.__version__, "torch", torch.__version__)
before = moments(matrix())
table = torch.nn.Embedding(1000, 64)
GlobalOptimManager.get_instance().register_module_override(table, "weight", {"optim_bits": 32})
overridden = moments(table)
del table
after = moments(matrix())
print(f"a matrix: {before:,} bytes; another model's table in 32 bits: {overridden:,}; such a matrix after it: {after:,}")
assert before == 2 * 256 * 256, "a byte for each moment"
assert overridden == 2 * 4 * 1000 * 64, "the override holds for the table"
assert after == 4 * before, "and for a matrix of the next model, which had none"
PY
