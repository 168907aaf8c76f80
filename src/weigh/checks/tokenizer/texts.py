"""What a tokenizer does to texts: unknown tokens, lost characters, texts in an unusual Unicode form, forged marks."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tokenizer.battery import EDGE_TEXTS, EdgeText
from weigh.tokenizers.reading import Tokenizer

_MOST_SHOWN = 60
_ALIKE, _LOST = "a model cannot tell apart what has one id", "what is lost before the model, no model can use"

_OWN = {
    "unknown": ("unknown tokens in your texts", "texts with an unknown token", _ALIKE),
    "lost": ("lost text in your texts", "texts that come back changed", _LOST),
    "form": (
        "Unicode form of your texts",
        "texts that have other ids in NFC",
        "what looks the same should be the same to the model: normalise first",
    ),
    "cut": ("cut texts", "texts that the file cuts", "what is cut is lost without a word"),
}
_MARKS = "control"


@dataclass(frozen=True)
class Outcome:
    """What became of a text.

    Attributes:
        ids: Its token ids.
        unknown: How many of them are the unknown token.
        control: Whether a special token was read in it.
        back: What its ids are decoded to.
        kept: Whether that is all that the tokenizer promises to keep.
    """

    ids: Sequence[int]
    unknown: int
    control: bool
    back: str
    kept: bool


def outcomes(loaded: Tokenizer, texts: Sequence[str]) -> list[Outcome]:
    """What a tokenizer makes of texts.

    What it promises to keep is the text after its own normalizer, and without white space where its pre-tokenizer
    throws that away. Special tokens are left out by a decoder, so a text with one is not judged by its way back.
    """
    special = set(loaded.special.values()) - {loaded.unknown}
    found = []
    for text, ids in zip(texts, loaded.ids(texts), strict=True):
        unknown, control = ids.count(loaded.unknown), not special.isdisjoint(ids)  # type: ignore[arg-type]
        back = loaded.decode(ids)
        kept = bool(unknown or control) or _same(loaded, loaded.normalised(text), back)
        found.append(Outcome(ids, unknown, control, back, kept))
    return found


def _same(loaded: Tokenizer, promised: str, back: str) -> bool:
    if not loaded.keeps_spaces:
        return "".join(promised.split()) == "".join(back.split())
    return back in (promised, f" {promised}")  # byte-level decoders leave the space that was put before the first word


def unknown_tokens(loaded: Tokenizer, texts: Iterable[EdgeText] = EDGE_TEXTS) -> CheckResult:
    """Unknown tokens: edge texts of which a part becomes the one id that stands for everything else.

    Args:
        loaded: As `weigh.tokenizer` gives it.
        texts: The texts.
    """
    every = tuple(texts)
    pairs = zip(every, outcomes(loaded, [edge.text for edge in every]), strict=True)
    found = [(edge, one) for edge, one in pairs if one.unknown]
    return CheckResult(
        check="unknown tokens",
        figure=Figure.exact("edge texts with an unknown token", len(found)),
        threshold=0,
        reason=_ALIKE,
        evidence=first(
            (
                {"text": edge.name, "unknown": one.unknown, "tokens": len(one.ids), "why": edge.why}
                for edge, one in sorted(found, key=lambda pair: -pair[1].unknown / len(pair[1].ids))
            ),
            _MOST_SHOWN,
        ),
        cost={"texts": len(every)},
        notes=() if loaded.unknown is not None else ("there is no unknown token",),
    )


def lost_text(loaded: Tokenizer, texts: Iterable[EdgeText] = EDGE_TEXTS) -> CheckResult:
    """Lost text: edge texts that do not come back, though the tokenizer's own normalizer keeps them.

    What the normalizer changes, such as case and accents, and what a pre-tokenizer on words throws away, is declared
    in the file: it is a note. Texts with unknown tokens are counted by `unknown_tokens`.

    Args:
        loaded: As `weigh.tokenizer` gives it.
        texts: The texts.
    """
    every = tuple(texts)
    found = outcomes(loaded, [edge.text for edge in every])
    lost = [(edge, one) for edge, one in zip(every, found, strict=True) if not one.kept]
    return CheckResult(
        check="lost text",
        figure=Figure.exact("edge texts that come back changed", len(lost)),
        threshold=0,
        reason=_LOST,
        evidence=first(
            ({"text": edge.name, "was": edge.text, "comes back": one.back, "why": edge.why} for edge, one in lost),
            _MOST_SHOWN,
        ),
        cost={"texts": len(every)},
        notes=tuple(_declared(loaded, every)),
    )


def _declared(loaded: Tokenizer, every: Sequence[EdgeText]) -> list[str]:
    notes = []
    same = [loaded.normalised(edge.text) == edge.text for edge in every]
    changed = [edge.name for edge, kept in zip(every, same, strict=True) if not kept]
    if changed:
        such = ", ".join(changed[:3])
        notes.append(f"its normalizer changes {len(changed)} of {len(every)} texts, as the file declares: {such}")
    if not loaded.keeps_spaces:
        notes.append("its pre-tokenizer throws white space away, so no code or table comes back")
    forms = [loaded.ids([unicodedata.normalize(form, edge.text) for edge in every]) for form in ("NFC", "NFD")]
    apart = sum(one != other for one, other in zip(*forms, strict=True))
    if apart:
        notes.append(f"{apart} of {len(every)} texts have other ids in NFD than in NFC: normalise before you encode")
    marks = [name for name, number in loaded.special.items() if number != loaded.unknown]
    read = [name for name, ids in zip(marks, loaded.ids(marks), strict=True) if loaded.special[name] in ids]
    if read:
        notes.append(f"{len(read)} of {len(marks)} special tokens are read where a text writes them out, as {read[0]}")
    return notes


def own_texts(loaded: Tokenizer, texts: Iterable[Sequence[str]], *, most: float = 0.01) -> tuple[CheckResult, ...]:
    """Own texts: a sample of what users write, through the tokenizer, with the share of texts that lose something.

    Each share has Wilson's interval, for other texts will come. Special tokens that are written out in a text are
    counted: one is enough to end a document where nobody meant it.

    Args:
        loaded: As `weigh.tokenizer` gives it.
        texts: Lists of texts, such as `texts_of` gives them.
        most: The share of texts that may be at fault.

    Raises:
        MissingPackage: If SciPy is not installed.
    """
    seen, tokens = 0, 0
    counts = dict.fromkeys((*_OWN, _MARKS), 0)
    shown: dict[str, list[dict[str, Any]]] = {name: [] for name in counts}
    for some in texts:
        for number, (text, one) in enumerate(zip(some, outcomes(loaded, some), strict=True), seen + 1):
            tokens += len(one.ids)
            faults = {
                "unknown": one.unknown > 0,
                "lost": not one.kept,
                "form": _other_form(loaded, text, one.ids),
                "cut": loaded.cut is not None and len(one.ids) > loaded.cut[0],
                _MARKS: one.control,
            }
            for name, there in faults.items():
                counts[name] += there
                if there and len(shown[name]) < _MOST_SHOWN // 6:
                    shown[name].append({"text": number, "begins": text[:40], "comes back": one.back[:40]})
        seen += len(some)
    cost = {"texts": seen, "tokens": tokens}
    results = [
        CheckResult(
            check=check,
            figure=Figure.share(f"share of {what}", counts[name], seen),
            threshold=most,
            reason=f"{reason}; {most:.3g} of the texts may",
            evidence=tuple(shown[name]),
            cost=cost,
        )
        for name, (check, what, reason) in _OWN.items()
        if not (name == "unknown" and loaded.unknown is None) and not (name == "cut" and loaded.cut is None)
    ]
    marks = CheckResult(
        check="special tokens in your texts",
        figure=Figure.exact("texts in which a special token is read", counts[_MARKS]),
        threshold=0,
        reason="a mark that a user wrote ends a document or a turn; encode such text as text alone",
        evidence=tuple(shown[_MARKS]),
        cost=cost,
    )
    return (*results, marks)


def _other_form(loaded: Tokenizer, text: str, ids: Sequence[int]) -> bool:
    if unicodedata.is_normalized("NFC", text):
        return False
    return loaded.ids([unicodedata.normalize("NFC", text)])[0] != list(ids)
