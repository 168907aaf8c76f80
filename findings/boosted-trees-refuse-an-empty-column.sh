#!/usr/bin/env bash
# Histogram gradient boosting takes missing values as they are, and a column with one value is no obstacle to it. So one
# expects a column in which all values are missing to be ignored, as a decision tree and a forest ignore it: a field that
# was introduced later is such a column in the first folds of a time series.
#
# It stops with an error of NumPy's that names no column: "window shape cannot be larger than input array shape". In
# cross-validation over time the early folds become NaN with a warning, and so does the mean, in a search as well.
#
# Seen with scikit-learn 1.9.1 and NumPy 2.3.5: of five folds of TimeSeriesSplit over 600 rows, with a column that begins
# at row 250, two fail. A random forest fits all five.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet scikit-learn==1.9.1 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import warnings

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

rng = np.random.default_rng(0)
x = rng.normal(size=(600, 2))
answer = (x[:, 0] + rng.normal(size=600) > 0).astype(int)
later = np.where(np.arange(600) < 250, np.nan, rng.normal(size=600))
table = np.column_stack([x, later])

warnings.simplefilter("ignore")
scores = {}
for model in (HistGradientBoostingClassifier(), RandomForestClassifier(50, random_state=0)):
    name = type(model).__name__
    scores[name] = cross_val_score(model, table, answer, cv=TimeSeriesSplit(5), scoring="roc_auc")
    print(name, scores[name].round(2))
    try:
        model.fit(table[:200], answer[:200])
        print("  fitted on rows in which the column is empty")
    except ValueError as error:
        print(f"  ValueError: {error}")
constant = np.column_stack([x, np.ones(600)])
HistGradientBoostingClassifier().fit(constant, answer)
boosted, forest = scores.values()
assert np.isnan(boosted).sum() == 2 and not np.isnan(forest).any()
PY
