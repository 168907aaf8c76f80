"""A text in its tokens, as HTML: a span for each, with its id and bytes on hover, and all of them in a folded table."""

from collections.abc import Collection, Iterable
from html import escape
from typing import Protocol

_SHOWN = {" ": "·", "\n": "↵\n", "\t": "→", "\r": "␍", "\u200d": "⁃"}


class Token(Protocol):
    """What is shown of a token: see `weigh.Token`."""

    @property
    def id(self) -> int:
        """The token id."""

    @property
    def piece(self) -> str:
        """The token as its vocabulary spells it."""

    @property
    def start(self) -> int:
        """Its first character in the text."""

    @property
    def end(self) -> int:
        """The character after its last."""


def token_spans(title: str, text: str, tokens: Iterable[Token], unknown: int | None = None, note: str = "") -> str:
    """Draw a text, token by token.

    Args:
        title: Which tokenizer it is.
        text: The text that was encoded.
        tokens: Its tokens. Text that no token covers is shown crossed out: the model does not see it.
        unknown: The id that stands for whatever the vocabulary cannot spell.
        note: What to say under it.
    """
    raw, at = text.encode(), 0
    spans, rows = [], []
    for number, token in enumerate(tokens, start=1):
        if lost := raw[at : token.start].decode(errors="replace"):
            spans.append(f"<del>{_visible(lost)}</del>")
        at = max(at, token.end)
        covered = raw[token.start : token.end]
        shown, kinds = _label(covered, token.piece, token.id == unknown)
        written = covered.hex(" ")
        about = f"id {token.id}, bytes {written}" if covered else f"id {token.id}, no bytes"
        spans.append(f'<span class="{kinds}" title="{about}">{shown}</span>')
        cells = (number, token.id, f"<code>{_visible(token.piece)}</code>", f"<code>{written}</code>")
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    if lost := raw[at:].decode(errors="replace"):
        spans.append(f"<del>{_visible(lost)}</del>")
    head = "".join(f'<th scope="col">{name}</th>' for name in ("no.", "id", "piece", "bytes"))
    count = f"{len(rows):,} token{'s' if len(rows) != 1 else ''}"
    return (
        f'<figure class="tokens"><figcaption><b>{escape(title)}</b>: {count}</figcaption>'
        f'<p dir="auto">{"".join(spans)}</p>'
        + (f'<p class="tokens__note">{escape(note)}</p>' if note else "")
        + f"<details><summary>Ids and bytes</summary><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></details></figure>"
    )


def token_line(tokens: Iterable[bytes], strong: Collection[bytes] = ()) -> str:
    """Tokens in a line, without ids. Those that it is about have a strong frame."""
    spans = []
    for token in tokens:
        shown, kinds = _label(token, "", False)
        if token in strong:
            shown, kinds = f"<mark>{shown}</mark>", f"{kinds} token--strong"
        spans.append(f'<span class="{kinds}">{shown}</span>')
    return f'<p dir="auto">{"".join(spans)}</p>'


def _label(covered: bytes, piece: str, is_unknown: bool) -> tuple[str, str]:
    """What stands in the span, and its classes."""
    if is_unknown or not covered:
        return _visible(piece), f"token token--{'unknown' if is_unknown else 'added'}"
    try:
        return _visible(covered.decode()), "token"
    except UnicodeDecodeError:  # a part of a character
        return covered.hex(" "), "token token--bytes"


def _visible(text: str) -> str:
    return escape("".join(_SHOWN.get(character, character) for character in text))
