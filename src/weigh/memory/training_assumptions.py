"""What an estimate of the memory to train takes for granted."""

from collections.abc import Iterator

from weigh.memory.checkpoints import Precision
from weigh.memory.optimizers import Chosen


def assumptions(
    optimizer: Chosen, zero: int, devices: int, keeps: Precision, adapters: bool, whole: tuple[str, int]
) -> Iterator[str]:
    """What an estimate of the memory to train takes for granted, in sentences.

    Args:
        optimizer: The optimizer.
        zero: The stage of ZeRO.
        devices: The devices among which it divides.
        keeps: The number formats of the run.
        adapters: Whether adapters are trained in place of the model.
        whole: The largest layer or table that a device gathers, with its bytes; 0 bytes if it gathers none.
    """
    entry = optimizer.optimizer
    meant = "" if optimizer.text == optimizer.meant else f" is {optimizer.meant}"
    yield f"{optimizer.text}{meant} of {entry.source}"
    if entry.assumed:
        yield entry.assumed
    if keeps.assumed and not adapters:
        yield keeps.assumed
    if keeps.autocast:
        yield (
            f"activations in {keeps.weights}; the range is from half of them to all beside the weights in "
            f"{keeps.autocast}, as autocast saves some in either"
        )
    if entry.copies is None:
        yield f"one copy of the weights while {optimizer.text} steps, since weigh does not know how many"
    if zero and devices > 1:
        yield f"ZeRO stage {zero}: parts laid end to end and cut into {devices} equal pieces, the last one padded"
        if not entry.elementwise:
            yield f"{optimizer.text} needs whole tensors or blocks, which a real cut may leave together"
    if whole[1]:
        yield (
            f"only the upper end of the range has room for {whole[0]}, the largest layer or table, while it is at "
            f"work: {whole[1]:,} bytes of its weights, gathered from all devices, and of its gradients before they are "
            "divided; nothing is gathered ahead"
        )
    if adapters:
        yield from _of_adapters(keeps.state)


def _of_adapters(format: str) -> Iterator[str]:
    usual = format == "float32"
    why = "as PEFT keeps them by default" if usual else "as PEFT does with autocast_adapter_dtype=False alone"
    yield f"adapters, their gradients and their state in {format}, {why}"
    yield (
        "activations of the frozen model as if it were trained, which is too much by about a fifth, and of the "
        "adapters as PEFT keeps them without dropout"
    )
    yield "the checkpoint holds the adapters and their optimizer state; the frozen weights are where they came from"
