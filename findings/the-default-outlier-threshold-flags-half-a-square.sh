#!/usr/bin/env bash
# An outlier detector left at its defaults is taken to call a few odd rows outliers, and hardly any where the rows are all
# alike. scikit-learn's IsolationForest has a fixed threshold for the score (contamination="auto"), and where scores lie
# depends on the shape and the number of columns: it calls half of a uniform square outliers, a sixth of a round cloud in
# two columns, and nobody of the same cloud in thirty.
#
# Seen with scikit-learn 1.9.1: 400 rows, seeds 0 to 4, medians 48 % (uniform, 2 columns), 18 % (normal, 2), 0 % (normal, 30).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet scikit-learn==1.9.1 numpy==2.3.5 scipy==1.17.1
cd "$folder"
env/bin/python - <<'PY'
import numpy as np
import sklearn
from sklearn.ensemble import IsolationForest

print("scikit-learn", sklearn.__version__)


def flagged(draw):
    shares = []
    for seed in range(5):
        rows = draw(np.random.default_rng(seed))
        shares.append((IsolationForest(random_state=seed).fit_predict(rows) == -1).mean())
    return float(np.median(shares))


square = flagged(lambda random: random.uniform(size=(400, 2)))
cloud = flagged(lambda random: random.normal(size=(400, 2)))
wide = flagged(lambda random: random.normal(size=(400, 30)))
print(f"uniform, 2 columns:  {square:.0%} called outliers")
print(f"normal, 2 columns:   {cloud:.0%}")
print(f"normal, 30 columns:  {wide:.0%}")
assert square > 0.4, "half of a uniform square"
assert 0.1 < cloud < 0.3, "a sixth of a cloud in the plane"
assert wide < 0.02, "and none of the cloud in thirty columns"
PY
