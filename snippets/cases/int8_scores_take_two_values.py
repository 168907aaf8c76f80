"""The program of the case "Int8 scores take two values": one scale for pixels and probabilities."""

# --8<-- [start:detector]
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

FRAME = 289  # pixels: the picture of 8 × 8 enlarged
pixels, digit = load_digits(return_X_y=True)
learnt, seen = slice(0, 300), slice(900, None)
model = LogisticRegression(C=10, max_iter=500).fit(pixels[learnt] / 16, digit[learnt])
probabilities = model.predict_proba(pixels[seen] / 16)
answer, score = probabilities.argmax(axis=1), probabilities.max(axis=1)
right = answer == digit[seen]


def box(picture):
    """Left, top, right and bottom of the ink, in pixels of the frame."""
    rows, columns = np.nonzero(picture.reshape(8, 8) > 4)
    ends = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return np.array(ends) * FRAME / 8


boxes = np.stack([box(picture) for picture in pixels[seen]])
output = np.column_stack([boxes, score])  # one tensor, as detectors return it: (897, 5)
# --8<-- [end:detector]


# --8<-- [start:quantize]
def int8(tensor, scale):
    """The numbers that int8 with this scale and a zero point of −128 gives back."""
    stored = np.clip(np.round(tensor / scale) - 128, -128, 127)
    return (stored + 128) * scale


one_scale = output.max() / 255
by_column = np.array([FRAME] * 4 + [1]) / 255
together, apart = int8(output, one_scale), int8(output, by_column)
# --8<-- [end:quantize]

# --8<-- [start:table]
import weigh

named = {"float": output, "int8, one scale": together, "int8, a scale a column": apart}
values = {name: np.unique(table[:, 4]).size for name, table in named.items()}
errors = {name: np.abs(table[:, :4] - boxes).max() for name, table in named.items()}
kept = {name: int((table[:, 4] >= 0.9).sum()) for name, table in named.items()}
print("| Output | Values that a score takes | Scores of 0.9 or more | Largest error of a box, pixels |")
print("| --- | ---: | ---: | ---: |")
for name in named:
    print(f"| {name} | {values[name]:,} | {kept[name]} | {errors[name]:.2f} |")
# --8<-- [end:table]

# --8<-- [start:claims]
REPORTED = 1.1342785  # the one score above 0 that the report names
assert values["int8, one scale"] == 2 and set(np.unique(together[:, 4])) == {0, one_scale}
assert values["int8, a scale a column"] > 50
assert max(errors.values()) < one_scale, "the boxes lose less than a pixel or so, in every format"
assert abs(one_scale - REPORTED) < 0.01
edge = one_scale / 2
above = float((score >= edge).mean())
assert kept["int8, one scale"] == int((score >= edge).sum()) > kept["float"]
# --8<-- [end:claims]

# --8<-- [start:own]
import contextlib
import tempfile

import pandas

from weigh.cli import weigh as command

rows = pandas.DataFrame({"right": right.astype(int), "score": np.minimum(together[:, 4], 1)})
with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    rows.to_csv("scores.csv", index=False)
    arguments = ["check", "calibration", "scores.csv", "--correct", "right", "--confidence", "score"]
    code = command.main(arguments, standalone_mode=False)
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert code == 1
floats = pandas.DataFrame({"right": right.astype(int), "score": score})
fine = pandas.DataFrame({"right": right.astype(int), "score": np.minimum(apart[:, 4], 1)})
error = {
    name: weigh.check_calibration(table, correct="right", confidence="score").results[0].figure.value
    for name, table in (("float", floats), ("apart", fine), ("together", rows))
}
assert error["together"] > error["float"] + 0.05 and abs(error["apart"] - error["float"]) < 0.01
# --8<-- [end:own_claims]

# --8<-- [start:problem]
large = 640 / 255
assert large / 2 > 1
# --8<-- [end:problem]
