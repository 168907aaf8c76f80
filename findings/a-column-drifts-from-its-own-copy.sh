#!/usr/bin/env bash
# Training has a column of tenths in float32, as a feature store keeps it, and production the same values in float64. A
# Kolmogorov-Smirnov test of the one against the other should find nothing: no value is off by more than a ten-millionth,
# and the test is known to look for shifts of a distribution, not for rounding.
#
# Seen with scipy 1.17.1: 2,000 values against their own float32 copy have p = 4e-13, a "drift" of 0.12. The float32
# tenths are a little more or less than those of float64, so all that stands at 0.1 lies on one side of it: the distance
# is the share of the commonest values, however small the step. A column of many different values, such as prices, hides
# it; one of few, as most columns of a form are, shows it. scikit-learn's trees, by which drift is sought too, round to
# float32 first and see nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet numpy==2.3.5 scipy==1.17.1 scikit-learn==1.9.1
cd "$folder"
env/bin/python -W error - <<'PY'
import numpy as np
from scipy.stats import ks_2samp
from sklearn.tree import DecisionTreeClassifier

draw = np.random.default_rng(0)
columns = {"tenths": draw.integers(1, 10, 2000) / 10, "prices": np.round(draw.lognormal(3, 1, 2000), 2)}
for name, column in columns.items():
    copy = column.astype(np.float32)
    found = ks_2samp(column, copy)
    print(f"{name}: greatest change {np.abs(column - copy).max():.0e}, distance {found.statistic:.3f}, p = {found.pvalue:.0e}")
    both, which = np.concatenate([column, copy])[:, None], np.repeat([0, 1], len(column))
    tree = DecisionTreeClassifier(random_state=0).fit(both, which)
    print(f"  a tree tells {tree.score(both, which):.0%} of the rows apart")
    assert tree.score(both, which) == 0.5
    if name == "tenths":
        assert found.pvalue < 1e-9 and found.statistic > 0.1
    else:
        assert found.pvalue > 0.99
same = ks_2samp(columns["tenths"].astype(np.float32), columns["tenths"].astype(np.float32))
print(f"tenths, both in float32: p = {same.pvalue:.0f}")
assert same.pvalue == 1
PY
