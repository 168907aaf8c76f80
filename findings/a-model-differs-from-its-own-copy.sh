#!/usr/bin/env bash
# McNemar's test of two models that are right on the same rows, as a student is that copied its teacher: no row tells them
# apart, so one expects a p-value of 1, or NaN, or an error.
# With the chi-squared form (exact=False) and its continuity correction, which is the default then, it is 0: the
# corrected difference of 0 is -1, its square 1, and 1 / 0 rows is infinite. Only a division warning is given. Without the
# correction it is NaN, and the exact form says 1.
#
# Seen with statsmodels 0.15.0, numpy 2.3.5 and pandas 2.3.3: p = 0.0, statistic inf.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet statsmodels==0.15.0 numpy==2.3.5 pandas==2.3.3
cd "$folder"
env/bin/python -W ignore - <<'PY'
import numpy as np
from statsmodels.stats.contingency_tables import mcnemar

both_right, both_wrong = 900, 100
table = [[both_right, 0], [0, both_wrong]]
exact, corrected = mcnemar(table), mcnemar(table, exact=False)
plain = mcnemar(table, exact=False, correction=False)
for name, found in (("exact", exact), ("corrected", corrected), ("uncorrected", plain)):
    print(f"{name}: statistic {found.statistic}, p = {found.pvalue}")
assert exact.pvalue == 1
assert corrected.pvalue == 0 and np.isinf(corrected.statistic)
assert np.isnan(plain.pvalue)
PY
