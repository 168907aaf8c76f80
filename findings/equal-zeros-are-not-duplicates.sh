#!/usr/bin/env bash
# 0.0 and -0.0 are equal, so one would take them for duplicates, whatever the library that holds the column.
# Arrow compares them as equal and groups them as different. A pandas column goes over to that when its type becomes
# Arrow's: two rows that `==` calls equal and that merge on each other are two distinct values, no duplicates, and not
# `isin` each other. A test row can so miss its twin in training. Arrow's own join misses it too.
#
# Seen with pandas 3.1.1 and pyarrow 26.0.1 (polars 2.1.0 agrees with float64): float64 and Float64 have 1 distinct value,
# double[pyarrow] 2; drop_duplicates keeps 1, 1 and 2 rows (of a
# frame with no other column 1); merge finds 1 pair in each. Nothing is said.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0
cd "$folder"
env/bin/python - <<'PY'
import pandas as pd
import polars as pl
import pyarrow as pa

found = {}
for kind in ("float64", "Float64", "double[pyarrow]"):
    rows = pd.DataFrame({"key": pd.Series([0.0, -0.0], dtype=kind), "value": [1, 1]})
    train, test = rows[:1], rows[1:]
    found[kind] = {
        "equal": bool(rows["key"][0] == rows["key"][1]),
        "distinct": rows["key"].nunique(),
        "kept by drop_duplicates": len(rows.drop_duplicates()),
        "kept with one column": len(rows[["key"]].drop_duplicates()),
        "groups": rows.groupby("key").ngroups,
        "merged": len(train.merge(test, on="key")),
        "isin": bool(test["key"].isin(train["key"]).iloc[0]),
    }
    print(kind, found[kind])
zeros = pa.table({"key": [0.0, -0.0]})
joined = zeros.slice(0, 1).join(zeros.slice(1, 1), "key", join_type="inner").num_rows
print("pyarrow: equal", zeros["key"][0].equals(zeros["key"][1]), "groups", zeros.group_by("key").aggregate([]).num_rows,
      "joined", joined)
print("polars:", pl.DataFrame({"key": [0.0, -0.0]})["key"].n_unique(), "distinct")
same = {"equal": True, "distinct": 1, "kept by drop_duplicates": 1, "kept with one column": 1, "groups": 1}
same |= {"merged": 1, "isin": True}
assert found["float64"] == found["Float64"] == same
assert found["double[pyarrow]"] == same | {"distinct": 2, "kept by drop_duplicates": 2, "groups": 2, "isin": False}
assert joined == 0
PY
