#!/usr/bin/env bash
# The rows that cleanlab finds in one table of labels and probabilities are taken to be the same on every processor: nothing
# is drawn at random. Its default rule, prune_by_noise_rate, removes so many rows of a class by an unstable sort of margins;
# where many margins are equal, as with votes of ten neighbours, NumPy's routine for the processor picks who is removed.
#
# Seen with cleanlab 2.9.0 and NumPy 2.3.5 on x86: of 600 rows with votes in tenths and one label in ten wrong, the default
# flags other rows without AVX2 and AVX512 than with them. filter_by="confident_learning", which sorts nothing, does not.
set -euo pipefail
if [ "$(uname -m)" != x86_64 ] || ! grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
    echo "needs an x86 processor with AVX2, to compare it with one that has none"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet cleanlab==2.9.0 numpy==2.3.5
cd "$folder"
cat >flag.py <<'PY'
import sys

import numpy as np
from cleanlab.filter import find_label_issues

random = np.random.default_rng(0)
truth = random.integers(0, 3, 600)
labels = np.where(random.random(600) < 0.1, random.integers(0, 3, 600), truth)
votes = np.array([random.multinomial(10, np.where(np.arange(3) == kind, 0.6, 0.2)) for kind in truth]) / 10
for rule in ("prune_by_noise_rate", "confident_learning"):
    np.save(f"{sys.argv[1]}-{rule}.npy", find_label_issues(labels, votes, filter_by=rule, n_jobs=1))
PY
without=$(env/bin/python -c 'import numpy as np
found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
print(*(one for one in found if one.startswith(("AVX", "X86_V3", "X86_V4", "FMA"))))')
env/bin/python flag.py with
NPY_DISABLE_CPU_FEATURES=$without env/bin/python -W ignore flag.py without
env/bin/python - <<'PY'
import numpy as np

differ = {}
for rule in ("prune_by_noise_rate", "confident_learning"):
    one, other = (np.load(f"{way}-{rule}.npy") for way in ("with", "without"))
    differ[rule] = int((one != other).sum())
    print(f"{rule:20} flags {one.sum()} and {other.sum()} of {len(one)} rows; {differ[rule]} are flagged one way only")
assert differ["confident_learning"] == 0
assert differ["prune_by_noise_rate"] > 0
PY
