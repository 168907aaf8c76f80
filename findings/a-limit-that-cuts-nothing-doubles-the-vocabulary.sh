#!/usr/bin/env bash
# max_features of scikit-learn's text vectorizers limits the vocabulary, and a limit above its size is taken to do nothing.
# It more than doubles the vocabulary's bytes in a pickle: the limit renumbers all words with NumPy integers, each pickled
# as an object of its own. In a skops file each of them becomes a file of its own in the archive.
#
# Seen with scikit-learn 1.9.1, joblib 1.6.0 and skops 0.16.0, 2,000 words: 13 and 29 bytes a word in joblib; in skops
# 429 and 694, and 1 file and 2,001.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet scikit-learn==1.9.1 joblib==1.6.0 skops==0.16.0 numpy==2.3.5 scipy==1.17.1
cd "$folder"
env/bin/python - <<'PY'
import zipfile
from pathlib import Path

import joblib
import skops.io
from sklearn.feature_extraction.text import CountVectorizer

words = [f"word{number}" for number in range(2000)]
sizes = {}
for limit in (None, 100_000):
    vectorizer = CountVectorizer(max_features=limit).fit([" ".join(words)])
    assert len(vectorizer.vocabulary_) == 2000
    joblib.dump(vectorizer.vocabulary_, "vocabulary.joblib")
    skops.io.dump(vectorizer, "vectorizer.skops")
    files = len(zipfile.ZipFile("vectorizer.skops").namelist())
    sizes[limit] = Path("vocabulary.joblib").stat().st_size / 2000, Path("vectorizer.skops").stat().st_size / 2000, files
    kind = type(vectorizer.vocabulary_["word7"]).__name__
    print(f"max_features={limit}: {kind}, joblib {sizes[limit][0]:.0f} and skops {sizes[limit][1]:.0f} bytes a word, {files} files")
assert sizes[100_000][0] > 1.8 * sizes[None][0], "the limit cuts nothing and adds bytes"
assert sizes[100_000][2] >= 2000 > 10 > sizes[None][2], "and a file for each word"
PY
