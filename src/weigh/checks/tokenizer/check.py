"""Checks of a tokenizer: edge texts and your own through it, and whether it is that of its model."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from weigh.checks.results import CheckReport, CheckResult
from weigh.checks.tokenizer.battery import EDGE_TEXTS, EdgeText, first_text, texts_of
from weigh.checks.tokenizer.boundary import ModelFacts, ids_without_rows, model_facts, silent_cut, special_ids
from weigh.checks.tokenizer.chat import by_transformers, chat_template, two_readers
from weigh.checks.tokenizer.differing import other_ids, other_offsets, other_special_tokens
from weigh.checks.tokenizer.loss import token_loss
from weigh.checks.tokenizer.texts import lost_text, own_texts, unknown_tokens
from weigh.checks.tokenizer.vocabularies import any_tokenizer
from weigh.errors import InvalidSetting, WeighError
from weigh.models.config import load
from weigh.sources import is_directory, is_remote, locate
from weigh.tokenizers.libraries import HuggingFace
from weigh.tokenizers.reading import Tokenizer

_SMALL = 100_000_000
"""The most parameters of a model whose loss is measured: more take longer than a check should."""
_CHARACTERS = 1_000_000


def check_tokenizer(
    path: str | Path,
    *,
    against: str | Path | None = None,
    text: str | Path | None = None,
    most: float = 0.01,
    edge_texts: Iterable[EdgeText] = EDGE_TEXTS,
) -> CheckReport:
    """All checks of a tokenizer that its files allow.

    Edge texts go through it in any case. A directory with a config or weights adds the embedding, the ids of special
    tokens and the limits; one with `tokenizer_config.json` what transformers makes of it, and its chat template; one
    with a small causal language model, and a text, the loss.

    Args:
        path: A model directory, or a tokenizer's file: `tokenizer.json`, SentencePiece, `tekken.json`, GGUF.
        against: A second tokenizer, to be compared text by text.
        text: A text file in UTF-8, one text a line, such as users write.
        most: The share of these texts that may lose something.
        edge_texts: What goes through the tokenizer in any case.

    Raises:
        InvalidSetting: If `most` is no share.
        WeighError: What reading a tokenizer, a config, weights or a text raises.
    """
    if not 0 <= most < 1:
        raise InvalidSetting("most", f"{most:g} is no share: give a number from 0, below 1")
    loaded, every = any_tokenizer(path), tuple(edge_texts)
    other = any_tokenizer(against) if against is not None else None
    facts = model_facts(path)
    results = [unknown_tokens(loaded, every), lost_text(loaded, every)]
    if text is not None:
        results += own_texts(loaded, texts_of(text), most=most)
    if facts.rows is not None:
        results += [ids_without_rows(loaded, facts), special_ids(loaded, facts)]
    if facts.positions is not None or loaded.cut is not None:
        results.append(silent_cut(loaded, facts))
    notes = []
    if facts.settings and isinstance(loaded, HuggingFace) and not is_remote(locate(path)):
        read, said = _by_transformers(path, loaded, every)
        results += read
        notes += said
    if other is not None:
        results += [other_ids(loaded, other, every), other_special_tokens(loaded, other)]
        results.append(other_offsets(loaded, other, every))
        if text is not None:
            results.append(other_ids(loaded, other, _lines(text), what="your texts"))
    if text is not None:
        why = _why_no_loss(path, facts)
        if why is None and facts.rows is not None:
            results.append(token_loss(path, loaded, first_text(text, _CHARACTERS), facts.rows, against=other))
        elif why:
            notes.append(f"no loss is measured: {why}")
    results[0] = replace(results[0], notes=(*results[0].notes, *notes))
    subject = str(path) if against is None else f"{path} → {against}"
    return CheckReport("tokenizer", subject, tuple(results))


def _lines(path: str | Path) -> Iterator[EdgeText]:
    every = chain.from_iterable(texts_of(path))
    return (EdgeText(f"text {number}", line, "") for number, line in enumerate(every, 1))


def _by_transformers(
    path: str | Path, loaded: Tokenizer, every: tuple[EdgeText, ...]
) -> tuple[list[CheckResult], list[str]]:
    try:
        theirs = by_transformers(path)
    except WeighError as error:
        return [], [f"transformers is not asked: {error.problem}"]
    results = [two_readers(loaded, theirs, every)]
    if theirs.chat_template is None:
        return results, []
    try:
        return [*results, *chat_template(path, theirs)], []
    except WeighError as error:
        return results, [error.problem]


def _why_no_loss(path: str | Path, facts: ModelFacts) -> str | None:
    """Why a model's loss is not measured; `None` if it is."""
    where = locate(path)
    if is_remote(where) or not is_directory(where) or facts.parameters is None or not (where / "config.json").is_file():
        return "there is no directory with weights"
    kinds = load(where).fields.get("architectures")
    if not any(
        str(kind).endswith(("ForCausalLM", "LMHeadModel")) for kind in (kinds if isinstance(kinds, list) else [kinds])
    ):
        return "the model is no causal language model"
    if facts.parameters > _SMALL:
        return f"the model has {facts.parameters:,} parameters, more than {_SMALL:,}"
    return None
