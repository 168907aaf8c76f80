"""The files beside an ONNX model that its tensors lie in, which the model names itself."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from weigh import errors
from weigh.sources import File, is_remote, opening
from weigh.tensors import Tensor


def beside(model: File, name: str, where: str) -> File:
    """The file of that name in a model's own directory, or below it.

    Raises:
        OutsideDirectory: If the name, or a link, leads anywhere else.
        NotFound: If it is not there.
        InvalidOffsets: If it is the model itself.
    """
    path = PurePosixPath(name)
    strange = not path.parts or path.is_absolute() or ".." in path.parts or any(sign in name for sign in "\\:\0")
    found = model.path.parent.joinpath(*path.parts) if not strange else model.path
    if strange or not _is_below(model.path, found):
        raise errors.OutsideDirectory(where, f"lies in {name[:80]!r}, outside its model's directory; do not use it")
    try:
        with opening(found):
            there = found.is_file()
            own = found == model.path or (there and not is_remote(found) and found.samefile(model.path))
    except errors.NotFound:
        there = own = False
    if not there:
        raise errors.NotFound(where, f"lies in {name[:80]!r}, which is not there; fetch it too")
    if own:
        raise errors.InvalidOffsets(where, f"lies in {name[:80]!r}, which is the model itself; do not use it")
    return File(found)


def check_overlaps(model: File, tensors: Iterable[Tensor]) -> None:
    """Refuse tensors that share some of their bytes. Two names of the same bytes are a tied tensor.

    Raises:
        InvalidOffsets: If there are any.
    """
    by_file = defaultdict(list)
    for tensor in tensors:
        if tensor.nbytes:
            by_file[tensor.storage].append(tensor)
    for sharing in by_file.values():
        before = None
        for tensor in sorted(sharing, key=lambda tensor: (tensor.begin, tensor.end)):
            span = (tensor.begin, tensor.end)
            if before and span != before and tensor.begin < before[1]:
                raise errors.InvalidOffsets(
                    f"{model}, tensor {tensor.name[:80]!r}",
                    f"starts at {tensor.begin:,} and overlaps the tensor before it, which ends at {before[1]:,}; "
                    "do not use the file",
                )
            before = span


def _is_below(model: Path, found: Path) -> bool:
    """Whether links lead out of the model's directory. Where the model is a link itself, as in the cache of the Hugging
    Face Hub, the files that lie beside its target belong to it too."""
    if is_remote(found):
        return True
    with opening(found):
        target, home = Path(os.path.realpath(found)), os.path.realpath(model)
        return target.is_relative_to(os.path.realpath(model.parent)) or target.parent == Path(home).parent
