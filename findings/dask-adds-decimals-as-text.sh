#!/usr/bin/env bash
# dask.dataframe runs pandas partition by partition, so the sum of a column should be pandas' sum.
# A column of decimal.Decimal is of dtype object, and Dask turns object columns into text on the way in, by default and
# without a word. Their sum is then one long text, the maximum is the last in the alphabet, and 1.0 and 1.00 are two values.
#
# Seen with dask 2026.8.0 and pandas 3.1.1: prices 1.0, 1.00 and 10.5 add up to 12.50 in pandas and to "1.01.0010.5" in Dask;
# with 9.0 in place of 1.00 the maximum is 10.5 and "9.0".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet "dask[dataframe]==2026.8.0" pandas==3.1.1 pyarrow==26.0.1
cd "$folder"
env/bin/python - <<'PY'
from decimal import Decimal

import dask.dataframe as dd
import pandas as pd

prices = pd.Series([Decimal("1.0"), Decimal("1.00"), Decimal("10.5")])
larger = pd.Series([Decimal("1.0"), Decimal("9.0"), Decimal("10.5")])


def lazy(series):
    return dd.from_pandas(pd.DataFrame({"price": series}), npartitions=2)["price"]


print("pandas:", repr(prices.sum()), prices.nunique(), "distinct, at most", repr(larger.max()))
total, distinct, most = (one.compute() for one in (lazy(prices).sum(), lazy(prices).nunique(), lazy(larger).max()))
print("Dask:  ", repr(total), distinct, "distinct, at most", repr(most))
assert (prices.sum(), prices.nunique(), larger.max()) == (Decimal("12.50"), 2, Decimal("10.5"))
assert (total, distinct, most) == ("1.01.0010.5", 3, "9.0")
PY
