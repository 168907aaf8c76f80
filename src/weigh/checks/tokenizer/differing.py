"""Two tokenizers on the same texts: other ids, other special tokens, the same ids at other places of the text."""

from collections.abc import Iterable
from itertools import islice

from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tokenizer.battery import EDGE_TEXTS, EdgeText
from weigh.tokenizers.reading import Tokenizer

_MOST_SHOWN, _AT_ONCE = 20, 4096


def other_ids(
    a: Tokenizer, b: Tokenizer, texts: Iterable[EdgeText] = EDGE_TEXTS, *, what: str = "edge texts"
) -> CheckResult:
    """Other ids: texts that two tokenizers give different ids.

    Args:
        a: The one tokenizer, that of the model.
        b: The other.
        texts: The texts, as many as one likes.
        what: What they are called.
    """
    names = a.pieces(), b.pieces()
    shared = sum(names[1].get(number) == piece for number, piece in names[0].items())
    rows: list[dict[str, object]] = []
    seen = apart = 0
    every = iter(texts)
    while some := list(islice(every, _AT_ONCE)):
        written = [edge.text for edge in some]
        for edge, one, other in zip(some, a.ids(written), b.ids(written), strict=True):
            if one != other:
                apart += 1
                if len(rows) < _MOST_SHOWN:
                    rows.append(_first_apart(edge, (one, other), names))
        seen += len(some)
    return CheckResult(
        check=f"other ids in {what}",
        figure=Figure.exact(f"{what} with other ids", apart),
        threshold=0,
        reason="an id is a row of the embedding, so another id is another word",
        evidence=tuple(rows),
        cost={"texts": seen},
        notes=(f"{shared:,} of {len(names[0]):,} ids stand for the same token in both",),
    )


def _first_apart(
    edge: EdgeText, ids: tuple[list[int], list[int]], names: tuple[dict[int, str], dict[int, str]]
) -> dict[str, object]:
    shortest = min(map(len, ids))
    at = next((place for place in range(shortest) if ids[0][place] != ids[1][place]), shortest)
    there = [
        f"{each[at]} {pieces.get(each[at], '')}" if at < len(each) else "–"
        for each, pieces in zip(ids, names, strict=True)
    ]
    counts = {"text": edge.name, "tokens of A": len(ids[0]), "of B": len(ids[1])}
    return counts | {"first that differs in A": there[0], "in B": there[1]}


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
