#!/usr/bin/env bash
# Answers with confidences of 0.5, 0.6, 0.7, 0.8 and 0.9, as people and language models say them, and ten buckets: one
# value falls into each, in float64 and in float32, and the reliability diagram is the same. It is not, since the borders
# are float64: 0.6 in float32 is a little more than the border 0.6, and 0.7 a little less than 0.7, so that they share
# a bucket, as 0.8 and 0.9 do. Errors of opposite sign cancel there.
#
# Seen with scikit-learn 1.9.1 and numpy 2.3.5: calibration_curve gives five points in float64 and three in float32, and
# the calibration error of a model that swaps 0.6 and 0.7 falls from 0.04 to 0.00. Nothing warns.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet scikit-learn==1.9.1 numpy==2.3.5
cd "$folder"
env/bin/python -W error - <<'PY'
import numpy as np
from sklearn.calibration import calibration_curve

told = np.repeat([0.5, 0.6, 0.7, 0.8, 0.9], 1000)
accuracy = np.repeat([0.5, 0.7, 0.6, 0.8, 0.9], 1000)
right = np.tile(np.arange(1000) / 1000, 5) < accuracy
errors = {}
for kind in (np.float64, np.float32):
    of_bucket, confidence = calibration_curve(right, told.astype(kind), n_bins=10)
    rows = [1000 if abs(one - round(10 * one) / 10) < 1e-3 else 2000 for one in confidence]
    errors[kind] = float(np.average(abs(of_bucket - confidence), weights=rows))
    print(f"{kind.__name__}: points at {np.round(confidence, 2).tolist()}, calibration error {errors[kind]:.3f}")
assert errors[np.float64] > 0.03
assert errors[np.float32] < 0.01
PY
