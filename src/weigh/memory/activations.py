"""How many bytes does a forward pass keep for the backward pass?

Each operation keeps what its derivative needs: a linear layer its input, a product both factors, a dropout its mask.
Korthikanti et al. 2022 (arXiv 2205.05198) add these up for the fused kernels of Megatron-LM: `korthikanti`. The same
is done here for the operations of the Hugging Face implementations as PyTorch runs them one by one, which each family
lists (`weigh.models.saved`).
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from weigh.dtypes import dtype as number_format
from weigh.errors import UnsupportedField, WeighError
from weigh.formulas import Step, step
from weigh.models.alike import saved_like
from weigh.models.caches import KeyValue
from weigh.models.families import FAMILIES
from weigh.models.matrices import vocabulary
from weigh.models.parameters import Model
from weigh.models.saved import SavedActivations, SavedTensor, SavedTensors

Recompute = Literal["none", "selective", "full"]

_INNER = re.compile(r"\([^()]*\)")


@dataclass(frozen=True, slots=True)
class Activations:
    """Activations of a forward pass with its loss, in bytes.

    Attributes:
        kept: Bytes of the saved tensors, with their formulas.
        moment: What is there beside it at the widest moment of the backward pass.
        assumptions: What the figures rest on.
    """

    kept: tuple[Step, ...]
    moment: Step | None
    assumptions: tuple[str, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """Formulas of all activations. Their values add up to `total_bytes`."""
        return (*self.kept, self.moment) if self.moment else self.kept

    @property
    def kept_bytes(self) -> int:
        """Bytes of the saved tensors: what autograd keeps for the backward pass."""
        return sum(step.value for step in self.kept)

    @property
    def total_bytes(self) -> int:
        """Bytes of activations at the peak of the backward pass."""
        return sum(step.value for step in self.steps)


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
    """Activation memory of a forward pass with its loss, in bytes.

    Args:
        model: What `weigh.params` returned.
        batch: Sequences that are computed together on a device, B.
        sequence: Tokens of each, T; of the encoder and of the decoder, where there are two.
        dtype: The number format of the weights and of what is computed with them.
        recompute: What the backward pass computes again: `none`; `selective`, the attention scores; or `full`, all
            inside a layer, so that only the layers' inputs are kept, and one layer at a time.
        fused_attention: Whether scores are never stored, as in FlashAttention (Dao et al. 2022, arXiv 2205.14135).
        beside: What adapters in the layers keep in addition.

    Raises:
        WeighError: If a number is not positive, or `recompute` is none of the three.
        UnsupportedField: If the family, or the config's activation function, is none whose operations are listed.
    """
    if recompute not in ("none", "selective", "full"):
        raise WeighError(f"recompute {recompute!r:.40}", "not known to weigh, which knows none, selective, full")
    if batch < 1 or sequence < 1:
        raise WeighError("batch and sequence", f"must be positive, not {batch} and {sequence}")
    like, saved = _saved(model)
    b = number_format(dtype).bits // 8
    numbers = {"B": batch, "T": sequence, "b": b, "c": 4 if b < 4 else 0}
    fused = fused_attention and saved.fused
    stored = {"stored", "alone" if batch == 1 else "several"}
    computed = {"always"} | ({"fused"} if fused or recompute == "selective" else stored)
    layers = [*_inside(saved.layers, computed, numbers), *([beside] if beside else [])]
    outside = [*_outside(saved.outside, computed, numbers), *_loss(model, numbers, saved.loss_32)]
    moments = list(_logits(model, numbers, saved.loss_32))
    if recompute == "full":
        moments.append(_largest(saved.layers, computed, numbers, beside))
        layers = list(_inside(saved.layers, {"recomputed"}, numbers))
    return Activations(
        kept=(*layers, *outside),
        moment=max(moments, key=lambda moment: moment.value, default=None),
        assumptions=(*like, *_assumptions(model, saved, sequence, fused, recompute)),
    )


def korthikanti(
    *, s: int, b: int, h: int, a: int, L: int, t: int = 1, recompute: Recompute = "none", parallel_norms: bool = False
) -> int:
    """Activation memory of a 16-bit GPT with fused kernels, in bytes, after Korthikanti et al. 2022, table 2.

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


def _saved(model: Model) -> tuple[tuple[str, ...], SavedActivations]:
    """What rests on another family, and the saved tensors of a model.

    Raises:
        UnsupportedField: If they are not known.
    """
    saves = FAMILIES[model.model_type].saves if model.sizes is not None else None
    if saves:
        return (), saves(model.sizes, model.architecture)
    if alike := saved_like(model):
        return (f"layers that save what those of {alike[0]} do, whose tensors they have",), alike[1]
    raise UnsupportedField(
        f"activations of {model.model_type}", "are unknown: weigh has no list of what its layers save"
    )


