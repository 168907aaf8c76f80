#!/usr/bin/env bash
# A probability of 0 for what happened has no finite log loss, so scikit-learn counts it as a small one. One expects that
# keeping the same probabilities in fewer bits leaves the score as it is.
# `log_loss` clips to the epsilon of the array's own dtype: 2.2e-16, 1.2e-7 or 9.8e-4. The fewer the bits, the cheaper a
# certain and wrong answer, and a model is better for being saved in float16.
#
# Seen with scikit-learn 1.9.1: `log_loss([1, 0], [0, 0])` is 18.02 for float64, 7.97 for float32 and 3.5 for float16. A
# model that is certain and right in 19 of 20 rows loses by it to one that always says 0.7 in float64, and wins in float16.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet scikit-learn==1.9.1
cd "$folder"
env/bin/python - <<'PY'
import numpy as np
from sklearn.metrics import log_loss

formats = (np.float64, np.float32, np.float16)
found = [log_loss([1, 0], np.array([0, 0], dtype=kind)) for kind in formats]
for kind, loss in zip(formats, found, strict=True):
    print(f"{kind.__name__}: wrong for certain in one of two rows costs {loss:.1f}")
assert [round(float(loss), 1) for loss in found] == [18.0, 8.0, 3.5]

happened = np.array([1] * 19 + [0])
certain, careful = np.ones(20), np.full(20, 0.7)  # certain is right in 19 of 20 rows
for kind in formats:
    losses = [log_loss(happened, one.astype(kind)) for one in (certain, careful)]
    print(f"{kind.__name__}: certain {losses[0]:.2f}, careful {losses[1]:.2f}")
    assert (losses[0] < losses[1]) == (kind is np.float16), "the dtype decides which model is better"
PY
