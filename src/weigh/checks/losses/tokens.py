"""Checks of the losses of tokens: what their mean weighs, which labels it leaves out, whether labels are in place."""

import math
from typing import Any

from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tables import complete, numbers, read, subject
from weigh.errors import InvalidSetting, InvalidTable
from weigh.optional import needed

IGNORED = -100
"""The label that PyTorch's and transformers' losses leave out."""

_FEWEST = 20
_MOST_RESAMPLES = 100_000
_LARGEST = 1e150  # the square of a larger number is none


def token_and_sequence_mean(
    table: Any,
    sequence: str,
    token_loss: str,
    *,
    label: str | None = None,
    ignore: int = IGNORED,
    threshold: float = 0.05,
    resamples: int = 400,
    seed: int = 0,
) -> CheckResult:
    """Token mean and mean of sequence means: how far apart the two are.

    In the first each token counts the same, in the second each sequence, so that a token of a short one counts for
    more. A mean of the means of micro-batches is of the second kind: then name the column of micro-batches.

    Args:
        table: A path or a frame with a row for each token, as `check_losses` takes it.
        sequence: The column of sequences or micro-batches.
        token_loss: The column of losses, in nats.
        label: The column of labels; tokens whose label is `ignore` are left out.
        ignore: That label.
        threshold: The distance that matters, in nats.
        resamples: How many bootstrap resamples of sequences.
        seed: Of the resamples.

    Raises:
        InvalidTable: If a column is missing or cannot be used, or all labels are ignored.
    """
    settled(threshold, resamples)
    names, number, loss, _ = _tokens(table, sequence, token_loss, label, ignore)
    import numpy as np

    counts, sums = np.bincount(number), np.bincount(number, loss)
    means = sums / counts

    def apart(drawn: Any, axis: int) -> Any:
        return means[drawn].mean(axis) - sums[drawn].sum(axis) / counts[drawn].sum(axis)

    by_token, by_sequence = sums.sum() / counts.sum(), means.mean()
    found = float(by_sequence - by_token)
    low, high, few = _interval(found, apart, len(names), resamples, seed)
    if low < 0 < high:
        low, high = 0.0, max(-low, high)
    low, high = sorted((abs(low), abs(high)))
    weight = counts.sum() / len(names) / counts
    moved = np.argsort(-np.abs((weight - 1) * counts * (means - by_token)), kind="stable")
    heaviest = f"a token of the shortest sequence counts {counts.max() / counts.min():.3g} times one of the longest"
    return CheckResult(
        check="token mean and sequence mean",
        figure=Figure("distance of the two, nats", abs(found), low, high, "95 %, bootstrap over sequences"),
        threshold=threshold,
        reason="0.05 nats make a perplexity of 20 one of 21, which would pass for a better model",
        evidence=first(
            {
                "sequence": names[i].item(),
                "tokens": int(counts[i]),
                "mean loss": float(means[i]),
                "weight of its tokens": float(weight[i]),
            }
            for i in moved
        ),
        cost={"tokens": len(loss), "sequences": len(names), "resamples": resamples},
        notes=(
            f"token mean {by_token:.4g}, mean of sequence means {by_sequence:.4g}; in the second {heaviest}",
            *few,
        ),
    )


def ignored_labels(table: Any, token_loss: str, label: str, *, ignore: int = IGNORED) -> CheckResult:
    """Ignored labels that count: rows whose label is to be left out, and which have a loss.

    A loss that leaves a label out gives its row exactly 0, and a mean must not count that 0 either: the notes have
    the mean with it and without.

    Args:
        table: A path or a frame with a row for each token, as `check_losses` takes it.
        token_loss: The column of losses.
        label: The column of labels.
        ignore: The label to be left out.

    Raises:
        InvalidTable: If a column is missing or cannot be used.
    """
    frame = read(table, [token_loss, label])
    loss, labels = numbers(frame, table, token_loss), numbers(frame, table, label)
    import numpy as np

    is_ignored = labels == ignore
    counted = np.flatnonzero(is_ignored & (loss != 0))
    left = loss[~is_ignored]
    kept = f"mean loss {left.mean():.4g} without them" if len(left) else "no label is left: such a batch has no mean"
    return CheckResult(
        check="ignored labels",
        figure=Figure.exact(f"rows labelled {ignore} with a loss", len(counted)),
        threshold=0,
        reason="a loss that leaves a label out gives it exactly 0",
        evidence=first({"row": int(i) + 1, "label": int(labels[i]), "loss": float(loss[i])} for i in counted[:10]),
        cost={"rows": len(loss)},
        notes=(
            f"{is_ignored.sum():,} of {len(loss):,} labels are {ignore}: {kept}, {loss.mean():.4g} with their rows",
        ),
    )


