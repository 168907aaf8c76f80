#!/usr/bin/env bash
# An index of int8 vectors is taken for a coarser form of the same search: the metric that it is given, on numbers of one
# byte. usearch, given float vectors for an index of dtype "i8", divides each by its own length before it rounds. So an
# index for the dot product or the Euclidean distance ranks by the cosine, and nothing says so.
#
# Seen with usearch 2.26.6: of vectors whose lengths differ, an index for the dot product finds all ten neighbours in
# float32 and 1 in 7 in int8, while the same int8 answers are 94% of the ten neighbours by the cosine. (1, 0) and
# (100, 0) are kept as the same two bytes, 127 and 0.
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
lengths = np.linalg.norm(vectors, axis=1)
products = asked @ vectors.T
nearest = {
    "dot product": np.argsort(-products, axis=1)[:, :10],
    "cosine": np.argsort(-products / lengths, axis=1)[:, :10],
    "distance": np.argsort(lengths**2 - 2 * products, axis=1)[:, :10],
}
shares = {}
for metric, name in (("ip", "dot product"), ("l2sq", "distance")):
    for dtype in ("f32", "f16", "i8"):
        index = Index(ndim=64, metric=metric, dtype=dtype)
        index.add(np.arange(2000), vectors, threads=1)
        found = index.search(asked, 10, exact=True, threads=1).keys
        for by in (name, "cosine"):
            shares[name, dtype, by] = (found[:, :, None] == nearest[by][:, None]).any(2).mean()
        print(f"index for the {name}, {dtype}: {shares[name, dtype, name]:.2f} of its neighbours,",
              f"{shares[name, dtype, 'cosine']:.2f} of those by the cosine")
pair = Index(ndim=2, metric="ip", dtype="i8")
pair.add(np.array([0, 1]), np.array([[1, 0], [100, 0]], dtype=np.float32), threads=1)
print("(1, 0) and (100, 0) are kept as", pair.get(0).tolist(), "and", pair.get(1).tolist())
for name in ("dot product", "distance"):
    assert shares[name, "f32", name] > 0.99 and shares[name, "f16", name] > 0.99
    assert shares[name, "i8", name] < 0.4 and shares[name, "i8", "cosine"] > 0.8, name
assert pair.get(0).tolist() == pair.get(1).tolist()
PY
