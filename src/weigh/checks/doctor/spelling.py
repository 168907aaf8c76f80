"""Whether the embedding knows how its tokens are spelled, which it learned and no other tokenizer of its size fits."""

from typing import TYPE_CHECKING

from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, NotExamined
from weigh.checks.doctor.numbers import stretches
from weigh.checks.results import CheckResult, Figure
from weigh.checks.tokenizer.boundary import embedding_name
from weigh.optional import needed
from weigh.tensors import Contents, Tensor

if TYPE_CHECKING:
    import numpy as np

LEAST = 0.75
"""The area under the curve below which the rows do not know it: 0.5 is chance, and trained models are above 0.95."""

_MARKS = ("Ġ", "▁", "##")
_TOKENS, _WIDTH, _EACH = 4096, 512, 50


def known_spelling(home: ModelDirectory) -> CheckResult:
    """Known spelling: how well the rows of the embedding tell tokens that begin a word from those that go on with one.

    Which of the two a token is decides what it stands beside, so that every trained model has it in its embedding, in
    one direction. Half of the rows find the direction, by ridge regression, and the other half is ranked by it, and
    the other way round. With a tokenizer of another model, or rows that were never trained, the ranking is chance.
    """
    loaded, name = home.tokenizer, embedding_name(home.weights.values())
    if name is None:
        raise NotExamined("no tensor has the name of an embedding")
    tensor = home.weights[name]
    special = set(loaded.special.values())
    pieces = {
        number: piece for number, piece in loaded.pieces().items() if number < tensor.shape[0] and number not in special
    }
    marked = {mark: sum(piece.startswith(mark) for piece in pieces.values()) for mark in _MARKS}
    mark = max(marked, key=lambda each: marked[each])
    if min(marked[mark], len(pieces) - marked[mark]) < _EACH:
        raise NotExamined("its tokens have no mark for the begin of a word")
    ids = sorted(pieces)
    ids = ids[:: max(1, len(ids) // _TOKENS)]
    with needed(home.path):
        import numpy as np
    begins = np.array([pieces[number].startswith(mark) for number in ids])
    scores = _ranked(_rows(home.contents, tensor, ids), begins)
    figure = _area(scores, begins)
    row = Fault("tokenizer", name, f"{figure.value:.2f} of the order is right", "nearly all; 0.5 is chance").row()
    return CheckResult(
        check="known spelling",
        figure=figure,
        threshold=LEAST,
        fault="below",
        reason="an embedding that cannot tell which tokens begin a word belongs to other tokens, or was never trained; "
        "take tokenizer and weights from one place",
        evidence=() if figure.high > LEAST else (row,),
        cost={"rows": len(ids)},
    )


def _rows(contents: Contents, tensor: Tensor, ids: list[int]) -> "np.ndarray":
    """Some rows of a table, of length 1 and with a mean of 0: the first numbers of each, read in stretches."""
    import numpy as np

    width = tensor.shape[1]
    each = max(1, 2**22 // width)
    parts, wanted = [], np.array(ids)
    for number, stretch in enumerate(stretches(contents, tensor, each * width)):
        here = wanted[(wanted >= number * each) & (wanted < (number + 1) * each)] - number * each
        parts.append(stretch.reshape(-1, width)[here, :_WIDTH].astype(float))
    found: np.ndarray = np.nan_to_num(np.concatenate(parts), posinf=0, neginf=0)
    found = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-30)
    centred: np.ndarray = found - found.mean(0)
    return centred


def _ranked(rows: "np.ndarray", begins: "np.ndarray") -> "np.ndarray":
    """The score of each row by what the other half of the rows has learned."""
    import numpy as np

    scores, half = np.empty(len(rows)), np.arange(len(rows)) % 2 == 0
    for learns in (half, ~half):
        x, y = rows[learns], begins[learns].astype(float)
        square = x.T @ x
        ridge = 0.1 * np.trace(square) / len(square) + 1e-12
        scores[~learns] = rows[~learns] @ np.linalg.solve(square + ridge * np.eye(len(square)), x.T @ (y - y.mean()))
    return scores


def _area(scores: "np.ndarray", begins: "np.ndarray") -> Figure:
    """The area under the ROC curve, with its interval by Hanley and McNeil (1982)."""
    import numpy as np

    ones, zeros = int(begins.sum()), int((~begins).sum())
    others = np.sort(scores[~begins])
    below = (np.searchsorted(others, scores[begins], "left") + np.searchsorted(others, scores[begins], "right")) / 2
    area = float(below.sum() / (ones * zeros))
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (ones - 1) * (first - area**2) + (zeros - 1) * (second - area**2)
    reach = 1.96 * (max(variance, 0.0) / (ones * zeros)) ** 0.5
    what = "area under the curve of begins a word, by the embedding"
    return Figure(what, area, max(0.0, area - reach), min(1.0, area + reach), "95 %, Hanley and McNeil")
