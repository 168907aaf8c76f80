#!/usr/bin/env bash
# AdaShift is Adam whose second moment is taken from a gradient of some steps ago. So one expects Adam's two moments, and
# a first step that moves the weights. pytorch_optimizer's keeps the last ten gradients of every weight besides, each as
# large as the weight: its state grows for ten steps from 12 to 48 bytes per parameter of float32, six times Adam's, so
# that a run whose first step fits in memory can fail at the tenth. Until then the weights do not move at all: a run of
# ten steps, such as a smoke test, trains nothing and says nothing. The queue is a deque, which
# torch.load(weights_only=True), the default, refuses.
#
# Seen with pytorch_optimizer 4.1.0 and torch 2.13.0: 12, 16, 20 … 48 bytes per parameter; the first step that moves a
# weight is the eleventh. Adam has 8, and moves them in the first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet pytorch_optimizer==4.1.0 torch==2.13.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import io
import pickle

import torch
from pytorch_optimizer import load_optimizer

print("pytorch_optimizer 4.1.0, torch", torch.__version__)


def run(name):
    """Bytes of the saved state per parameter, and whether the weights moved, of twelve steps; and the last file."""
    weight = torch.nn.Parameter(torch.zeros(1000, 100))
    optimizer, sizes, moved = load_optimizer(name)([weight]), [], []
    for _ in range(12):
        before = weight.detach().clone()
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        file = io.BytesIO()
        torch.save(optimizer.state_dict(), file)
        sizes.append(round(file.tell() / weight.numel()))
        moved.append(bool((weight != before).any()))
    file.seek(0)
    return sizes, moved, file


for name in ("adam", "adashift"):
    sizes, moved, _ = run(name)
    print(f"{name}: {sizes} bytes per parameter, first moved in step {moved.index(True) + 1}")
sizes, moved, file = run("adashift")
assert sizes == [12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 48, 48], "it keeps ten gradients"
assert moved.index(True) == 10, "and waits for them"
assert run("adam")[0] == [8] * 12 and all(run("adam")[1])
try:
    torch.load(file)
except pickle.UnpicklingError as error:
    print(str(error).splitlines()[0])
else:
    raise SystemExit("the file loads now")
PY
