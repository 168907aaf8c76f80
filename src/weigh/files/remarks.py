"""What to know of the parts of a checkpoint before its figures are used: what is added up, and what is no weight."""

from weigh.dtypes import DTYPES
from weigh.formats.torch.naming import GRADIENT
from weigh.formats.torch.rebuilding import LOCAL
from weigh.tensors import Contents, elements_of, own_bytes

_LEAST = 100  # the bytes of all tensors, by those beside the weights, from which on these are worth a word
_MOST_NAMED = 3


def remarks(contents: Contents) -> tuple[str, ...]:
    """What the figures of a checkpoint do not say by themselves, in a line each."""
    of_weights = [tensor for tensor in contents.named if tensor.component == "weights"]
    if not of_weights:
        return ()
    sets = {tensor.state_dict for tensor in of_weights}
    beside = [tensor for tensor in contents.named if tensor.component == "metadata" and tensor.shape]
    sharded = sum(tensor.name.endswith(f".{LOCAL}") for tensor in of_weights)
    found = []
    if len(sets) > 1 or beside:
        numbers: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for tensor, own in own_bytes(contents.named):
            if tensor.component == "weights" and DTYPES[tensor.dtype].kind in ("float", "complex"):
                numbers[tensor.state_dict] = numbers.get(tensor.state_dict, 0) + elements_of(tensor, own)
            elif tensor.component == "metadata" and tensor.shape and own:
                part = GRADIENT if tensor.name.endswith(GRADIENT) else tensor.name.partition(".")[0]
                sizes[part] = sizes.get(part, 0) + own
        if len(sets) > 1 and len(contents.parts) < 2 and "" not in sets:
            found.append(f"holds {len(sets):,} sets of weights, whose numbers are added up: {_named(numbers)}")
        if _LEAST * sum(sizes.values()) > contents.bytes_in_tensors:
            found.append(f"holds tensors beside the weights, whose bytes are metadata: {_named(sizes)}")
    if sharded:
        found.append(f"holds of {sharded:,} tensors what one rank has; the files of the others have the rest")
    return tuple(found)


def _named(figures: dict[str, int]) -> str:
    largest = sorted(figures, key=lambda name: -figures[name])
    more = f" and {len(largest) - _MOST_NAMED:,} more" if len(largest) > _MOST_NAMED else ""
    return ", ".join(f"{name[:40]} {figures[name]:,}" for name in largest[:_MOST_NAMED]) + more