def shifted_labels(
    table: Any,
    sequence: str,
    token_loss: str,
    label: str,
    *,
    ignore: int = IGNORED,
    resamples: int = 400,
    seed: int = 0,
) -> CheckResult:
    """Shifted labels: whether the model does worse than one that knows only how often each label occurs.

    A trained model that sees labels a place off does: it is sure of something else. What is known of how often a
    label occurs comes from the other sequences, with one added to each count. Labels that were off in training too
    cannot be found so, nor can a model in its first steps be told from one with shifted labels.

    Args:
        table: A path or a frame with a row for each token, as `check_losses` takes it.
        sequence: The column of sequences.
        token_loss: The column of losses, in nats.
        label: The column of labels.
        ignore: The label to be left out.
        resamples: How many bootstrap resamples of sequences.
        seed: Of the resamples.

    Raises:
        InvalidTable: If a column is missing or cannot be used, there is one sequence, or all labels are ignored.
    """
    names, number, loss, labels = _tokens(table, sequence, token_loss, label, ignore)
    if len(names) < 2:
        raise InvalidTable(subject(table), f"column {sequence!r} names one sequence; two or more are needed")
    import numpy as np

    tokens, kind = np.unique(labels, return_inverse=True)
    counts = np.bincount(number)
    within = np.unique(kind * len(names) + number, return_inverse=True)[1]
    own = np.bincount(within)[within]
    seen = np.bincount(kind)[kind] - own + 1
    of = len(loss) - counts[number] + len(tokens)
    known = np.log(of / seen)
    worse, sums = np.bincount(number, loss - known), np.bincount(number, loss)

    def above(drawn: Any, axis: int) -> Any:
        return worse[drawn].sum(axis) / counts[drawn].sum(axis)

    found = float(worse.sum() / counts.sum())
    low, high, few = _interval(found, above, len(names), resamples, seed)
    return CheckResult(
        check="shifted labels",
        figure=Figure("loss above that of label frequencies, nats", found, low, high, "95 %, bootstrap over sequences"),
        threshold=0,
        reason="a model that reads its context does better than one that knows only how often each label occurs",
        evidence=first(
            {
                "sequence": names[i].item(),
                "tokens": int(counts[i]),
                "loss": float(sums[i] / counts[i]),
                "of frequencies": float((sums - worse)[i] / counts[i]),
            }
            for i in np.argsort(-worse / counts, kind="stable")
        ),
        cost={"tokens": len(loss), "sequences": len(names), "resamples": resamples},
        notes=(
            f"loss {loss.mean():.4g}, of frequencies {known.mean():.4g}; a model in its first steps is near ln V",
            *few,
        ),
    )


def settled(threshold: float, resamples: int, cut: float | None = None) -> None:
    """Refuse settings that no table could mend.

    Raises:
        InvalidSetting: If the threshold or the cut is no number, or resamples are too few or too many.
    """
    rules = {
        "threshold": (math.isfinite(threshold), "is a finite number"),
        "cut": (cut is None or math.isfinite(cut), "is a finite number"),
        "resamples": (2 <= resamples <= _MOST_RESAMPLES, f"are 2 to {_MOST_RESAMPLES:,}"),
    }
    for name, (is_kept, rule) in rules.items():
        if not is_kept:
            raise InvalidSetting(name, rule)


def moderate(where: str, column: str, values: Any) -> None:
    """Refuse numbers so large that their squares and sums are infinite.

    Raises:
        InvalidTable: If there is one, with the first row where it is.
    """
    import numpy as np

    wrong = np.flatnonzero(np.abs(values) > _LARGEST)
    if len(wrong):
        found = f"row {wrong[0] + 1} of column {column!r} is {values[wrong[0]]:g}"
        raise InvalidTable(where, f"{found}, whose square is infinite; drop such rows or scale the column")


def _tokens(table: Any, sequence: str, token_loss: str, label: str | None, ignore: int) -> tuple[Any, Any, Any, Any]:
    """Names of sequences, and the sequence number, the loss and the label of each token that is not left out."""
    with needed(subject(table)):
        import numpy as np

        from weigh.checks.losses.paired import numbered
    frame = read(table, [sequence, token_loss, *([label] if label else [])])
    loss = numbers(frame, table, token_loss)
    moderate(subject(table), token_loss, loss)
    names, number = numbered(subject(table), sequence, complete(frame, table, sequence))
    labels = numbers(frame, table, label) if label else np.zeros(len(loss))
    kept = labels != ignore if label else np.ones(len(loss), dtype=bool)
    if not kept.any():
        raise InvalidTable(subject(table), f"all labels of column {label!r} are {ignore}; such a batch has no mean")
    present, number = np.unique(number[kept], return_inverse=True)
    return names[present], number, loss[kept], labels[kept]


def _interval(
    found: float, statistic: Any, sequences: int, resamples: int, seed: int
) -> tuple[float, float, tuple[str, ...]]:
    """A 95 % interval over sequences; where they are too few, none, and a note."""
    from weigh.checks.losses.paired import standard_error

    if sequences < _FEWEST:
        return float("nan"), float("nan"), (f"{sequences} sequences are too few for an interval; {_FEWEST} are needed",)
    error = 1.96 * standard_error(statistic, sequences, resamples, seed)
    return found - error, found + error, ()
