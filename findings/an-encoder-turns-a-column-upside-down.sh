#!/usr/bin/env bash
# scikit-learn 1.9 deprecates shuffle and random_state of TargetEncoder, and its warning says to pass a cross-validation
# generator as cv instead. Cross-fitting is there to keep answers out of the encoding, so one expects cv=KFold(5) to do as
# cv=5 does, a little better or worse.
#
# cv=5 shuffles (and stratifies, where the answer is a class). KFold(5) does neither, and on a table that is sorted by its
# answer each fold has one answer: the mean of the others is low where the answer is yes. The encoding of the training
# rows is turned around, that of new rows is not, and the model predicts the contrary, on every new row.
#
# Seen with scikit-learn 1.9.1 on the survey of Fair (1978) as statsmodels 0.15.0 carries it, which is sorted so: the
# rating of the marriage, encoded, has a cross-validated AUC of 0.69 with cv=5 and 0.31 with cv=KFold(5), in outer folds
# that are shuffled and stratified. Nothing is said.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet scikit-learn==1.9.1 statsmodels==0.15.0
cd "$folder"
env/bin/python - <<'PY'
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder
from statsmodels.datasets import fair

table = fair.load_pandas().data
answer = (table["affairs"] > 0).astype(int).to_numpy()
rating = table[["rate_marriage"]].astype(int).astype(str).to_numpy()
assert (np.diff(answer) <= 0).all(), "all who said yes stand first"

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    TargetEncoder(random_state=0).fit_transform(rating, answer)
print(next(str(each.message) for each in said if "TargetEncoder" in str(each.message)))

outer = StratifiedKFold(5, shuffle=True, random_state=0)
found = {}
for cv in (5, KFold(5), StratifiedKFold(5), KFold(5, shuffle=True, random_state=0)):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make_pipeline(TargetEncoder(cv=cv), LogisticRegression())
        found[str(cv)] = cross_val_score(model, rating, answer, cv=outer, scoring="roc_auc").mean()
    print(f"{found[str(cv)]:.3f}  cv={cv}")
default, unshuffled, stratified, shuffled = found.values()
assert min(default, stratified, shuffled) > 0.65 and unshuffled < 0.4
PY
