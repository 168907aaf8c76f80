#!/usr/bin/env bash
# ChainedScheduler applies several schedulers in each step, so that their factors multiply: a warm-up from a tenth and
# cosine annealing give a warm-up that anneals, never above the rate that was set. Warm restarts of a cosine are taken to
# chain alike. They set the rate anew from a closed form in each step, whatever it was. Last in the chain they undo the
# warm-up, and training begins at the full rate. First in the chain they take away what the warm-up's next factor is
# relative to: in the second step the rate is more than three times the peak. There is no warning either way.
#
# Seen with torch 2.13.0: with a rate of 1, LinearLR from 0.1 over 4 steps and restarts every 8 steps: 1.0, 0.96, 0.85 … with
# the restarts last, 0.1, 3.13, 1.44 … with the restarts first; with CosineAnnealingLR instead 0.1, 0.31, 0.47 … both ways.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import torch
from torch.optim.lr_scheduler import ChainedScheduler, CosineAnnealingLR, CosineAnnealingWarmRestarts, LinearLR


def rates(cosine, warm_up_first):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    makers = [lambda: LinearLR(optimizer, 0.1, total_iters=4), lambda: cosine(optimizer, 8)]
    scheduler = ChainedScheduler([make() for make in (makers if warm_up_first else makers[::-1])])
    seen = []
    for _ in range(8):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    print(f"{cosine.__name__}, warm-up {'first' if warm_up_first else 'last'}:", " ".join(f"{rate:.2f}" for rate in seen))
    return seen


print("torch", torch.__version__)
for warm_up_first in (True, False):
    assert max(rates(CosineAnnealingLR, warm_up_first)) < 0.6, "what one expects: the factors multiply"
assert rates(CosineAnnealingWarmRestarts, True)[0] == 1, "no warm-up at all"
leaping = rates(CosineAnnealingWarmRestarts, False)
assert leaping[0] < 0.11 and leaping[1] > 3, "three times the rate that was set, in the second step"
PY
