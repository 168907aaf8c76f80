"""Where a tokenizer meets its model: rows of the embedding, ids in configs, the longest text that either takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import NotFound
from weigh.files.inspecting import inspect
from weigh.models.config import load
from weigh.sources import is_directory, locate
from weigh.tensors import Tensor
from weigh.tokenizers.reading import Tokenizer

_EMBEDDINGS = (
    "embed_tokens.weight", "word_embeddings.weight", "wte.weight", "shared.weight", "embed_in.weight",
    "embeddings.weight", "tok_embeddings.weight", "token_embd.weight",
)  # fmt: skip
"""The last two parts of the names of token embeddings, the likelier ones first."""

_COUNTED_FROM_PAD = {
    "camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm", "mpnet",
    "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip
"""Families whose first token has the position after the padding id: of 514 positions, 512 are for tokens."""

_POSITIONS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
_ROLES = ("bos", "eos", "pad", "unk", "sep", "cls", "mask")


@dataclass(frozen=True)
class ModelFacts:
    """What the files beside a tokenizer say of its model.

    Attributes:
        rows: The rows of the embedding; `None` if nothing says how many.
        rows_from: What says it.
        positions: The most tokens that the model has positions for, where it says so.
        parameters: Of the weights, where they are there.
        ids: The ids of special tokens by file and role, as `config.json eos`.
        settings: The fields of `tokenizer_config.json`.
    """

    rows: int | None = None
    rows_from: str = ""
    positions: int | None = None
    parameters: int | None = None
    ids: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def model_facts(path: str | Path) -> ModelFacts:
    """What is known of the model beside a tokenizer: of a directory or a GGUF file all that is there, else nothing.

    Raises:
        InvalidConfig: If a config is no JSON object.
        WeighError: What reading the weights raises.
    """
    where = locate(path)
    if not is_directory(where):
        return _of_gguf(where) if where.suffix == ".gguf" else ModelFacts()
    config = _fields(where / "config.json")
    text = config.get("text_config")
    inner = config | text if isinstance(text, dict) else config
    rows, source = _number(inner.get("vocab_size")), "vocab_size of config.json"
    parameters = None
    try:
        weights = inspect(where)
    except NotFound:
        pass
    else:
        parameters = weights.parameters
        name = embedding_name(weights.named)
        if name is not None:
            rows, source = next(tensor.shape[0] for tensor in weights.named if tensor.name == name), name
    ids = {}
    for file in ("config.json", "generation_config.json"):
        fields = inner if file == "config.json" else _fields(where / file)
        for role in _ROLES:
            said = fields.get(f"{role}_token_id")
            several = said if isinstance(said, list) else [said]
            numbers = tuple(one for one in several if type(one) is int and one >= 0)  # −1 says that there is none
            if numbers:
                ids[f"{file} {role}"] = numbers
    return ModelFacts(rows, source, _positions(inner), parameters, ids, _fields(where / "tokenizer_config.json"))


def embedding_name(tensors: Iterable[Tensor]) -> str | None:
    """The name of the table of token vectors among some tensors; `None` if none is called like one."""
    names = [tensor.name for tensor in tensors if len(tensor.shape) == 2]
    return next((name for end in _EMBEDDINGS for name in names if f".{name}".endswith(f".{end}")), None)


def _positions(config: Mapping[str, Any]) -> int | None:
    """The most tokens that a model has positions for, by its config."""
    found = next((number for name in _POSITIONS if (number := _number(config.get(name)))), None)
    pad = config.get("pad_token_id")
    if found is None or str(config.get("model_type")) not in _COUNTED_FROM_PAD or type(pad) is not int:
        return found
    return _number(found - pad - 1)


def _of_gguf(where: Path) -> ModelFacts:
    weights = inspect(where)
    shapes = {tensor.name: tensor.shape for tensor in weights.named}
    facts = weights.metadata
    rows = shapes.get("token_embd.weight", (None,))[0]
    architecture = facts.get("general.architecture")
    names = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    ids = {
        f"{where.name} {role}": (number,)
        for role, name in names.items()
        if type(number := facts.get(f"tokenizer.ggml.{name}_token_id")) is int
    }
    positions = _number(facts.get(f"{architecture}.context_length"))
    return ModelFacts(rows, "token_embd.weight", positions, weights.parameters, ids)


def _number(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _fields(where: Path) -> dict[str, Any]:
    return dict(load(where).fields) if where.is_file() else {}


def ids_without_rows(loaded: Tokenizer, facts: ModelFacts) -> CheckResult:
    """Ids without rows: tokens of the vocabulary, added ones included, whose id is beyond the embedding.

    Rows without a token are no fault: embeddings are padded to a round number.

    Args:
        loaded: As `weigh.tokenizer` gives it.
        facts: Of its model, from `model_facts`.
    """
    pieces = loaded.pieces()
    rows, last = facts.rows, max(pieces, default=-1)
    beyond = sorted(number for number in pieces if rows is not None and number >= rows)
    counted = float("nan") if rows is None else len(beyond)
    notes = ["no weights and no config say how many rows there are"] if rows is None else []
    if rows is not None and not beyond and rows > last + 1:
        notes.append(f"the last {rows - last - 1:,} of {rows:,} rows have no token, as in a padded embedding")
    return CheckResult(
        check="ids without a row",
        figure=Figure.exact("tokens whose id is beyond the embedding", counted),
        threshold=0,
        reason="such a token stops the model, or reads whatever lies behind the matrix",
        evidence=first({"id": number, "token": pieces[number], "rows": rows} for number in beyond),
        cost={"tokens": len(pieces)},
        notes=(*notes, *([f"rows by {facts.rows_from}"] if rows is not None else [])),
    )


def special_ids(loaded: Tokenizer, facts: ModelFacts) -> CheckResult:
    """Special ids: roles, such as the end of a text, for which two files of a model name different tokens.

    Args:
        loaded: As `weigh.tokenizer` gives it.
        facts: Of its model, from `model_facts`.
    """
    pieces = loaded.pieces()
    numbers = {piece: number for number, piece in pieces.items()} | dict(loaded.special)
    rows, compared = [], 0
    for place, ids in facts.ids.items():
        role = place.rpartition(" ")[2]
        name = facts.settings.get(f"{role}_token")
        name = name.get("content") if isinstance(name, dict) else name
        own = numbers.get(name) if isinstance(name, str) else None
        compared += 1
        missing = [number for number in ids if number not in pieces]
        if (own is not None and own not in ids) or missing:
            said = ", ".join(f"{number} {pieces.get(number, '(no token)')}" for number in ids)
            rows.append({"place": place, "says": said, "tokenizer": f"{own} {name}" if own is not None else "not said"})
    return CheckResult(
        check="special ids",
        figure=Figure.exact("roles with two tokens, or an id that is none", len(rows)),
        threshold=0,
        reason="a model that waits for another end token than it writes does not stop",
        evidence=tuple(rows),
        cost={"ids": compared},
        notes=() if compared else ("no config beside the tokenizer names an id",),
    )


def silent_cut(loaded: Tokenizer, facts: ModelFacts) -> CheckResult:
    """Silent cut: how much of a text as long as the model reads a limit saved in the file leaves out.

    Args:
        loaded: As `weigh.tokenizer` gives it.
        facts: Of its model, from `model_facts`.
    """
    notes: list[str] = []
    evidence: tuple[dict[str, Any], ...] = ()
    positions, lost = facts.positions, 0.0
    if loaded.cut is not None:
        most, side = loaded.cut
        lost = float(max(0, positions - most)) if positions else float("nan")
        end = "beginning" if side.lower() == "left" else "end"
        evidence = ({"kept": most, "of": positions, "lost": f"the {end} of longer texts"},)
    if loaded.padded is not None:
        notes.append(f"the file pads every text to {loaded.padded} tokens: mask them")
    longest = facts.settings.get("model_max_length")
    if isinstance(longest, int | float) and positions and longest != positions:
        said = "no limit" if longest > 1e9 else f"{longest:,.0f} tokens"
        notes.append(f"tokenizer_config.json says {said}, and the model has {positions:,} positions")
    if "truncation_side" in facts.settings:
        notes.append(f"transformers, asked to cut, cuts at the {facts.settings['truncation_side']}")
    return CheckResult(
        check="silent cut",
        figure=Figure.exact("tokens that the file cuts off a text as long as the model reads", lost),
        threshold=0,
        reason="a limit that is saved in the file cuts every text, and nothing says so",
        evidence=evidence,
        notes=tuple(notes),
    )
