#!/usr/bin/env bash
# Krippendorff's alpha of star ratings, one to five, at the interval level: it should not depend on the integer type that
# holds the stars. krippendorff subtracts the values in their own type before it squares the difference as a float. In
# uint8, the type that small ratings shrink to, 1 − 2 is 255, so one star less counts 65,025 times as much as one more.
#
# Seen with krippendorff 0.9.0 and numpy 2.3.5: two raters who are never more than a star apart have 0.87 in int64 and
# 0.34 in uint8, as at the nominal level; uint16 and uint32 are alike. Nothing warns. Lists and int64 are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet krippendorff==0.9.0 numpy==2.3.5
cd "$folder"
env/bin/python -W error - <<'PY'
import krippendorff
import numpy as np

random = np.random.default_rng(0)
stars = random.integers(1, 6, 500)
other = np.clip(stars + random.integers(-1, 2, 500), 1, 5)
both = np.array([stars, other])
found = {
    kind: krippendorff.alpha(both.astype(kind), level_of_measurement="interval")
    for kind in ("int64", "float64", "int8", "uint8", "uint16", "uint32")
}
nominal = krippendorff.alpha(both, level_of_measurement="nominal")
print(", ".join(f"{kind} {alpha:.2f}" for kind, alpha in found.items()), f"; nominal {nominal:.2f}")
assert krippendorff.alpha(both.tolist(), level_of_measurement="interval") == found["int64"]
assert found["int64"] == found["float64"] == found["int8"] > 0.8
assert max(found[kind] for kind in ("uint8", "uint16", "uint32")) < 0.5
PY
