"""The loss of a small model on a text, by its own tokenizer and by what may have become of the text or of the ids."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weigh.checks.decoding.language_models import CausalModel
from weigh.checks.results import CheckResult, Figure
from weigh.optional import needed
from weigh.tokenizers.reading import Tokenizer

if TYPE_CHECKING:
    import numpy as np

CHARACTERS = 200
"""The length of a passage: short enough for the shortest context, were every byte a token."""
_WHAT, NAN = "mean loss of a token in nats", float("nan")
_RESAMPLES = 999
_LEAST = 4

CHANGES: Mapping[str, Callable[[str], str]] = {
    "in NFD": lambda text: unicodedata.normalize("NFD", text),
    "white space made one": lambda text: " ".join(text.split()),
    "lowered": str.lower,
    "typographic quotes": lambda text: text.replace("'", "’").replace(' "', " “").replace('"', "”"),
}
"""What pipelines do to a text before a tokenizer sees it."""


@dataclass(frozen=True)
class Loss:
    """The loss of passages.

    Attributes:
        nats: The summed loss of each passage's next tokens, shape (passages,).
        tokens: How many tokens each has that were predicted, shape (passages,).
    """

    nats: "np.ndarray[Any, Any]"
    tokens: "np.ndarray[Any, Any]"

    @property
    def mean(self) -> float:
        """Nats for each token."""
        return float(self.nats.sum() / self.tokens.sum())

    def bits_per_byte(self, size: int) -> float:
        """Bits for each byte of a text of so many bytes, which compares across tokenizers."""
        return float(self.nats.sum() / log(2) / size)


def passages(text: str, count: int = 16) -> list[str]:
    """Passages of a text, evenly spaced, none of them beyond its end; fewer if it is short."""
    room = len(text) // CHARACTERS
    number = min(count, room)
    starts = [place * room // number * CHARACTERS for place in range(number)]
    return [text[start : start + CHARACTERS] for start in starts]


def losses(model: CausalModel, loaded: Tokenizer, texts: list[str], rows: int) -> Loss | None:
    """The loss of a model on texts by a tokenizer; `None` if one of its ids is no row of the model's.

    Passages of more tokens than the model has positions for are cut there.
    """
    import numpy as np

    ids = [found[: model.context] for found in loaded.ids(texts)]
    if any(number >= rows for found in ids for number in found):
        return None
    nats = model.summed_losses(ids)
    return Loss(np.array(nats), np.array([max(0, len(found) - 1) for found in ids]))


def token_loss(
    directory: str | Path, loaded: Tokenizer, text: str, rows: int, *, against: Tokenizer | None = None
) -> CheckResult:
    """Token loss: whether a model does better on a text, by this tokenizer, than a model that knows nothing.

    A model that never learned these ids is sure of itself and wrong: its loss is above ln V, that of equal chances
    for each of V rows. What else may happen to a text is measured on the same passages, as evidence.

    Args:
        directory: A model directory, for a causal language model.
        loaded: The tokenizer.
        text: A text of the model's kind that it has not read.
        rows: The rows of its embedding.
        against: Another tokenizer, measured beside it.

    Raises:
        InvalidConfig: If transformers loads no causal language model from the directory.
        MissingPackage: If torch, transformers or SciPy is not installed.
    """
    with needed(directory):
        import numpy as np
        from scipy.stats import bootstrap
    some = passages(text)
    reason = "a model that gives every token the same chance would do better: not its ids, or no text of its kind"

    def unknown(why: str) -> CheckResult:
        return CheckResult("token loss", Figure(_WHAT, NAN, NAN, NAN, "none"), log(rows), reason, notes=(why,))

    if len(some) < _LEAST:
        return unknown(f"the text has {len(text):,} characters; {_LEAST * CHARACTERS:,} are needed")
    model = CausalModel(directory)
    plain = losses(model, loaded, some, rows)
    if plain is None:
        return unknown("the text has an id beyond the embedding")
    if not plain.tokens.all():
        return unknown("a passage has fewer than two tokens, so none is predicted")
    if not np.isfinite(plain.nats).all():
        return unknown("the model's loss is not finite; its weights may have NaN")
    low, high = bootstrap(
        (plain.nats, plain.tokens), lambda nats, tokens, axis: nats.sum(axis) / tokens.sum(axis), paired=True,
        n_resamples=_RESAMPLES, method="percentile", rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    size = len("".join(some).encode())
    rows_shown = [_row("as it is", plain, size, plain)]
    variants = {name: [change(one) for one in some] for name, change in CHANGES.items()}
    for name, changed in variants.items():
        if changed != some and (found := losses(model, loaded, changed, rows)) is not None:
            rows_shown.append(_row(name, found, size, plain))
    if against is not None:
        found = losses(model, against, some, rows)
        beyond = {"text": "by the other tokenizer", "tokens": None, "bits per byte": None, "times": None}
        rows_shown.append(beyond if found is None else _row("by the other tokenizer", found, size, plain))
    return CheckResult(
        check="token loss",
        figure=Figure(_WHAT, plain.mean, float(low), float(high), "95 %, bootstrap over passages"),
        threshold=log(rows),
        reason=reason,
        evidence=tuple(rows_shown),
        cost={"passages": len(some), "tokens": int(plain.tokens.sum())},
    )


def _row(name: str, found: Loss, size: int, plain: Loss) -> dict[str, Any]:
    bits = found.bits_per_byte(size)
    return {
        "text": name,
        "tokens": int(found.tokens.sum()),
        "bits per byte": round(bits, 3),
        "times": round(bits / plain.bits_per_byte(size), 2),
    }
