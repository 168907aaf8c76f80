#!/usr/bin/env bash
# Twenty shops in a column of categories are taken to cost the same file whatever their numbers are. They do not: LightGBM
# saves, for each split, a bit for every code up to the largest in its set, as decimal text, and XGBoost a list of the codes
# on one side; where that is the side of codes that no row has, all of these are listed (seen in its JSON: with codes in steps
# of 100, 98% of the list). With the same rows, codes in steps of 1,000 instead of 1 give a larger file.
#
# Seen with lightgbm 4.7.0 and xgboost-cpu 3.2.0, 2,000 rows, 20 trees each: LightGBM 13 kB and 75 kB, XGBoost 34 kB and
# 3.0 MB. In steps of 50,000 it is 3.0 MB and 148 MB.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet lightgbm==4.7.0 xgboost-cpu==3.2.0 numpy==2.3.5 scipy==1.17.1
cd "$folder"
env/bin/python - <<'PY'
import json
from pathlib import Path

import lightgbm
import numpy as np
import xgboost

draw = np.random.default_rng(0)
shop = draw.integers(0, 20, 2000)
sales = 2 * np.isin(shop, [1, 4, 5, 9, 13, 17]) + draw.normal(size=2000)
sizes, unseen = {}, {}
for step in (1, 1000):
    table = (shop * step).reshape(-1, 1).astype(float)
    light = lightgbm.Dataset(table, sales, categorical_feature=[0])
    lightgbm.train({"verbose": -1, "num_threads": 1}, light, 20).save_model("model.txt")
    extreme = xgboost.DMatrix(table, sales, feature_types=["c"], enable_categorical=True)
    grown = xgboost.train({"nthread": 1}, extreme, 20)
    grown.save_model("model.ubj")
    trees = json.loads(grown.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    listed = [code for tree in trees for code in tree["categories"]]
    unseen[step] = sum(code % step > 0 for code in listed) / len(listed)
    sizes[step] = [Path(name).stat().st_size for name in ("model.txt", "model.ubj")]
    print(f"codes 0 to {19 * step:>6,}: LightGBM {sizes[step][0]:>9,} bytes, XGBoost {sizes[step][1]:>9,} bytes")
assert sizes[1000][0] > 4 * sizes[1][0], "LightGBM's file grows with the largest code"
assert sizes[1000][1] > 50 * sizes[1][1], "XGBoost's far more"
assert unseen[1] == 0 and unseen[1000] > 0.9, "since it lists codes that no row has"
PY
