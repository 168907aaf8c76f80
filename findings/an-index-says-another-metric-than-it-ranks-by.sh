#!/usr/bin/env bash
# An index that is opened from a file with another metric than it was built by should refuse, or take one of the two and
# say which. usearch takes the file's metric, and goes on saying the one that was asked for. Set on an open index, a metric
# is used and not said either. Its number format and its dimensions are corrected in silence.
#
# Seen with usearch 2.26.6: an index built for the dot product, opened with metric="cos", dtype="i8" and 32 dimensions,
# says MetricKind.Cos, and float32 and 64 as the file has; all its answers are those of the dot product, 1 in 7 of them
# those of the cosine.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet numpy==2.3.5 usearch==2.26.6
cd "$folder"
env/bin/python - <<'PY'
import numpy as np
from usearch.index import Index

random = np.random.default_rng(0)
vectors = (random.normal(size=(2000, 64)) * np.exp(random.normal(0, 0.7, (2000, 1)))).astype(np.float32)
asked = random.normal(size=(200, 64)).astype(np.float32)
products = asked @ vectors.T
by_dot = np.argsort(-products, axis=1)[:, :10]
by_cosine = np.argsort(-products / np.linalg.norm(vectors, axis=1), axis=1)[:, :10]


def shares(index):
    found = index.search(asked, 10, exact=True, threads=1).keys
    return tuple(float((found[:, :, None] == each[:, None]).any(2).mean()) for each in (by_dot, by_cosine))


built = Index(ndim=64, metric="ip", dtype="f32")
built.add(np.arange(2000), vectors, threads=1)
built.save("vectors.usearch")
opened = Index(ndim=32, metric="cos", dtype="i8", path="vectors.usearch")
print("the file:", Index.metadata("vectors.usearch")["kind_metric"])
print("opened:", opened.metric, opened.dtype, opened.ndim)
dot, cosine = shares(opened)
print(f"its answers: {dot:.2f} of those by the dot product, {cosine:.2f} of those by the cosine")
assert opened.metric.name == "Cos" and opened.ndim == 64 and opened.dtype.name == "F32"
assert dot > 0.99 and cosine < 0.4

built.metric = "cos"
dot, cosine = shares(built)
print(f"set to cos: says {built.metric}; {dot:.2f} by the dot product, {cosine:.2f} by the cosine")
assert built.metric.name == "IP" and cosine > 0.99
PY
