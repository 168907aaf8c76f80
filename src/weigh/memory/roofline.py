"""How fast can it be at best? A bound from the bytes that have to be moved and the operations that have to be done.

A device moves so many bytes and does so many operations in a second. Whichever of the two takes longer is a time that
no program can beat (Williams et al. 2009, "Roofline"); real ones take longer. Only what is certain is counted: the
weights that are needed are read once, the cache is read or written once, the matrices are multiplied with every token,
and attention is done with every token that it looks at. Norms, activations and everything between are left out.
"""

from dataclasses import dataclass
from typing import Literal

from weigh.errors import WeighError
from weigh.memory.inference import Serving
from weigh.models.caches import KeyValue, Latent, Vectors
from weigh.models.matrices import known_experts, lm_head, matrices, read_text
from weigh.models.parameters import Model


@dataclass(frozen=True, slots=True)
class Bound:
    """A roofline bound: the least seconds that some work can take on a device.

    Attributes:
        bytes_moved: The bytes that are read or written.
        flops: The operations, two for a multiplication with its addition.
        seconds: The least time.
        limited_by: What takes it: `memory` or `compute`.
        tokens_per_second: The most tokens of all sequences together.
    """

    bytes_moved: int
    flops: int
    seconds: float
    limited_by: Literal["memory", "compute"]
    tokens_per_second: float


def decode_bound(
    model: Model,
    *,
    bandwidth: float,
    flops: float,
    dtype: str = "bfloat16",
    context: int | None = None,
    batch: int = 1,
    kv_dtype: str | None = None,
) -> Bound:
    """The roofline bound of a decoding step, which adds a token to each sequence.

    Args:
        model: What `weigh.params` counted: a decoder.
        bandwidth: Bytes that the device's memory moves in a second.
        flops: Operations that the device does in a second in the format of the computation.
        dtype, context, batch, kv_dtype: As for `inference`; `context` are the tokens before this one.

    Raises:
        ContextTooLong: If there are more tokens than the model has learned positions for.
        WeighError: If the model does not generate, or has an encoder, or a size is not positive.
    """
    serving = Serving(model, dtype, kv_dtype)
    return _bound(serving, serving.tokens(context), 1, batch, bandwidth, flops)


def prefill_bound(
    model: Model,
    *,
    bandwidth: float,
    flops: float,
    dtype: str = "bfloat16",
    context: int | None = None,
    batch: int = 1,
    kv_dtype: str | None = None,
) -> Bound:
    """The roofline bound of a prefill: to read prompts of `context` tokens and score the vocabulary after each.

    The arguments and errors are those of `decode_bound`.
    """
    serving = Serving(model, dtype, kv_dtype)
    return _bound(serving, 0, serving.tokens(context), batch, bandwidth, flops)


def experts_touched(used: int, count: int, tokens: int) -> float:
    """The experts of a layer that at least one of some tokens is expected to pass through.

    Each token is taken to choose `used` of `count` experts evenly and by itself, so that an expert is left out with
    probability (1 - used / count)^tokens.
    """
    return count * (1 - (1 - used / count) ** tokens)


Experts = tuple[int, int]
"""How many experts of a layer a token passes through, and how many there are."""


def bytes_read(serving: Serving) -> tuple[list[int], list[tuple[int, Experts]]]:
    """The bytes of each weight that every step reads, of the layers and the head, and of each one of experts.

    Raises:
        WeighError: If nobody says how many experts a token passes through.
    """
    model, head = serving.model, lm_head(serving.model)
    always, routed = [], []
    text = {tensor.name for tensor in read_text(model, model.distinct)}
    for one in serving.weights:
        if one.tensor.name not in text:
            continue
        if one.tensor.experts:
            routed.append((one.nbytes, known_experts(model, one.tensor)))
        elif one.tensor.layer is not None or (head and one.tensor.name == head.storage):
            always.append(one.nbytes)
    return always, routed


def _weights_read(serving: Serving, tokens: int) -> int:
    """The layers and the head. Of the experts, those that the tokens are expected to touch."""
    always, routed = bytes_read(serving)
    return sum(always) + sum(int(each * experts_touched(used, count, tokens) / count) for each, (used, count) in routed)


def layer_flops(model: Model) -> int:
    """The operations of the layers' matrices for one token."""
    text = {tensor.name for tensor in read_text(model, model.named)}
    found = [matrix for matrix in matrices(model) if matrix.tensor.name in text]
    return int(sum(2 * matrix.outputs * matrix.inputs * matrix.uses for matrix in found))


def head_flops(model: Model) -> int:
    """The operations of the head for one token."""
    head = lm_head(model)
    return 2 * head.numel if head else 0


def _attention_flops(model: Model, before: int, tokens: int) -> int:
    """What tokens after those `before` do with every token they look at: 2 · H · E for its key, and for its value.

    H · E is what goes into the last matrix of an attention. Where keys are wider than values, as in latent attention,
    the difference is left out.
    """
    return sum(4 * inputs * _looks(before, tokens, layer) for layer, inputs in attentions(model))


def attentions(model: Model) -> list[tuple[KeyValue | Latent, int]]:
    """The cache of each attention, and what goes into the last matrix of it.

    Raises:
        WeighError: If layers share caches, keep other vectors than keys and values, or pick the tokens that they look
            at.
    """
    text = {tensor.name for tensor in read_text(model, model.named)}
    if any(".indexer." in name or ".compressor." in name for name in text):
        raise WeighError(
            f"model type {model.model_type}", "picks the tokens that it looks at; no bound is known for it"
        )
    if any(isinstance(layer, Vectors) for layer in model.caches):
        raise WeighError(
            f"model type {model.model_type}", "keeps other vectors than keys and values; no bound is known"
        )
    looking = [layer for layer in model.caches if isinstance(layer, KeyValue | Latent)]
    last = [matrix for matrix in matrices(model) if matrix.tensor.role == "attention output"]
    last = [matrix for matrix in last if matrix.tensor.name in text]
    if len(last) != len(looking):
        raise WeighError(
            f"model type {model.model_type}",
            f"has {len(last)} attentions and {len(looking)} caches of keys and values; a bound is known where each "
            "has its own",
        )
    return [(layer, matrix.inputs) for layer, matrix in zip(looking, last, strict=True)]


def _looks(before: int, tokens: int, layer: KeyValue | Latent) -> int:
    """How often one token looks at another or at itself: the sum of min(i, W) over the positions i of the tokens."""
    end = before + tokens
    window = layer.window or end
    inside = range(before + 1, min(end, window) + 1)
    return (inside.start + inside.stop - 1) * len(inside) // 2 + window * (tokens - len(inside))


def _bound(serving: Serving, before: int, tokens: int, batch: int, bandwidth: float, flops: float) -> Bound:
    """The least time in which each sequence of a batch reads some tokens more than those before, and gives scores."""
    model = serving.model
    if not model.caches or any(isinstance(layer, KeyValue) and layer.cross for layer in model.caches):
        raise WeighError(f"model type {model.model_type}", "is no decoder; a bound is known for decoders alone")
    if not (bandwidth > 0 and flops > 0):  # nor is a NaN
        raise WeighError("bandwidth and FLOP/s", "must be more than 0")
    moved = _weights_read(serving, batch * tokens) + serving.cache(before or tokens, batch)
    work = batch * (tokens * layer_flops(model) + head_flops(model) + _attention_flops(model, before, tokens))
    seconds = max(moved / bandwidth, work / flops)
    limited_by: Literal["memory", "compute"] = "memory" if moved / bandwidth >= work / flops else "compute"
    return Bound(moved, work, seconds, limited_by, batch * tokens / seconds)
