"""Whether the same weights in two formats are the same."""

import re
from collections import Counter, defaultdict

from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.results import CheckResult
from weigh.errors import WeighError
from weigh.files.comparing import diff
from weigh.files.directories import WHOLE_MODELS, read_file
from weigh.sources import File
from weigh.tensors import Contents

MOST_BYTES = 2 * 10**9
"""The most bytes of weights whose numbers are compared; of larger ones, names and shapes are."""


def two_formats(home: ModelDirectory) -> CheckResult:
    """Two formats: weights that lie there twice, such as safetensors and `pytorch_model.bin`, and differ.

    Names and shapes are compared, and the numbers too where the number formats agree. A GGUF or ONNX file has names of
    its own, and often narrower numbers: of it, the shapes of matrices are compared.
    """
    sets = _sets(home)
    if len(sets) < 2:
        raise NotExamined("the weights are in one format alone")
    (first, one), *others = sets.items()
    faults, notes = [], []
    for name, other in others:
        if name.endswith(WHOLE_MODELS) or first.endswith(WHOLE_MODELS):
            faults += _shapes(first, one, name, other)
        elif max(one.bytes_in_tensors, other.bytes_in_tensors) > MOST_BYTES:
            faults += _names(first, one, name, other)
            notes.append(f"{name} is large: its numbers are not compared")
        else:
            found = diff(home.path / first, home.path / name)
            faults += [
                Fault(name, change.name, f"{change.kind}: {change.after}", f"{change.before}, as in {first}")
                for change in found.changes
                if change.component == "weights" and (change.kind != "retyped" or (change.relative or 0) > 0.01)
            ]
    return counted(
        "tensors in which two formats differ",
        faults,
        "one loader takes the one, the next the other, and they are two models; delete what was not tested",
        cost={"formats": len(sets)},
        notes=notes,
    )


def _sets(home: ModelDirectory) -> dict[str, Contents]:
    """Whole sets of weights, by the file that stands for each: an index for its shards."""
    names = [name for name in home.artifacts["weights"] if not name.startswith("adapter_model")]
    if not names:
        raise NotExamined("there are no weights")
    unread = [name for name in names if name in home.damage or name in home.pointers]
    if unread:
        raise NotExamined(f"{unread[0]} cannot be read")
    found = {name: read_file(File(home.path / name)) for name in names if name.endswith(".index.json")}
    shards = {tensor.storage.partition(":")[0] for contents in found.values() for tensor in contents.named}
    for name in names:
        if name not in shards and name not in found and not re.search(r"-\d{5}-of-\d{5}", name):
            try:
                found[name] = read_file(File(home.path / name))
            except WeighError:
                continue
    names = sorted(found, key=lambda name: name.endswith(WHOLE_MODELS))  # what transformers loads stands first
    return {name: found[name] for name in names if found[name].parameters or name.endswith(WHOLE_MODELS)}


def _names(first: str, one: Contents, second: str, other: Contents) -> list[Fault]:
    """Tensors that one of two sets lacks, or has in another shape."""
    here, there = ({t.name: t.shape for t in each.named if t.component == "weights"} for each in (one, other))
    return [
        Fault(second, name, list(there.get(name, ())) or "missing", f"{list(here.get(name, ()))}, as in {first}")
        for name in {**here, **there}
        if here.get(name) != there.get(name)
    ]


def _shapes(first: str, one: Contents, second: str, other: Contents) -> list[Fault]:
    """Shapes of matrices of which the one set has more. A head that is tied may be there once or twice."""
    counts: list[Counter[tuple[int, ...]]] = []
    for contents in (one, other):
        seen: dict[tuple[int, ...], set[str]] = defaultdict(set)
        for tensor in contents.named:
            if len(tensor.shape) == 2 and tensor.component == "weights":
                seen[tuple(sorted(tensor.shape))].add(tensor.name)
        counts.append(Counter({shape: len(names) for shape, names in seen.items()}))
    here, there = counts
    largest = max([*here, *there], key=lambda shape: shape[-1], default=())
    return [
        Fault(second, f"matrices of {list(shape)}", there[shape], f"{here[shape]}, as in {first}")
        for shape in {**here, **there}
        if here[shape] != there[shape] and not (shape == largest and here[shape] and there[shape])
    ]
