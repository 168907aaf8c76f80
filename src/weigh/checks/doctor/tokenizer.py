"""Whether the tokenizer is that of the model: ids, rows, special tokens, and its several spellings in files."""

from collections.abc import Iterator, Mapping
from typing import Any

from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.checks.tokenizer.boundary import ids_without_rows, special_ids
from weigh.tokenizers.reading import FILES

_ROLES = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
PADDED = 0.1
"""The share of rows that padding may leave without a token: of known models none leaves a fiftieth, and a small one
that is padded to a multiple of 64 leaves at most 63."""


def vocabulary(home: ModelDirectory) -> CheckResult:
    """Vocabulary: tokens beyond the embedding, far more rows than tokens, a config that says another number of rows."""
    loaded, facts = home.tokenizer, home.facts
    if facts.rows is None:
        raise NotExamined("neither a config nor weights say how many rows there are")
    beyond = ids_without_rows(loaded, facts)
    name = next(name for name in FILES if home.holds(name))
    faults = [
        Fault(name, f"token {row['token']!r}", f"id {row['id']:,}", f"below {facts.rows:,}, by {facts.rows_from}")
        for row in beyond.evidence
    ]
    unused = facts.rows - max(loaded.pieces(), default=-1) - 1
    if unused > max(63, PADDED * facts.rows):
        tokens = f"{facts.rows - unused:,} tokens"
        faults.append(Fault(name, "the vocabulary", tokens, f"about {facts.rows:,}, by {facts.rows_from}"))
    said = home.config.get("vocab_size") if home.holds("config.json") else None
    if type(said) is int and said != facts.rows:
        faults.append(Fault("config.json", "vocab_size", f"{said:,}", f"{facts.rows:,}, by {facts.rows_from}"))
    return counted(
        "tokens without a row, and rows without a token",
        faults,
        "an id beyond the embedding stops the model, and far fewer tokens are another model's; take the tokenizer that "
        "was published with the weights",
        cost={"tokens": len(loaded.pieces()), "rows": facts.rows},
        notes=[f"{int(beyond.figure.value):,} tokens are beyond it"] if len(beyond.evidence) > 9 else [],
    )


def special_tokens(home: ModelDirectory) -> CheckResult:
    """Special tokens: roles for which two files name two tokens, or an id that is none."""
    loaded, facts = home.tokenizer, home.facts
    found = special_ids(loaded, facts)
    faults = [
        Fault(row["place"].split(" ")[0], f"{row['place'].split(' ')[1]}_token_id", row["says"], row["tokenizer"])
        for row in found.evidence
    ]
    mapped = home.fields("special_tokens_map.json")
    for role in _ROLES:
        one, other = (_content(fields.get(role)) for fields in (mapped, facts.settings))
        if one is not None and other is not None and one != other:
            faults.append(Fault("special_tokens_map.json", role, one, f"{other}, as in tokenizer_config.json"))
    spelled = set(loaded.pieces().values()) | set(loaded.special)
    faults += [
        Fault("tokenizer_config.json", role, f"{name}, which is no token", "a token of the tokenizer")
        for role in _ROLES
        if (name := _content(facts.settings.get(role))) and name not in spelled
    ]
    if not found.cost["ids"] and not facts.settings and not mapped:
        raise NotExamined("no file beside the tokenizer names one")
    return counted(
        "special tokens that two files name differently",
        faults,
        "a model that waits for another end than it writes does not stop; let all files name one",
        cost={**found.cost, "special tokens": len(loaded.special)},
    )


def spellings(home: ModelDirectory) -> CheckResult:
    """Spellings: a vocabulary that lies there twice, as `tokenizer.json` and in the older files, and differs."""
    older = [name for name in ("vocab.json", "vocab.txt", "merges.txt", "tokenizer.model") if home.holds(name)]
    if not any(home.holds(name) for name in FILES):
        raise NotExamined("there is no tokenizer file")
    if not home.holds("tokenizer.json") or not older:
        raise NotExamined("the vocabulary is in one file alone")
    pieces = {piece: number for number, piece in home.tokenizer.pieces().items()}
    fields = home.object("tokenizer.json")
    added = {each.get("content") for each in fields.get("added_tokens") or [] if isinstance(each, dict)}
    faults: list[Fault] = []
    for name in older:
        if name == "merges.txt":
            faults += _merges(home.text(name), fields)
            continue
        theirs = list(_older(home, name))
        faults += [
            Fault(name, f"token {piece!r}", number, pieces.get(piece, "no such token, as in tokenizer.json"))
            for piece, number in theirs
            if pieces.get(piece) != number
        ]
        if name != "tokenizer.model":  # which leaves out what its library adds
            faults += [
                Fault(name, f"token {piece!r}", "no such token", f"{pieces[piece]}, as in tokenizer.json")
                for piece in sorted(pieces.keys() - added - {piece for piece, _ in theirs}, key=pieces.__getitem__)
            ]
    return counted(
        "tokens that two files of the tokenizer number differently",
        faults,
        "one library reads the one file, another the other, and the model was trained on one; delete what is not its",
        cost={"tokens": len(pieces), "files": 1 + len(older)},
    )


def _older(home: ModelDirectory, name: str) -> Iterator[tuple[str, Any]]:
    """The tokens of an older file, with their ids."""
    if name == "vocab.json":
        yield from home.object(name).items()
    elif name == "vocab.txt":
        lines = home.text(name).split("\n")
        yield from ((line.rstrip("\r"), number) for number, line in enumerate(lines[: -1 if not lines[-1] else None]))
    else:
        home.object("tokenizer.json")  # sound, as the other must be
        yield from ((piece, number) for number, piece in home.tokenizer_in(name).pieces().items())


def _merges(text: str, fields: Mapping[str, Any]) -> list[Fault]:
    """The first merge in which `merges.txt` and `tokenizer.json` differ."""
    model = fields.get("model")
    found = model.get("merges") if isinstance(model, dict) else None
    ours = [each if isinstance(each, str) else " ".join(map(str, each)) for each in found or []]
    theirs = [line for line in text.splitlines() if line and not line.startswith("#version")]
    if ours == theirs:
        return []
    pairs = enumerate(zip(ours, theirs, strict=False))
    at, (one, other) = next(
        ((at, pair) for at, pair in pairs if pair[0] != pair[1]),
        (min(len(ours), len(theirs)), (f"{len(ours):,} merges", f"{len(theirs):,} merges")),
    )
    return [Fault("merges.txt", f"merge {at:,}", other, f"{one}, as in tokenizer.json")]


def _content(token: Any) -> str | None:
    """How a special token is spelled, which may be said in an object of its own."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None
