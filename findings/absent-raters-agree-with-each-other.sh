#!/usr/bin/env bash
# Ratings with NaN where a rater did not see an item, as pandas has them after a pivot: Fleiss' kappa needs as many ratings
# for each item, so one expects aggregate_raters to refuse NaN, or fleiss_kappa to refuse what comes of it.
# aggregate_raters takes NaN for one more category. Every row then has as many "ratings" as there are raters, nothing
# raises, and two raters who were both absent agree.
#
# Seen with statsmodels 0.15.0 and numpy 2.3.5: 200 items of 5 kinds, rated by 3 of 5 raters each: kappa 0.11, where the
# three ratings of each item give 0.64. Six raters who guess, of whom one saw the first half of the items and all
# saw the second, have 0.24; at every item they have -0.03.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet statsmodels==0.15.0 numpy==2.3.5
cd "$folder"
env/bin/python -W error - <<'PY'
import numpy as np
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

random = np.random.default_rng(0)
kinds = random.integers(0, 5, 200)
ratings = np.where(random.random((200, 5)) < 0.8, kinds[:, None], random.integers(0, 5, (200, 5))).astype(float)
for item in ratings:
    item[random.choice(5, 2, replace=False)] = np.nan
counts, categories = aggregate_raters(ratings)
print("categories:", categories)
with_nan, without = fleiss_kappa(counts), fleiss_kappa(counts[:, :5])
print(f"kappa of three ratings in five columns: {with_nan:.2f}; of the three ratings: {without:.2f}")
assert len(categories) == 6 and np.isnan(categories[-1])
assert with_nan < 0.2 < 0.6 < without

guesses = random.integers(0, 5, (200, 6)).astype(float)
everywhere = fleiss_kappa(aggregate_raters(guesses)[0])
guesses[:100, 1:] = np.nan
half = fleiss_kappa(aggregate_raters(guesses)[0])
print(f"kappa of guesses: {everywhere:.2f}; with five raters absent from half of the items: {half:.2f}")
assert abs(everywhere) < 0.05 and half > 0.2
PY
