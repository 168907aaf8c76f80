"""Two tokenizers on the same texts: other ids, other special tokens, the same ids at other places of the text."""

from collections.abc import Iterable

from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tokenizer.battery import EDGE_TEXTS, EdgeText
from weigh.tokenizers.reading import Tokenizer

_MOST_SHOWN = 20


def other_ids(a: Tokenizer, b: Tokenizer, texts: Iterable[EdgeText] = EDGE_TEXTS) -> CheckResult:
    """Other ids: texts that two tokenizers give different ids.

    Args:
        a: The one tokenizer, that of the model.
        b: The other.
        texts: The texts.
    """
    every = tuple(texts)
    pairs = list(zip(every, a.ids([e.text for e in every]), b.ids([e.text for e in every]), strict=True))
    apart = [(edge, one, other) for edge, one, other in pairs if one != other]
    names = a.pieces(), b.pieces()
    shared = sum(names[1].get(number) == piece for number, piece in names[0].items())

    def row(edge: EdgeText, one: list[int], other: list[int]) -> dict[str, object]:
        at = next((n for n, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), min(len(one), len(other)))
        one_there, other_there = (
            f"{ids[at]} {pieces.get(ids[at], '')}" if at < len(ids) else "–"
            for ids, pieces in zip((one, other), names, strict=True)
        )
        counts = {"text": edge.name, "tokens of A": len(one), "of B": len(other)}
        return counts | {"first that differs in A": one_there, "in B": other_there}

    return CheckResult(
        check="other ids",
        figure=Figure.exact("edge texts with other ids", len(apart)),
        threshold=0,
        reason="an id is a row of the embedding, so another id is another word",
        evidence=first((row(*each) for each in apart), _MOST_SHOWN),
        cost={"texts": len(every)},
        notes=(f"{shared:,} of {len(names[0]):,} ids stand for the same token in both",),
    )


def other_special_tokens(a: Tokenizer, b: Tokenizer) -> CheckResult:
    """Other special tokens: marks that only one of two tokenizers has, or that have another id in it.

    Args:
        a: The one tokenizer, that of the model.
        b: The other.
    """
    names = dict.fromkeys([*a.special, *b.special])
    rows = [
        {"token": name, "id in A": a.special.get(name), "id in B": b.special.get(name)}
        for name in names
        if a.special.get(name) != b.special.get(name)
    ]
    return CheckResult(
        check="other special tokens",
        figure=Figure.exact("special tokens with another id", len(rows)),
        threshold=0,
        reason="a mark with another id is no mark to the model",
        evidence=first(rows, _MOST_SHOWN),
        cost={"special tokens": len(names)},
    )


def other_offsets(a: Tokenizer, b: Tokenizer, texts: Iterable[EdgeText] = EDGE_TEXTS) -> CheckResult:
    """Other offsets: texts that get the same ids, but at other bytes of the text.

    Args:
        a: The one tokenizer, that of the model.
        b: The other.
        texts: The texts.
    """
    rows, compared = [], 0
    for edge in texts:
        one, other = a.tokens(edge.text), b.tokens(edge.text)
        if [token.id for token in one] != [token.id for token in other]:
            continue
        compared += 1
        apart = [(x, y) for x, y in zip(one, other, strict=True) if (x.start, x.end) != (y.start, y.end)]
        if apart:
            x, y = apart[0]
            rows.append(
                {"text": edge.name, "token": x.piece, "in A": f"{x.start}–{x.end}", "in B": f"{y.start}–{y.end}"}
            )
    return CheckResult(
        check="other offsets",
        figure=Figure.exact("edge texts with the same ids at other places", len(rows)),
        threshold=0,
        reason="what marks a span of the text, such as a name or an answer, marks another one",
        evidence=first(rows, _MOST_SHOWN),
        cost={"texts with the same ids": compared},
    )
