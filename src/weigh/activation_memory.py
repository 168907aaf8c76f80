"""How many bytes does a forward pass keep for the backward pass?

Each operation keeps what its derivative needs: a linear layer its input, a product both factors, a dropout its mask.
Korthikanti et al. 2022 (arXiv 2205.05198) add these up for the fused kernels of Megatron-LM: `korthikanti`. The same
is done here for the operations of the Hugging Face implementations as PyTorch runs them one by one, for the families
in `weigh.layer_kinds`. The others are estimated from the matrices of their layers alone.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

from weigh.dtypes import dtype as number_format
from weigh.errors import UnsupportedField, WeighError
from weigh.families.parts import KeyValue
from weigh.layer_kinds import KEPT_BY_ACTIVATION, KINDS, Kind
from weigh.parameters import Model
from weigh.work import Step, step

Recompute = Literal["none", "selective", "full"]

_LAYER = re.compile(r"(?:.*?\.)?[A-Za-z_]+\.\d+(?=\.)")
_NORM = re.compile(r"(norm|ln_\w+)\.weight$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Activations:
    """What one forward pass keeps.

    Attributes:
        kept: What is kept for the backward pass, part by part.
        moment: What is there beside it at the widest moment of the backward pass.
        assumptions: What the figures rest on.
        counted: Whether they are counted operation by operation, or estimated from the matrices alone.
    """

    kept: tuple[Step, ...]
    moment: Step | None
    assumptions: tuple[str, ...]
    counted: bool

    @property
    def steps(self) -> tuple[Step, ...]:
        """All parts. Their values add up to `total_bytes`."""
        return (*self.kept, self.moment) if self.moment else self.kept

    @property
    def kept_bytes(self) -> int:
        """What is kept for the backward pass: the tensors that autograd saves."""
        return sum(part.value for part in self.kept)

    @property
    def total_bytes(self) -> int:
        """The same at the widest moment."""
        return sum(part.value for part in self.steps)


def activations(
    model: Model,
    *,
    batch: int,
    sequence: int,
    dtype: str = "bfloat16",
    recompute: Recompute = "none",
    fused_attention: bool = True,
    beside: Step | None = None,
) -> Activations:
    """The bytes that a forward pass with its loss keeps for the backward pass.

    Args:
        model: What `weigh.params` returned.
        batch: Sequences that are computed together on a device, B.
        sequence: Tokens of each, T.
        dtype: The number format of the weights and of what is computed with them.
        recompute: What the backward pass computes again: `none`; `selective`, the attention scores; or `full`, all
            inside a layer, so that only the layers' inputs are kept, and one layer at a time.
        fused_attention: Whether scores are never stored, as in FlashAttention (Dao et al. 2022, arXiv 2205.14135).
        beside: What adapters in the layers keep in addition.

    Raises:
        WeighError: If a number is not positive, or `recompute` is none of the three.
        UnsupportedField: If the model reads images, or is a state space, which keeps what its kernel wants.
    """
    if recompute not in ("none", "selective", "full"):
        raise WeighError(f"recompute {recompute!r:.40}", "not known to weigh, which knows none, selective, full")
    if batch < 1 or sequence < 1:
        raise WeighError("batch and sequence", f"must be positive, not {batch} and {sequence}")
    if model.model_type == "mamba" or any(len(tensor.shape) == 4 for tensor in model.named):
        raise UnsupportedField(
            f"activations of {model.model_type}",
            f"are not known to weigh, which counts {', '.join(KINDS)} and estimates other transformers of tokens",
        )
    b = number_format(dtype).bits // 8
    fused = fused_attention or recompute == "selective"
    kind = KINDS.get(model.model_type)
    numbers = _numbers(model, kind) | {"B": batch, "T": sequence, "b": b}
    if kind and model.config.get(*kind.activation) in KEPT_BY_ACTIVATION:
        layers = list(_layers(model, kind, numbers, fused))
        rest, counted = list(_rest(model, kind, numbers)), True
    else:
        layers = list(_matrices(model, numbers, fused))
        rest, counted = list(_head(model, numbers)), False
    layers += [beside] if beside else []
    moments = list(_logits(model, numbers))
    if recompute == "full":
        total, L = sum(part.value for part in layers), numbers["L"]
        moments.append(Step("one layer, computed again", "(all layers) / L", f"{total} / {L}", total // L))
        layers = [step("inputs of the layers", "L · T · B · b · D", prod(numbers[n] for n in "LTBbD"), **numbers)]
    return Activations(
        kept=(*layers, *rest),
        moment=max(moments, key=lambda part: part.value, default=None),
        assumptions=tuple(_assumptions(model, counted, fused_attention, recompute)),
        counted=counted,
    )


def korthikanti(
    *, s: int, b: int, h: int, a: int, L: int, t: int = 1, recompute: Recompute = "none", parallel_norms: bool = False
) -> int:
    """The bytes of activations of a GPT with 16-bit numbers and fused kernels, after Korthikanti et al. 2022, table 2.

    Embedding, last norm and head are not in it.

    Args:
        s: Tokens in a sequence.
        b: Sequences in a micro-batch.
        h: Model width.
        a: Attention heads.
        L: Layers.
        t: Devices of tensor parallelism.
        recompute: `none`, `selective` (the attention scores) or `full`.
        parallel_norms: Whether norms and dropouts are divided among the devices too, which they call sequence
            parallelism.
    """
    if recompute == "full":
        return 2 * s * b * h * L
    scores = 5 * a * s * s * b if recompute == "none" else 0
    whole, divided = (0, 34) if parallel_norms else (10, 24)
    return L * (whole * s * b * h + (divided * s * b * h + scores) // t)


def _numbers(model: Model, kind: Kind | None) -> dict[str, int]:
    """The sizes of a model under the house's symbols, from its tensors, its caches and, where those say nothing, its
    config."""
    config, shapes = model.config, {tensor.name: tensor.shape for tensor in model.named}
    named = (config.get(field) for field in ("hidden_size", "n_embd", "d_model", "dim"))
    D = next((size for size in named if isinstance(size, int)), model.named[0].shape[-1])
    L = len({layer[0] for name in shapes if (layer := _LAYER.match(name))})
    if model.model_type == "albert":  # its layers share their weights
        L = config.size("num_hidden_layers", 12)
    cache = next((cache for cache in model.caches if isinstance(cache, KeyValue)), None)
    if kind is None:
        heads = (config.get(field) for field in ("num_attention_heads", "n_head", "num_heads", "n_heads"))
        H = next((size for size in heads if isinstance(size, int)), cache.heads if cache else 0)
        return {"L": L, "D": D, "H": H}
    out, F = (
        next(prod(shape) // D for name, shape in shapes.items() if name.endswith(f"{matrix}.weight"))
        for matrix in (kind.out, kind.up)
    )
    H = out // cache.key if cache else config.size("num_attention_heads", 12)
    return {"L": L, "D": D, "F": F, "H": H, "K": cache.heads if cache else H, "E": out // H}


def _norms(model: Model, kind: Kind, numbers: dict[str, int], *, inside: bool) -> Step:
    """Norms as wide as the model: what goes in, in float32 where they are written out, and what comes out."""
    n = sum(
        _NORM.search(tensor.name) is not None
        and tensor.shape == (numbers["D"],)
        and (_LAYER.match(tensor.name) is not None) == inside
        for tensor in model.distinct
    )
    b, D, tokens = numbers["b"], numbers["D"], numbers["T"] * numbers["B"]
    formula, each = {
        "layer": ("2 · b · D + 8", 2 * b * D + 8),
        "rms": ("4 · D + 2 · b · D + 4", 4 * D + 2 * b * D + 4),
        "gemma": ("8 · D + b · D + 4", 8 * D + b * D + 4),
    }[kind.norm]
    name = "norms of the layers" if inside else "norms outside the layers"
    return step(name, f"n · T · B · ({formula})", n * tokens * each, **numbers, n=n)


def _layers(model: Model, kind: Kind, numbers: dict[str, int], fused: bool) -> Iterator[Step]:
    """All layers of a family in `KINDS`, part by part."""
    b, H, K, E, F = (numbers[name] for name in "bHKEF")
    tokens = numbers["L"] * numbers["T"] * numbers["B"]
    config = model.config
    dropped = bool(kind.dropout and config.get(*kind.dropout))
    yield _norms(model, kind, numbers, inside=True)
    if any(tensor.name.endswith("q_norm.weight") for tensor in model.named):
        each = (H + K) * ((4 + b) * E + 4)
        yield step("norms of the heads", "L · T · B · (H + K) · ((4 + b) · E + 4)", tokens * each, **numbers)
    # Without fusion, the keys and values of a group are repeated for each of its queries.
    name = "queries, keys, values and what the heads found"
    if fused:
        each = b * (2 * H + 2 * K) * E + 4 * H
        yield step(name, "L · T · B · (b · (2 · H + 2 · K) · E + 4 · H)", tokens * each, **numbers)
    else:
        yield step(name, "L · T · B · b · 4 · H · E", tokens * b * 4 * H * E, **numbers)
        s = b + (4 if kind.scores32 and b < 4 else 0) + (b + 1 if config.get(*kind.scores_dropout) else 0)
        yield step("attention scores", "L · H · T · T · B · s", tokens * H * numbers["T"] * s, **numbers, s=s)
    k = KEPT_BY_ACTIVATION[config.get(*kind.activation)] + 2 * kind.gated
    yield step("feed-forward", "L · T · B · b · k · F", tokens * b * k * F, **numbers, k=k)
    if dropped:
        yield step("dropout masks", "2 · L · T · B · D", 2 * tokens * numbers["D"], **numbers)


def _rest(model: Model, kind: Kind, numbers: dict[str, int]) -> Iterator[Step]:
    """What is kept outside the layers of a family in `KINDS`."""
    tokens, D = numbers["T"] * numbers["B"], numbers["D"]
    yield _norms(model, kind, numbers, inside=False)
    if kind.masks and kind.dropout and model.config.get(*kind.dropout):
        yield step("dropout mask of the embeddings", "T · B · D", tokens * D, **numbers)
    if any(tensor.name.endswith(("transform.dense.weight", "lm_head.dense.weight")) for tensor in model.named):
        yield step("activation function of the head", "T · B · b · D", tokens * numbers["b"] * D, **numbers)
    yield from _head(model, numbers)


def _vocabulary(model: Model) -> tuple[int, bool]:
    """The words that the head tells apart, or 0 without a head, and whether it guesses the next or the masked ones."""
    for tensor in model.named:
        if tensor.name.endswith(("lm_head.weight", "embed_out.weight", "proj_out.weight")):
            return tensor.shape[0], True
        if re.search(r"(predictions|lm_head|head)\.decoder\.weight$", tensor.name):
            return tensor.shape[0], False
    return 0, False


def _head(model: Model, numbers: dict[str, int]) -> Iterator[Step]:
    """The logarithms of the probabilities, from which the derivative of the loss follows; in float32 for decoders."""
    V, following = _vocabulary(model)
    if V:
        size = 4 if following else numbers["b"]
        value = size * numbers["T"] * numbers["B"] * V
        yield step("logarithms of the probabilities", "T · B · V · p", value, **numbers, V=V, p=size)


def _logits(model: Model, numbers: dict[str, int]) -> Iterator[Step]:
    """The logits, which the model's output holds until the step is over, and the gradient of the line above."""
    V, following = _vocabulary(model)
    if V:
        size = 4 if following else numbers["b"]
        value = (numbers["b"] + size) * numbers["T"] * numbers["B"] * V
        yield step("logits and the gradient of the loss", "T · B · V · (b + p)", value, **numbers, V=V, p=size)


