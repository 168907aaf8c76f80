#!/usr/bin/env bash
# A mean loss does not depend on how many rows have the same loss. On a CPU, PyTorch's cross_entropy of float16 logits is
# right up to 65,519 rows, and exactly 0 from 65,520 rows on: 256 texts of 256 tokens that the model knows nothing of have
# a perfect loss. The number of rows is turned into float16 before it divides, and is infinite there. No row overflows,
# nothing is NaN, and nothing warns; with twice as many rows the sum is infinite too, and the loss is NaN. The mean of
# reduction="none" is right, as is bfloat16, to its two or three digits.
#
# Seen with torch 2.13.0 on a CPU: two equally probable classes give 0.6953 at 65,519 rows (ln 2 = 0.6931), 0.0 at 65,520
# and at 65,536, NaN at 131,072; the mean of the single losses is 0.6934 at each. Gradients, at 65,536 rows, are all 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import math

import torch
from torch.nn import functional as F

print("torch", torch.__version__)


def losses(rows, dtype):
    """The mean loss of two equally probable classes, by cross_entropy and as the mean of the single losses."""
    logits, labels = torch.zeros(rows, 2, dtype=dtype), torch.zeros(rows, dtype=torch.long)
    single = F.cross_entropy(logits, labels, reduction="none")
    return float(F.cross_entropy(logits, labels)), float(single.mean())


found = {}
for dtype in (torch.float32, torch.bfloat16, torch.float16):
    for rows in (65_519, 65_520, 65_536, 131_072):
        found[dtype, rows] = mean, of_single = losses(rows, dtype)
        print(f"{str(dtype):14} {rows:7,} rows: cross_entropy {mean:.4f}, mean of the single losses {of_single:.4f}")
        assert abs(of_single - math.log(2)) < 0.01
        if dtype != torch.float16 or rows == 65_519:
            assert abs(mean - math.log(2)) < 0.01

assert found[torch.float16, 65_520][0] == found[torch.float16, 65_536][0] == 0.0
assert math.isnan(found[torch.float16, 131_072][0])

logits = torch.zeros(65_536, 2, dtype=torch.float16, requires_grad=True)
F.cross_entropy(logits, torch.zeros(65_536, dtype=torch.long)).backward()
print("gradients that are not 0, at 65,536 rows:", int((logits.grad != 0).sum()))
assert not logits.grad.any()
PY
