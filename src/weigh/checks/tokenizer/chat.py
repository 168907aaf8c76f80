"""What transformers makes of a tokenizer's directory: the ids that the file gives, and its chat template."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from weigh.checks.results import CheckResult, Figure, first
from weigh.checks.tokenizer.battery import EDGE_TEXTS, EdgeText
from weigh.errors import InvalidTokenizer
from weigh.optional import needed
from weigh.tokenizers.reading import Tokenizer

_HONEST = "What is the square root of two?"


def by_transformers(directory: str | Path) -> Any:
    """The tokenizer of a directory as transformers loads it, which runs no code of the directory's.

    Raises:
        InvalidTokenizer: If it loads none.
        MissingPackage: If transformers is not installed.
    """
    with needed(directory):
        import transformers
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        return transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers has an error of its own for each way
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise InvalidTokenizer(directory, f"is no tokenizer that transformers loads: {said}") from None


def two_readers(loaded: Tokenizer, other: Any, texts: Iterable[EdgeText] = EDGE_TEXTS) -> CheckResult:
    """Two readers: texts that transformers encodes or decodes otherwise than the file's own library.

    Args:
        loaded: As `weigh.tokenizer` gives it.
        other: As `by_transformers` gives it.
        texts: The texts.
    """
    every = tuple(texts)
    rows = []
    for edge, ids in zip(every, loaded.ids([edge.text for edge in every]), strict=True):
        theirs = other.encode(edge.text, add_special_tokens=False)
        ours, back = loaded.decode(ids), other.decode(ids, skip_special_tokens=True)
        if list(theirs) != ids or ours != back:
            what = "ids" if list(theirs) != ids else "decoded text"
            rows.append({"text": edge.name, "differs": what, "by the file": ours, "by transformers": back})
    return CheckResult(
        check="two readers",
        figure=Figure.exact("edge texts that transformers reads otherwise than the file says", len(rows)),
        threshold=0,
        reason="a model is trained by one reader and served by the other",
        evidence=first(rows),
        cost={"texts": len(every)},
        notes=(f"transformers loads it as {type(other).__name__}",),
    )


def chat_template(directory: str | Path, other: Any) -> tuple[CheckResult, ...]:
    """Chat template: ids that appear when its text is encoded again, and marks that a user can write.

    Rendered to ids, a template adds its own marks. Rendered to text and encoded, as many servers do, it also gets what
    the tokenizer adds to every text, such as a second begin of the document. It is rendered in the sandbox of
    transformers.

    Args:
        directory: What to call it in an error.
        other: As `by_transformers` gives it.

    Raises:
        InvalidTokenizer: If the template cannot be rendered.
    """
    chat = _chat(_HONEST)
    try:
        ids = other.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        again = other(other.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)).input_ids
        marks = {number: token.content for number, token in other.added_tokens_decoder.items() if token.special}
        honest, forged = (
            _marks(other.apply_chat_template(_chat(text), return_dict=False), marks)
            for text in (_HONEST, " ".join([_HONEST, *marks.values()]))
        )
    except Exception as error:  # those of Jinja, of the template's own making, of the tokenizer
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise InvalidTokenizer(directory, f"has a chat template that cannot be rendered: {said}") from None
    names = other.convert_ids_to_tokens
    added = list((Counter(again) - Counter(ids)).elements())
    twice = CheckResult(
        check="chat template",
        figure=Figure.exact("tokens by which its text, encoded again, differs from its ids", _distance(ids, again)),
        threshold=0,
        reason="no chat that the model has seen begins twice; encode with add_special_tokens=False",
        evidence=(
            {"way": "to ids", "begins with": " ".join(names(ids[:4]))},
            {"way": "to text, then encoded", "begins with": " ".join(names(again[:4]))},
        ),
        cost={"tokens": len(ids)},
        notes=(f"added: {', '.join(names(added))}",) if added else (),
    )
    read = list(forged - honest)
    forgeable = CheckResult(
        check="forged marks",
        figure=Figure.exact("special tokens that a user's message can write", len(read)),
        threshold=0,
        reason="who can write the mark of a turn can speak as somebody else; encode messages as text alone",
        evidence=first({"mark": name} for name in read),
        cost={"marks": len(marks)},
    )
    return twice, forgeable


def _chat(question: str) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": "Good morning."},
        {"role": "assistant", "content": "Good morning!"},
        {"role": "user", "content": question},
    ]


def _marks(ids: Iterable[int], marks: Mapping[int, str]) -> Counter[str]:
    """How often each mark was read."""
    return Counter(marks[number] for number in ids if number in marks)


def _distance(one: list[int], other: list[int]) -> int:
    """How many tokens are in the one and not in the other, each as often as it is."""
    a, b = Counter(one), Counter(other)
    return ((a - b) + (b - a)).total() or int(one != other)
