"""A causal language model from its directory, as drift needs it: in a batch, with a cache, and no code of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weigh.errors import ContextTooLong, InvalidConfig, InvalidSetting, NotFound
from weigh.optional import needed
from weigh.tokenizers.reading import tokenizer

if TYPE_CHECKING:
    import torch

_EXACT = 100_000_000
"""Up to so many parameters a model computes in float64, where rounding decides no border of a filter."""


class CausalModel:
    """Ids of shape (N, T) → logits of the next token, shape (N, V). While ids only grow, it keeps a cache.

    Args:
        directory: A model directory: `config.json` and weights as safetensors.

    Raises:
        NotFound: If there is no such directory.
        InvalidConfig: If transformers loads no causal language model from it.
        MissingPackage: If torch or transformers is not installed.
    """

    def __init__(self, directory: str | Path) -> None:
        where = Path(directory)
        if not where.is_dir():
            raise NotFound(where, "is no directory; give that of a model")
        with needed(where):
            import torch
            import transformers
        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        safely: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False}
        try:
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **safely)
        except Exception as error:  # transformers has an error of its own for each way
            said = " ".join(str(error).split())[:160] or type(error).__name__
            raise InvalidConfig(where, f"holds no causal language model that transformers loads: {said}") from None
        exact = sum(weight.numel() for weight in model.parameters()) <= _EXACT
        self._model = (model.double() if exact else model).eval()
        self.context: int | None = getattr(self._model.config, "max_position_embeddings", None)
        self._seen: torch.Tensor | None = None
        self._cache: Any = None

    def __call__(self, ids: "torch.Tensor") -> "torch.Tensor":
        """The logits of the next token, shape (N, V)."""
        import torch

        new = ids
        if self._seen is not None:
            known = self._seen.shape[1]
            if known < ids.shape[1] and torch.equal(ids[:, :known], self._seen):
                new = ids[:, known:]
        with torch.no_grad():
            cache = self._cache if new is not ids else None
            output = self._model(input_ids=new, past_key_values=cache, use_cache=True)
        self._seen, self._cache = ids, output.past_key_values
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def summed_losses(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """The loss of each sequence in nats: of every token but its first one, summed. Without a cache."""
        import torch
        from torch.nn.functional import cross_entropy

        longest = max(2, max(map(len, sequences), default=0))
        ids = torch.tensor([[*one, *[0] * (longest - len(one))] for one in sequences])
        there = torch.arange(longest) < torch.tensor([len(one) for one in sequences])[:, None]
        with torch.no_grad():
            logits = self._model(input_ids=ids, attention_mask=there.long(), use_cache=False).logits[:, :-1]
            nats = cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none") * there[:, 1:]
        return [float(total) for total in nats.sum(1)]


@dataclass(frozen=True)
class Contexts:
    """Contexts of a text that a model continues.

    Attributes:
        ids: Shape (N, T).
        decode: From ids to text.
    """

    ids: "torch.Tensor"
    decode: Callable[[Sequence[int]], str]


def contexts_of(directory: str | Path, text: str | Path, count: int, length: int, room: int | None) -> Contexts:
    """Contexts from evenly spaced places of a text, which do not overlap.

    Args:
        directory: The model's, for its tokenizer.
        text: The path of a text in UTF-8 that the model has not read.
        count: How many.
        length: The tokens of each.
        room: The most tokens that a context may have; `None` for no limit.

    Raises:
        NotFound: If there is no such file.
        InvalidSetting: If the text has too few tokens.
        ContextTooLong: If there is no room.
    """
    with needed(directory):
        import torch
    raw = read_text(text)
    if room is not None and length > room:
        raise ContextTooLong(directory, f"has room for contexts of {max(0, room)} tokens, not {length}; ask for fewer")
    words = tokenizer(directory)
    ids = [token.id for token in words.tokens(raw)]
    if count < 1 or length < 1 or len(ids) < count * length:
        problem = f"{count} of {length} tokens are asked for, and the text has {len(ids):,}; ask for fewer"
        raise InvalidSetting(f"{text}, contexts", problem)
    starts = [place * len(ids) // count for place in range(count)]
    return Contexts(torch.tensor([ids[start : start + length] for start in starts]), words.decode)


def read_text(path: str | Path) -> str:
    """A text in UTF-8.

    Raises:
        NotFound: If there is no such file, or it is no such text.
    """
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise NotFound(path, f"cannot be opened: {error.strerror}") from None
    except ValueError:
        raise NotFound(path, "is not text in UTF-8; give one that is") from None
