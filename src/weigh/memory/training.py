"""The question `weigh training` answers: how much memory does it take to train this model, and what does it save?

Four things grow with the parameters (weights, gradients, master weights, optimizer state), one grows with the batch
(activations). ZeRO divides the first four among the devices, stage by stage: first what only the optimizer needs, then
the gradients, then the weights (Rajbhandari et al. 2020, arXiv 1910.02054; FSDP is stage 3).
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from weigh.dtypes import dtype
from weigh.errors import UnsupportedField, WeighError
from weigh.formulas import Range, Step, step
from weigh.memory.activations import Activations, Recompute, activations
from weigh.memory.checkpoints import Precision, bytes_in, checkpoint, policy, state_bytes
from weigh.memory.estimates import Estimate
from weigh.memory.lora import Lora, frozen_bytes
from weigh.memory.optimizers import Chosen, find
from weigh.memory.optimizers.entries import Copies
from weigh.memory.training_assumptions import assumptions
from weigh.models.matrices import layer_name, sides
from weigh.models.parameters import Model
from weigh.tensors import Tensor
from weigh.units import positive

USUAL_SEQUENCE = 2048
"""The tokens of a sequence that is trained on, if nobody says."""

ESTIMATE = (2, 3)
"""How far an estimate of activations may be off: from two thirds to three halves of it, as the tests find."""


@dataclass(frozen=True, kw_only=True)
class Training(Estimate):
    """The memory to train a model, in bytes on each device, and the checkpoint that all devices write together.

    Attributes:
        model_type: The family.
        optimizer: The optimizer, as it was asked for.
        optimizer_entry: The optimizer that it means, with its library and the options that were given.
        precision: The precision policy.
        parameters: Of the model, adapters left out.
        trainable_parameters: Those that have gradients: all, or the adapters.
        weight_bytes: The weights in the format that the forward pass uses, adapters and frozen weights included.
        gradient_bytes: A gradient for each trained weight.
        master_weight_bytes: The copy of the weights that the optimizer updates, where there is one.
        optimizer_state_bytes: What the optimizer remembers.
        activation_bytes: What a forward pass keeps for the backward pass; `None` if `weigh` does not know the family's.
        checkpoint_bytes: What it takes to go on after an interruption; of adapters without the frozen weights.
    """

    _figures = (
        "model_type", "optimizer", "optimizer_entry", "precision", "parameters", "trainable_parameters", "weight_bytes",
        "gradient_bytes", "master_weight_bytes", "optimizer_state_bytes", "activation_bytes", "total_bytes",
        "checkpoint_bytes",
    )  # fmt: skip

    model_type: str
    optimizer: str
    optimizer_entry: str
    precision: str
    parameters: int
    trainable_parameters: int
    weight_bytes: int
    gradient_bytes: int
    master_weight_bytes: int
    optimizer_state_bytes: int
    activation_bytes: int | None
    checkpoint_bytes: int

    @property
    def total_bytes(self) -> int:
        """Bytes on a device, activations included if they are known."""
        return self.state_bytes + (self.activation_bytes or 0)

    @property
    def state_bytes(self) -> int:
        """Bytes of the model state on a device: weights, gradients, master weights and optimizer state."""
        return self.weight_bytes + self.gradient_bytes + self.master_weight_bytes + self.optimizer_state_bytes


def training(
    model: Model,
    optimizer: str | Chosen = "adamw",
    precision: str = "bf16-master",
    *,
    batch: int,
    sequence: int,
    zero: int = 0,
    devices: int = 1,
    recompute: Recompute = "none",
    fused_attention: bool = True,
    accumulate: int = 1,
    lora: Lora | None = None,
) -> Training:
    """The memory to train a model, and the size of its checkpoint.

    Args:
        model: What `weigh.params` returned.
        optimizer: A key of `weigh.OPTIMIZERS` or a short name, with options if there are any.
        precision: A key of `weigh.PRECISIONS`, `weigh.MEGATRON` or `weigh.TRAINERS`.
        batch: Sequences for each device and each step of the optimizer.
        sequence: Tokens of each sequence.
        zero: The stage of ZeRO: 0 divides nothing among the devices, 1 the optimizer state and the master weights, 2
            the gradients too, 3 the weights too.
        devices: N, the devices among which it is divided, and which compute with different data.
        recompute: What the backward pass computes again; see `weigh.activations`.
        fused_attention: Whether attention scores are never stored.
        accumulate: In how many parts, one after the other, a device computes its batch.
        lora: Adapters to train in place of the model, which is then frozen.

    Raises:
        ContextTooLong: If a sequence has more tokens than the model has learned positions for.
        WeighError: If there is no such optimizer, policy or stage, a number is not positive, or adapters do not fit.
    """
    _refuse_impossible(zero, devices=devices, batch=batch, sequence=sequence, accumulate=accumulate)
    model.refuse_beyond("sequence", sequence)
    chosen = find(optimizer)
    keeps, frozen, trained, micro = policy(precision), [], model.distinct, -(-batch // accumulate)
    computed, beside = keeps.weights, None
    if lora:
        frozen, trained = [_frozen(model, lora, computed)], lora.adapters(model)
        adapted = keeps.adapters or keeps.state
        keeps = replace(keeps, weights=adapted, state=adapted, gradients=adapted, master=False, master_gradients=False)
        beside = _beside(model, lora, computed, keeps.weights, micro * sequence)
    try:
        kept = activations(
            model, batch=micro, sequence=sequence, dtype=computed, recompute=recompute,
            fused_attention=fused_attention, beside=beside,
        )  # fmt: skip
    except UnsupportedField as unknown:
        kept = Activations((), None, (f"no activations, which are not in the total: those {unknown.problem}",))
    states = [_divide(state, zero, devices) for state in (*frozen, *_states(trained, chosen, keeps))]
    sizes = {figure: sum(state.step.value for state in states if state.figure == figure) for figure in FIGURES}
    low, high = kept.total_bytes, kept.total_bytes
    if lora:
        low, high = low * ESTIMATE[0] // ESTIMATE[1], high * ESTIMATE[1] // ESTIMATE[0]
    if keeps.autocast:  # what is saved may be in 16 bits, and the weights are there in these too
        low, high = low // 2, high + bytes_in(model.distinct, keeps.autocast)
    whole = _largest_layer(model, trained, keeps, lora, computed) if zero == 3 and devices > 1 else ("", 0)
    spread = _while_stepping(trained, chosen, keeps, devices if zero else 1)
    assumed = assumptions(chosen, zero, devices, keeps, bool(lora), whole)
    return Training(
        model_type=model.model_type, optimizer=chosen.text, optimizer_entry=chosen.meant, precision=precision,
        parameters=model.parameters, trainable_parameters=sum(tensor.numel for tensor in trained),
        **sizes,
        activation_bytes=kept.total_bytes if kept.steps else None,
        checkpoint_bytes=checkpoint(trained, chosen, keeps).total_bytes,
        range=_total_range(sizes, low, high + whole[1], accumulate, spread),
        steps=(*(state.step for state in states), *kept.steps),
        assumptions=(*assumed, *kept.assumptions),
    )  # fmt: skip


FIGURES = ("weight_bytes", "gradient_bytes", "master_weight_bytes", "optimizer_state_bytes")


@dataclass(frozen=True, slots=True)
class ModelState:
    """One kind of model state: the figure it belongs to, the stage of ZeRO that first divides it, and its bytes."""

    figure: str
    stage: int
    step: Step


def _refuse_impossible(zero: int, **numbers: int) -> None:
    if zero not in (0, 1, 2, 3):
        raise WeighError(f"ZeRO stage {zero!r:.40}", "is not known to weigh, which knows 0, 1, 2, 3")
    for name, number in numbers.items():
        positive(name, number)
    if numbers["accumulate"] > numbers["batch"]:
        raise WeighError("accumulate", f"more parts, {numbers['accumulate']}, than sequences, {numbers['batch']}")


def _states(trained: list[Tensor], optimizer: Chosen, keeps: Precision) -> Iterator[ModelState]:
    """What is kept of the weights that are trained."""

    def one(figure: str, stage: int, name: str, format: str) -> ModelState:
        P, size = sum(tensor.numel for tensor in trained), dtype(format).bits // 8
        return ModelState(figure, stage, step(f"{name} in {format}", "P · b", P=P, b=size))

    yield one("weight_bytes", 3, "weights", keeps.weights)
    yield one("gradient_bytes", 2, "gradients", keeps.gradients)
    if keeps.master_gradients:
        yield one("gradient_bytes", 1, "the optimizer's copy of the gradients", keeps.state)
    if keeps.master:
        yield one("master_weight_bytes", 1, "master weights", keeps.state)
    sizes = state_bytes(trained, optimizer, keeps.state, keeps.groups)
    formula, numbers = " + ".join(sizes) or "0", " + ".join(f"{size:,}" for size in sizes.values()) or "0"
    yield ModelState(
        "optimizer_state_bytes", 1, Step(f"state of {optimizer.text}", formula, numbers, sum(sizes.values()))
    )


def _largest_layer(
    model: Model, trained: list[Tensor], keeps: Precision, lora: Lora | None, computed: str
) -> tuple[str, int]:
    """What a device has whole while it is at work: a layer, or a tensor outside the layers, and the gradients of it."""
    sizes: Counter[str] = Counter()
    for tensor in trained:
        sizes[layer_name(tensor)] += bytes_in([tensor], keeps.weights) + bytes_in([tensor], keeps.gradients)
    if lora:
        for tensor in model.distinct:
            sizes[layer_name(tensor)] += frozen_bytes([tensor], computed, lora.nf4)
    return sizes.most_common(1)[0]


def _frozen(model: Model, lora: Lora, weights: str) -> ModelState:
    total = frozen_bytes(model.distinct, weights, lora.nf4)
    name = f"frozen weights in {'nf4 and ' if lora.nf4 else ''}{weights}"
    bits = Fraction(8 * total, model.parameters)
    return ModelState(
        "weight_bytes", 3, Step(name, "P · bits / 8", f"{model.parameters:,} · {float(bits):.3f} / 8", total)
    )


def _divide(state: ModelState, zero: int, devices: int) -> ModelState:
    """The largest share of a device: the bytes are laid end to end and cut into N pieces."""
    if zero < state.stage or devices == 1:
        return state
    name, formula, numbers, value = state.step.name, state.step.formula, state.step.substituted, state.step.value
    share = Step(name, f"({formula}) / N", f"({numbers}) / {devices:,}", -(-value // devices))
    return ModelState(state.figure, state.stage, share)


def _beside(model: Model, lora: Lora, computed: str, kept: str, tokens: int) -> Step:
    """What each pair keeps: its input, copied to the adapter's format where that is another, and the thin product."""
    a, adapted = dtype(kept).bits // 8, lora.adapted(model)
    inputs = sum(sides(tensor)[1] for tensor in adapted) if kept != computed else 0
    numbers = {"tokens": tokens, "a": a, "I": inputs, "n": len(adapted), "r": lora.rank}
    return step("inputs and products of the adapters", "tokens · a · (I + n · r)", **numbers)


