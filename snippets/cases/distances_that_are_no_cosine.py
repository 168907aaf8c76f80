"""The program of the case "Distances that are no cosine": squared lengths taken for it, and vectors of many lengths."""

# --8<-- [start:vectors]
from pathlib import Path

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

play = Path("models/quill/held-out.txt").read_text("utf-8")
passages = [part for part in play.split("\n\n") if len(part) > 60]
words = TfidfVectorizer(norm=None, sublinear_tf=True).fit_transform(passages)
raw = TruncatedSVD(64, algorithm="arpack", random_state=0).fit_transform(words)
unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
lengths = np.linalg.norm(raw, axis=1)
# --8<-- [end:vectors]

# --8<-- [start:distances]
cosine = unit @ unit.T
squared = ((unit[:, None] - unit[None, :]) ** 2).sum(axis=2)
assert np.allclose(squared, 2 - 2 * cosine, atol=1e-9)  # of unit vectors, exactly
REPORTED = 0.7111215591430664
meant, read = 1 - REPORTED / 2, 1 - REPORTED
# --8<-- [end:distances]


# --8<-- [start:table]
def neighbours(scores, count=10):
    """The best of each row, itself left out."""
    scores = scores.copy()
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def overlap(a, b):
    return float(np.mean([len(set(x) & set(y)) / len(x) for x, y in zip(a, b, strict=True)]))


def l2(queries, stored):
    return 2 * queries @ stored.T - (stored**2).sum(axis=1)  # ranks as minus the squared distance does


wanted = neighbours(cosine)
stores = {
    "normalised, by cosine": cosine,
    "normalised, by L2": l2(unit, unit),
    "normalised, by dot product": unit @ unit.T,
    "not normalised, by cosine": cosine,
    "not normalised, by L2": l2(raw, raw),
    "not normalised, by dot product": raw @ raw.T,
    "queries normalised, stored not, by L2": l2(unit, raw),
}
share = {name: overlap(wanted, neighbours(scores)) for name, scores in stores.items()}
print("| Vectors, and the index's metric | Right of ten |")
print("| --- | ---: |")
for name, value in share.items():
    print(f"| {name} | {value:.0%} |")
# --8<-- [end:table]

# --8<-- [start:claims]
assert min(list(share.values())[:4]) > 0.999, "of unit vectors all three metrics rank alike"
assert max(list(share.values())[4:]) < 0.8
assert share["queries normalised, stored not, by L2"] < share["not normalised, by L2"]
favoured = np.bincount(neighbours(stores["queries normalised, stored not, by L2"])[:, 0], minlength=len(raw))
shortest = float(np.median(lengths[favoured > 0]) / np.median(lengths))
assert shortest < 0.5, "what a unit query finds is short"
# --8<-- [end:claims]

# --8<-- [start:own]
import contextlib
import tempfile

from weigh.cli import weigh as command

with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    np.save("stored.npy", raw.astype(np.float32))
    np.save("today.npy", unit.astype(np.float32))
    arguments = ["check", "embeddings", "stored.npy", "--new", "today.npy", "--metric", "l2", "--normalised", "--json"]
    with open("report.json", "w") as file, contextlib.redirect_stdout(file):
        code = command.main(arguments, standalone_mode=False)
    import json

    found = json.loads(Path("report.json").read_text())
for result in found["results"]:
    print(f"{result['check']}: {result['finding']}")
assert code == 1
# --8<-- [end:own]
