"""Weights that were one tensor while training, and are two in the checkpoint."""

from collections import defaultdict

from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.checks.resuming.aligning import is_buffer
from weigh.checks.resuming.checkpoint import TrainingCheckpoint
from weigh.checks.resuming.fitting import alignments
from weigh.checks.resuming.states import Shape
from weigh.tensors import Tensor

_LEAST = 64  # numbers: smaller tensors are alike by chance, such as zeros
_MOST = 4096  # comparisons


def untied_weights(run: TrainingCheckpoint) -> CheckResult:
    """Copies of a weight, as far as the optimizer has fewer parameters than there are weights."""
    found = [one for one in alignments(run) if not one.extra]
    if not found or all(len(one.state.params) >= sum(not is_buffer(each) for each in one.weights) for one in found):
        raise NotExamined("the optimizer has as many parameters as there are weights")
    alike: dict[tuple[Shape, str], list[Tensor]] = defaultdict(list)
    for tensor in run.weights:
        if tensor.numel >= _LEAST and len(tensor.shape) > 1:
            alike[tensor.shape, tensor.dtype].append(tensor)
    faults, compared = [], 0
    for tensors in alike.values():
        for number, other in enumerate(tensors):
            for one in tensors[:number]:
                if one.state_dict != other.state_dict or compared >= _MOST:
                    continue
                compared += 1
                if all(a == b for a, b in zip(run.bytes_of(one), run.bytes_of(other), strict=True)):
                    faults.append(Fault(other.storage, other.name, f"a copy of {one.name}", "the same storage"))
                    break
    return counted(
        "tied weights that are stored apart",
        faults,
        "the optimizer knows one parameter, and the file has two: tie them again after loading, and before the "
        "optimizer is built, or they are trained apart",
        cost={"pairs compared": compared},
    )