def _matrices(model: Model, numbers: dict[str, int], fused: bool) -> Iterator[Step]:
    """The estimate for a family that is not in `KINDS`: each matrix keeps its input, what follows it keeps its output.

    For a GPT with the fused kernels of Megatron that makes 32 of the 34 bytes that Korthikanti et al. count. Of stacked
    experts, a token passes through the share that the active parameters tell.
    """
    inside = [tensor for tensor in model.distinct if _LAYER.match(tensor.name) and len(tensor.shape) > 1]
    stacked = [tensor for tensor in inside if ".experts." in tensor.name and len(tensor.shape) == 3]
    routed = sum(tensor.numel for tensor in stacked)
    idle = model.parameters - model.active_parameters
    wide = sum(sum(tensor.shape) for tensor in inside if len(tensor.shape) == 2)
    wide += sum(tensor.shape[0] * sum(tensor.shape[1:]) * (routed - idle) // routed for tensor in stacked)
    groups = len({layer[0] for tensor in inside if (layer := _LAYER.match(tensor.name))})
    w = wide * numbers["L"] // max(groups, 1)
    tokens, b = numbers["T"] * numbers["B"], numbers["b"]
    yield step("inputs and outputs of the matrices", "T · B · b · w", tokens * b * w, **numbers, w=w)
    biased = {tensor.name.removesuffix(".bias") for tensor in model.named if tensor.name.endswith(".bias")}
    norms = [tensor for tensor in model.distinct if _LAYER.match(tensor.name) and _NORM.search(tensor.name)]
    n = sum(t.numel * (b if t.name.removesuffix(".weight") in biased else 4 + b) for t in norms)
    n = n * numbers["L"] // max(groups, 1)
    yield step("norms", "T · B · n", tokens * n, **numbers, n=n)
    if not fused and numbers["H"]:
        scores = numbers["L"] * numbers["H"] * tokens * numbers["T"] * (b + 4)
        yield step("attention scores", "L · H · T · T · B · (b + 4)", scores, **numbers)


def _assumptions(model: Model, counted: bool, fused: bool, recompute: Recompute) -> Iterator[str]:
    if counted:
        yield (
            "activations as the Hugging Face implementation keeps them, run operation by operation with use_cache off; "
            "a compiled model, or fused norms and losses, keep less"
        )
    else:
        yield (
            f"activations of {model.model_type} are an estimate, each matrix keeping its input and its output; "
            f"operation by operation weigh counts {', '.join(KINDS)}"
        )
    yield "attention that never stores its scores" if fused else "attention that stores its scores"
    if recompute == "selective" and fused:
        yield "selective recomputation saves nothing here: attention that stores no scores has none to recompute"
    if model.model_type == "gpt2" and model.config.get("activation_function", "gelu_new") == "gelu_new":
        yield "gelu_new in separate operations keeps five tensors as wide as the feed-forward; fused it would keep two"