def _while_stepping(trained: list[Tensor], optimizer: Chosen, keeps: Precision, parts: int) -> tuple[int, int]:
    """What the state may fall short of its most, if nobody knows how far it has grown; and the copies of a step."""
    missing = 0
    if optimizer.optimizer.unknown:
        least, most = (sum(state_bytes(trained, each, keeps.state).values()) for each in optimizer.extremes())
        missing = most - least
    copies = optimizer.copies(trained, keeps.state) or Copies(of_all=1)
    largest = max((bytes_in([tensor], keeps.state) for tensor in trained), default=0)
    copied = copies.of_all * bytes_in(trained, keeps.state) / parts + copies.of_largest * largest
    return -(-missing // parts), int(copied)


def _total_range(sizes: dict[str, int], low: int, high: int, accumulate: int, spread: tuple[int, int]) -> Range:
    """Gradients come as activations go, and the optimizer's step has room of its own when those have gone."""
    gradients, (missing, copies) = sizes["gradient_bytes"], spread
    rest = sum(sizes.values()) - gradients
    return Range(
        low=rest - missing + (max(low, gradients) if accumulate == 1 else low + gradients),
        high=rest + gradients + max(high, copies),
        why="low: gradients grow while activations are freed, unless they are accumulated; high: both in full, beside "
        "the layer that ZeRO stage 3 has gathered, or the copies that live while the optimizer steps; "
        "both without the driver's context and the allocator's fragments",
    )