def _inside(layers: list[SavedTensors], computed: set[str], numbers: dict[str, int]) -> Iterator[Step]:
    """What all layers save of the tensors that are `computed` in this way; layers alike are taken together."""
    found = Counter((tensor, times) for layer in layers for tensor, times in Counter(layer).items())
    for (tensor, times), L in found.items():
        if tensor.when in computed:
            yield _step(tensor.name, "L · ", tensor, times, numbers | {"L": L})


def _outside(tensors: SavedTensors, computed: set[str], numbers: dict[str, int]) -> Iterator[Step]:
    """The same outside the layers."""
    for tensor, times in Counter(tensors).items():
        if tensor.when in computed:
            yield _step(f"{tensor.name} outside the layers", "", tensor, times, numbers)


def _step(name: str, layers: str, tensor: SavedTensor, times: int, numbers: dict[str, int]) -> Step:
    """One tensor, so many times for each token."""
    formula = f"({tensor.formula})" if " + " in _INNER.sub("", tensor.formula) else tensor.formula
    formula = f"{layers}T · B · {f'{times} · ' if times > 1 else ''}{formula}"
    return step(name, formula, **(numbers | dict(tensor.sizes)))


def _largest(layers: list[SavedTensors], computed: set[str], numbers: dict[str, int], beside: Step | None) -> Step:
    """The layer that saves the most, whose tensors are there while its backward pass has computed it again."""
    kinds = {tuple(layer): layer for layer in layers}.values()
    steps = max(([*_inside([kind], computed, numbers)] for kind in kinds), key=lambda kind: sum(s.value for s in kind))
    sizes: Counter[str] = Counter()
    for one in steps:
        sizes[one.name] += one.value
    if beside:
        sizes[beside.name] = beside.value // len(layers)
    values = " + ".join(f"{value:,}" for value in sizes.values())
    return Step("one layer, computed again", " + ".join(sizes), values, sum(sizes.values()))


def _loss(model: Model, numbers: dict[str, int], loss_32: bool) -> Iterator[Step]:
    """The logarithms of the probabilities, from which the derivative of the loss follows."""
    if V := vocabulary(model):
        numbers = numbers | {"V": V, "p": 4 if loss_32 else numbers["b"]}
        yield step("logarithms of the probabilities", "T · B · V · p", **numbers)


def _logits(model: Model, numbers: dict[str, int], loss_32: bool) -> Iterator[Step]:
    """The logits, which the model's output holds until the step is over, and the gradient of the line above."""
    if V := vocabulary(model):
        numbers = numbers | {"V": V, "p": 4 if loss_32 else numbers["b"]}
        yield step("logits and the gradient of the loss", "T · B · V · (b + p)", **numbers)


def _assumptions(
    model: Model, saved: SavedActivations, sequence: int, fused: bool, recompute: Recompute
) -> Iterator[str]:
    yield (
        "activations as the Hugging Face implementation keeps them, run operation by operation with use_cache off; "
        "a compiled model, or fused norms and losses, keep less"
    )
    if not saved.fused:
        yield f"attention that stores its scores, since that of {model.model_type} is given to no flash kernel"
    else:
        yield "attention that never stores its scores" if fused else "attention that stores its scores"
    tensors = {tensor for layer in saved.layers for tensor in layer}
    yield from _own_lengths(tensors)
    if fused:
        yield from _masks(model, sequence)
    if recompute == "selective" and fused:
        yield "selective recomputation saves nothing here: attention that stores no scores has none to recompute"
    if any(tensor.name == "feed-forward" and dict(tensor.sizes).get("k", 0) >= 5 for tensor in tensors):
        yield "an activation function in separate operations, such as gelu_new; fused it would keep two tensors"


def _own_lengths(tensors: set[SavedTensor]) -> Iterator[str]:
    """Of layers that read as many tokens as they like: patches of an image, frames of sound."""
    lengths = {dict(tensor.sizes).get("T") for tensor in tensors if tensor.when == "recomputed"}
    for T in lengths - {None}:
        yield f"layers that read {T:,} patches or frames, however long the sequence is"


def _masks(model: Model, sequence: int) -> Iterator[str]:
    """Of windows that are shorter than the sequence."""
    windows = [
        cache.window for cache in model.known_caches or [] if isinstance(cache, KeyValue) and cache.window is not None
    ]
    if min(windows, default=sequence) < sequence:
        yield (
            f"no mask for the window of {min(windows):,} tokens: PyTorch's own fused attention keeps one in each layer "
            "that has it, b · T · T · B bytes, and repeats keys and values; FlashAttention does neither"
        )
